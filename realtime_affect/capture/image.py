"""From a decoded image to upright BGR."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any, Final

import cv2
import numpy as np
from av.sidedata.sidedata import Type
from av.video.reformatter import Interpolation, VideoReformatter

if TYPE_CHECKING:
    from fractions import Fraction

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

# What decoders of 8 bit video give: how many pixels share a chroma value, along x and y.
_PLANAR: Final = {
    f"{yuv}{sampling}p": shared
    for yuv in ("yuv", "yuvj")
    for sampling, shared in (("420", (2, 2)), ("422", (2, 1)), ("444", (1, 1)))
}
# Shares of red and blue in luma, by ITU-T H.273's matrix coefficients; others are taken for BT.601.
_LUMA: Final = {
    1: (0.2126, 0.0722), 4: (0.30, 0.11), 7: (0.212, 0.087),
    9: (0.2627, 0.0593), 10: (0.2627, 0.0593),
}  # fmt: skip
_BT601: Final = (0.299, 0.114)
_FULL_RANGE: Final = 2
_TWICE: Final = 257  # times this, a byte is two of itself
_HDR: Final = {16: "HDR (PQ)", 18: "HDR (HLG)"}  # ITU-T H.273's transfer characteristics
_MAX_ASPECT: Final = 4  # of a pixel; more is a damaged header, and would ask for any memory
_EXACT: Final = Interpolation.BICUBIC | Interpolation.ACCURATE_RND | Interpolation.FULL_CHR_H_INT


# FFmpeg grows new types of side data before PyAV names them (EXIF is one), and PyAV fails to list
# any of an image where it meets one. Only the display matrix is wanted: give the others a name.
def _unnamed(cls: Any, value: object) -> Any:
    member = object.__new__(cls)
    member._name_, member._value_ = f"UNNAMED_{value}", value
    return member


Type._missing_ = classmethod(_unnamed)  # type: ignore[assignment]


class UprightConverter:
    """Turn the decoded images of one stream into upright BGR.

    FFmpeg's own choice for 4:2:0 is fast and rough: up to three levels too dark on x86-64 (one on
    average), otherwise on ARM, which moves action units by up to 0.08 of 5. So what most files
    hold is converted here, and the rest by FFmpeg with its rounding on.
    """

    def __init__(self) -> None:
        # It remembers its tables from one image to the next.
        self._converter = VideoReformatter()
        self._planar = _PlanarConverter()
        self._rotation: float | None = None
        self._matrix: bytes | None = None
        self._hdr = ""
        self.stretch = (1.0, 1.0)
        """Of the last image; see :class:`~realtime_affect.types.Frame`."""

    @property
    def warnings(self) -> tuple[str, ...]:
        """What the images are and cannot be shown as."""
        return (f"{self._hdr} video, shown without tone mapping",) if self._hdr else ()

    def convert(self, picture: av.VideoFrame, pixel_aspect: Fraction | None = None) -> Image:
        """Return an image as (H, W, 3) uint8 BGR with square pixels, turned as its container says.

        Parameters
        ----------
        picture : av.VideoFrame
            Any pixel format and size.
        pixel_aspect : Fraction, optional
            Width of a pixel over its height; None or 0 = not known, square.
        """
        image: Image
        # An image stored upwards has negative line sizes, and a buffer that begins at its end.
        if picture.format.name in _PLANAR and all(p.line_size > 0 for p in picture.planes):
            image = self._planar.convert(picture)
        else:
            # One thread: on shared cores more convert no faster and steal from the analysis.
            bgr = self._converter.reformat(picture, format="bgr24", interpolation=_EXACT, threads=1)
            image = np.ascontiguousarray(bgr.to_ndarray())
        self._hdr = _HDR.get(int(picture.color_trc), "")
        image, self.stretch = _square(image, pixel_aspect)
        # Reading side data ties an image into a reference cycle, and images are too large to
        # wait for the garbage collector: so only where the rotation changes.
        if picture.rotation != self._rotation:
            self._rotation = picture.rotation
            # PyAV's stub promises text as keys; at run time they are its enumeration.
            matrix = picture.side_data.get(Type.DISPLAYMATRIX)  # type: ignore[call-overload]
            self._matrix = None if matrix is None else bytes(matrix)
        if self._matrix is None:
            return image
        if _swaps_axes(self._matrix):
            self.stretch = self.stretch[::-1]
        return turn(image, self._matrix)


class _PlanarConverter:
    """Convert 8 bit images whose luma and chroma lie apart; to the nearest level, everywhere."""

    def __init__(self) -> None:
        # Kept from one image to the next: fresh memory costs more than the arithmetic.
        self._wide = np.empty((0, 0), np.uint16)
        self._chroma = np.empty((2, 0, 0), np.uint8)
        self._yuv = np.empty((0, 0, 3), np.uint8)

    def convert(self, picture: av.VideoFrame) -> Image:
        """Return an image as (H, W, 3) uint8 BGR, new."""
        across, down = _PLANAR[picture.format.name]
        height, width = picture.height, picture.width
        rows, columns = -(-height // down), -(-width // across)
        if self._yuv.shape != (height, width, 3) or self._wide.shape != (rows, columns):
            self._wide = np.empty((rows, columns), np.uint16)
            self._chroma = np.empty((2, rows * down, columns * across), np.uint8)
            self._yuv = np.empty((height, width, 3), np.uint8)
        luma, *chroma = (
            np.frombuffer(plane, np.uint8).reshape(-1, plane.line_size)  # type: ignore[call-overload]
            for plane in picture.planes
        )
        for whole, half in zip(self._chroma, chroma, strict=True):
            wide = half[:rows, :columns]
            if across == 2:
                wide = np.multiply(wide, _TWICE, out=self._wide, dtype=np.uint16).view(np.uint8)
            for row in range(down):
                whole[row::down] = wide
        u, v = self._chroma[:, :height, :width]
        cv2.merge([luma[:height, :width], u, v], dst=self._yuv)
        full = picture.color_range == _FULL_RANGE or picture.format.name.startswith("yuvj")
        matrix = _to_bgr(int(picture.colorspace), full=full)
        return cv2.transform(self._yuv, matrix)  # type: ignore[return-value]


@cache
def _to_bgr(colorspace: int, *, full: bool) -> NDArray[np.float64]:
    """Return the matrix (3, 4) from Y, U, V, 1 to B, G, R (ITU-T H.273, section 8.3)."""
    red, blue = _LUMA.get(colorspace, _BT601)
    green = 1.0 - red - blue
    luma, chroma = (1.0, 1.0) if full else (255.0 / 219.0, 255.0 / 224.0)
    to_red, to_blue = 2.0 * (1.0 - red) * chroma, 2.0 * (1.0 - blue) * chroma
    matrix = np.array([
        (luma, to_blue, 0.0),
        (luma, -to_blue * blue / green, -to_red * red / green),
        (luma, 0.0, to_red),
    ])  # fmt: skip
    return np.column_stack((matrix, matrix @ (0.0 if full else -16.0, -128.0, -128.0)))


def _square(image: Image, aspect: Fraction | None) -> tuple[Image, tuple[float, float]]:
    """Return `image` with square pixels, enlarged along one axis, and by how much along x and y."""
    if not aspect or aspect == 1 or not 1 / _MAX_ASPECT <= aspect <= _MAX_ASPECT:
        return image, (1.0, 1.0)
    height, width = image.shape[:2]
    size = (round(width * max(aspect, 1)), round(height * max(1 / aspect, 1)))
    wider = np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_LINEAR), np.uint8)
    return wider, (size[0] / width, size[1] / height)


def _swaps_axes(matrix: bytes) -> bool:
    """Whether a display matrix turns width into height."""
    a, b = np.frombuffer(matrix, np.int32)[:2].tolist()
    return bool(abs(b) > abs(a))


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
    """Return a camera's image, grey, BGRA or 16 bit, as (H, W, 3) uint8 BGR."""
    if image.dtype == np.uint16:
        image = (image // np.uint16(256)).astype(np.uint8)
    if image.ndim == 2:
        image = image[..., None]
    if image.shape[2] == 1:
        image = np.repeat(image, 3, axis=2)
    return np.ascontiguousarray(image[..., :3], np.uint8)
