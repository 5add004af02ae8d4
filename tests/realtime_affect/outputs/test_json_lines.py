import json
from dataclasses import replace
from types import MappingProxyType

import numpy as np
import pytest

from realtime_affect.face.vision import Vision
from realtime_affect.markers import Marker
from realtime_affect.outputs.json_lines import health_line, reading_line
from realtime_affect.types import (
    AffectResult,
    AffectSnapshot,
    Expression,
    FacialEvent,
    Reading,
    Scene,
    Spotting,
)
from tests.realtime_affect.serve.test_service import BlindUnits
from tests.realtime_affect.world import Person, World, frame_at


@pytest.fixture(scope="module")
def reading():
    """Two people, one of whom an expression and a micro-expression are known of."""
    world = World(lambda index: [Person("a", 200, 150), Person("b", 400, 150)])
    vision = Vision(detector=world, mesher=world, units=BlindUnits())
    for index in range(4):
        scene = vision.analyse(frame_at(index))
    vision.close()
    shares = np.array([0.65, 0.05, 0.05, 0.05, 0.05, 0.05, 0.05, 0.05])
    event = FacialEvent(
        "micro", 1, 2, 3, 4, 1.5, ("brow",), ("AU04",), np.array([0.7, 0.1, 0.1, 0.1])
    )
    result = AffectResult(
        1,
        0,
        np.array([0.1, np.nan]),
        float("nan"),
        Expression(0, shares, False),
        Spotting((event,), ""),
    )
    return Reading(scene, AffectSnapshot(0, 0, MappingProxyType({1: result})))


def parsed(line):
    assert line.endswith(b"\n")
    assert line.count(b"\n") == 1

    def refuse(name):
        raise AssertionError(name)

    return json.loads(line, parse_constant=refuse)  # NaN is no JSON


def test_a_reading_is_one_line_with_every_face(reading):
    frame = reading.scene.frame
    told = parsed(reading_line(reading, frame.captured_ns + 12_500_000))
    assert (told["v"], told["kind"], told["frame"]) == (2, "reading", 4)
    assert (told["age_ms"], told["t_ns"]) == (12.5, frame.t_ns)
    assert (told["width"], told["height"]) == (640, 360)
    assert [face["id"] for face in told["faces"]] == [1, 2]
    face = told["faces"][0]
    assert face["measured"] is True
    assert face["box"] == pytest.approx(reading.scene.tracks[0].xyxy.tolist(), abs=0.06)
    assert len(face["units"]) == 17
    assert face["units"]["AU23"] is None
    assert len(face["pose_rad"]) == len(face["pose_mm"]) == 3


def test_what_was_decided_comes_with_its_age_and_what_is_not_known_is_null(reading):
    face, other = parsed(reading_line(reading))["faces"]
    assert face["affect_age_ms"] == 100.0
    assert face["gaze_rad"] == [0.1, None]
    assert face["blinks_per_min"] is None
    assert face["expression"]["name"] == "happiness"
    assert face["expression"]["p"]["happiness"] == 0.65
    assert face["micro"]["events"][0]["p"]["negative"] == 0.7
    assert face["micro"]["unavailable_reason"] == ""
    assert "expression" not in other


def test_a_face_whose_turn_it_was_not_says_so(reading):
    track = replace(reading.scene.tracks[0], face=None)
    bare = Reading(Scene(reading.scene.frame, (track,)), AffectSnapshot(0, 0))
    (face,) = parsed(reading_line(bare))["faces"]
    assert face["measured"] is False
    assert "units" not in face


def test_health_is_a_line_of_the_same_stream():
    assert parsed(health_line({"state": "online"})) == {"v": 2, "kind": "health", "state": "online"}


def test_a_number_that_json_has_not_is_refused_here():
    with pytest.raises(ValueError, match="JSON"):
        health_line({"fps": float("nan")})


def test_markers_come_with_their_number_and_time(reading):
    assert parsed(reading_line(reading))["markers"] == []
    marked = replace(reading, markers=(Marker(3, 70, "begin", "window"),))
    assert parsed(reading_line(marked))["markers"] == [
        {"label": "begin", "number": 3, "t_ns": 70, "origin": "window", "uncertainty_ms": None}
    ]
