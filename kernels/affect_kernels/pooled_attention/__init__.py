"""Attention over pooled tokens with decomposed relative positions: MViT's.

``reference`` is the plain form, for any floating dtype; ``cpu`` has the same name compiled by
numba; ``cuda`` has launches of the form for NVIDIA cards. Only the plain one ever holds all
logits.
"""

from affect_kernels.pooled_attention.reference import pooled_attention, relative_rows

__all__ = ["pooled_attention", "relative_rows"]
