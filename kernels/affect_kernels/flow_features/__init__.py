"""What networks read off optical flow: its strain, and HTNet's composition of four crops.

``reference`` is the plain form, for any floating dtype.
"""

from affect_kernels.flow_features.reference import compose, flow_features, optical_strain

__all__ = ["compose", "flow_features", "optical_strain"]
