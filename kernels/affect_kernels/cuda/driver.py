"""The CUDA driver without a binding: one stream, the memory beside it, and recorded graphs.

The driver is called through ctypes, as its library is on every machine that could use it, while a
binding would have to be compiled there. The context is the device's primary one, which TensorRT and
onnxruntime use too. Names and types of what is called stand in :data:`CALLS` and are compared with
the recorded ``cuda.h`` by a test.
"""

from __future__ import annotations

import contextlib
import ctypes
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from affect_kernels.closeable import Closeable
from affect_kernels.errors import DeviceError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import DTypeLike, NDArray

LIBRARY: Final = "libcuda.so.1"

CALLS: Final[dict[str, tuple[str, ...]]] = {
    "cuInit": ("unsigned int",),
    "cuGetErrorName": ("CUresult", "const char **"),
    "cuGetErrorString": ("CUresult", "const char **"),
    "cuDriverGetVersion": ("int *",),
    "cuDeviceGetCount": ("int *",),
    "cuDeviceGet": ("CUdevice *", "int"),
    "cuDeviceGetName": ("char *", "int", "CUdevice"),
    "cuDeviceGetAttribute": ("int *", "CUdevice_attribute", "CUdevice"),
    "cuDevicePrimaryCtxRetain": ("CUcontext *", "CUdevice"),
    "cuDevicePrimaryCtxRelease_v2": ("CUdevice",),
    "cuCtxSetCurrent": ("CUcontext",),
    "cuMemGetInfo_v2": ("size_t *", "size_t *"),
    "cuMemAlloc_v2": ("CUdeviceptr *", "size_t"),
    "cuMemFree_v2": ("CUdeviceptr",),
    "cuMemHostAlloc": ("void **", "size_t", "unsigned int"),
    "cuMemFreeHost": ("void *",),
    "cuMemcpyHtoDAsync_v2": ("CUdeviceptr", "const void *", "size_t", "CUstream"),
    "cuMemcpyDtoHAsync_v2": ("void *", "CUdeviceptr", "size_t", "CUstream"),
    "cuStreamCreate": ("CUstream *", "unsigned int"),
    "cuStreamSynchronize": ("CUstream",),
    "cuStreamDestroy_v2": ("CUstream",),
    "cuStreamBeginCapture_v2": ("CUstream", "CUstreamCaptureMode"),
    "cuStreamEndCapture": ("CUstream", "CUgraph *"),
    "cuGraphInstantiateWithFlags": ("CUgraphExec *", "CUgraph", "unsigned long long"),
    "cuGraphLaunch": ("CUgraphExec", "CUstream"),
    "cuGraphExecDestroy": ("CUgraphExec",),
    "cuGraphDestroy": ("CUgraph",),
    "cuModuleLoadData": ("CUmodule *", "const void *"),
    "cuModuleGetFunction": ("CUfunction *", "CUmodule", "const char *"),
    "cuLaunchKernel": (
        "CUfunction",
        *["unsigned int"] * 7,
        "CUstream",
        "void **",
        "void **",
    ),
}
"""Every driver function that is called here, by its exported name, with its C types."""

_TYPES: Final[dict[str, Any]] = {
    "int": ctypes.c_int,
    "unsigned int": ctypes.c_uint,
    "unsigned long long": ctypes.c_ulonglong,
    "size_t": ctypes.c_size_t,
    "char *": ctypes.c_char_p,
    "void *": ctypes.c_void_p,
    "const void *": ctypes.c_void_p,
    "CUresult": ctypes.c_int,
    "CUdevice": ctypes.c_int,
    "CUdevice_attribute": ctypes.c_int,
    "CUstreamCaptureMode": ctypes.c_int,
    "CUdeviceptr": ctypes.c_ulonglong,
    "CUcontext": ctypes.c_void_p,
    "CUstream": ctypes.c_void_p,
    "CUgraph": ctypes.c_void_p,
    "CUgraphExec": ctypes.c_void_p,
    "CUmodule": ctypes.c_void_p,
    "CUfunction": ctypes.c_void_p,
    "const char *": ctypes.c_char_p,
    "int *": ctypes.POINTER(ctypes.c_int),
    "size_t *": ctypes.POINTER(ctypes.c_size_t),
    "void **": ctypes.POINTER(ctypes.c_void_p),
    "const char **": ctypes.POINTER(ctypes.c_char_p),
    "CUdevice *": ctypes.POINTER(ctypes.c_int),
    "CUdeviceptr *": ctypes.POINTER(ctypes.c_ulonglong),
    "CUcontext *": ctypes.POINTER(ctypes.c_void_p),
    "CUstream *": ctypes.POINTER(ctypes.c_void_p),
    "CUgraph *": ctypes.POINTER(ctypes.c_void_p),
    "CUgraphExec *": ctypes.POINTER(ctypes.c_void_p),
    "CUmodule *": ctypes.POINTER(ctypes.c_void_p),
    "CUfunction *": ctypes.POINTER(ctypes.c_void_p),
}

NON_BLOCKING: Final = 1  # CU_STREAM_NON_BLOCKING: does not wait for the legacy stream
_CAPTURE_THREAD_LOCAL: Final = 1  # CU_STREAM_CAPTURE_MODE_THREAD_LOCAL: other threads go on
CAPABILITY_MAJOR: Final = 75  # CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR
CAPABILITY_MINOR: Final = 76
OUT_OF_MEMORY: Final = 2


@dataclass(frozen=True, slots=True)
class Gpu:
    """A GPU that answers.

    Attributes
    ----------
    index : int
    name : str
    capability : str
        Compute capability, ``"8.7"``.
    cuda : str
        Newest CUDA version the driver speaks, ``"13.0"``.
    """

    index: int
    name: str
    capability: str
    cuda: str


def load_driver() -> ctypes.CDLL:
    """Load the driver's library.

    Raises
    ------
    OSError
        There is none: no NVIDIA driver.
    """
    return ctypes.CDLL(LIBRARY)


class Driver:
    """The driver's functions; each raises DeviceError where the driver refuses.

    Raises
    ------
    DeviceError
        There is no driver, it lacks a function, or it finds no GPU.
    """

    def __init__(self) -> None:
        try:
            library = load_driver()
            self._calls = {name: _declare(library, name) for name in CALLS}
        except (OSError, AttributeError) as error:
            raise DeviceError(
                thing="NVIDIA driver",
                got=str(error),
                expected=f"{LIBRARY} of CUDA 12 or later",
                hint="Install or update the NVIDIA driver, or use the onnxruntime backend.",
            ) from error
        self.call("cuInit", 0)

    def call(self, name: str, *arguments: Any) -> None:
        """Call a function.

        Raises
        ------
        DeviceError
            It returned an error; the message names it as the driver does.
        """
        code = self._calls[name](*arguments)
        if code:
            raise self._error(name, code)

    def _error(self, name: str, code: int) -> DeviceError:
        symbol = ctypes.c_char_p()
        text = ctypes.c_char_p()
        self._calls["cuGetErrorName"](code, ctypes.byref(symbol))
        self._calls["cuGetErrorString"](code, ctypes.byref(text))
        known = (symbol.value or b"").decode(), (text.value or b"unknown error").decode()
        hint = "If it stays, restart the program; nvidia-smi says whether the GPU is still there."
        if code == OUT_OF_MEMORY:
            hint = "Close what else uses the GPU, or use the onnxruntime backend."
        return DeviceError(
            thing=f"GPU ({name})",
            got=f"{known[0] or code}: {known[1]}",
            expected="success",
            hint=hint,
        )


def has_driver() -> bool:
    """Whether there is an NVIDIA driver, working or not."""
    try:
        load_driver()
    except OSError:
        return False
    return True


def find_gpu(index: int = 0) -> Gpu:
    """Return the GPU with this number.

    Raises
    ------
    DeviceError
        There is no driver, or no such GPU.
    """
    driver = Driver()
    n_gpus = _count(driver)
    if index >= n_gpus:
        raise DeviceError(
            thing=f"GPU {index}",
            got=f"{n_gpus} GPUs",
            expected=f"at least {index + 1}",
            hint="CUDA_VISIBLE_DEVICES may hide it; nvidia-smi lists them all.",
        )
    return _describe(driver, index)


def list_gpus() -> tuple[Gpu, ...]:
    """Return every GPU that answers.

    Raises
    ------
    DeviceError
        There is no driver, or it refuses.
    """
    driver = Driver()
    return tuple(_describe(driver, index) for index in range(_count(driver)))


def _count(driver: Driver) -> int:
    count = ctypes.c_int(0)
    driver.call("cuDeviceGetCount", ctypes.byref(count))
    return count.value


def _describe(driver: Driver, index: int) -> Gpu:
    version = ctypes.c_int(0)
    driver.call("cuDriverGetVersion", ctypes.byref(version))
    device = _device(driver, index)
    name = ctypes.create_string_buffer(128)
    driver.call("cuDeviceGetName", name, len(name), device)
    capability = []
    for attribute in (CAPABILITY_MAJOR, CAPABILITY_MINOR):
        value = ctypes.c_int(0)
        driver.call("cuDeviceGetAttribute", ctypes.byref(value), attribute, device)
        capability.append(str(value.value))
    cuda = f"{version.value // 1000}.{version.value % 1000 // 10}"
    return Gpu(index, name.value.decode(errors="replace"), ".".join(capability), cuda)


class Stream(Closeable):
    """A stream on a GPU, with the memory and the graphs that belong to it.

    What is asked of it is queued and returns at once; :meth:`synchronize` waits. One thread at a
    time; :meth:`enter` makes the context current where the thread may have changed.

    Raises
    ------
    DeviceError
        No driver, no such GPU, or the driver refuses.
    """

    def __init__(self, index: int = 0) -> None:
        self._driver = Driver()
        self._device = _device(self._driver, index)
        self._context = ctypes.c_void_p()
        self._memory: list[int] = []
        self._pinned: list[int] = []
        self._graphs: list[int] = []
        self._open = True
        handle = ctypes.c_void_p()
        self._driver.call("cuDevicePrimaryCtxRetain", ctypes.byref(self._context), self._device)
        try:
            self.enter()
            self._driver.call("cuStreamCreate", ctypes.byref(handle), NON_BLOCKING)
        except DeviceError:
            self._driver.call("cuDevicePrimaryCtxRelease_v2", self._device)
            raise
        self.handle = int(handle.value or 0)

    def enter(self) -> None:
        """Make the GPU's context current on this thread."""
        self._driver.call("cuCtxSetCurrent", self._context)

    def free_bytes(self) -> int:
        """Return the GPU memory nobody uses, in bytes."""
        free, total = ctypes.c_size_t(0), ctypes.c_size_t(0)
        self._driver.call("cuMemGetInfo_v2", ctypes.byref(free), ctypes.byref(total))
        return free.value

    def allocate(self, n_bytes: int) -> int:
        """Return the address of new GPU memory; freed with the stream."""
        address = ctypes.c_ulonglong(0)
        self._driver.call("cuMemAlloc_v2", ctypes.byref(address), max(1, n_bytes))
        self._memory.append(address.value)
        return address.value

    def pinned(self, shape: Sequence[int], dtype: DTypeLike) -> NDArray[Any]:
        """Return a new array of zeros in page-locked memory, which copies need to be queued.

        Freed with the stream: no view of it may be given away.
        """
        kind = np.dtype(dtype)
        n_bytes = max(1, int(np.prod(shape, dtype=np.int64)) * kind.itemsize)
        pointer = ctypes.c_void_p()
        self._driver.call("cuMemHostAlloc", ctypes.byref(pointer), n_bytes, 0)
        address = int(pointer.value or 0)
        self._pinned.append(address)
        block = (ctypes.c_ubyte * n_bytes).from_address(address)
        array = np.ctypeslib.as_array(block)[: int(np.prod(shape)) * kind.itemsize]
        array[:] = 0
        shaped: NDArray[Any] = array.view(kind).reshape(shape)
        return shaped

    def upload(self, address: int, array: NDArray[Any]) -> None:
        """Queue a copy of a C-contiguous page-locked array to the GPU."""
        self._driver.call(
            "cuMemcpyHtoDAsync_v2", address, array.ctypes.data, array.nbytes, self.handle
        )

    def download(self, array: NDArray[Any], address: int) -> None:
        """Queue a copy from the GPU into a C-contiguous page-locked array."""
        self._driver.call(
            "cuMemcpyDtoHAsync_v2", array.ctypes.data, address, array.nbytes, self.handle
        )

    def capture(self, enqueue: Callable[[], None]) -> int:
        """Record what `enqueue` queues, without running it, and return the graph to launch.

        Raises
        ------
        DeviceError
            Something that was queued cannot be recorded. The stream is usable as before.
        """
        graph, executable = ctypes.c_void_p(), ctypes.c_void_p()
        self._driver.call("cuStreamBeginCapture_v2", self.handle, _CAPTURE_THREAD_LOCAL)
        try:
            enqueue()
        except BaseException:
            # A capture must be ended even where it went wrong, or the stream stays unusable.
            with contextlib.suppress(DeviceError):
                self._driver.call("cuStreamEndCapture", self.handle, ctypes.byref(graph))
                if graph.value:
                    self._driver.call("cuGraphDestroy", graph)
            raise
        self._driver.call("cuStreamEndCapture", self.handle, ctypes.byref(graph))
        try:
            self._driver.call("cuGraphInstantiateWithFlags", ctypes.byref(executable), graph, 0)
        finally:
            self._driver.call("cuGraphDestroy", graph)
        handle = int(executable.value or 0)
        self._graphs.append(handle)
        return handle

    def launch(self, graph: int) -> None:
        """Queue all that a graph recorded."""
        self._driver.call("cuGraphLaunch", graph, self.handle)

    def synchronize(self) -> None:
        """Wait until all that was queued is done.

        Raises
        ------
        DeviceError
            Something that was queued failed.
        """
        self._driver.call("cuStreamSynchronize", self.handle)

    def close(self) -> None:
        """Free stream, memory and graphs. Idempotent; a lost GPU does not stop it."""
        if not self._open:
            return
        self._open = False
        freeing: list[tuple[str, Any]] = [("cuCtxSetCurrent", self._context)]
        freeing += [("cuStreamSynchronize", self.handle)]
        freeing += [("cuGraphExecDestroy", graph) for graph in self._graphs]
        freeing += [("cuMemFree_v2", address) for address in self._memory]
        freeing += [("cuMemFreeHost", address) for address in self._pinned]
        freeing += [("cuStreamDestroy_v2", self.handle)]
        freeing += [("cuDevicePrimaryCtxRelease_v2", self._device)]
        for name, argument in freeing:
            with contextlib.suppress(DeviceError):  # what is lost need not be freed
                self._driver.call(name, argument)


def _declare(library: Any, name: str) -> Any:
    """Return a function of the driver's library with its types set."""
    function = getattr(library, name)
    function.argtypes = [_TYPES[kind] for kind in CALLS[name]]
    function.restype = ctypes.c_int
    return function


def _device(driver: Driver, index: int) -> int:
    device = ctypes.c_int(0)
    driver.call("cuDeviceGet", ctypes.byref(device), index)
    return device.value
