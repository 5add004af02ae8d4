"""Read the layers of a ``.tflite`` network of separable blocks.

Operators are gathered into the layers that ``affect_kernels.separable_blocks`` runs: convolution,
the depthwise one before it, what is added, PReLU. A network with anything else is for LiteRT.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

from affect_engines.base import TensorSpec
from affect_kernels.separable_blocks import Layer
from affect_kernels.separable_blocks.cpu import UnfitError, refuse

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

_SAME: Final = 0  # tflite.Padding
_DTYPES: Final = {0: np.float32, 1: np.float16, 2: np.int32}  # tflite.TensorType


class _Operator(NamedTuple):
    name: str
    inputs: list[int]
    output: int
    options: Any


@dataclass(frozen=True, slots=True)
class Blocks:
    """A network of separable blocks.

    Attributes
    ----------
    layers : tuple of Layer
    source : int
        Number of the map that is given.
    input : TensorSpec
    outputs : dict of int to TensorSpec
        By the number of the map.
    """

    layers: tuple[Layer, ...]
    source: int
    input: TensorSpec
    outputs: dict[int, TensorSpec]


def read_blocks(model: bytes) -> Blocks:
    """Return the layers of a ``.tflite`` file, checked by the caller.

    Raises
    ------
    UnfitError
        It is no network of separable blocks with weights in float16.
    """
    try:
        return _read(model)
    except UnfitError:
        raise
    except (struct.error, IndexError, KeyError, TypeError, ValueError) as error:
        refuse(f"a file that cannot be read: {error}")


def _read(model: bytes) -> Blocks:
    from ai_edge_litert import schema_py_generated as schema

    file = schema.ModelT.InitFromPackedBuf(model, 0)
    names = {code: name for name, code in vars(schema.BuiltinOperator).items() if name[0] != "_"}
    codes = [max(c.builtinCode, c.deprecatedBuiltinCode) for c in file.operatorCodes]
    (graph,) = file.subgraphs
    values: dict[int, NDArray[Any]] = {}
    for index, tensor in enumerate(graph.tensors):
        data = file.buffers[tensor.buffer].data
        if data is not None and len(data) and tensor.type in _DTYPES:
            values[index] = np.frombuffer(bytes(data), _DTYPES[tensor.type]).reshape(tensor.shape)
    operators = []
    for op in graph.operators:
        name, inputs = names[codes[op.opcodeIndex]], [int(i) for i in op.inputs]
        if name == "DEQUANTIZE" and inputs[0] in values:
            values[int(op.outputs[0])] = values[inputs[0]].astype(np.float32)
        else:
            operators.append(_Operator(name, inputs, int(op.outputs[0]), op.builtinOptions))
    shapes = {index: tuple(map(int, tensor.shape)) for index, tensor in enumerate(graph.tensors)}

    def spec(index: int) -> TensorSpec:
        return TensorSpec(graph.tensors[index].name.decode(), shapes[index], np.dtype(np.float32))

    (source,) = map(int, graph.inputs)
    outputs = {int(index): spec(int(index)) for index in graph.outputs}
    layers = _Gatherer(operators, values, shapes).layers(outputs)
    return Blocks(tuple(layers), source, spec(source), outputs)


class _Gatherer:
    """Operators of a graph, gathered into layers."""

    def __init__(
        self, operators: list[_Operator], values: dict[int, NDArray[Any]],
        shapes: dict[int, tuple[int, ...]],
    ) -> None:  # fmt: skip
        self._operators, self._values, self._shapes = operators, values, shapes
        self._maker = {op.output: op for op in operators}
        self._readers: dict[int, list[_Operator]] = {}
        for op in operators:
            for index in op.inputs:
                self._readers.setdefault(index, []).append(op)
        self._left = {op.output for op in operators}

    def layers(self, outputs: Iterable[int]) -> list[Layer]:
        """Return a layer for each convolution; each operator belongs to some."""
        found = [self._layer(op) for op in self._operators if op.name == "CONV_2D"]
        made = {layer.target for layer in found}
        if self._left or not made.issuperset(outputs):
            names = {self._maker[index].name for index in self._left}
            refuse(f"operators {', '.join(sorted(names)) or 'that give no output'}")
        return found

    def _layer(self, op: _Operator) -> Layer:
        source, depthwise, first = op.inputs[0], None, op
        before = self._maker.get(source)
        if before is not None and before.name == "DEPTHWISE_CONV_2D":
            source, depthwise, first = before.inputs[0], self._depthwise(before), before
            if _stride(op) != 1:
                refuse("a 1x1 convolution of stride 2")
        weight = self._half(op.inputs[1]).transpose(1, 2, 3, 0)  # from (n, kh, kw, c)
        bias, target = self._values[op.inputs[2]].astype(np.float32), self._take(op)
        skip, pooled = None, False
        after = self._only_reader(target)
        if after is not None and after.name == "ADD":
            (other,) = (index for index in after.inputs if index != target)
            skip, pooled = self._skip(other)
            target = self._take(after)
            after = self._only_reader(target)
        slope = np.ones(len(bias), np.float32)
        if after is not None and after.name == "PRELU":
            slope = self._values[after.inputs[1]].astype(np.float32).reshape(-1)
            target = self._take(after)
        kernel = 3 if depthwise is not None else weight.shape[0]
        size, stride = self._shapes[target][1:3], _stride(first)
        before_it = 0
        if first.options.padding == _SAME:
            height = self._shapes[source][1]
            before_it = max(0, (size[0] - 1) * stride + kernel - height) // 2
        return Layer(
            source, target, (size[0], size[1]), stride, before_it, weight, bias, slope, depthwise,
            skip, pooled,
        )  # fmt: skip

    def _depthwise(self, op: _Operator) -> NDArray[np.float32]:
        """Return bias and weights (10, c) of a depthwise convolution."""
        weight, bias = (self._values[index].astype(np.float32) for index in op.inputs[1:3])
        if weight.shape[1:3] != (3, 3) or op.options.depthMultiplier != 1:
            refuse(f"a depthwise convolution of {weight.shape[1]}x{weight.shape[2]}")
        self._take(op)
        return np.concatenate([bias[None], weight.reshape(9, -1)])

    def _skip(self, index: int) -> tuple[int, bool]:
        """Return the map that is added, and whether the largest of its 2x2 are."""
        op = self._maker.get(index)
        if op is not None and op.name == "PAD":
            pads = self._values[op.inputs[1]]
            if pads[:3].any() or pads[3, 0]:
                refuse("a map padded at its borders")
            self._take(op)
            index = op.inputs[0]
            op = self._maker.get(index)
        if op is None or op.name != "MAX_POOL_2D":
            return index, False
        options = op.options
        if (options.filterHeight, options.filterWidth, options.strideH) != (2, 2, 2):
            refuse(f"a maximum over {options.filterHeight}x{options.filterWidth}")
        self._take(op)
        return op.inputs[0], True

    def _half(self, index: int) -> NDArray[np.float16]:
        """Return weights as float16, as which the file has them."""
        half = self._values[index].astype(np.float16)
        if not np.array_equal(half, self._values[index]):
            refuse("weights in float32")
        return half

    def _take(self, op: _Operator) -> int:
        """Note that an operator belongs to a layer; return its output."""
        if getattr(op.options, "fusedActivationFunction", 0):
            refuse(f"an activation within {op.name}")
        if max(getattr(op.options, "dilationHFactor", 1), 1) != 1:
            refuse(f"{op.name} with gaps")
        self._left.discard(op.output)
        return op.output

    def _only_reader(self, index: int) -> _Operator | None:
        readers = self._readers.get(index, [])
        return readers[0] if len(readers) == 1 else None


def _stride(op: _Operator) -> int:
    if op.options.strideH != op.options.strideW:
        refuse("unequal strides")
    return int(op.options.strideH)
