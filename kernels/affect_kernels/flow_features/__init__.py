"""What networks read off optical flow: its strain, and HTNet's composition of four crops.

``reference`` is the plain form, for any floating dtype; ``cpu`` has the same names compiled by
numba; ``cuda`` has launches of the form for NVIDIA cards.
"""

from affect_kernels.flow_features.reference import (
    compose,
    composed_features,
    flow_features,
    optical_strain,
)

__all__ = ["compose", "composed_features", "flow_features", "optical_strain"]
