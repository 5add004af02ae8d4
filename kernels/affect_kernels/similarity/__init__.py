"""Least-squares similarity between point sets: what turns face meshes to the front.

A dozen array calls for all faces of a frame; the plain form is the only one.
"""

from affect_kernels.similarity.reference import Similarity, fit_similarity

__all__ = ["Similarity", "fit_similarity"]
