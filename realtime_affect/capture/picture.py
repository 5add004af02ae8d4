"""From a decoded picture to upright BGR."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import cv2
import numpy as np
from av.sidedata.sidedata import Type
from av.video.reformatter import VideoReformatter

if TYPE_CHECKING:
    import av
    from numpy.typing import NDArray

    from realtime_affect.types import Image

# Signs of the display matrix ((a, b), (c, d)): x' = a x + c y, y' = b x + d y (FFmpeg,
# libavutil/display.h), for the seven turns and mirrorings that map pixels onto pixels.
_ROTATIONS: Final = {
    (0, 1, -1, 0): cv2.ROTATE_90_CLOCKWISE,
    (-1, 0, 0, -1): cv2.ROTATE_180,
    (0, -1, 1, 0): cv2.ROTATE_90_COUNTERCLOCKWISE,
}
_FLIPS: Final = {(-1, 0, 0, 1): 1, (1, 0, 0, -1): 0}
_TRANSPOSED: Final = (0, 1, 1, 0)
_TRANSVERSED: Final = (0, -1, -1, 0)


class UprightConverter:
    """Turn the decoded pictures of one stream into upright BGR."""

    def __init__(self) -> None:
        # It remembers its tables from one picture to the next.
        self._converter = VideoReformatter()
        self._rotation: float | None = None
        self._matrix: bytes | None = None

    def convert(self, picture: av.VideoFrame) -> Image:
        """Return a picture as (H, W, 3) uint8 BGR, turned as its container states.

        Parameters
        ----------
        picture : av.VideoFrame
            Any pixel format and size.
        """
        # One thread: on shared cores more convert no faster and steal from the analysis.
        bgr = self._converter.reformat(picture, format="bgr24", threads=1)
        image: Image = np.ascontiguousarray(bgr.to_ndarray())
        # Reading side data ties a picture into a reference cycle, and pictures are too large to
        # wait for the garbage collector: so only where the rotation changes.
        if picture.rotation != self._rotation:
            self._rotation = picture.rotation
            # PyAV's stub promises text as keys; at run time they are its enumeration.
            matrix = picture.side_data.get(Type.DISPLAYMATRIX)  # type: ignore[call-overload]
            self._matrix = None if matrix is None else bytes(matrix)
        return image if self._matrix is None else turn(image, self._matrix)


def turn(image: Image, matrix: bytes) -> Image:
    """Return `image` as a display matrix asks; a skew one (not by quarter turns) is ignored.

    Parameters
    ----------
    image : (H, W, 3) uint8
    matrix : bytes
        Nine native int32, FFmpeg's ``AV_FRAME_DATA_DISPLAYMATRIX``.
    """
    a, b, _, c, d = np.sign(np.frombuffer(matrix, np.int32)[:5]).tolist()
    signs = (a, b, c, d)
    if signs in _ROTATIONS:
        return np.asarray(cv2.rotate(image, _ROTATIONS[signs]), np.uint8)
    if signs in _FLIPS:
        return np.asarray(cv2.flip(image, _FLIPS[signs]), np.uint8)
    if signs in (_TRANSPOSED, _TRANSVERSED):
        image = np.asarray(cv2.transpose(image), np.uint8)
        return image if signs == _TRANSPOSED else np.asarray(cv2.flip(image, -1), np.uint8)
    return image


def as_bgr(image: NDArray[Any]) -> Image:
    """Return a camera's picture, grey, BGRA or 16 bit, as (H, W, 3) uint8 BGR."""
    if image.dtype == np.uint16:
        image = (image // np.uint16(256)).astype(np.uint8)
    if image.ndim == 2:
        image = image[..., None]
    if image.shape[2] == 1:
        image = np.repeat(image, 3, axis=2)
    return np.ascontiguousarray(image[..., :3], np.uint8)
