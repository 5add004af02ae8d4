"""Text, panels and strokes on BGR images: smooth edges at next to no cost.

OpenCV 5 draws TrueType text beautifully but slowly (0.2-0.6 ms a string). What is drawn again and
again is therefore kept as a :class:`Stamp`, an image with its transparency worked out beforehand,
and blitted in some ten microseconds. All positions may lie outside the image; what does is cut off.
Any thread may draw, each on its own image.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Final

import cv2
import numpy as np

from realtime_affect.arrays import frozen_array

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from realtime_affect.types import Image

    # One line through points, or several.
    Points = (
        NDArray[np.floating]
        | Sequence[tuple[float, float]]
        | Sequence[Sequence[tuple[float, float]]]
    )

Color = tuple[int, int, int]
"""Blue, green, red, 0 to 255."""

REGULAR: Final = 400
BOLD: Final = 650

_CAP_HEIGHT: Final = 0.7  # of the text size, in OpenCV's built-in sans
_SHIFT: Final = 4  # sixteenths of a pixel
_FAR: Final = 1 << 14  # beyond this OpenCV's fixed-point coordinates overflow


WHITE: Final = (255, 255, 255)
DARK: Final = (24, 22, 20)
GREY: Final = (190, 186, 182)
QUIET: Final = (168, 163, 158)
MIN_TEXT_PX: Final = 12
PANEL_OPACITY: Final = 0.88  # GREY and QUIET on it keep 4.5:1 over any image


@dataclass(frozen=True, slots=True)
class Font:
    """How text is written: size in pixels, colour, weight."""

    size: int
    color: Color
    weight: int = REGULAR


@dataclass(frozen=True, slots=True)
class Pen:
    """How a line is drawn: colour, thickness in pixels, and whether a dark rim is around it."""

    color: Color
    thickness: float
    halo: bool = False


@dataclass(frozen=True, slots=True)
class Stamp:
    """An image to blit on another: ``out = below * keep / 255 + add``.

    Attributes
    ----------
    keep : (h, w, 3) uint8
        How much of what is below shows through.
    add : (h, w, 3) uint8
        Its own light, already multiplied by its opacity.
    """

    keep: Image
    add: Image

    def __post_init__(self) -> None:
        for name in ("keep", "add"):
            value = frozen_array(getattr(self, name), np.uint8, (None, None, 3), f"Stamp.{name}")
            object.__setattr__(self, name, value)

    @property
    def width(self) -> int:
        """Pixels."""
        return int(self.add.shape[1])

    @property
    def height(self) -> int:
        """Pixels."""
        return int(self.add.shape[0])


@dataclass(frozen=True, slots=True)
class Canvas:
    """An image that is painted on.

    Attributes
    ----------
    image : (H, W, 3) uint8
        BGR, changed in place.
    unit : float
        Size of a point in pixels.
    """

    image: Image
    unit: float = 1.0

    @property
    def width(self) -> int:
        """Pixels."""
        return int(self.image.shape[1])

    @property
    def height(self) -> int:
        """Pixels."""
        return int(self.image.shape[0])

    def blit(self, stamp: Stamp, x: int, y: int) -> None:
        """Put `stamp` on the image with its top-left corner at (x, y)."""
        x0, y0 = max(0, x), max(0, y)
        x1, y1 = min(self.width, x + stamp.width), min(self.height, y + stamp.height)
        if x0 >= x1 or y0 >= y1:
            return
        below = self.image[y0:y1, x0:x1]
        inside = np.s_[y0 - y : y1 - y, x0 - x : x1 - x]
        shown = cv2.multiply(below, stamp.keep[inside], scale=1 / 255)
        cv2.add(shown, stamp.add[inside], dst=below)

    def write(self, text: str, x: int, middle: int, font: Font) -> int:
        """Write one line from `x` on, capitals and digits centred on row `middle`.

        Returns
        -------
        int
            Where the text ends.
        """
        size = font.size
        stamp, advance = _text_stamp(text, size, font.weight, font.color)
        if stamp is not None:
            y = middle + round(_CAP_HEIGHT * size / 2) - _baseline(size)
            self.blit(stamp, x - _PAD, y)
        return x + advance

    def stroke(
        self,
        points: Points,
        pen: Pen,
        *,
        closed: bool = False,
    ) -> None:
        """Draw a smooth line through `points`.

        They are (n, 2), or (m, n, 2) for m lines at the price of one.
        """
        fixed = _fixed(points)
        lines = [fixed] if fixed.ndim == 2 else list(fixed)
        thin = max(1, round(pen.thickness))
        if pen.halo:
            rim = thin + 2 * max(1, round(pen.thickness / 2))
            cv2.polylines(self.image, lines, closed, (20, 20, 20), rim, cv2.LINE_AA, _SHIFT)
        cv2.polylines(self.image, lines, closed, pen.color, thin, cv2.LINE_AA, _SHIFT)

    def bar(self, x: int, middle: int, size: tuple[int, int], color: Color) -> None:
        """Fill a rectangle of `size` (width, height) from `x` on, centred on row `middle`."""
        width, height = size
        y0, y1 = max(0, middle - height // 2), max(0, middle - height // 2 + height)
        self.image[y0:y1, max(0, x) : max(0, x + width)] = color

    def disc(self, x: float, y: float, radius: float, color: Color) -> None:
        """Fill a circle."""
        ((center,),) = _fixed([(x, y)])[None]
        size = max(1, round(radius * (1 << _SHIFT)))
        at = (int(center[0]), int(center[1]))
        cv2.circle(self.image, at, size, color, -1, cv2.LINE_AA, _SHIFT)

    def dots(self, points: NDArray[np.floating], size: int, color: Color) -> None:
        """Draw a square of `size` pixels in `color` at each of `points` (n, 2).

        A shadow to the lower right sets the dots off from what is as bright as they are.
        """
        corners = np.rint(_near(points) - (size - 1) / 2).astype(np.int32)
        offsets = np.stack(np.meshgrid(np.arange(size), np.arange(size)), axis=-1).reshape(-1, 2)
        squares = (corners[:, None] + offsets).reshape(-1, 2)
        for shift in (1, 0):
            x, y = (squares + shift).T
            inside = (x >= 0) & (y >= 0) & (x < self.width) & (y < self.height)
            x, y = x[inside], y[inside]
            self.image[y, x] = self.image[y, x] >> 2 if shift else color


def panel(width: int, height: int, radius: float, color: Color, opacity: float) -> Stamp:
    """Return a rectangle with round corners."""
    return _panel(max(1, width), max(1, height), round(radius, 1), color, round(opacity, 3))


@lru_cache(maxsize=64)
def _panel(width: int, height: int, radius: float, color: Color, opacity: float) -> Stamp:
    mask = np.zeros((height, width), np.uint8)
    outline = round_rectangle(0, 0, width - 1, height - 1, radius)
    cv2.fillPoly(mask, [_fixed(outline)], (255,), cv2.LINE_AA, _SHIFT)
    return _stamp(mask, color, opacity)


def text_size(points: float, unit: float) -> int:
    """Return the size in pixels of text of `points`, never too small to read."""
    return max(MIN_TEXT_PX, round(points * unit))


def text_width(text: str, size: int, weight: int = REGULAR) -> int:
    """Return how far `text` of `size` pixels reaches to the right."""
    return _glyphs(text, size, weight)[1]


_PAD: Final = 2


def _baseline(size: int) -> int:
    return math.ceil(1.1 * size) + _PAD


@lru_cache(maxsize=256)  # of some 20 KB each; to make one anew from its glyphs is cheap
def _text_stamp(text: str, size: int, weight: int, color: Color) -> tuple[Stamp | None, int]:
    mask, advance = _glyphs(text, size, weight)
    return (None if mask is None else _stamp(mask, color, 1.0)), advance


@lru_cache(maxsize=1024)
def _glyphs(text: str, size: int, weight: int) -> tuple[Image | None, int]:
    """Return the coverage (h, w) of a line of text, and its advance."""
    if not text or size < 1:
        return None, 0
    # A font object belongs to one thread and costs a microsecond to make.
    font = cv2.FontFace("sans")
    # The image must hold the whole line, or OpenCV breaks it; an em a letter is always enough.
    room = np.zeros((math.ceil(1.6 * size) + 2 * _PAD, (len(text) + 1) * size + 8), np.uint8)
    (end, _), _ = cv2.putText(room, text, (_PAD, _baseline(size)), (255,), font, size, weight)
    return np.ascontiguousarray(room[:, : end + _PAD]), int(end) - _PAD


def _stamp(mask: Image, color: Color, opacity: float) -> Stamp:
    """Return the stamp of a colour seen through a coverage `mask` (h, w)."""
    cover = mask[:, :, None].astype(np.float32) * (opacity / 255)
    keep = np.rint(255 * (1 - cover)).astype(np.uint8)
    add = np.rint(cover * np.array(color, np.float32)).astype(np.uint8)
    return Stamp(np.repeat(keep, 3, axis=2), add)


def round_rectangle(
    x0: float, y0: float, x1: float, y1: float, radius: float
) -> NDArray[np.float64]:
    """Return the outline (n, 2) of a rectangle with round corners, clockwise."""
    radius = max(0.0, min(radius, (x1 - x0) / 2, (y1 - y0) / 2))
    sides, arcs = _corners(7 if radius > 1 else 1)
    low = np.array((x0 + radius, y0 + radius))
    high = np.array((x1 - radius, y1 - radius))
    return np.asarray(low + sides * (high - low) + radius * arcs, np.float64)


@lru_cache(maxsize=2)
def _corners(n: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return which corner each of the 4 n points of a round rectangle is at, and its arc there."""
    quarter = np.linspace(0, np.pi / 2, n)
    turn = np.concatenate([quarter + k * np.pi / 2 for k in (2, 3, 0, 1)])
    sides = np.repeat(np.array([(0.0, 0.0), (1.0, 0.0), (1.0, 1.0), (0.0, 1.0)]), n, axis=0)
    return sides, np.column_stack([np.cos(turn), np.sin(turn)])


def mix(color: Color, other: Color, share: float) -> Color:
    """Return `color` with a `share` (0 to 1) of `other`."""
    blue, green, red = (round(a + share * (b - a)) for a, b in zip(color, other, strict=True))
    return blue, green, red


def _fixed(points: Points) -> NDArray[np.int32]:
    """Return points (n, 2) in OpenCV's fixed-point numbers."""
    fixed = _near(np.asarray(points, np.float64)) * (1 << _SHIFT)
    return np.rint(fixed, out=fixed).astype(np.int32)


def _near(points: NDArray[np.floating]) -> NDArray[np.float64]:
    """Return finite coordinates that OpenCV can count in; NaN goes out of the image."""
    return np.asarray(np.fmax(np.fmin(points, _FAR), -_FAR), np.float64)
