"""Pooled attention a few dozen queries at a time, biases and softmax compiled by numba.

The plain form holds all logits and all biases at once, which for the published IFDD's second block
is 80 MB each; here those of a few queries stay in cache. Products are BLAS's. Any number of threads
may call at the same time.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from affect_kernels.compiled import compiled
from affect_kernels.pooled_attention.reference import Grid, Tables, check, relative_rows

Array = NDArray[np.floating[Any]]
Ints = NDArray[np.int64]

_QUERIES = 48


@compiled()
def _share(  # noqa: PLR0913  (compiled code takes arrays, not objects)
    logits: Array, by_time: Array, by_row: Array, by_column: Array, first: int, scale: float
) -> None:
    """Replace scalar products (m, keys) of queries from `first` on by softmax of their logits.

    The other arrays are what places add: (m, slots), (m, rows), (m, columns) of the keys' grid.
    """
    factor = logits.dtype.type(scale)
    slots, height, width = by_time.shape[1], by_row.shape[1], by_column.shape[1]
    for a in range(logits.shape[0]):
        line = logits[a]
        peak = line[0] * factor
        line[0] = peak
        at = 1
        for t in range(slots):
            for h in range(height):
                both = by_time[a, t] + by_row[a, h]
                for w in range(width):
                    bias = both + by_column[a, w] if first + a > 0 else logits.dtype.type(0)
                    line[at] = line[at] * factor + bias
                    peak = max(peak, line[at])
                    at += 1
        total = logits.dtype.type(0)
        for j in range(len(line)):
            line[j] = np.exp(line[j] - peak)
            total += line[j]
        for j in range(len(line)):
            line[j] /= total


def _places(grid: Grid) -> tuple[Ints, Ints, Ints]:
    """Return the t, h and w of each token of a grid; of the class token, zeros."""
    t, h, w = np.indices(grid).reshape(3, -1)
    return tuple(np.concatenate([[0], axis]) for axis in (t, h, w))  # type: ignore[return-value]


def pooled_attention(  # noqa: PLR0913  (as the plain form)
    q: Array, k: Array, v: Array, tables: Tables, grid_q: Grid, grid_k: Grid
) -> Array:
    """As ``reference.pooled_attention``; float16 is computed in float32."""
    check(q, k, v, tables, grid_q, grid_k)
    dtype = np.float64 if q.dtype == np.float64 else np.float32
    queries, keys, values = (part.astype(dtype, copy=False) for part in (q, k, v))
    n, heads, tokens, channels = q.shape
    out = np.empty((n, tokens, heads, channels), dtype)
    rows = [relative_rows(a, b) for a, b in zip(grid_q, grid_k, strict=True)]
    places = _places(grid_q)
    for i in range(n):
        for head in range(heads):
            for first in range(0, tokens, _QUERIES):
                some = np.s_[first : first + _QUERIES]
                own = queries[i, head, some]
                # A table has a row for each distance: all products, then those of this place.
                near = [
                    np.take_along_axis(own @ table.T.astype(dtype, copy=False), row[place[some]], 1)
                    for table, row, place in zip(tables, rows, places, strict=True)
                ]
                logits = own @ keys[i, head].T
                _share(logits, near[0], near[1], near[2], first, channels**-0.5)
                mixed = logits @ values[i, head]
                mixed[int(first == 0) :] += own[int(first == 0) :]
                out[i, some, head] = mixed
    return out.astype(q.dtype, copy=False)
