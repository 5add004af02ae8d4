"""Lucas and Kanade's tracking of patches from one key image into many that follow.

``reference`` is the plain form; ``cpu`` has the same names compiled by numba.
"""

from affect_kernels.patch_tracking.reference import Settings, Templates, make_templates, track

__all__ = ["Settings", "Templates", "make_templates", "track"]
