"""A rotated square of a frame, and its pixels as a network's input.

The convention is that of MediaPipe's image-to-tensor step: the square's corners are the corners of
the patch, and patch pixel (u, v) samples the frame at the square's point (u, v) / side.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from affect_kernels.affine_cut.cpu import cut_rgb

if TYPE_CHECKING:
    from realtime_affect.types import Float32, Image


@dataclass(frozen=True, slots=True)
class Region:
    """A rotated square in frame pixels.

    Attributes
    ----------
    center : tuple of float
        x, y.
    size_px : float
        Side.
    angle_rad : float
        Clockwise in the image; 0 = upright.
    """

    center: tuple[float, float]
    size_px: float
    angle_rad: float

    def corners(self) -> Float32:
        """Return the corners, (4, 2), clockwise from the one above the face's right eye."""
        half = self.size_px / 2.0
        x, y = half * math.cos(self.angle_rad), half * math.sin(self.angle_rad)
        a, b = self.center
        return np.array(
            [(a - x + y, b - y - x), (a + x + y, b + y - x), (a + x - y, b + y + x),
             (a - x - y, b - y + x)], np.float32,
        )  # fmt: skip

    def touches(self, image: Image) -> bool:
        """Return whether the square is finite, at least a pixel wide and reaches into `image`."""
        (x, y), size = self.center, self.size_px
        if not (math.isfinite(x + y + size + self.angle_rad) and 1.0 <= size < 1e6):
            return False
        reach = self.reach_px()
        height, width = image.shape[:2]
        return bool(-reach < x < width + reach and -reach < y < height + reach)

    def reach_px(self) -> float:
        """Return half the side of the upright square around the rotated one."""
        cos, sin = math.cos(self.angle_rad), math.sin(self.angle_rad)
        return self.size_px / 2.0 * (abs(cos) + abs(sin))

    def to_frame(self, side: int) -> tuple[float, float, float, float]:
        """Return (c, s, x0, y0): patch pixel (u, v) lies at (c u - s v + x0, s u + c v + y0)."""
        scale = self.size_px / side
        c, s = scale * math.cos(self.angle_rad), scale * math.sin(self.angle_rad)
        half = side / 2.0
        return c, s, self.center[0] - (c - s) * half, self.center[1] - (s + c) * half


def cut_patch(image: Image, region: Region, side: int) -> Image:
    """Sample the pixels of `region`, turned upright.

    Beyond the frame the border pixels repeat.

    Parameters
    ----------
    image : (H, W, 3) uint8
        BGR.
    region : Region
        One that :meth:`Region.touches` the image.
    side : int

    Returns
    -------
    (side, side, 3) uint8
        RGB, new.
    """
    c, s, x0, y0 = region.to_frame(side)
    return cut_rgb(image, ((c, -s, x0), (s, c, y0)), (side, side))
