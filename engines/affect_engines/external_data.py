"""Whether an ONNX file has weights in other files, which no hash of it covers.

ONNX lets a tensor name another file, which a runtime that is given bytes looks for below the
working directory; onnxruntime takes even an address in memory for such a name. The networks that
are run here hold all their weights, so a file that says otherwise is refused by its own bytes,
before a runtime sees them.

The file is a protobuf message (onnx.proto, IR version 3 to 13). Only the fields that lead to
tensors are entered; others are stepped over.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5  # protobuf's wire types
_WIDTH: Final = {_FIXED64: 8, _FIXED32: 4}
_LONGEST_VARINT: Final = 10

# Message -> field number -> message in it (onnx.proto).
_FIELDS: Final = {
    "Model": {7: "Graph", 20: "TrainingInfo", 25: "Function"},
    "TrainingInfo": {1: "Graph", 2: "Graph"},
    "Function": {7: "Node", 11: "Attribute"},
    "Graph": {1: "Node", 5: "Tensor", 15: "SparseTensor"},
    "Node": {5: "Attribute"},
    "Attribute": {
        5: "Tensor", 6: "Graph", 10: "Tensor", 11: "Graph", 22: "SparseTensor", 23: "SparseTensor",
    },
    "SparseTensor": {1: "Tensor", 2: "Tensor"},
    "Tensor": {},
}  # fmt: skip
_NO_MESSAGE: Final = "no protobuf message"
_EXTERNAL_DATA, _DATA_LOCATION = 13, 14  # of a Tensor: where to look, and whether to


def has_external_data(content: bytes) -> bool:
    """Return whether a tensor anywhere in an ONNX file, subgraphs included, names another file.

    Raises
    ------
    ValueError
        This is no protobuf message.
    """
    left = [("Model", memoryview(content))]
    while left:
        message, view = left.pop()
        inside = _FIELDS[message]
        for number, value in _fields(view):
            if message == "Tensor" and number in (_EXTERNAL_DATA, _DATA_LOCATION) and value != 0:
                return True
            if number in inside and isinstance(value, memoryview):
                left.append((inside[number], value))
    return False


def _fields(view: memoryview) -> Iterator[tuple[int, int | memoryview]]:
    """Yield number and value of each field; those of fixed width, which nobody asks for, as 0."""
    at = 0
    while at < len(view):
        tag, at = _varint(view, at)
        number, wire = tag >> 3 & 0x1FFF_FFFF, tag & 7
        value: int | memoryview = 0
        if wire == _VARINT:
            value, at = _varint(view, at)
        elif wire == _BYTES:
            length, at = _varint(view, at)
            value, at = view[at : at + length], at + length
        else:
            at += _WIDTH.get(wire, len(view))  # other types do not occur
        if at > len(view):
            raise ValueError(_NO_MESSAGE)
        yield number, value


def _varint(view: memoryview, at: int) -> tuple[int, int]:
    """Return a number of variable length and where the next field begins."""
    value = 0
    for n, byte in enumerate(view[at : at + _LONGEST_VARINT]):
        value |= (byte & 0x7F) << 7 * n
        if byte < 0x80:
            return value, at + n + 1
    raise ValueError(_NO_MESSAGE)
