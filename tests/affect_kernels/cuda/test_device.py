"""What talks to CUDA, on a stand-in for PyCUDA that runs kernels in the CPU harness.

The stand-in has the calls of ``pycuda.driver`` that ours makes, with their arguments. It never
counts as having run on a GPU; it shows that bytes, grids and arguments arrive, and what a user is
told when a GPU is missing, full or lost.
"""

from __future__ import annotations

import ctypes
import sys
import types

import numpy as np
import pytest

from affect_kernels import _nvrtc
from affect_kernels.cuda import device as _device
from affect_kernels.cuda.device import Device, DeviceError
from affect_kernels.errors import DependencyError
from affect_kernels.lifting import cuda, reference
from affect_kernels.lifting.reference import WAVELETS


class Memory:
    """Device memory; room for the harness's counters lies behind it."""

    def __init__(self, driver, size):
        self.driver, self.size = driver, size
        raw = np.zeros(2 * size + 64, np.uint8)
        self._bytes = raw[-raw.ctypes.data % 64 :]
        driver.live.append(self)

    def __int__(self):
        return self._bytes.ctypes.data

    @property
    def bytes(self):
        return self._bytes[: self.size]

    def free(self):
        self.driver.live.remove(self)


class Function:
    def __init__(self, driver, entry):
        self.driver, self.entry, self.format = driver, entry, None

    def prepare(self, arg_types):
        self.format = "".join(arg_types)

    def prepared_async_call(self, grid, block, stream, arguments):
        if self.driver.failing:
            raise self.driver.LaunchError("cuLaunchKernel failed: unspecified launch failure")
        assert self.format == f"{len(arguments)}s"
        assert stream is None
        strays = ctypes.c_longlong()
        status = getattr(self.driver.compiled, self.entry)(
            (ctypes.c_int * 3)(*grid), block[0], 0, arguments, ctypes.c_longlong(len(arguments)),
            ctypes.byref(strays),
        )  # fmt: skip
        assert (status, strays.value) == (0, 0)
        self.driver.launches.append((self.entry, grid, block))


class Context:
    def __init__(self, driver):
        self.driver = driver

    def push(self):
        self.driver.pushed += 1

    def pop(self):
        self.driver.pushed -= 1

    def detach(self):
        pass


class Card:
    def __init__(self, driver):
        self.driver = driver

    def compute_capability(self):
        return 9, 0

    def name(self):
        return "Stand-in"

    def get_attribute(self, attribute):
        return {"l2": 1 << 20, "multiprocessors": 16}[attribute]

    def retain_primary_context(self):
        return Context(self.driver)


class Cards:
    """The driver's ``Device``: called, it opens one; asked, it counts them."""

    def __init__(self, driver):
        self.driver = driver

    def __call__(self, index):
        return Card(self.driver)

    def count(self):
        return self.driver.devices


class Event:
    def __init__(self, driver):
        self.driver = driver

    def record(self):
        self.driver.clock += 1.5
        self.at = self.driver.clock

    def synchronize(self):
        pass

    def time_since(self, other):
        return self.at - other.at


class Driver(types.ModuleType):
    """Stand-in for the module ``pycuda.driver``."""

    class Error(Exception):
        pass

    class MemoryError(Error):
        pass

    class LaunchError(Error):
        pass

    device_attribute = types.SimpleNamespace(
        L2_CACHE_SIZE="l2", MULTIPROCESSOR_COUNT="multiprocessors"
    )

    def __init__(self, compiled=None, devices=1):
        super().__init__("pycuda.driver")
        self.compiled, self.devices = compiled, devices
        self.live, self.launches, self.loaded, self.pushed = [], [], [], 0
        self.clock, self.failing, self.full = 0.0, False, False
        self.Device, self.Event = Cards(self), lambda: Event(self)

    def init(self):
        if self.devices < 0:
            raise self.Error("cuInit failed: no CUDA-capable device is detected")

    def mem_alloc(self, size):
        if self.full:
            raise self.MemoryError("cuMemAlloc failed: out of memory")
        return Memory(self, size)

    def mem_get_info(self):
        return 3 << 20, 8 << 20

    def memcpy_htod(self, to, array):
        to.bytes[: array.nbytes] = np.frombuffer(array.tobytes(), np.uint8)

    def memcpy_dtoh(self, array, source):
        array.view(np.uint8).reshape(-1)[:] = source.bytes[: array.nbytes]

    def memcpy_dtod_async(self, to, source, size):
        to.bytes[:size] = source.bytes[:size]

    def memset_d8(self, to, value, count):
        to.bytes[:count] = value

    def module_from_buffer(self, code):
        self.loaded.append(code)
        return types.SimpleNamespace(get_function=lambda entry: Function(self, entry))


def install(monkeypatch, driver):
    package = types.ModuleType("pycuda")
    package.driver = driver
    monkeypatch.setitem(sys.modules, "pycuda", package)
    monkeypatch.setitem(sys.modules, "pycuda.driver", driver)
    return driver


@pytest.fixture
def compiled(monkeypatch):
    """Count compilations instead of doing them."""
    calls = []

    def compile_cubin(source, name, architecture, headers):
        calls.append((name, architecture, sorted(headers)))
        return _nvrtc.Cubin(b"\x7fELF" + name.encode(), architecture, {})

    monkeypatch.setattr(_nvrtc, "compile_cubin", compile_cubin)
    monkeypatch.setattr(_nvrtc, "version", lambda: (13, 0))
    return calls


@pytest.fixture
def driver(host, monkeypatch):
    return install(monkeypatch, Driver(host.compiled(cuda.SOURCE)))


X = np.random.default_rng(0).normal(size=(9, 7, 3)).astype(np.float32)


@pytest.mark.parametrize("in_place", [False, True])
def test_a_launch_runs_and_leaves_no_memory_behind(driver, compiled, tmp_path, in_place):
    launch = cuda.analyse(X, WAVELETS["cdf97"], in_place=in_place)
    with Device(cache=tmp_path) as gpu:
        assert (gpu.name, gpu.architecture, driver.pushed) == ("Stand-in", 90, 1)
        assert gpu.multiprocessors == 16
        bands = gpu.run(launch)["bands"]
        assert driver.live == []
    assert driver.pushed == 0
    wanted = reference.analyse(X, WAVELETS["cdf97"])
    for found, part in zip(cuda.part(bands, in_place=in_place), wanted, strict=True):
        np.testing.assert_allclose(found, part, atol=1e-5)
    assert driver.launches == [(launch.entry, launch.grid, (launch.threads, 1, 1))]


def test_a_source_is_compiled_once_for_this_gpu_and_kept(driver, compiled, tmp_path):
    launch = cuda.analyse(X, WAVELETS["haar"])
    for _ in range(2):
        with Device(cache=tmp_path / "kernels") as gpu:
            gpu.run(launch)
            gpu.run(launch)
    assert len(compiled) == 1
    assert compiled[0][:2] == (cuda.SOURCE, 90)
    assert len(driver.loaded) == 2  # a module a device that is opened
    (kept,) = (tmp_path / "kernels").iterdir()
    assert kept.name.startswith("lifting-sm_90-")
    assert kept.read_bytes() == driver.loaded[0]


def test_another_text_or_compiler_is_compiled_anew(driver, compiled, tmp_path, monkeypatch):
    def run():
        with Device(cache=tmp_path) as gpu:
            gpu.run(cuda.analyse(X, WAVELETS["haar"]))

    run()
    monkeypatch.setattr(_nvrtc, "version", lambda: (13, 1))
    run()
    monkeypatch.setattr(_nvrtc, "OPTIONS", (*_nvrtc.OPTIONS, "--use_fast_math"))
    run()
    assert len(compiled) == 3


def test_a_cache_that_cannot_be_written_costs_only_time(driver, compiled, tmp_path):
    blocked = tmp_path / "file"
    blocked.write_text("")
    with Device(cache=blocked / "kernels") as gpu:
        gpu.run(cuda.analyse(X, WAVELETS["haar"]))
    assert len(driver.launches) == 1


def test_times_are_the_events_of_single_launches(driver, compiled, tmp_path):
    with Device(cache=tmp_path) as gpu:
        prepared = gpu.prepare(cuda.analyse(X, WAVELETS["haar"]))
        assert gpu.time_ms(prepared, 3) == [1.5] * 3
        gpu.free(prepared)
        assert len(driver.launches) == 4  # the first is not timed
        (flush,) = driver.live
        assert flush.size >= 2 << 20
        assert gpu.copy_bytes_per_s(1000, 2) == pytest.approx(2000 / 1.5e-3)
    assert driver.live == []


def test_closing_twice_is_closing_once(driver, tmp_path):
    gpu = Device(cache=tmp_path)
    gpu.close()
    gpu.close()
    assert driver.pushed == 0


def test_a_full_device_says_what_was_free_and_frees_what_it_took(driver, compiled, tmp_path):
    with Device(cache=tmp_path) as gpu:
        driver.full = True
        with pytest.raises(DeviceError, match=r"memory for x of lifting.*3 of 8 MiB free"):
            gpu.run(cuda.analyse(X, WAVELETS["haar"]))
        assert driver.live == []


def test_a_kernel_that_fails_is_named(driver, compiled, tmp_path):
    with Device(cache=tmp_path) as gpu:
        driver.failing = True
        with pytest.raises(DeviceError, match=r"lifting_analyse_f32_v1 on Stand-in.*unspecified"):
            gpu.run(cuda.analyse(X, WAVELETS["haar"]))
        assert driver.live == []


def test_without_pycuda_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "pycuda", None)
    with pytest.raises(DependencyError, match=r"realtime-affect\[cuda\]"):
        Device()


@pytest.mark.parametrize(
    ("devices", "index", "told"),
    [(-1, 0, "no CUDA-capable device"), (0, 0, "none"), (2, 2, "0 to 1"), (2, -1, "0 to 1")],
)
def test_without_a_device_it_is_said_what_is_missing(monkeypatch, devices, index, told):
    install(monkeypatch, Driver(devices=devices))
    with pytest.raises(DeviceError, match=told):
        Device(index)


def test_kernels_are_kept_in_the_user_s_cache(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert _device._cache_folder() == tmp_path / "realtime-affect" / "kernels"
