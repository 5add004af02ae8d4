import doctest
import logging
import threading
from functools import partial

import pytest

import realtime_affect
from realtime_affect.errors import OutputError
from realtime_affect.runtime import publisher as publisher_module
from realtime_affect.runtime import sink as sink_module
from realtime_affect.runtime.pipeline import WorkerError
from realtime_affect.runtime.sink import Sink, SinkThread
from realtime_affect.slots import BacklogSlot
from realtime_affect.types import AffectSnapshot, Reading, Scene
from tests.realtime_affect.runtime.test_pipeline import (
    LONG_S,
    Collected,
    FakeSource,
    PacedSource,
    Progressed,
    make,
)
from tests.realtime_affect.world import frame_at

PATIENCE_S = 60.0
SHORT_S = 2.0  # for what hangs for ever; nothing else is waited for so long


class Counted(Collected):
    """Keeps every reading, and tells how many there are."""

    def __init__(self):
        super().__init__()
        self.progress = Progressed()

    def write(self, reading):
        super().write(reading)
        self.progress.add()


class Stuck(Counted):
    """Does not come back from its first write before the gate is open."""

    def __init__(self):
        super().__init__()
        self.gate = threading.Event()

    def write(self, reading):
        super().write(reading)
        self.gate.wait(PATIENCE_S)


class Broken(Collected):
    """Fails at its third reading."""

    def __init__(self, error=None):
        super().__init__()
        self.error = error or ZeroDivisionError("sink")

    def write(self, reading):
        super().write(reading)
        if len(self.readings) == 3:
            raise self.error


def reading_at(index):
    frame = frame_at(index, index * 33_333_333 / 1e9)
    return Reading(Scene(frame, ()), AffectSnapshot(0, 0))


def run_beside(sink, n=60, **options):
    """Run live with `sink` and one that keeps all; each frame comes when the last was read."""
    other = Counted()
    source = PacedSource(n, lambda index: other.progress.wait_for(index))
    with make(source, live=True) as pipeline:
        thread = pipeline.attach(sink, name="sink", **options)
        pipeline.attach(other, name="other", depth_s=LONG_S)
        slot = pipeline.subscribe()
        pipeline.start()
        yield pipeline, other, slot
        assert thread.wait(0)


@pytest.mark.fault(5)
@pytest.mark.survival(17)
def test_a_slow_sink_costs_the_others_nothing():
    stuck = Stuck()
    for pipeline, other, slot in run_beside(stuck, 100):
        other.progress.wait_for(100)
        stats = pipeline.stats()
        assert stats.drops == 0, "every frame was analysed while the sink sat on its first"
        assert [r.scene.frame.index for r in other.readings] == list(range(100))
        assert slot.get(PATIENCE_S).scene.frame.index == 99
        assert len(stuck.readings) == 1
        assert stats.sinks["sink"].offered == 100
        assert stats.sinks["sink"].drops == 98
        stuck.gate.set()
        pipeline.join()
        assert stuck.readings[-1].scene.frame.index == 99, "the newest wins"
        assert stuck.closed


def test_offline_every_sink_gets_every_reading_and_the_source_waits():
    slow, quick = Counted(), Collected()
    gate = threading.Event()
    slow.write = lambda reading: (gate.wait(0.002), Counted.write(slow, reading))
    with make(FakeSource(40), live=False) as pipeline:
        pipeline.attach(slow)
        pipeline.attach(quick, images=False)
        pipeline.start()
        pipeline.join()
        sinks = pipeline.stats().sinks
    for sink in (slow, quick):
        assert [r.scene.frame.index for r in sink.readings] == list(range(40))
        assert sink.closed
    assert slow.readings[0].scene.frame.image.shape == (360, 640, 3)
    assert quick.readings[0].scene.frame.image.shape == (0, 0, 3)
    assert quick.readings[20].scene.tracks[0].face.action_units is not None
    assert {name: (s.written, s.drops) for name, s in sinks.items()} == {
        "Counted": (40, 0),
        "Collected": (40, 0),
    }


@pytest.mark.parametrize("live", [True, False])
def test_a_sink_that_fails_ends_the_run_and_everything_before_is_kept(live):
    full = OutputError("output x", got="No space", expected="room", hint="Free some.")
    broken, other = Broken(full), Collected()
    with make(FakeSource(None, every_s=0.001), live=live) as pipeline:
        pipeline.attach(broken, depth_s=LONG_S)
        pipeline.attach(other, depth_s=LONG_S)
        pipeline.start()
        with pytest.raises(OutputError, match="No space"):
            pipeline.join()
        assert "No space" in pipeline.stats().sinks["Broken"].error
    assert broken.closed
    assert other.closed
    assert len(other.readings) == pipeline.stats().frames_analysed


def test_an_internal_error_of_a_sink_is_raised_with_its_name():
    with make(FakeSource(None, every_s=0.001), live=True) as pipeline:
        pipeline.attach(Broken(), name="mine", depth_s=LONG_S)
        pipeline.start()
        with pytest.raises(WorkerError) as caught:
            pipeline.join()
    assert "in the mine worker" in caught.value.__cause__.__notes__


def test_a_sink_that_is_not_required_is_reported_and_the_run_goes_on(caplog):
    with caplog.at_level(logging.INFO):
        for pipeline, other, _ in run_beside(Broken(), required=False, depth_s=LONG_S):
            pipeline.join()
            assert len(other.readings) == 60
            stats = pipeline.stats().sinks["sink"]
    assert stats.error == "sink"
    (record,) = [r for r in caplog.records if r.levelno >= logging.WARNING]
    assert "the sink worker failed" in record.getMessage()
    assert "ZeroDivisionError" in caplog.text


@pytest.mark.parametrize("required", [True, False])
def test_a_live_run_ends_though_a_sink_hangs(required, monkeypatch):
    monkeypatch.setattr(publisher_module, "STALL_S", SHORT_S)
    stuck = Stuck()
    with make(FakeSource(20, every_s=0.002), live=True) as pipeline:
        pipeline.attach(stuck, name="stuck", depth_s=LONG_S, required=required)
        pipeline.start()
        if required:
            with pytest.raises(OutputError, match="output stuck: got nothing written for 2 s"):
                pipeline.join()
        else:
            assert not pipeline.join()
        assert "readings are not in it" in pipeline.stats().sinks["stuck"].error
    stuck.gate.set()


def test_a_sink_that_cannot_be_opened_fails_before_anything_runs():
    class Closed(Collected):
        def open(self, info):
            raise OutputError("output x", got="a folder", expected="a file", hint="Name another.")

    source = FakeSource(5)
    with make(source, live=True) as pipeline:
        with pytest.raises(OutputError):
            pipeline.attach(Closed())
        assert not pipeline.stats().sinks
    assert source.index == 0


def test_an_idle_sink_may_flush_and_one_attached_too_late_is_closed_at_once():
    flushed, late = threading.Event(), Collected()

    class Flushing(Collected):
        def flush(self):
            flushed.set()

    with make(FakeSource(None, every_s=0.002), live=True) as pipeline:
        pipeline.attach(Flushing())
        assert flushed.wait(PATIENCE_S)
        pipeline.start()
        pipeline.stop()
        pipeline.join()
        thread = pipeline.attach(late)
        assert thread.wait(PATIENCE_S)
    assert late.closed


@pytest.mark.survival(22)
def test_what_a_deep_sink_loses_is_counted_and_noted_with_its_frames(monkeypatch):
    clock = [0]
    monkeypatch.setattr(sink_module, "BacklogSlot", partial(BacklogSlot, clock=lambda: clock[0]))
    monkeypatch.setattr(sink_module, "_MAX_GAPS", 2)
    stuck = Stuck()
    thread = SinkThread(
        stuck, None, lossless=False, depth_s=10.0, images=False, failed=None, name="deep"
    )
    gaps = []
    thread.on_gap = lambda: gaps.append(thread.stats().gaps)
    readings = [reading_at(n) for n in range(40)]
    for n, reading in enumerate(readings[:30]):
        clock[0] = n * 1_000_000_000
        thread.slot.put(reading)
        if n == 0:
            stuck.progress.wait_for(1)
    stats = thread.stats()
    assert (stats.offered, stats.written, stats.drops) == (30, 0, 18)
    (gap,) = stats.gaps
    assert (gap.readings, gap.first_frame, gap.last_frame) == (18, 13, 30)
    assert (gap.first_ns, gap.last_ns) == (readings[12].scene.frame.t_ns, 29 * 33_333_333)
    stuck.gate.set()
    stuck.progress.wait_for(12)
    thread.slot.put(readings[30])
    thread.close()
    assert thread.wait(PATIENCE_S)
    assert [r.scene.frame.index for r in stuck.readings] == [*range(12), 30]
    assert gaps == [(gap,)], "told once others are written again"


def test_the_example_runs(monkeypatch):
    monkeypatch.setattr(
        realtime_affect, "Pipeline", lambda source, live: make(FakeSource(10), live=live)
    )
    (example,) = doctest.DocTestFinder(recurse=False).find(Sink, "Sink")
    runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS)
    said = []
    runner.run(example, out=said.append)
    text = "".join(said)
    assert runner.tries == 3
    assert "0 frames with a smile" in text, "nobody smiles in the made-up world"
    assert "Traceback" not in text
