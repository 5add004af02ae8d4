import numpy as np
import pytest

pytest.importorskip("numba", reason="numba (group train) is not installed")

from training.synthetic.demo import ROLES
from training.synthetic.faces import make_person
from training.synthetic.render import Placement, draw_person, project, rotation

AHEAD = Placement(320.0, 200.0, 14.0, (0.0, 0.0, 0.0))


@pytest.fixture(scope="module")
def person(head):
    return make_person(head, ROLES[0].look)


def test_angles_turn_the_nose_as_the_head_pose_convention_says():
    nose = np.array([0.0, 0.0, 1.0])  # y up, z to the viewer; the picture's y grows downwards
    assert rotation((0.2, 0.0, 0.0)) @ nose == pytest.approx([0, -np.sin(0.2), np.cos(0.2)])
    assert rotation((0.0, 0.2, 0.0)) @ nose == pytest.approx([-np.sin(0.2), 0, np.cos(0.2)])
    up = rotation((0.0, 0.0, 0.2)) @ np.array([0.0, 1.0, 0.0])
    assert up[0] > 0.19  # the crown tilts to the picture's right: clockwise


def test_the_eyes_are_where_the_placement_says(person):
    points = project(person, person.model.neutral, AHEAD)
    eyes = points[person.model.landmarks[[36, 45]]].mean(axis=0)
    assert eyes[:2] == pytest.approx([AHEAD.x, AHEAD.y], abs=0.5)


def test_a_person_covers_the_face_and_leaves_the_corners_alone(person):
    backdrop = np.full((480, 640, 3), 0.5, np.float32)
    picture = backdrop.copy()
    marks = draw_person(picture, person, person.base, AHEAD)
    assert marks.shape == (68, 2)
    x, y = marks.mean(axis=0).astype(int)
    assert np.abs(picture[y - 20 : y + 20, x - 20 : x + 20] - 0.5).mean() > 0.05
    assert np.array_equal(picture[:20, :20], backdrop[:20, :20])
    assert picture.min() >= 0
    assert picture.max() <= 1


def test_a_head_partly_outside_the_picture_is_drawn_and_its_points_are_kept(person):
    picture = np.full((480, 640, 3), 0.5, np.float32)
    marks = draw_person(picture, person, person.base, Placement(5.0, 10.0, 14.0, (0, 0, 0)))
    assert marks.min() < 0
    assert not np.allclose(picture[:60, :60], 0.5)
    assert np.allclose(picture[:, 500:], 0.5)
