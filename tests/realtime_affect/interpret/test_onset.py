"""When what a unit moves began to move."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from realtime_affect.face.pose import load_neutral_face
from realtime_affect.interpret.onset import TRACED, last_at_rest, movement_before
from realtime_affect.names import AU_INTENSITIES
from realtime_affect.types import FaceMesh
from tests.realtime_affect.interpret.faces import face_with


def moving(rest, steps, mm_a_step, seed=None, noise_mm=0.0):
    """Two points that rest and then go one way, millimetres."""
    way = np.maximum(np.arange(rest + steps) - rest + 1, 0.0) * mm_a_step
    places = np.stack([way, -way, 0.3 * way, way], axis=1) + 20.0
    if seed is not None:
        places += np.random.default_rng(seed).normal(0, noise_mm, places.shape)
    return places


@settings(deadline=None, max_examples=50)
@given(st.integers(8, 40), st.integers(1, 4), st.floats(0.12, 3.0))
def test_of_a_ramp_without_noise_the_last_frame_at_rest_is_exact(rest, steps, mm):
    assert last_at_rest(moving(rest, steps, mm)) == rest - 1


@settings(deadline=None, max_examples=50)
@given(st.integers(12, 16), st.integers(3, 6), st.integers(0, 10_000))
def test_of_a_ramp_in_noise_it_is_off_by_few_frames(rest, steps, seed):
    found = last_at_rest(moving(rest, steps, 1.0, seed, noise_mm=0.15))
    assert abs(found - (rest - 1)) <= 3


def test_noise_alone_is_no_movement_before():
    found = [last_at_rest(moving(18, 0, 1.0, seed, noise_mm=0.02)) for seed in range(200)]
    assert found == [None] * 200


def test_too_few_moments_say_nothing():
    assert last_at_rest(moving(2, 2, 1.0)) is None
    assert last_at_rest(np.full((18, 4), np.nan)) is None


def faces_with(moved, rest=12, steps=6):
    """Faces that turn their head all the time, and at last move some points by 0.5 mm a frame."""
    faces = []
    for k in range(rest + steps):
        points = load_neutral_face().points.astype(np.float64).copy()
        points[moved, 1] -= 0.5 * max(0, k - rest + 1)
        c, s = np.cos(0.02 * k), np.sin(0.02 * k)
        turned = points @ np.array([[c, 0, -s], [0, 1, 0], [s, 0, c]]) * 2.0 + [300.0 + k, 200, 0]
        faces.append(
            dataclasses.replace(face_with({}), mesh=FaceMesh(turned.astype(np.float32), 0.9))
        )
    return faces


@pytest.mark.parametrize(
    ("unit", "moved"), [("AU12", [61, 57, 291, 287]), ("AU02", [46, 70, 276, 300])]
)
def test_the_points_of_a_unit_are_followed_whatever_the_head_does(unit, moved):
    assert movement_before(faces_with(moved), [unit, "AU26"]) == [11, None]


def test_of_every_unit_that_is_traced_it_is_known_what_it_moves():
    assert set(AU_INTENSITIES) >= TRACED
    assert movement_before(faces_with([1]), sorted(TRACED)) == [None] * len(TRACED)


def test_a_mesh_without_size_says_nothing():
    assert movement_before([face_with({})] * 18, ["AU12"]) == [None]
