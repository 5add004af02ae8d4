"""What runs a launch: a CPU harness that g++ compiles from the same ``.cu``, and a GPU.

The harness (see ``device.cuh``) runs the kernel's body over the whole grid. Each launch runs twice,
a block's threads from first to last and from last to first between barriers: a kernel that needs
one order has a race, and fails. It also fails where an item is not written exactly once, or where
anything is read or written out of bounds or out of alignment.
"""

from __future__ import annotations

import ctypes
import os
import shutil
import subprocess

import numpy as np
import pytest

from affect_kernels import _launch

FLAGS = ("-std=c++17", "-O1", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC",
         "-U_FORTIFY_SOURCE")  # which takes a jump to another stack for an attack  # fmt: skip
STATUS = {1: "the struct of arguments or the block differs", 2: "a barrier that some never reach",
          3: "more than 48 KiB of shared memory"}  # fmt: skip
WIDTH = 64  # bytes to which a GPU's allocator aligns, at least


class Host:
    """Compile kernels with g++ and run launches on the CPU."""

    def __init__(self, folder):
        self._folder = folder
        self._libraries = {}

    def run(self, launch):
        """Return what the kernel writes, by name, after all checks."""
        found = self._run(launch, backwards=False)
        again = self._run(launch, backwards=True)
        for name, array in found.items():
            same = array.tobytes() == again[name].tobytes()
            assert same, f"{launch.entry}: {name} depends on the order of threads: a race"
        return found

    def _run(self, launch, *, backwards):
        buffers, addresses = {}, {}
        for name, array in launch.reads.items():
            buffers[name] = aligned(array.nbytes)
            buffers[name][:] = np.frombuffer(array.tobytes(), np.uint8)
        for name, written in launch.writes.items():
            size, items = _launch.sum_bytes(written), np.prod(written.shape, dtype=int)
            buffers[name] = aligned(size + items)
            buffers[name][:size] = 0xA5
            buffers[name][size:] = 0
            if written.initial is not None:
                buffers[name][:size] = np.frombuffer(written.initial.tobytes(), np.uint8)
        for name, buffer in buffers.items():
            addresses[name] = buffer.ctypes.data
        packed = launch.pack(addresses)
        strays = ctypes.c_longlong()
        grid = (ctypes.c_int * 3)(*launch.grid)
        entry = getattr(self.compiled(launch.source), launch.entry)
        status = entry(
            grid, launch.threads, int(backwards), packed, ctypes.c_longlong(len(packed)),
            ctypes.byref(strays),
        )  # fmt: skip
        assert status == 0, f"{launch.entry}: {STATUS[status]}"
        assert strays.value == 0, f"{launch.entry}: {strays.value} accesses out of bounds"
        found = {}
        for name, written in launch.writes.items():
            size = _launch.sum_bytes(written)
            counts = buffers[name][size:]
            wrong = np.flatnonzero(counts != 1)
            assert not wrong.size, (
                f"{launch.entry}: {wrong.size} of {counts.size} items of {name} not written once, "
                f"the first at {wrong[0]} ({counts[wrong[0]]} times)"
            )
            found[name] = buffers[name][:size].view(written.dtype).reshape(written.shape).copy()
        return found

    def compiled(self, source):
        """Return a ``.cu`` of the package, compiled when it is first asked for."""
        if source not in self._libraries:
            self.add(source, _launch.read_source(source), _launch.headers(source))
        return self._libraries[source]

    def add(self, source, text, headers=None):
        """Compile a text under the name of a source."""
        folder = self._folder / source.replace("/", "_")
        folder.mkdir()
        headers = headers or {_launch.HEADER: _launch.read_source(_launch.HEADER)}
        for name, content in {"kernel.cpp": text, **headers}.items():
            (folder / name).write_text(content, encoding="utf-8")
        command = ["g++", *FLAGS, "-o", "kernel.so", "kernel.cpp"]
        done = subprocess.run(
            command, cwd=folder, capture_output=True, text=True, check=False, timeout=250
        )
        assert done.returncode == 0, done.stderr
        self._libraries[source] = ctypes.CDLL(str(folder / "kernel.so"))


def aligned(size):
    """Return `size` bytes at an address that a GPU's allocator might have given."""
    raw = np.empty(size + WIDTH, np.uint8)
    start = -raw.ctypes.data % WIDTH
    return raw[start : start + size]


@pytest.fixture(scope="session")
def host(tmp_path_factory):
    """The CPU harness."""
    if shutil.which("g++") is None:
        pytest.skip("g++, which runs kernels on the CPU, is not on this machine")
    return Host(tmp_path_factory.mktemp("kernels"))


@pytest.fixture(scope="session")
def gpu():
    """A real device."""
    from affect_kernels.cuda.device import Device, DeviceError
    from affect_kernels.errors import DependencyError

    try:
        device = Device(int(os.environ.get("AFFECT_GPU", "0")))
    except (DependencyError, DeviceError) as error:
        pytest.skip(f"no GPU to run on: {error}")
    yield device
    device.close()


@pytest.fixture(params=["host", pytest.param("gpu", marks=pytest.mark.gpu)])
def machine(request):
    """Each machine that runs a launch by ``run(launch)``: the same tests pass on all."""
    return request.getfixturevalue(request.param)
