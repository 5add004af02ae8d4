"""The compiled pass over a network of separable blocks: two inner loops written for LLVM.

numba compiles loops well, but does not keep a tile of sums in registers. So the functions of a row
of tiles and of a row of a depthwise convolution make LLVM's code themselves, with vectors of eight
numbers that become AVX2 or NEON; numba compiles what calls them. All stands in one file, because
numba looks at a function's own file alone to see whether what it has kept is still right.

Addresses and distances are in bytes here; a layer's numbers are in elements.
"""

from __future__ import annotations

import platform
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from llvmlite import binding, ir
from numba import types
from numba.core import cgutils, config
from numba.extending import intrinsic

from affect_kernels.compiled import compiled

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from affect_kernels.separable_blocks.reference import Float32

LANES: Final = 8
WIDE: Final = 64  # channels of a tile of one place: eight sums in flight
TILE: Final = 16  # channels of other tiles

# A layer's numbers, in elements of the arrays that they point into; pitches are of a row, steps of
# a place.
(SEPARABLE, SOURCE, PITCH, STEP, STRIDE, SEGMENTS, DEPTH, TARGET, TARGET_PITCH, CHANNELS,
 HEIGHT, WIDTH, DEPTHWISE, WEIGHT, BIAS, SLOPE, SKIP, SKIP_TIMES, SKIP_PITCH,
 SKIP_CHANNELS, ROWS) = range(21)  # fmt: skip

_NEEDED: Final = {"x86_64": ("avx2", "fma", "f16c"), "AMD64": ("avx2", "fma", "f16c")}
"""Features of a processor, by its machine; 64 bit ARM always has what is needed."""

_FLOAT, _INT = ir.FloatType(), ir.IntType(64)
_VECTOR, _HALVES = ir.VectorType(_FLOAT, LANES), ir.VectorType(ir.HalfType(), LANES)
_BYTES: Final = 4 * LANES


def missing_features() -> tuple[str, ...]:
    """Return what this processor lacks, or why nothing can be compiled for it; empty if nothing."""
    if any(vars(config).get(name) for name in ("DISABLE_JIT", "CPU_NAME", "CPU_FEATURES")):
        return ("a compiler that is free to use this processor (NUMBA_* is set)",)
    machine = platform.machine()
    if machine in ("aarch64", "arm64"):
        return ()
    if machine not in _NEEDED:
        return (f"a form for {machine}",)
    features = binding.get_host_cpu_features()
    return tuple(name for name in _NEEDED[machine] if not features.get(name))


def _int(value: int) -> Any:
    return ir.Constant(_INT, value)


def _load(b: Any, address: Any, offset: Any, kind: Any = _VECTOR, align: int = 4) -> Any:
    """Load a vector, or one number; only the type's own alignment can be relied on."""
    loaded = b.load(b.inttoptr(b.add(address, offset), ir.PointerType(kind)))
    loaded.align = align
    return loaded


def _store(b: Any, value: Any, address: Any) -> None:
    b.store(value, b.inttoptr(address, ir.PointerType(_VECTOR))).align = 4


def _multiply_add(b: Any, x: Any, y: Any, z: Any) -> Any:
    kind = ir.FunctionType(_VECTOR, [_VECTOR] * 3)
    name = f"llvm.fmuladd.v{LANES}f32"  # fused where the processor can
    return b.call(cgutils.get_or_insert_function(b.module, kind, name), [x, y, z])


def _largest(b: Any, x: Any, y: Any) -> Any:
    return b.select(b.fcmp_ordered(">", x, y), x, y)


def _all_of(b: Any, number: Any) -> Any:
    """Return a vector of one number eight times."""
    nothing = ir.Constant(_VECTOR, ir.Undefined)
    first = b.insert_element(nothing, number, ir.Constant(ir.IntType(32), 0))
    places = ir.Constant(ir.VectorType(ir.IntType(32), LANES), [0] * LANES)
    return b.shuffle_vector(first, nothing, places)


def _tiles_function(places: int, vectors: int) -> Callable[..., None]:
    """Return the function of a row of tiles, each `places` by ``8 * vectors`` channels.

    n : places of the row
    x, x_step : where the first place's inputs are, and the next one's
    segments, x_pitch, depth : rows of inputs, how far they are apart, numbers in each
    weight : (segments * depth, channels) float16
    bias, slope : (channels,) float32
    skip, skip_step, skip_pitch, times : what is added, as it is or, twice as large, its 2x2 maxima
    out, out_step : where it goes
    """

    @intrinsic
    def tiles(
        typing, n, x, x_step, segments, x_pitch, depth, weight, bias, slope, skip, skip_step,
        skip_pitch, times, out, out_step,
    ):  # fmt: skip
        def generate(context, b, signature, arguments):
            (n, x, x_step, segments, x_pitch, depth, weight, bias, slope, skip, skip_step,
             skip_pitch, times, out, out_step) = arguments  # fmt: skip
            at = [_int(_BYTES * j) for j in range(vectors)]
            sums = [
                [cgutils.alloca_once(b, _VECTOR) for _ in range(vectors)] for _ in range(places)
            ]
            offsets = [b.mul(x_step, _int(i)) for i in range(places)]
            next_weight = cgutils.alloca_once_value(b, weight)
            biases = [_load(b, bias, offset) for offset in at]
            with cgutils.for_range(b, b.udiv(n, _int(places))) as turn:
                first = b.mul(turn.index, _int(places))
                for one in sums:
                    for begun, place in zip(biases, one, strict=True):
                        b.store(begun, place)
                b.store(weight, next_weight)
                place = b.add(x, b.mul(first, x_step))
                with cgutils.for_range(b, segments) as segment:
                    row = b.add(place, b.mul(segment.index, x_pitch))
                    with cgutils.for_range(b, depth) as k:
                        here, weights = b.load(next_weight), []
                        for j in range(vectors):
                            half = _load(b, here, _int(2 * LANES * j), _HALVES, 2)
                            weights.append(b.fpext(half, _VECTOR))
                        b.store(b.add(here, _int(2 * LANES * vectors)), next_weight)
                        value = b.add(row, b.shl(k.index, _int(2)))
                        for i in range(places):
                            x_i = _all_of(b, _load(b, value, offsets[i], _FLOAT))
                            for j in range(vectors):
                                more = _multiply_add(b, x_i, weights[j], b.load(sums[i][j]))
                                b.store(more, sums[i][j])
                skip_0 = b.add(skip, b.mul(b.mul(first, times), skip_step))
                out_0 = b.add(out, b.mul(first, out_step))
                pooled = b.icmp_signed("==", times, _int(2))
                for j in range(vectors):
                    slopes = _load(b, slope, at[j])
                    for i in range(places):
                        own = b.add(skip_0, b.mul(b.mul(times, skip_step), _int(i)))
                        added = cgutils.alloca_once_value(b, _load(b, own, at[j]))
                        with b.if_then(pooled):
                            right, below = b.add(own, skip_step), b.add(own, skip_pitch)
                            largest = b.load(added)
                            for other in (right, below, b.add(right, skip_pitch)):
                                largest = _largest(b, largest, _load(b, other, at[j]))
                            b.store(largest, added)
                        made = b.fadd(b.load(sums[i][j]), b.load(added))
                        negative = b.fcmp_ordered("<", made, ir.Constant(_VECTOR, [0.0] * LANES))
                        made = b.select(negative, b.fmul(made, slopes), made)
                        _store(b, made, b.add(b.add(out_0, b.mul(out_step, _int(i))), at[j]))
            return context.get_dummy_value()

        return types.void(*[types.int64] * 15), generate

    return tiles


def _depthwise_function(stride: int, places: int) -> Callable[..., None]:
    """Return the function of a row of a 3x3 depthwise convolution, `places` at a time.

    x, pitch, step : where the first place's inputs are, the next row's, the next place's
    groups, n : of eight channels, and places, a multiple of `places`
    weights : (groups, 10, 8) float32: bias, then weights row by row
    out : (n, groups, 8) float32
    """

    @intrinsic
    def depthwise(typing, x, pitch, step, groups, n, weights, out):
        def generate(context, b, signature, arguments):
            x, pitch, step, groups, n, weights, out = arguments
            out_step = b.mul(groups, _int(_BYTES))
            rounds = b.udiv(n, _int(places))
            with cgutils.for_range(b, groups) as group:
                channel = b.mul(group.index, _int(_BYTES))
                own = b.add(weights, b.mul(channel, _int(10)))
                bias, *kernel = [_load(b, own, _int(_BYTES * k)) for k in range(10)]
                from_x, to_out = b.add(x, channel), b.add(out, channel)
                with cgutils.for_range(b, rounds) as turn:
                    first = b.mul(turn.index, _int(places))
                    row = b.add(from_x, b.mul(b.mul(first, _int(stride)), step))
                    sums = [bias] * places
                    for ky in range(3):
                        columns = range(stride * (places - 1) + 3)
                        seen = [_load(b, row, b.mul(step, _int(k))) for k in columns]
                        for i in range(places):
                            for kx in range(3):
                                value = seen[i * stride + kx]
                                sums[i] = _multiply_add(b, value, kernel[3 * ky + kx], sums[i])
                        row = b.add(row, pitch)
                    to = b.add(to_out, b.mul(first, out_step))
                    for i in range(places):
                        _store(b, sums[i], b.add(to, b.mul(out_step, _int(i))))
            return context.get_dummy_value()

        return types.void(*[types.int64] * 7), generate

    return depthwise


_tiles_6, _tiles_3 = _tiles_function(6, 2), _tiles_function(3, 2)
_tiles_1 = _tiles_function(1, WIDE // LANES)
_depthwise, _depthwise_halving = _depthwise_function(1, 3), _depthwise_function(2, 3)


def _run(
    layers: NDArray[np.int64], numbers: Float32, halves: NDArray[np.uint16], memory: Float32,
    scratch: Float32,
) -> None:  # fmt: skip
    """Run every layer, strip by strip: depthwise rows into the scratch, then tiles of them."""
    four, none = np.int64(4), np.int64(0)
    numbers_at, halves_at = np.int64(numbers.ctypes.data), np.int64(halves.ctypes.data)
    memory_at, scratch_at = np.int64(memory.ctypes.data), np.int64(scratch.ctypes.data)
    for index in range(len(layers)):
        p = layers[index]
        width, channels, stride, times = p[WIDTH], p[CHANNELS], p[STRIDE], p[SKIP_TIMES]
        pitch, step, depth, segments = four * p[PITCH], four * p[STEP], p[DEPTH], p[SEGMENTS]
        out_pitch, out_step = four * p[TARGET_PITCH], four * channels
        skip_pitch, skip_step = four * p[SKIP_PITCH], four * p[SKIP_CHANNELS]
        tile = WIDE if width == 1 else TILE
        for y in range(0, p[HEIGHT], p[ROWS]):
            rows = min(p[ROWS], p[HEIGHT] - y)
            x = memory_at + four * p[SOURCE] + y * stride * pitch
            x_row, x_step, x_pitch = stride * pitch, stride * step, pitch
            if p[SEPARABLE]:
                groups, weights = p[STEP] // LANES, numbers_at + four * p[DEPTHWISE]
                for r in range(rows):
                    seen, made = x + r * x_row, scratch_at + r * width * step
                    if stride == 2:
                        _depthwise_halving(seen, pitch, step, groups, width, weights, made)
                    else:
                        _depthwise(seen, pitch, step, groups, width, weights, made)
                x, x_row, x_step, x_pitch = scratch_at, width * step, step, none
            for n in range(0, channels, tile):
                weight = halves_at + 2 * (p[WEIGHT] + n * segments * depth)
                bias = numbers_at + four * (p[BIAS] + n)
                slope = numbers_at + four * (p[SLOPE] + n)
                if n < p[SKIP_CHANNELS]:
                    s_step, s_row, s_times = skip_step, times * skip_pitch, times
                    skip = memory_at + four * (p[SKIP] + n) + y * s_row
                else:  # the zeros that the numbers begin with
                    skip, s_step, s_row, s_times = numbers_at, none, none, none
                for r in range(rows):
                    x_r, s_r = x + r * x_row, skip + r * s_row
                    out = memory_at + four * (p[TARGET] + n) + (y + r) * out_pitch
                    if tile == WIDE:
                        _tiles_1(
                            width, x_r, x_step, segments, x_pitch, depth, weight, bias, slope,
                            s_r, s_step, skip_pitch, s_times, out, out_step,
                        )  # fmt: skip
                    elif width % 6:
                        _tiles_3(
                            width, x_r, x_step, segments, x_pitch, depth, weight, bias, slope,
                            s_r, s_step, skip_pitch, s_times, out, out_step,
                        )  # fmt: skip
                    else:
                        _tiles_6(
                            width, x_r, x_step, segments, x_pitch, depth, weight, bias, slope,
                            s_r, s_step, skip_pitch, s_times, out, out_step,
                        )  # fmt: skip


_SIGNATURE: Final = "void(int64[:, ::1], float32[::1], uint16[::1], float32[::1], float32[::1])"
# LLVM ends the process over an instruction that there is not.
run: Final = None if missing_features() else compiled(_SIGNATURE)(_run)
"""The pass over layers (n, 21), with their numbers and halves, in a memory and a scratch; None
where this processor cannot run it."""
