import pytest
from hypothesis import given
from hypothesis import strategies as st

from realtime_affect.serve.rate_control import HIGH, LOW, Load, Rate, next_rate

FULL, LEAST = 30.0, 5.0


def run(cost_s, steps=60, rate=None, camera_hz=30.0, hot=False):
    """Simulate a worker whose work costs `cost_s(step)` a time, and return the rates chosen."""
    rate, rates = rate or Rate(FULL), []
    for step in range(steps):
        wanted = min(rate.hz, camera_hz)
        done = min(wanted, 1 / cost_s(step))
        rate = next_rate(rate, Load(done * cost_s(step), done, hot), FULL, LEAST)
        rates.append(rate.hz)
    return rates


def test_a_machine_that_keeps_up_is_left_alone():
    assert set(run(lambda _: 0.015)) == {FULL}


@pytest.mark.survival(19, stand_in="made-up clocks")
def test_a_clock_that_falls_to_a_third_is_caught_within_two_steps():
    rates = run(lambda step: 0.02 if step < 10 else 0.06)
    assert set(rates[:10]) == {FULL}
    assert rates[11] * 0.06 < HIGH


def test_the_rate_comes_back_when_the_clock_does_and_not_at_once():
    rates = run(lambda step: 0.06 if step < 10 else 0.015, steps=60)
    low = rates[9]
    assert set(rates[10:13]) == {low}
    assert rates[-1] == FULL


def test_a_constant_load_settles_and_does_not_swing():
    for cost_ms in range(5, 200, 3):
        rates = run(lambda _, cost=cost_ms / 1000: cost, steps=80)
        assert len(set(rates[-30:])) == 1, cost_ms


def test_heat_lowers_the_rate_of_an_idle_worker_down_to_the_least():
    rates = run(lambda _: 0.001, steps=30, hot=True)
    assert rates[0] == FULL * 0.8
    assert rates[-1] == LEAST


def test_between_the_bounds_nothing_changes():
    for busy in (LOW, (LOW + HIGH) / 2, HIGH):
        assert next_rate(Rate(12.0, 3), Load(busy, 12.0), FULL, LEAST) == Rate(12.0, 0)


def test_a_slow_camera_alone_lowers_nothing():
    assert set(run(lambda _: 0.01, camera_hz=8.0)) == {FULL}


@given(st.floats(LEAST, FULL), st.integers(0, 4), st.floats(0, 1), st.floats(0, 200), st.booleans())
def test_the_rate_stays_within_its_bounds_and_rises_only_when_cool_and_calm(
    hz, calm, busy, done, hot
):
    after = next_rate(Rate(hz, calm), Load(busy, done, hot), FULL, LEAST)
    assert LEAST <= after.hz <= FULL
    if after.hz > hz:
        assert busy < LOW
        assert not hot
        assert calm == 4
