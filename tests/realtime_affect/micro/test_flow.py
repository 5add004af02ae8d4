import cv2
import numpy as np
import pytest

from realtime_affect.face.pose import load_neutral_face
from realtime_affect.face.stabilize import (
    CROP_PX,
    IOD_PX,
    Stabilizer,
    fit_placement,
    stabilized_crop,
)
from realtime_affect.micro import flow
from realtime_affect.micro.flow import FLOW_MAP_PX, flow_map, remove_rigid
from tests.realtime_affect.world import Person, mesh_points

Y, X = np.mgrid[:CROP_PX, :CROP_PX].astype(np.float32)


@pytest.fixture(scope="module")
def still():
    """A textured image (128, 128) uint8."""
    rng = np.random.default_rng(0)
    rough = cv2.GaussianBlur(rng.normal(0, 1, (CROP_PX, CROP_PX)).astype(np.float32), (0, 0), 2.5)
    return cv2.normalize(rough, None, 0, 255, cv2.NORM_MINMAX).astype(np.uint8)


def warped(picture, u, v):
    """The image after its pixels moved by about (u, v)."""
    maps = (X - u).astype(np.float32), (Y - v).astype(np.float32)
    return cv2.remap(picture, *maps, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)


def bump(x, y, size=10.0):
    return np.exp(-((X - x) ** 2 + (Y - y) ** 2) / (2 * size * size))


def frame_with_dot(person, index):
    """An image (480, 640, 3) with a dot on one mesh point."""
    image = np.zeros((480, 640, 3), np.uint8)
    x, y = mesh_points(person)[index, :2]
    cv2.circle(image, (round(x * 16), round(y * 16)), 16 * 4, (255,) * 3, -1, cv2.LINE_AA, 4)
    return image


@pytest.mark.parametrize("size", [70, 150, 290])
@pytest.mark.parametrize("roll", [0.0, 0.4])
@pytest.mark.parametrize("index", [61, 291, 199, 105])
def test_a_point_lies_in_the_crop_where_the_average_face_has_it(size, roll, index):
    person = Person("a", 320, 240, size, (0.0, 0.0, roll))
    place = fit_placement(mesh_points(person))
    crop = stabilized_crop(frame_with_dot(person, index), place)
    weight = crop.astype(np.float64)
    seen = np.array([(weight * X).sum(), (weight * Y).sum()]) / weight.sum()
    half = (CROP_PX - 1) / 2
    wanted = (load_neutral_face().points[index, :2] - flow.CENTRE_MM) / flow.MM_PER_PX + half
    np.testing.assert_allclose(seen, wanted, atol=0.15)
    np.testing.assert_allclose(
        place.to_crop(mesh_points(person)[[index], :2])[0], wanted, atol=0.01
    )


def test_a_crop_beyond_the_frame_repeats_its_border_and_nonsense_is_black():
    image = np.full((100, 100, 3), 77, np.uint8)
    place = fit_placement(mesh_points(Person("a", 90, 95, 80)))
    assert (stabilized_crop(image, place) == 77).all()
    assert (stabilized_crop(image, fit_placement(np.full((468, 3), np.nan, np.float32))) == 0).all()
    assert (stabilized_crop(image, fit_placement(np.zeros((468, 3), np.float32))) == 0).all()


def test_jitter_of_landmarks_hardly_moves_a_steady_place_but_travel_does():
    rng = np.random.default_rng(1)
    stabilized, raw, smooth = Stabilizer(), [], []
    for i in range(90):
        points = mesh_points(Person("a", 300, 200, 120)) + np.float32([*rng.normal(0, 0.4, 2), 0])
        raw.append(fit_placement(points).shift)
        smooth.append(stabilized.update(i * 33_000_000, points).shift)
    assert np.std(np.diff(smooth[30:])) < 0.3 * np.std(np.diff(raw[30:]))
    for i in range(90, 120):
        points = mesh_points(Person("a", 300 + 4 * (i - 90), 200, 120))
        place = stabilized.update(i * 33_000_000, points)
    iod_px = 120 / 140 * 61.8
    assert abs(place.shift - fit_placement(points).shift) < 0.15 * iod_px


def test_a_face_that_was_away_is_found_at_its_new_place_at_once():
    stabilized = Stabilizer()
    stabilized.update(0, mesh_points(Person("a", 100, 100)))
    points = mesh_points(Person("a", 400, 200))
    assert stabilized.update(600_000_000, points) == fit_placement(points)


def test_a_flow_map_shows_a_local_movement_alone_in_interocular_distances(still):
    amplitude = 1.2
    local = amplitude * bump(88, 92)
    moved = warped(still, 0.8 + 0.004 * X, -local - 0.6 + 0.004 * Y)
    shown = flow_map(still, moved)
    assert shown.shape == (FLOW_MAP_PX, FLOW_MAP_PX, 3)
    assert shown.dtype == np.float32
    wanted = cv2.resize(local, (FLOW_MAP_PX, FLOW_MAP_PX), interpolation=cv2.INTER_AREA) / IOD_PX
    inner = np.s_[4:-4, 4:-4]
    error = np.hypot(shown[..., 0], shown[..., 1] + wanted)[inner]
    assert np.sqrt((error**2).mean()) < 0.12 * amplitude / IOD_PX
    row, column = np.unravel_index(np.abs(shown[..., 1]).argmax(), shown.shape[:2])
    assert abs(column - 38.5) < 4
    assert abs(row - 40) < 4
    u, v = shown[..., 0], shown[..., 1]
    shear = np.gradient(u, axis=0) + np.gradient(v, axis=1)
    strain = np.sqrt(np.gradient(u, axis=1) ** 2 + np.gradient(v, axis=0) ** 2 + shear**2 / 2)
    np.testing.assert_allclose(shown[..., 2], strain, atol=1e-6)


def test_a_face_that_stands_still_has_an_empty_map(still):
    rng = np.random.default_rng(2)
    noisy = np.clip(still + rng.normal(0, 2, still.shape), 0, 255).astype(np.uint8)
    assert np.abs(flow_map(still, noisy)[..., :2]).mean() < 0.002


def test_what_is_left_of_a_shift_and_a_turn_is_far_below_a_brief_movement():
    turn = 0.02
    dx, dy = X - 63.5, Y - 63.5
    moved = np.stack([2.0 - turn * dy, -1.0 + turn * dx], axis=2).astype(np.float32)
    left = remove_rigid(moved)
    assert np.abs(left).max() < 0.01
