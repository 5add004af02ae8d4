import math

import pytest

from training.megc.spotting import Interval, overlap, pair, recognize, score


def micro(onset, offset, label=""):
    return Interval("micro", onset, offset, label)


def macro(onset, offset):
    return Interval("macro", onset, offset)


@pytest.mark.parametrize(
    ("other", "share"),
    [
        (micro(10, 19), 1.0),
        (micro(15, 24), 5 / 15),
        (micro(10, 29), 0.5),
        (micro(19, 28), 1 / 19),
        (micro(20, 29), 0.0),
        (micro(0, 5), 0.0),
        (micro(12, 13), 0.2),
    ],
)
def test_overlap_counts_whole_frames_ends_included(other, share):
    assert overlap(micro(10, 19), other) == pytest.approx(share)
    assert overlap(other, micro(10, 19)) == pytest.approx(share)


def test_half_is_enough_and_less_is_not():
    assert pair([micro(10, 19)], [micro(10, 29)]) == [(0, 0)]
    assert pair([micro(10, 19)], [micro(10, 30)]) == []


def test_each_counts_once_and_as_many_pairs_as_possible_are_made():
    # The first spotted one fits the second best; taking it greedily would leave the other alone.
    truth = [micro(1, 10), micro(4, 13)]
    spotted = [micro(3, 12), micro(6, 16)]
    assert overlap(truth[0], spotted[0]) < overlap(truth[1], spotted[0])
    assert pair(truth, spotted) == [(0, 0), (1, 1)]
    assert len(pair([micro(1, 10)], [micro(1, 10), micro(2, 10), micro(1, 9)])) == 1


def test_of_several_that_fit_the_closest_is_paired():
    assert pair([micro(1, 10)], [micro(1, 8), micro(1, 10), micro(2, 10)]) == [(0, 1)]


def test_kinds_never_pair():
    assert pair([micro(1, 10)], [macro(1, 10)]) == []


def test_figures_are_over_all_videos_together_and_kinds_apart():
    videos = [
        ([micro(1, 10), macro(50, 90)], [micro(2, 10), micro(30, 35), macro(52, 88)]),
        ([micro(1, 10)], [macro(1, 10)]),
        ([], [micro(5, 9)]),
    ]
    found = score(videos)
    assert found["micro"] == {
        "right": 1, "false": 2, "missed": 1, "precision": pytest.approx(1 / 3),
        "recall": 0.5, "f1": pytest.approx(2 / 5),
    }  # fmt: skip
    assert (found["macro"]["right"], found["macro"]["false"], found["macro"]["missed"]) == (1, 1, 0)
    assert found["all"]["f1"] == pytest.approx(2 * 2 / (2 * 2 + 3 + 1))


def test_two_videos_are_not_one():
    apart = score([([micro(1, 10)], []), ([], [micro(1, 10)])])
    assert apart["micro"]["right"] == 0
    assert apart["micro"]["f1"] == 0.0


def test_strs_is_spotting_times_recognition_of_what_was_right():
    truth = [micro(1, 10, "negative"), micro(21, 30, "positive"), micro(41, 50, "negative"),
             micro(61, 70)]  # fmt: skip
    spotted = [micro(1, 10, "negative"), micro(21, 30, "negative"), micro(61, 70, "surprise"),
               micro(81, 90, "positive")]  # fmt: skip
    found = score([(truth, spotted)])
    assert found["micro"]["f1"] == pytest.approx(6 / 8)
    # Of the right ones two have a class: negative as negative, positive as negative.
    assert found["recognition"]["n"] == 2
    assert found["recognition"]["uf1"] == pytest.approx((2 / 3 + 0) / 2)
    assert found["strs"] == pytest.approx(6 / 8 * 1 / 3)


def test_none_and_unclassified_are_wrong_answers():
    found = recognize(["negative", "negative", "surprise"], ["negative", "none", ""])
    assert found["confusion"] == [[1, 0, 0, 1], [0, 0, 0, 0], [0, 0, 0, 1]]
    assert found["uf1"] == pytest.approx((2 / 3 + 0) / 2)
    assert found["uar"] == pytest.approx(0.25)


def test_nothing_labelled_and_nothing_spotted_has_no_figures():
    found = score([([], [])])
    assert math.isnan(found["micro"]["f1"])
    assert math.isnan(found["strs"])
    assert score([])["all"]["right"] == 0


def test_the_challenge_s_own_baseline_gives_its_figures():
    # MEGC2025, table 1: SAMM 6, 217, 202; CAS(ME)^3 3, 115, 34.
    for right, false, missed, f1 in ((6, 217, 202, 0.0278), (3, 115, 34, 0.0387)):
        truth = [micro(100 * n, 100 * n + 20) for n in range(right + missed)]
        spotted = truth[:right] + [micro(100 * n + 50, 100 * n + 60) for n in range(false)]
        assert score([(truth, spotted)])["micro"]["f1"] == pytest.approx(f1, abs=5e-5)
