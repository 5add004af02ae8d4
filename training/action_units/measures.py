"""Lengths on a face that the FACS manual (Ekman, Friesen & Hager, 2002) speaks of, in millimetres.

Given to the network beside what it finds in the mesh itself: the sum of a brow's points says more
than any of them, and need not be learned.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from realtime_affect.landmarks import (
    EYE_LIDS,
    LEFT_EYE_CORNERS,
    OUTER_EYE_CORNERS,
    RIGHT_EYE_CORNERS,
)
from realtime_affect.types import N_MESH_POINTS

Float32 = NDArray[np.float32]
Float64 = NDArray[np.float64]

X, Y = 0, 1
_Terms = list[tuple[list[int], int, float]]


def _above(low: list[int], high: list[int]) -> _Terms:
    """Mean height of points `high` over points `low`; y grows downwards."""
    return [(low, Y, 1.0), (high, Y, -1.0)]


def _across(right: int, left: int) -> _Terms:
    """Width from a point to one that lies more to the person's left."""
    return [([left], X, 1.0), ([right], X, -1.0)]


_EYE_LINE = [*RIGHT_EYE_CORNERS, *LEFT_EYE_CORNERS]
_OUTER_CORNERS = list(OUTER_EYE_CORNERS)
_INNER_CORNERS = [RIGHT_EYE_CORNERS[1], LEFT_EYE_CORNERS[0]]
_RIGHT_LIDS, _LEFT_LIDS = ((list(lower), list(upper)) for lower, upper in EYE_LIDS)
_LOWER_LIDS, _UPPER_LIDS = (
    right + left for right, left in zip(_RIGHT_LIDS, _LEFT_LIDS, strict=True)
)
_SUBNASALE = [2]
_LIP_CORNERS = [61, 291]

_MEASURES: Final[dict[str, _Terms]] = {
    "inner_brow": _above(_EYE_LINE, [107, 55, 66, 65, 336, 285, 296, 295]),
    "outer_brow": _above(_OUTER_CORNERS, [70, 46, 63, 53, 300, 276, 293, 283]),
    "brow_gap": _across(55, 285),
    "upper_lid": _above(_EYE_LINE, _UPPER_LIDS),
    "lower_lid": _above(_EYE_LINE, _LOWER_LIDS),
    "cheek": _above(_OUTER_CORNERS, [50, 101, 117, 118, 280, 330, 346, 347]),
    "nose_wing": _above(_INNER_CORNERS, [48, 64, 98, 278, 294, 327]),
    "upper_lip": _above(_SUBNASALE, [0]),
    "corner_out": [([291], X, 0.5), ([61], X, -0.5)],
    "corner_up": _above(_SUBNASALE, _LIP_CORNERS),
    "lip_gap": _above([14, 87, 317], [13, 82, 312]),
    "upper_red": _above([13], [0]),
    "lower_red": _above([17], [14]),
    "chin": _above(_SUBNASALE, [175, 199, 200]),
    "jaw": _above(_SUBNASALE, [152]),
    "right_eye_gap": _above(*_RIGHT_LIDS),
    "left_eye_gap": _above(*_LEFT_LIDS),
    "right_eye_width": _across(*RIGHT_EYE_CORNERS),
    "left_eye_width": _across(*LEFT_EYE_CORNERS),
}

MEASURES: Final = tuple(_MEASURES)
"""Names of the rows of :func:`measure_matrix`."""


def _weights() -> Float32:
    """Return (m, 468): how much each point counts in each measure."""
    weights = np.zeros((len(_MEASURES), N_MESH_POINTS), np.float32)
    for row, terms in zip(weights, _MEASURES.values(), strict=True):
        for points, _, sign in terms:
            row[points] += sign / len(points)
    return weights


_WEIGHTS: Final = _weights()
_AXES: Final = np.array([terms[0][1] for terms in _MEASURES.values()])


def measure_matrix() -> Float64:
    """Return (m, 1404): all measures as one linear map of points (468, 3) turned to the front."""
    matrix = np.zeros((len(_MEASURES), N_MESH_POINTS, 3))
    matrix[np.arange(len(_MEASURES)), :, _AXES] = _WEIGHTS
    return matrix.reshape(len(_MEASURES), -1)
