"""Upright, resized, normalised crops of all faces of a frame, from BGR or from a camera's NV12.

``reference`` is the plain form, for any floating dtype; ``cpu`` has the same verb compiled by
numba, ``cuda`` launches it on a GPU, all faces at once.
"""

from affect_kernels.face_crops.reference import COLOURS, Colour, Scaling, crop_faces

__all__ = ["COLOURS", "Colour", "Scaling", "crop_faces"]
