"""One launch of a kernel, as a value: which, over what grid, on which arrays and numbers.

The same value runs on a GPU (:mod:`affect_kernels.cuda`) and, compiled by g++, on a CPU in the
tests; it also tells the bytes that a launch has to move, against which its time is judged.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from math import prod
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from affect_kernels.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

HEADER: Final = "device.cuh"
GRID_LIMITS: Final = (2**31 - 1, 65535, 65535)


@dataclass(frozen=True, slots=True)
class Reads:
    """An array that a kernel only reads: its ``In<T>``."""

    array: NDArray[Any]


@dataclass(frozen=True, slots=True)
class Writes:
    """An array whose every item a kernel writes: its ``Out<T>``.

    Attributes
    ----------
    shape : tuple of int
    dtype : dtype
    initial : array, optional
        What the kernel finds there and replaces: it works in place.
    """

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    initial: NDArray[Any] | None = None

    @classmethod
    def over(cls, array: NDArray[Any]) -> Writes:
        """Return one that works in place on a copy of `array`."""
        return cls(array.shape, array.dtype, array)


@dataclass(frozen=True, slots=True)
class Launch:
    """A kernel with all it needs.

    Attributes
    ----------
    source : str
        Path of the ``.cu`` inside this package: ``"lifting/lifting.cu"``.
    entry : str
        The kernel in it.
    grid : tuple of int
        Blocks along x, y, z.
    threads : int
        A block; a multiple of 32.
    arguments : mapping
        The kernel's struct, in its order: :class:`Reads`, :class:`Writes` and NumPy numbers.

    Raises
    ------
    UsageError
        A grid that CUDA does not launch, or an array that is not C-contiguous.
    """

    source: str
    entry: str
    grid: tuple[int, int, int]
    threads: int
    arguments: Mapping[str, Reads | Writes | np.generic]

    def __post_init__(self) -> None:
        fits = all(0 < n <= limit for n, limit in zip(self.grid, GRID_LIMITS, strict=True))
        if not fits or self.threads % 32 or not 0 < self.threads <= 1024:
            raise UsageError(
                thing=f"launch of {self.entry}", got=f"{self.grid} blocks of {self.threads}",
                expected=f"1 to {GRID_LIMITS} blocks of 32 to 1024 threads, whole warps",
                hint="Is an array empty, or far too large?",
            )  # fmt: skip
        for name, argument in self.arguments.items():
            array = argument.array if isinstance(argument, Reads) else None
            array = argument.initial if isinstance(argument, Writes) else array
            if array is not None and not array.flags.c_contiguous:
                raise UsageError(
                    thing=f"{name} of {self.entry}", got=f"strides {array.strides}",
                    expected="a C-contiguous array", hint="Use numpy.ascontiguousarray.",
                )  # fmt: skip

    @property
    def reads(self) -> dict[str, NDArray[Any]]:
        """Arrays to bring to the kernel."""
        return {name: a.array for name, a in self.arguments.items() if isinstance(a, Reads)}

    @property
    def writes(self) -> dict[str, Writes]:
        """Arrays that the kernel fills."""
        return {name: a for name, a in self.arguments.items() if isinstance(a, Writes)}

    @property
    def unique_bytes(self) -> int:
        """Bytes of all arrays, each once; one that is worked on in place is read and written."""
        total = sum(array.nbytes for array in self.reads.values())
        for written in self.writes.values():
            total += sum_bytes(written) * (1 if written.initial is None else 2)
        return total

    def pack(self, addresses: Mapping[str, int]) -> bytes:
        """Lay the arguments out as the C++ struct has them, given where each array lies."""
        fields: list[tuple[str, Any]] = []
        values: list[Any] = []
        for name, argument in self.arguments.items():
            if isinstance(argument, np.generic):
                fields.append((name, argument.dtype))
                values.append(argument)
            else:
                shape = argument.shape if isinstance(argument, Writes) else argument.array.shape
                fields += [(f"{name}_data", np.uint64), (f"{name}_size", np.int64)]
                values += [addresses[name], prod(shape)]
        return np.array([tuple(values)], np.dtype(fields, align=True)).tobytes()


def sum_bytes(written: Writes) -> int:
    """Return the size of an array that a kernel fills."""
    return prod(written.shape) * written.dtype.itemsize


def blocks(items: int, each: int) -> int:
    """Return how many blocks of `each` items hold them all; one at least."""
    return max(-(-items // each), 1)


@cache
def read_source(path: str) -> str:
    """Read a file of this package, as ``"lifting/lifting.cu"``."""
    return files("affect_kernels").joinpath(*path.split("/")).read_text(encoding="utf-8")


def headers(source: str) -> dict[str, str]:
    """Return what a ``.cu`` may include, by the name it uses: all ``.cuh`` beside it and above."""
    package = files("affect_kernels")
    folder = package.joinpath(*source.split("/")[:-1])
    near = [item for f in (package, folder) for item in f.iterdir() if item.name.endswith(".cuh")]
    return {item.name: item.read_text("utf-8") for item in near}


def fingerprint(source: str, *more: str) -> str:
    """Return a hash that changes with the kernel's text, what it includes, and `more`."""
    parts = [source, read_source(source), *more]
    for name, text in sorted(headers(source).items()):
        parts += [name, text]
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()
