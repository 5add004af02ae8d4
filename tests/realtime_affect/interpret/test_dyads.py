"""Two faces: who follows whom, and when both smile."""

import numpy as np
import pytest

from realtime_affect.interpret.dyads import WINDOW_MS, dyad_of, synchrony

N = 200
STARTS = np.arange(N) * round(WINDOW_MS * 1e6)


def smooth(seed, n=N):
    noise = np.random.default_rng(seed).normal(size=n + 8)
    return np.convolve(noise, np.ones(9) / 9, "valid")


def test_one_who_follows_another_by_half_a_second_is_found_out():
    leader = smooth(1, N + 3)
    together = synchrony(leader[3:], leader[:-3], shuffles=99)
    assert together.lag_s == pytest.approx(0.6)
    assert together.correlation == pytest.approx(1.0)
    assert together.p_value == pytest.approx(0.01)
    back = synchrony(leader[:-3], leader[3:], shuffles=9)
    assert back.lag_s == pytest.approx(-0.6)


def test_two_who_have_nothing_to_do_with_each_other_are_seldom_significant():
    found = [synchrony(smooth(2 * k), smooth(2 * k + 1), shuffles=19).p_value for k in range(8)]
    assert sum(p <= 0.05 for p in found) <= 2


def test_the_same_series_give_the_same_result():
    assert synchrony(smooth(1), smooth(2), shuffles=9) == synchrony(
        smooth(1), smooth(2), shuffles=9
    )


def test_a_face_that_does_not_move_correlates_with_nobody():
    assert np.isnan(synchrony(np.zeros(N), smooth(1)).correlation)


def test_mutual_smiles_are_told_where_both_smile_long_enough():
    first, second = np.zeros((N, 2)), np.zeros((N, 2))
    first[20:40, 1], second[30:50, 1] = 2.0, 3.0
    first[100, 1] = second[100, 1] = 2.0  # too short
    dyad = dyad_of((1, 2), first, second, STARTS)
    assert dyad.mutual_smiles == ((6_000_000_000, 8_000_000_000),)
    assert dyad.as_json(1_000_000_000)["mutual_smiles"] == [[5.0, 7.0]]
    assert dyad.as_json()["valence"]["correlation"] is None


def test_faces_that_were_hardly_seen_together_are_not_compared():
    first, second = np.zeros((N, 2)), np.full((N, 2), np.nan)
    second[:30] = 0
    assert dyad_of((1, 2), first, second, STARTS) is None
