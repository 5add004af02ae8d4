"""Our kernels by themselves, through PyCUDA: load one, launch it, time it.

PyCUDA is imported when a device is opened, so this module imports anywhere. It shares the device's
primary context with whatever else of the process uses it (TensorRT, onnxruntime, torch).
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from affect_kernels import _nvrtc
from affect_kernels._launch import Launch, fingerprint, headers, read_source, sum_bytes
from affect_kernels.atomic import write_atomically
from affect_kernels.closeable import Closeable
from affect_kernels.errors import DependencyError, DeviceError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray


def _driver() -> Any:
    """Import PyCUDA and wake the driver."""
    try:
        import pycuda.driver as driver
    except ImportError as error:
        raise DependencyError(
            thing="PyCUDA", got=f"{error}", expected="version 2025.1 or later",
            hint="Install the extra: pip install 'realtime-affect[cuda]' (it builds against a CUDA "
            "toolkit).",
        ) from error  # fmt: skip
    try:
        driver.init()
        count = driver.Device.count()
    except driver.Error as error:
        raise DeviceError(
            thing="CUDA driver", got=str(error), expected="a working driver",
            hint="Does nvidia-smi answer?",
        ) from error  # fmt: skip
    if not count:
        raise DeviceError(
            thing="CUDA devices", got="none", expected="one or more",
            hint="Is the card hidden by CUDA_VISIBLE_DEVICES?",
        )  # fmt: skip
    return driver


@dataclass(frozen=True, slots=True)
class Prepared:
    """A launch whose arrays lie on the device until it is freed."""

    launch: Launch
    function: Any
    arguments: bytes
    memory: Mapping[str, Any] = field(repr=False)


class Device(Closeable):
    """A GPU, opened by and for one thread.

    Parameters
    ----------
    index : int
        Which of the machine's.
    cache : Path, optional
        Folder of compiled kernels, made when needed; default: the user's cache.

    Raises
    ------
    DependencyError
        PyCUDA is not installed.
    DeviceError
        There is no driver or no such device.
    """

    def __init__(self, index: int = 0, cache: Path | None = None) -> None:
        self._cuda = _driver()
        count = self._cuda.Device.count()
        if not 0 <= index < count:
            raise DeviceError(
                thing="CUDA device", got=str(index), expected=f"0 to {count - 1}",
                hint="Count from 0, as nvidia-smi does.",
            )  # fmt: skip
        device = self._cuda.Device(index)
        major, minor = device.compute_capability()
        self.architecture: int = 10 * major + minor
        self.name: str = device.name()
        attributes = self._cuda.device_attribute
        self._l2_bytes = int(device.get_attribute(attributes.L2_CACHE_SIZE))
        self.multiprocessors = int(device.get_attribute(attributes.MULTIPROCESSOR_COUNT))
        self._cache = cache or _cache_folder()
        self._modules: dict[str, Any] = {}
        self._flush: Any = None
        self._context = device.retain_primary_context()
        self._context.push()

    def close(self) -> None:
        """Let go of the device; idempotent."""
        if self._context is not None:
            self._modules.clear()
            if self._flush is not None:
                self._flush.free()
                self._flush = None
            self._context.pop()
            self._context.detach()
            self._context = None

    def run(self, launch: Launch) -> dict[str, NDArray[Any]]:
        """Bring the arrays, launch, and fetch what was written, by name."""
        prepared = self.prepare(launch)
        try:
            self.start(prepared)
            return self.fetch(prepared)
        finally:
            self.free(prepared)

    def prepare(self, launch: Launch) -> Prepared:
        """Compile or find the kernel and bring its arrays; :meth:`free` them when done."""
        function = self._module(launch.source).get_function(launch.entry)
        memory: dict[str, Any] = {}
        try:
            for name, array in launch.reads.items():
                memory[name] = self._allocate(launch, name, array.nbytes)
                if array.nbytes:
                    self._cuda.memcpy_htod(memory[name], array)
            for name, written in launch.writes.items():
                memory[name] = self._allocate(launch, name, sum_bytes(written))
                if written.initial is not None:
                    self._cuda.memcpy_htod(memory[name], written.initial)
        except BaseException:
            for part in memory.values():
                part.free()
            raise
        arguments = launch.pack({name: int(part) for name, part in memory.items()})
        function.prepare([f"{len(arguments)}s"])
        return Prepared(launch, function, arguments, memory)

    def start(self, prepared: Prepared, stream: Any = None) -> None:
        """Launch and return at once, on a stream of PyCUDA's or the default one."""
        launch = prepared.launch
        try:
            prepared.function.prepared_async_call(
                launch.grid, (launch.threads, 1, 1), stream, prepared.arguments
            )
        except self._cuda.Error as error:
            raise self._failed(launch, error) from error

    def fetch(self, prepared: Prepared) -> dict[str, NDArray[Any]]:
        """Wait for the kernel and copy what it wrote."""
        found = {}
        try:
            for name, written in prepared.launch.writes.items():
                found[name] = np.empty(written.shape, written.dtype)
                self._cuda.memcpy_dtoh(found[name], prepared.memory[name])
        except self._cuda.Error as error:
            raise self._failed(prepared.launch, error) from error
        return found

    def free(self, prepared: Prepared) -> None:
        """Give the memory of a launch back."""
        for part in prepared.memory.values():
            part.free()

    def time_ms(self, prepared: Prepared, rounds: int, *, cold: bool = True) -> list[float]:
        """Time launches by events, one at a time.

        Parameters
        ----------
        prepared : Prepared
        rounds : int
        cold : bool
            Overwrite twice the L2 cache before each, so that nothing of the arrays is left in it.
        """
        self.start(prepared)  # the first launch loads code
        times = []
        begin, end = self._cuda.Event(), self._cuda.Event()
        for _ in range(rounds):
            if cold:
                self._flush_l2()
            begin.record()
            self.start(prepared)
            end.record()
            end.synchronize()
            times.append(float(end.time_since(begin)))
        return times

    def copy_bytes_per_s(self, nbytes: int = 1 << 28, rounds: int = 20) -> float:
        """Measure how fast this card copies: bytes read plus written, best of some rounds."""
        source, target = self._cuda.mem_alloc(nbytes), self._cuda.mem_alloc(nbytes)
        begin, end = self._cuda.Event(), self._cuda.Event()
        best = float("inf")
        try:
            self._cuda.memset_d8(source, 0, nbytes)
            for _ in range(rounds):
                begin.record()
                self._cuda.memcpy_dtod_async(target, source, nbytes)
                end.record()
                end.synchronize()
                best = min(best, float(end.time_since(begin)))
        finally:
            source.free()
            target.free()
        return 2 * nbytes / (best * 1e-3)

    def _flush_l2(self) -> None:
        nbytes = max(2 * self._l2_bytes, 1 << 24)
        if self._flush is None:
            self._flush = self._cuda.mem_alloc(nbytes)
        self._cuda.memset_d8(self._flush, 0, nbytes)

    def _allocate(self, launch: Launch, name: str, nbytes: int) -> Any:
        try:
            return self._cuda.mem_alloc(max(nbytes, 1))
        except self._cuda.MemoryError as error:
            free, total = (n >> 20 for n in self._cuda.mem_get_info())
            raise DeviceError(
                thing=f"memory for {name} of {launch.entry}", got=f"{free} of {total} MiB free",
                expected=f"{nbytes >> 20} MiB", hint="Fewer faces at once need less.",
            ) from error  # fmt: skip

    def _module(self, source: str) -> Any:
        if source not in self._modules:
            self._modules[source] = self._cuda.module_from_buffer(
                cubin(source, self.architecture, self._cache)
            )
        return self._modules[source]

    def _failed(self, launch: Launch, error: BaseException) -> DeviceError:
        return DeviceError(
            thing=f"kernel {launch.entry} on {self.name}", got=str(error), expected="success",
            hint="After a failed kernel the process must start anew.",
        )  # fmt: skip


def cubin(source: str, architecture: int, cache: Path | None = None) -> bytes:
    """Return the machine code of a ``.cu`` for a GPU, from the cache or compiled into it.

    Parameters
    ----------
    source : str
        As ``"lifting/lifting.cu"``.
    architecture : int
        Compute capability without its point: 87 for Orin.
    cache : Path, optional
        A folder; the user's by default.

    Raises
    ------
    DependencyError
        NVRTC is not on this machine.
    """
    cache = cache or _cache_folder()
    compiler = "nvrtc " + ".".join(map(str, _nvrtc.version()))
    key = fingerprint(source, compiler, *_nvrtc.OPTIONS, str(architecture))
    path = cache / f"{Path(source).stem}-sm_{architecture}-{key[:16]}.cubin"
    with suppress(OSError):
        return path.read_bytes()
    code = _nvrtc.compile_cubin(read_source(source), source, architecture, headers(source)).code
    with suppress(OSError):  # a cache that cannot be written costs time, nothing else
        cache.mkdir(parents=True, exist_ok=True)
        write_atomically(path, code)
    return code


def _cache_folder() -> Path:
    import platformdirs

    return platformdirs.user_cache_path("realtime-affect") / "kernels"
