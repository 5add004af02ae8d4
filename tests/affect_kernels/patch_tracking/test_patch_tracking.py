import cv2
import numpy as np
import pytest

from affect_kernels.patch_tracking import Settings, cpu, reference

SHIFT = np.float32([[1.001, 0.002, 1.3], [-0.002, 0.999, -0.7]])


@pytest.fixture(scope="module")
def scene():
    """A key image, the image after it, and points all over the key."""
    rng = np.random.default_rng(0)
    key = cv2.GaussianBlur(rng.integers(0, 256, (128, 128)).astype(np.uint8), (0, 0), 2.0)
    key = cv2.normalize(key, None, 0, 255, cv2.NORM_MINMAX)
    after = cv2.warpAffine(key, SHIFT, (128, 128), borderMode=cv2.BORDER_REFLECT_101)
    return key, after, rng.uniform(0, 127, (40, 2)).astype(np.float32)


def by_opencv(key, after, points, begin, settings):
    end = (cv2.TERM_CRITERIA_COUNT | cv2.TERM_CRITERIA_EPS, *settings[:2])
    found, seen, _ = cv2.calcOpticalFlowPyrLK(
        key, after, points, begin.copy(), winSize=(15, 15), maxLevel=1,
        flags=cv2.OPTFLOW_USE_INITIAL_FLOW, criteria=end,
    )  # fmt: skip
    return found, seen[:, 0] == 1


def test_the_compiled_form_answers_as_the_plain_one(scene):
    key, after, points = scene
    templates = [form.make_templates(key, points, 2) for form in (reference, cpu)]
    for plain, compiled in zip(*templates, strict=True):
        np.testing.assert_allclose(compiled, plain, rtol=1e-4, atol=1e-4)
    (found, seen), (wanted, wanted_seen) = (
        form.track(templates[0], after, points + 0.5) for form in (cpu, reference)
    )
    np.testing.assert_allclose(found, wanted, atol=1e-3)
    assert (seen == wanted_seen).all()


def test_it_answers_as_opencv_does_to_a_hundredth_of_a_pixel(scene):
    key, after, points = scene
    begin, settings = points + np.float32(0.5), Settings(8, 0.02)
    found, seen = cpu.track(cpu.make_templates(key, points, 2), after, begin, settings)
    wanted, wanted_seen = by_opencv(key, after, points, begin, settings)
    assert (seen == wanted_seen).all()
    np.testing.assert_allclose(found[seen], wanted[seen], atol=0.01)
    inner = seen & (np.abs(points - 64) < 50).all(axis=1)
    true = points @ SHIFT[:, :2].T + SHIFT[:, 2]
    np.testing.assert_allclose(found[inner], true[inner], atol=0.1)


@pytest.mark.parametrize("form", [reference, cpu])
def test_a_patch_without_contrast_or_out_of_the_image_is_not_seen(scene, form):
    key, after, _ = scene
    flat = key.copy()
    flat[40:90, 40:90] = 100
    points = np.array([[64, 64], [20, 20]], np.float32)
    templates = form.make_templates(flat, points, 2)
    _, seen = form.track(templates, after, points)
    assert seen.tolist() == [False, True]
    _, seen = form.track(templates, after, points + np.float32(500))
    assert not seen.any()


def test_no_points_are_found_nowhere(scene):
    key, after, _ = scene
    none = np.empty((0, 2), np.float32)
    found, seen = cpu.track(cpu.make_templates(key, none, 2), after, none)
    assert found.shape == (0, 2)
    assert seen.shape == (0,)


@pytest.mark.parametrize("form", [reference, cpu])
def test_a_patch_that_is_found_too_far_off_is_lost_and_stays_where_it_began(scene, form):
    key, after, points = scene
    templates = form.make_templates(key, points, 2)
    found, seen = form.track(templates, after, points, Settings(farthest_px=0.5))
    assert not seen.any()  # the image moved by 1.3 pixels
    assert (found == points).all()


@pytest.mark.parametrize("shape", [(128, 128), (33, 20), (5, 1)])
def test_images_are_halved_as_opencv_does(shape):
    image = np.random.default_rng(1).integers(0, 256, shape).astype(np.uint8)
    assert (cpu._halved(image) == cv2.pyrDown(image)).all()
