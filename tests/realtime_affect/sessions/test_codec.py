"""Readings as bytes and back."""

from __future__ import annotations

import json
import struct
from dataclasses import fields, is_dataclass

import numpy as np
import pytest

from realtime_affect import markers, meaning, types
from realtime_affect.errors import InputError
from realtime_affect.sessions.codec import decode, encode
from tests.realtime_affect.sessions.conftest import readings


def same(a, b):
    if isinstance(a, np.ndarray):
        return a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()
    if is_dataclass(a):
        left_out = {"image", "crop", "stabilized"}
        return all(
            same(getattr(a, f.name), getattr(b, f.name))
            for f in fields(a)
            if f.name not in left_out
        )
    if isinstance(a, tuple | list):
        return len(a) == len(b) and all(same(x, y) for x, y in zip(a, b, strict=True))
    if hasattr(a, "items"):
        return a.keys() == b.keys() and all(same(a[key], b[key]) for key in a)
    return a == b or (a != a and b != b)


def test_a_reading_comes_back_bit_for_bit_but_for_its_pixels():
    for reading in readings(12):
        assert same(reading, decode(encode(reading)))


def test_markers_and_meanings_are_kept():
    from dataclasses import replace

    (reading,) = readings(1)
    result = replace(
        reading.affect.results[1],
        **{
            name: meaning.Meaning(1, "happiness", 0.9, "none", 0.1, 0.4, 0.2, "agrees",
                                  (meaning.Observation("AU12", "both", 2.5, "high"),), ())
            for name in ("meaning",)
            if name in {f.name for f in fields(types.AffectResult)}
        },
    )  # fmt: skip
    reading = replace(
        reading,
        markers=(markers.Marker(1, 5, "stimülus", "window"),),
        affect=replace(reading.affect, results={1: result}),
    )
    assert same(reading, decode(encode(reading)))


def test_a_field_from_before_its_time_has_its_default_and_one_from_after_is_passed_over():
    (reading,) = readings(1)
    data = encode(reading)
    (length,) = struct.unpack_from("<I", data)
    head = json.loads(data[4 : 4 + length])
    del head["markers"]
    head["affect"]["later"] = 1
    text = json.dumps(head).encode()
    back = decode(struct.pack("<I", len(text)) + text + data[4 + length :])
    assert back.markers == ()


@pytest.mark.parametrize(
    "head",
    [b"", b"{}", b"[1]", b'{"#":"Path"}', b'{"#":"Reading","scene":{"@":["|O",[1],0]}}', b"\xff"],
)
def test_what_is_no_reading_is_refused_and_nothing_else_is_ever_made(head):
    with pytest.raises(InputError):
        decode(struct.pack("<I", len(head)) + head)
    with pytest.raises(InputError):
        decode(head)
