"""Pyramidal Lucas-Kanade in NumPy, point by point; what belongs to the key image is made once.

J.-Y. Bouguet, "Pyramidal implementation of the Lucas Kanade feature tracker", Intel, 2000, with the
details of OpenCV's ``calcOpticalFlowPyrLK`` (Scharr's derivatives, the same borders and ends of the
search), which computes in fixed point and makes the key image's part anew for each image.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

Float32 = NDArray[np.float32]

MARGIN: Final = 16
"""Pixels by which images are continued, mirrored, beyond each border."""

SIDE: Final = 15
"""Of a patch, in pixels; its rows are stored with a zero behind them."""

MIN_CONTRAST: Final = 0.1024
"""Least mean square of a patch's derivative in its flattest direction, in squared levels."""

SETTLING_PX: Final = 0.01
"""Two steps that cancel to this swing about the answer."""


class Settings(NamedTuple):
    """When a search ends.

    Attributes
    ----------
    rounds : int
        Steps on a level at most.
    settled_px : float
        After a step below this.
    farthest_px : float
        From its beginning, in x or in y; a patch that is found farther off is lost.
    """

    rounds: int = 8
    settled_px: float = 0.02
    farthest_px: float = np.inf


class Templates(NamedTuple):
    """What is known of n patches on each of L levels, the finest first.

    Attributes
    ----------
    points : (n, 2) float32
        Their middles in the key image, x, y.
    values, slopes_x, slopes_y : (L, n, 15, 16) float32
        Grey levels and their derivatives by pixel.
    inverses : (L, n, 3) float32
        xx, xy and yy of the inverse of the summed products of the derivatives.
    flat : (L, n) bool
        Patches with too little contrast in some direction.
    """

    points: Float32
    values: Float32
    slopes_x: Float32
    slopes_y: Float32
    inverses: Float32
    flat: NDArray[np.bool_]


def pyramid(image: NDArray[np.uint8], levels: int) -> list[Float32]:
    """Return an image (H, W) and its halvings as float32, continued by MARGIN."""
    found = []
    for level in range(levels):
        image = cv2.pyrDown(image) if level else image  # type: ignore[assignment]
        wide = cv2.copyMakeBorder(image, MARGIN, MARGIN, MARGIN, MARGIN, cv2.BORDER_REFLECT_101)
        found.append(wide.astype(np.float32))
    return found


def make_templates(image: NDArray[np.uint8], points: Float32, levels: int) -> Templates:
    """Cut the patches that :func:`track` looks for.

    Parameters
    ----------
    image : (H, W) uint8
    points : (n, 2) float32
        Inside the image.
    levels : int
        1 = the image alone.
    """
    n = len(points)
    values, slopes_x, slopes_y = (
        np.zeros((levels, n, SIDE, SIDE + 1), np.float32) for _ in range(3)
    )
    inverses, flat = np.zeros((levels, n, 3), np.float32), np.zeros((levels, n), np.bool_)
    for level, wide in enumerate(pyramid(image, levels)):
        inner = np.ascontiguousarray(wide[MARGIN:-MARGIN, MARGIN:-MARGIN])
        slopes = [
            np.pad(cv2.Scharr(inner, cv2.CV_32F, *axis) / np.float32(32), MARGIN)
            for axis in ((1, 0), (0, 1))
        ]
        for i, point in enumerate(points):
            at = point / np.float32(2**level) - SIDE // 2
            parts = [_cut(wide, at), *(_cut(slope, at) for slope in slopes)]
            for array, part in zip((values, slopes_x, slopes_y), parts, strict=True):
                array[level, i, :, :SIDE] = part
            flat[level, i], inverses[level, i] = _invert(parts[1], parts[2])
    return Templates(points.astype(np.float32), values, slopes_x, slopes_y, inverses, flat)


def _invert(slope_x: Float32, slope_y: Float32) -> tuple[bool, Any]:
    xx, xy, yy = (slope_x**2).sum(), (slope_x * slope_y).sum(), (slope_y**2).sum()
    smaller = (xx + yy - np.hypot(xx - yy, 2.0 * xy)) / 2.0
    if smaller < MIN_CONTRAST * SIDE**2:
        return True, np.zeros(3)
    return False, np.array((yy, -xy, xx)) / (xx * yy - xy * xy)


def _cut(wide: Float32, at: Float32) -> Float32:
    """Sample a patch whose first pixel lies at `at`, between pixels, by bilinear weights."""
    x, y = (int(v) for v in np.floor(at))
    across, down = at - (x, y)
    rows = wide[y + MARGIN : y + MARGIN + SIDE + 1, x + MARGIN : x + MARGIN + SIDE + 1]
    between = rows[:, :-1] * (1 - across) + rows[:, 1:] * across
    part: Float32 = between[:-1] * (1 - down) + between[1:] * down
    return part


def track(
    templates: Templates,
    image: NDArray[np.uint8],
    begin: Float32,
    settings: Settings | None = None,
) -> tuple[Float32, NDArray[np.bool_]]:
    """Find each patch in an image, beginning near its place.

    Parameters
    ----------
    templates : Templates
    image : (H, W) uint8
        Of the key image's size.
    begin : (n, 2) float32
        Where each middle is expected.
    settings : Settings, optional

    Returns
    -------
    found : (n, 2) float32
        `begin` where a patch was not seen.
    seen : (n,) bool
        False of patches without contrast, and of those that were followed out of the image or
        too far.
    """
    settings = settings or Settings()
    levels, n = templates.flat.shape
    images = pyramid(image, levels)
    found, seen = begin.astype(np.float32), np.ones(n, np.bool_)
    for i in range(n):
        for level in reversed(range(levels)):
            at = found[i] / np.float32(2**level)
            if templates.flat[level, i]:
                seen[i] = seen[i] and level > 0
            else:
                template = tuple(array[level, i] for array in templates[1:5])
                at, inside = _search(template, images[level], at, settings)
                seen[i] = seen[i] and (inside or level > 0)
            found[i] = at * np.float32(2**level)
    seen &= np.abs(found - begin).max(axis=1, initial=0.0) <= settings.farthest_px
    found[~seen] = begin[~seen]
    return found, seen


def _search(
    template: tuple[Float32, ...], wide: Float32, at: Float32, settings: Settings
) -> tuple[Float32, bool]:
    """Move a patch on one level; also return whether it stayed inside the image."""
    value, slope_x, slope_y, (xx, xy, yy) = template
    height, width = wide.shape[0] - 2 * MARGIN, wide.shape[1] - 2 * MARGIN
    before = np.zeros(2, np.float32)
    for k in range(settings.rounds):
        corner = at - SIDE // 2
        x, y = np.floor(corner)
        if not (-SIDE <= x < width and -SIDE <= y < height):
            return at, False
        off = value[:, :SIDE] - _cut(wide, corner)
        bx, by = (off * slope_x[:, :SIDE]).sum(), (off * slope_y[:, :SIDE]).sum()
        step = np.array((xx * bx + xy * by, xy * bx + yy * by), np.float32)
        at = (at + step).astype(np.float32)
        if step @ step <= settings.settled_px**2:
            break
        if k > 0 and (np.abs(step + before) < SETTLING_PX).all():
            at = (at - step / 2).astype(np.float32)
            break
        before = step
    return at, True
