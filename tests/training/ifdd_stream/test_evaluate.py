"""Figures of IFDD-Stream from sequences and answers whose truth is known."""

import json

import numpy as np
import pytest

pytest.importorskip("torch", reason="torch is not installed: make training")

from affect_engines.cards import parse_card
from training.ifdd_stream.card import card_text, preferred
from training.ifdd_stream.evaluate import (
    ambiguous_moments,
    calibrate,
    clear_moments,
    figures,
    fit_temperature,
    judge,
    onset_figures,
    softmax,
    strongest_moments,
    uar_of_persons,
)
from training.ifdd_stream.network import PLACES, SLOTS, WIDTH
from training.ifdd_stream.sequences import KINDS, SLOTS_FILMED, Sequences
from training.ifdd_stream.stills import EXPRESSIONS

NEUTRAL, HAPPY, FEAR = (EXPRESSIONS.index(name) for name in ("neutral", "happiness", "fear"))


@pytest.fixture
def sequences():
    """Fear that comes, and fear that goes."""
    level = np.linspace(0, 1, SLOTS_FILMED, dtype=np.float32)
    levels = np.stack([level, level[::-1]])
    going = np.array([[False] * SLOTS_FILMED, [True] * SLOTS_FILMED])
    share = np.clip((levels - [[0.1], [0.25]]) / 0.2, 0, 1)
    shown = np.zeros((2, SLOTS_FILMED, 8), np.float32)
    shown[:, :, FEAR], shown[:, :, NEUTRAL] = share, 1 - share
    pictures = np.zeros((2, SLOTS_FILMED, 48, 48), np.uint8)
    kind = np.array([KINDS.index("held"), KINDS.index("fading")])
    return Sequences(pictures, shown, levels, going, kind, np.arange(2))


def answers(sequences, read):
    return np.eye(8, dtype=np.float32)[np.broadcast_to(read, sequences.shown.shape[:2])]


def test_clear_moments_are_those_with_one_expression_and_a_full_clip(sequences):
    moments = clear_moments(sequences)
    assert moments.slot.min() >= SLOTS - 1
    found = judge(answers(sequences, sequences.shown.argmax(2)), moments)
    assert found["accuracy"] == found["uar"] == 1
    low, high = found["accuracy_interval"]
    assert low == high == 1


def test_the_strongest_moment_of_each_sequence_is_judged(sequences):
    moments = strongest_moments(sequences)
    assert moments.slot[1] == 0
    assert sequences.shown[0, moments.slot[0], FEAR] == 1
    assert sequences.level[0, moments.slot[0]] == sequences.level[0].max()
    assert (moments.truth == FEAR).all()


def test_an_ambiguous_moment_shows_little_and_means_what_its_direction_says(sequences):
    sequences.level[0] = sequences.level[0] * 0.4  # weak to the end
    moments = ambiguous_moments(sequences)
    assert (moments["onset"].sequence == 0).all()
    assert (moments["offset"].sequence == 1).all()
    for name in ("onset", "offset"):
        at = sequences.level[moments[name].sequence, moments[name].slot]
        assert ((at > 0.15) & (at < 0.45)).all()
    assert len(moments["speech"].truth) == 0


def test_a_temperature_mends_answers_that_are_too_sure():
    rng = np.random.default_rng(0)
    logits = rng.normal(0, 1.5, (4000, 8)).astype(np.float32)
    truth = np.array([rng.choice(8, p=p / p.sum()) for p in softmax(logits)])
    loud = logits * 2
    assert fit_temperature(loud, truth) == pytest.approx(2, abs=0.1)
    found = calibrate(loud, truth)
    assert found["ece"] < 0.04 < found["ece_raw"]


def test_smile_onsets_count_first_and_last_and_name_the_misses(monkeypatch):
    read = np.full((3, 16), HAPPY)
    read[:, 0] = NEUTRAL
    read[1, 0] = read[2, -1] = FEAR
    monkeypatch.setattr(
        "training.ifdd_stream.evaluate.read_clips", lambda *_: np.eye(8, dtype=np.float32)[read]
    )
    found = onset_figures(
        None, {"pictures": np.zeros((3, 16, 48, 48)), "person": np.r_[61, 62, 70]}
    )
    assert (found["neutral_first"], found["happiness_last"]) == (2, 2)
    assert found["missed_first"] == {"062": "fear"}
    assert found["missed_last"] == {"070": "fear"}


def test_recall_is_averaged_over_five_classes_and_persons_are_drawn_whole():
    happy, sad, neutral, anger = (
        EXPRESSIONS.index(name) for name in ("happiness", "sadness", "neutral", "anger")
    )
    surprise = EXPRESSIONS.index("surprise")
    truth = np.repeat([happy, sad, neutral, anger, surprise, FEAR], 40)
    read = truth.copy()
    read[40:60] = neutral  # half of the sad ones
    alone = uar_of_persons(truth, read, np.arange(240))
    assert alone["n"] == 200
    assert alone["uar"] == pytest.approx(0.9)
    assert alone["recall"]["sadness"] == 0.5
    two = uar_of_persons(truth, read, np.arange(240) // 20)
    widths = [found["uar_interval"][1] - found["uar_interval"][0] for found in (alone, two)]
    assert 0.01 < widths[0] < widths[1]


def make_report(lost=0.001):
    truth = np.arange(80) % 8
    part = figures(truth, truth)
    worse = {**part, "accuracy": part["accuracy"] - lost}
    names = ("plain", "flip averaged", "cut by the product")
    studio = {"people": 2, "clear": part, "strongest": part,
              "ambiguous": {"all": part, "onset": part}}  # fmt: skip
    lfw = uar_of_persons(truth, truth, np.arange(80) // 2)
    lfw["talking"] = {"changes_a_minute": 12.0, "not_neutral": 0.05}
    onsets = {"persons": 9, "neutral_first": 9, "happiness_last": 8}
    forms = {
        form: {
            "ferplus_valid": dict.fromkeys(names, found), "studio_test": studio,
            "lfw_kept_out": lfw,
            "calibration": {"temperature": 1.1, "ece": 0.02}, "london_036_045": onsets,
        }
        for form, found in (("fp32", part), ("int8", worse))
    }  # fmt: skip
    about = {"seed": 1, "data_sha256": "d" * 64, "stills": 5, "lfw": 4, "begun_with": "e" * 64,
             "sequences": 6, "people": 2, "onsets": 3, "split": "haar"}  # fmt: skip
    return json.loads(json.dumps({"about": about, **forms}))


def test_the_card_says_what_the_report_says():
    card = parse_card("ifdd_stream", card_text(make_report(), {"fp32": "a" * 64, "int8": "b" * 64}))
    assert card.precision == "int8"
    assert card.ran_by_tensorrt == ()
    assert card.sha256 == "b" * 64
    assert card.form("fp32").sha256 == "a" * 64
    assert tuple(card.decode["outputs"]) == EXPRESSIONS
    assert card.decode["tokens"] == [PLACES, WIDTH]
    assert card.decode["temperature"] == 1.1
    assert card.evaluation["ferplus_valid_confusion"]["fear"][FEAR] == 10
    assert card.evaluation["london_036_045_smile_onsets"]["happiness_last"] == 8
    assert card.evaluation["lfw_kept_out"]["uar"] == 1
    assert "FER+" in card.trained_on
    assert "carry no licence of their own" in card.trained_on
    assert "were not asked" in card.trained_on
    assert "haar" in card.reference


def test_int8_is_preferred_only_where_it_costs_next_to_nothing():
    assert preferred(make_report(lost=0.004)) == "int8"
    assert preferred(make_report(lost=0.008)) == "fp32"
