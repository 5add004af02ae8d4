"""Least-squares similarity between two point sets: what turns a face mesh to the front.

One 3 x 3 singular value decomposition on some thirty points costs about as much as calling a
compiled form would, so the plain form is the only one.
"""

from affect_kernels.similarity.reference import Similarity, fit_similarity

__all__ = ["Similarity", "fit_similarity"]
