"""The adaptive split in NumPy.

Zhang et al., "Lifting Scheme-Based Implicit Disentanglement of Emotion-Related Facial Dynamics in
the Wild", AAAI 2025: where a wavelet takes even and odd samples, the ISSM compares the slots of a
clip and samples some that resemble the others (static, the approx) and some that differ (dynamic,
the detail), at fractional times that it learned. As in the published code (CyberPegasus/IFDD at
1a1f557), its reading of times included: see ``lifting.hat_weights``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import erf

from affect_kernels.errors import UsageError
from affect_kernels.lifting.reference import hat_weights

Array = NDArray[np.floating[Any]]

REACH: Final = 2.0
"""Slots by which a sample may leave its anchor."""

EPSILON: Final = 1e-5
"""Of the layer norms."""


@dataclass(frozen=True, slots=True)
class SplitWeights:
    """What was learned.

    Attributes
    ----------
    look, look_bias : (L, C), (L,)
        Channels in which slots are compared.
    approx_offsets, detail_offsets : (ceil(T/2), T*T), (floor(T/2), T*T)
        From similarities to times.
    approx_gain, approx_bias, detail_gain, detail_bias : (C,)
        Of the layer norms.
    """

    look: Array
    look_bias: Array
    approx_offsets: Array
    detail_offsets: Array
    approx_gain: Array
    approx_bias: Array
    detail_gain: Array
    detail_bias: Array


class Bands(NamedTuple):
    """What a clip was split into.

    Attributes
    ----------
    approx : (n, ceil(T/2), N, C)
    detail : (n, floor(T/2), N, C)
    times : (n, T)
        Where they were sampled, in slots: first the approx, then the detail.
    """

    approx: Array
    detail: Array
    times: Array


def check(x: Array, weights: SplitWeights) -> None:
    """Raise UsageError where clips and weights do not belong together."""
    slots, channels = (x.shape[1], x.shape[3]) if x.ndim == 4 else (0, 0)
    looks = len(weights.look)
    wanted = [
        (looks, channels), (looks,), ((slots + 1) // 2, slots**2), (slots // 2, slots**2),
        *[(channels,)] * 4,
    ]  # fmt: skip
    found = [getattr(weights, name).shape for name in SplitWeights.__slots__]
    if slots < 2 or found != wanted:
        raise UsageError(
            thing="clips to split", got=f"{x.shape} with weights {found}",
            expected=f"(n, T, N, C) with T of 2 or more, and weights {wanted}",
            hint="The weights tell how many slots and channels they are for.",
        )  # fmt: skip


def adaptive_split(x: Array, weights: SplitWeights) -> Bands:
    """Split clips (n, T, N, C) of any floating dtype; the bands are of the same.

    Raises
    ------
    UsageError
        Weights for other slots or channels.
    """
    check(x, weights)
    dtype = x.dtype
    look, look_bias, to_approx, to_detail, *norms = (
        getattr(weights, name).astype(dtype) for name in SplitWeights.__slots__
    )
    n, slots = x.shape[:2]
    seen = _gelu(x @ look.T + look_bias).reshape(n, slots, -1)
    similarity = seen @ seen.swapaxes(1, 2) / dtype.type(x.shape[3])
    approx_times = _times(similarity, to_approx, 0)
    detail_times = _times(-similarity, to_detail, 1)
    return Bands(
        _norm(_sample(x, approx_times), norms[0], norms[1]),
        _norm(_sample(x, detail_times), norms[2], norms[3]),
        np.concatenate([approx_times, detail_times], axis=1),
    )


def _gelu(x: Array) -> Array:
    half, root = x.dtype.type(0.5), x.dtype.type(2.0**-0.5)
    return x * half * (1 + erf(x * root).astype(x.dtype))  # type: ignore[no-any-return]


def _times(similarity: Array, offsets: Array, first: int) -> Array:
    """Return the times (n, k) of samples anchored at the slots first, first + 2, ..."""
    shares = np.exp(similarity - similarity.max(axis=2, keepdims=True))
    shares /= shares.sum(axis=2, keepdims=True)
    moved = np.tanh(shares.reshape(len(shares), -1) @ offsets.T)
    anchors = first + 2 * np.arange(len(offsets))
    return anchors.astype(moved.dtype) + moved.dtype.type(REACH) * moved  # type: ignore[no-any-return]


def _sample(x: Array, times: Array) -> Array:
    n, slots = x.shape[:2]
    flat = x.reshape(n, slots, -1)
    parts = [hat_weights(at, slots) @ clip for at, clip in zip(times, flat, strict=True)]
    return np.stack(parts).reshape(n, times.shape[1], *x.shape[2:])


def _norm(x: Array, gain: Array, bias: Array) -> Array:
    centred = x - x.mean(axis=3, keepdims=True)
    variance = (centred * centred).mean(axis=3, keepdims=True)
    normed: Array = centred / np.sqrt(variance + x.dtype.type(EPSILON)) * gain + bias
    return normed
