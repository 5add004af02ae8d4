"""A stand-in for TensorRT whose surface is the recorded one: what that lacks raises here too.

Plans hold the ONNX file, and onnxruntime runs them on the host when the fake driver's queue is
waited for. It checks the order of calls that TensorRT asks for, and knows nothing of speed or of
what TensorRT can read. Its version ends in ``+fake``: nothing that ran here counts as having run.
"""

from __future__ import annotations

import ctypes
import importlib.machinery
import json
import sys
import types
from enum import IntEnum

import numpy as np

from affect_engines.errors import DeviceError
from affect_engines.ort import import_onnxruntime
from tests.affect_engines import fake_cuda, surfaces

onnxruntime = import_onnxruntime()

VERSIONS = tuple(json.loads(surfaces.TENSORRT.read_text("utf-8")))
_KINDS = {
    "tensor(float)": "FLOAT", "tensor(uint8)": "UINT8", "tensor(int64)": "INT64",
    "tensor(float16)": "HALF", "tensor(int32)": "INT32",
}  # fmt: skip
_DTYPES = {"FLOAT": np.float32, "UINT8": np.uint8, "INT64": np.int64, "HALF": np.float16}
_ENUMS = (
    "DataType", "BuilderFlag", "MemoryPoolType", "ExecutionContextAllocationStrategy",
)  # fmt: skip
SCRATCH_BYTES = 4096


class Proxy:
    """An object of the bindings: only members that the surface has, called as it says."""

    def __init__(self, module, kind, inner):
        object.__setattr__(self, "_about", (module, kind, inner))

    def __getattr__(self, name):
        module, kind, inner = object.__getattribute__(self, "_about")
        signature = module.check(kind, name)
        value = getattr(inner, name)
        if not callable(value):
            return value

        def call(*arguments, **keywords):
            module.check_call(kind, name, signature, (self, *arguments), keywords)
            return value(*arguments, **keywords)

        return call

    def __setattr__(self, name, value):
        module, kind, inner = object.__getattribute__(self, "_about")
        module.check(kind, name)
        setattr(inner, name, value)


def inner(proxy):
    return object.__getattribute__(proxy, "_about")[2]


class FakeTensorRT(types.ModuleType):
    """The module.

    Attributes
    ----------
    used : set of (str, str)
        Class and member of everything that was touched.
    n_built : int
    scratch_bytes : list of int
        What builds were allowed, one after the other.
    refuses : str
        What the next build, or deserialisation, fails with; empty for none.
    """

    def __init__(self, driver, version=VERSIONS[0]):
        super().__init__("tensorrt")
        self.__spec__ = importlib.machinery.ModuleSpec("tensorrt", None)
        self.__version__ = f"{version}+fake"
        self.surface = json.loads(surfaces.TENSORRT.read_text("utf-8"))[version]
        self.driver = driver
        self.used = set()
        self.refuses = ""
        self.n_built = 0
        self.scratch_bytes = []
        self.read = _onnxruntime  # what runs a network file; fake_plugins.py puts another here
        for kind in _ENUMS:
            members = [name for name in self.surface[kind] if name.isupper() or name == "TF32"]
            setattr(self, kind, self._enum(kind, members))
        # As in the real ones: the flag's number differs between the versions.
        self.NetworkDefinitionCreationFlag = self._enum(
            "NetworkDefinitionCreationFlag", ["STRONGLY_TYPED"], first=int(version.startswith("10"))
        )
        self.TensorIOMode = self._enum("TensorIOMode", ["INPUT", "OUTPUT"])
        self.ILogger = self._base("ILogger", INTERNAL_ERROR=0, ERROR=1, WARNING=2)
        self.IProgressMonitor = self._base("IProgressMonitor")
        self.Builder = self._maker("Builder", Builder)
        self.OnnxParser = self._maker("OnnxParser", OnnxParser)
        self.Runtime = self._maker("Runtime", Runtime)

    def check(self, kind, name):
        if name not in self.surface.get(kind, {}):
            message = f"the recorded {kind} of TensorRT {self.__version__} has no {name}"
            raise AttributeError(message)
        self.used.add((kind, name))
        return self.surface[kind][name]

    def check_call(self, kind, name, signature, arguments, keywords):
        known = surfaces.parameters(signature) or surfaces.OVERLOADED[kind, name]
        names = [parameter for parameter, _ in known]
        given = {*names[: len(arguments)], *keywords}
        needed = {parameter for parameter, has_default in known if not has_default}
        if len(arguments) > len(names) or not needed <= given <= set(names):
            message = f"{kind}.{name} takes {names}, got {len(arguments)} and {list(keywords)}"
            raise TypeError(message)

    def wrap(self, kind, thing):
        return None if thing is None else Proxy(self, kind, thing)

    def _maker(self, kind, build):
        def make(*arguments, **keywords):
            signature = self.check(kind, "__init__")
            self.check_call(kind, "__init__", signature, (None, *arguments), keywords)
            return self.wrap(kind, build(self, *arguments, **keywords))

        return make

    def _enum(self, kind, members, first=0):
        module = self

        class Recording(type(IntEnum)):
            def __getattribute__(cls, name):
                if name in members:
                    module.used.add((kind, name))
                return super().__getattribute__(name)

        return Recording(kind, (IntEnum,), _namespace(kind, members, first))

    def _base(self, kind, **values):
        module = self

        class Base:
            def __init__(self):
                module.check(kind, "__init__")
                self.started = True

            def __init_subclass__(cls):
                for name in vars(cls):
                    if not name.startswith("__"):
                        module.check(kind, name)

        class Known(type):
            def __getattribute__(cls, name):
                if name in values:
                    module.check(kind, name)
                return super().__getattribute__(name)

        return Known(kind, (Base,), dict(values)) if values else type(kind, (Base,), {})


def _onnxruntime(content):
    return onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])


def _namespace(kind, members, first):
    namespace = type(IntEnum).__prepare__(kind, (IntEnum,))
    for value, name in enumerate(members, first):
        namespace[name] = value
    return namespace


class Builder:
    def __init__(self, trt, logger):
        self.trt, self.logger = trt, logger

    def create_network(self, flags=0):
        assert flags == 1 << self.trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED.value
        return self.trt.wrap("INetworkDefinition", Network(self.trt))

    def create_builder_config(self):
        return self.trt.wrap("IBuilderConfig", Config(self.trt))

    def create_optimization_profile(self):
        return self.trt.wrap("IOptimizationProfile", Profile())

    def build_serialized_network(self, network, config):
        network, config = inner(network), inner(config)
        monitor = config.progress_monitor
        assert monitor.started, "the base class was not initialised"
        monitor.phase_start("Building engine", None, 2)
        monitor.phase_start("Timing", "Building engine", 4)
        told = [monitor.step_complete("Timing", step) for step in range(4)]
        monitor.phase_finish("Timing")
        going = all([*told, monitor.step_complete("Building engine", 0)])
        monitor.phase_finish("Building engine")
        if self.trt.refuses:
            self.logger.log(self.trt.ILogger.ERROR, self.trt.refuses)
        if self.trt.refuses or not going:
            return None
        dynamic = {tensor.name for tensor in network.inputs if -1 in tensor.shape}
        (profile,) = config.profiles
        assert set(profile.shapes) == dynamic
        self.trt.n_built += 1
        about = {
            "version": self.trt.__version__, "gpu": self.trt.driver.name,
            "profile": profile.shapes, "tf32": config.tf32,
        }  # fmt: skip
        return b"FAKE" + json.dumps(about).encode() + b"\0" + network.content


class Network:
    def __init__(self, trt):
        self.trt, self.content, self.inputs = trt, b"", []

    @property
    def num_inputs(self):
        return len(self.inputs)

    def get_input(self, index):
        return self.trt.wrap("ITensor", self.inputs[index])


class Config:
    def __init__(self, trt):
        self.trt, self.profiles, self.cache, self.tf32 = trt, [], None, True
        self.progress_monitor = None

    def set_memory_pool_limit(self, pool, pool_size):
        self.trt.scratch_bytes.append(pool_size)

    def clear_flag(self, flag):
        self.tf32 = False

    def add_optimization_profile(self, profile):
        self.profiles.append(inner(profile))
        return 0

    def create_timing_cache(self, serialized_timing_cache):
        return self.trt.wrap("ITimingCache", TimingCache(bytes(serialized_timing_cache)))

    def set_timing_cache(self, cache, ignore_mismatch):
        if inner(cache).content[:4] not in {b"", b"TIME"}:
            return False
        self.cache = cache
        return True

    def get_timing_cache(self):
        return self.cache


class TimingCache:
    def __init__(self, content):
        self.content = content

    def serialize(self):
        return b"TIME" + self.content


class Profile:
    def __init__(self):
        self.shapes = {}

    def set_shape(self, input, min, opt, max):
        self.shapes[input] = [list(min), list(opt), list(max)]


class OnnxParser:
    def __init__(self, trt, network, logger):
        self.trt, self.network, self.errors = trt, inner(network), []

    def parse(self, model, path=None):
        try:
            session = self.trt.read(model)
        except Exception as error:  # noqa: BLE001
            self.errors.append(str(error))
            return False
        self.network.content = bytes(model)
        self.network.inputs = [
            types.SimpleNamespace(name=node.name, shape=_shape(node))
            for node in session.get_inputs()
        ]
        return True

    @property
    def num_errors(self):
        return len(self.errors)

    def get_error(self, index):
        text = self.errors[index]
        error = types.SimpleNamespace(
            desc=lambda: text, node_name=lambda: "first", node_operator=lambda: "Conv"
        )
        return self.trt.wrap("ParserError", error)


def _shape(node):
    return tuple(n if isinstance(n, int) else -1 for n in node.shape)


class Runtime:
    def __init__(self, trt, logger):
        assert logger.started, "the base class was not initialised"
        self.trt, self.logger = trt, logger

    def deserialize_cuda_engine(self, plan):
        head, _, content = bytes(plan).partition(b"\0")
        about = json.loads(head[4:]) if head[:4] == b"FAKE" else {"version": "another"}
        same = about["version"] == self.trt.__version__ and about["gpu"] == self.trt.driver.name
        if self.trt.refuses or not same:
            text = self.trt.refuses or f"the plan is of TensorRT {about['version']}"
            self.logger.log(self.trt.ILogger.ERROR, text)
            return None
        try:
            engine = Engine(self.trt, self.logger, about, content)
        except Exception as error:  # noqa: BLE001  (a plugin that is not there)
            self.logger.log(self.trt.ILogger.ERROR, str(error))
            return None
        return self.trt.wrap("ICudaEngine", engine)


class Engine:
    device_memory_size_v2 = SCRATCH_BYTES

    def __init__(self, trt, logger, about, content):
        self.trt, self.logger, self.profile = trt, logger, about["profile"]
        self.session = trt.read(content)
        self.reads = {node.name: node for node in self.session.get_inputs()}
        self.writes = {node.name: node for node in self.session.get_outputs()}
        self.nodes = {**self.reads, **self.writes}

    @property
    def num_io_tensors(self):
        return len(self.nodes)

    def get_tensor_name(self, index):
        return list(self.nodes)[index]

    def get_tensor_mode(self, name):
        return self.trt.TensorIOMode["INPUT" if name in self.reads else "OUTPUT"]

    def get_tensor_shape(self, name):
        return _shape(self.nodes[name])

    def get_tensor_dtype(self, name):
        return self.trt.DataType[_KINDS[self.nodes[name].type]]

    def get_tensor_profile_shape(self, name, profile_index):
        return self.profile[name]

    def create_execution_context(self, strategy):
        if strategy != self.trt.ExecutionContextAllocationStrategy.USER_MANAGED:
            message = "the recorded enum has it, the code under test does not use it"
            raise NotImplementedError(message)
        return self.trt.wrap("IExecutionContext", Context(self))


class Context:
    def __init__(self, engine):
        self.engine, self.trt = engine, engine.trt
        self.shapes, self.addresses, self.scratch, self.settled = {}, {}, False, False

    def set_device_memory(self, memory, size):
        self.scratch = size >= SCRATCH_BYTES and self.trt.driver.on_device(memory, size)

    def set_input_shape(self, name, shape):
        low, _, high = self.engine.profile[name]
        fits = all(a <= n <= b for a, n, b in zip(low, shape, high, strict=True))
        self.settled = False
        if fits:
            self.shapes[name] = tuple(shape)
        return fits

    def set_tensor_address(self, name, memory):
        self.settled = False
        self.addresses[name] = memory
        return True

    def execute_async_v3(self, stream_handle):
        engine, driver = self.engine, self.trt.driver
        recording = stream_handle in driver.recording
        complete = self.scratch and set(self.addresses) == set(engine.nodes)
        if not complete or self.trt.refuses or (recording and not self.settled):
            engine.logger.log(
                self.trt.ILogger.ERROR,
                self.trt.refuses or "addresses, shapes, memory or a first run are missing",
            )
            return False
        self.settled = True
        shapes = {name: self.shapes.get(name, _shape(node)) for name, node in engine.reads.items()}
        driver.queue(stream_handle, lambda: self._execute(shapes))
        return True

    def _execute(self, shapes):
        engine, driver = self.engine, self.trt.driver
        feeds = {}
        for name, shape in shapes.items():
            array = np.empty(shape, _DTYPES[_KINDS[engine.reads[name].type]])
            if not driver.on_device(self.addresses[name], array.nbytes):
                return fake_cuda.LAUNCH_FAILED
            ctypes.memmove(array.ctypes.data, self.addresses[name], array.nbytes)
            feeds[name] = array
        try:
            results = engine.session.run(list(engine.writes), feeds)
        except DeviceError:  # of a plugin's kernel
            return fake_cuda.LAUNCH_FAILED
        for name, array in zip(engine.writes, results, strict=True):
            if not driver.on_device(self.addresses[name], array.nbytes):
                return fake_cuda.LAUNCH_FAILED
            ctypes.memmove(
                self.addresses[name], np.ascontiguousarray(array).ctypes.data, array.nbytes
            )
        return 0


def install(monkeypatch, version=VERSIONS[0], **gpu):
    """Put the stand-in and a driver in place; return both."""
    driver = fake_cuda.install(monkeypatch, **gpu)
    module = FakeTensorRT(driver, version)
    monkeypatch.setitem(sys.modules, "tensorrt", module)
    return module, driver
