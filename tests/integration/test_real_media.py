"""The whole vision step on real people; the clips are evaluation data that stay outside."""

from collections import Counter

import numpy as np
import pytest

from realtime_affect.capture import CaptureConfig, open_source
from realtime_affect.face.vision import Vision
from realtime_affect.types import Frame

pytestmark = pytest.mark.usefixtures("models")

SINGLE_ADULTS = ["lp_d0", "lp_d10", "lp_d12", "lp_d13", "lp_d14", "lp_d18", "lp_s18_720p"]

# Faces of at least 40 px with both eyes visible, counted by looking at the images.
GROUPS = {"human_group-1": 14, "human_group-2": 3, "human_group-3": 4, "human_group-4": 5}


def frames_of(path):
    source = open_source(path, CaptureConfig(), live=False)
    try:
        while (frame := source.read(10.0)) is not None:
            yield frame
    finally:
        source.close()


def scenes_of(frames):
    vision = Vision()
    try:
        yield from map(vision.analyse, frames)
    finally:
        vision.close()


@pytest.fixture
def media(shared_data):
    return shared_data / "media"


def test_four_people_are_four_tracks_without_a_switch(media):
    ids, in_all, n = Counter(), 0, 0
    places = {}
    switches = 0
    for scene in scenes_of(frames_of(media / "composite_4people_720p_20s.mp4")):
        n += 1
        in_all += len(scene.tracks) == 4
        for track in scene.tracks:
            ids[track.track_id] += 1
            # Each person stays in one of four columns, 320 px wide.
            column = int(track.xyxy[[0, 2]].mean() // 320)
            switches += places.setdefault(column, track.track_id) != track.track_id
    assert set(ids) == {1, 2, 3, 4}
    assert len(places) == 4
    assert in_all >= 0.98 * n
    assert switches == 0


def test_a_face_that_ends_by_a_cut_leaves_no_track_behind(media):
    scenes = list(scenes_of(frames_of(media / "pyfeat_face_noface.mp4")))
    seen = [len(scene.tracks) for scene in scenes]
    last = max(i for i, n in enumerate(seen) if n)
    assert {t.track_id for scene in scenes for t in scene.tracks} == {1}
    assert last < 0.5 * len(seen), "the face is gone after the cut, and so is its track"


def replayed(media, pause_s):
    """The part with the face, a pause of the part without, and the face again."""
    frames = list(frames_of(media / "pyfeat_face_noface.mp4"))
    face, empty = frames[:60], frames[100]
    n = len(face)
    step_ns = frames[1].t_ns - frames[0].t_ns
    gap = round(pause_s * 1e9 / step_ns)
    images = [f.image for f in face] + [empty.image] * gap + [f.image for f in face[::-1]]
    frames = [Frame(i, i * step_ns, i * step_ns, image) for i, image in enumerate(images)]
    scenes = list(scenes_of(frames))
    before = {t.track_id for scene in scenes[:n] for t in scene.tracks}
    between = {t.track_id for scene in scenes[n + 3 : n + gap] for t in scene.tracks}
    after = {t.track_id for scene in scenes[n + gap :] for t in scene.tracks}
    return before, between, after


def test_a_face_that_comes_back_in_time_keeps_its_id(media):
    assert replayed(media, pause_s=1.0) == ({1}, set(), {1})


def test_a_face_that_comes_back_late_is_a_new_one(media):
    assert replayed(media, pause_s=3.0) == ({1}, set(), {2})


@pytest.mark.parametrize("name", SINGLE_ADULTS)
def test_one_person_is_one_track(media, name):
    scenes = list(scenes_of(frames_of(media / f"{name}.mp4")))
    assert {t.track_id for scene in scenes for t in scene.tracks} == {1}
    assert sum(len(scene.tracks) == 1 for scene in scenes) >= 0.97 * len(scenes)


@pytest.mark.parametrize("name", GROUPS)
def test_every_face_of_a_group_is_found(media, name):
    source = open_source(media / f"{name}.jpg", CaptureConfig(), live=False)
    frame = source.read(10.0)
    source.close()
    vision = Vision()
    tracks = vision.analyse_still(frame).tracks
    vision.close()
    assert len(tracks) == GROUPS[name]
    assert all(track.face is not None for track in tracks)


def test_smiling_photographs_show_more_of_au12_than_neutral_ones(shared_data):
    vision = Vision()
    smile = {}
    for path in sorted((shared_data / "london_faces/images").glob("*.jpg")):
        person, expression = path.stem.split("_")
        if int(person) > 45:  # kept for the evaluation of trained models
            continue
        source = open_source(path, CaptureConfig(), live=False)
        scene = vision.analyse_still(source.read(10.0))
        source.close()
        smile[person, expression] = scene.tracks[0].face.action_units["AU12"]
    vision.close()
    pairs = [
        (smile[person, "smiling"], smile[person, "neutral"])
        for person, expression in smile
        if expression == "smiling" and (person, "neutral") in smile
    ]
    more = np.mean([smiling > neutral for smiling, neutral in pairs])
    assert len(pairs) > 30
    assert more >= 0.95
    assert np.mean([neutral for _, neutral in pairs]) < 0.6  # no trace of a smile (FACS A is 1)
