"""Pooled attention in NumPy.

Li et al., "MViTv2: Improved Multiscale Vision Transformers for Classification and Detection", 2022,
equations 3 to 5: to the scaled product of a query and a key come the products of the *unscaled*
query with one learned vector for each axis, chosen by how far apart both are along it; and the
pooled query is added to what was attended to. The class token has no place: its row and column get
no such products, and its output no query.
"""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from affect_kernels.errors import UsageError

Array = NDArray[np.floating[Any]]
Ints = NDArray[np.int64]
Grid = tuple[int, int, int]
"""Time slots, rows, columns."""
Tables = tuple[Array, Array, Array]
"""Of the axes t, h, w: (2 * max(queries, keys) - 1, C) each."""


def relative_rows(queries: int, keys: int) -> Ints:
    """Return (queries, keys): which row of an axis' table belongs to a pair of places.

    Where one of both grids is finer, a step on the coarser one counts as many.
    """
    fine_q, fine_k = max(keys // queries, 1), max(queries // keys, 1)
    i, j = np.arange(queries)[:, None], np.arange(keys)
    return i * fine_q + (keys - 1 - j) * fine_k


def check(  # noqa: PLR0913  (as the operation)
    q: Array, k: Array, v: Array, tables: Tables, grid_q: Grid, grid_k: Grid
) -> None:
    """Raise UsageError where tokens, tables and grids do not belong together."""
    n_q, n_k = 1 + prod(grid_q), 1 + prod(grid_k)
    fits = (
        q.ndim == 4
        and q.shape[2] == n_q
        and k.shape == v.shape == (*q.shape[:2], n_k, q.shape[3])
        and all(
            max(a, b) % min(a, b) == 0 and table.shape == (2 * max(a, b) - 1, q.shape[3])
            for a, b, table in zip(grid_q, grid_k, tables, strict=True)
        )
    )
    if not fits:
        raise UsageError(
            thing="tokens to attend",
            got=f"queries {q.shape} on {grid_q}, keys {k.shape} and values {v.shape} on {grid_k}, "
            f"tables {[table.shape for table in tables]}",
            expected=f"(n, heads, {n_q}, C), twice (n, heads, {n_k}, C), tables of 2 * max - 1 "
            "rows, and on every axis one size a multiple of the other",
            hint="The class token comes first, then the grid's places with time slowest.",
        )


def pooled_attention(  # noqa: PLR0913  (queries, keys, values and where they lie)
    q: Array, k: Array, v: Array, tables: Tables, grid_q: Grid, grid_k: Grid
) -> Array:
    """Attend, and add the queries to what came of their patches.

    Parameters
    ----------
    q : (n, heads, 1 + Tq*Hq*Wq, C) floating
        Pooled and normed, as k and v. Class token first, time slowest.
    k, v : (n, heads, 1 + Tk*Hk*Wk, C)
    tables : three of (2 * max(queries, keys) - 1, C)
        Learned vectors of the axes t, h and w.
    grid_q, grid_k : T, H, W
        On every axis one must be a multiple of the other.

    Returns
    -------
    (n, 1 + Tq*Hq*Wq, heads, C)
        New, of q's dtype; the heads of a token lie together, as the layer that follows reads them.

    Raises
    ------
    UsageError
        Shapes that do not belong together.
    """
    check(q, k, v, tables, grid_q, grid_k)
    n, heads, _, channels = q.shape
    logits = (q @ k.swapaxes(2, 3)) * q.dtype.type(channels**-0.5)
    patches = q[:, :, 1:].reshape(n, heads, *grid_q, channels)
    vectors = [
        table[relative_rows(a, b)] for a, b, table in zip(grid_q, grid_k, tables, strict=True)
    ]
    by_time = np.einsum("nathwc,tkc->nathwk", patches, vectors[0])
    by_row = np.einsum("nathwc,hkc->nathwk", patches, vectors[1])
    by_column = np.einsum("nathwc,wkc->nathwk", patches, vectors[2])
    bias = by_time[..., :, None, None] + by_row[..., None, :, None] + by_column[..., None, None, :]
    logits[:, :, 1:, 1:] += bias.reshape(n, heads, prod(grid_q), prod(grid_k))
    weights = np.exp(logits - logits.max(axis=-1, keepdims=True))
    out = (weights / weights.sum(axis=-1, keepdims=True)) @ v
    out[:, :, 1:] += q[:, :, 1:]
    return np.ascontiguousarray(out.swapaxes(1, 2))
