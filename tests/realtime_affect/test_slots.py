"""The slots between threads: what must hold at every instant, and at the end."""

from __future__ import annotations

import random
import threading
from contextlib import contextmanager

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from realtime_affect.slots import LatestSlot, LosslessSlot, SlotClosed, SlotCounters

PATIENCE_S = 60.0  # how long a thread may take before the test calls it stuck
both_slots = pytest.mark.parametrize("kind", [LatestSlot, LosslessSlot])


@contextmanager
def running(work):
    """Run `work` in a thread; on leaving, wait for it and raise what it raised."""
    failures = []

    def guarded():
        try:
            work()
        except BaseException as error:  # noqa: BLE001  (raised again where the test can see it)
            failures.append(error)

    thread = threading.Thread(target=guarded, daemon=True)
    thread.start()
    yield thread
    thread.join(PATIENCE_S)
    assert not thread.is_alive(), "the thread is stuck"
    if failures:
        raise failures[0]


def balanced(counters: SlotCounters) -> bool:
    return (
        counters.puts == counters.gets + counters.drops + counters.pending
        and counters.pending in (0, 1)
    )


def take_all(slot):
    """Return everything until the slot has ended."""
    taken = []
    while True:
        try:
            taken.append(slot.get(PATIENCE_S))
        except SlotClosed:
            return taken


@both_slots
def test_a_new_slot_is_empty_and_open(kind):
    slot = kind()
    assert slot.counters == SlotCounters(0, 0, 0, 0)
    assert not slot.closed
    assert not slot.ready


@both_slots
def test_a_slot_is_ready_for_a_value_and_for_its_end(kind):
    slot = kind()
    slot.put("value")
    assert slot.ready
    slot.get(0)
    assert not slot.ready
    slot.close()
    assert slot.ready


@both_slots
def test_a_value_comes_out_as_the_very_object_that_went_in(kind):
    slot, value = kind(), object()
    slot.put(value)
    assert slot.counters == SlotCounters(puts=1, gets=0, drops=0, pending=1)
    assert slot.get(0) is value
    assert slot.counters == SlotCounters(puts=1, gets=1, drops=0, pending=0)


@both_slots
def test_none_and_false_are_values_like_any_other(kind):
    slot = kind()
    for value in (None, False, 0, ()):
        slot.put(value)
        assert slot.get(0) is value


@both_slots
def test_an_empty_slot_times_out_and_stays_usable(kind):
    slot = kind()
    with pytest.raises(TimeoutError, match=r"0\.01 s"):
        slot.get(0.01)
    slot.put("later")
    assert slot.get(0) == "later"
    assert slot.counters == SlotCounters(1, 1, 0, 0)


@both_slots
def test_what_is_pending_at_the_close_can_still_be_taken(kind):
    slot = kind()
    slot.put("last")
    slot.close()
    assert slot.closed
    assert slot.get(0) == "last"
    for _ in range(2):
        with pytest.raises(SlotClosed):
            slot.get(0)
    assert slot.counters == SlotCounters(1, 1, 0, 0)


@both_slots
def test_a_closed_slot_takes_nothing_and_counts_nothing(kind):
    slot = kind()
    slot.put("last")
    slot.close()
    slot.close()
    with pytest.raises(SlotClosed):
        slot.put("too late")
    assert slot.counters == SlotCounters(puts=1, gets=0, drops=0, pending=1)
    assert slot.get(0) == "last"


@both_slots
def test_a_waiting_reader_is_woken_by_a_value(kind):
    slot, taken = kind(), []
    with running(lambda: taken.append(slot.get())) as thread:
        thread.join(0.05)
        assert thread.is_alive(), "get must wait for a value"
        slot.put("value")
    assert taken == ["value"]


@both_slots
def test_a_waiting_reader_is_released_by_the_close(kind):
    slot, ends = kind(), []

    def read():
        with pytest.raises(SlotClosed):
            slot.get()
        ends.append("closed")

    with running(read) as thread:
        thread.join(0.05)
        assert thread.is_alive(), "get must wait for the close"
        slot.close()
    assert ends == ["closed"]


def test_the_newest_value_wins_and_the_old_ones_are_counted():
    slot = LatestSlot()
    with running(lambda: [slot.put(n) for n in range(1000)]):
        pass  # returns without any reader: put never waits
    assert slot.counters == SlotCounters(puts=1000, gets=0, drops=999, pending=1)
    assert slot.get(0) == 999


def test_a_replaced_value_is_let_go():
    class Value:
        deleted = 0

        def __del__(self):
            Value.deleted += 1

    slot = LatestSlot()
    slot.put(Value())
    slot.put(Value())
    assert Value.deleted == 1


def test_a_lossless_put_waits_for_the_reader():
    slot, done = LosslessSlot(), threading.Event()

    def write():
        slot.put(1)
        slot.put(2)
        done.set()

    with running(write):
        assert not done.wait(0.05), "the second put must wait"
        assert slot.counters == SlotCounters(puts=1, gets=0, drops=0, pending=1)
        assert slot.get(PATIENCE_S) == 1
        assert slot.get(PATIENCE_S) == 2
        assert done.wait(PATIENCE_S)
    assert slot.counters == SlotCounters(2, 2, 0, 0)


def test_a_waiting_put_is_released_by_the_close_and_puts_nothing():
    slot, ends = LosslessSlot(), []
    slot.put("first")

    def write():
        with pytest.raises(SlotClosed):
            slot.put("second")
        ends.append("closed")

    with running(write) as thread:
        thread.join(0.05)
        assert thread.is_alive(), "put must wait"
        slot.close()
    assert ends == ["closed"]
    assert take_all(slot) == ["first"]
    assert slot.counters == SlotCounters(1, 1, 0, 0)


def test_a_lossless_slot_keeps_everything_in_order():
    slot, taken = LosslessSlot(), []
    with running(lambda: taken.extend(take_all(slot))):
        for n in range(3000):
            slot.put(n)
        slot.close()
    assert taken == list(range(3000))
    assert slot.counters == SlotCounters(3000, 3000, 0, 0)


def test_a_slow_reader_of_a_latest_slot_sees_ascending_values_and_the_last():
    slot, taken, pause = LatestSlot(), [], threading.Event()

    def read():
        while True:
            try:
                taken.append(slot.get(PATIENCE_S))
            except SlotClosed:
                return
            pause.wait(0.0005)

    with running(read):
        for n in range(5000):
            slot.put(n)
        slot.close()
    assert taken == sorted(set(taken))
    assert taken[-1] == 4999
    counters = slot.counters
    assert counters.gets == len(taken)
    assert counters.drops == 5000 - len(taken)


@both_slots
def test_puts_are_gets_plus_drops_plus_pending_at_every_instant(kind):
    slot, stop = kind(), threading.Event()
    taken, looks = [], []

    def watch():
        while not stop.is_set():
            counters = slot.counters
            looks.append(counters.puts)
            assert balanced(counters), counters
            assert kind is LatestSlot or counters.drops == 0

    def write(first):
        for n in range(first, first + 1500):
            slot.put(n)

    def read(seed):
        rng = random.Random(seed)
        while True:
            try:
                taken.append(slot.get(rng.choice([0.0, 0.0005, PATIENCE_S])))
            except TimeoutError:
                continue
            except SlotClosed:
                return

    # More writers and readers than the loop ever has: the counters must not depend on luck.
    with running(watch):
        try:
            with running(lambda: read(1)), running(lambda: read(2)):
                with running(lambda: write(0)), running(lambda: write(10_000)):
                    pass
                slot.close()
        finally:
            slot.close()
            stop.set()
    counters = slot.counters
    assert counters == SlotCounters(3000, len(taken), 3000 - len(taken), 0)
    assert len(set(taken)) == len(taken), "no value is read twice"
    assert looks
    assert looks == sorted(looks), "puts never go back"


@settings(deadline=None)
@given(st.lists(st.sampled_from(["put", "put", "get", "close"]), max_size=40))
def test_any_sequence_of_calls_agrees_with_a_plain_model(calls):
    slot = LatestSlot()
    waiting, closed, puts, gets, drops = [], False, 0, 0, 0
    for n, call in enumerate(calls):
        if call == "close":
            slot.close()
            closed = True
        elif call == "put" and closed:
            with pytest.raises(SlotClosed):
                slot.put(n)
        elif call == "put":
            slot.put(n)
            drops += len(waiting)
            waiting, puts = [n], puts + 1
        elif waiting:
            assert slot.get(0) == waiting.pop()
            gets += 1
        else:
            with pytest.raises(SlotClosed if closed else TimeoutError):
                slot.get(0)
        assert slot.closed is closed
        assert slot.counters == SlotCounters(puts, gets, drops, len(waiting))
        assert balanced(slot.counters)


@settings(deadline=None, max_examples=15)
@given(
    n_values=st.integers(0, 200),
    pauses=st.lists(st.sampled_from([0.0, 0.0, 0.0002]), min_size=1, max_size=10),
    lossless=st.booleans(),
)
def test_two_threads_in_any_rhythm_lose_nothing_uncounted(n_values, pauses, lossless):
    slot = LosslessSlot() if lossless else LatestSlot()
    idle, taken = threading.Event(), []

    def read():
        while True:
            try:
                taken.append(slot.get(PATIENCE_S))
            except SlotClosed:
                return
            idle.wait(pauses[len(taken) % len(pauses)])

    with running(read):
        for n in range(n_values):
            slot.put(n)
            assert balanced(slot.counters)
        slot.close()
    assert taken == sorted(set(taken))
    assert slot.counters == SlotCounters(n_values, len(taken), n_values - len(taken), 0)
    assert not lossless or taken == list(range(n_values))
