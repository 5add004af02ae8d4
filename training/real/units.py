"""Figures of action units on real faces: beside a teacher, raters, and other people's rest."""

from __future__ import annotations

import csv
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from realtime_affect.names import AU_INTENSITIES, AU_OCCURRENCES, EXPRESSIONS
from training.action_units.dataset import load_arrays
from training.action_units.real_faces import EVIDENCE, TAUGHT
from training.metrics import auc, bootstrap_persons, pearson

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from training.real.clips import Watched
    from training.real.stills import Portraits, Stills

    Units = tuple[NDArray[np.float32], NDArray[np.float32]]


TEACHER: Final = {name: taught for name, taught in TAUGHT.items() if "_" not in name}
"""Blendshapes of MediaPipe's face landmarker (ARKit's names) that stand for a unit.

Of each, ``share`` of the validation persons' faces fixes the score from which it counts. AU25 has
none; noseSneer (AU09) and eyeWide (AU05) do not move on news photographs; cheekSquint (AU06) and
mouthDimple (AU14) are tiny, but rank well. Hence shares, not scores.
"""
RANKED_APART: Final = ("AU06", "AU14")
"""Units that the mean rank agreement leaves out."""

MARKED: Final = 1.0
"""Intensity above which a unit counts on a face at rest: FACS A."""
_AGES: Final = ((0, 25, "under 25"), (25, 35, "25 to 34"), (35, 200, "35 and over"))
_FEW: Final = 4  # persons of a group whose figures say something


def read_answers(folder: Path, name: str, index: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return the teacher's score of each unit of TEACHER on some stills of a pack, (n, 13).

    NaN where it found no face, or has not answered yet.

    Parameters
    ----------
    folder : Path
        Of what ``training.action_units.teacher`` wrote: ``teacher_NAME_*.npz``.
    name : {"lfw", "ferplus"}
    index : (n,) int64
        Places in the pack.
    """
    parts = [load_arrays(path) for path in sorted(folder.glob(f"teacher_{name}_???.npz"))]
    told = np.full((len(index), len(TEACHER)), np.nan)
    if not parts:
        return told
    names = parts[0]["names"].tolist()
    scores = np.concatenate([part["scores"] for part in parts]).astype(np.float64)
    known = index < len(scores)
    for k, taught in enumerate(TEACHER.values()):
        columns = [names.index(shape) for shape in taught.shapes]
        told[known, k] = scores[index[known]][:, columns].mean(axis=1)
    return told


def teacher_thresholds(answers: NDArray[np.float64]) -> dict[str, float]:
    """Return the score from which each unit counts, of answers about validation persons."""
    return {
        name: float(np.nanquantile(answers[:, k], 1 - taught.share))
        for k, (name, taught) in enumerate(TEACHER.items())
    }


def judge_ranks(
    units: Units,
    answers: NDArray[np.float64],
    thresholds: dict[str, float],
    persons: NDArray[Any],
) -> dict[str, Any]:
    """Return rank agreement with the teacher, and how often either sees each unit."""
    intensity, occurrence = units
    known = np.isfinite(answers[:, 0])
    answers, persons = answers[known], persons[known]
    columns = [AU_INTENSITIES.index(name) for name in TEACHER]
    scores = intensity[known][:, columns].astype(np.float64)
    agreement = _spearman(scores, answers)
    found: dict[str, Any] = {}
    for k, name in enumerate(TEACHER):
        fires = float(occurrence[known, AU_OCCURRENCES.index(name)].mean())
        teacher = float((answers[:, k] >= thresholds[name]).mean())
        found[name] = {
            "spearman": float(agreement[k]),
            "fires": fires,
            "teacher_fires": teacher,
            "ratio": fires / teacher,
            "teacher_from": thresholds[name],
        }
    meant = np.array([name not in RANKED_APART for name in TEACHER])

    def mean(rows: NDArray[np.int64]) -> float:
        return float(_spearman(scores[rows][:, meant], answers[rows][:, meant]).mean())

    return {
        "faces": int(known.sum()),
        "persons": len(np.unique(persons)),
        "mean_spearman": mean(np.arange(len(persons))),
        "mean_spearman_interval": bootstrap_persons(persons, mean, 200),
        "within_half_and_twice": sum(0.5 <= unit["ratio"] <= 2 for unit in found.values()),
        "units": found,
    }


def judge_raters(stills: Stills, intensity: NDArray[np.float32]) -> dict[str, Any]:
    """Tell how well each unit parts FER+'s agreed faces of its expression from neutral ones."""
    found = {}
    neutral = stills.agreed == EXPRESSIONS.index("neutral")
    for unit, name in EVIDENCE.items():
        shown = stills.agreed == EXPRESSIONS.index(name)
        chosen = (neutral | shown) & stills.sights.found
        score = intensity[chosen, AU_INTENSITIES.index(unit)]
        found[unit] = {
            "expression": name, "faces": int((shown & stills.sights.found).sum()),
            "auc": auc(shown[chosen], score),
        }  # fmt: skip
    return found


def judge_portraits(
    portraits: Portraits, neutral: Units, smiling: Units,
    likeliest: tuple[NDArray[np.int64], NDArray[np.int64]],
) -> dict[str, Any]:  # fmt: skip
    """Score smiling against neutral photographs, all together and by group.

    Parameters
    ----------
    portraits : Portraits
    neutral, smiling : intensities (n, 17) and occurrences (n, 18)
    likeliest : two of (n,)
        Index of the likeliest expression of the neutral and of the smiling photographs.
    """
    n = len(portraits.persons)
    k, at = AU_INTENSITIES.index("AU12"), AU_OCCURRENCES.index("AU12")
    truth = np.repeat([False, True], n)
    score = np.concatenate([neutral[0][:, k], smiling[0][:, k]])
    right = np.concatenate([neutral[1][:, at] == 0, smiling[1][:, at] == 1])
    false = np.nan_to_num(neutral[1])
    person = np.tile(np.arange(n), 2)

    def figures(members: NDArray[np.bool_]) -> dict[str, Any]:
        both = np.tile(members, 2)
        calm, happy = (EXPRESSIONS.index(name) for name in ("neutral", "happiness"))
        return {
            "persons": int(members.sum()),
            "smile_auc": auc(truth[both], score[both]),
            "smile_accuracy": float(right[both].mean()),
            "false_units_a_face": float(false[members].sum() / members.sum()),
            "neutral_as_neutral": float((likeliest[0][members] == calm).mean()),
            "smile_as_happiness": float((likeliest[1][members] == happy).mean()),
        }

    everybody = figures(np.ones(n, bool))
    counts = false.sum(axis=0).astype(int)
    groups = {name: figures(members) for name, members in groups_of(portraits.persons).items()}
    return {
        **everybody,
        "smile_auc_interval": bootstrap_persons(
            person, lambda rows: auc(truth[rows], score[rows])
        ),
        "smile_accuracy_interval": bootstrap_persons(
            person, lambda rows: float(right[rows].mean())
        ),
        "worst_false_units": int(counts.max()),
        "false_units_on_neutral": {
            AU_OCCURRENCES[i]: count for i, count in enumerate(counts.tolist()) if count
        },
        "groups": groups,
        "gap": {
            key: _gap(groups, key)
            for key in (
                "smile_auc", "smile_accuracy", "false_units_a_face", "neutral_as_neutral",
                "smile_as_happiness",
            )
        },
    }  # fmt: skip


def groups_of(persons: Sequence[dict[str, str]]) -> dict[str, NDArray[np.bool_]]:
    """Return which persons belong to each gender, ethnicity and age."""
    masks = {}
    for field in ("face_gender", "face_eth"):
        values = np.array([row[field] for row in persons])
        for value in sorted(set(values.tolist())):
            masks[f"{field.removeprefix('face_')} {value}"] = values == value
    ages = np.array([float(row["face_age"] or "nan") for row in persons])
    for low, high, name in _AGES:
        masks[f"age {name}"] = (ages >= low) & (ages < high)
    return {name: members for name, members in masks.items() if members.any()}


def judge_rest(face: Watched, openface: Path) -> dict[str, Any]:
    """Return how often each unit is seen on a face at rest, and AU45 beside OpenFace's."""
    names = [name for name in AU_INTENSITIES if name != "AU45"]
    marked = {
        name: float((face.intensity[:, AU_INTENSITIES.index(name)] > MARKED).mean())
        for name in names
    }
    columns = [AU_INTENSITIES.index(name) for name in names]
    some = (face.intensity[:, columns] > MARKED).any(axis=1)
    fires = np.nan_to_num(face.occurrence).mean(axis=0)
    with openface.open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file, skipinitialspace=True))
    at_s = np.array([float(row["timestamp"]) for row in rows])
    theirs = np.array([float(row["AU45_r"]) for row in rows])
    ours = face.intensity[:, AU_INTENSITIES.index("AU45")].astype(np.float64)
    nearest = np.abs(at_s[None] - face.t_ns[:, None] / 1e9).argmin(axis=1)
    return {
        "frames": len(face.t_ns),
        "any_but_AU45_above_1": float(some.mean()),
        "above_1": {name: share for name, share in marked.items() if share > 0},
        "fires": {
            name: float(share)
            for name, share in zip(AU_OCCURRENCES, fires, strict=True)
            if share > 0
        },
        "AU45": {
            "pearson_with_openface": pearson(theirs[nearest], ours),
            "above_1": float((ours > MARKED).mean()),
            "openface_above_1": float((theirs[nearest] > MARKED).mean()),
        },
    }


def _gap(groups: dict[str, dict[str, Any]], key: str) -> dict[str, Any]:
    """Return the best and the worst group by a figure, of those with enough persons."""
    known = {
        name: float(found[key])
        for name, found in groups.items()
        if found["persons"] >= _FEW and np.isfinite(found[key])
    }
    sign = -1 if key == "false_units_a_face" else 1
    best = max(known, key=lambda name: sign * known[name])
    worst = min(known, key=lambda name: sign * known[name])
    return {
        "gap": abs(known[best] - known[worst]),
        "best": best, "best_value": known[best], "worst": worst, "worst_value": known[worst],
    }  # fmt: skip


def _spearman(a: NDArray[np.float64], b: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the rank correlation of each column of (n, k); NaN where one does not vary."""
    from scipy.stats import rankdata

    ranks = [rankdata(values, axis=0) for values in (a, b)]
    x, y = (rank - rank.mean(axis=0) for rank in ranks)
    both = np.sqrt((x**2).sum(axis=0) * (y**2).sum(axis=0))
    return np.where(both > 0, (x * y).sum(axis=0) / np.maximum(both, 1e-12), np.nan)
