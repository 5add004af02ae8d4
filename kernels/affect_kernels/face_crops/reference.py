"""Face crops in NumPy.

Each crop pixel is mapped into the frame, the four pixels around are weighted bilinearly, and what
lies outside repeats the border: OpenCV's ``warpAffine`` with ``WARP_INVERSE_MAP``, ``INTER_LINEAR``
and ``BORDER_REPLICATE``, without its rounding to 1/32 pixel and to whole levels.

NV12 is a plane of luma and, at half the size each way, one of chroma pairs (U, V). A pixel takes
the chroma of its block of four, as OpenCV's ``COLOR_YUV2RGB_NV12`` does.
"""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from affect_kernels.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping

Array = NDArray[np.floating[Any]]
Image = NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Colour:
    """What YUV of limited range is: R = luma (Y - 16) + red_v (V - 128), and so on."""

    luma: float
    red_v: float
    green_u: float
    green_v: float
    blue_u: float


def _colour(red: float, blue: float) -> Colour:
    """Return the standard whose luma has these shares of red and blue; ITU-R BT.601, BT.709."""
    green = 1 - red - blue
    chroma = 255 / 224
    return Colour(
        255 / 219,
        2 * (1 - red) * chroma,
        -2 * (1 - blue) * blue / green * chroma,
        -2 * (1 - red) * red / green * chroma,
        2 * (1 - blue) * chroma,
    )


COLOURS: Final[Mapping[str, Colour]] = MappingProxyType(
    {"bt601": _colour(0.299, 0.114), "bt709": _colour(0.2126, 0.0722)}
)
"""Cameras send BT.601 as a rule, HD streams BT.709."""


@dataclass(frozen=True, slots=True)
class Scaling:
    """From levels of 0 to 255 to what a network takes: level * gain + bias, for R, G, B."""

    gain: tuple[float, float, float] = (1 / 255, 1 / 255, 1 / 255)
    bias: tuple[float, float, float] = (0.0, 0.0, 0.0)


def size_of(frame: Image) -> tuple[int, int]:
    """Return height and width of a frame: BGR (H, W, 3) or NV12 (3/2 H, W).

    Raises
    ------
    UsageError
        Another shape or dtype.
    """
    if frame.dtype == np.uint8 and frame.size:
        if frame.ndim == 3 and frame.shape[2] == 3:
            return frame.shape[0], frame.shape[1]
        if frame.ndim == 2 and frame.shape[0] % 3 == 0 and frame.shape[1] % 2 == 0:
            return frame.shape[0] // 3 * 2, frame.shape[1]
    raise UsageError(
        thing="frame to crop from", got=f"{frame.shape} {frame.dtype}",
        expected="uint8, BGR (H, W, 3) or NV12 (3/2 H, W) with H, W even", hint="Y, then UV.",
    )  # fmt: skip


def check(to_frame: Array, side: int) -> None:
    """Raise UsageError where maps are not (n, 2, 3) finite numbers, or a crop has no pixel."""
    finite = to_frame.ndim == 3 and bool(np.isfinite(to_frame).all())
    if not finite or to_frame.shape[1:] != (2, 3) or side < 1:
        raise UsageError(
            thing="maps of face crops", got=f"{to_frame.shape}, side {side}",
            expected="(n, 2, 3) finite numbers, and a side of 1 or more",
            hint="Crop pixel (u, v, 1) -> frame pixel (x, y).",
        )  # fmt: skip


def crop_faces(
    frame: Image,
    to_frame: Array,
    side: int,
    scaling: Scaling | None = None,
    colour: Colour | None = None,
) -> Array:
    """Crop faces out of a frame.

    Parameters
    ----------
    frame : (H, W, 3) or (3/2 H, W) uint8
        BGR, or NV12.
    to_frame : (n, 2, 3) floating
        Crop pixel (u, v, 1) -> frame pixel (x, y), pixel centres at whole numbers. Its dtype is
        that of all arithmetic and of the result.
    side : int
        Of the crops, pixels.
    scaling : Scaling, optional
        Default: 0 to 1.
    colour : Colour, optional
        What NV12 means; default: BT.601.

    Returns
    -------
    (n, 3, side, side) floating
        R, G, B.

    Raises
    ------
    UsageError
        Frame, maps or side are none.
    """
    height, width = size_of(frame)
    check(to_frame, side)
    dtype = to_frame.dtype
    scaling = scaling or Scaling()
    index = np.arange(side)
    v, u = np.meshgrid(index.astype(dtype), index.astype(dtype), indexing="ij")
    maps = to_frame[:, :, :, None, None]
    places = maps[:, :, 0] * u + maps[:, :, 1] * v + maps[:, :, 2]
    x, y = (np.clip(places[:, k], 0, n - 1).astype(dtype) for k, n in enumerate((width, height)))
    left, top = x.astype(np.int64), y.astype(np.int64)
    right, below = np.minimum(left + 1, width - 1), np.minimum(top + 1, height - 1)
    across, down = (x - left).astype(dtype)[..., None], (y - top).astype(dtype)[..., None]

    def row(at: NDArray[np.int64]) -> Array:
        one = _rgb(frame, at, left, dtype, colour)
        return one + across * (_rgb(frame, at, right, dtype, colour) - one)

    upper = row(top)
    levels = upper + down * (row(below) - upper)
    scaled = levels * np.array(scaling.gain, dtype) + np.array(scaling.bias, dtype)
    return np.ascontiguousarray(scaled.transpose(0, 3, 1, 2))


def _rgb(
    frame: Image, y: NDArray[np.int64], x: NDArray[np.int64], dtype: np.dtype[Any],
    colour: Colour | None,
) -> Array:  # fmt: skip
    """Return the levels (..., 3) of a frame's pixels."""
    if frame.ndim == 3:
        return frame[y, x, ::-1].astype(dtype)
    colour = colour or COLOURS["bt601"]
    height = frame.shape[0] // 3 * 2
    luma = (frame[y, x].astype(dtype) - 16) * dtype.type(colour.luma)
    blue, red = (
        frame[height + y // 2, x // 2 * 2 + k].astype(dtype) - dtype.type(128) for k in range(2)
    )
    levels = np.stack(
        [
            luma + dtype.type(colour.red_v) * red,
            luma + dtype.type(colour.green_u) * blue + dtype.type(colour.green_v) * red,
            luma + dtype.type(colour.blue_u) * blue,
        ],
        axis=-1,
    )
    clipped: Array = np.clip(levels, 0, 255)
    return clipped
