"""Lifting steps by attention, in NumPy.

Zhang et al., "Lifting Scheme-Based Implicit Disentanglement of Emotion-Related Facial Dynamics in
the Wild", AAAI 2025: where a wavelet updates one band by a filter over the other, the LADM attends
from each token of one band to all of the other. As in the published code (CyberPegasus/IFDD at
1a1f557, the LADM that its DFEW configuration uses), the value of a token's own place is added to
what was attended to, before the projection: ``u = attention(Q, K, V) + V``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from affect_kernels.errors import UsageError

Array = NDArray[np.floating[Any]]

HEADS: Final = 8


@dataclass(frozen=True, slots=True)
class StepWeights:
    """Of one step; matrices are (out, in), as they are multiplied from the right.

    Attributes
    ----------
    query, query_bias : (C, C), (C,)
        Of the band that changes.
    key_value, key_value_bias : (2C, C), (2C,)
        Of the band that is looked at: all keys, then all values.
    project, project_bias : (C, C), (C,)
    """

    query: Array
    query_bias: Array
    key_value: Array
    key_value_bias: Array
    project: Array
    project_bias: Array


def check(band: Array, other: Array, weights: StepWeights, heads: int) -> None:
    """Raise UsageError where bands, weights and heads do not belong together."""
    c = band.shape[-1]
    shapes = [getattr(weights, name).shape for name in StepWeights.__slots__]
    wanted = [(c, c), (c,), (2 * c, c), (2 * c,), (c, c), (c,)]
    if band.ndim != 3 or band.shape != other.shape or shapes != wanted or c % heads:
        raise UsageError(
            thing="bands to lift",
            got=f"{band.shape} and {other.shape}, weights {shapes}, {heads} heads",
            expected=f"twice (n, N, C), weights {wanted}, C a multiple of the heads",
            hint="Both bands have as many tokens, since a token's own value is added.",
        )


def lift(band: Array, other: Array, weights: StepWeights, heads: int) -> Array:
    """Return what is added to, or taken from, the tokens (n, N, C) of a band."""
    check(band, other, weights, heads)
    n, tokens, channels = band.shape
    q = band @ weights.query.T + weights.query_bias
    both = other @ weights.key_value.T + weights.key_value_bias
    q, k, v = (
        part.reshape(n, tokens, heads, -1).swapaxes(1, 2)
        for part in (q, both[..., :channels], both[..., channels:])
    )
    logits = (q @ k.swapaxes(2, 3)) * band.dtype.type((channels // heads) ** -0.5)
    shares = np.exp(logits - logits.max(axis=-1, keepdims=True))
    mixed = (shares / shares.sum(axis=-1, keepdims=True)) @ v + v
    lifted: Array = mixed.swapaxes(1, 2).reshape(n, tokens, channels) @ weights.project.T
    return lifted + weights.project_bias


def update(approx: Array, detail: Array, weights: StepWeights, heads: int = HEADS) -> Array:
    """Return the approx, changed by attention to the detail.

    Parameters
    ----------
    approx, detail : (n, N, C) floating
        As many tokens each, normed.
    weights : StepWeights
    heads : int

    Returns
    -------
    (n, N, C)
        New, of the approx' dtype.

    Raises
    ------
    UsageError
        Shapes that do not belong together.
    """
    return approx + lift(approx, detail, weights, heads)


def predict(approx: Array, detail: Array, weights: StepWeights, heads: int = HEADS) -> Array:
    """Return the detail without what attention to the (updated) approx predicts of it.

    Parameters and errors are those of :func:`update`.
    """
    return detail - lift(detail, approx, weights, heads)
