"""Lifting steps compiled by numba, in place, one cache line of tokens at a time.

The plain form makes an array a step. Here every column of a block of tokens goes through all steps
while it is in the cache: the signal is read once and the bands are written once. Any number of
threads may call at the same time.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from affect_kernels.compiled import compiled
from affect_kernels.lifting.reference import Wavelet, hat_weights
from affect_kernels.lifting.reference import split as _check

Array = NDArray[np.floating[Any]]
Ints = NDArray[np.int64]

_BLOCK = 64  # floats: four cache lines a slot


@compiled()
def _lift(  # noqa: PLR0913  (compiled code takes arrays, not objects)
    approx: Array, detail: Array, kinds: Ints, weights: Array, shifts: Ints, counts: Ints,
    scales: Array,
) -> None:  # fmt: skip
    n_approx, width = approx.shape
    n_detail = detail.shape[0]
    for first in range(0, width, _BLOCK):
        last = min(first + _BLOCK, width)
        for s in range(len(kinds)):
            to, by = (detail, approx) if kinds[s] == 0 else (approx, detail)
            n_to = n_detail if kinds[s] == 0 else n_approx
            n_by = n_approx if kinds[s] == 0 else n_detail
            for t in range(n_to):
                for k in range(counts[s]):
                    source = min(max(t + shifts[s, k], 0), n_by - 1)
                    weight = weights[s, k]
                    for i in range(first, last):
                        to[t, i] += weight * by[source, i]
        for t in range(n_approx):
            for i in range(first, last):
                approx[t, i] *= scales[0]
        for t in range(n_detail):
            for i in range(first, last):
                detail[t, i] *= scales[1]


def analyse(x: Array, wavelet: Wavelet) -> tuple[Array, Array]:
    """As ``reference.analyse``."""
    approx, detail = _check(x)
    dtype = x.dtype
    n = max(len(step.weights) for step in wavelet.steps)
    weights = np.zeros((len(wavelet.steps), n), dtype)
    shifts = np.zeros((len(wavelet.steps), n), np.int64)
    for s, step in enumerate(wavelet.steps):
        weights[s, : len(step.weights)] = step.weights
        shifts[s, : len(step.shifts)] = step.shifts
    kinds = np.array([step.kind == "update" for step in wavelet.steps], np.int64)
    counts = np.array([len(step.weights) for step in wavelet.steps], np.int64)
    scales = np.array([wavelet.approx_scale, wavelet.detail_scale], dtype)
    _lift(
        approx.reshape(len(approx), -1), detail.reshape(len(detail), -1), kinds, weights, shifts,
        counts, scales,
    )  # fmt: skip
    return approx, detail


@compiled()
def _sample(x: Array, hats: Array, out: Array) -> None:
    for k in range(hats.shape[0]):
        fresh = True
        for t in range(hats.shape[1]):
            weight = hats[k, t]
            if weight == 0:
                continue  # a hat covers two slots at most
            if fresh:
                for i in range(x.shape[1]):
                    out[k, i] = weight * x[t, i]
            else:
                for i in range(x.shape[1]):
                    out[k, i] += weight * x[t, i]
            fresh = False


def adaptive_split(x: Array, static: Array, dynamic: Array) -> tuple[Array, Array]:
    """As ``reference.adaptive_split``."""
    flat = np.ascontiguousarray(x).reshape(len(x), -1)
    parts = []
    for times in (static, dynamic):
        part = np.empty((len(times), flat.shape[1]), x.dtype)
        _sample(flat, hat_weights(times.astype(x.dtype), len(x)), part)
        parts.append(part.reshape(-1, *x.shape[1:]))
    return parts[0], parts[1]
