"""FaceMesh -> head pose, and the mesh turned to the front in millimetres.

The mesh is fitted, as a rigid head, to the average neutral face (``neutral_face.npz``, made by
``training/neutral_face.py``). The fit gives the rotation and, read as weak perspective,
the position; its inverse removes pose and distance from the mesh, so that what is left to measure
is the person's shape and expression.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING, Final

import numpy as np

from affect_kernels.similarity.cpu import fit_similarity
from realtime_affect.landmarks import RIGID_POINTS
from realtime_affect.types import HeadPose

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from affect_kernels.similarity import Similarity

_OPENFACE_FOCAL_PER_WIDTH: Final = 500 / 640
_OPENFACE_FOCAL_PER_HEIGHT: Final = 500 / 480


@dataclass(frozen=True, slots=True)
class NeutralFace:
    """The average neutral face.

    Attributes
    ----------
    points : (468, 3) float64
        Millimetres in the head's own frame: x to the image's right of a face seen from the front,
        y down, z away from the camera; mirror-symmetric; see also
        :data:`~realtime_affect.landmarks.OUTER_EYE_CORNERS_MM`.
    rigid : (28, 3) float64
        Those of :data:`~realtime_affect.landmarks.RIGID_POINTS`.
    """

    points: NDArray[np.float64]
    rigid: NDArray[np.float64]


@cache
def load_neutral_face() -> NeutralFace:
    """Read the average neutral face that ships with the package (numbers, not an image)."""
    with (resources.files("realtime_affect") / "neutral_face.npz").open("rb") as file:
        stored = np.load(file, allow_pickle=False)
        points = stored["points"]
    return NeutralFace(points, points[RIGID_POINTS])


def fit_heads(points: NDArray[np.floating]) -> Similarity:
    """Fit the average head to each of n meshes.

    Parameters
    ----------
    points : (n, 468, 3) float
        As in :class:`~realtime_affect.types.FaceMesh`.

    Returns
    -------
    Similarity
        Head millimetres -> frame pixels. ``invert(points)`` is the meshes turned to the front.
    """
    return fit_similarity(load_neutral_face().rigid, points, RIGID_POINTS)


def euler_angles(rotation: NDArray[np.floating]) -> tuple[float, float, float]:
    """Split `rotation` (3, 3) = Rx Ry Rz into radians (Rx, Ry, Rz), OpenFace's convention."""
    (xx, xy, xz), (_, _, yz), (_, _, zz) = rotation.tolist()
    return (
        math.atan2(-yz, zz),
        math.asin(min(1.0, max(-1.0, xz))),
        math.atan2(-xy, xx),
    )


def rotation_matrix(angles_rad: NDArray[np.floating]) -> NDArray[np.float64]:
    """Build R = Rx Ry Rz (3, 3) from radians (Rx, Ry, Rz); inverse of :func:`euler_angles`."""
    rx, ry, rz = angles_rad.tolist()
    sx, sy, sz = math.sin(rx), math.sin(ry), math.sin(rz)
    cx, cy, cz = math.cos(rx), math.cos(ry), math.cos(rz)
    return np.array(
        [
            [cy * cz, -cy * sz, sy],
            [cx * sz + sx * sy * cz, cx * cz - sx * sy * sz, -sx * cy],
            [sx * sz - cx * sy * cz, sx * cz + cx * sy * sz, cx * cy],
        ]
    )


def head_poses(heads: Similarity, width: int, height: int) -> list[HeadPose]:
    """Read the poses of fitted heads.

    The camera is unknown, so its focal length is OpenFace's guess (500 px for 640 x 480, scaled
    with the frame, mean of both sides) and its centre the frame's. Distances are therefore right
    up to a factor that is constant for one camera, and assume a head of average size.

    Parameters
    ----------
    heads : Similarity
        From :func:`fit_heads`.
    width, height : int
        Size of the frame in pixels.
    """
    focal = (width * _OPENFACE_FOCAL_PER_WIDTH + height * _OPENFACE_FOCAL_PER_HEIGHT) / 2
    poses = []
    for rotation, scale, (x, y, _) in zip(
        heads.rotation, heads.scale.tolist(), heads.translation.tolist(), strict=True
    ):
        place = (x - width / 2) / scale, (y - height / 2) / scale, focal / scale
        angles = np.array(euler_angles(rotation), np.float32)
        poses.append(HeadPose(angles, np.array(place, np.float32)))
    return poses
