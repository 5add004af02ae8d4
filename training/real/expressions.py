"""Figures of the expression on real faces: rated stills, acted clips, rest, reading, onsets."""

from __future__ import annotations

import csv
import itertools
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from realtime_affect.affect.reported import ReportedExpression
from realtime_affect.names import EXPRESSIONS
from training.metrics import bootstrap_persons, confusion, recalls, uar, war
from training.real.clips import STRIP_REST_S

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from training.real.clips import Watched

LFW_CLASSES: Final = ("happiness", "sadness", "neutral", "anger", "surprise")
"""Of LFW's labels, those of which there are more than a few faces."""
IN_TIME_MS: Final = 300.0
_CREMA_D: Final = {
    "A": "anger", "D": "disgust", "F": "fear", "H": "happiness", "N": "neutral", "S": "sadness",
}  # fmt: skip
_N: Final = len(EXPRESSIONS)


def judge_stills(
    truth: NDArray[np.int64],
    probabilities: NDArray[np.float32],
    person: NDArray[Any],
    classes: Sequence[str] = EXPRESSIONS,
) -> dict[str, Any]:
    """Score the likeliest expression of stills whose truth is one of `classes`.

    UAR is the mean recall over `classes`; what is seen as another one counts as missed. Intervals
    are of persons drawn anew.
    """
    wanted = np.isin(truth, [EXPRESSIONS.index(name) for name in classes])
    truth, person = truth[wanted], person[wanted]
    read = probabilities[wanted].argmax(axis=1)

    def measure(of: Callable[[NDArray[np.int64]], float]) -> dict[str, Any]:
        return {
            "value": of(confusion(truth, read, _N)),
            "interval": bootstrap_persons(
                person, lambda rows: of(confusion(truth[rows], read[rows], _N))
            ),
        }

    counts = confusion(truth, read, _N)
    found = recalls(counts)
    return {
        "faces": len(truth),
        "persons": len(np.unique(person)),
        "accuracy": measure(war),
        "uar": measure(uar),
        "recall": {name: float(found[EXPRESSIONS.index(name)]) for name in classes},
        "n": {name: int(counts[EXPRESSIONS.index(name)].sum()) for name in classes},
        "confusion": counts.tolist(),
    }


def reported(face: Watched) -> tuple[NDArray[np.str_], NDArray[np.str_]]:
    """Return what is reported and what is likeliest at each moment of a clip, (m,) names each.

    As the product does, from the same probabilities.
    """
    likeliest = face.probabilities[face.moments()].argmax(axis=1).tolist()
    told = face.report(ReportedExpression())
    return np.array(told), np.array([EXPRESSIONS[k] for k in likeliest])


def by_frame(face: Watched, names: NDArray[np.str_]) -> NDArray[np.str_]:
    """Spread what was told at each moment over the frames until the next one."""
    places = np.searchsorted(face.moments(), np.arange(len(face.t_ns)), side="right") - 1
    return names[np.maximum(places, 0)]


def judge_steadiness(clips: Mapping[str, Sequence[Watched]]) -> dict[str, Any]:
    """Count changes a minute and frames that are not neutral; clips by the person in them."""
    faces = [(person, face) for person, own in clips.items() for face in own]
    seconds = np.array([face.seconds for _, face in faces])
    person = np.array([name for name, _ in faces])
    figures: dict[str, Any] = {
        "clips": len(faces), "persons": len(clips), "minutes": float(seconds.sum() / 60),
    }  # fmt: skip
    told = [reported(face) for _, face in faces]
    for kind, place in (("reported", 0), ("likeliest", 1)):
        changes = np.array([_changes(both[place]) for both in told])
        frames = [by_frame(face, both[place]) for (_, face), both in zip(faces, told, strict=True)]
        moved = np.array([np.count_nonzero(names != "neutral") for names in frames])
        n = np.array([len(names) for names in frames])

        def per_minute(rows: NDArray[np.int64], changes: NDArray[Any] = changes) -> float:
            return float(60 * changes[rows].sum() / seconds[rows].sum())

        def share(
            rows: NDArray[np.int64], moved: NDArray[Any] = moved, n: NDArray[Any] = n
        ) -> float:
            return float(moved[rows].sum() / n[rows].sum())

        whole = np.arange(len(faces))
        together = np.concatenate(frames)
        figures[kind] = {
            "changes": int(changes.sum()),
            "changes_a_minute": per_minute(whole),
            "changes_a_minute_interval": bootstrap_persons(person, per_minute),
            "not_neutral": share(whole),
            "not_neutral_interval": bootstrap_persons(person, share),
            "shares": {
                name: float((together == name).mean())
                for name in EXPRESSIONS
                if (together == name).any()
            },
        }
    return figures


def judge_onsets(strips: Mapping[str, Watched]) -> dict[str, Any]:
    """Time from a smile's onset to its report, of smile onsets played by ``strip_frames``.

    A smile counts as found where it is reported before the clip ends; one that is not is later
    than all others.
    """
    onset_ms = STRIP_REST_S * 1000
    delays: dict[str, dict[str, float]] = {"reported": {}, "likeliest": {}}
    before = 0
    for person, face in strips.items():
        at_ms = face.t_ns[face.moments()] / 1e6 - onset_ms
        for kind, names in zip(delays, reported(face), strict=True):
            smiles = at_ms[(names == "happiness") & (at_ms > -1)]
            delays[kind][person] = float(smiles[0]) if len(smiles) else np.inf
            if kind == "reported":
                before += names[at_ms < -1][-1] == "neutral"
    figures: dict[str, Any] = {"persons": len(strips), "neutral_before": int(before)}
    for kind, found in delays.items():
        values = np.array(list(found.values()))
        persons = np.array(list(found))
        median, in_time = _median(values), _in_time(values)
        figures[kind] = {
            "found": int(np.isfinite(values).sum()),
            "median_ms": float(np.median(values)),
            "median_ms_interval": bootstrap_persons(persons, median),
            "p90_ms": float(np.percentile(values, 90, method="higher")),
            "within_300_ms": in_time(np.arange(len(values))),
            "within_300_ms_interval": bootstrap_persons(persons, in_time),
            "missed": [name for name, value in found.items() if not np.isfinite(value)],
        }
    return figures


def judge_acted(clips: Mapping[str, Watched], votes: Path) -> dict[str, Any]:
    """Compare acted clips with the votes of those who saw the face alone (CREMA-D).

    ``overlap`` is the share that the raters' votes and the product's mean probabilities, over the
    six expressions that could be voted for, have in common: 1 less half their L1 distance.
    """
    seen = {}
    with votes.open(encoding="utf-8") as file:
        for row in csv.DictReader(file):
            if row[""].startswith("2"):  # 1 voice, 2 face alone, 3 both
                counts = np.array([float(row[letter]) for letter in _CREMA_D])
                seen[row["fileName"]] = counts / counts.sum()
    columns = [EXPRESSIONS.index(name) for name in _CREMA_D.values()]
    names = list(_CREMA_D.values())
    told: dict[str, Any] = {}
    for clip, face in clips.items():
        rows = face.moments()
        mean = face.probabilities[rows].mean(axis=0)[columns]
        mean = mean / mean.sum()
        frames = by_frame(face, reported(face)[0])
        voted = names[int(seen[clip].argmax())]
        told[clip] = {
            "voted": voted,
            "votes": float(seen[clip].max()),
            "likeliest": names[int(mean.argmax())],
            "overlap": float(np.minimum(mean, seen[clip]).sum()),
            "reported_as_voted": float((frames == voted).mean()),
        }
    clip_names = np.array(list(told))
    overlaps = np.array([clip["overlap"] for clip in told.values()])
    return {
        "clips": len(told),
        "persons": len({name.partition("_")[0] for name in told}),
        "agree": sum(clip["likeliest"] == clip["voted"] for clip in told.values()),
        "overlap": float(overlaps.mean()),
        "overlap_interval_by_clip": bootstrap_persons(
            clip_names, lambda rows: float(overlaps[rows].mean())
        ),
        "by_clip": told,
    }


def _changes(names: NDArray[np.str_]) -> int:
    return sum(a != b for a, b in itertools.pairwise(names.tolist()))


def _median(values: NDArray[np.float64]) -> Callable[[NDArray[np.int64]], float]:
    return lambda rows: float(np.median(values[rows]))


def _in_time(values: NDArray[np.float64]) -> Callable[[NDArray[np.int64]], float]:
    return lambda rows: float((values[rows] <= IN_TIME_MS).mean())
