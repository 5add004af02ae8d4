"""What is asked of the teacher and how its answers are put together; not the teacher itself."""

import cv2
import numpy as np
import pytest

from training.action_units import teacher

NAMES = ["jawOpen", "mouthSmileLeft", "mouthSmileRight"]


def test_left_and_right_are_exchanged_in_a_mirrored_view():
    assert teacher.mirror_order(NAMES).tolist() == [0, 2, 1]


def test_a_still_is_enlarged_with_a_quarter_of_border_that_repeats_it():
    grey = np.full((48, 48), 90, np.uint8)
    image = teacher.enlarge(grey)
    assert image.shape == (288, 288, 3)
    assert (image == 90).all()
    assert teacher.enlarge(np.zeros((200, 200), np.uint8)).shape == (600, 600, 3)


def test_a_mirrored_view_is_the_view_mirrored():
    image = np.random.default_rng(1).integers(0, 255, (60, 60, 3), np.uint8)
    assert np.array_equal(teacher.view(image, 1.0, 0.0, True), image[:, ::-1])
    assert np.array_equal(teacher.view(image, 1.0, 0.0, False), image)


def test_answers_of_views_are_averaged_where_a_face_was_found(monkeypatch):
    given = iter([(NAMES, np.float32([0.2, 0.4, 0.0])), (NAMES, np.float32([0.4, 0.0, 0.6])), None])
    monkeypatch.setattr(teacher, "ask", lambda landmarker, image: next(given))
    names, scores, found = teacher.answer(None, np.zeros((48, 48), np.uint8), 3)
    assert names == NAMES
    assert scores.tolist() == pytest.approx([0.3, 0.5, 0.0])
    assert found == 2


def test_a_face_that_is_never_found_has_no_answer(monkeypatch):
    monkeypatch.setattr(teacher, "ask", lambda landmarker, image: None)
    assert teacher.answer(None, np.zeros((48, 48), np.uint8), 2)[1:] == (None, 0)


def test_stills_of_a_part_are_read_in_order(tmp_path):
    files = [cv2.imencode(".webp", np.full((48, 48), 40 * k, np.uint8))[1] for k in range(5)]
    path = tmp_path / "pack.npz"
    np.savez(path, webp=np.concatenate(files), offsets=np.cumsum([0, *map(len, files)]))
    grey = [int(still.mean()) for still in teacher.read_stills(path, 2, 2)]
    assert grey == pytest.approx([80, 120], abs=3)
    assert len(list(teacher.read_stills(path))) == 5
