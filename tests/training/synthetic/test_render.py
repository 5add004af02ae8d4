import numpy as np
import pytest

from training.synthetic.demo import LIGHT, ROLES
from training.synthetic.motion import UNITS
from training.synthetic.people import make_person
from training.synthetic.render import Placement, draw_person, project, rotation, turn

AHEAD = Placement(320.0, 200.0, 14.0, (0.0, 0.0, 0.0))
REST = np.zeros((len(UNITS), 2), np.float32)


@pytest.fixture(scope="module")
def person(head):
    return make_person(head, ROLES[0].seed, ROLES[0].traits)


def drawn(person, place=AHEAD, units=REST, light=LIGHT, grey=0.5):
    picture = np.full((480, 640, 3), grey, np.float32)
    points = draw_person(picture, person, person.base, units, place, light)
    return picture, points[person.model.landmarks, :2]


def test_angles_turn_the_nose_as_the_head_pose_convention_says():
    nose = np.array([0.0, 0.0, 1.0])  # y up, z to the viewer; the picture's y grows downwards
    assert rotation((0.2, 0.0, 0.0)) @ nose == pytest.approx([0, -np.sin(0.2), np.cos(0.2)])
    assert rotation((0.0, 0.2, 0.0)) @ nose == pytest.approx([-np.sin(0.2), 0, np.cos(0.2)])
    up = rotation((0.0, 0.0, 0.2)) @ np.array([0.0, 1.0, 0.0])
    assert up[0] > 0.19  # the crown tilts to the picture's right: clockwise


def test_the_eyes_are_where_the_placement_says(person):
    points = project(person, turn(person.model.neutral, AHEAD), AHEAD)
    eyes = points[person.model.landmarks[[36, 45]]].mean(axis=0)
    assert eyes[:2] == pytest.approx([AHEAD.x, AHEAD.y], abs=0.5)


def test_a_person_covers_the_face_and_leaves_the_corners_alone(person):
    picture, marks = drawn(person)
    assert marks.shape == (68, 2)
    x, y = marks.mean(axis=0).astype(int)
    assert np.abs(picture[y - 20 : y + 20, x - 20 : x + 20] - 0.5).mean() > 0.05
    assert (picture[:20, :20] == 0.5).all()
    assert picture.min() >= 0
    assert picture.max() <= 1


def test_a_head_partly_outside_the_picture_is_drawn_and_its_points_are_kept(person):
    picture, marks = drawn(person, Placement(5.0, 10.0, 14.0, (0, 0, 0)))
    assert marks.min() < 0
    assert not np.allclose(picture[:60, :60], 0.5)
    assert np.allclose(picture[:, 500:], 0.5)


def test_a_head_outside_the_picture_leaves_it_alone(person):
    picture, _ = drawn(person, Placement(-900.0, 10.0, 14.0, (0, 0, 0)))
    assert (picture == 0.5).all()


def test_a_near_camera_makes_the_nose_big(person):
    noses = []
    for camera_cm in (35.0, 200.0):
        _, marks = drawn(person, Placement(320, 200, 14, (0, 0, 0), camera_cm))
        noses.append(np.ptp(marks[31:36, 0]) / np.ptp(marks[[0, 16], 0]))
    assert noses[0] > 1.15 * noses[1]


def test_light_from_the_persons_left_lights_the_left_cheek(person):
    def cheeks(x):
        from dataclasses import replace

        key = np.array([x, 0.2, 0.5], np.float32)
        picture, marks = drawn(person, light=replace(LIGHT, key=key / np.linalg.norm(key)))
        right, left = ((marks[a] + marks[b]).astype(int) // 2 for a, b in ((3, 48), (13, 54)))
        return [picture[y - 5 : y + 5, x - 5 : x + 5].mean() for x, y in (right, left)]

    right, left = cheeks(1.0)
    assert left > 1.3 * right
    right, left = cheeks(-1.0)
    assert right > 1.3 * left


@pytest.mark.parametrize("unit", ["AU01", "AU02", "AU04", "AU06", "AU09", "AU12", "AU14", "AU17"])
def test_units_fold_the_skin_even_where_nothing_moves(person, unit):
    units = REST.copy()
    units[UNITS.index(unit)] = 1.0
    smooth, marks = drawn(person)
    folded, _ = drawn(person, units=units)
    changed = np.abs(folded - smooth).max(axis=2) > 0.02
    ys, _ = np.nonzero(changed)
    assert len(ys) > 20
    upper = ys.mean() < marks[30, 1]
    assert upper == (unit in ("AU01", "AU02", "AU04", "AU06", "AU09"))


def test_the_same_person_is_drawn_the_same(person):
    assert np.array_equal(drawn(person)[0], drawn(person)[0])
