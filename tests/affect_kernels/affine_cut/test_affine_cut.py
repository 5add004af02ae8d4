import ctypes
import math
import mmap
import sys

import cv2
import numpy as np
import pytest

from affect_kernels.affine_cut import cpu, reference


def picture(height=60, width=80):
    rng = np.random.default_rng(0)
    return rng.integers(0, 256, (height, width, 3)).astype(np.uint8)


def turned(scale, angle, x0, y0):
    c, s = scale * math.cos(angle), scale * math.sin(angle)
    return np.array(((c, -s, x0), (s, c, y0)))


@pytest.fixture(params=[reference, cpu], ids=["reference", "cpu"])
def cuts(request):
    return request.param


def test_a_cut_that_is_not_moved_is_the_image_in_rgb(cuts):
    image = picture()
    cut = cuts.cut_rgb(image, turned(1.0, 0.0, 8.0, 4.0), (32, 16))
    assert np.array_equal(cut, image[4:20, 8:40, ::-1])


def test_halfway_between_pixels_is_their_mean(cuts):
    image = np.zeros((4, 12, 3), np.uint8)
    image[1, 2] = (40, 80, 120)
    cut = cuts.cut_rgb(image, turned(1.0, 0.0, 1.5, 0.5), (8, 2))
    assert cut[0, 0].tolist() == cut[0, 1].tolist() == [30, 20, 10]


def test_border_pixels_repeat(cuts):
    image = picture()
    cut = cuts.cut_rgb(image, turned(1.0, 0.0, -20.0, -10.0), (8, 5))
    assert np.array_equal(cut, np.broadcast_to(image[0, 0, ::-1], (5, 8, 3)))
    cut = cuts.cut_grey(image, turned(3.0, 0.0, 500.0, 500.0), (8, 5))
    assert np.array_equal(cut, np.full((5, 8), cut[0, 0]))
    assert cut[0, 0] == cv2.cvtColor(image[-1:, -1:], cv2.COLOR_BGR2GRAY)[0, 0]


@pytest.mark.parametrize("angle", [0.0, 0.3, -2.0, math.pi])
@pytest.mark.parametrize("scale", [0.417, 1.013, 2.319])
def test_both_forms_cut_the_same_but_for_rounding(scale, angle):
    image, place = picture(), turned(scale, angle, 30.317, 20.843)
    for name, size in (("cut_rgb", (48, 33)), ("cut_grey", (64, 32))):
        compiled, plain = (getattr(form, name)(image, place, size) for form in (cpu, reference))
        apart = np.abs(compiled.astype(int) - plain)
        assert apart.max() <= 1
        assert (apart > 0).mean() < 0.01


def test_grey_is_opencv_s(cuts):
    """The spotter's thresholds were chosen on such crops."""
    image, place = picture(), turned(0.9, 0.3, 20.3, 7.8)
    grey = cv2.cvtColor(image, cv2.COLOR_BGR2GRAY)
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    wanted = cv2.warpAffine(grey, place, (64, 48), flags=flags, borderMode=cv2.BORDER_REPLICATE)
    apart = np.abs(cuts.cut_grey(image, place, (64, 48)).astype(int) - wanted)
    assert apart.max() <= 1
    assert (apart > 0).mean() < 0.01


@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (9, 1), (2, 2)])
def test_images_of_a_pixel_or_a_line_are_cut_by_the_compiled_form(shape):
    image = np.full((*shape, 3), 77, np.uint8)
    assert (cpu.cut_rgb(image, turned(0.7, 0.2, 0.0, 0.0), (8, 8)) == 77).all()


def test_an_image_that_may_not_be_written_to_and_a_view_are_cut_where_they_lie(cuts):
    image, place = picture(), turned(0.8, 0.4, 20.0, 5.0)
    wanted = cuts.cut_rgb(np.ascontiguousarray(image[3:50, 7:70]), place, (16, 16))
    image.flags.writeable = False
    assert np.array_equal(cuts.cut_rgb(image[3:50, 7:70], place, (16, 16)), wanted)
    swapped = np.ascontiguousarray(image[..., ::-1])[..., ::-1]  # no pixel lies as B, G, R
    assert np.array_equal(cuts.cut_rgb(swapped[3:50, 7:70], place, (16, 16)), wanted)


@pytest.mark.skipif(sys.platform != "linux", reason="pages are locked as Linux does it")
@pytest.mark.parametrize("columns", [2, 341])
def test_no_byte_behind_the_image_is_read(columns):
    """Its last pixels lie at the end of a page, and the next one may not be read."""
    page, size = mmap.PAGESIZE, 4 * columns * 3
    with mmap.mmap(-1, 2 * page) as memory:
        room = np.frombuffer(memory, np.uint8)
        locked = ctypes.c_void_p(room.ctypes.data + page)
        lock = ctypes.CDLL(None, use_errno=True).mprotect
        assert lock(locked, ctypes.c_size_t(page), 0) == 0
        image = room[page - size : page].reshape(4, columns, 3)
        cut = cpu.cut_rgb(image, turned(1.0, 0.0, columns - 4.3, 0.0), (8, 6))
        assert lock(locked, ctypes.c_size_t(page), mmap.PROT_READ | mmap.PROT_WRITE) == 0
        del image, room
    assert not cut.any()
