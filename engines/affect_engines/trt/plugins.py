"""Two operations of IFDD as TensorRT plugins (IPluginV3) that launch our CUDA kernels.

A network file asks for them by nodes of the domain :data:`NAMESPACE`, which only an export with
plugins has; the plain file, the default, gives the same answers without. Off unless asked for: no
plugin has run in TensorRT or on a GPU yet. Their calls are compared with the recorded bindings of
10.16 and 11.4, and their logic runs against a stand-in.
"""

from __future__ import annotations

import re
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from affect_engines.errors import ModelError
from affect_kernels.cuda.launcher import Launcher
from affect_kernels.errors import DependencyError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from numpy.typing import NDArray

    from affect_kernels._launch import Launch

NAMESPACE: Final = "realtime_affect"
"""Of the plugins, and the domain of their nodes in a network file."""

VERSION: Final = "1"
"""Of the plugins; one that reads other tensors or fields gets another."""

Fields = dict[str, tuple[int, ...]]


@dataclass(frozen=True, slots=True, eq=False)
class Operation:
    """What a node of ours reads and writes.

    Attributes
    ----------
    name : str
        The node's operator, and the plugin's name.
    source : str
        Of its kernel.
    reads : tuple of str
        Inputs in order; the first one tells the dtype.
    writes : mapping
        Outputs in order, and where each of their lengths comes from: an input and its axis.
    in_fp32 : frozenset of str
        Tensors that are float32 whatever the first input is.
    fields : mapping of str to int
        Attributes, integers all, and how many each has.
    launch : callable
        (arrays by name, fields) -> the kernel's launch; of the arrays only shape and dtype count.
    """

    name: str
    source: str
    reads: tuple[str, ...]
    writes: Mapping[str, tuple[tuple[str, int], ...]]
    in_fp32: frozenset[str]
    fields: Mapping[str, int]
    launch: Callable[[Mapping[str, NDArray[Any]], Fields], Launch]


def _split(arrays: Mapping[str, NDArray[Any]], _: Fields) -> Launch:
    from affect_kernels.adaptive_split.cuda import adaptive_split
    from affect_kernels.adaptive_split.reference import SplitWeights

    weights = {name: array for name, array in arrays.items() if name != "x"}
    return adaptive_split(arrays["x"], SplitWeights(**weights))


def _attend(arrays: Mapping[str, NDArray[Any]], fields: Fields) -> Launch:
    from affect_kernels.pooled_attention.cuda import attend

    grids = [(t, h, w) for t, h, w in (fields["grid_q"], fields["grid_k"])]
    tables = arrays["table_t"], arrays["table_h"], arrays["table_w"]
    return attend(arrays["q"], arrays["k"], arrays["v"], tables, *grids)


_WEIGHTS: Final = (
    "look", "look_bias", "approx_offsets", "detail_offsets", "approx_gain", "approx_bias",
    "detail_gain", "detail_bias",
)  # fmt: skip

ADAPTIVE_SPLIT: Final = Operation(
    "AffectAdaptiveSplit",
    "adaptive_split/adaptive_split.cu",
    ("x", *_WEIGHTS),
    {
        "approx": (("x", 0), ("approx_offsets", 0), ("x", 2), ("x", 3)),
        "detail": (("x", 0), ("detail_offsets", 0), ("x", 2), ("x", 3)),
        "times": (("x", 0), ("x", 1)),
    },
    frozenset({*_WEIGHTS, "times"}),
    {},
    _split,
)
"""``affect_kernels.adaptive_split`` on clips (n, T, N, C)."""

POOLED_ATTENTION: Final = Operation(
    "AffectPooledAttention",
    "pooled_attention/pooled_attention.cu",
    ("q", "k", "v", "table_t", "table_h", "table_w"),
    {"out": (("q", 0), ("q", 2), ("q", 1), ("q", 3))},
    frozenset(),
    {"grid_q": 3, "grid_k": 3},
    _attend,
)
"""``affect_kernels.pooled_attention`` on (n, heads, tokens, C), relative positions as tables."""

OPERATIONS: Final = (ADAPTIVE_SPLIT, POOLED_ATTENTION)

OLDEST: Final = (10, 16)
"""First TensorRT whose bindings were tried; those of 10.3 crash on such a class."""

_NEEDED: Final = ("IPluginV3", "IPluginCreatorV3One", "get_plugin_registry")
# As TensorRT's registry, which is the process's; its creators must outlive all use of them.
_registered: dict[Any, tuple[Any, ...]] = {}
_lock = threading.Lock()


def register(trt: Any) -> None:
    """Make the plugins known to TensorRT, once a process; before a network or a plan is read.

    Their kernels are compiled and loaded now, so that a machine that cannot says so here.

    Parameters
    ----------
    trt : module
        As :func:`affect_engines.trt.engine.import_tensorrt` returns it.

    Raises
    ------
    DependencyError
        This TensorRT takes no plugins in Python, others are there under our names, or CUDA's
        runtime compiler is missing.
    DeviceError
        No driver, no GPU, or it does not load the kernels.
    """
    with _lock:
        if trt in _registered:
            return
        without = "Build and run without: realtime-affect engines build --no-plugins."
        numbers = tuple(int(number) for number in re.findall(r"\d+", trt.__version__)[:2])
        if numbers < OLDEST:
            raise DependencyError(
                thing="plugins in TensorRT", got=trt.__version__,
                expected=".".join(map(str, OLDEST)) + " or later", hint=without,
            )  # fmt: skip
        lacking = [name for name in _NEEDED if not hasattr(trt, name)]
        if lacking:
            raise DependencyError(
                thing=f"plugins in TensorRT {trt.__version__}", got="no " + ", ".join(lacking),
                expected="its Python bindings, whole", hint=without,
            )  # fmt: skip
        launcher = Launcher(operation.source for operation in OPERATIONS)
        registry = trt.get_plugin_registry()
        if registry is None:
            raise DependencyError(
                thing=f"plugins in TensorRT {trt.__version__}", got="no registry",
                expected="TensorRT's libraries beside its bindings", hint=without,
            )  # fmt: skip
        creators = []
        for operation in OPERATIONS:
            creator = make_creator(trt, operation, launcher)
            if not registry.register_creator(creator, NAMESPACE):
                raise DependencyError(
                    thing=f"plugin {operation.name}", got="another one of this name and version",
                    expected="room for ours in TensorRT's registry",
                    hint="Something else in this process registers it. " + without,
                )  # fmt: skip
            creators.append(creator)
        _registered[trt] = tuple(creators)


def read_fields(operation: Operation, collection: Any) -> Fields:
    """Return a node's attributes, or what a plan kept of them.

    Raises
    ------
    ModelError
        One is missing or of another length.
    """
    found = {field.name: _integers(field.data) for field in collection}
    fields = {name: found.get(name, ()) for name in operation.fields}
    if {name: len(values) for name, values in fields.items()} != operation.fields:
        raise ModelError(
            thing=f"node {operation.name}",
            got=f"attributes {found}",
            expected=f"so many integers: {dict(operation.fields)}",
            hint="Export the network again, with this version of the program.",
        )
    return fields


def _integers(data: Any) -> tuple[int, ...]:
    if data is None:
        return ()
    array = np.asarray(data)
    # Always dense; but the bindings up to 10.7 give NumPy 2 an array with a stride of 0.
    dense = np.lib.stride_tricks.as_strided(array, strides=(array.itemsize,))
    return tuple(int(value) for value in dense)


def make_creator(trt: Any, operation: Operation, launcher: Launcher) -> Any:
    """Return what TensorRT makes the plugins of an operation with."""
    make = plugin_class(trt, operation, launcher)

    class Creator(trt.IPluginCreatorV3One):  # type: ignore[misc]
        def __init__(self) -> None:
            trt.IPluginCreatorV3One.__init__(self)
            self.name = operation.name
            self.plugin_namespace = NAMESPACE
            self.plugin_version = VERSION
            self.field_names = trt.PluginFieldCollection(
                [
                    trt.PluginField(name, np.array([], np.int32), trt.PluginFieldType.INT32)
                    for name in operation.fields
                ]
            )

        def create_plugin(self, name: str, field_collection: Any, phase: Any) -> Any:  # noqa: ARG002
            return make(read_fields(operation, field_collection))

    return Creator()


def plugin_class(  # noqa: C901  (it is made here, as its bases come with TensorRT)
    trt: Any, operation: Operation, launcher: Launcher
) -> Any:
    """Return the class of an operation's plugins: each is one node of one network."""
    names = *operation.reads, *operation.writes
    dtypes = {trt.DataType.FLOAT: np.float32, trt.DataType.HALF: np.float16}

    class Plugin(
        trt.IPluginV3,  # type: ignore[misc]
        trt.IPluginV3OneCore,  # type: ignore[misc]
        trt.IPluginV3OneBuild,  # type: ignore[misc]
        trt.IPluginV3OneRuntime,  # type: ignore[misc]
    ):
        def __init__(self, fields: Fields) -> None:
            trt.IPluginV3.__init__(self)
            trt.IPluginV3OneCore.__init__(self)
            trt.IPluginV3OneBuild.__init__(self)
            trt.IPluginV3OneRuntime.__init__(self)
            self.plugin_name = operation.name
            self.plugin_namespace = NAMESPACE
            self.plugin_version = VERSION
            self.num_outputs = len(operation.writes)
            # The fields that are handed out point to these, and do not keep them.
            self._fields = {name: np.array(value, np.int32) for name, value in fields.items()}
            self._values = fields
            self._launches: dict[tuple[Any, ...], Launch] = {}  # slower to build than to queue

        def get_capability_interface(self, type: Any) -> Any:  # noqa: ARG002
            return self

        def clone(self) -> Any:
            return Plugin(self._values)

        def attach_to_context(self, resource_context: Any) -> Any:  # noqa: ARG002
            return self.clone()

        def get_fields_to_serialize(self) -> Any:
            return trt.PluginFieldCollection(
                [
                    trt.PluginField(name, value, trt.PluginFieldType.INT32)
                    for name, value in self._fields.items()
                ]
            )

        def get_output_data_types(self, input_types: Sequence[Any]) -> list[Any]:
            return [
                trt.DataType.FLOAT if name in operation.in_fp32 else input_types[0]
                for name in operation.writes
            ]

        def get_output_shapes(
            self,
            inputs: Sequence[Any],
            shape_inputs: Sequence[Any],  # noqa: ARG002
            expr_builder: Any,  # noqa: ARG002
        ) -> list[Any]:
            shapes = []
            for lengths in operation.writes.values():
                shape = trt.DimsExprs(len(lengths))
                for i, (name, axis) in enumerate(lengths):
                    shape[i] = inputs[operation.reads.index(name)][axis]
                shapes.append(shape)
            return shapes

        def supports_format_combination(
            self,
            pos: int,
            in_out: Sequence[Any],
            num_inputs: int,  # noqa: ARG002
        ) -> bool:
            offered, first = in_out[pos], in_out[0]
            described = offered.desc
            if described.format != trt.TensorFormat.LINEAR:
                return False
            if names[pos] in operation.in_fp32:
                return bool(described.type == trt.DataType.FLOAT)
            alike = bool(described.type == first.desc.type)
            return alike and described.type in dtypes

        def configure_plugin(self, in_: Sequence[Any], out: Sequence[Any]) -> None:
            """Nothing depends on the range of shapes."""

        def get_workspace_size(self, in_: Sequence[Any], out: Sequence[Any]) -> int:  # noqa: ARG002
            return 0

        def set_tactic(self, tactic: int) -> None:
            """There is one kernel and no choice."""

        def on_shape_change(self, in_: Sequence[Any], out: Sequence[Any]) -> None:  # noqa: ARG002
            self._launch(in_)

        def enqueue(  # noqa: PLR0913  (as TensorRT calls it)
            self,
            input_desc: Sequence[Any],
            output_desc: Sequence[Any],  # noqa: ARG002
            inputs: Sequence[int],
            outputs: Sequence[int],
            workspace: int,  # noqa: ARG002
            stream: int,
        ) -> None:
            addresses = dict(zip(names, (*inputs, *outputs), strict=True))
            launcher.start(self._launch(input_desc), addresses, stream)

        def _launch(self, described: Sequence[Any]) -> Launch:
            key = tuple((tuple(part.dims), part.type) for part in described)
            if key not in self._launches:
                # Never touched, so no memory stands behind them: they are shapes and dtypes.
                arrays = {
                    name: np.empty(shape, dtypes[kind])
                    for name, (shape, kind) in zip(operation.reads, key, strict=True)
                }
                self._launches[key] = operation.launch(arrays, self._values)
            return self._launches[key]

    return Plugin
