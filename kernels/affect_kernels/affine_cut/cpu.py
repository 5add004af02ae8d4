"""Affine cuts compiled: eight places at once, and nothing is written but the cut.

OpenCV's ``warpAffine`` is quick only for images of one or four channels, so what it cuts from must
be copied first. Here a row's loop is written for LLVM: the four pixels around each of eight places
are read as four bytes each, and a colour of all eight is weighed in one vector.

Any number of threads may call at the same time.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from affect_kernels.affine_cut.reference import GREY, GREY_PARTS
from affect_kernels.compiled import compiled

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import ArrayLike, NDArray

    from affect_kernels.affine_cut.reference import Image

_WIDE: Final = 8  # places at once
_AHEAD: Final = 6  # rows
_FLOAT, _INT, _LONG, _BYTE = ir.FloatType(), ir.IntType(32), ir.IntType(64), ir.IntType(8)
_FLOATS, _INTS = ir.VectorType(_FLOAT, _WIDE), ir.VectorType(_INT, _WIDE)


def _row_function(*, grey: bool) -> Callable[..., None]:
    """Return the function that cuts one row.

    image, pitch : address of the first pixel, bytes of a row
    right, bottom : the last column and row
    x, y, across, down : where the row begins, and how far the next place is
    ahead : bytes from a place to the same one of a later row, which is asked for in time: a turned
        row crosses many of the image's, and no processor foresees that by itself
    n, out : places, a multiple of eight, and address of the first one's byte
    """

    @intrinsic
    def row(typing, image, pitch, right, bottom, x, y, across, down, ahead, n, out):
        def generate(context, b, signature, arguments):
            image, pitch, right, bottom, x, y, across, down, ahead, n, out = arguments

            def all_of(value, kind):
                nothing = ir.Constant(kind, ir.Undefined)
                first = b.insert_element(nothing, value, ir.Constant(_INT, 0))
                return b.shuffle_vector(first, nothing, ir.Constant(_INTS, [0] * _WIDE))

            def ints(value):
                return ir.Constant(_INTS, [value] * _WIDE)

            def floats(value):
                return ir.Constant(_FLOATS, [value] * _WIDE)

            def within(values, most):
                values = b.select(b.fcmp_ordered(">", values, floats(0.0)), values, floats(0.0))
                return b.select(b.fcmp_ordered("<", values, most), values, most)

            def floor(values, most):
                whole = b.fptosi(values, _INTS)
                return b.select(b.icmp_signed("<", whole, most), whole, most)

            def read(offsets):
                """Return four bytes from each of eight places."""
                found = ir.Constant(_INTS, ir.Undefined)
                for lane in range(_WIDE):
                    index = ir.Constant(_INT, lane)
                    address = b.add(image, b.zext(b.extract_element(offsets, index), _LONG))
                    four = b.load(b.inttoptr(address, ir.PointerType(_INT)))
                    four.align = 1
                    found = b.insert_element(found, four, index)
                return found

            def fetch(offsets):
                """Ask for what a later row will read at two of eight places."""
                kind = ir.FunctionType(ir.VoidType(), [ir.PointerType(_BYTE), _INT, _INT, _INT])
                prefetch = cgutils.get_or_insert_function(b.module, kind, "llvm.prefetch.p0")
                for lane in (0, _WIDE // 2):
                    offset = b.sext(b.extract_element(offsets, ir.Constant(_INT, lane)), _LONG)
                    place = b.inttoptr(b.add(b.add(image, offset), ahead), ir.PointerType(_BYTE))
                    b.call(prefetch, [place, *(ir.Constant(_INT, k) for k in (0, 3, 1))])

            def colour(fours, shift):
                return b.sitofp(b.and_(b.lshr(fours, ints(shift)), ints(255)), _FLOATS)

            def add_product(x, y, z):
                kind = ir.FunctionType(_FLOATS, [_FLOATS] * 3)
                name = f"llvm.fmuladd.v{_WIDE}f32"
                return b.call(cgutils.get_or_insert_function(b.module, kind, name), [x, y, z])

            def between(first, second, share):
                return add_product(b.fsub(second, first), share, first)

            def level_of(blue, green, red):
                """Return the grey of colours, a whole number: products of such are exact."""
                total = floats(float(GREY_PARTS // 2))
                for part, share in zip((blue, green, red), GREY, strict=True):
                    total = add_product(part, floats(float(share)), total)
                total = b.fmul(total, floats(1.0 / GREY_PARTS))
                return b.sitofp(b.fptosi(total, _INTS), _FLOATS)

            whole_pitch = all_of(b.trunc(pitch, _INT), _INTS)
            last = [all_of(b.trunc(value, _INT), _INTS) for value in (right, bottom)]
            most = [b.sitofp(value, _FLOATS) for value in last]
            last = [b.sub(value, ints(1)) for value in last]
            begun = [all_of(value, _FLOATS) for value in (x, y)]
            steps = [all_of(value, _FLOATS) for value in (across, down)]
            lanes = ir.Constant(_INTS, list(range(_WIDE)))
            with cgutils.for_range(b, b.udiv(n, ir.Constant(_LONG, _WIDE))) as turn:
                first = b.mul(turn.index, ir.Constant(_LONG, _WIDE))
                at = b.sitofp(b.add(all_of(b.trunc(first, _INT), _INTS), lanes), _FLOATS)
                places = [
                    within(add_product(at, step, start), end)
                    for start, step, end in zip(begun, steps, most, strict=True)
                ]
                left, top = (floor(p, end) for p, end in zip(places, last, strict=True))
                share_x, share_y = (
                    b.fsub(place, b.sitofp(whole, _FLOATS))
                    for place, whole in zip(places, (left, top), strict=True)
                )
                upper = b.add(b.mul(top, whole_pitch), b.mul(left, ints(3)))
                fetch(upper)
                corners = []
                for offsets in (upper, b.add(upper, whole_pitch)):
                    # The pixel beside is read from its neighbour's last byte on: no byte behind
                    # the image's last one is touched.
                    corners += [(read(offsets), 0), (read(b.add(offsets, ints(2))), 8)]
                parts = [
                    [colour(fours, begin + shift) for fours, begin in corners]
                    for shift in (0, 8, 16)
                ]
                if grey:
                    parts = [[level_of(*colours) for colours in zip(*parts, strict=True)]]
                made = [
                    between(between(a, c, share_x), between(d, e, share_x), share_y)
                    for a, c, d, e in parts
                ]
                whole = [b.fptosi(b.fadd(value, floats(0.5)), _INTS) for value in made]
                if grey:
                    levels = b.trunc(whole[0], ir.VectorType(_BYTE, _WIDE))
                    place = b.add(out, first)
                else:
                    blue, green, red = whole
                    packed = b.or_(red, b.or_(b.shl(green, ints(8)), b.shl(blue, ints(16))))
                    levels = b.bitcast(packed, ir.VectorType(_BYTE, 4 * _WIDE))
                    kept = [4 * lane + k for lane in range(_WIDE) for k in range(3)]
                    order = ir.Constant(ir.VectorType(_INT, len(kept)), kept)
                    levels = b.shuffle_vector(levels, levels, order)
                    place = b.add(out, b.mul(first, ir.Constant(_LONG, 3)))
                b.store(levels, b.inttoptr(place, ir.PointerType(levels.type))).align = 1
            return context.get_dummy_value()

        whole, real = types.int64, types.float32
        return types.void(*[whole] * 4, *[real] * 4, *[whole] * 3), generate

    return row


_grey_row, _colour_row = _row_function(grey=True), _row_function(grey=False)

_READ = types.Array(types.uint8, 3, "A", readonly=True)  # a view of a frame, too
_SIGNATURE = types.void(
    _READ, types.float64[:, ::1], types.int64, types.int64, types.boolean, types.uint8[::1]
)


@compiled(_SIGNATURE)
def _cut(
    image: Image, to_image: NDArray[np.float64], width: int, height: int, grey: bool, out: Image
) -> None:
    image_at, out_at = np.int64(image.ctypes.data), np.int64(out.ctypes.data)
    pitch = np.int64(image.strides[0])
    right, bottom = np.int64(image.shape[1] - 1), np.int64(image.shape[0] - 1)
    across, down = np.float32(to_image[0, 0]), np.float32(to_image[1, 0])
    ahead = np.int64(_AHEAD * to_image[1, 1]) * pitch + 3 * np.int64(_AHEAD * to_image[0, 1])
    for v in range(height):
        x = np.float32(to_image[0, 2] + v * to_image[0, 1])
        y = np.float32(to_image[1, 2] + v * to_image[1, 1])
        if grey:
            to = out_at + v * width
            _grey_row(image_at, pitch, right, bottom, x, y, across, down, ahead, width, to)
        else:
            to = out_at + v * width * 3
            _colour_row(image_at, pitch, right, bottom, x, y, across, down, ahead, width, to)


def cut_rgb(image: Image, to_image: ArrayLike, size: tuple[int, int]) -> Image:
    """As :func:`affect_kernels.affine_cut.reference.cut_rgb`; the width a multiple of eight."""
    width, height = size
    out = np.empty(3 * width * height, np.uint8)
    _cut(_whole_pixels(image), np.ascontiguousarray(to_image, float), width, height, False, out)
    return out.reshape(height, width, 3)


def cut_grey(image: Image, to_image: ArrayLike, size: tuple[int, int]) -> Image:
    """As :func:`affect_kernels.affine_cut.reference.cut_grey`; the width a multiple of eight."""
    width, height = size
    out = np.empty(width * height, np.uint8)
    _cut(_whole_pixels(image), np.ascontiguousarray(to_image, float), width, height, True, out)
    return out.reshape(height, width)


def _whole_pixels(image: Image) -> Image:
    """Return an image whose pixels lie one after another in each row, with two of each at least."""
    if image.strides[1:] != (3, 1):
        image = np.ascontiguousarray(image)
    if min(image.shape[:2]) < 2:
        image = np.pad(image, ((0, 1), (0, 1), (0, 0)), mode="edge")
    return image
