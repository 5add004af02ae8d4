"""Figures of action units on real faces."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("torch", reason="torch is not installed: make training")

from realtime_affect.names import AU_INTENSITIES, AU_OCCURRENCES, EXPRESSIONS
from training.real.stills import Portraits, Sights, Stills
from training.real.units import (
    TEACHER,
    groups_of,
    judge_portraits,
    judge_ranks,
    judge_raters,
    judge_rest,
    read_answers,
    teacher_thresholds,
)


def sights(n):
    return Sights(
        np.zeros((n, 468, 3), np.float32), np.zeros((n, 96, 96), np.uint8),
        np.zeros((n, 48, 48), np.uint8), np.zeros((n, 3), np.float32), np.ones(n, np.float32),
    )  # fmt: skip


def answers(n, seed=1):
    return np.random.default_rng(seed).uniform(0, 1, (n, len(TEACHER)))


def units_like(scores):
    """Return units that rank as the teacher does and fire as often."""
    intensity = np.zeros((len(scores), len(AU_INTENSITIES)), np.float32)
    occurrence = np.zeros((len(scores), len(AU_OCCURRENCES)), np.float32)
    at = teacher_thresholds(scores)
    for k, name in enumerate(TEACHER):
        intensity[:, AU_INTENSITIES.index(name)] = scores[:, k] ** 3
        occurrence[:, AU_OCCURRENCES.index(name)] = scores[:, k] >= at[name]
    return intensity, occurrence


def test_a_network_that_ranks_as_the_teacher_agrees_with_it():
    scores = answers(400)
    persons = np.repeat(np.arange(100), 4)
    found = judge_ranks(units_like(scores), scores, teacher_thresholds(scores), persons)
    assert found["mean_spearman"] == pytest.approx(1, abs=1e-6)
    assert found["within_half_and_twice"] == len(TEACHER)
    assert found["units"]["AU12"]["teacher_fires"] == pytest.approx(TEACHER["AU12"].share, abs=0.01)


def test_a_network_that_never_fires_ranks_nothing_in_vain():
    scores = answers(400)
    silent = np.zeros((400, 17), np.float32), np.zeros((400, 18), np.float32)
    silent[0][:] = np.random.default_rng(2).uniform(0, 1, (400, 17))
    found = judge_ranks(silent, scores, teacher_thresholds(scores), np.arange(400))
    assert abs(found["mean_spearman"]) < 0.1
    assert found["within_half_and_twice"] == 0


def test_answers_are_read_by_their_place_and_those_to_come_are_unknown(tmp_path):
    names = [shape for shapes in TEACHER.values() for shape in shapes.shapes]
    scores = np.arange(3 * len(names), dtype=np.float32).reshape(3, -1)
    np.savez(tmp_path / "teacher_lfw_000.npz", names=np.array(names), scores=scores)
    told = read_answers(tmp_path, "lfw", np.array([2, 7]))
    assert told[0, 0] == scores[2, 0]
    assert told[0, 1] == pytest.approx(scores[2, 1:3].mean())
    assert np.isnan(told[1]).all()
    assert np.isnan(read_answers(tmp_path / "none", "lfw", np.array([0]))).all()


def test_raters_faces_are_parted_from_neutral_ones_by_the_units_of_their_expression():
    truth = np.repeat([EXPRESSIONS.index(name) for name in ("neutral", "happiness")], 20)
    stills = Stills(sights(40), truth, truth, np.arange(40).astype(str), np.arange(40))
    intensity = np.zeros((40, 17), np.float32)
    intensity[20:, AU_INTENSITIES.index("AU12")] = 3
    found = judge_raters(stills, intensity)
    assert found["AU12"]["auc"] == 1
    assert found["AU06"]["auc"] == 0.5
    assert found["AU12"]["faces"] == 20


def test_smiles_are_scored_by_group_with_the_gap_between_best_and_worst():
    persons = tuple(
        {"face_id": f"{i:03}", "face_age": str(20 + i), "face_gender": gender, "face_eth": "x"}
        for i, gender in enumerate(["female"] * 6 + ["male"] * 6)
    )
    portraits = Portraits(persons, sights(12), sights(12), sights(12))
    neutral = np.zeros((12, 17), np.float32), np.zeros((12, 18), np.float32)
    smiling = neutral[0].copy(), neutral[1].copy()
    smiling[0][:, AU_INTENSITIES.index("AU12")] = 3
    smiling[1][:6, AU_OCCURRENCES.index("AU12")] = 1  # only women's smiles are told
    neutral[1][7, AU_OCCURRENCES.index("AU04")] = 1
    calm = np.full(12, EXPRESSIONS.index("neutral"))
    found = judge_portraits(portraits, neutral, smiling, (calm, calm))
    assert found["smile_auc"] == 1
    assert found["smile_accuracy"] == pytest.approx(0.75)
    assert found["worst_false_units"] == 1
    assert found["false_units_on_neutral"] == {"AU04": 1}
    assert found["gap"]["smile_accuracy"]["gap"] == pytest.approx(0.5)
    assert found["gap"]["smile_accuracy"]["worst"] == "gender male"
    assert found["gap"]["false_units_a_face"]["best"] == "gender female"


def test_every_person_has_a_gender_an_ethnicity_and_an_age_group():
    persons = tuple(
        {"face_id": "1", "face_age": age, "face_gender": "female", "face_eth": "white"}
        for age in ("18", "25", "34.5", "61")
    )
    masks = groups_of(persons)
    ages = [masks[name] for name in masks if name.startswith("age")]
    assert np.sum(ages, axis=0).tolist() == [1, 1, 1, 1]


def test_rest_counts_marked_units_and_compares_blinks_with_openface(tmp_path, watched):
    face = watched(["neutral"] * 30)
    face.intensity[10:13, AU_INTENSITIES.index("AU45")] = 4
    face.intensity[:6, AU_INTENSITIES.index("AU04")] = 2
    rows = ["frame, timestamp, AU45_r"]
    rows += [f"{i + 1}, {i / 30:.3f}, {2.0 if 10 <= i < 13 else 0.0}" for i in range(30)]
    path = tmp_path / "openface.csv"
    path.write_text("\n".join(rows))
    found = judge_rest(face, path)
    assert found["any_but_AU45_above_1"] == pytest.approx(0.2)
    assert found["above_1"] == {"AU04": pytest.approx(0.2)}
    assert found["AU45"]["pearson_with_openface"] == pytest.approx(1)
    assert found["AU45"]["above_1"] == found["AU45"]["openface_above_1"] == pytest.approx(0.1)
