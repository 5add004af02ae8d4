"""Networks of depthwise separable blocks, as MediaPipe's face mesh is one.

A block is a depthwise convolution, one of 1x1, what skips both, and a PReLU (Howard et al.,
"MobileNets", arXiv:1704.04861; Bazarevsky et al., "BlazeFace", arXiv:1907.05047). ``reference`` is
the plain form; ``cpu`` runs a whole network in one compiled pass.
"""

from affect_kernels.separable_blocks.reference import Layer, run_layers

__all__ = ["Layer", "run_layers"]
