import cv2
import numpy as np
import pytest

from realtime_affect.face.align import (
    ALIGNED_PX,
    MM_PER_PX,
    align_crop,
    slot_crop,
    slot_points,
    turn_to_front,
)
from realtime_affect.face.pose import fit_heads, load_neutral_face
from realtime_affect.face.region import Region, cut_patch
from tests.realtime_affect.world import Person, mesh_points

VIEWS = [(0.0, 0.0, 0.0), (0.2, 0.0, 0.0), (0.0, -0.4, 0.0), (0.1, 0.3, -0.5)]
DOTS = (33, 263, 61, 291)  # eye and lip corners: they lie in the plane that is mapped


def picture_of(person):
    """An image with white dots on a face's eye and lip corners."""
    image = np.zeros((480, 640, 3), np.uint8)
    for x, y, _ in mesh_points(person)[list(DOTS)]:
        at = round(float(x) * 16), round(float(y) * 16)
        cv2.circle(image, at, 16 * 3, (255, 255, 255), -1, cv2.LINE_AA, 4)
    return image


@pytest.mark.parametrize("angles", VIEWS)
@pytest.mark.parametrize("size", [90, 260])
def test_the_mesh_turned_to_the_front_is_the_same_in_every_view(angles, size):
    points = mesh_points(Person("a", 300, 200, size, angles))[None]
    front = turn_to_front(points, fit_heads(points))[0]
    assert front.dtype == np.float32
    assert np.abs(front - load_neutral_face().points).max() < 0.05  # millimetres


@pytest.mark.parametrize("angles", VIEWS)
@pytest.mark.parametrize("roll", [0.0, 0.3])
def test_a_corner_has_one_place_in_the_aligned_picture_whatever_the_view(angles, roll):
    person = Person("a", 320, 240, 240, angles)
    points = mesh_points(person)[None]
    region = Region((330.0, 230.0), 380.0, roll)
    crop = cut_patch(picture_of(person), region, 192)
    aligned = align_crop(crop, region, fit_heads(points), 0)
    assert aligned.shape == (ALIGNED_PX, ALIGNED_PX)
    n, _, _, middles = cv2.connectedComponentsWithStats((aligned > 100).astype(np.uint8))
    assert n == 1 + len(DOTS)
    wanted = load_neutral_face().points[list(DOTS), :2] / MM_PER_PX
    middle = (ALIGNED_PX - 1) / 2
    wanted = np.add(wanted, [middle, middle + 3.0 / MM_PER_PX])
    for x, y in wanted:
        nearest = np.linalg.norm(middles[1:] - [x, y], axis=1).min()
        assert (
            nearest < 3.0
        )  # pixels: these corners lie up to 10 mm off the plane, and 0.4 rad lean


@pytest.mark.parametrize("angles", VIEWS)
def test_points_are_told_where_they_lie_in_the_expression_networks_picture(angles):
    person = Person("a", 320, 240, 240, angles)
    points = mesh_points(person)
    heads = fit_heads(points[None])
    region = Region((330.0, 230.0), 380.0, 0.2)
    cut = slot_crop(cut_patch(picture_of(person), region, 192), region, heads, 0)
    n, _, _, middles = cv2.connectedComponentsWithStats((cut > 60).astype(np.uint8))
    assert n == 1 + len(DOTS)
    for x, y in slot_points(points[list(DOTS), :2], heads, 0):
        assert np.linalg.norm(middles[1:] - [x, y], axis=1).min() < 0.8


def test_beyond_the_crop_its_border_repeats():
    person = Person("a", 320, 240, 240)
    heads = fit_heads(mesh_points(person)[None])
    grey = np.full((192, 192, 3), 77, np.uint8)
    assert (align_crop(grey, Region((320.0, 240.0), 60.0, 0.0), heads, 0) == 77).all()


def test_each_of_several_faces_is_cut_by_its_own_head():
    people = [Person("a", 200, 200, 150), Person("b", 420, 260, 150, (0.0, 0.0, 0.4))]
    heads = fit_heads(np.array([mesh_points(person) for person in people]))
    pictures = []
    for i, person in enumerate(people):
        region = Region((person.x, person.y), 260.0, 0.0)
        pictures.append(align_crop(cut_patch(picture_of(person), region, 192), region, heads, i))
    assert np.abs(pictures[0].astype(int) - pictures[1]).mean() < 3
