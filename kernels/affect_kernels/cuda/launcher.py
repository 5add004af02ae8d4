"""Our CUDA kernels on a stream of somebody else: what TensorRT's plugins launch with.

:mod:`affect_kernels.cuda.device` launches too, through PyCUDA and on memory of its own. Here memory
and stream are TensorRT's, and the driver's own library is all that is needed.
"""

from __future__ import annotations

import ctypes
from typing import TYPE_CHECKING

from affect_kernels.cuda.driver import Driver, find_gpu
from affect_kernels.errors import DeviceError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from affect_kernels._launch import Launch


class Launcher:
    """The kernels of some sources, loaded into the primary context of a GPU for good.

    The context is retained and never released: where it went, what was loaded would go with it,
    while a plan that calls the kernels may still be open.

    Parameters
    ----------
    sources : iterable of str
        As ``"lifting/lifting.cu"``; compiled now where the cache has none.
    index : int
        Of the GPU.

    Raises
    ------
    DependencyError
        CUDA's runtime compiler is not on this machine.
    DeviceError
        No driver, no such GPU, or it does not load what was compiled for it.
    """

    def __init__(self, sources: Iterable[str], index: int = 0) -> None:
        from affect_kernels.cuda.device import cubin

        architecture = int(find_gpu(index).capability.replace(".", ""))
        code = {source: cubin(source, architecture) for source in sources}
        self._driver = Driver()
        self._functions: dict[str, int] = {}
        self._modules: dict[str, int] = {}
        device, context = ctypes.c_int(0), ctypes.c_void_p()
        self._driver.call("cuDeviceGet", ctypes.byref(device), index)
        self._driver.call("cuDevicePrimaryCtxRetain", ctypes.byref(context), device)
        try:
            self._driver.call("cuCtxSetCurrent", context)
            for source, image in code.items():
                module = ctypes.c_void_p()
                self._driver.call("cuModuleLoadData", ctypes.byref(module), image)
                self._modules[source] = int(module.value or 0)
        except DeviceError:
            self._driver.call("cuDevicePrimaryCtxRelease_v2", device)
            raise

    def start(self, launch: Launch, addresses: Mapping[str, int], stream: int) -> None:
        """Queue a launch on a stream of the current context, and return at once.

        Parameters
        ----------
        launch : Launch
            Its arrays tell shapes and dtypes; what they hold is not looked at.
        addresses : mapping of str to int
            Where each of its arrays lies on the GPU.
        stream : int
            The driver's handle.

        Raises
        ------
        DeviceError
            The driver refuses.
        """
        packed = launch.pack(addresses)
        buffer = ctypes.create_string_buffer(packed, len(packed))  # copied while it is queued
        parameters = (ctypes.c_void_p * 1)(ctypes.addressof(buffer))
        self._driver.call(
            "cuLaunchKernel", self._function(launch), *launch.grid, launch.threads, 1, 1, 0,
            stream, parameters, None,
        )  # fmt: skip

    def _function(self, launch: Launch) -> int:
        if launch.entry not in self._functions:
            function = ctypes.c_void_p()
            self._driver.call(
                "cuModuleGetFunction", ctypes.byref(function), self._modules[launch.source],
                launch.entry.encode(),
            )  # fmt: skip
            self._functions[launch.entry] = int(function.value or 0)
        return self._functions[launch.entry]
