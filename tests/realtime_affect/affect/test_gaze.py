import math

import numpy as np
import pytest

from affect_engines.base import TensorSpec
from realtime_affect.affect.eyes import IrisFinder
from realtime_affect.affect.gaze import EYE_CENTER_MM, EYE_RADIUS_MM, GazeEstimator
from realtime_affect.face.pose import load_neutral_face, rotation_matrix
from realtime_affect.types import (
    ActionUnits,
    Face,
    FaceMesh,
    FaceQuality,
    Frame,
    HeadPose,
    Scene,
    Track,
)

SIZE = 640
FRAME = np.zeros((SIZE, SIZE, 3), np.uint8)
CENTER = (SIZE / 2, SIZE / 2)
CORNERS = ((33, 133), (263, 362))  # outer, inner of the right and the left eye


class FakeIris:
    """Answer with given points of each eye, as the network would: in its patch, left mirrored."""

    inputs = (TensorSpec("input_1", (1, 64, 64, 3), np.dtype(np.float32)),)
    outputs = ()

    def __init__(self, answers=()):
        self.answers = list(answers)
        self.runs = 0
        self.closed = False

    def infer(self, feeds):
        assert feeds["input_1"].shape == (1, 64, 64, 3)
        points = self.answers[self.runs]
        self.runs += 1
        eye = np.zeros((71, 3), np.float32)
        eye[0, :2], eye[8, :2] = points[1], points[2]
        iris = np.zeros((5, 3), np.float32)
        iris[0, :2] = points[0]
        return {
            "output_iris": iris.reshape(1, -1),
            "output_eyes_contours_and_brows": eye.reshape(1, -1),
        }

    def close(self):
        self.closed = True


def make_face(angles_rad=(0.0, 0.0, 0.0), px_per_mm=2.0, openness=(0.3, 0.3), at_mm=(0, 0, 500)):
    """A neutral head, turned and drawn in weak perspective."""
    rotation = rotation_matrix(np.array(angles_rad))
    points = load_neutral_face().points @ rotation.T * px_per_mm
    points[:, :2] += CENTER
    neutral = load_neutral_face().points
    size = float(np.linalg.norm(neutral[33] - neutral[263])) * px_per_mm
    return Face(
        FaceMesh(points, 1.0),
        HeadPose(np.array(angles_rad), np.array(at_mm)),
        np.array(openness),
        FaceQuality(1.0, size, 0.0, 100.0),
        ActionUnits(np.zeros(17), np.zeros(18), np.zeros((2, 2)), 0.0),
        np.zeros((48, 48), np.uint8),
    )


def look(face, direction, px_per_mm=2.0):
    """Return what the network would answer for eyes that look along `direction` (camera space)."""
    direction = np.array(direction) / np.linalg.norm(direction)
    rotation = rotation_matrix(face.pose.rotation_rad)
    answers = []
    for outward, corners in zip((-1, 1), CORNERS, strict=True):
        outer, inner = face.mesh.points[list(corners), :2].astype(float)
        temple, down, deep = EYE_CENTER_MM
        ball = rotation @ (outward * temple, down, deep) + EYE_RADIUS_MM * direction
        iris = (outer + inner) / 2 + px_per_mm * ball[:2]
        left, right = (outer, inner) if outward < 0 else (inner, outer)
        across = right - left
        side = 2.3 * np.abs(across).max()
        angle = math.atan2(across[1], across[0])
        turn = np.array([[math.cos(angle), math.sin(angle)], [-math.sin(angle), math.cos(angle)]])
        points = [turn @ (p - (left + right) / 2) * 64 / side + 32 for p in (iris, outer, inner)]
        answers.append([(64 - u, v) if outward > 0 else (u, v) for u, v in points])
    return answers


def scene_of(*faces, t_ns=0, image=FRAME):
    tracks = [Track(k, np.zeros(4), 1.0, 1, 0, face) for k, face in enumerate(faces, start=1)]
    return Scene(Frame(0, t_ns, 0, image), tuple(tracks))


def gaze_of(fake, face, image=FRAME):
    return GazeEstimator(IrisFinder(fake)).estimate(scene_of(face, image=image))[1]


def towards(angle_x, angle_y):
    return (math.tan(angle_x), math.tan(angle_y), -1.0)


@pytest.mark.parametrize("head", [(0, 0, 0), (0.2, 0, 0), (0, -0.3, 0), (0.1, 0.25, -0.4)])
@pytest.mark.parametrize("gaze", [(0, 0), (0.3, 0), (-0.3, 0.1), (0.1, -0.25)])
def test_gaze_is_that_of_the_eyeball_however_the_head_is_turned(head, gaze):
    face = make_face(head)
    fake = FakeIris(look(face, towards(*gaze)))
    np.testing.assert_allclose(gaze_of(fake, face), gaze, atol=2e-3)


def test_it_is_float32_of_two():
    face = make_face()
    found = gaze_of(FakeIris(look(face, towards(0, 0))), face)
    assert found.dtype == np.float32
    assert found.shape == (2,)


def test_who_stands_left_and_looks_into_the_camera_looks_right():
    face = make_face(at_mm=(-250, 100, 500))
    found = gaze_of(FakeIris(look(face, towards(0, 0))), face)
    np.testing.assert_allclose(found, (math.atan(0.5), -math.atan(0.2)), atol=2e-3)


def test_shut_eyes_have_no_gaze_and_cost_no_run():
    fake = FakeIris()
    found = gaze_of(fake, make_face(openness=(0.02, 0.05)))
    assert np.isnan(found).all()
    assert fake.runs == 0


def test_one_open_eye_is_enough():
    face = make_face(openness=(0.02, 0.3))
    fake = FakeIris(look(face, towards(0.2, 0.1))[1:])
    np.testing.assert_allclose(gaze_of(fake, face), (0.2, 0.1), atol=2e-3)
    assert fake.runs == 1


def test_the_eye_turned_away_is_left_out():
    face = make_face((0.0, 0.9, 0.0))
    fake = FakeIris(look(face, towards(-0.6, 0.0))[1:])
    np.testing.assert_allclose(gaze_of(fake, face), (-0.6, 0.0), atol=2e-3)
    assert fake.runs == 1


@pytest.mark.parametrize("openness", [(math.nan, math.nan), (0.0, 0.0)])
def test_unknown_openness_is_no_open_eye(openness):
    found = gaze_of(FakeIris(), make_face(openness=openness))
    assert np.isnan(found).all()


def test_a_face_too_small_for_an_iris_has_no_gaze():
    found = gaze_of(FakeIris(), make_face(px_per_mm=0.4))
    assert np.isnan(found).all()


def test_eyes_outside_the_frame_have_no_gaze():
    found = gaze_of(FakeIris(), make_face(), np.zeros((20, 20, 3), np.uint8))
    assert np.isnan(found).all()


def test_an_iris_beyond_the_eye_gives_a_finite_gaze():
    face = make_face()
    answers = look(face, towards(0, 0))
    answers = [[(u[0] + 40, u[1]), *rest] for u, *rest in answers]
    answers[1][0] = (answers[1][0][0] - 80, answers[1][0][1])
    found = gaze_of(FakeIris(answers), face)
    assert found[0] == pytest.approx(math.radians(60), abs=0.02)


def test_closing_closes_the_network():
    fake = FakeIris()
    with GazeEstimator(IrisFinder(fake)):
        pass
    assert fake.closed


def test_an_astronaut_looks_into_the_camera_and_mirrored_the_other_way(models):
    data = pytest.importorskip("skimage.data", reason="scikit-image is a test dependency")
    from realtime_affect.face.vision import Vision

    photo = np.ascontiguousarray(data.astronaut()[..., ::-1])
    vision, gaze, found = Vision(), GazeEstimator(), []
    for i, image in enumerate((photo, np.ascontiguousarray(photo[:, ::-1]))):
        scene = vision.analyse_still(Frame(i, i, 0, image))
        (track,) = scene.tracks
        # Relative to the line of sight: 0 is into the camera.
        x, y, z = track.face.pose.translation_mm
        sight = np.array((math.atan2(x, z), math.atan2(y, z)))
        gaze.reset()
        found.append(gaze.estimate(scene)[track.track_id] + sight)
    vision.close()
    gaze.close()
    assert np.abs(found).max() < math.radians(12)
    assert found[0][0] == pytest.approx(-found[1][0], abs=math.radians(5))
    assert found[0][1] == pytest.approx(found[1][1], abs=math.radians(5))


class Watched:
    """A finder that notes whose eyes were looked at, and finds every iris in the middle."""

    cards = ()

    def __init__(self):
        self.looked = []

    def find(self, image, eyes):
        self.looked.append(len(eyes))
        return np.zeros((len(eyes), 2, 2), np.float32)

    def close(self):
        pass


def test_faces_are_looked_at_some_times_a_second_and_not_all_in_one_frame():
    finder = Watched()
    gaze, faces = GazeEstimator(finder, rate_hz=10.0), [make_face()] * 4
    for i in range(61):
        before = len(finder.looked)
        found = gaze.estimate(scene_of(*faces, t_ns=round(i / 30 * 1e9)))
        assert np.isfinite(list(found.values())).all()
        finder.looked[before:] = [sum(finder.looked[before:])]
    assert finder.looked[0] == 4, "a new face is looked at at once"
    assert sum(finder.looked) == pytest.approx(4 * 2 * 10, abs=8)
    assert max(finder.looked[6:]) <= 2


def test_between_two_looks_the_last_one_stands_until_the_eyes_shut():
    finder = Watched()
    gaze = GazeEstimator(finder, rate_hz=1.0)
    looks = [gaze.estimate(scene_of(make_face(), t_ns=i * 33_000_000))[1] for i in range(3)]
    assert len({look.tobytes() for look in looks}) == 1
    assert finder.looked == [1]
    shut = make_face(openness=(0.0, 0.0))
    assert np.isnan(gaze.estimate(scene_of(shut, t_ns=100_000_000))[1]).all()
    assert np.isfinite(gaze.estimate(scene_of(make_face(), t_ns=133_000_000))[1]).all()
    assert finder.looked == [1, 1], "eyes that open are looked at at once"


def test_after_a_reset_and_after_a_second_away_a_face_is_looked_at_anew():
    finder = Watched()
    gaze = GazeEstimator(finder, rate_hz=0.1)
    gaze.estimate(scene_of(make_face()))
    gaze.reset()
    gaze.estimate(scene_of(make_face()))
    gaze.estimate(scene_of(t_ns=1_500_000_000))
    gaze.estimate(scene_of(make_face(), t_ns=1_600_000_000))
    assert finder.looked == [1, 1, 1]
