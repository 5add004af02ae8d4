"""Meanings over time are cut into episodes."""

import json

import pytest

from realtime_affect.interpret.episodes import Attributes, EpisodeCutter
from realtime_affect.interpret.interpreter import Interpreter
from tests.realtime_affect.interpret.faces import FRAME_NS, jobs

SEEN = Attributes(0.9, 90.0, 4.0, (0.0, 1.0, 2.0), (float("nan"), 0.1))
REST = ({}, {"neutral": 0.9})
SMILE = ({"AU12": 3.0, "AU06": 2.0}, {"happiness": 0.9})
WIDE_SMILE = ({"AU12": 4.0, "AU06": 3.0}, {"happiness": 0.9})
FROWN = ({"AU04": 3.0, "AU07": 2.0}, {"anger": 0.8})


def cut(faces, gap_at=None):
    cutter, interpreter, episodes = EpisodeCutter(1), Interpreter(), []
    for index, (job, expressions) in enumerate(jobs([{1: face} for face in faces])):
        meaning = interpreter.decide(job, expressions)[1]
        t_ns = job.scene.frame.t_ns + (5_000_000_000 if gap_at and index >= gap_at else 0)
        episodes.append(cutter.add(t_ns, index + 1, meaning, SEEN))
    return [e for e in [*episodes, cutter.finish()] if e is not None]


def test_a_recording_is_cut_where_what_is_displayed_changes():
    rest, smile, frown = cut([REST] * 30 + [SMILE] * 40 + [FROWN] * 30)
    assert [e.label for e in (rest, smile, frown)] == ["neutral", "happiness", "anger"]
    assert (rest.start_ns, rest.end_ns) == (0, 30 * FRAME_NS)
    assert (smile.start_ns, smile.end_ns) == (30 * FRAME_NS, 70 * FRAME_NS)
    assert frown.end_ns == 99 * FRAME_NS
    assert [unit for unit, _, _ in smile.units] == ["AU12", "AU06"]
    assert smile.agreement > 0.95


def test_what_lasts_a_moment_only_is_no_episode():
    assert [e.label for e in cut([REST] * 20 + [SMILE] * 4 + [REST] * 20)] == ["neutral"]


def test_the_peak_is_the_frame_that_shows_it_most():
    _, smile = cut([REST] * 20 + [SMILE] * 10 + [WIDE_SMILE] * 10 + [SMILE] * 20)
    assert 33 <= smile.peak_frame <= 40
    assert smile.peak.observations[0].intensity == pytest.approx(4.0)


def test_a_face_that_was_away_begins_another_episode():
    first, second = cut([SMILE] * 40, gap_at=20)
    assert first.end_ns == 19 * FRAME_NS
    assert second.start_ns == 20 * FRAME_NS + 5_000_000_000


def test_an_episode_is_a_tree_of_json():
    (_, smile) = cut([REST] * 20 + [SMILE] * 40)
    told = json.loads(json.dumps(smile.as_json("de"), allow_nan=False))
    assert set(told) >= {"face", "start", "end", "peak", "attributes", "expression", "reading"}
    assert told["attributes"]["gaze_rad"] == [None, 0.1]
    assert told["reading"]["hierarchy"] == [["joy", "cheerfulness", "happiness"]]
    assert told["reading"]["text"].startswith("Beobachtungen")
    assert told["reading"]["brief"] is False
