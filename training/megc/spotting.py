"""The challenge's figures: which spotted intervals are right, and what is made of them.

An interval is right where it and a labelled one of its kind overlap by at least half of what both
cover, each labelled one counted once; precision, recall and F1 are over all videos together, micro-
and macro-expressions apart (Li et al., "MEGC2021"). Spot-then-recognize (MEGC2025) multiplies the
F1 of spotting with the F1 of the classes told of those that were right.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import nan
from typing import TYPE_CHECKING, Any, Final, Literal

import numpy as np

from realtime_affect.names import MICRO_CLASSES
from training.metrics import confusion, uar

if TYPE_CHECKING:
    from collections.abc import Sequence

RIGHT_FROM: Final = 0.5
"""Overlap from which a spotted interval is right."""

CLASSES: Final = MICRO_CLASSES[:3]
"""MEGC2019's three: negative, positive, surprise."""


@dataclass(frozen=True, slots=True)
class Interval:
    """A movement in a video.

    Attributes
    ----------
    kind : {"micro", "macro"}
    onset, offset : int
        First and last frame, both belong to it.
    label : str
        One of :data:`CLASSES`; empty where it has none of them.
    """

    kind: Literal["micro", "macro"]
    onset: int
    offset: int
    label: str = ""


Video = tuple["Sequence[Interval]", "Sequence[Interval]"]
"""What was labelled in a video, and what was spotted."""


def overlap(a: Interval, b: Interval) -> float:
    """Return the frames that two intervals share over the frames that either has."""
    shared = min(a.offset, b.offset) - max(a.onset, b.onset) + 1
    either = max(a.offset, b.offset) - min(a.onset, b.onset) + 1
    return max(0, shared) / either


def pair(truth: Sequence[Interval], spotted: Sequence[Interval]) -> list[tuple[int, int]]:
    """Pair as many labelled with spotted intervals of their kind as may be, each used once."""
    from scipy.optimize import linear_sum_assignment

    if not truth or not spotted:
        return []
    shares = np.array([[overlap(a, b) * (a.kind == b.kind) for b in spotted] for a in truth])
    right = shares >= RIGHT_FROM
    # A pair more always counts more than a closer fit: shares are at most 1.
    rows, columns = linear_sum_assignment(-(right * (len(truth) + shares)))
    pairs = zip(rows.tolist(), columns.tolist(), strict=True)
    return [(i, j) for i, j in pairs if right[i, j]]


def score(videos: Sequence[Video]) -> dict[str, Any]:
    """Score spotted intervals against labelled ones.

    Returns
    -------
    dict
        ``micro``, ``macro``, ``all``: counts and figures of spotting; ``recognition`` of the micro
        intervals that were right and have a class; ``strs``.
    """
    counts = {kind: np.zeros(3, int) for kind in ("micro", "macro")}
    told: list[tuple[str, str]] = []
    for truth, spotted in videos:
        for kind, count in counts.items():
            wanted = [one for one in truth if one.kind == kind]
            found = [one for one in spotted if one.kind == kind]
            pairs = pair(wanted, found)
            count += (len(pairs), len(found) - len(pairs), len(wanted) - len(pairs))
            if kind == "micro":
                told += [(wanted[i].label, found[j].label) for i, j in pairs if wanted[i].label]
    figures = {kind: _figures(*count.tolist()) for kind, count in counts.items()}
    figures["all"] = _figures(*sum(counts.values()).tolist())  # type: ignore[union-attr]
    recognition = recognize([a for a, _ in told], [b for _, b in told])
    strs = figures["micro"]["f1"] * recognition["uf1"]
    return {**figures, "recognition": recognition, "strs": strs}


def recognize(truth: Sequence[str], read: Sequence[str]) -> dict[str, Any]:
    """Score classes that were told; one that is none of the three is wrong.

    Returns
    -------
    dict
        ``n``; ``uf1`` over those of the three classes that occur or were told, ``uar`` over those
        that occur, NaN of nothing; ``confusion``: rows of the truth, columns as told, "none" last.
    """
    known = [MICRO_CLASSES.index(name) for name in truth]
    said = [MICRO_CLASSES.index(name or "none") for name in read]
    counts = confusion(np.array(known, int), np.array(said, int), len(MICRO_CLASSES))
    counts = counts[: len(CLASSES)]
    hits = np.diagonal(counts)
    totals = counts.sum(axis=1) + counts.sum(axis=0)[: len(CLASSES)]
    each = 2 * hits[totals > 0] / totals[totals > 0]
    return {
        "n": len(known),
        "uf1": float(each.mean()) if len(each) else nan,
        "uar": uar(counts),
        "confusion": counts.tolist(),
    }


def _figures(right: int, false: int, missed: int) -> dict[str, Any]:
    return {
        "right": right,
        "false": false,
        "missed": missed,
        "precision": right / (right + false) if right + false else nan,
        "recall": right / (right + missed) if right + missed else nan,
        "f1": 2 * right / (2 * right + false + missed) if right + false + missed else nan,
    }
