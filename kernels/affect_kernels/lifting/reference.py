"""Lifting steps in NumPy.

Daubechies & Sweldens, "Factoring wavelet transforms into lifting steps", 1998: a signal is split
into even and odd samples; the odd ones are predicted from the even ones and keep the difference
(detail), the even ones are updated from the details and keep the average (approx). Every step is
undone by its own subtraction. At the ends the nearest sample stands in for the one that is missing,
which is whole-sample symmetric extension, as in JPEG 2000.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

from affect_kernels.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping

Array = NDArray[np.floating[Any]]


@dataclass(frozen=True, slots=True)
class Step:
    """One lifting step: the other band's samples n + shifts[k], weighted and added.

    Attributes
    ----------
    kind : {"predict", "update"}
        A prediction changes the detail by the approx, an update the approx by the detail.
    weights : tuple of float
    shifts : tuple of int
    """

    kind: Literal["predict", "update"]
    weights: tuple[float, ...]
    shifts: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Wavelet:
    """Lifting steps in order, then the scales of both bands."""

    name: str
    steps: tuple[Step, ...]
    approx_scale: float
    detail_scale: float


def _pair(kind: Literal["predict", "update"], weight: float) -> Step:
    """Return a step from the two samples around each one of the other band."""
    return Step(kind, (weight, weight), (0, 1) if kind == "predict" else (-1, 0))


_K97: Final = 1.149604398860241

WAVELETS: Final[Mapping[str, Wavelet]] = MappingProxyType({
    "haar": Wavelet(
        "haar",
        (Step("predict", (-1.0,), (0,)), Step("update", (0.5,), (0,))),
        sqrt(2.0), 1 / sqrt(2.0),
    ),
    "cdf53": Wavelet(
        "cdf53", (_pair("predict", -0.5), _pair("update", 0.25)), sqrt(2.0), 1 / sqrt(2.0)
    ),
    "cdf97": Wavelet(
        "cdf97",
        (
            _pair("predict", -1.586134342059924), _pair("update", -0.052980118572961),
            _pair("predict", 0.882911075530934), _pair("update", 0.443506852043971),
        ),
        _K97, 1 / _K97,
    ),
})  # fmt: skip
"""Haar, CDF 5/3 (LeGall) and CDF 9/7, in the scale that nearly keeps energies."""


def split(x: Array) -> tuple[Array, Array]:
    """Split (T, N, C) into even samples (ceil(T/2), N, C) and odd ones (floor(T/2), N, C).

    Raises
    ------
    UsageError
        Fewer than two slots, or not three axes.
    """
    if x.ndim != 3 or len(x) < 2:
        raise UsageError(
            thing="signal to split", got=str(x.shape), expected="(T, N, C) with T of 2 or more",
            hint="Time comes first.",
        )  # fmt: skip
    return x[0::2].copy(), x[1::2].copy()


def merge(approx: Array, detail: Array) -> Array:
    """Interleave even and odd samples: the inverse of :func:`split`."""
    if len(approx) - len(detail) not in (0, 1) or approx.shape[1:] != detail.shape[1:]:
        raise UsageError(
            thing="bands to merge", got=f"{approx.shape} and {detail.shape}",
            expected="as many details as approximations, or one fewer",
            hint="Merge what was split.",
        )  # fmt: skip
    x = np.empty((len(approx) + len(detail), *approx.shape[1:]), approx.dtype)
    x[0::2], x[1::2] = approx, detail
    return x


def predict(approx: Array, detail: Array, step: Step) -> Array:
    """Return the detail after a prediction step from the approx."""
    return detail + _weighted(approx, len(detail), step)


def update(approx: Array, detail: Array, step: Step) -> Array:
    """Return the approx after an update step from the detail."""
    return approx + _weighted(detail, len(approx), step)


def _weighted(band: Array, n: int, step: Step) -> Array:
    """Return the weighted samples of `band` around each of n samples of the other one."""
    index = np.arange(n)[:, None] + np.array(step.shifts)
    # Beyond an end lies a mirror image, whose first sample is the last one before the end.
    taken = band[np.clip(index, 0, len(band) - 1)]
    weights = np.array(step.weights, band.dtype)
    return np.einsum("k,tknc->tnc", weights, taken)  # type: ignore[no-any-return]


def analyse(x: Array, wavelet: Wavelet) -> tuple[Array, Array]:
    """Transform (T, N, C) into the bands of a classic wavelet: approx and detail."""
    approx, detail = split(x)
    for step in wavelet.steps:
        if step.kind == "predict":
            detail = predict(approx, detail, step)
        else:
            approx = update(approx, detail, step)
    return approx * x.dtype.type(wavelet.approx_scale), detail * x.dtype.type(wavelet.detail_scale)


def synthesise(approx: Array, detail: Array, wavelet: Wavelet) -> Array:
    """Invert :func:`analyse`."""
    approx = approx / approx.dtype.type(wavelet.approx_scale)
    detail = detail / detail.dtype.type(wavelet.detail_scale)
    for step in reversed(wavelet.steps):
        undone = Step(step.kind, tuple(-weight for weight in step.weights), step.shifts)
        if step.kind == "predict":
            detail = predict(approx, detail, undone)
        else:
            approx = update(approx, detail, undone)
    return merge(approx, detail)


def hat_weights(times: Array, slots: int) -> Array:
    """Return (k, T): how much of each slot is in a sample at a fractional time.

    As IFDD's published code samples, quirk included: time t in slots is read at
    t * T / (T - 1) - 1/2 and kept between the first and the last slot.

    Parameters
    ----------
    times : (k,) floating
        In slots, 0 = the first.
    slots : int
    """
    places = np.clip(times * (slots / (slots - 1)) - 0.5, 0, slots - 1)
    hats = np.maximum(1 - np.abs(places[:, None] - np.arange(slots)), 0)
    return np.asarray(hats, times.dtype)


def adaptive_split(x: Array, static: Array, dynamic: Array) -> tuple[Array, Array]:
    """ISSM: sample slots at learned fractional times instead of at even and odd ones.

    Parameters
    ----------
    x : (T, N, C) floating
    static, dynamic : (k,) floating
        Times of the samples of each part, in slots.

    Returns
    -------
    static, dynamic : (k, N, C)
    """
    flat = x.reshape(len(x), -1)
    return (
        (hat_weights(static, len(x)) @ flat).reshape(-1, *x.shape[1:]),
        (hat_weights(dynamic, len(x)) @ flat).reshape(-1, *x.shape[1:]),
    )
