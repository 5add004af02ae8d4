"""Figures of the expression on real faces."""

from __future__ import annotations

import numpy as np
import pytest

from realtime_affect.names import EXPRESSIONS
from training.real.clips import STRIP_FPS
from training.real.expressions import (
    by_frame,
    judge_acted,
    judge_onsets,
    judge_steadiness,
    judge_stills,
    reported,
)

FPS = STRIP_FPS


def test_a_face_that_stays_as_it_is_changes_nothing(watched):
    found = judge_steadiness({"a": [watched(["neutral"] * 60)]})
    assert found["reported"]["changes"] == found["likeliest"]["changes"] == 0
    assert found["reported"]["not_neutral"] == 0
    assert found["minutes"] == pytest.approx(59 / FPS / 60)


def test_flicker_counts_in_the_likeliest_and_not_in_the_reported_expression(watched):
    flicker = (["neutral"] * 8 + ["sadness"] * 2) * 12
    found = judge_steadiness({"a": [watched(flicker, share=0.6)]})
    assert found["likeliest"]["changes"] == 23
    assert found["reported"]["changes"] == 0
    assert found["likeliest"]["not_neutral"] == pytest.approx(0.2)


def test_changes_are_pooled_over_the_clips_of_all_persons(watched):
    calm, moved = watched(["neutral"] * 90), watched(["neutral"] * 60 + ["happiness"] * 30)
    found = judge_steadiness({"a": [calm, calm], "b": [moved]})
    assert (found["clips"], found["persons"]) == (3, 2)
    assert found["reported"]["changes"] == 1
    assert found["reported"]["changes_a_minute"] == pytest.approx(60 / (3 * 89 / FPS))
    low, high = found["reported"]["changes_a_minute_interval"]
    assert low == 0
    assert high > found["reported"]["changes_a_minute"]


def test_a_moment_counts_for_the_frames_until_the_next_one(watched):
    face = watched(["neutral"] * 4 + ["happiness"] * 4, every=4)
    _, likeliest = reported(face)
    assert by_frame(face, likeliest).tolist() == ["neutral"] * 4 + ["happiness"] * 4


def test_the_delay_is_counted_from_the_onset_and_a_missed_smile_has_none(watched):
    rest = ["neutral"] * 60
    quick = watched([*rest, *["neutral"] * 4, *["happiness"] * 42])
    never = watched([*rest, *["neutral"] * 46])
    found = judge_onsets({"061": quick, "062": never})
    assert found["neutral_before"] == 2
    assert found["likeliest"]["found"] == found["reported"]["found"] == 1
    assert found["likeliest"]["missed"] == ["062"]
    alone = judge_onsets({"061": quick})
    assert alone["likeliest"]["median_ms"] == pytest.approx(4 / FPS * 1000)
    assert alone["reported"]["median_ms"] >= alone["likeliest"]["median_ms"]
    assert alone["reported"]["within_300_ms"] == 1


def test_acted_clips_are_compared_with_those_who_saw_the_face_alone(tmp_path, watched):
    votes = tmp_path / "votes.csv"
    votes.write_text(
        '"","A","D","F","H","N","S","fileName"\n'
        '"100001",9,0,0,0,0,0,"1001_DFA_HAP_XX"\n'
        '"200001",0,0,0,9,1,0,"1001_DFA_HAP_XX"\n'
    )
    found = judge_acted({"1001_DFA_HAP_XX": watched(["happiness"] * 20)}, votes)
    clip = found["by_clip"]["1001_DFA_HAP_XX"]
    assert (clip["voted"], clip["votes"]) == ("happiness", 0.9)
    assert found["agree"] == 1
    assert found["overlap"] == pytest.approx(0.9, abs=0.02)


def test_uar_is_the_mean_over_the_classes_asked_for_and_another_one_is_a_miss(shares):
    names = ("happiness", "sadness")
    truth = np.array([EXPRESSIONS.index(name) for name in (*names, "sadness", "fear")])
    seen = np.array([shares(name) for name in ("happiness", "fear", "sadness", "fear")])
    found = judge_stills(truth, seen, np.arange(4), names)
    assert found["faces"] == 3
    assert found["recall"] == {"happiness": 1.0, "sadness": 0.5}
    assert found["uar"]["value"] == pytest.approx(0.75)
    assert found["accuracy"]["value"] == pytest.approx(2 / 3)
