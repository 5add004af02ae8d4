"""A ``.cu`` -> machine code for one kind of GPU, by NVIDIA's runtime compiler and without a GPU.

NVRTC is one shared library. It comes with a CUDA toolkit, with JetPack and as the wheel
``nvidia-cuda-nvrtc``, and compiles for every GPU it knows on any machine. Our kernels include
nothing of CUDA's own headers, so the library alone suffices. Nothing here touches a device.
"""

from __future__ import annotations

import ctypes
import re
import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from affect_kernels.errors import AffectError, DependencyError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

ARCHITECTURES: Final = (75, 80, 87, 89, 90, 100, 110, 120)
"""What every kernel is compiled for in the tests: Turing, Ampere, Orin (87), Ada, Hopper,
Blackwell (100, 120) and Thor (110)."""

OPTIONS: Final = (
    "--std=c++17", "--ptxas-options=-v", "--ptxas-options=--warn-on-spills",
)  # fmt: skip


class CompileError(AffectError, RuntimeError):
    """The compiler refused a kernel: an internal error, or a GPU it does not know."""


@dataclass(frozen=True, slots=True)
class Resources:
    """What one kernel takes of a multiprocessor, as the assembler reports it.

    Attributes
    ----------
    registers : int
        A thread.
    shared_bytes, stack_bytes : int
        Static shared memory a block; local memory a thread.
    spill_store_bytes, spill_load_bytes : int
        Registers that found no room and go through memory, a thread.
    """

    registers: int
    shared_bytes: int
    stack_bytes: int
    spill_store_bytes: int
    spill_load_bytes: int


@dataclass(frozen=True, slots=True)
class Cubin:
    """Machine code for one architecture, and what its kernels (by name) take."""

    code: bytes
    architecture: int
    resources: Mapping[str, Resources]


def version() -> tuple[int, int]:
    """Return the compiler's version, as (13, 0)."""
    major, minor = ctypes.c_int(), ctypes.c_int()
    _library().nvrtcVersion(ctypes.byref(major), ctypes.byref(minor))
    return major.value, minor.value


def compile_cubin(
    source: str, name: str, architecture: int, headers: Mapping[str, str] | None = None
) -> Cubin:
    """Compile CUDA C++ for one architecture; warnings are errors.

    Parameters
    ----------
    source, name : str
        The text, and what the compiler's messages call it.
    architecture : int
        Compute capability without its point: 87 for Orin.
    headers : mapping, optional
        Name in ``#include`` -> text.

    Raises
    ------
    CompileError
        With the compiler's own lines.
    DependencyError
        NVRTC is not on this machine.
    """
    library, headers = _library(), headers or {}
    program = ctypes.c_void_p()
    count = len(headers)
    texts = (ctypes.c_char_p * count)(*(text.encode() for text in headers.values()))
    names = (ctypes.c_char_p * count)(*(key.encode() for key in headers))
    _call(
        library.nvrtcCreateProgram, ctypes.byref(program), source.encode(), name.encode(), count,
        texts, names,
    )  # fmt: skip
    try:
        options = *OPTIONS, f"--gpu-architecture=sm_{architecture}"
        words = (ctypes.c_char_p * len(options))(*(option.encode() for option in options))
        status = library.nvrtcCompileProgram(program, len(options), words)
        log = _read(library.nvrtcGetProgramLogSize, library.nvrtcGetProgramLog, program)
        text = log.rstrip(b"\0").decode(errors="replace").strip()
        if status or _WARNING.search(text):
            raise CompileError(
                thing=f"{name} for sm_{architecture}", got=text or _message(status),
                expected="no error and no warning",
                hint=f"Compiled by NVRTC {version()[0]}.{version()[1]}.",
            )  # fmt: skip
        code = _read(library.nvrtcGetCUBINSize, library.nvrtcGetCUBIN, program)
    finally:
        library.nvrtcDestroyProgram(ctypes.byref(program))
    return Cubin(code, architecture, dict(_resources(text)))


_WARNING: Final = re.compile(r"\bwarning\b", re.IGNORECASE)
_ENTRY: Final = re.compile(r"Compiling entry function '(\w+)' for 'sm_\d+a?'")
_STACK: Final = re.compile(
    r"(\d+) bytes stack frame, (\d+) bytes spill stores, (\d+) bytes spill loads"
)
_USED: Final = re.compile(r"Used (\d+) registers")
_SHARED: Final = re.compile(r"(\d+) bytes smem")


def _resources(log: str) -> Iterator[tuple[str, Resources]]:
    """Read what ptxas says of each kernel."""
    for part in re.split(r"(?=ptxas info\s*: Compiling entry function)", log):
        entry, stack, used = _ENTRY.search(part), _STACK.search(part), _USED.search(part)
        if entry and stack and used:
            shared = _SHARED.search(part)
            yield (
                entry[1],
                Resources(
                    int(used[1]), int(shared[1]) if shared else 0, int(stack[1]), int(stack[2]),
                    int(stack[3]),
                ),
            )  # fmt: skip


@cache
def _library() -> Any:
    """Load NVRTC: the system's, else the wheel's."""
    for name in _candidates():
        try:
            # NVRTC opens this by its bare name, which is found once it is loaded.
            for part in Path(name).parent.glob("libnvrtc-builtins.so.*") if "/" in name else ():
                ctypes.CDLL(str(part))
            library: Any = ctypes.CDLL(name)
        except OSError:
            continue
        library.nvrtcGetErrorString.restype = ctypes.c_char_p
        return library
    raise DependencyError(
        thing="CUDA's runtime compiler (libnvrtc)", got="none on this machine",
        expected="version 12 or 13",
        hint="Install the extra: pip install 'realtime-affect[cuda]', or a CUDA toolkit.",
    )  # fmt: skip


def _candidates() -> Iterator[str]:
    # The wheel first: it is the version that was tested.
    for folder in map(Path, sys.path):
        for place in ("nvidia/cu13/lib", "nvidia/cuda_nvrtc/lib"):
            yield from sorted(map(str, (folder / place).glob("libnvrtc.so.*")))
    yield from ("libnvrtc.so.13", "libnvrtc.so.12", "/usr/local/cuda/lib64/libnvrtc.so")


def _read(get_size: Any, get: Any, program: ctypes.c_void_p) -> bytes:
    size = ctypes.c_size_t()
    _call(get_size, program, ctypes.byref(size))
    buffer = ctypes.create_string_buffer(size.value)
    _call(get, program, buffer)
    return buffer.raw


def _call(function: Any, *arguments: Any) -> None:
    status = function(*arguments)
    if status:
        raise CompileError(
            thing="CUDA's runtime compiler", got=_message(status), expected="success",
            hint="Is its library complete?",
        )  # fmt: skip


def _message(status: int) -> str:
    text: bytes = _library().nvrtcGetErrorString(status)
    return text.decode()
