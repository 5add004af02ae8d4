"""Launches of ``pooled_attention.cu``: values, for a device or for the CPU harness of the tests."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from affect_kernels._launch import Launch, Reads, Writes, blocks
from affect_kernels.errors import UsageError
from affect_kernels.pooled_attention.reference import Grid, Tables, check

Array = NDArray[np.floating[Any]]

SOURCE: Final = "pooled_attention/pooled_attention.cu"
THREADS: Final = 128
CHANNELS: Final = 96
_QUERIES: Final = {"f16": 64, "f32": 32}
_PLACES: Final = (32, 48)


def attend(  # noqa: PLR0913  (as the plain form)
    q: Array, k: Array, v: Array, tables: Tables, grid_q: Grid, grid_k: Grid
) -> Launch:
    """Return the launch that does ``reference.pooled_attention``; it writes ``out``.

    Parameters
    ----------
    q, k, v : (n, heads, tokens, 96) float32 or float16
    tables, grid_q, grid_k
        As the plain form takes them. The keys' grid has 48 places in t, h and w together, at most.

    Raises
    ------
    UsageError
        Another shape or dtype.
    """
    check(q, k, v, tables, grid_q, grid_k)
    kind = {np.dtype(np.float32): "f32", np.dtype(np.float16): "f16"}.get(q.dtype)
    alike = {part.dtype for part in (q, k, v, *tables)} == {q.dtype}
    places = sum(grid_k)
    if kind is None or not alike or q.shape[3] != CHANNELS or places > _PLACES[-1]:
        raise UsageError(
            thing="tokens to attend on a GPU",
            got=f"{q.shape} {q.dtype}, {places} places, {'one dtype' if alike else 'mixed dtypes'}",
            expected=f"{CHANNELS} channels, all float32 or all float16, {_PLACES[-1]} places at "
            "most",
            hint="Use the reference or the compiled form.",
        )
    n, heads, tokens, channels = q.shape
    form = "f32" if kind == "f32" else f"f16_p{next(p for p in _PLACES if p >= places)}"
    sizes = {
        "heads": heads, "queries": tokens, "keys": k.shape[2],
        **{f"q_{axis}": size for axis, size in zip("thw", grid_q, strict=True)},
        **{f"k_{axis}": size for axis, size in zip("thw", grid_k, strict=True)},
    }  # fmt: skip
    return Launch(
        SOURCE, f"pooled_attention_{form}", (blocks(tokens, _QUERIES[kind]), n * heads, 1), THREADS,
        {
            "q": Reads(q), "k": Reads(k), "v": Reads(v),
            **{f"table_{axis}": Reads(t) for axis, t in zip("thw", tables, strict=True)},
            "out": Writes((n, tokens, heads, channels), q.dtype),
            **{name: np.int32(size) for name, size in sizes.items()},
        },
    )  # fmt: skip
