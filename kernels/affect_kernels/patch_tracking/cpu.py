"""Lucas-Kanade compiled by numba: one pass over a patch a step, nothing allocated in between.

Any number of threads may call at the same time.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

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


@compiled("int64(int64, int64)", inline=True)
def _mirrored(i: int, n: int) -> int:
    """Return which of n pixels stands at a place beyond them, the border's not twice."""
    if n == 1:
        return 0
    i = abs(i) % (2 * n - 2)
    return i if i < n else 2 * n - 2 - i


@compiled("float32[:, ::1](uint8[:, ::1])")
def _widened(image: Any) -> Float32:
    height, width = image.shape
    wide = np.empty((height + 2 * MARGIN, width + 2 * MARGIN), np.float32)
    outside = np.empty(2 * MARGIN, np.int64)
    for u in range(MARGIN):
        outside[u] = MARGIN + _mirrored(u - MARGIN, width)
        outside[MARGIN + u] = MARGIN + _mirrored(width + u, width)
    for v in range(len(wide)):
        inner, row = image[_mirrored(v - MARGIN, height)], wide[v]
        for u in range(width):
            row[MARGIN + u] = inner[u]
        for u in range(MARGIN):
            row[u] = row[outside[u]]
            row[MARGIN + width + u] = row[outside[MARGIN + u]]
    return wide


@compiled("uint8[:, ::1](uint8[:, ::1])")
def _halved(image: Any) -> Any:
    """Return what ``cv2.pyrDown`` does: it rounds once, so this is the same to the last bit."""
    height, width = image.shape
    half = np.empty(((height + 1) // 2, (width + 1) // 2), np.uint8)
    column = np.empty(width + 4, np.int32)  # with two mirrored ones at either end
    for v in range(len(half)):
        a, b = image[_mirrored(2 * v - 2, height)], image[_mirrored(2 * v - 1, height)]
        c = image[2 * v]
        d, e = image[_mirrored(2 * v + 1, height)], image[_mirrored(2 * v + 2, height)]
        for u in range(width):
            ends, near = np.int32(a[u]) + np.int32(e[u]), np.int32(b[u]) + np.int32(d[u])
            column[u + 2] = ends + np.int32(4) * near + np.int32(6) * np.int32(c[u])
        for u in range(2):
            column[u] = column[2 + _mirrored(u - 2, width)]
            column[width + 2 + u] = column[2 + _mirrored(width + u, width)]
        row = half[v]
        for u in range(half.shape[1]):
            ends, near = column[2 * u] + column[2 * u + 4], column[2 * u + 1] + column[2 * u + 3]
            total = ends + np.int32(4) * near + np.int32(6) * column[2 * u + 2]
            row[u] = (total + np.int32(128)) >> np.int32(8)
    return half


@compiled("void(float32[:, ::1], float32[:, ::1], float32[:, ::1])", reassociate=True)
def _slopes(wide: Float32, slope_x: Float32, slope_y: Float32) -> None:
    """Fill Scharr's derivatives; none in the margin."""
    three, ten = np.float32(3 / 32), np.float32(10 / 32)
    slope_x[:] = np.float32(0.0)
    slope_y[:] = np.float32(0.0)
    for v in range(MARGIN, len(wide) - MARGIN):
        above, row, below, by_x, by_y = wide[v - 1], wide[v], wide[v + 1], slope_x[v], slope_y[v]
        for u in range(np.uint64(MARGIN), np.uint64(wide.shape[1] - MARGIN)):
            right, left = u + np.uint64(1), u - np.uint64(1)
            across = above[right] - above[left] + below[right] - below[left]
            by_x[u] = three * across + ten * (row[right] - row[left])
            down = below[left] - above[left] + below[right] - above[right]
            by_y[u] = three * down + ten * (below[u] - above[u])


_PATCHES = "float32[:, :, :, ::1]"


@compiled(
    f"void(uint8[:, ::1], float32[:, ::1], {_PATCHES}, {_PATCHES}, {_PATCHES},"
    "float32[:, :, ::1], boolean[:, ::1])"
)
def _make(  # noqa: PLR0913  (compiled code takes arrays, not objects)
    image: Any, points: Float32, values: Float32, slopes_x: Float32, slopes_y: Float32,
    inverses: Float32, flat: Any,
) -> None:  # fmt: skip
    n = len(points)
    for level in range(len(values)):
        if level > 0:
            image = _halved(image)
        wide, scale = _widened(image), np.float32(0.5**level)
        slope_x, slope_y = np.empty_like(wide), np.empty_like(wide)
        _slopes(wide, slope_x, slope_y)
        width = wide.shape[1]
        value = values[level].reshape(n, SIDE * _ROW)
        by_x, by_y = slopes_x[level].reshape(value.shape), slopes_y[level].reshape(value.shape)
        _cut_all(wide.ravel(), width, points, scale, value)
        _cut_all(slope_x.ravel(), width, points, scale, by_x)
        _cut_all(slope_y.ravel(), width, points, scale, by_y)
        _invert_all(by_x, by_y, inverses[level], flat[level])


def make_templates(image: NDArray[np.uint8], points: Float32, levels: int) -> Templates:
    """As ``reference.make_templates``."""
    n = len(points)
    points = writable(points, np.float32)
    values, slopes_x, slopes_y = (np.empty((levels, n, SIDE, _ROW), np.float32) for _ in range(3))
    inverses, flat = np.zeros((levels, n, 3), np.float32), np.zeros((levels, n), np.bool_)
    _make(writable(image, np.uint8), points, values, slopes_x, slopes_y, inverses, flat)
    return Templates(points, values, slopes_x, slopes_y, inverses, flat)


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


@compiled(
    f"void(uint8[:, ::1], {_PATCHES}, {_PATCHES}, {_PATCHES}, float32[:, :, ::1],"
    "boolean[:, ::1], float32[:, ::1], float32[:, ::1], int64, float32, float32, boolean[::1])"
)
def _track_all(  # noqa: PLR0913  (compiled code takes arrays, not objects)
    image: Any, values: Float32, slopes_x: Float32, slopes_y: Float32, inverses: Float32,
    flat: Any, begin: Float32, found: Float32, rounds: int, settled: Any, farthest: Any, seen: Any,
) -> None:  # fmt: skip
    n, images = len(found), [image]
    for _ in range(1, len(values)):
        images.append(_halved(images[-1]))
    for back in range(len(values)):
        level = len(values) - 1 - back
        value = values[level].reshape(n, SIDE * _ROW)
        _track(
            _widened(images[level]), value, slopes_x[level].reshape(value.shape),
            slopes_y[level].reshape(value.shape), inverses[level], flat[level], found,
            np.float32(0.5**level), level == 0, rounds, settled, seen,
        )  # fmt: skip
    for i in range(n):
        off = max(abs(found[i, 0] - begin[i, 0]), abs(found[i, 1] - begin[i, 1]))
        seen[i] = seen[i] and off <= farthest
        if not seen[i]:
            found[i] = begin[i]


def track(
    templates: Templates,
    image: NDArray[np.uint8],
    begin: Float32,
    settings: Settings | None = None,
) -> tuple[Float32, NDArray[np.bool_]]:
    """As ``reference.track``."""
    rounds, settled, farthest = settings or Settings()
    _, values, slopes_x, slopes_y, inverses, flat = templates
    begin = writable(begin, np.float32)
    found, seen = begin.copy(), np.ones(len(begin), np.bool_)
    _track_all(
        writable(image, np.uint8), values, slopes_x, slopes_y, inverses, flat, begin, found,
        rounds, settled, farthest, seen,
    )  # fmt: skip
    return found, seen
