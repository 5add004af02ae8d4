"""How far the eyes of meshes are open.

``reference`` is the plain form; ``cpu`` has the same name compiled by numba.
"""

from affect_kernels.eye_openness.reference import eye_openness

__all__ = ["eye_openness"]
