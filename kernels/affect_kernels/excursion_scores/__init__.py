"""How far each region of a face is, at one moment, from where it was and will be.

``reference`` is the plain form; ``cpu`` has the same name compiled by numba.
"""

from affect_kernels.excursion_scores.reference import MomentScores, score_moment

__all__ = ["MomentScores", "score_moment"]
