"""Pooling of attention's queries, keys and values: depthwise 3x3x3 convolution, then LayerNorm.

``reference`` is the plain form, for any floating dtype; ``cpu`` has the same name compiled by
numba; ``cuda`` has launches of the form for NVIDIA cards.
"""

from affect_kernels.pool_norm.reference import layer_norm, pool_norm, pooled_grid

__all__ = ["layer_norm", "pool_norm", "pooled_grid"]
