"""A network file in the precision TensorRT shall run it in, which the file itself must carry.

TensorRT builds strongly typed networks: fp16 is where the file says so, int8 is where it quantises
and dequantises. Needs the ``onnx`` package, at build time only.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from affect_engines.errors import ModelError
from affect_engines.ort import import_onnxruntime
from affect_engines.trt.plugins import NAMESPACE, OPERATIONS
from affect_kernels.errors import DependencyError

if TYPE_CHECKING:
    from collections.abc import Callable

    from affect_engines.trt.plugins import Operation

PRECISIONS: Final = ("fp16", "int8", "fp32")
"""What a plan may be built in, the one to prefer first."""

# Kept in fp32 inside an fp16 network: sums and squares over many values, which fp16 overflows.
_IN_FP32: Final = ("LayerNormalization", "Pow", "ReduceMean", "ReduceSum", "Sqrt", "Erf")
_INT8_MAX: Final = 127.0


def in_precision(name: str, content: bytes, precision: str) -> bytes:
    """Return an ONNX file as TensorRT shall read it.

    Parameters
    ----------
    name : str
        Of the network, for errors.
    content : bytes
        The fp32 file for ``"fp32"`` and ``"fp16"``, the quantised file for ``"int8"``.
    precision : {"fp32", "fp16", "int8"}

    Returns
    -------
    bytes
        Inputs and outputs keep their names, shapes and types.

    Raises
    ------
    DependencyError
        ``onnx`` is not installed; ``"fp32"`` does not need it.
    ModelError
        The file cannot be turned.
    """
    if precision == "fp32":
        return content
    try:
        import onnx
    except ImportError as error:
        raise DependencyError(
            thing="onnx",
            got=str(error),
            expected=f"the package that writes {name} in {precision}",
            hint="pip install 'realtime-affect[tensorrt]', or build with --precision fp32.",
        ) from error
    turn = _to_fp16 if precision == "fp16" else _to_symmetric_int8
    try:
        model = turn(onnx.load_from_string(content))
        onnx.checker.check_model(model)
    except Exception as error:  # those of onnx and protobuf share no base
        raise ModelError(
            thing=f"{name} in {precision}",
            got=str(error),
            expected="a network that can be written so",
            hint="Build with --precision fp32, and please report this.",
        ) from error
    written: bytes = model.SerializeToString()
    return written


def _to_fp16(model: Any) -> Any:
    """Return the model with fp16 inside and fp32 at its inputs and outputs."""
    import_onnxruntime()  # its telemetry off before any part of it is loaded
    from onnxruntime.transformers.float16 import convert_float_to_float16  # noqa: TID251

    plain = _note_types(model)
    turned = convert_float_to_float16(model, keep_io_types=True, op_block_list=list(_IN_FP32))
    _restore_fp32(turned.graph, plain)
    _join(turned.graph)
    _sort(turned.graph)
    return turned


def _ours(graph: Any) -> list[tuple[Any, Operation]]:
    """Return the nodes that our plugins run, each with what it reads and writes."""
    known = {operation.name: operation for operation in OPERATIONS}
    return [(node, known[node.op_type]) for node in graph.node if node.domain == NAMESPACE]


def _note_types(model: Any) -> dict[str, Any]:
    """Tell the types of what our nodes write; return the constants they want in fp32."""
    from onnx import TensorProto, helper, numpy_helper

    graph = model.graph
    told = {item.name for item in (*graph.value_info, *graph.output)}
    values = {item.name: item for item in graph.initializer}
    kept = {}
    for node, operation in _ours(graph):
        for name in set(node.output) - told:
            graph.value_info.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, None))
        for role, name in zip(operation.reads, node.input, strict=True):
            if role in operation.in_fp32:
                kept[name] = numpy_helper.to_array(values[name]).copy()
    return kept


def _restore_fp32(graph: Any, kept: dict[str, Any]) -> None:
    """Give our nodes back, unrounded, what they read in fp32 beside half inputs."""
    from onnx import numpy_helper

    read = {name for node in graph.node for name in node.input}
    read.update(item.name for item in graph.output)
    for node, operation in _ours(graph):
        for i, role in enumerate(operation.reads):
            if role in operation.in_fp32:
                node.input[i] = f"{node.input[i]}.fp32"
        for role, name in zip(operation.writes, node.output, strict=True):
            if role in operation.in_fp32:
                if name in read:
                    message = f"{node.op_type} whose {role} are read"
                    raise ValueError(message)
                left = [item for item in graph.value_info if item.name != name]
                del graph.value_info[:]
                graph.value_info.extend(left)
    graph.initializer.extend(
        numpy_helper.from_array(value, f"{name}.fp32") for name, value in kept.items()
    )


def _join(graph: Any) -> None:
    """Take away what is cast to fp16 only to be cast back, so that no value is rounded between."""
    from onnx import TensorProto

    def target(node: Any) -> int:
        return next((item.i for item in node.attribute if item.name == "to"), 0)

    casts = {node.output[0]: node for node in graph.node if node.op_type == "Cast"}
    halves = {name for name, node in casts.items() if target(node) == TensorProto.FLOAT16}
    for node in casts.values():
        if target(node) == TensorProto.FLOAT and node.input[0] in halves:
            node.input[0] = casts[node.input[0]].input[0]
    used = {name for node in graph.node for name in node.input}
    used.update(item.name for item in graph.output)
    kept = [n for n in graph.node if n.op_type != "Cast" or n.output[0] in used]
    del graph.node[:]
    graph.node.extend(kept)


def _sort(graph: Any) -> None:
    """Put every node after those it reads; the conversion appends its casts at the end."""
    known = {item.name for item in (*graph.input, *graph.initializer)} | {""}
    waiting = list(graph.node)
    ordered: list[Any] = []
    while waiting:
        ready = [node for node in waiting if known.issuperset(node.input)]
        if not ready:
            message = "nodes that wait for each other"
            raise ValueError(message)
        known.update(name for node in ready for name in node.output)
        ordered += ready
        waiting = [node for node in waiting if not known.issuperset(node.output)]
    del graph.node[:]
    graph.node.extend(ordered)


def _to_symmetric_int8(model: Any) -> Any:
    """Return a quantised model as TensorRT reads it: int8 around zero, biases and constants plain.

    The shipped form is made for CPUs: uint8 activations with a zero point. Here the range of each,
    as calibration found it, is widened to be the same on both sides of zero.
    """
    from onnx import helper, numpy_helper

    graph = model.graph
    values = {item.name: numpy_helper.to_array(item) for item in graph.initializer}
    fresh: dict[str, Any] = {}
    kept = []
    for node in graph.node:
        if node.op_type == "DequantizeLinear" and node.input[0] in values:
            stored = values[node.input[0]]
            if stored.dtype != np.int8:
                # A constant or a bias: TensorRT dequantises int8 alone, so it is put down in fp32.
                fresh[node.output[0]] = _dequantise(node, stored, values.__getitem__)
                continue
        elif node.op_type in ("QuantizeLinear", "DequantizeLinear"):
            cut = values[node.input[2]]
            if node.op_type == "QuantizeLinear" and cut.dtype == np.uint8 and not cut.any():
                # The quantiser let a zero point of 0 stand for the ReLU before it; say it again.
                kept.append(helper.make_node("Relu", [node.input[0]], [f"{node.output[0]}.relu"]))
                node.input[0] = f"{node.output[0]}.relu"
            _centre(node, values, fresh)
        kept.append(node)
    if not fresh:
        message = "no quantised activation in it"
        raise ValueError(message)
    del graph.node[:]
    graph.node.extend(kept)
    graph.initializer.extend(numpy_helper.from_array(value, key) for key, value in fresh.items())
    used = {name for node in graph.node for name in node.input}
    left = [item for item in graph.initializer if item.name in used]
    del graph.initializer[:]
    graph.initializer.extend(left)
    # Types noted along the way are of the old form.
    del graph.value_info[:]
    del model.opset_import[:]
    model.opset_import.add(domain="", version=_OPSET)
    return model


_OPSET: Final = 17


def _dequantise(node: Any, stored: Any, value: Callable[[str], Any]) -> Any:
    """Return the values a DequantizeLinear of a constant gives."""
    scale = np.asarray(value(node.input[1]), np.float32)
    zero = np.asarray(value(node.input[2]) if len(node.input) > 2 else 0, np.int64)
    axis = next((item.i for item in node.attribute if item.name == "axis"), 1)
    if scale.ndim and scale.size > 1:
        shape = [1] * stored.ndim
        shape[axis if stored.ndim > 1 else 0] = -1
        scale, zero = scale.reshape(shape), zero.reshape(shape)
    return ((stored.astype(np.int64) - zero) * scale).astype(np.float32).reshape(stored.shape)


def _centre(node: Any, values: dict[str, Any], fresh: dict[str, Any]) -> None:
    """Give a node of activations an int8 scale around zero, shared with its twins."""
    zero = values[node.input[2]]
    if zero.dtype != np.uint8:
        return
    scale = float(values[node.input[1]])
    widest = scale * max(int(zero), 255 - int(zero))
    names = f"{node.input[1]}.symmetric", f"{node.input[2]}.symmetric"
    fresh[names[0]] = np.array(widest / _INT8_MAX, np.float32)
    fresh[names[1]] = np.array(0, np.int8)
    node.input[1], node.input[2] = names
