"""Interpretations of real faces: onsets of smiles, and acted clips beside raters' votes."""

from __future__ import annotations

import csv
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from realtime_affect.interpret.interpreter import Interpreter
from realtime_affect.types import (
    ActionUnits,
    AffectJob,
    Expression,
    Face,
    FaceMesh,
    FaceQuality,
    FaceWindow,
    Frame,
    HeadPose,
    Scene,
    Track,
)
from training.real.clips import STRIP_FPS, STRIP_REST_S, watch_clip, watch_strip

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from realtime_affect.meaning import Meaning
    from training.real.clips import Watched

PERSONS: Final = range(61, 91)
"""Of the London set: those that nothing was learned from or chosen on."""

_NO_SIDES: Final = np.full((2, 2), np.nan)
_POSE: Final = HeadPose(np.zeros(3), np.zeros(3))
_GOOD: Final = FaceQuality(1.0, 120.0, 0.0, 100.0)
_IMAGE: Final = np.zeros((1, 1, 3), np.uint8)
_RECENT_NS: Final = 600_000_000
_LETTERS: Final = {
    "A": "anger", "D": "disgust", "F": "fear", "H": "happiness", "N": "neutral", "S": "sadness",
}  # fmt: skip


def meanings_of(face: Watched) -> Iterator[tuple[int, Meaning]]:
    """Yield the meaning of each decision about a face that was watched, with its source time.

    What the product measured goes through its own interpretation; sides of units and the face's
    quality are not kept by ``training.real`` and count as not known and good.
    """
    interpreter = Interpreter()
    faces: list[tuple[int, Face]] = []
    before = -1
    names = _reported(face)
    for n, t_ns in enumerate(face.t_ns.tolist()):
        units = ActionUnits(
            face.intensity[n], face.occurrence[n], _NO_SIDES, float(face.calibration[n])
        )
        seen = Face(
            FaceMesh(face.points[n], 1.0), _POSE, np.full(2, 0.3), _GOOD, units,
            np.zeros((48, 48), np.uint8),
        )  # fmt: skip
        faces = [moment for moment in faces if t_ns - moment[0] <= _RECENT_NS] + [(t_ns, seen)]
        moment_ns = int(face.moment_ns[n])
        if moment_ns < 0 or moment_ns == before:
            continue
        before = moment_ns
        track = Track(1, np.zeros(4), 1.0, 1, 0, seen)
        times, moments = zip(*faces, strict=True)
        job = AffectJob(
            Scene(Frame(n, t_ns, t_ns, _IMAGE), (track,)), (), (), (FaceWindow(1, times, moments),)
        )
        shown = Expression(
            moment_ns, face.probabilities[n], bool(face.warming_up[n]), names[moment_ns]
        )
        yield t_ns, interpreter.decide(job, {1: shown})[1]


def judge_onsets(strips: Path, cache: Path) -> dict[str, Any]:
    """Say in how many smile onsets AU12 is named, and how far its onset is from the true one."""
    errors: list[float] = []
    named = cheeks = 0
    found = sorted(strip for strip in strips.glob("*.jpg") if int(strip.stem) in PERSONS)
    for strip in found:
        last: Meaning | None = None
        for _, meaning in meanings_of(watch_strip(strip, cache)):
            last = meaning
        seen = {} if last is None else {o.unit: o for o in last.observations}
        cheeks += "AU06" in seen
        if "AU12" not in seen:
            continue
        named += 1
        onset = seen["AU12"].onset_ns
        if onset is not None:
            errors.append(onset / 1e9 * STRIP_FPS - STRIP_REST_S * STRIP_FPS)
    in_time = sum(abs(error) <= 2.0 for error in errors)
    return {
        "persons": len(found),
        "au12_named": named,
        "au06_named": cheeks,
        "onset_known": len(errors),
        "onset_within_2_frames": in_time,
        "onset_error_frames": {
            "median": float(np.median(errors)) if errors else float("nan"),
            "least": min(errors, default=float("nan")),
            "most": max(errors, default=float("nan")),
        },
    }


def judge_votes(clips: Path, cache: Path) -> list[dict[str, Any]]:
    """Return the votes of those who saw a clip's face alone, beside what is told of it."""
    told = []
    for row in csv.DictReader((clips / "votes.csv").open(encoding="utf-8", newline="")):
        if not row[""].startswith("2"):  # the face alone
            continue
        clip = clips / f"{row['fileName']}.flv"
        votes = {name: int(row[letter]) for letter, name in _LETTERS.items()}
        decided = [meaning for _, meaning in meanings_of(watch_clip(clip, cache)[0])]
        peak = max(decided, key=_strength)
        told.append({
            "clip": clip.stem,
            "votes": {name: n for name, n in votes.items() if n},
            "reported": {
                name: sum(m.name == name for m in decided) / len(decided)
                for name in sorted({m.name for m in decided})
            },
            "verdicts": {
                verdict: sum(m.verdict == verdict for m in decided) / len(decided)
                for verdict in sorted({m.verdict for m in decided})
            },
            "peak": {"expression": peak.name, "verdict": peak.verdict, "line": peak.line},
            "valence": float(np.mean([m.valence for m in decided])),
        })  # fmt: skip
    return told


def _strength(meaning: Meaning) -> float:
    """Return how much a moment displays, whatever it is."""
    return sum(o.intensity for o in meaning.observations if o.unit != "AU45")


def _reported(face: Watched) -> dict[int, str]:
    """Return the reported expression by moment."""
    from realtime_affect.affect.reported import ReportedExpression

    names = face.report(ReportedExpression())
    return dict(zip(face.moment_ns[face.moments()].tolist(), names, strict=True))
