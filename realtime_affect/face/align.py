"""FaceMesh + crop -> the face turned to the front: points in millimetres, and a small image.

What the action unit network and the expression network see. All are in the head's own frame of
``neutral_face.npz``, so that a brow has one place whatever the pose, the distance and the size of
the head.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import cv2
import numpy as np

from affect_kernels.similarity.cpu import invert

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from affect_kernels.similarity import Similarity
    from realtime_affect.face.region import Region
    from realtime_affect.types import Float32, Image

ALIGNED_PX: Final = 96
"""Side of the aligned image."""

MM_PER_PX: Final = 1.6
"""Of the aligned image."""

SLOT_PX: Final = 48
"""Side of the image of one moment that the expression network looks at."""


class _Frame(NamedTuple):
    """What an aligned image of ALIGNED_PX shows of the plane of eye and lip corners."""

    mm_per_px: float
    centre_mm: tuple[float, float, float]


_UNITS: Final = _Frame(MM_PER_PX, (0.0, -3.0, 0.0))  # from hairline to chin
# Half of FER+'s faces fill their 48 pixels more tightly than this (measured by Face Mesh on its
# ``valid`` split), half less: the images that most of the network's training was on.
_EXPRESSION: Final = _Frame(1.785, (0.0, -12.7, 0.0))


def turn_to_front(points: NDArray[np.floating], heads: Similarity) -> Float32:
    """Take pose, place and size from meshes.

    Parameters
    ----------
    points : (n, 468, 3) float
        As in :class:`~realtime_affect.types.FaceMesh`.
    heads : Similarity
        Fitted to them by ``pose.fit_heads``.

    Returns
    -------
    (n, 468, 3) float32
        Millimetres in the head's frame: x to the image's right of a face seen from the front, y
        down, z away from the camera.
    """
    return invert(heads, np.asarray(points, np.float32))


def align_crop(crop: Image, region: Region, heads: Similarity, i: int) -> Image:
    """Cut what the action unit network sees of one face out of the crop its mesh was found in.

    The plane through eye and lip corners is mapped, foreshortening undone; what lies before or
    behind it, the nose's tip above all, leans aside as the head turns.

    Parameters
    ----------
    crop : (S, S, 3) or (S, S) uint8
        RGB from ``MeshEstimator.estimate``, or that in grey: for a caller who needs it twice.
    region : Region
        The square of the frame that `crop` shows.
    heads : Similarity
        Head millimetres -> frame pixels.
    i : int
        Which of `heads`.

    Returns
    -------
    (96, 96) uint8
        Grey, 1.6 mm a pixel; border pixels repeat beyond the crop. Black where the region has no
        size, as a network that went wrong may ask for.
    """
    return _align(crop, region, heads, i, _UNITS)


def slot_crop(crop: Image, region: Region, heads: Similarity, i: int) -> Image:
    """Cut what the expression network sees of one face, (48, 48) uint8; see :func:`align_crop`.

    A little more of the face, at less than half the detail: 3.57 mm a pixel.
    """
    fine = _align(crop, region, heads, i, _EXPRESSION)
    size = (SLOT_PX, SLOT_PX)
    return cv2.resize(fine, size, interpolation=cv2.INTER_AREA)  # type: ignore[return-value]


def slot_points(points: NDArray[np.floating], heads: Similarity, i: int) -> Float32:
    """Return where points of the frame lie in what :func:`slot_crop` cuts.

    Parameters
    ----------
    points : (k, 2) float
        Pixels of the frame.
    heads : Similarity
        Head millimetres -> frame pixels.
    i : int
        Which of `heads`.

    Returns
    -------
    (k, 2) float32
        Pixels of the cut.
    """
    plane = heads.scale[i] * heads.rotation[i, :2]
    origin = plane @ _EXPRESSION.centre_mm + heads.translation[i, :2]
    fine = (points - origin) @ np.linalg.inv(plane[:, :2]).T / _EXPRESSION.mm_per_px
    small: Float32 = ((fine + ALIGNED_PX / 2) * (SLOT_PX / ALIGNED_PX) - 0.5).astype(np.float32)
    return small


def _align(crop: Image, region: Region, heads: Similarity, i: int, frame: _Frame) -> Image:
    c, s, x0, y0 = region.to_frame(crop.shape[0])
    size = c * c + s * s
    if not size > 0.0:
        return np.zeros((ALIGNED_PX, ALIGNED_PX), np.uint8)
    # Aligned pixel -> head millimetres -> frame pixels, an affine map of the plane ...
    scale, half = float(heads.scale[i]), (ALIGNED_PX - 1) / 2.0
    (xx, xy, xz), (yx, yy, yz), _ = heads.rotation[i].tolist()
    x, y, _ = heads.translation[i].tolist()
    u, v, w = frame.centre_mm
    u, v = u - half * frame.mm_per_px, v - half * frame.mm_per_px
    x += scale * (xx * u + xy * v + xz * w) - x0
    y += scale * (yx * u + yy * v + yz * w) - y0
    step = scale * frame.mm_per_px / size
    # ... and back into the crop, whose pixel (u, v) shows the frame at to_frame(side) of (u, v).
    warp = np.array(
        (
            (step * (c * xx + s * yx), step * (c * xy + s * yy), (c * x + s * y) / size),
            (step * (c * yx - s * xx), step * (c * yy - s * xy), (c * y - s * x) / size),
        )
    )
    grey = crop if crop.ndim == 2 else cv2.cvtColor(crop, cv2.COLOR_RGB2GRAY)
    return cv2.warpAffine(  # type: ignore[return-value]
        grey, warp, (ALIGNED_PX, ALIGNED_PX),
        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP, borderMode=cv2.BORDER_REPLICATE,
    )  # fmt: skip
