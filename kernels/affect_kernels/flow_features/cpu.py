"""Optical strain and HTNet's composition compiled by numba, one pass over the pixels.

The plain form makes an array for each derivative, and the composed one a copy of all features. Any
number of threads may call at the same time.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from affect_kernels.compiled import compiled
from affect_kernels.flow_features.reference import check_corners, check_flow

if TYPE_CHECKING:
    from collections.abc import Sequence

Array = NDArray[np.floating[Any]]


@compiled(inline=True)
def _strain(flow: Array, row: int, column: int) -> Any:
    """Return the strain at a place of a flow (H, W, 2)."""
    height, width, _ = flow.shape
    above, below = max(row - 1, 0), min(row + 1, height - 1)
    left, right = max(column - 1, 0), min(column + 1, width - 1)
    down, across = flow.dtype.type(1 / (below - above)), flow.dtype.type(1 / (right - left))
    u_x = (flow[row, right, 0] - flow[row, left, 0]) * across
    v_x = (flow[row, right, 1] - flow[row, left, 1]) * across
    u_y = (flow[below, column, 0] - flow[above, column, 0]) * down
    v_y = (flow[below, column, 1] - flow[above, column, 1]) * down
    shear = u_y + v_x
    return np.sqrt(u_x * u_x + v_y * v_y + flow.dtype.type(0.5) * shear * shear)


@compiled()
def _features(flow: Array, out: Array) -> None:
    n, height, width, _ = flow.shape
    for i in range(n):
        for row in range(height):
            for column in range(width):
                out[i, row, column, 0] = flow[i, row, column, 0]
                out[i, row, column, 1] = flow[i, row, column, 1]
                out[i, row, column, 2] = _strain(flow[i], row, column)


@compiled()
def _composed(flow: Array, corners: NDArray[np.int64], out: Array) -> None:
    n, side = flow.shape[:2]
    half = side // 2
    for i in range(n):
        for row in range(side):
            for column in range(side):
                crop = row // half * 2 + column // half
                y = corners[i, crop, 0] - half // 2 + row % half
                x = corners[i, crop, 1] - half // 2 + column % half
                out[i, row, column, 0] = flow[i, y, x, 0]
                out[i, row, column, 1] = flow[i, y, x, 1]
                out[i, row, column, 2] = _strain(flow[i], y, x)


def _working(flow: Array) -> Array:
    """Return a flow as it is computed with: float16 in float32."""
    return np.ascontiguousarray(flow, np.float64 if flow.dtype == np.float64 else np.float32)


def flow_features(flow: Array) -> Array:
    """As ``reference.flow_features``."""
    check_flow(flow)
    working = _working(flow)
    out = np.empty((*flow.shape[:3], 3), working.dtype)
    _features(working, out)
    return out.astype(flow.dtype, copy=False)


def composed_features(flow: Array, corners: NDArray[np.integer[Any]] | Sequence[Any]) -> Array:
    """As ``reference.composed_features``: strain is computed where it is looked at, only there."""
    check_flow(flow)
    at = check_corners(flow, corners).astype(np.int64)
    working = _working(flow)
    out = np.empty((*flow.shape[:3], 3), working.dtype)
    _composed(working, at, out)
    return out.astype(flow.dtype, copy=False)
