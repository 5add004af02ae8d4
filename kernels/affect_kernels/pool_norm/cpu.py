"""Pooling and norm compiled by numba: each token is summed, normed and written once.

The plain form passes 27 times over all tokens. Here a token's channels stay in the first cache from
the first tap to the norm. Any number of threads may call at the same time.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from affect_kernels.compiled import compiled
from affect_kernels.pool_norm.reference import EPS, Grid, check, pooled_grid

Array = NDArray[np.floating[Any]]


@compiled()
def _pool(  # noqa: PLR0913  (compiled code takes arrays, not objects)
    x: Array, kernel: Array, slots: int, height: int, width: int, rows: int, columns: int,
    stride: int, eps: float, out: Array,
) -> None:  # fmt: skip
    """Fill (n, heads, tokens, C) with pooled tokens of mean 0 and variance 1."""
    n, _, heads, channels = x.shape
    for line in range(n * heads * out.shape[2]):
        i, head = line // out.shape[2] // heads, line // out.shape[2] % heads
        place = line % out.shape[2] - 1
        row = out[i, head, place + 1]
        w = place % columns * stride
        h = place // columns % rows * stride
        t = place // columns // rows
        for channel in range(channels):
            row[channel] = x[i, 0, head, channel] if place < 0 else 0
        for tap in range(27 if place >= 0 else 0):
            a, b, c = t + tap // 9 - 1, h + tap // 3 % 3 - 1, w + tap % 3 - 1
            if 0 <= a < slots and 0 <= b < height and 0 <= c < width:
                source = 1 + (a * height + b) * width + c
                for channel in range(channels):
                    row[channel] += kernel[tap, channel] * x[i, source, head, channel]
        mean = row.dtype.type(0)
        for channel in range(channels):
            mean += row[channel]
        mean /= row.dtype.type(channels)
        spread = row.dtype.type(0)
        for channel in range(channels):
            row[channel] -= mean
            spread += row[channel] * row[channel]
        factor = row.dtype.type(1 / np.sqrt(spread / channels + eps))
        for channel in range(channels):
            row[channel] *= factor


def pool_norm(  # noqa: PLR0913  (as the plain form)
    x: Array, kernel: Array, scale: Array, shift: Array, grid: Grid, stride: int, eps: float = EPS
) -> Array:
    """As ``reference.pool_norm``; float16 is computed in float32."""
    check(x, kernel, grid, stride)
    dtype: type[np.floating[Any]] = np.float64 if x.dtype == np.float64 else np.float32
    _, rows, columns = pooled_grid(grid, stride)
    out = np.empty((x.shape[0], x.shape[2], 1 + grid[0] * rows * columns, x.shape[3]), dtype)
    taps: Array = np.ascontiguousarray(kernel, dtype).reshape(27, -1)
    _pool(np.ascontiguousarray(x, dtype), taps, *grid, rows, columns, stride, eps, out)
    out *= scale.astype(dtype, copy=False)
    out += shift.astype(dtype, copy=False)
    return out.astype(x.dtype, copy=False)
