from contextlib import closing

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from realtime_affect.face.track import TrackConfig
from realtime_affect.face.vision import Vision
from realtime_affect.types import Detections, FaceMesh, Frame
from tests.realtime_affect.world import Person, World, frame_at

TWENTY = [Person(f"p{k}", 60 + 60 * (k % 10), 90 + 150 * (k // 10), 50) for k in range(20)]


def vision_of(people, **config):
    world = World(people)
    return Vision(track=TrackConfig(**config), detector=world, mesher=world), world


def frame_of(image, index=0):
    t_ns = index * 33_000_000
    return Frame(index, t_ns, t_ns, image)


def test_a_measured_face_has_pose_eyes_quality_and_units():
    vision, _ = vision_of(lambda _: [Person("a", 300, 180, 120, (0.1, -0.2, 0.05))])
    (track,) = vision.analyse(frame_at(0)).tracks
    face = track.face
    np.testing.assert_allclose(face.pose.rotation_rad, [0.1, -0.2, 0.05], atol=1e-4)
    assert face.quality.view_deg == pytest.approx(12.8, abs=0.3)
    assert face.quality.size_px == pytest.approx(88.9 * 120 / 140, rel=1e-3)
    assert 0.15 < face.eye_openness.mean() < 0.5
    assert np.nanmin(face.action_units.intensity) >= 0
    assert np.nanmax(face.action_units.intensity) <= 5
    assert face.action_units.calibration == 0
    assert track.confidence == pytest.approx(0.99)


def test_values_already_published_never_change():
    vision, _ = vision_of(lambda i: [Person("a", 200 + 3 * i, 150)])
    first = vision.analyse(frame_at(0)).tracks[0]
    box, points = first.xyxy.copy(), first.face.mesh.points.copy()
    for index in range(1, 10):
        vision.analyse(frame_at(index))
    np.testing.assert_array_equal(first.xyxy, box)
    np.testing.assert_array_equal(first.face.mesh.points, points)
    assert not first.xyxy.flags.writeable


@pytest.mark.survival(12)
def test_twenty_faces_are_all_in_view_at_a_bounded_cost():
    vision, world = vision_of(lambda _: TWENTY, max_faces=6)
    for index in range(12):
        before = len(world.meshes)
        scene = vision.analyse(frame_at(index))
        assert len(world.meshes) - before <= 6
    assert len(scene.tracks) == 20
    assert sum(track.face is not None for track in scene.tracks) == 6


def test_a_still_measures_every_face_whatever_max_faces_says():
    vision, _ = vision_of(lambda _: TWENTY, max_faces=2)
    scene = vision.analyse_still(frame_at(0))
    assert [track.track_id for track in scene.tracks] == list(range(1, 21))
    assert all(track.face is not None for track in scene.tracks)
    assert all(track.face.action_units.calibration == 0 for track in scene.tracks)


def test_a_still_leaves_the_tracks_of_a_video_alone():
    vision, _ = vision_of(lambda _: [Person("a", 200, 150)])
    vision.analyse(frame_at(0))
    vision.analyse_still(frame_at(1))
    assert [t.track_id for t in vision.analyse(frame_at(2)).tracks] == [1]


def test_a_neutral_can_be_set_for_one_face_alone():
    vision, _ = vision_of(lambda _: [Person("a", 150, 150), Person("b", 450, 150)])
    for index in range(5):
        vision.analyse(frame_at(index))
    vision.set_neutral(2)
    one, two = vision.analyse(frame_at(5)).tracks
    assert one.face.action_units.calibration < 1
    assert two.face.action_units.calibration == 1


def test_a_calibrated_face_that_returns_in_time_is_still_calibrated():
    def people(i):
        return [] if 10 <= i < 30 else [Person("a", 200, 150)]

    vision, _ = vision_of(people)
    for index in range(10):
        vision.analyse(frame_at(index))
    vision.set_neutral(None)
    for index in range(10, 40):
        scene = vision.analyse(frame_at(index))
    assert scene.tracks[0].track_id == 1
    assert scene.tracks[0].face.action_units.calibration == 1


class Scatter:
    """A detector and a mesh that say anything: boxes over the border, empty, upside down."""

    def __init__(self, rng):
        self.rng = rng

    def detect(self, image, thorough=False):
        n = int(self.rng.integers(0, 5))
        centres = self.rng.uniform(-200, 900, (n, 1, 2))
        sizes = self.rng.choice([0.0, 0.5, 40.0, 3000.0], (n, 1, 1))
        corners = centres + sizes * self.rng.uniform(-1, 1, (n, 2, 2))
        keypoints = centres + sizes * self.rng.uniform(-1, 1, (n, 6, 2))
        return Detections(corners.reshape(n, 4), self.rng.uniform(0, 1, n), keypoints)

    def estimate(self, image, region):
        points = self.rng.uniform(-300, 900, (468, 3))
        presence = float(self.rng.uniform())
        crop = np.zeros((192, 192, 3), np.uint8)
        return FaceMesh(points if presence > 0.3 else np.full((468, 3), np.nan), presence), crop

    def estimate_all(self, image, regions, meanwhile=None):
        if meanwhile is not None:
            meanwhile()
        return [self.estimate(image, region) for region in regions]

    def close(self):
        pass


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32 - 1))
@pytest.mark.survival(13)
def test_no_answer_of_a_network_breaks_the_loop(seed):
    scatter = Scatter(np.random.default_rng(seed))
    vision = Vision(track=TrackConfig(birth_frames=1), detector=scatter, mesher=scatter)
    ids = set()
    for index in range(20):
        scene = vision.analyse(frame_at(index))
        found = [track.track_id for track in scene.tracks]
        assert found == sorted(set(found))
        assert all(np.isfinite(track.xyxy).all() for track in scene.tracks)
        ids |= set(found)
    assert ids <= set(range(1, len(ids) + 100))


@pytest.mark.usefixtures("models")
@pytest.mark.parametrize("size", [(1, 1), (1, 4000), (37, 53), (4320, 7680), (720, 1280)])
def test_a_frame_of_any_size_without_a_face_is_an_empty_scene(size):
    vision = Vision()
    image = np.full((*size, 3), 90, np.uint8)
    assert vision.analyse(frame_of(image)).tracks == ()
    assert vision.analyse(frame_of(image.copy(), 1)).tracks == ()
    vision.close()


@pytest.mark.usefixtures("models")
@pytest.mark.survival(7, 13)
def test_a_face_is_followed_when_the_resolution_changes_and_at_the_border():
    from skimage import data

    face = np.ascontiguousarray(data.astronaut()[:, :, ::-1])
    vision = Vision()
    shown = [face] * 5 + [face[:, 150:]] * 5 + [np.ascontiguousarray(face[::2, ::2])] * 5
    scenes = [
        vision.analyse(frame_of(np.ascontiguousarray(image), i)) for i, image in enumerate(shown)
    ]
    vision.close()
    assert [len(scenes[i].tracks) for i in (4, 9, 14)] == [1, 1, 1]


@pytest.mark.survival(15)
@pytest.mark.usefixtures("models")
def test_mirror_photograph_and_mask_are_followed_as_faces_are_or_not_at_all():
    import cv2

    from realtime_affect.capture import open_source

    clip = open_source("demo", live=False)
    image = clip.read(60.0).image
    clip.close()
    height, width = image.shape[:2]
    mirror = np.ascontiguousarray(image[:, ::-1])
    photograph = np.full_like(image, 120)  # held into the picture: a half as large, on grey
    photograph[: height // 2, : width // 2] = cv2.resize(image, (width // 2, height // 2))
    with closing(Vision(stabilized=False)) as vision:
        plain = vision.analyse_still(frame_of(image)).tracks
        masked = image.copy()
        for track in plain:
            x0, y0, x1, y1 = (round(float(v)) for v in track.xyxy)
            masked[(y0 + y1) // 2 : y1, max(x0, 0) : x1] = (200, 220, 200)
        seen = {name: vision.analyse_still(frame_of(shown)).tracks for name, shown in (
            ("mirror", mirror), ("photograph", photograph), ("mask", masked),
        )}  # fmt: skip
    assert len(plain) == len(seen["mirror"]) == len(seen["photograph"]) == 2
    left_to_right = sorted(seen["mirror"], key=lambda track: -track.xyxy[0])
    for track, before in zip(
        left_to_right, sorted(plain, key=lambda track: track.xyxy[0]), strict=True
    ):
        assert track.face.pose.rotation_rad[1] == pytest.approx(
            -before.face.pose.rotation_rad[1], abs=0.15
        ), "turned the other way"
    assert len(seen["mask"]) <= 2
    for track in (*seen["photograph"], *seen["mask"]):
        assert np.isfinite(track.face.mesh.points).all()
        assert np.nanmax(track.face.action_units.intensity) <= 5
