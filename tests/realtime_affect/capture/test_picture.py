import numpy as np
import pytest

from realtime_affect.capture.picture import as_bgr, turn


def matrix(a, b, c, d):
    return np.array([a, b, 0, c, d, 0, 0, 0, 1 << 14], np.int32).tobytes()


def coordinates(height, width):
    """An image that holds its own x and y."""
    y, x = np.mgrid[:height, :width]
    return np.stack([x, y, np.zeros_like(x)], axis=-1).astype(np.uint8)


@pytest.mark.parametrize(
    "signs",
    [
        (1, 0, 0, 1), (0, 1, -1, 0), (-1, 0, 0, -1), (0, -1, 1, 0),
        (-1, 0, 0, 1), (1, 0, 0, -1), (0, 1, 1, 0), (0, -1, -1, 0),
    ],
)  # fmt: skip
def test_every_turn_and_mirroring_moves_pixels_as_the_matrix_says(signs):
    a, b, c, d = signs
    image = coordinates(3, 5)
    turned = turn(image, matrix(*(65536 * sign for sign in signs)))
    x, y = image[..., 0].astype(int), image[..., 1].astype(int)
    to_x, to_y = a * x + c * y, b * x + d * y
    to_x, to_y = to_x - to_x.min(), to_y - to_y.min()
    assert turned.flags.c_contiguous
    np.testing.assert_array_equal(turned[to_y, to_x], image)


def test_a_skew_matrix_leaves_the_picture_as_it_is():
    image = coordinates(3, 5)
    np.testing.assert_array_equal(turn(image, matrix(46341, 46341, -46341, 46341)), image)


@pytest.mark.parametrize("shape", [(4, 6), (4, 6, 1), (4, 6, 3), (4, 6, 4)])
@pytest.mark.parametrize(("dtype", "value"), [(np.uint8, 100), (np.uint16, 100 << 8 | 77)])
def test_any_camera_format_becomes_bgr_of_8_bit(shape, dtype, value):
    image = as_bgr(np.full(shape, value, dtype))
    assert image.shape == (4, 6, 3)
    assert image.dtype == np.uint8
    assert image.flags.c_contiguous
    assert (image == 100).all()
