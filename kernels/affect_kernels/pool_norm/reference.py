"""Depthwise pooling with a class token that passes by, in NumPy.

Li et al., "MViTv2: Improved Multiscale Vision Transformers for Classification and Detection", 2022,
section 3: queries, keys and values of every head are pooled by a depthwise convolution with a
stride, then normed. Fan et al. (MViT, 2021) let the class token pass unpooled; it is normed too.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from affect_kernels.errors import UsageError

Array = NDArray[np.floating[Any]]
Grid = tuple[int, int, int]
"""Time slots, rows, columns."""

EPS: Final = 1e-6


def pooled_grid(grid: Grid, stride: int) -> Grid:
    """Return the grid that is left by a kernel of three and one place of padding."""
    return grid[0], (grid[1] - 1) // stride + 1, (grid[2] - 1) // stride + 1


def layer_norm(x: Array, scale: Array, shift: Array, eps: float) -> Array:
    """Norm the last axis to mean 0 and variance 1, then scale and shift it."""
    mean = x.mean(axis=-1, keepdims=True)
    centred = x - mean
    variance = (centred * centred).mean(axis=-1, keepdims=True)
    normed: Array = centred / np.sqrt(variance + x.dtype.type(eps)) * scale + shift
    return normed


def check(x: Array, kernel: Array, grid: Grid, stride: int) -> None:
    """Raise UsageError where tokens, kernel, grid and stride do not belong together."""
    tokens = 1 + grid[0] * grid[1] * grid[2]
    fits = x.ndim == 4 and x.shape[1] == tokens and kernel.shape == (3, 3, 3, x.shape[3])
    if not fits or stride < 1 or min(grid) < 1:
        raise UsageError(
            thing="tokens to pool",
            got=f"{x.shape}, kernel {kernel.shape}, grid {grid}, stride {stride}",
            expected=f"(n, {tokens}, heads, C), kernel (3, 3, 3, C), a positive stride",
            hint="The class token comes first, then the grid's places with time slowest.",
        )


def pool_norm(  # noqa: PLR0913  (a convolution and a norm)
    x: Array, kernel: Array, scale: Array, shift: Array, grid: Grid, stride: int, eps: float = EPS
) -> Array:
    """Pool the patches of every head in space and time, and norm all tokens.

    Parameters
    ----------
    x : (n, 1 + T*H*W, heads, C) floating
        Class token first, time slowest; may be one of the three parts of a projection
        (n, tokens, 3, heads, C) as it lies.
    kernel : (3, 3, 3, C)
        In time, rows, columns; shared by the heads. Outside the grid lies zero.
    scale, shift : (C,)
        Of the norm.
    grid : T, H, W
    stride : int
        In rows and columns; 1 in time.
    eps : float
        Added to the variance.

    Returns
    -------
    (n, heads, 1 + T*H'*W', C)
        New, of x's dtype; H' and W' as :func:`pooled_grid` says.

    Raises
    ------
    UsageError
        Shapes that do not belong together.
    """
    check(x, kernel, grid, stride)
    n, _, heads, channels = x.shape
    t, h, w = grid
    _, rows, columns = pooled_grid(grid, stride)
    padded = np.zeros((n, t + 2, h + 2, w + 2, heads, channels), x.dtype)
    padded[:, 1:-1, 1:-1, 1:-1] = x[:, 1:].reshape(n, t, h, w, heads, channels)
    pooled = np.zeros((n, t, rows, columns, heads, channels), x.dtype)
    reach_rows, reach_columns = stride * (rows - 1) + 1, stride * (columns - 1) + 1
    for i, j, k in np.ndindex(3, 3, 3):
        pooled += (
            kernel[i, j, k]
            * padded[:, i : i + t, j : j + reach_rows : stride, k : k + reach_columns : stride]
        )
    tokens = np.concatenate([x[:, :1], pooled.reshape(n, -1, heads, channels)], axis=1)
    return np.ascontiguousarray(layer_norm(tokens, scale, shift, eps).transpose(0, 2, 1, 3))
