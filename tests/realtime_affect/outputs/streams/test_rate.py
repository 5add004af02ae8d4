import pytest

from realtime_affect.outputs.streams.rate import Allowance, RateLimit


@pytest.mark.parametrize(
    ("comes_hz", "rate_hz", "goes_hz"), [(30, 10, 10), (30, 0, 30), (30, 60, 30), (30, 20, 20)]
)
def test_so_many_a_second_go_on(comes_hz, rate_hz, goes_hz):
    limit = RateLimit(rate_hz)
    gone = [n / comes_hz for n in range(comes_hz * 10) if limit.allows(n / comes_hz)]
    assert len(gone) == pytest.approx(goes_hz * 10, abs=1)
    assert gone[0] == 0


def test_a_little_jitter_costs_nothing_and_a_pause_is_not_made_up_for():
    limit = RateLimit(10)
    assert all(limit.allows(t) for t in (0.0, 0.09, 0.21, 0.29, 0.4))
    assert [limit.allows(t) for t in (5.0, 5.01, 5.05, 5.1)] == [True, False, False, True]


def test_a_burst_passes_and_a_flood_is_cut_to_the_rate():
    allowance = Allowance(20, burst=40)
    assert [allowance.take(100.0) for _ in range(50)] == [True] * 40 + [False] * 10
    assert sum(allowance.take(100 + n / 1000) for n in range(1, 2001)) == pytest.approx(40, abs=1)
