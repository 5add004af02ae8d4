import numpy as np
import pytest

from affect_kernels.similarity import fit_similarity
from realtime_affect.landmarks import OUTER_EYE_CORNERS, OUTER_EYE_CORNERS_MM
from training.neutral_face import average_shape, upright

RIGHT, LEFT = OUTER_EYE_CORNERS


@pytest.fixture(scope="module")
def face():
    """A symmetric cloud of 468 points; points 2k and 2k + 1 are mirrored, but for the eyes."""
    rng = np.random.default_rng(4)
    points = np.empty((468, 3))
    half = rng.uniform([5, -60, -30], [60, 60, 30], (234, 3))
    points[0::2], points[1::2] = half, half * [-1, 1, 1]
    # The eye corners have odd numbers both, so swap places until they mirror each other.
    corner = np.array([40.0, 10.0, 0.0])
    points[[LEFT - 1, RIGHT - 1]] = [70.0, 0.0, 0.0], [-70.0, 0.0, 0.0]
    points[LEFT], points[RIGHT] = corner, corner * [-1, 1, 1]
    return points


def turned(points, rng):
    """The points in another place, size and orientation."""
    q, _ = np.linalg.qr(rng.normal(size=(3, 3)))
    q *= np.sign(np.linalg.det(q))
    return rng.uniform(0.5, 2) * points @ q.T + rng.normal(size=3) * 50


def test_upright_levels_the_eyes_and_centres_them(face):
    level = upright(turned(face, np.random.default_rng(1)))
    gap = level[LEFT] - level[RIGHT]
    assert gap[0] > 0
    assert gap[1:] == pytest.approx([0, 0], abs=1e-9)
    assert level[[LEFT, RIGHT], 0].sum() == pytest.approx(0, abs=1e-9)


def test_the_average_of_one_face_seen_many_ways_is_that_face(face):
    rng = np.random.default_rng(2)
    seen = np.array([face] + [turned(face, rng) for _ in range(5)])
    average = average_shape(seen)
    assert np.linalg.norm(average[LEFT] - average[RIGHT]) == pytest.approx(OUTER_EYE_CORNERS_MM)
    fitted = fit_similarity(face, average[None]).invert(average[None])[0]
    assert np.abs(fitted - face).max() < 0.5


def test_the_average_is_symmetric_though_people_are_not(face):
    rng = np.random.default_rng(3)
    seen = face + rng.normal(size=(12, *face.shape))
    average = average_shape(seen)
    gaps = np.linalg.norm((average * [-1, 1, 1])[:, None] - average[None], axis=2)
    assert np.median(gaps.min(axis=1)) < 1e-6
