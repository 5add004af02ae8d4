"""Separable blocks in plain NumPy: layer after layer, nothing shared, nothing packed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    Float16 = NDArray[np.float16]
    Float32 = NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class Layer:
    """One layer: ``prelu(conv(depthwise(x)) + bias + skip)``.

    Attributes
    ----------
    source, target : int
        Of the maps that it reads and makes.
    size : (int, int)
        Height and width of what it makes.
    stride : int
        Of the depthwise convolution where there is one, else of the other.
    before : int
        Rows and columns of zeros before the first ones of the source; behind the last ones there
        are as many as are needed.
    weight : (kh, kw, c, n) float16
        Of the convolution; 1x1 after a depthwise one.
    bias : (n,) float32
    slope : (n,) float32
        Of negative values; 1 = no activation.
    depthwise : (10, c) float32, optional
        Bias, then the 3x3 weights row by row.
    skip : int, optional
        Map that is added. With fewer channels than `n`, the others get nothing.
    pooled : bool
        Whether the skip is twice as high and wide, and the largest of each 2x2 is added.
    """

    source: int
    target: int
    size: tuple[int, int]
    stride: int
    before: int
    weight: Float16
    bias: Float32
    slope: Float32
    depthwise: Float32 | None = None
    skip: int | None = None
    pooled: bool = False


def run_layers(layers: Sequence[Layer], maps: Mapping[int, Float32]) -> dict[int, Float32]:
    """Run layers in their order.

    Parameters
    ----------
    layers : sequence of Layer
    maps : mapping of int to (H, W, c) float32
        What the first ones read.

    Returns
    -------
    dict of int to (h, w, n) float32
        Every map, those given and those made.
    """
    known = dict(maps)
    for layer in layers:
        skip = None if layer.skip is None else known[layer.skip]
        known[layer.target] = _run(layer, known[layer.source], skip)
    return known


def _run(layer: Layer, x: Float32, skip: Float32 | None) -> Float32:
    weight = layer.weight.astype(np.float32)
    stride, before = layer.stride, layer.before
    if layer.depthwise is not None:
        bias, weights = layer.depthwise[0], layer.depthwise[1:].reshape(3, 3, -1)
        seen = _windows(x, 3, 3, stride, before, layer.size)
        x = np.einsum("yxcij,ijc->yxc", seen, weights) + bias
        stride, before = 1, 0
    kh, kw, _, _ = weight.shape
    seen = _windows(x, kh, kw, stride, before, layer.size)
    made = np.einsum("yxcij,ijcn->yxn", seen, weight) + layer.bias
    if skip is not None:
        if layer.pooled:
            height, width = layer.size
            skip = skip.reshape(height, 2, width, 2, -1).max(axis=(1, 3))
        made[..., : skip.shape[2]] += skip
    bent: Float32 = np.where(made < 0.0, made * layer.slope, made).astype(np.float32)
    return bent


def _windows(  # noqa: PLR0913  (a convolution's six numbers)
    x: Float32, kh: int, kw: int, stride: int, before: int, size: tuple[int, int]
) -> NDArray[Any]:
    """Return what each place of a convolution's result sees, (h, w, c, kh, kw)."""
    behind = [
        max(0, (n - 1) * stride + k - before - have)
        for n, k, have in zip(size, (kh, kw), x.shape, strict=False)
    ]
    padded = np.pad(x, ((before, behind[0]), (before, behind[1]), (0, 0)))
    windows: NDArray[Any] = np.lib.stride_tricks.sliding_window_view(padded, (kh, kw), axis=(0, 1))
    return windows[::stride, ::stride][: size[0], : size[1]]
