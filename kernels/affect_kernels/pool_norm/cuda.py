"""Launches of ``pool_norm.cu``: values, for a device or for the CPU harness of the tests."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from affect_kernels._launch import Launch, Reads, Writes, blocks
from affect_kernels.errors import UsageError
from affect_kernels.pool_norm.reference import EPS, Grid, check, pooled_grid

Array = NDArray[np.floating[Any]]

SOURCE: Final = "pool_norm/pool_norm.cu"
THREADS: Final = 128
CHANNELS: Final = 96
_RUN: Final = {True: 4, False: 2}  # outputs of an item, by whether the stride is 1
_ITEMS: Final = THREADS // 8  # of a block at once
_ROUNDS: Final = 4  # a block's weights serve so many times, where there is enough to do
_MANY: Final = 2048  # blocks: enough for the largest card


def pool(  # noqa: PLR0913  (as the plain form)
    projected: Array, part: int, kernel: Array, scale: Array, shift: Array, grid: Grid,
    stride: int, eps: float = EPS,
) -> Launch:  # fmt: skip
    """Return the launch that does ``reference.pool_norm`` of ``projected[:, :, part]``.

    Parameters
    ----------
    projected : (n, 1 + T*H*W, parts, heads, 96) float32 or float16
        Queries, keys and values as one projection made them.
    part : int
        Which of them.
    kernel, scale, shift, grid, stride, eps
        As the plain form takes them; arrays of the projection's dtype.

    Returns
    -------
    Launch
        Writes ``out`` (n, heads, 1 + T*H'*W', 96).

    Raises
    ------
    UsageError
        Another shape or dtype.
    """
    kind = {np.dtype(np.float32): "f32", np.dtype(np.float16): "f16"}.get(projected.dtype)
    alike = {a.dtype for a in (projected, kernel, scale, shift)} == {projected.dtype}
    fits = projected.ndim == 5 and projected.shape[4] == CHANNELS
    if kind is None or not alike or not fits or not 0 <= part < projected.shape[2]:
        raise UsageError(
            thing="projection to pool on a GPU",
            got=f"{projected.shape} {projected.dtype}, part {part}",
            expected=f"(n, tokens, parts, heads, {CHANNELS}), all float32 or all float16, and one "
            "of the parts",
            hint="Use the reference or the compiled form.",
        )
    check(projected[:, :, part], kernel, grid, stride)
    n, _, parts, heads, _ = projected.shape
    _, rows, columns = pooled_grid(grid, stride)
    at_once = blocks(1 + grid[0] * rows * blocks(columns, _RUN[stride == 1]), _ITEMS)
    across = blocks(at_once, _ROUNDS) if at_once * n * heads > _MANY else at_once
    sizes = {
        "parts": parts, "part": part, "heads": heads, "slots": grid[0], "height": grid[1],
        "width": grid[2], "rows": rows, "columns": columns, "stride": stride,
    }  # fmt: skip
    return Launch(
        SOURCE, f"pool_norm_{kind}{'_s1' if stride == 1 else ''}", (across, n * heads, 1), THREADS,
        {
            "x": Reads(projected), "kernel": Reads(kernel), "scale": Reads(scale),
            "shift": Reads(shift),
            "out": Writes((n, heads, 1 + grid[0] * rows * columns, CHANNELS), projected.dtype),
            **{name: np.int32(size) for name, size in sizes.items()},
            "eps": np.float32(eps),
        },
    )  # fmt: skip
