"""The adaptive split compiled by numba: no array between the slots and the normed tokens.

Any number of threads may call at the same time; it spreads over none itself.
"""

from __future__ import annotations

from math import erf, exp, sqrt, tanh
from typing import Any

import numpy as np
from numpy.typing import NDArray

from affect_kernels.adaptive_split.reference import EPSILON, REACH, Bands, SplitWeights, check
from affect_kernels.compiled import compiled

Array = NDArray[np.floating[Any]]

_ROOT = sqrt(0.5)


@compiled()
def _see(x: Array, look: Array, look_bias: Array) -> Array:
    slots, tokens, channels = x.shape
    looks = len(look)
    seen = np.empty((slots, tokens * looks), x.dtype)
    for t in range(slots):
        for i in range(tokens):
            for k in range(looks):
                total = look_bias[k]
                for c in range(channels):
                    total += look[k, c] * x[t, i, c]
                seen[t, i * looks + k] = total * 0.5 * (1 + erf(total * _ROOT))
    return seen


@compiled()
def _shares(similarity: Array, sign: int, shares: Array) -> None:
    slots = len(similarity)
    for t in range(slots):
        most = sign * similarity[t, 0]
        for u in range(slots):
            most = max(most, sign * similarity[t, u])
        total = similarity.dtype.type(0)
        for u in range(slots):
            shares[t * slots + u] = exp(sign * similarity[t, u] - most)
            total += shares[t * slots + u]
        for u in range(slots):
            shares[t * slots + u] /= total


@compiled()
def _times(seen: Array, channels: int, to_approx: Array, to_detail: Array, times: Array) -> None:
    slots = len(seen)
    similarity = np.empty((slots, slots), seen.dtype)
    for t in range(slots):
        for u in range(slots):
            total = seen.dtype.type(0)
            for i in range(seen.shape[1]):
                total += seen[t, i] * seen[u, i]
            similarity[t, u] = total / channels
    shares = np.empty(slots * slots, seen.dtype)
    for band in range(2):
        _shares(similarity, 1 - 2 * band, shares)
        offsets = to_approx if band == 0 else to_detail
        for k in range(len(offsets)):
            total = seen.dtype.type(0)
            for i in range(slots * slots):
                total += offsets[k, i] * shares[i]
            times[band * len(to_approx) + k] = 2 * k + band + REACH * tanh(total)


@compiled()
def _sample(x: Array, times: Array, gain: Array, bias: Array, out: Array) -> None:
    slots, tokens, channels = x.shape
    for k in range(len(times)):
        place = min(max(times[k] * (slots / (slots - 1)) - 0.5, 0.0), slots - 1.0)
        first = min(int(place), slots - 2)
        late = x.dtype.type(place - first)
        early = x.dtype.type(1) - late
        for i in range(tokens):
            mean = x.dtype.type(0)
            for c in range(channels):
                value = early * x[first, i, c] + late * x[first + 1, i, c]
                out[k, i, c] = value
                mean += value
            mean /= channels
            variance = x.dtype.type(0)
            for c in range(channels):
                variance += (out[k, i, c] - mean) ** 2
            scale = x.dtype.type(1 / sqrt(variance / channels + EPSILON))
            for c in range(channels):
                out[k, i, c] = (out[k, i, c] - mean) * scale * gain[c] + bias[c]


def adaptive_split(x: Array, weights: SplitWeights) -> Bands:
    """As ``reference.adaptive_split``, of float32 or float64."""
    check(x, weights)
    look, look_bias, to_approx, to_detail, *norms = (
        np.ascontiguousarray(getattr(weights, name), x.dtype) for name in SplitWeights.__slots__
    )
    n, slots, tokens, channels = x.shape
    n_approx = len(to_approx)
    approx = np.empty((n, n_approx, tokens, channels), x.dtype)
    detail = np.empty((n, slots - n_approx, tokens, channels), x.dtype)
    times = np.empty((n, slots), x.dtype)
    for i, clip in enumerate(np.ascontiguousarray(x)):
        _times(_see(clip, look, look_bias), channels, to_approx, to_detail, times[i])
        _sample(clip, times[i, :n_approx], norms[0], norms[1], approx[i])
        _sample(clip, times[i, n_approx:], norms[2], norms[3], detail[i])
    return Bands(approx, detail, times)
