"""Scores of a moment compiled by numba: one pass, nothing allocated but the answer.

Any number of threads may call at the same time.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from affect_kernels.compiled import compiled, writable
from affect_kernels.excursion_scores.reference import Float64, MomentScores

__all__ = ["MomentScores", "score_moment"]


@compiled(
    "boolean(float64[:, :, ::1], float64[:, ::1], float64[:, ::1], float64[:, ::1],"
    "float64[:, ::1], float64[::1])"
)
def _score(  # noqa: PLR0913  (compiled code takes arrays, not objects)
    places: Float64, doubts: Float64, filters: Float64, thresholds: Float64, sizes: Float64,
    scores: Float64,
) -> Any:  # fmt: skip
    n, regions, _ = places.shape
    flat = places.reshape(n, 2 * regions)
    doubt, detail, judged = doubts[0].copy(), np.empty(2 * regions), True
    for row in doubts[1:]:
        for r in range(regions):
            doubt[r] = max(doubt[r], row[r])
    for r in range(regions):
        judged = judged and np.isfinite(doubt[r])
    for level in range(len(filters)):
        detail[:] = 0.0
        for k in range(n):
            share, row = filters[level, k], flat[k]
            if share != 0.0:
                for i in range(2 * regions):
                    detail[i] += share * row[i]
        best = second = -np.inf
        for r in range(regions):
            size = np.sqrt(detail[2 * r] ** 2 + detail[2 * r + 1] ** 2)
            sizes[level, r] = size
            score = size / (thresholds[level, r] * doubt[r])
            # What is no number ranks highest, as in NumPy's partition.
            if score > best or (np.isnan(score) and not np.isnan(best)):
                best, second = score, best
            elif score > second or (np.isnan(score) and not np.isnan(second)):
                second = score
        scores[level] = second
    return judged


def score_moment(
    places: Float64, doubts: Float64, filters: Float64, thresholds: Float64
) -> MomentScores:
    """As ``reference.score_moment``."""
    sizes, scores = np.empty(thresholds.shape), np.empty(len(thresholds))
    judged = _score(
        writable(places, np.float64), writable(doubts, np.float64), writable(filters, np.float64),
        writable(thresholds, np.float64), sizes, scores,
    )  # fmt: skip
    return MomentScores(sizes, scores, judged)
