"""The demo clip: its renderer, its shipped truth, and what the vision step reads from it."""

import csv
from importlib import resources

import cv2
import numpy as np
import pytest

from realtime_affect.capture import open_source
from realtime_affect.face.detect import DetectConfig, FaceDetector
from realtime_affect.face.vision import Vision

BASIC = {"happiness", "sadness", "surprise", "fear", "anger", "disgust"}
N_FRAMES = 360


def overlap(a, b):
    """Intersection over union of two boxes, xyxy."""
    low, high = np.maximum(a[:2], b[:2]), np.minimum(a[2:], b[2:])
    shared = np.prod(np.clip(high - low, 0, None))
    return shared / (np.prod(a[2:] - a[:2]) + np.prod(b[2:] - b[:2]) - shared)


def box_of(row):
    """Truth's box as xyxy."""
    x, y, w, h = (float(row[name]) for name in "xywh")
    return np.array([x, y, x + w, y + h])


@pytest.fixture(scope="module")
def truth():
    """Shipped rows of each person, in order of frames."""
    text = resources.files("realtime_affect").joinpath("demo", "demo.truth.csv").read_text("utf-8")
    rows = list(csv.DictReader(text.splitlines()))
    return {person: [row for row in rows if row["person"] == person] for person in ("1", "2")}


@pytest.fixture(scope="module")
def scenes(models):
    """Every frame of the demo through one vision step."""
    vision = Vision()
    source = open_source("demo", live=False)
    try:
        found = []
        while (frame := source.read(10.0)) is not None:
            found.append(vision.analyse(frame).tracks)
        return found
    finally:
        source.close()
        vision.close()


@pytest.fixture(scope="module")
def person_of(scenes, truth):
    """Tracks of each person of the truth, by frame, told apart by their side of the picture."""
    ids = {track.track_id: track.xyxy[0] for track in scenes[30]}
    left, right = sorted(ids, key=ids.get)
    return {
        person: {
            index: track
            for index, tracks in enumerate(scenes)
            for track in tracks
            if track.track_id == track_id
        }
        for person, track_id in (("1", left), ("2", right))
    }


@pytest.fixture(scope="module")
def demo(shared_data):
    """Renderer of the demo, loaded with the face model."""
    faces = shared_data / "synthetic_ict" / "ict_facekit_light.npz"
    if not faces.is_file():
        pytest.skip("the face model (synthetic_ict/ict_facekit_light.npz) is not on this machine")
    from training.synthetic import demo

    threads = cv2.getNumThreads()
    demo._prepare(faces)
    cv2.setNumThreads(threads)
    return demo


def test_a_rendered_frame_shows_two_faces_and_says_what_they_do(demo, models):
    picture, rows = demo.render_frame(69)  # 2.3 s: the first person smiles, the second recoils
    assert picture.shape == (720, 1280, 3)
    assert picture.dtype == np.uint8
    assert [row["person"] for row in rows] == [1, 2]
    assert [row["emotion"] for row in rows] == ["happiness", "disgust"]
    assert float(rows[0]["AU12"]) > 2
    detector = FaceDetector(DetectConfig())
    try:
        found = detector.detect(picture)
    finally:
        detector.close()
    assert len(found) == 2
    for row in rows:
        assert max(overlap(box_of(row), box) for box in found.xyxy) > 0.4


def test_the_same_frame_is_rendered_the_same_twice(demo):
    first, rows = demo.render_frame(69)
    second, again = demo.render_frame(69)
    np.testing.assert_array_equal(first, second)
    assert rows == again
    assert not np.array_equal(first, demo.render_frame(70)[0])


def test_the_shipped_truth_has_every_frame_of_both_and_all_emotions(truth):
    for rows in truth.values():
        assert [int(row["frame"]) for row in rows] == list(range(1, N_FRAMES + 1))
    emotions = {row["emotion"] for rows in truth.values() for row in rows}
    assert emotions == BASIC | {"contempt", "neutral"}


def test_two_people_are_tracked_through_the_whole_clip(scenes):
    assert len(scenes) == N_FRAMES
    frames = {}
    for tracks in scenes:
        for track in tracks:
            frames[track.track_id] = frames.get(track.track_id, 0) + 1
    assert len(frames) == 2
    assert min(frames.values()) >= 0.99 * N_FRAMES


def test_tracks_lie_on_the_true_boxes(person_of, truth):
    for person, rows in truth.items():
        for index in range(30, N_FRAMES, 30):
            assert overlap(box_of(rows[index]), person_of[person][index].xyxy) > 0.6, (
                person,
                index,
            )


def test_a_smile_pulls_the_lip_corners_up_from_rest(person_of, truth):
    rows = truth["1"]

    def lip_corner(indices):
        return np.nanmedian([person_of["1"][i].face.action_units["AU12"] for i in indices])

    seen = person_of["1"].keys()
    rest = [i for i in seen if float(rows[i]["timestamp"]) < 1]
    smile = [i for i in seen if rows[i]["emotion"] == "happiness" and float(rows[i]["AU12"]) > 2]
    assert lip_corner(smile) > lip_corner(rest) + 1


def test_heads_turn_as_they_truly_turn(person_of, truth):
    for person, tracks in person_of.items():
        read = [track.face.pose.rotation_rad[1] for track in tracks.values()]
        true = [float(truth[person][index]["pose_Ry"]) for index in tracks]
        assert np.corrcoef(read, true)[0, 1] > 0.9
