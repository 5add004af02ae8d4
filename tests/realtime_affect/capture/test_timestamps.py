import itertools
from fractions import Fraction

import pytest

from realtime_affect.capture.timestamps import Timestamps

MS = 1_000_000


def follow(times, pts, base=Fraction(1, 1000)):
    return [times.follow(value, base) for value in pts]


@pytest.mark.survival(10)
def test_a_fall_by_less_than_a_second_does_not_squeeze_what_follows():
    times = Timestamps(25.0)
    shown = follow(times, [*range(0, 1000, 40), *range(100, 1100, 40)])
    assert [b - a for a, b in itertools.pairwise(shown)] == [40 * MS] * 49
    assert times.warnings == ("1 jumps back of the timestamps",)


def test_one_wrong_timestamp_does_not_move_those_after_it():
    times = Timestamps(25.0)
    assert follow(times, [1000, 1040, 0, 1120, 1160]) == [
        1000 * MS, 1040 * MS, 1080 * MS, 1120 * MS, 1160 * MS,
    ]  # fmt: skip


def test_times_below_zero_stay_as_the_container_says():
    assert follow(Timestamps(25.0), [-80, -40, 0]) == [-80 * MS, -40 * MS, 0]


def test_a_long_gap_is_told_and_time_lapse_is_none():
    times = Timestamps(25.0)
    follow(times, [0, 40, 999_040, 999_080])
    assert times.warnings == ("1 gaps in time, the longest 999.0 s",)
    lapse = Timestamps(0.1)
    follow(lapse, range(0, 100_000, 10_000))
    assert lapse.warnings == ()
