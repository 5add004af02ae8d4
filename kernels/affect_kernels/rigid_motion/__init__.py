"""The rigid motion that most of a face follows, and what is left of its motion without it.

``reference`` is the plain form; ``cpu`` has the same names compiled by numba.
"""

from affect_kernels.rigid_motion.reference import fit_rigid, rigid_basis, take_off_rigid

__all__ = ["fit_rigid", "rigid_basis", "take_off_rigid"]
