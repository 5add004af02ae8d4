"""Warps of a still image: an astronaut's portrait (NASA, public domain), from scikit-image."""

import cv2
import numpy as np
import pytest

from realtime_affect.affect.history import FaceHistory
from realtime_affect.errors import UsageError
from realtime_affect.face.stabilize import Stabilizer, stabilized_crop
from realtime_affect.micro.config import MicroConfig
from realtime_affect.micro.excursions import ExcursionDetector
from realtime_affect.micro.skin_motion import MOUTH_REGIONS
from realtime_affect.micro.spotter import REGIONS, MicroSpotter, units_of
from realtime_affect.types import (
    ActionUnits,
    Face,
    FaceMesh,
    FaceQuality,
    FaceWindow,
    Frame,
    HeadPose,
    Scene,
    StabilizedCrop,
    Track,
)
from tests.realtime_affect.world import Person, mesh_points

SIDE = 256
HEAD = Person("a", 127.0, 111.0, 195.0, (0.0, 0.0, 0.054))
IOD = 195.0 / 140.0 * 61.8
Y, X = np.mgrid[:SIDE, :SIDE].astype(np.float32)
NO_UNITS = ActionUnits(np.full(17, np.nan), np.full(18, np.nan), np.full((2, 2), np.nan), 0.0)


@pytest.fixture(scope="module")
def portrait():
    data = pytest.importorskip("skimage.data", reason="scikit-image (group dev) has the image")
    face = cv2.cvtColor(data.astronaut()[70:198, 160:288], cv2.COLOR_RGB2GRAY)
    return cv2.resize(face, (SIDE, SIDE), interpolation=cv2.INTER_CUBIC).astype(np.float32)


def raised(t, start, length):
    phase = np.clip((t - start) / length, 0, 1)
    return 0.5 - 0.5 * np.cos(2 * np.pi * phase)


MESH = mesh_points(HEAD)
BROW = MESH[[52, 105], :2].mean(axis=0)
CORNER = MESH[291, :2]
EYES = ([33, 133], [362, 263])


class Film:
    """Faces of a portrait that moves by `move(t)`: (x, y of the movement, up and out by pixels)."""

    def __init__(self, portrait, fps=30.0, seconds=6.0, noise=1.0):
        self.portrait, self.fps, self.seconds, self.noise = portrait, fps, seconds, noise

    def shoot(self, moves=(), head=lambda t: (0.0, 0.0, 0.0), lids=lambda t: 0.3):
        """Yield (t_ns, face): `moves` are (place, (dx, dy) px, course), `head` x, y px and roll."""
        rng = np.random.default_rng(5)
        grain = rng.normal(0, self.noise, (9, SIDE, SIDE)).astype(np.float32)
        stabilized = Stabilizer()
        for i in range(round(self.seconds * self.fps)):
            t = i / self.fps
            u, v = np.zeros_like(X), np.zeros_like(Y)
            for (x, y), (dx, dy), course, *size in moves:
                wide = (*size, 0.3)[0] * IOD
                near = course(t) * np.exp(-((X - x) ** 2 + (Y - y) ** 2) / (2 * wide * wide))
                u, v = u + dx * near, v + dy * near
            x, y, roll = head(t)
            turn = cv2.getRotationMatrix2D((127, 111), -np.degrees(roll), 1.0)
            turn[:, 2] += x, y
            maps = (X - u).astype(np.float32), (Y - v).astype(np.float32)
            picture = cv2.remap(self.portrait, *maps, cv2.INTER_CUBIC, borderMode=1)
            picture = cv2.warpAffine(
                picture, turn, (SIDE, SIDE), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE
            )
            noisy = cv2.convertScaleAbs(picture + grain[i % 9])
            image = cv2.cvtColor(noisy, cv2.COLOR_GRAY2BGR)
            mesh = MESH.copy()
            mesh[:, :2] = MESH[:, :2] @ turn[:, :2].T + turn[:, 2]
            mesh[:, :2] += rng.normal(0, 0.15, (468, 2))  # landmarks jitter
            place = stabilized.update(round(t * 1e9), mesh)
            yield (
                round(t * 1e9),
                face_of(
                    mesh, StabilizedCrop(stabilized_crop(image, place), place.to_frame()), lids(t)
                ),
            )


def face_of(mesh, crop, lids=0.3, size_px=120.0):
    return Face(
        FaceMesh(mesh, 1.0), HeadPose(np.zeros(3), np.zeros(3)), np.full(2, lids),
        FaceQuality(1.0, size_px, 5.0, 60.0), NO_UNITS, np.zeros((48, 48), np.uint8), crop,
    )  # fmt: skip


def spot(faces, spotter=None, kept=lambda i: True):
    """Events, and what the last reading says; jobs for which `kept` is false are dropped."""
    spotter = spotter or MicroSpotter()
    history = FaceHistory()
    events, reading = {}, None
    for i, (t_ns, face) in enumerate(faces):
        frame = Frame(i, t_ns, t_ns, np.zeros((1, 1, 3), np.uint8))
        windows = history.append(Scene(frame, (Track(1, np.zeros(4), 1.0, 9, 0, face),)))
        if kept(i):
            reading = spotter.decide(windows)[1]
            events.update((event.onset_ns, event) for event in reading.events)
    return list(events.values()), reading


UP = (0.0, -0.025 * IOD)
OUT = (0.02 * IOD, -0.015 * IOD)


def test_a_brief_movement_of_a_brow_is_told_with_its_times_and_place(portrait):
    moves = [(BROW, UP, lambda t: raised(t, 4.5, 0.4))]
    (event,), reading = spot(Film(portrait).shoot(moves))
    assert event.kind == "micro"
    assert event.onset_ns / 1e9 == pytest.approx(4.5, abs=0.08)
    assert event.apex_ns / 1e9 == pytest.approx(4.7, abs=0.07)
    assert event.offset_ns / 1e9 == pytest.approx(4.9, abs=0.08)
    assert (event.decided_ns - event.apex_ns) / 1e9 <= 0.7
    assert all(region.startswith("right") and "brow" in region for region in event.regions[:2])
    assert {"AU01", "AU02"} & set(event.units)
    assert np.isnan(event.probabilities).all()
    assert reading.unavailable_reason == ""


def test_a_mouth_corner_that_is_pulled_slowly_is_macro(portrait):
    moves = [(CORNER, (2 * OUT[0], 2 * OUT[1]), lambda t: raised(t, 3.8, 1.3))]
    (event,), _ = spot(Film(portrait).shoot(moves))
    assert event.kind == "macro"
    assert "left mouth corner" in event.regions
    assert "AU12" in event.units


@pytest.mark.parametrize(
    ("head", "lids"),
    [
        (lambda t: (0.0, 0.0, 0.0), lambda t: 0.3),
        (
            lambda t: (9 * np.sin(1.5 * t), 5 * np.sin(2.3 * t), 0.06 * np.sin(1.1 * t)),
            lambda t: 0.3,
        ),
    ],
    ids=["a noisy still face", "a head that moves"],
)
def test_a_face_without_movements_of_its_own_tells_none(portrait, head, lids):
    events, _ = spot(Film(portrait, noise=2.0).shoot(head=head, lids=lids))
    assert [event for event in events if event.kind == "micro"] == []


@pytest.mark.parametrize(("way", "told"), [(0.025, ["micro"]), (0.2, [])], ids=["slight", "wide"])
def test_a_twitch_too_wide_for_a_slight_movement_is_not_told(portrait, way, told):
    moves = [(CORNER, (0.0, -way * IOD), lambda t: raised(t, 4.5, 0.45))]
    events, _ = spot(Film(portrait).shoot(moves))
    assert [event.kind for event in events if event.kind == "micro"] == told


def test_what_a_blink_carries_along_is_not_told(portrait):
    course = lambda t: raised(t, 4.5, 0.25)  # noqa: E731
    eyes = [(MESH[pair, :2].mean(axis=0), (0, 4.0), course, 0.07) for pair in EYES]
    eyes.append((BROW, (0, 0.007 * IOD), course))  # more than without the blink would be told
    events, _ = spot(Film(portrait).shoot(eyes, lids=lambda t: 0.3 - 0.25 * course(t)))
    assert events == []


def test_at_15_frames_a_second_it_says_that_it_is_blind_and_why(portrait):
    moves = [(BROW, UP, lambda t: raised(t, 4.5, 0.4))]
    events, reading = spot(Film(portrait, fps=15.0).shoot(moves))
    assert events == []
    assert reading.unavailable_reason == "15 frames a second, 25 are needed"


def test_what_is_seen_while_warming_up_is_learned_from(portrait, monkeypatch):
    doubted = []

    class Recorder(ExcursionDetector):
        def add(self, t_ns, places, doubts, longest_s):
            doubted.append(doubts.max())
            return super().add(t_ns, places, doubts, longest_s)

    monkeypatch.setattr("realtime_affect.micro.spotter.ExcursionDetector", Recorder)
    _, reading = spot(Film(portrait, seconds=1.0).shoot())
    assert reading.unavailable_reason == "warming up"
    assert len(doubted) > 20
    assert np.isfinite(doubted).all()


def test_a_small_face_is_not_looked_at():
    crop = StabilizedCrop(np.zeros((128, 128), np.uint8), np.eye(2, 3))
    faces = [(round(i / 30 * 1e9), face_of(MESH, crop, size_px=30.0)) for i in range(120)]
    events, reading = spot(faces)
    assert events == []
    assert "30 px apart" in reading.unavailable_reason


@pytest.mark.survival(16)
def test_dropped_jobs_lose_nothing(portrait):
    faces = list(Film(portrait).shoot([(BROW, UP, lambda t: raised(t, 4.5, 0.3))]))
    whole, _ = spot(faces)
    some, _ = spot(faces, kept=lambda i: i % 7 == 0)
    assert len(whole) == 1
    assert [repr(event) for event in some] == [repr(event) for event in whole]


def test_an_event_is_classified_by_the_flow_from_onset_to_apex(portrait):
    class Classifier:
        maps = None

        def classify(self, maps):
            self.maps = maps
            return np.array([[0.1, 0.2, 0.3, 0.4]], np.float32)

        def close(self):
            pass

    classifier = Classifier()
    moves = [(CORNER, (0.0, -0.03 * IOD), lambda t: raised(t, 4.5, 0.4))]
    (event,), _ = spot(Film(portrait).shoot(moves), MicroSpotter(classifier))
    np.testing.assert_allclose(event.probabilities, [0.1, 0.2, 0.3, 0.4])
    assert classifier.maps.shape == (1, 56, 56, 3)
    lowest = classifier.maps[0, ..., 1].min()
    assert -0.035 < lowest < -0.012


def test_two_tracks_are_watched_apart_and_a_reading_forgets_after_two_seconds(portrait):
    faces = list(Film(portrait).shoot([(BROW, UP, lambda t: raised(t, 3.1, 0.3))]))
    spotter = MicroSpotter()
    told = []
    for (t_ns, moving), (_, still) in zip(faces, [faces[0]] * len(faces), strict=True):
        windows = (FaceWindow(1, (t_ns,), (moving,)), FaceWindow(2, (t_ns,), (still,)))
        told.append(spotter.decide(windows))
    assert all(reading[2].events == () for reading in told)
    shown = [len(reading[1].events) for reading in told]
    assert max(shown) == 1
    assert shown[-1] == 0
    assert 55 <= sum(shown) <= 62


def test_units_are_named_by_where_regions_go():
    def moving(**ways):
        moves, strengths = np.zeros((len(REGIONS), 2)), np.zeros(len(REGIONS))
        for name, way in ways.items():
            i = REGIONS.index(name.replace("_", " "))
            moves[i], strengths[i] = way, 2.0
        return units_of(strengths, moves)

    assert moving(right_inner_brow=(0.0, -0.01)) == ("AU01",)
    assert moving(left_outer_brow=(0.0, -0.01)) == ("AU02",)
    assert moving(right_inner_brow=(0.005, 0.009)) == ("AU04",)
    assert moving(right_mouth_corner=(-0.008, -0.009)) == ("AU12",)
    assert moving(left_mouth_corner=(0.001, 0.01)) == ("AU15",)
    assert moving(left_mouth_corner=(-0.01, 0.0)) == ()


def test_regions_come_in_pairs_and_the_mouths_are_known():
    assert len(REGIONS) == len(set(REGIONS)) == 18
    assert {REGIONS[i] for i in np.flatnonzero(MOUTH_REGIONS)} == {
        f"{side} {part}"
        for side in ("right", "left")
        for part in ("mouth corner", "upper lip", "lower lip", "chin")
    }


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"min_size_px": 130.0}, "eyes 120 px apart, 130 are needed"),
        ({"min_fps": 50.0}, "30 frames a second, 50 are needed"),
        ({"max_view_deg": 4.0}, "turned away by 5 degrees, 4 are allowed"),
        ({"min_sharpness": 61.0}, "the image of the face is blurred"),
        ({"warm_up_s": 7.0}, "warming up"),
        ({"floor_iod": 0.1}, ""),
        ({"widest_iod": 0.005}, ""),
        ({"min_length_frames": 30.0}, ""),
    ],
)
def test_every_threshold_can_be_set(portrait, values, message):
    moves = [(BROW, UP, lambda t: raised(t, 4.5, 0.4))]
    events, reading = spot(Film(portrait).shoot(moves), MicroSpotter(config=MicroConfig(**values)))
    assert events == []
    assert reading.unavailable_reason == message


def test_what_counts_as_brief_can_be_set(portrait):
    moves = [(BROW, UP, lambda t: raised(t, 4.5, 0.4))]
    config = MicroConfig(max_micro_s=0.1, length_error_frames=0.0)
    (event,), _ = spot(Film(portrait).shoot(moves), MicroSpotter(config=config))
    assert event.kind == "macro"


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (
            {"free_turn_deg_per_s": 50.0},
            r"micro.free_turn_deg_per_s'.*not more than micro.max",
        ),
        ({"calm_s": 0.1}, r"micro.calm_s': got 0.1, expected 1.0 to 600.0"),
        ({"taking_part": 0.0}, r"micro.taking_part': got 0.0, expected a number above 0.0"),
    ],
)
def test_thresholds_that_make_no_sense_are_refused(values, message):
    with pytest.raises(UsageError, match=message):
        MicroConfig(**values)
