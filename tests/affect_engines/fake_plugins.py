"""TensorRT's side of a plugin, on the stand-in: what it asks, in its order, with its signatures.

What the bindings' classes offer is the recorded surface. The driver's launches end in the kernels'
plain form in NumPy, on what the kernel's struct points to: so grid, addresses and sizes are real,
and no CUDA code has run.
"""

from __future__ import annotations

import ctypes
import types
from functools import partial

import numpy as np

from affect_engines.trt import plugins
from affect_engines.trt.plugins import (
    ADAPTIVE_SPLIT,
    NAMESPACE,
    OPERATIONS,
    POOLED_ATTENTION,
    VERSION,
    register,
)
from affect_kernels._launch import fingerprint
from affect_kernels.adaptive_split import SplitWeights, adaptive_split
from affect_kernels.cuda import device as _device
from affect_kernels.cuda.driver import Stream
from affect_kernels.pooled_attention import pooled_attention
from tests.affect_engines import fake_cuda, fake_tensorrt, surfaces

_CLASSES = (
    "IPluginV3", "IPluginV3OneCore", "IPluginV3OneBuild", "IPluginV3OneRuntime",
    "IPluginCreatorV3One",
)  # fmt: skip
_NUMBERS = {
    "AffectAdaptiveSplit": ("slots", "tokens", "channels", "parts"),
    "AffectPooledAttention": (
        "heads", "queries", "keys", "q_t", "q_h", "q_w", "k_t", "k_h", "k_w",
    ),
}  # fmt: skip

KEYS = {o.name: (o.name, VERSION, NAMESPACE) for o in OPERATIONS}
ENTRIES = {
    ADAPTIVE_SPLIT: ("adaptive_split_f32", "adaptive_split_f16"),
    POOLED_ATTENTION: (
        "pooled_attention_f32", "pooled_attention_f16_p32", "pooled_attention_f16_p48",
    ),
}  # fmt: skip


class Registry:
    """What was registered, by name, version and namespace."""

    def __init__(self):
        self.creators = {}

    def register_creator(self, creator, plugin_namespace=""):
        assert creator.started == {"IPluginCreatorV3One"}, "the base class was not initialised"
        key = creator.name, creator.plugin_version, plugin_namespace
        assert creator.plugin_namespace == plugin_namespace
        new = key not in self.creators
        self.creators.setdefault(key, creator)
        return new


class Field(types.SimpleNamespace):
    def __init__(self, name, data, type):
        # The buffer is not copied: it must live as long as TensorRT reads it.
        super().__init__(name=name, data=data, type=type)


def install(trt):
    """Give a stand-in for TensorRT plugins; return its registry."""
    registry = Registry()
    trt.get_plugin_registry = lambda: trt.wrap("IPluginRegistry", registry)
    trt.used.add(("get_plugin_registry", ""))
    for kind in _CLASSES:
        setattr(trt, kind, _base(trt, kind))
    trt.PluginField = _checked(trt, "PluginField", Field)
    trt.PluginFieldCollection = _checked(trt, "PluginFieldCollection", list)
    trt.DimsExprs = _checked(trt, "DimsExprs", lambda n: [None] * n)
    trt.PluginFieldType = trt._enum("PluginFieldType", ["INT32"])
    trt.TensorFormat = types.SimpleNamespace(LINEAR="linear", HWC8="hwc8")
    plain = trt.read
    trt.read = lambda content: (
        Session(trt, registry, content) if NAMESPACE.encode() in content else plain(content)
    )
    return registry


class Session:
    """A network with nodes of ours, in onnxruntime's words: run by onnx and our plugins."""

    def __init__(self, trt, registry, content):
        import onnx
        from onnx.reference import ReferenceEvaluator
        from onnx.reference.op_run import OpRun

        def node(name):
            key = name, VERSION, NAMESPACE
            if key not in registry.creators:
                message = f"no plugin {name} is registered"
                raise LookupError(message)

            def run(self, *arrays, plugin_version, plugin_namespace, **attributes):
                assert (name, plugin_version, plugin_namespace) == key
                with Stream() as stream:
                    queued = run_node(trt, registry, stream, key, attributes, arrays)
                    stream.synchronize()
                    return tuple(fetch(queued))

            return type(name, (OpRun,), {"op_domain": NAMESPACE, "_run": run})

        model = onnx.load_from_string(content)
        names = {node.op_type for node in model.graph.node if node.domain == NAMESPACE}
        self._runs = ReferenceEvaluator(model, new_ops=[node(name) for name in sorted(names)])
        self._graph = model.graph

    def get_inputs(self):
        return [self._node(item) for item in self._graph.input]

    def get_outputs(self):
        return [self._node(item) for item in self._graph.output]

    def run(self, names, feeds):
        return self._runs.run(names, feeds)

    @staticmethod
    def _node(item):
        shape = [d.dim_param or d.dim_value for d in item.type.tensor_type.shape.dim]
        return types.SimpleNamespace(name=item.name, type="tensor(float)", shape=shape)


def _checked(trt, kind, make):
    def call(*arguments, **keywords):
        trt.check_call(kind, "__init__", trt.check(kind, "__init__"), (None, *arguments), keywords)
        return make(*arguments, **keywords)

    return call


def _base(trt, kind):
    def begin(self):
        trt.check(kind, "__init__")
        self.started = {*getattr(self, "started", ()), kind}

    return type(kind, (), {"__init__": begin})


def ask(trt, plugin, name, *arguments):
    """Call a method of a plugin as TensorRT does: by position, if the bindings have it."""
    owner = next(kind for kind in _CLASSES if name in trt.surface.get(kind, {}))
    known = surfaces.parameters(trt.check(owner, name))
    assert len(known) == 1 + len(arguments), (name, known)
    return getattr(plugin, name)(*arguments)


def run_node(trt, registry, stream, key, attributes, arrays):
    """Build a node's plugin, keep it as a plan does, read it anew, and queue it on a stream.

    Returns
    -------
    list of arrays
        Valid once the stream was synchronised and :func:`fetch` copied them.
    """
    creator = registry.creators[key]
    assert creator.plugin_namespace == key[2]
    wanted = [field.name for field in creator.field_names]
    fields = [
        Field(name, np.array(attributes[name], np.int32), trt.PluginFieldType.INT32)
        for name in wanted
    ]
    built = creator.create_plugin("node", fields, "build")
    assert built.started == set(_CLASSES[:4]), "a base class was not initialised"
    assert (built.plugin_name, built.plugin_version, built.plugin_namespace) == key
    for capability in ("core", "build", "runtime"):
        assert ask(trt, built, "get_capability_interface", capability) is built
    kinds = {np.dtype(np.float32): trt.DataType.FLOAT, np.dtype(np.float16): trt.DataType.HALF}
    types_in = [kinds[array.dtype] for array in arrays]
    types_out = ask(trt, built, "get_output_data_types", types_in)
    shapes_in = [[types.SimpleNamespace(n=n) for n in array.shape] for array in arrays]
    dims = ask(trt, built, "get_output_shapes", shapes_in, [], None)
    assert len(dims) == len(types_out) == built.num_outputs
    shapes = [array.shape for array in arrays] + [tuple(d.n for d in shape) for shape in dims]
    described = [
        types.SimpleNamespace(dims=shape, type=kind, format=trt.TensorFormat.LINEAR)
        for shape, kind in zip(shapes, [*types_in, *types_out], strict=True)
    ]
    ranges = [types.SimpleNamespace(desc=each) for each in described]
    for pos in range(len(ranges)):
        assert ask(trt, built, "supports_format_combination", pos, ranges, len(arrays))
        described[pos].format = trt.TensorFormat.HWC8
        assert not ask(trt, built, "supports_format_combination", pos, ranges, len(arrays))
        described[pos].format = trt.TensorFormat.LINEAR
    n = len(arrays)
    ask(trt, built, "configure_plugin", ranges[:n], ranges[n:])
    assert ask(trt, built, "get_workspace_size", ranges[:n], ranges[n:]) == 0
    kept = ask(trt, built, "get_fields_to_serialize")
    read = creator.create_plugin("node", kept, "runtime")
    running = ask(trt, read, "attach_to_context", None)
    assert running is not read
    assert ask(trt, running, "clone") is not running
    ask(trt, running, "set_tactic", 0)
    ask(trt, running, "on_shape_change", described[:n], described[n:])
    addresses = [_put(stream, array) for array in arrays]
    dtypes = {kind: dtype for dtype, kind in kinds.items()}
    results = [np.empty(shapes[n + i], dtypes[kind]) for i, kind in enumerate(types_out)]
    outputs = [stream.allocate(result.nbytes) for result in results]
    ask(trt, running, "enqueue", described[:n], described[n:], addresses, outputs, 0, stream.handle)
    return list(zip(results, outputs, strict=True))


def fetch(queued):
    """Copy what a stream that was waited for has written."""
    for result, address in queued:
        ctypes.memmove(result.ctypes.data, address, result.nbytes)
    return [result for result, _ in queued]


def _put(stream, array):
    address = stream.allocate(array.nbytes)
    ctypes.memmove(address, np.ascontiguousarray(array).ctypes.data, array.nbytes)
    return address


def struct(operation):
    """Return the layout of a kernel's argument, as its C++ struct has it."""
    fields = []
    for name in (*operation.reads, *operation.writes):
        fields += [(f"{name}_data", np.uint64), (f"{name}_size", np.int64)]
    fields += [(name, np.int32) for name in _NUMBERS[operation.name]]
    return np.dtype(fields, align=True)


def run_kernel(driver, entry, packed):
    """Do what a kernel does, on the memory that its argument names; return the driver's code."""
    stem = entry.split("_f16")[0].split("_f32")[0]
    operation = next(each for each in OPERATIONS if stem in each.source)
    a = np.frombuffer(packed, struct(operation))[0]
    half = "_f16" in entry

    def view(name):
        kind = np.float32 if name in operation.in_fp32 or not half else np.float16
        size, address = int(a[f"{name}_size"]), int(a[f"{name}_data"])
        n_bytes = size * np.dtype(kind).itemsize
        if not driver.on_device(address, n_bytes):
            raise LookupError
        return np.ctypeslib.as_array((ctypes.c_ubyte * n_bytes).from_address(address)).view(kind)

    try:
        read = {name: view(name) for name in operation.reads}
        written = {name: view(name) for name in operation.writes}
    except LookupError:
        return fake_cuda.LAUNCH_FAILED
    if stem == "adaptive_split":
        slots, channels = int(a["slots"]), int(a["channels"])
        weights = {
            "look": read["look"].reshape(-1, channels), "look_bias": read["look_bias"],
            "approx_offsets": read["approx_offsets"].reshape(-1, slots**2),
            "detail_offsets": read["detail_offsets"].reshape(-1, slots**2),
            **{name: read[name] for name in operation.reads[5:]},
        }  # fmt: skip
        x = read["x"].reshape(-1, slots, int(a["tokens"]), channels)
        found = adaptive_split(x, SplitWeights(**weights))._asdict()
    else:
        grids = [tuple(int(a[f"{side}_{axis}"]) for axis in "thw") for side in "qk"]
        q, k, v = (
            read[name].reshape(-1, int(a["heads"]), int(a[length]), 96)
            for name, length in (("q", "queries"), ("k", "keys"), ("v", "keys"))
        )
        tables = tuple(read[f"table_{axis}"].reshape(-1, 96) for axis in "thw")
        found = {"out": pooled_attention(q, k, v, tables, *grids)}
    for name, array in found.items():
        written[name][:] = array.reshape(-1)
    return 0


class Stand:
    """A stand-in for TensorRT with plugins, its registry, and a driver that knows our kernels."""

    def __init__(self, monkeypatch, version):
        monkeypatch.setattr(plugins, "_registered", {})
        self.trt, self.driver = fake_tensorrt.install(monkeypatch, version)
        self.registry = install(self.trt)
        self.compiled = []

        def cubin(source, architecture):
            self.compiled.append((source, architecture))
            return fingerprint(source).encode()

        monkeypatch.setattr(_device, "cubin", cubin)
        for operation, entries in ENTRIES.items():
            for entry in entries:
                self.driver.kernels[entry] = (
                    struct(operation).itemsize,
                    partial(run_kernel, self.driver, entry),
                )

    def run(self, name, attributes, arrays):
        """Register, run one node on a stream of its own, and return what it wrote."""
        register(self.trt)
        with Stream() as stream:
            queued = run_node(self.trt, self.registry, stream, KEYS[name], attributes, arrays)
            self.stream = stream.handle
            stream.synchronize()
            return fetch(queued)
