"""Launches of ``lifting.cu``: values, for a device or for the CPU harness of the tests."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from affect_kernels._launch import Launch, Reads, Writes, blocks
from affect_kernels.errors import UsageError

if TYPE_CHECKING:
    from affect_kernels.lifting.reference import Wavelet

Array = NDArray[np.floating[Any]]

SOURCE: Final = "lifting/lifting.cu"
THREADS: Final = 128
_KINDS: Final = {np.dtype(np.float32): ("f32", 4), np.dtype(np.float16): ("f16", 4)}


def analyse(x: Array, wavelet: Wavelet, *, in_place: bool = False) -> Launch:
    """Return the launch that does ``reference.analyse``.

    Parameters
    ----------
    x : (T, N, C) float32 or float16
        T >= 2; N * C >= 1.
    wavelet : Wavelet
    in_place : bool
        The bands take the place of x, approx in its even slots and detail in the odd ones.

    Returns
    -------
    Launch
        Writes ``bands`` (T, N, C); :func:`part` takes them apart.

    Raises
    ------
    UsageError
        Another shape or dtype, or steps that are not a wavelet's of this package.
    """
    suffix = _suffix(x.shape, x.dtype)
    return Launch(
        SOURCE, f"lifting_analyse_{suffix}", _grid(x.shape, suffix), THREADS,
        {
            "x": Reads(x[:0] if in_place else x),
            "bands": Writes.over(x) if in_place else Writes(x.shape, x.dtype),
            **_shape(x.shape, in_place=in_place),
            **_steps(wavelet, inverse=False),
        },
    )  # fmt: skip


def synthesise(approx: Array, detail: Array, wavelet: Wavelet) -> Launch:
    """Return the launch that does ``reference.synthesise``; it writes ``x`` (T, N, C)."""
    shape = (len(approx) + len(detail), *approx.shape[1:])
    if len(approx) - len(detail) not in (0, 1) or approx.shape[1:] != detail.shape[1:]:
        raise UsageError(
            thing="bands to merge", got=f"{approx.shape} and {detail.shape}",
            expected="as many details as approximations, or one fewer",
            hint="Merge what was split.",
        )  # fmt: skip
    suffix = _suffix(shape, approx.dtype)
    return Launch(
        SOURCE, f"lifting_synthesise_{suffix}", _grid(shape, suffix), THREADS,
        {
            "approx": Reads(approx), "detail": Reads(detail), "x": Writes(shape, approx.dtype),
            **_shape(shape, in_place=False), **_steps(wavelet, inverse=True),
        },
    )  # fmt: skip


def synthesise_in_place(bands: Array, wavelet: Wavelet) -> Launch:
    """Return the launch that puts the signal, ``x``, where interleaved bands (T, N, C) are."""
    suffix = _suffix(bands.shape, bands.dtype)
    return Launch(
        SOURCE, f"lifting_synthesise_{suffix}", _grid(bands.shape, suffix), THREADS,
        {
            "approx": Reads(bands[:0]), "detail": Reads(bands[:0]), "x": Writes.over(bands),
            **_shape(bands.shape, in_place=True), **_steps(wavelet, inverse=True),
        },
    )  # fmt: skip


def part(bands: Array, *, in_place: bool = False) -> tuple[Array, Array]:
    """Return views of the approx and the detail in what :func:`analyse` wrote."""
    if in_place:
        return bands[0::2], bands[1::2]
    middle = (len(bands) + 1) // 2
    return bands[:middle], bands[middle:]


def _suffix(shape: tuple[int, ...], dtype: np.dtype[Any]) -> str:
    """Return which form of a kernel fits an array."""
    kind = _KINDS.get(dtype)
    if kind is None or len(shape) != 3 or shape[0] < 2:
        raise UsageError(
            thing="signal to lift on a GPU", got=f"{shape} {dtype}",
            expected="(T, N, C) with T of 2 or more, float32 or float16", hint="Time comes first.",
        )  # fmt: skip
    name, width = kind
    return f"{name}_v{width if shape[1] * shape[2] % width == 0 else 1}"


def _grid(shape: tuple[int, ...], suffix: str) -> tuple[int, int, int]:
    return blocks(shape[1] * shape[2], THREADS * int(suffix[-1])), 1, 1


def _shape(shape: tuple[int, ...], *, in_place: bool) -> dict[str, np.generic]:
    return {
        "columns": np.int64(shape[1] * shape[2]),
        "slots": np.int32(shape[0]),
        "in_place": np.int32(in_place),
    }


def _steps(wavelet: Wavelet, *, inverse: bool) -> dict[str, np.generic]:
    """Lay a wavelet's steps out: pairs of a predict and an update, over one or two samples."""
    steps = wavelet.steps
    paired = len(steps[0].weights) == 2
    shifts = {"predict": (0, 1), "update": (-1, 0)} if paired else {"predict": (0,), "update": (0,)}
    fits = len(steps) == 2 or (paired and len(steps) == 4)
    for step, kind in zip(steps, ("predict", "update") * 2, strict=False):
        fits = fits and step.kind == kind and step.shifts == shifts[kind]
        fits = fits and len(set(step.weights)) == 1
    if not fits:
        raise UsageError(
            thing=f"wavelet {wavelet.name!r} on a GPU", got=str(steps),
            expected="one or two pairs of predict and update, symmetric",
            hint="Use the reference or the compiled form.",
        )  # fmt: skip
    weights = [step.weights[0] for step in steps] + [0.0] * (4 - len(steps))
    scales = wavelet.approx_scale, wavelet.detail_scale
    if inverse:
        scales = 1 / scales[0], 1 / scales[1]
    return {
        **{f"weight{k}": np.float32(weight) for k, weight in enumerate(weights)},
        "approx_scale": np.float32(scales[0]),
        "detail_scale": np.float32(scales[1]),
        "stages": np.int32(len(steps) // 2),
        "paired": np.int32(paired),
    }
