"""Scores of a moment in NumPy: wavelet details against thresholds, region by region."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Float64 = NDArray[np.float64]


class MomentScores(NamedTuple):
    """What L scales see of one moment.

    Attributes
    ----------
    sizes : (L, R) float64
        Length of each region's detail, in the unit of `places`.
    scores : (L,) float64
        How often the second strongest region holds its threshold: one alone may be noise.
    judged : bool
        Whether no doubt is infinite.
    """

    sizes: Float64
    scores: Float64
    judged: bool


def score_moment(
    places: Float64, doubts: Float64, filters: Float64, thresholds: Float64
) -> MomentScores:
    """Score one moment.

    Parameters
    ----------
    places : (n, R, 2) float64
        Displacements of R regions, two at least, at the moments around it.
    doubts : (m, R) float64
        By how much thresholds rise at moments near it: the largest counts.
    filters : (L, n) float64
        What makes a detail of the displacements, scale by scale.
    thresholds : (L, R) float64
        Above 0.
    """
    details = (filters @ places.reshape(len(places), -1)).reshape(len(filters), -1, 2)
    sizes = np.hypot(details[..., 0], details[..., 1])
    doubt = doubts.max(axis=0)
    scores = np.partition(sizes / (thresholds * doubt), -2, axis=1)[:, -2]
    return MomentScores(sizes, scores, bool(np.isfinite(doubt).all()))
