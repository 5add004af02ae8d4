"""Networks of separable blocks in one compiled pass, in float32 with weights kept in float16.

What makes it fast: rows of a depthwise convolution stay in the first cache until the 1x1 has taken
them; that one multiplies tiles of 6 places by 16 channels which never leave the registers; bias,
skip and PReLU are a tile's first and last step, not passes of their own; maps have a border of
zeros, so that no loop asks where the image ends. Weights are read as float16, which halves what a
run draws through the caches, and are multiplied as float32. The loops are in ``llvm``.
"""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any, Final, NoReturn, Self

import numpy as np

from affect_kernels.separable_blocks import llvm
from affect_kernels.separable_blocks.llvm import LANES, TILE, WIDE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from affect_kernels.separable_blocks.reference import Float32, Layer

_STRIP: Final = 96  # places, at most, whose depthwise results wait for the 1x1


class UnfitError(ValueError):
    """These layers, or this processor, need something that the compiled pass does not have."""


def refuse(what: str) -> NoReturn:
    """Raise :class:`UnfitError`."""
    raise UnfitError(what)


class Program:
    """A network packed for :meth:`run`; belongs to one thread.

    Parameters
    ----------
    layers : sequence of Layer
        In an order in which each one's source and skip are there.
    source : int
    shape : (int, int, int)
        Number of the map that is given, and its height, width, channels.
    outputs : sequence of int
        Maps that are read afterwards; others share their memory.

    Raises
    ------
    UnfitError
        A layer has a shape that there is no tile for, or the processor lacks what tiles need.
    """

    def __init__(
        self, layers: Sequence[Layer], source: int, shape: tuple[int, int, int],
        outputs: Sequence[int],
    ) -> None:  # fmt: skip
        if llvm.run is None:
            refuse(f"a processor without {', '.join(llvm.missing_features())}")
        self._pass = llvm.run
        self._weights = _Arena(np.float32)
        self._halves = _Arena(np.float16)
        self._weights.put(np.zeros(WIDE, np.float32))  # what is added where nothing skips
        maps = _Maps(layers, {source, *outputs})
        maps.make(source, shape)
        rows = []
        for index, layer in enumerate(layers):
            rows.append(self._row(layer, maps))
            maps.done(index)
        self._rows = np.array(rows, np.int64)
        self._numbers, self._packed = self._weights.whole(), self._halves.whole().view(np.uint16)
        self._maps, self._source, self._kept = maps, source, tuple(outputs)
        self._scratch_size = max(
            r[llvm.ROWS] * r[llvm.WIDTH] * r[llvm.STEP] if r[llvm.SEPARABLE] else 0 for r in rows
        )
        self._take_memory()

    def _take_memory(self) -> None:
        self._memory = _aligned(self._maps.size, np.float32)
        self._scratch = _aligned(self._scratch_size, np.float32)
        self.input: Float32 = self._maps.view(self._source, self._memory)
        """(H, W, c), to be written to before each run."""
        self.outputs: dict[int, Float32] = {n: self._maps.view(n, self._memory) for n in self._kept}
        """(h, w, n) by number; overwritten by each run."""

    def share(self) -> Self:
        """Return a program for another thread: the same weights, maps of its own."""
        other = copy.copy(self)
        other._take_memory()
        return other

    def run(self) -> None:
        """Make the outputs of the input."""
        self._pass(self._rows, self._numbers, self._packed, self._memory, self._scratch)

    def _row(self, layer: Layer, maps: _Maps) -> list[int]:
        """Pack a layer's weights; return its numbers."""
        height, width = layer.size
        kh, kw, c, n = layer.weight.shape
        tile = WIDE if width == 1 else TILE
        wanted = n + -n % tile
        separable = layer.depthwise is not None
        if width > 1 and (width % 3 or wanted != n):
            refuse(f"{width} places a row of {n} channels")
        if separable and ((kh, kw) != (1, 1) or c % LANES or width == 1 or layer.stride > 2):
            refuse(f"a depthwise convolution of {c} channels before one of {kh}x{kw}")
        source, pitch, step = maps.place(layer, 3 if separable else kh)
        target, target_pitch, channels = maps.make(layer.target, (height, width, wanted))
        skip, skip_pitch, skip_step, times = 0, 0, 0, 0
        if layer.skip is not None:
            skip, skip_pitch, skip_step = maps.first(layer.skip)
            times = 2 if layer.pooled else 1
            if skip_step % TILE or width == 1:
                refuse(f"a skip of {skip_step} channels")
        weight = np.zeros((kh * kw * c, wanted), np.float16)
        weight[:, :n] = layer.weight.reshape(-1, n)
        weight = weight.reshape(len(weight), -1, tile).transpose(1, 0, 2)
        depthwise = 0
        if layer.depthwise is not None:
            grouped = layer.depthwise.reshape(10, -1, LANES).transpose(1, 0, 2)
            depthwise = self._weights.put(grouped)
        bias, slope = (np.pad(row, (0, wanted - n)) for row in (layer.bias, layer.slope))
        return [
            int(separable), source, pitch, step, layer.stride, 1 if separable else kh,
            c if separable else kw * c, target, target_pitch, channels, height, width, depthwise,
            self._halves.put(weight), self._weights.put(bias), self._weights.put(slope),
            skip, times, skip_pitch, skip_step, max(1, min(height, _STRIP // width)),
        ]  # fmt: skip


def _aligned(n: int, dtype: type[np.float32 | np.float16]) -> NDArray[Any]:
    """Return zeros that begin with a cache line: a vector that lies across two costs two loads."""
    line, size = 64, np.dtype(dtype).itemsize
    room = np.zeros(n * size + line, np.uint8)
    start = -room.ctypes.data % line
    return room[start : start + n * size].view(dtype)


class _Arena:
    """Numbers of many arrays in one, each where a cache line begins."""

    def __init__(self, dtype: type[np.float32 | np.float16]) -> None:
        self._parts: list[NDArray[Any]] = []
        self._dtype = dtype
        self._size = 0

    def put(self, values: NDArray[Any]) -> int:
        """Append values; return their place."""
        flat = np.ascontiguousarray(values, self._dtype).ravel()
        place = self._size
        room = -len(flat) % 32
        self._parts += [flat, np.zeros(room, self._dtype)]
        self._size += len(flat) + room
        return place

    def whole(self) -> NDArray[Any]:
        """Return all of them."""
        return np.concatenate(self._parts, out=_aligned(self._size, self._dtype))


class _Maps:
    """Where maps lie in memory: with a border of zeros, one after another in the same place.

    A map's place is free for the next one of its shape once the last layer that reads it is done.
    """

    def __init__(self, layers: Sequence[Layer], kept: set[int]) -> None:
        self.size = 0
        self._kept = kept
        self._last: dict[int, int] = {}
        for index, layer in enumerate(layers):
            for number in (layer.source, layer.skip, layer.target):
                if number is not None:
                    self._last[number] = index
        self._known: dict[int, tuple[int, tuple[int, int, int]]] = {}
        self._free: dict[tuple[int, int, int], list[int]] = {}

    def make(self, number: int, shape: tuple[int, int, int]) -> tuple[int, int, int]:
        """Give a new map room; return its first element, the pitch of its rows, and its step."""
        free = self._free.get(shape)
        if free:
            start = free.pop()
        else:
            start = self.size
            rows, columns = (n + 2 * _border(shape) for n in shape[:2])
            taken = rows * columns * shape[2]
            self.size += taken + -taken % 32
        self._known[number] = start, shape
        return self.first(number)

    def first(self, number: int) -> tuple[int, int, int]:
        """Return the element of a map's first place, the pitch of its rows, and its step."""
        start, shape = self._known[number]
        border, step = _border(shape), shape[2]
        pitch = (shape[1] + 2 * border) * step
        return start + border * (pitch + step), pitch, step

    def place(self, layer: Layer, kernel: int) -> tuple[int, int, int]:
        """Return the same of where a layer of a kernel of this height and width begins to read."""
        shape = self._known[layer.source][1]
        border = _border(shape)
        for have, wanted in zip(shape, layer.size, strict=False):
            behind = (wanted - 1) * layer.stride + kernel - layer.before - have
            if max(layer.before, behind) > border:
                refuse(f"a border of {max(layer.before, behind)}")
        first, pitch, step = self.first(layer.source)
        return first - layer.before * (pitch + step), pitch, step

    def done(self, index: int) -> None:
        """Free what no layer after this one reads."""
        for number, last in self._last.items():
            if last == index and number not in self._kept and number in self._known:
                start, shape = self._known[number]
                self._free.setdefault(shape, []).append(start)

    def view(self, number: int, memory: Float32) -> Float32:
        """Return a map as an array (h, w, n) of the memory."""
        start, (height, width, step) = self._known[number]
        border = _border((height, width, step))
        rows, columns = height + 2 * border, width + 2 * border
        whole = memory[start : start + rows * columns * step].reshape(rows, columns, step)
        return whole[border : border + height, border : border + width]


def _border(shape: tuple[int, int, int]) -> int:
    """Return how many zeros stand around a map."""
    return 1 if shape[1] > 1 else 0
