"""Wavelet lifting along time: split, predict, update, merge, and IFDD's adaptive split.

Axes are (T, N, C): time slots, tokens, channels. ``reference`` is the plain form, for any floating
dtype; ``cpu`` has the same names compiled by numba, one pass over the tokens instead of one a step.
"""

from affect_kernels.lifting.reference import (
    WAVELETS,
    Step,
    Wavelet,
    adaptive_split,
    analyse,
    hat_weights,
    merge,
    predict,
    split,
    synthesise,
    update,
)

__all__ = [
    "WAVELETS",
    "Step",
    "Wavelet",
    "adaptive_split",
    "analyse",
    "hat_weights",
    "merge",
    "predict",
    "split",
    "synthesise",
    "update",
]
