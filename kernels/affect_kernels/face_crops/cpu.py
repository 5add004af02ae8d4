"""Face crops compiled by numba: one pass over the crops' pixels, no array between.

Any number of threads may call at the same time.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from affect_kernels.compiled import compiled
from affect_kernels.face_crops.reference import (
    COLOURS,
    Colour,
    Image,
    Scaling,
    check,
    size_of,
)

Array = NDArray[np.floating[Any]]


@compiled()
def _level(pixels: Any, at: tuple[int, int, int], colour: Array, channel: int) -> Any:
    """Return R, G or B of the pixel (row, column) of a frame `at[2]` high; BGR has three axes."""
    y, x, height = at
    if pixels.shape[2] == 3:
        return colour.dtype.type(pixels[y, x, 2 - channel])
    below = height + y // 2
    left = x // 2 * 2
    blue = colour.dtype.type(pixels[below, left, 0]) - colour.dtype.type(128)
    red = colour.dtype.type(pixels[below, left + 1, 0]) - colour.dtype.type(128)
    luma = (colour.dtype.type(pixels[y, x, 0]) - colour.dtype.type(16)) * colour[0]
    level = luma + colour[1 + 2 * channel] * blue + colour[2 + 2 * channel] * red
    return min(max(level, colour.dtype.type(0)), colour.dtype.type(255))


@compiled()
def _crop(  # noqa: PLR0913  (compiled code takes arrays, not objects)
    pixels: Any, height: int, to_frame: Array, scaling: Array, colour: Array, out: Array
) -> None:
    width = pixels.shape[1]
    side = out.shape[2]
    for i in range(len(out)):
        a = to_frame[i]
        for v in range(side):
            for u in range(side):
                x = a[0, 0] * u + a[0, 1] * v + a[0, 2]
                y = a[1, 0] * u + a[1, 1] * v + a[1, 2]
                x = min(max(x, out.dtype.type(0)), out.dtype.type(width - 1))
                y = min(max(y, out.dtype.type(0)), out.dtype.type(height - 1))
                left, top = int(x), int(y)
                right, below = min(left + 1, width - 1), min(top + 1, height - 1)
                across, down = out.dtype.type(x - left), out.dtype.type(y - top)
                for c in range(3):
                    one = _level(pixels, (top, left, height), colour, c)
                    two = _level(pixels, (below, left, height), colour, c)
                    one += across * (_level(pixels, (top, right, height), colour, c) - one)
                    two += across * (_level(pixels, (below, right, height), colour, c) - two)
                    level = one + down * (two - one)
                    out[i, c, v, u] = level * scaling[0, c] + scaling[1, c]


def crop_faces(
    frame: Image,
    to_frame: Array,
    side: int,
    scaling: Scaling | None = None,
    colour: Colour | None = None,
) -> Array:
    """As ``reference.crop_faces``, of float32 or float64."""
    height, _ = size_of(frame)
    check(to_frame, side)
    dtype = to_frame.dtype
    scaling, colour = scaling or Scaling(), colour or COLOURS["bt601"]
    # Luma, then what (U, V) give to R, G and B.
    numbers = (colour.luma, 0.0, colour.red_v, colour.green_u, colour.green_v, colour.blue_u, 0.0)
    out = np.empty((len(to_frame), 3, side, side), dtype)
    pixels = np.ascontiguousarray(frame).reshape(*frame.shape[:2], -1)
    scales = np.array([scaling.gain, scaling.bias], dtype)
    _crop(pixels, height, np.ascontiguousarray(to_frame), scales, np.array(numbers, dtype), out)
    return out
