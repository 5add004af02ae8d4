import csv
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from training.synthetic import demo
from training.synthetic.faces import EYE_TURN_RAD

SHIPPED = Path(__file__).parents[3] / "realtime_affect" / "demo"
N_FRAMES = demo.FPS * demo.SECONDS


@pytest.fixture(scope="module")
def truth():
    with (SHIPPED / "demo.truth.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def shipped_frames():
    av = pytest.importorskip("av")
    with av.open(str(SHIPPED / "demo.mp4")) as file:
        return {
            i: frame.to_ndarray(format="bgr24")
            for i, frame in enumerate(file.decode(video=0))
            if i in (0, 150, N_FRAMES - 1)
        }


def test_a_movement_rises_holds_and_falls_without_a_jump():
    event = demo.Event("happiness", 1.0, 1.5, 2.0, 3.0, 0.8)
    levels = [event.at(t) for t in np.arange(0.5, 3.5, 0.01)]
    assert levels[0] == levels[-1] == 0
    assert max(levels) == pytest.approx(0.8) == event.at(1.75)
    assert max(abs(b - a) for a, b in pairwise(levels)) < 0.03


def test_movements_of_one_face_do_not_overlap():
    for role in demo.ROLES:
        for before, after in pairwise(role.events):
            assert before.offset < after.onset


def test_the_clip_begins_with_a_second_at_rest():
    for role in demo.ROLES:
        assert min(event.onset for event in role.events) >= 1.0


def test_all_six_basic_emotions_a_one_sided_one_and_two_micro_expressions_are_shown():
    events = [event for role in demo.ROLES for event in role.events]
    assert {event.emotion for event in events} >= {
        "happiness", "sadness", "surprise", "fear", "anger", "disgust", "contempt",
    }  # fmt: skip
    brief = [event for event in events if event.offset - event.onset < 0.5]
    assert len(brief) == 2
    for event in brief:
        assert 0.2 <= event.offset - event.onset <= 0.301
        assert event.strength <= 0.4


def test_gaze_is_the_head_turned_and_the_eyes_turned_in_it():
    still = demo.Placement(0.0, 0.0, 1.0, (0.0, 0.0, 0.0))
    assert demo.gaze(np.zeros(2), still) == (0, 0)
    left_up = demo.gaze(np.array([0.5, 0.2]), still)  # their left is the picture's right
    assert left_up[0] == pytest.approx(0.5 * EYE_TURN_RAD, abs=0.01)
    assert left_up[1] == pytest.approx(-0.2 * EYE_TURN_RAD, abs=0.01)
    turned = demo.Placement(0.0, 0.0, 1.0, (0.1, 0.2, 0.0))  # down, and to the picture's left
    assert demo.gaze(np.zeros(2), turned) == pytest.approx((-0.2, 0.1), abs=0.01)


def test_each_person_looks_aside_and_back():
    for role in demo.ROLES:
        aside = [abs(x) for _, x, _ in role.looks]
        assert max(aside) >= 0.4
        assert aside[0] == aside[-1] == 0


def test_the_truth_has_a_row_for_each_frame_and_person_in_order(truth):
    order = [(int(row["frame"]), int(row["person"])) for row in truth]
    assert order == [(f, p) for f in range(1, N_FRAMES + 1) for p in (1, 2)]


def test_the_truth_is_what_the_script_says(truth):
    for row in truth:
        role = demo.ROLES[int(row["person"]) - 1]
        t = (int(row["frame"]) - 1) / demo.FPS
        units, emotion, look, place = demo.state(role, t)
        assert row["emotion"] == emotion
        assert float(row["pose_Ry"]) == pytest.approx(place.angles_rad[1], abs=1e-4)
        x, y = demo.gaze(look, place)
        assert float(row["gaze_angle_x"]) == pytest.approx(x, abs=1e-4)
        assert float(row["gaze_angle_y"]) == pytest.approx(y, abs=1e-4)
        for unit, (right, left) in units.items():
            assert float(row[unit]) == pytest.approx(5 * min(1.0, max(right, left)), abs=0.006)


def test_true_boxes_lie_in_the_picture_and_apart(truth):
    for first, second in zip(truth[::2], truth[1::2], strict=True):
        assert float(first["x"]) > 0
        assert float(first["x"]) + float(first["w"]) < float(second["x"])
        assert float(second["x"]) + float(second["w"]) < demo.WIDTH


def test_the_shipped_clip_and_truth_are_what_this_code_renders(head_file, truth, shipped_frames):
    demo._prepare(head_file)
    for index, shipped in shipped_frames.items():
        picture, rows = demo.render_frame(index)
        assert picture.shape == shipped.shape == (demo.HEIGHT, demo.WIDTH, 3)
        assert np.abs(picture.astype(int) - shipped).mean() < 3  # what H.264 takes
        expected = truth[2 * index : 2 * index + 2]
        for row, want in zip(rows, expected, strict=True):
            assert {key: str(value) for key, value in row.items()} == want
