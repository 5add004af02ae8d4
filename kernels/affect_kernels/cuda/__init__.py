"""The one door to CUDA.

:mod:`~affect_kernels.cuda.device` runs our kernels by themselves, through PyCUDA.
:mod:`~affect_kernels.cuda.driver` and :mod:`~affect_kernels.cuda.launcher` call the driver's own
library through ctypes, for whoever has a stream and memory of another library (TensorRT) and no
compiler to build a binding with; ``doctor`` asks it which GPUs there are. Nothing else of this
project loads ``libcuda`` or imports PyCUDA.
"""
