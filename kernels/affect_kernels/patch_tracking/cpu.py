"""Lucas-Kanade compiled by numba: one pass over a patch a step, nothing allocated in between.

Any number of threads may call at the same time.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from affect_kernels.compiled import compiled, writable
from affect_kernels.patch_tracking.reference import (
    MARGIN,
    MIN_CONTRAST,
    SETTLING_PX,
    SIDE,
    Float32,
    Settings,
    Templates,
    pyramid,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

_ROW = SIDE + 1
_HALF = SIDE // 2


# Unsigned places in flat arrays: a place that might be counted from an array's end keeps the
# compiler from using vectors.


@compiled("void(float32[::1], int64, float32[:, ::1], float32, float32[:, ::1])", reassociate=True)
def _cut_all(wide: Float32, width: int, points: Float32, scale: Any, out: Float32) -> None:
    one, next_one = np.float32(1.0), np.uint64(1)
    row, below = np.uint64(_ROW), np.uint64(width)
    for i in range(len(points)):
        left, top = points[i, 0] * scale - _HALF, points[i, 1] * scale - _HALF
        x, y = int(np.floor(left)), int(np.floor(top))
        across, down = left - np.float32(x), top - np.float32(y)
        a, b = (one - across) * (one - down), across * (one - down)
        c, d = (one - across) * down, across * down
        first, place, patch = np.uint64((y + MARGIN) * width + x + MARGIN), np.uint64(0), out[i]
        for _ in range(SIDE):
            for u in range(row):
                p = first + u
                q = p + below
                high = a * wide[p] + b * wide[p + next_one]
                patch[place + u] = high + c * wide[q] + d * wide[q + next_one]
            first += below
            place += row
        patch[SIDE::_ROW] = np.float32(0.0)


@compiled(
    "UniTuple(float32, 2)(float32[::1], int64, int64, float32, float32, float32[::1],"
    "float32[::1], float32[::1])",
    reassociate=True,
)
def _correlate(  # noqa: PLR0913  (compiled code takes arrays, not objects)
    wide: Float32, width: int, at: int, across: Any, down: Any, value: Float32,
    slope_x: Float32, slope_y: Float32,
) -> tuple[Any, Any]:  # fmt: skip
    """Return how far a patch at a place is off its template, times the template's slopes."""
    one, next_one = np.float32(1.0), np.uint64(1)
    row, below = np.uint64(_ROW), np.uint64(width)
    a, b = (one - across) * (one - down), across * (one - down)
    c, d = (one - across) * down, across * down
    first, place = np.uint64(at), np.uint64(0)
    bx, by = np.float32(0.0), np.float32(0.0)
    for _ in range(SIDE):
        for u in range(row):  # the last one has no slope, so it does not count
            p = first + u
            q = p + below
            found = a * wide[p] + b * wide[p + next_one] + c * wide[q] + d * wide[q + next_one]
            off = value[place + u] - found
            bx += off * slope_x[place + u]
            by += off * slope_y[place + u]
        first += below
        place += row
    return bx, by


@compiled("void(float32[:, ::1], float32[:, ::1], float32[:, ::1], boolean[::1])", reassociate=True)
def _invert_all(slopes_x: Float32, slopes_y: Float32, inverses: Float32, flat: Any) -> None:
    for i in range(len(slopes_x)):
        xx, xy, yy = 0.0, 0.0, 0.0
        for k in range(SIDE * _ROW):
            x, y = slopes_x[i, k], slopes_y[i, k]
            xx += x * x
            xy += x * y
            yy += y * y
        smaller = (xx + yy - np.sqrt((xx - yy) ** 2 + 4.0 * xy * xy)) / 2.0
        flat[i] = smaller < MIN_CONTRAST * SIDE * SIDE
        if not flat[i]:
            whole = xx * yy - xy * xy
            inverses[i, 0], inverses[i, 1], inverses[i, 2] = yy / whole, -xy / whole, xx / whole


def make_templates(image: NDArray[np.uint8], points: Float32, levels: int) -> Templates:
    """As ``reference.make_templates``."""
    n = len(points)
    points = writable(points, np.float32)
    values, slopes_x, slopes_y = (np.empty((levels, n, SIDE, _ROW), np.float32) for _ in range(3))
    inverses, flat = np.zeros((levels, n, 3), np.float32), np.zeros((levels, n), np.bool_)
    inside = slice(MARGIN, -MARGIN)
    for level, wide in enumerate(pyramid(image, levels)):
        scale, width = np.float32(0.5**level), wide.shape[1]
        inner = np.ascontiguousarray(wide[inside, inside])
        slope = np.zeros_like(wide)
        _cut_all(wide.ravel(), width, points, scale, _flat(values, level))
        for axis, out in (((1, 0), slopes_x), ((0, 1), slopes_y)):
            slope[inside, inside] = cv2.Scharr(inner, cv2.CV_32F, *axis, scale=1 / 32)
            _cut_all(slope.ravel(), width, points, scale, _flat(out, level))
        _invert_all(_flat(slopes_x, level), _flat(slopes_y, level), inverses[level], flat[level])
    return Templates(points, values, slopes_x, slopes_y, inverses, flat)


def _flat(patches: Float32, level: int) -> Float32:
    """Return a level's patches (n, 240)."""
    flat: Float32 = patches[level].reshape(-1, SIDE * _ROW)
    return flat


@compiled(
    "void(float32[:, ::1], float32[:, ::1], float32[:, ::1], float32[:, ::1], float32[:, ::1],"
    "boolean[::1], float32[:, ::1], float32, boolean, int64, float32, boolean[::1])",
    reassociate=True,
)
def _track(  # noqa: PLR0913  (compiled code takes arrays, not objects)
    wide: Float32,
    values: Float32,
    slopes_x: Float32,
    slopes_y: Float32,
    inverses: Float32,
    flat: Any,
    found: Float32,
    scale: Any,
    finest: bool,
    rounds: int,
    settled: Any,
    seen: Any,
) -> None:
    height, width = wide.shape[0] - 2 * MARGIN, wide.shape[1] - 2 * MARGIN
    _one, half = np.float32(1.0), np.float32(0.5)
    for i in range(len(found)):
        if flat[i]:
            if finest:
                seen[i] = False
            continue
        at_x, at_y = found[i, 0] * scale, found[i, 1] * scale
        last_x, last_y = np.float32(0.0), np.float32(0.0)
        for k in range(rounds):
            left, top = at_x - np.float32(_HALF), at_y - np.float32(_HALF)
            x, y = int(np.floor(left)), int(np.floor(top))
            if not (x >= -SIDE and x < width and y >= -SIDE and y < height):
                if finest:
                    seen[i] = False
                break
            bx, by = _correlate(
                wide.ravel(), wide.shape[1], (y + MARGIN) * wide.shape[1] + x + MARGIN,
                left - np.float32(x), top - np.float32(y), values[i], slopes_x[i], slopes_y[i],
            )  # fmt: skip
            step_x = inverses[i, 0] * bx + inverses[i, 1] * by
            step_y = inverses[i, 1] * bx + inverses[i, 2] * by
            at_x += step_x
            at_y += step_y
            if step_x * step_x + step_y * step_y <= settled * settled:
                break
            if k > 0 and abs(step_x + last_x) < SETTLING_PX and abs(step_y + last_y) < SETTLING_PX:
                at_x -= step_x * half
                at_y -= step_y * half
                break
            last_x, last_y = step_x, step_y
        found[i, 0], found[i, 1] = at_x / scale, at_y / scale


def track(
    templates: Templates,
    image: NDArray[np.uint8],
    begin: Float32,
    settings: Settings | None = None,
) -> tuple[Float32, NDArray[np.bool_]]:
    """As ``reference.track``."""
    rounds, settled = settings or Settings()
    levels, n = templates.flat.shape
    found, seen = np.array(begin, np.float32, order="C"), np.ones(n, np.bool_)
    images = pyramid(image, levels)
    for level in reversed(range(levels)):
        _track(
            images[level], _flat(templates.values, level), _flat(templates.slopes_x, level),
            _flat(templates.slopes_y, level), templates.inverses[level], templates.flat[level],
            found, np.float32(0.5**level), level == 0, rounds, np.float32(settled), seen,
        )  # fmt: skip
    return found, seen
