"""Lifting steps that are attention: IFDD's update and predict.

``reference`` is the plain form, for any floating dtype; ``cpu`` has the same names compiled by
numba.
"""

from affect_kernels.lifting_attention.reference import HEADS, StepWeights, predict, update

__all__ = ["HEADS", "StepWeights", "predict", "update"]
