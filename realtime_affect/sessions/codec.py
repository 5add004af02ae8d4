"""Readings as bytes and back, exactly; a head in JSON, then the arrays as they lie in memory.

Any value of ``realtime_affect.types``, ``meaning`` and ``markers`` is written by its fields, so a
new field needs nothing here: a session from before it has the field's default. Pixels are not kept:
the image is in the video, the face crops are blank. Nothing is ever executed on reading.
"""

from __future__ import annotations

import dataclasses
import json
import struct
from collections.abc import Mapping
from functools import cache
from types import MappingProxyType
from typing import Any, Final

import numpy as np

from realtime_affect import markers, meaning, types
from realtime_affect.errors import InputError
from realtime_affect.types import Reading

_LENGTH: Final = struct.Struct("<I")
_LEFT_OUT: Final = {"Frame": {"image"}, "Face": {"crop", "stabilized"}}
_PLAIN: Final = frozenset((int, float, str, bool, type(None)))
_KINDS: Final = "?iuf"  # of arrays: truth values, whole numbers, floats


def encode(reading: Reading) -> bytes:
    """Return a reading as bytes; without its pixels."""
    arrays: list[bytes] = []
    offset = 0

    def put(value: Any) -> Any:
        nonlocal offset
        kind: type = type(value)
        if kind in _PLAIN:  # first: nine of ten
            return value
        fields = _fields(kind)
        if fields is not None:
            found = {"#": kind.__name__}
            for name in fields:
                found[name] = put(getattr(value, name))
            return found
        if isinstance(value, np.ndarray):
            data = value.tobytes()
            at, offset = offset, offset + len(data)
            arrays.append(data)
            return {"@": [value.dtype.str, list(value.shape), at]}
        if isinstance(value, Mapping):
            return {"map": [[put(key), put(item)] for key, item in value.items()]}
        if isinstance(value, tuple | list):
            return [put(item) for item in value]
        if isinstance(value, np.generic):
            return value.item()
        return value

    text = json.dumps(put(reading), separators=(",", ":")).encode()
    return b"".join([_LENGTH.pack(len(text)), text, *arrays])


def decode(data: bytes) -> Reading:
    """Return a reading, with an empty image.

    Raises
    ------
    InputError
        The bytes are damaged, or of a version that knows more.
    """
    try:
        (length,) = _LENGTH.unpack_from(data)
        start = _LENGTH.size + length
        reading = _take(json.loads(data[_LENGTH.size : start]), memoryview(data)[start:])
    except (ValueError, TypeError, KeyError, struct.error) as error:
        raise _damaged(str(error)) from error
    if not isinstance(reading, Reading):
        got = f"a {type(reading).__name__}"
        raise _damaged(got)
    return reading


def _take(value: Any, arrays: memoryview) -> Any:
    if isinstance(value, list):
        return tuple(_take(item, arrays) for item in value)
    if not isinstance(value, dict):
        return value
    if "@" in value:
        kind, shape, at = value["@"]
        dtype = np.dtype(kind)
        if dtype.kind not in _KINDS:
            message = f"an array of {kind}"
            raise TypeError(message)
        n = int(np.prod(shape))
        return np.frombuffer(arrays, dtype, n, at).reshape(shape).copy()
    if "map" in value:
        pairs = {_take(key, arrays): _take(item, arrays) for key, item in value["map"]}
        return MappingProxyType(pairs)
    cls = _classes()[value["#"]]
    known = _fields(cls) or ()
    given = {name: _take(item, arrays) for name, item in value.items() if name in known}
    if cls is types.Frame:
        given["image"] = np.zeros((0, 0, 3), np.uint8)
    elif cls is types.Face:
        given["crop"] = np.zeros((48, 48), np.uint8)
    return cls(**given)


@cache
def _classes() -> dict[str, type]:
    """Return the values that may be read, by name: those of three modules, no others."""
    return {
        name: value
        for module in (types, meaning, markers)
        for name, value in vars(module).items()
        if isinstance(value, type) and dataclasses.is_dataclass(value)
    }


@cache
def _fields(cls: type[Any]) -> tuple[str, ...] | None:
    """Return the fields of a value that are written, or None where it is no value of ours."""
    if _classes().get(cls.__name__) is not cls:
        return None
    left_out = _LEFT_OUT.get(cls.__name__, set())
    return tuple(
        field.name for field in dataclasses.fields(cls) if field.init and field.name not in left_out
    )


def _damaged(got: str) -> InputError:
    return InputError(
        thing="a reading of a session",
        got=got,
        expected="what this or an earlier version has written",
        hint="Open the session with the version that recorded it: session.json names it.",
    )
