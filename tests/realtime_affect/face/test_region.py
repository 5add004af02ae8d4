import math

import numpy as np
import pytest

from realtime_affect.face.region import Region, cut_patch


def ramp(height=120, width=160):
    """An image whose blue is x and whose green is y, in pixels."""
    y, x = np.mgrid[:height, :width]
    return np.dstack((x, y, np.full_like(x, 7))).astype(np.uint8)


@pytest.mark.parametrize("angle", [0.0, 0.4, -1.2, math.pi])
def test_a_patch_shows_the_pixels_its_map_says(angle):
    region = Region((80.0, 60.0), 48.0, angle)
    patch = cut_patch(ramp(), region, 32)
    c, s, x0, y0 = region.to_frame(32)
    for u, v in ((4, 5), (16, 16), (30, 9)):
        assert patch[v, u, 2] == pytest.approx(c * u - s * v + x0, abs=1.0)
        assert patch[v, u, 1] == pytest.approx(s * u + c * v + y0, abs=1.0)


def test_a_patch_is_rgb():
    assert (cut_patch(ramp(), Region((80.0, 60.0), 20.0, 0.0), 8)[..., 0] == 7).all()


def test_beyond_the_border_the_border_repeats():
    image = ramp()
    patch = cut_patch(image, Region((0.0, 60.0), 64.0, 0.0), 64)
    assert (patch[:, :32, 2] == 0).all()
    np.testing.assert_array_equal(patch[:, 0, 1], patch[:, 31, 1])


def test_cutting_part_of_a_frame_equals_cutting_all_of_it():
    random = np.random.default_rng(0)
    image = random.integers(0, 255, (200, 300, 3), np.uint8)
    region = Region((150.0, 100.0), 60.0, 0.3)
    wide = np.pad(image, ((1000, 1000), (1000, 1000), (0, 0)), mode="edge")
    moved = Region((1150.0, 1100.0), 60.0, 0.3)
    difference = cut_patch(image, region, 64).astype(int) - cut_patch(wide, moved, 64)
    assert np.abs(difference).max() <= 1


def test_the_corners_run_clockwise_from_above_the_right_eye():
    corners = Region((10.0, 20.0), 4.0, 0.0).corners()
    np.testing.assert_allclose(corners, [(8, 18), (12, 18), (12, 22), (8, 22)])
    turned = Region((10.0, 20.0), 4.0, math.pi / 2).corners()
    np.testing.assert_allclose(turned, [(12, 18), (12, 22), (8, 22), (8, 18)], atol=1e-6)


@pytest.mark.parametrize(
    ("region", "touches"),
    [
        (Region((80.0, 60.0), 50.0, 0.0), True),
        (Region((-20.0, 60.0), 50.0, 0.0), True),
        (Region((-26.0, 60.0), 50.0, 0.0), False),
        (Region((-26.0, 60.0), 50.0, math.pi / 4), True),
        (Region((190.0, 60.0), 50.0, 0.0), False),
        (Region((80.0, 60.0), 0.0, 0.0), False),
        (Region((80.0, 60.0), -5.0, 0.0), False),
        (Region((math.nan, 60.0), 50.0, 0.0), False),
        (Region((80.0, 60.0), math.nan, 0.0), False),
        (Region((80.0, 60.0), math.inf, 0.0), False),
        (Region((80.0, 60.0), 50.0, math.nan), False),
    ],
)
def test_a_region_touches_a_frame_it_reaches_into(region, touches):
    assert region.touches(ramp()) is touches


@pytest.mark.parametrize("shape", [(1, 1), (1, 300), (301, 1), (7, 5)])
@pytest.mark.parametrize("size", [1.0, 33.3, 5000.0])
def test_any_frame_and_any_size_give_a_patch(shape, size):
    image = np.full((*shape, 3), 9, np.uint8)
    patch = cut_patch(image, Region((shape[1] / 2, shape[0] / 2), size, 0.2), 64)
    assert patch.shape == (64, 64, 3)
    assert (patch == 9).all()
