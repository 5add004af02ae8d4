"""Cut a turned, scaled part out of an image, in colour or in grey.

``reference`` is the plain form; ``cpu`` has the same names compiled.
"""

from affect_kernels.affine_cut.reference import cut_grey, cut_rgb

__all__ = ["cut_grey", "cut_rgb"]
