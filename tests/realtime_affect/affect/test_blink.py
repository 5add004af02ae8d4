import numpy as np
import pytest

from realtime_affect.affect.blink import BlinkRates, blinks_per_min, count_blinks
from realtime_affect.types import EyeWindow


def window(openness, fps=30, t_s=None):
    t_s = np.arange(len(openness)) / fps if t_s is None else t_s
    return EyeWindow(1, np.round(t_s * 1e9).astype(np.int64), np.asarray(openness, np.float32))


def eyes(seconds, fps=30, blinks=(), length_s=0.15):
    t = np.arange(int(seconds * fps)) / fps
    openness = np.full(len(t), 0.3)
    for start in blinks:
        openness[(t >= start) & (t < start + length_s)] = 0.1
    return openness


@pytest.mark.parametrize("fps", [15, 30, 60])
def test_short_dips_are_counted_at_any_frame_rate(fps):
    blinks, seen_s = count_blinks(window(eyes(20, fps, (2, 5.5, 11, 17)), fps))
    assert blinks == 4
    assert seen_s == pytest.approx(20, abs=0.1)


def test_a_long_closure_is_not_a_blink():
    assert count_blinks(window(eyes(10, blinks=(4,), length_s=2.0)))[0] == 0


def test_looking_down_slowly_is_not_a_blink():
    openness = 0.3 - 0.12 * np.clip(np.sin(np.linspace(0, 6 * np.pi, 900)), 0, None)
    assert count_blinks(window(openness))[0] == 0


def test_noise_is_not_a_blink():
    rng = np.random.default_rng(1)
    assert count_blinks(window(0.3 + 0.015 * rng.standard_normal(1800)))[0] == 0


def test_a_blink_that_is_still_going_on_does_not_count_yet():
    openness = eyes(5)
    openness[-3:] = 0.1
    assert count_blinks(window(openness))[0] == 0


def test_a_gap_in_sight_neither_counts_nor_adds_time():
    t_s = np.concatenate([np.arange(150) / 30, 30 + np.arange(150) / 30])
    openness = eyes(10)
    blinks, seen_s = count_blinks(window(openness, t_s=t_s))
    assert blinks == 0
    assert seen_s == pytest.approx(9.93, abs=0.1)


def test_no_rate_is_given_before_ten_seconds_were_seen():
    assert np.isnan(blinks_per_min(window(eyes(9, blinks=(2,)))))
    assert blinks_per_min(window(eyes(30, blinks=(2, 10, 20)))) == pytest.approx(6, rel=0.02)


def test_an_empty_window_has_no_rate():
    assert np.isnan(blinks_per_min(window([])))


def test_a_rate_stands_for_a_fifth_of_a_second_and_a_new_track_is_counted_at_once():
    openness, rates = eyes(20, blinks=(11, 19.75)), BlinkRates()
    before = window(openness[:590])
    assert rates.update([before])[1] == blinks_per_min(before)
    (soon,) = rates.update([window(openness[:595])]).values()
    assert soon == blinks_per_min(before)
    (later,) = rates.update([window(openness)]).values()
    assert later == blinks_per_min(window(openness)) > soon
    assert rates.update([]) == {}
