"""Decision after decision: onsets, dynamics, profiles."""

import dataclasses

import numpy as np
import pytest

from realtime_affect.errors import UsageError
from realtime_affect.interpret import baseline as profiles
from realtime_affect.interpret.interpreter import InterpretConfig, Interpreter
from realtime_affect.meaning import Meaning
from tests.realtime_affect.interpret.faces import FRAME_NS, expression_of, face_with, jobs

REST = ({}, {"neutral": 0.9})


def smile(k):
    return ({"AU12": min(3.2, 0.2 * k)}, {"happiness": min(0.9, 0.06 * k), "neutral": 0.05})


SMILING = [{1: REST}] * 60 + [{1: smile(k)} for k in range(1, 46)]


def run(frames, interpreter=None, calibration=1.0):
    interpreter = interpreter or Interpreter()
    return [interpreter.decide(*job) for job in jobs(frames, calibration)]


def test_an_onset_is_known_to_the_frame_and_ages():
    last = run(SMILING)[-1][1]
    (observation,) = last.observations
    assert (observation.unit, observation.letter, observation.side) == ("AU12", "C", "both")
    assert observation.onset_ns == 59 * FRAME_NS
    assert observation.duration_ms == pytest.approx(45 * FRAME_NS / 1e6)
    assert (observation.phase, last.phase) == ("held", "held")
    assert run(SMILING[:70])[-1][1].observations[0].phase == "rising"


def test_a_face_that_is_not_decided_anew_keeps_its_meaning():
    interpreter = Interpreter()
    (first, second) = list(jobs([{1: smile(20)}] * 2))
    meaning = interpreter.decide(*first)[1]
    assert interpreter.decide(second[0], first[1])[1] is meaning


def test_frames_without_a_decision_are_caught_up_with():
    interpreter = Interpreter()
    for n, (job, expressions) in enumerate(jobs(SMILING)):
        if n % 7 == 0 or n == len(SMILING) - 1:
            last = interpreter.decide(job, expressions)[1]
    assert last.observations[0].onset_ns == 59 * FRAME_NS


def test_the_conclusion_is_the_network_s_whatever_the_units_say():
    face = ({"AU12": 3.0}, {"anger": 0.7})
    meaning = run([{1: face}])[-1][1]
    assert (meaning.name, meaning.verdict) == ("anger", "disagrees")
    assert meaning.probability == pytest.approx(0.7)
    assert "disagrees" in meaning.line


def test_valence_does_not_jump_when_the_label_does():
    frames = [{1: smile(50)}] * 30 + [{1: ({"AU04": 3.0}, {"anger": 0.9})}] * 30
    valences = [meanings[1].valence for meanings in run(frames)]
    assert valences[29] > 0.4 > 0 > valences[-1]
    assert np.abs(np.diff(valences)).max() < 0.2


def test_speech_is_a_caveat():
    mouths = [1.5 + 1.5 * (k % 6 < 3) for k in range(40)]
    talk = [{1: ({"AU25": mouth, "AU26": 1.0}, {"neutral": 0.8})} for mouth in mouths]
    assert "speaking" in run(talk)[-1][1].caveats
    assert "speaking" not in run(SMILING)[-1][1].caveats


def test_a_still_has_a_meaning_and_no_time():
    (job, expressions), *_ = jobs([{1: smile(20)}])
    still = dataclasses.replace(job, moments=())
    (observation,) = Interpreter().decide(still, expressions)[1].observations
    assert observation.onset_ns is None
    assert observation.phase == ""


def test_the_same_input_gives_the_same_meanings():
    interpreter = Interpreter()
    first = run(SMILING, interpreter)
    interpreter.reset()
    assert run(SMILING, interpreter) == first


@pytest.fixture
def frowner(tmp_path, monkeypatch):
    """Save the profile of somebody whose brows hang low at rest, and whom anger is seen in."""
    monkeypatch.setattr(profiles, "profiles_folder", lambda: tmp_path)
    face = face_with({"AU04": 1.6}, 0.0)
    shown = expression_of({"anger": 0.5, "neutral": 0.4})
    profiles.save_profile(profiles.baseline_of("anna", [face] * 40, [shown] * 16, 2.0))
    return InterpretConfig(profile="anna")


def test_a_profile_moves_units_not_ids(frowner):
    frames = [{3: ({"AU04": 1.6, "AU12": 2.0}, {"anger": 0.5, "neutral": 0.4})}] * 5
    (plain,), (own,) = (run(frames, i, 0.0)[-1].items() for i in (None, Interpreter(frowner)))
    assert plain[0] == own[0] == 3
    assert plain[1].units == ("AU12", "AU04")
    assert own[1].units == ("AU12",)
    assert (own[1].name, own[1].probability) == (plain[1].name, plain[1].probability)
    assert (plain[1].baseline, own[1].baseline) == ("average face", "anna")
    assert own[1].valence > plain[1].valence


def test_what_the_network_learned_of_the_rest_itself_is_not_taken_off_twice(frowner):
    frames = [{1: ({"AU04": 1.6}, {"anger": 0.5, "neutral": 0.4})}] * 5
    assert run(frames, Interpreter(frowner), 1.0)[-1][1].units == ("AU04",)


def test_a_profile_belongs_to_the_face_that_was_alone_in_view(frowner):
    face = ({"AU04": 1.6}, {"anger": 0.5, "neutral": 0.4})
    frames = [{1: face}] * 3 + [{1: face, 2: face}] * 3
    meanings = run(frames, Interpreter(frowner), 0.0)[-1]
    assert (meanings[1].baseline, meanings[2].baseline) == ("anna", "average face")


def test_a_profile_that_is_not_there_is_refused(frowner):
    with pytest.raises(UsageError, match=r"no such profile.*anna"):
        Interpreter(InterpretConfig(profile="berta"))


def test_a_meaning_holds_nothing_that_can_change():
    meaning = run(SMILING)[-1][1]
    assert isinstance(meaning, Meaning)
    assert hash(meaning)
