import numpy as np
import pytest

from realtime_affect.face.pose import (
    euler_angles,
    fit_heads,
    head_poses,
    load_neutral_face,
    rotation_matrix,
)
from tests.realtime_affect.world import Person, mesh_points


def pose_of(person, width=640, height=480):
    return head_poses(fit_heads(mesh_points(person)[None]), width, height)[0]


@pytest.mark.fault(3)
@pytest.mark.parametrize(
    "angles",
    [(0, 0, 0), (0.3, 0, 0), (0, -0.5, 0), (0, 0, 0.4), (0.2, 0.4, -0.3), (-0.4, 0.9, 0.1)],
)
def test_known_head_angles_are_read_back(angles):
    pose = pose_of(Person("a", 300, 200, angles=angles))
    np.testing.assert_allclose(pose.rotation_rad, angles, atol=1e-5)


def test_angles_and_matrix_are_inverse():
    rng = np.random.default_rng(0)
    for angles in rng.uniform(-1.2, 1.2, (50, 3)):
        matrix = rotation_matrix(angles)
        np.testing.assert_allclose(matrix @ matrix.T, np.eye(3), atol=1e-12)
        np.testing.assert_allclose(euler_angles(matrix), angles, atol=1e-12)


def test_rotation_is_rx_ry_rz():
    def about(axis, angle):
        i, j = (axis + 1) % 3, (axis + 2) % 3
        matrix = np.eye(3)
        matrix[[i, i, j, j], [i, j, i, j]] = (
            np.cos(angle),
            -np.sin(angle),
            np.sin(angle),
            np.cos(angle),
        )
        return matrix

    np.testing.assert_allclose(
        rotation_matrix(np.array([0.3, -0.2, 0.5])), about(0, 0.3) @ about(1, -0.2) @ about(2, 0.5)
    )


@pytest.mark.fault(3)
def test_signs_are_those_stated():
    nose = np.array([0.0, 0.0, -1.0])  # towards the camera
    assert (rotation_matrix(np.array([0.3, 0, 0])) @ nose)[1] > 0, "positive Rx looks down"
    assert (rotation_matrix(np.array([0, 0.3, 0])) @ nose)[0] < 0, "positive Ry: image's left"
    down = rotation_matrix(np.array([0, 0, 0.3])) @ np.array([0.0, 1.0, 0.0])
    assert down[0] < 0, "positive Rz turns the chin to the image's left: clockwise"


def test_a_face_twice_as_large_is_half_as_far_and_the_centre_is_straight_ahead():
    near, far = pose_of(Person("a", 320, 240, 160)), pose_of(Person("a", 320, 240, 80))
    assert far.translation_mm[2] == pytest.approx(2 * near.translation_mm[2], rel=1e-4)
    np.testing.assert_allclose(near.translation_mm[:2], 0, atol=0.5)


def test_distance_follows_openface_focal_length():
    pose = pose_of(Person("a", 420, 240, 70))  # 0.5 px a millimetre
    assert pose.translation_mm[2] == pytest.approx(500 / 0.5, rel=1e-4)
    assert pose.translation_mm[0] == pytest.approx(100 / 0.5, rel=1e-3)


def test_expressions_leave_the_pose_alone():
    jaw = dict.fromkeys((17, 152, 148, 377, 200, 199, 14, 87, 317), (0, 15, 3))
    moved = fit_heads(mesh_points(Person("a", 300, 200), jaw)[None])
    np.testing.assert_allclose(head_poses(moved, 640, 480)[0].rotation_rad, 0, atol=1e-5)


def test_the_neutral_face_is_symmetric_and_to_scale():
    points = load_neutral_face().points
    assert np.linalg.norm(points[33] - points[263]) == pytest.approx(88.9, abs=0.2)
    for right, left in ((33, 263), (133, 362), (61, 291), (234, 454)):
        np.testing.assert_allclose(points[right] * [-1, 1, 1], points[left], atol=1e-6)
