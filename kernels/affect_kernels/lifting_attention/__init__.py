"""Lifting steps that are attention: IFDD's update and predict.

``reference`` is the plain form, for any floating dtype; ``cpu`` has the same names compiled by
numba; ``cuda`` has launches of the form for NVIDIA cards.
"""

from affect_kernels.lifting_attention.reference import HEADS, StepWeights, predict, update

__all__ = ["HEADS", "StepWeights", "predict", "update"]
