from collections import defaultdict

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from realtime_affect.face.track import Motion, Place, TrackConfig, Tracker, iou
from realtime_affect.face.vision import Vision
from tests.realtime_affect.world import FPS, Person, World, frame_at


def follow(people, n, config=None, frames=None):
    """Run vision over the world; return {name: ids it was given}, ids by frame, and the world."""
    world = World(people)
    vision = Vision(track=config, detector=world, mesher=world)
    ids_of, by_frame = defaultdict(list), []
    for index in frames or range(n):
        scene = vision.analyse(frame_at(index))
        by_frame.append([track.track_id for track in scene.tracks])
        for track in scene.tracks:
            x, y = (track.xyxy[:2] + track.xyxy[2:]) / 2
            nearest = min(people(index), key=lambda p: np.hypot(p.x - x, p.y - y))
            ids_of[nearest.name].append(track.track_id)
    return ids_of, by_frame, world


def switches(ids_of):
    return sum(int(np.count_nonzero(np.diff(ids))) for ids in ids_of.values())


def test_ids_start_at_one_and_stay_with_their_faces():
    def people(i):
        return [Person("a", 100 + i, 120), Person("b", 400 - i, 200), Person("c", 250, 60 + i / 2)]

    ids_of, by_frame, _ = follow(people, 90)
    assert {name: set(ids) for name, ids in ids_of.items()} == {"a": {1}, "b": {2}, "c": {3}}
    assert all(ids == [1, 2, 3] for ids in by_frame[1:])


@pytest.mark.parametrize("speed", [3, 8])
@pytest.mark.survival(14)
def test_people_who_cross_keep_their_ids(speed):
    def people(i):
        near, far = Person("near", 60 + speed * i, 180, 90), Person("far", 560 - speed * i, 170, 70)
        return [near, far]

    ids_of, _, _ = follow(people, 480 // speed)
    assert switches(ids_of) == 0
    assert set(ids_of["near"]) | set(ids_of["far"]) == {1, 2}


@pytest.mark.survival(14)
def test_a_face_that_returns_in_time_near_its_place_keeps_its_id():
    def people(i):
        return [] if 30 <= i < 60 else [Person("a", 200 + i / 3, 150)]

    ids_of, by_frame, _ = follow(people, 90)
    assert set(ids_of["a"]) == {1}
    assert all(not ids for ids in by_frame[31:60])


def test_a_face_that_returns_too_late_is_a_new_one():
    def people(i):
        return [] if 30 <= i < 120 else [Person("a", 200, 150)]

    ids_of, _, _ = follow(people, 150)
    assert set(ids_of["a"]) == {1, 2}


@pytest.mark.survival(2, stand_in="made-up faces")
def test_after_an_outage_whoever_is_in_the_same_place_is_a_new_face():
    before, after = range(30), range(216, 246)  # the source was gone for six seconds
    ids_of, *_ = follow(
        lambda i: [Person("a" if i < 30 else "b", 200, 150)], 0, frames=[*before, *after]
    )
    assert set(ids_of["a"]) == {1}
    assert set(ids_of["b"]) == {2}


def test_a_face_that_appears_elsewhere_is_a_new_one():
    def people(i):
        return [Person("a", 120, 150)] if i < 30 else [Person("b", 480, 150)]

    ids_of, _, _ = follow(people, 60)
    assert set(ids_of["a"]) == {1}
    assert set(ids_of["b"]) == {2}


@pytest.mark.survival(2, stand_in="made-up faces")
def test_ids_are_not_reused_when_nobody_is_left():
    def people(i):
        return [Person(f"p{i // 100}", 200, 150)] if i % 100 < 20 else []

    ids_of, _, _ = follow(people, 400)
    assert [set(ids_of[f"p{k}"]) for k in range(4)] == [{1}, {2}, {3}, {4}]


def test_frames_dropped_in_bursts_do_not_switch_ids():
    def people(i):
        return [Person("a", 100 + 2 * i, 120), Person("b", 100 + 2 * i, 240)]

    kept = [i for i in range(120) if i % 10 < 6]
    ids_of, _, _ = follow(people, 120, frames=kept)
    assert switches(ids_of) == 0
    assert set(ids_of["a"]) == {1}


def test_a_new_face_is_found_within_the_detection_interval_beside_known_ones():
    def people(i):
        here = [Person("a", 150, 150)]
        return here if i < 20 else [*here, Person("b", 450, 150)]

    config = TrackConfig(detect_every_ms=500, birth_frames=1)
    _, by_frame, world = follow(people, 60, config)
    arrived = next(k for k, ids in enumerate(by_frame) if ids == [1, 2])
    assert 20 <= arrived <= 20 + 0.5 * FPS + 1
    assert world.detections <= 6, "detection should run by the clock, not every frame"


def test_with_nobody_in_view_every_frame_is_searched():
    _, _, world = follow(lambda _: [], 25)
    assert world.detections == 25


@pytest.mark.survival(12)
def test_beyond_max_faces_everybody_gets_a_fair_turn():
    people = [Person(f"p{k}", 60 + 110 * (k % 5), 70 + 100 * (k // 5), 60) for k in range(15)]
    config = TrackConfig(max_faces=4, birth_frames=1)
    world = World(lambda _: people)
    vision = Vision(track=config, detector=world, mesher=world)
    measured = defaultdict(int)
    for index in range(120):
        before = len(world.meshes)
        scene = vision.analyse(frame_at(index))
        assert len(world.meshes) - before <= 4
        for track in scene.tracks:
            measured[track.track_id] += track.face is not None
    assert len(scene.tracks) == 15, "faces between turns stay in view"
    counts = np.array(list(measured.values()))
    assert len(counts) == 15
    assert counts.max() - counts.min() <= 3


def test_a_lone_detection_that_no_mesh_confirms_gets_no_id():
    class Ghost(World):
        def estimate(self, image, region):
            mesh, crop = super().estimate(image, region)
            return type(mesh)(mesh.points, 0.2), crop

    world = Ghost(lambda _: [Person("ghost", 300, 150)])
    vision = Vision(detector=world, mesher=world)
    assert all(not vision.analyse(frame_at(i)).tracks for i in range(10))


def test_two_tracks_on_one_face_become_one():
    world = World(lambda i: [Person("a", 200, 150)] + ([Person("b", 330, 150)] if i < 20 else []))

    class Jumpy(World):
        """Lets b's mesh slide onto a once b is gone, as a real mesh network may."""

        def estimate(self, image, region):
            mesh, crop = super().estimate(image, region)
            if mesh.presence < 0.5:
                mesh, _ = super().estimate(image, type(region)((200.0, 150.0), 100.0, 0.0))
            return mesh, crop

    jumpy = Jumpy(world.people)
    vision = Vision(detector=jumpy, mesher=jumpy)
    scenes = [vision.analyse(frame_at(i)) for i in range(40)]
    assert [t.track_id for t in scenes[15].tracks] == [1, 2]
    assert [t.track_id for t in scenes[-1].tracks] == [1]


def test_the_filter_predicts_constant_velocity():
    motion = Motion(Place(0.0, 0.0, 50.0))
    for step in range(1, 40):
        motion.predict(1 / FPS)
        motion.correct(Place(4.0 * step, -2.0 * step, 50.0))
    motion.predict(3 / FPS)
    np.testing.assert_allclose(motion.place, [4 * 42, -2 * 42, 50], atol=0.5)


boxes = arrays(np.float64, (3, 2), elements=st.floats(0, 100)).map(
    lambda low: np.concatenate([low, low + 10], axis=1)
)


@given(boxes, boxes)
def test_iou_is_symmetric_and_one_only_for_equal_boxes(a, b):
    forward = iou(a, b)
    np.testing.assert_allclose(forward, iou(b, a).T)
    assert np.all((forward >= 0) & (forward <= 1))
    np.testing.assert_allclose(np.diag(iou(a, a)), 1.0)


def test_an_update_detects_when_it_is_time_and_measures_no_more_faces_than_allowed():
    world = World(lambda i: [Person("a", 100, 120), Person("b", 400, 200), Person("c", 250, 60)])
    tracker = Tracker(TrackConfig(max_faces=2, detect_every_ms=500))
    searched, measured = [], []

    def update(index):
        image = frame_at(index).image

        def look(faces, search):
            measured.extend([index] * len(faces))
            if search:
                searched.append(index)
            meshes = [world.estimate(image, face.region)[0] for face in faces]
            return meshes, world.detect(image) if search else None

        return tracker.update(round(index * 1e9 / FPS), look)

    in_view = [update(index) for index in range(30)]
    assert [face.track_id for face in in_view[-1]] == [1, 2, 3]
    assert searched == [0, 15]
    assert all(measured.count(index) == 2 for index in range(30))


def test_faces_in_view_do_not_wait_for_a_search_and_who_finds_no_room_is_next():
    names = {100: "a", 400: "b", 250: "c"}
    people = [Person("a", 100, 120), Person("b", 400, 200), Person("c", 250, 60)]
    world = World(lambda i: people if i >= 10 else people[:2])
    tracker = Tracker(TrackConfig(max_faces=2, detect_every_ms=500))
    looks = []

    def update(index):
        image = frame_at(index).image

        def look(faces, search):
            seen = [min(names, key=lambda x: abs(x - face.region.center[0])) for face in faces]
            looks.append((index, search, "".join(names[x] for x in seen)))
            meshes = [world.estimate(image, face.region)[0] for face in faces]
            return meshes, world.detect(image) if search else None

        tracker.update(round(index * 1e9 / FPS), look)

    for index in range(18):
        update(index)
    assert looks[:3] == [(0, True, ""), (0, False, "ab"), (1, False, "ab")]
    assert looks[-4:] == [(15, True, "ab"), (15, False, ""), (16, False, "ca"), (17, False, "bc")]


@pytest.mark.parametrize(("live", "searched"), [(False, 30), (True, 10)])
def test_an_empty_image_is_searched_ten_times_a_second_live_and_always_in_files(live, searched):
    world = World(lambda index: [])
    vision, looks = Vision(detector=world, mesher=world), []
    detect = world.detect
    world.detect = lambda *args, **kwargs: looks.append(1) or detect(*args, **kwargs)
    vision.live = live
    for index in range(30):
        vision.analyse(frame_at(index))
    assert len(looks) == pytest.approx(searched, abs=1)
