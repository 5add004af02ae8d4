"""IFDD's adaptive split (ISSM) as a whole: slots -> normed tokens of a static and a dynamic band.

Axes are (n, T, N, C): clips, time slots, tokens, channels. ``reference`` is the plain form, for any
floating dtype; ``cpu`` has the same verb compiled by numba, ``cuda`` launches it on a GPU.
"""

from affect_kernels.adaptive_split.reference import Bands, SplitWeights, adaptive_split

__all__ = ["Bands", "SplitWeights", "adaptive_split"]
