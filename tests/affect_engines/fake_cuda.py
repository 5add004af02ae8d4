# ruff: noqa: N802  (functions are named as the driver names them)
"""A CUDA driver without a GPU: C functions of the real types, memory on the host, real queues.

What is queued runs at ``cuStreamSynchronize`` and not before, so code that forgets to wait, or that
writes into memory that is still being read, gets wrong numbers here as well.
"""

from __future__ import annotations

import ctypes

from affect_kernels.cuda import driver as cuda_driver

OUT_OF_MEMORY, INVALID_VALUE, INVALID_HANDLE, LAUNCH_FAILED = 2, 1, 400, 719
CAPTURE_INVALIDATED, NOT_FOUND = 901, 500
_NAMES = {2: b"CUDA_ERROR_OUT_OF_MEMORY", 719: b"CUDA_ERROR_LAUNCH_FAILED"}


class FakeDriver:
    """The functions of ``cuda_driver.CALLS``, as a loaded library offers them.

    Attributes
    ----------
    fails : dict of str to int
        Functions that return an error code, by name.
    calls : list of str
        What was called, in order.
    kernels : dict of str to (int, callable)
        Size of a kernel's argument, and what runs it: (argument as bytes) -> error code.
    launches : list of (str, tuple, int, int, bytes)
        Kernel, grid, threads, stream and argument of each launch.
    """

    def __init__(self, name="Fake GPU", capability=(8, 7), memory=1 << 30, n_gpus=1):
        self.name, self.capability, self.free, self.n_gpus = name, capability, memory, n_gpus
        self.fails, self.calls = {}, []
        self.device, self.pinned = {}, {}
        self.queues, self.recording, self.graphs = {}, {}, {}
        self.modules, self.functions, self.launches = {}, {}, []
        self.kernels = {}
        self.retained = 0
        self._last = 0x1000
        self._text = ctypes.c_char_p(b"as the test wants")
        for function, types in cuda_driver.CALLS.items():
            setattr(self, function, self._exported(function, types))

    def _exported(self, function, types):
        plain = [
            ctypes.c_void_p if each == "char *" else cuda_driver._TYPES[each] for each in types
        ]
        kind = ctypes.CFUNCTYPE(ctypes.c_int, *plain)
        body = getattr(self, f"_{function.removesuffix('_v2')}")

        def call(*arguments):
            self.calls.append(function)
            return self.fails.get(function) or body(*arguments) or 0

        return _ByAddress(kind(call)) if function == "cuDeviceGetName" else kind(call)

    def queue(self, stream, work):
        """Queue work, or record it; what the fake TensorRT calls."""
        self.recording.get(stream, self.queues[stream]).append(work)

    def on_device(self, address, n_bytes):
        """Return whether these bytes lie in memory of the GPU."""
        return any(a <= address and address + n_bytes <= a + len(b) for a, b in self.device.items())

    def left(self):
        """Return what was not given back."""
        return [*self.device, *self.pinned, *self.queues, *self.graphs, *[0] * self.retained]

    def _handle(self, out):
        self._last += 1
        out[0] = self._last
        return self._last

    def _cuInit(self, flags):
        return None

    def _cuGetErrorName(self, code, out):
        self._symbol = ctypes.c_char_p(_NAMES.get(code, b"CUDA_ERROR_OTHER"))
        out[0] = self._symbol

    def _cuGetErrorString(self, code, out):
        out[0] = self._text

    def _cuDriverGetVersion(self, out):
        out[0] = 13000

    def _cuDeviceGetCount(self, out):
        out[0] = self.n_gpus

    def _cuDeviceGet(self, out, ordinal):
        out[0] = ordinal
        return None if ordinal < self.n_gpus else 101

    def _cuDeviceGetName(self, out, length, device):
        text = self.name.encode()[: length - 1] + b"\0"
        ctypes.memmove(out, text, len(text))

    def _cuDeviceGetAttribute(self, out, attribute, device):
        out[0] = self.capability[attribute - cuda_driver.CAPABILITY_MAJOR]

    def _cuDevicePrimaryCtxRetain(self, out, device):
        self.retained += 1
        out[0] = 0xC0

    def _cuDevicePrimaryCtxRelease(self, device):
        self.retained -= 1

    def _cuCtxSetCurrent(self, context):
        return None

    def _cuMemGetInfo(self, free, total):
        free[0], total[0] = self.free, self.free

    def _cuMemAlloc(self, out, n_bytes):
        if n_bytes > self.free:
            return OUT_OF_MEMORY
        block = (ctypes.c_ubyte * n_bytes)(*b"\xa5" * min(n_bytes, 64))
        out[0] = ctypes.addressof(block)
        self.device[ctypes.addressof(block)] = block
        self.free -= n_bytes
        return None

    def _cuMemFree(self, address):
        self.free += len(self.device.pop(address))

    def _cuMemHostAlloc(self, out, n_bytes, flags):
        block = (ctypes.c_ubyte * n_bytes)()
        self.pinned[ctypes.addressof(block)] = block
        out[0] = ctypes.addressof(block)

    def _cuMemFreeHost(self, address):
        del self.pinned[address]

    def _cuMemcpyHtoDAsync(self, target, source, n_bytes, stream):
        return self._copy(target, source, source, target, n_bytes, stream)

    def _cuMemcpyDtoHAsync(self, target, source, n_bytes, stream):
        return self._copy(target, source, target, source, n_bytes, stream)

    def _copy(self, target, source, host, device, n_bytes, stream):
        locked = any(a <= host and host + n_bytes <= a + len(b) for a, b in self.pinned.items())
        if not locked or not self.on_device(device, n_bytes):
            return INVALID_VALUE
        self.queue(stream, lambda: ctypes.memmove(target, source, n_bytes) and 0)
        return None

    def _cuStreamCreate(self, out, flags):
        if flags != cuda_driver.NON_BLOCKING:
            return INVALID_VALUE
        self.queues[self._handle(out)] = []
        return None

    def _cuStreamSynchronize(self, stream):
        if stream in self.recording:
            return CAPTURE_INVALIDATED
        queue, self.queues[stream] = self.queues[stream], []
        return max((work() or 0 for work in queue), default=0)

    def _cuStreamDestroy(self, stream):
        del self.queues[stream]

    def _cuStreamBeginCapture(self, stream, mode):
        self.recording[stream] = []

    def _cuStreamEndCapture(self, stream, out):
        recorded = self.recording.pop(stream)
        self.graphs[self._handle(out)] = recorded

    def _cuGraphInstantiateWithFlags(self, out, graph, flags):
        self.graphs[self._handle(out)] = list(self.graphs[graph])

    def _cuGraphLaunch(self, graph, stream):
        self.queues[stream] += self.graphs[graph]

    def _cuGraphExecDestroy(self, graph):
        del self.graphs[graph]

    def _cuGraphDestroy(self, graph):
        del self.graphs[graph]

    def _cuModuleLoadData(self, out, image):
        self.modules[self._handle(out)] = ctypes.string_at(image)

    def _cuModuleGetFunction(self, out, module, name):
        if module not in self.modules or name.decode() not in self.kernels:
            return NOT_FOUND
        self.functions[self._handle(out)] = name.decode()
        return None

    def _cuLaunchKernel(self, function, x, y, z, bx, by, bz, shared, stream, parameters, extra):
        name = self.functions[function]
        size, run = self.kernels[name]
        packed = ctypes.string_at(parameters[0], size)  # copied now, as the driver does
        if (by, bz, shared) != (1, 1, 0):
            return INVALID_VALUE
        self.launches.append((name, (x, y, z), bx, stream, packed))
        self.queue(stream, lambda: run(packed))
        return None


class _ByAddress:
    """A function that writes a ``char *``, which a callback of ctypes would get as a copy."""

    def __init__(self, function):
        self._function = function

    def __call__(self, buffer, *rest):
        return self._function(ctypes.addressof(buffer), *rest)


def install(monkeypatch, **about):
    """Let `affect_kernels.cuda.driver` find this driver; return it."""
    driver = FakeDriver(**about)
    monkeypatch.setattr(cuda_driver, "load_driver", lambda: driver)
    return driver
