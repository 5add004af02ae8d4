"""Lifting steps by attention, one head at a time, its shares compiled by numba.

The published bands have 196 tokens: one head's logits are 154 kB and stay in cache from the product
that makes them to the one that uses them. Products are BLAS's. Any number of threads may call at
the same time.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from affect_kernels.compiled import compiled
from affect_kernels.lifting_attention.reference import HEADS, StepWeights, check

Array = NDArray[np.floating[Any]]


@compiled()
def _share(logits: Array, scale: float) -> None:
    """Replace logits (N, N), still to be scaled, by their softmax along the last axis."""
    factor = logits.dtype.type(scale)
    for a in range(logits.shape[0]):
        peak = logits[a].max()
        total = logits.dtype.type(0)
        for j in range(logits.shape[1]):
            logits[a, j] = np.exp((logits[a, j] - peak) * factor)
            total += logits[a, j]
        for j in range(logits.shape[1]):
            logits[a, j] /= total


def _step(band: Array, other: Array, weights: StepWeights, heads: int, sign: float) -> Array:
    check(band, other, weights, heads)
    dtype: type[np.floating[Any]] = np.float64 if band.dtype == np.float64 else np.float32
    query, query_bias, key_value, key_value_bias, project, project_bias = (
        np.asarray(getattr(weights, name), dtype) for name in StepWeights.__slots__
    )
    n, tokens, channels = band.shape
    width = channels // heads
    own = band.astype(dtype, copy=False)
    queries = own @ query.T + query_bias
    both = other.astype(dtype, copy=False) @ key_value.T + key_value_bias
    logits = np.empty((tokens, tokens), dtype)
    mixed = np.empty((n, tokens, channels), dtype)
    for i in range(n):
        for at in range(0, channels, width):
            head = np.s_[i, :, at : at + width]
            values = both[i, :, channels + at : channels + at + width]
            np.matmul(queries[head], both[head].T, out=logits)
            _share(logits, width**-0.5)
            mixed[head] = logits @ values + values
    changed: Array = own + dtype(sign) * (mixed @ project.T + project_bias)
    return changed.astype(band.dtype, copy=False)


def update(approx: Array, detail: Array, weights: StepWeights, heads: int = HEADS) -> Array:
    """As ``reference.update``; float16 is computed in float32."""
    return _step(approx, detail, weights, heads, 1.0)


def predict(approx: Array, detail: Array, weights: StepWeights, heads: int = HEADS) -> Array:
    """As ``reference.predict``; float16 is computed in float32."""
    return _step(detail, approx, weights, heads, -1.0)
