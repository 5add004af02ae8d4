"""Least-squares similarity between point sets: what turns face meshes to the front.

``reference`` is the plain form; ``cpu`` has the same names compiled by numba.
"""

from affect_kernels.similarity.reference import Similarity, fit_similarity

__all__ = ["Similarity", "fit_similarity"]
