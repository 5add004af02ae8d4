"""The painter: what is shown, what is not, and images of every size."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from realtime_affect.names import AU_INTENSITIES
from realtime_affect.overlay import ID_COLORS, OverlayConfig, OverlayStatus, id_color, paint
from realtime_affect.overlay.captions import NOTICE_LIVE, NOTICE_RECORDING
from realtime_affect.overlay.drawing import Canvas
from realtime_affect.overlay.labels import Label, paint_label
from realtime_affect.types import (
    ActionUnits,
    AffectResult,
    AffectSnapshot,
    Face,
    FaceMesh,
    FaceQuality,
    Frame,
    HeadPose,
    Reading,
    Scene,
    Track,
)
from tests.realtime_affect.micro_world import MS, facial_event, with_micro
from tests.realtime_affect.world import Person, mesh_points

NOTHING = OverlayConfig(bars=False, gaze=False, notice=False)
STATUS = OverlayStatus(fps=30.0, age_ms=40.0)


def face_of(person, units=None, calibration=1.0, quality=None):
    intensity = np.full(17, np.nan, np.float32)
    for name, value in (units or {}).items():
        intensity[AU_INTENSITIES.index(name)] = value
    occurrence = np.r_[intensity[:16] >= 1, 0, intensity[16] >= 1].astype(np.float32)
    return Face(
        FaceMesh(mesh_points(person), 0.99),
        HeadPose(np.array(person.angles), np.array([0, 0, 600])),
        np.array([0.3, 0.3]),
        quality or FaceQuality(0.9, 80, 5, 120),
        ActionUnits(intensity, occurrence, np.zeros((2, 2)), calibration),
        np.zeros((48, 48), np.uint8),
    )


def track_of(track_id, person, **how):
    face = face_of(person, **how)
    points = face.mesh.points[:, :2]
    return Track(track_id, np.r_[points.min(0), points.max(0)], 0.98, 5, 0, face)


def reading_of(tracks, width=640, height=360, gaze=None, level=90, age_ns=0):
    frame = Frame(0, 10**9, 10**9, np.full((height, width, 3), level, np.uint8))
    results = {
        track.track_id: AffectResult(track.track_id, 10**9 - age_ns, np.array(gaze), 12.0)
        for track in tracks
        if gaze is not None
    }
    return Reading(Scene(frame, tuple(tracks)), AffectSnapshot(10**9 - age_ns, 10**9, results))


def changed(a, b):
    """Where two paintings differ: (H, W) bool."""
    return (a != b).any(axis=2)


def test_the_frame_itself_stays_as_it_was():
    reading = reading_of([track_of(1, Person("a", 320, 180, 120))])
    before = reading.scene.frame.image.copy()
    painted = paint(reading, OverlayConfig(mesh=True, pose=True), STATUS)
    assert painted.flags.writeable
    assert (reading.scene.frame.image == before).all()
    assert changed(painted, before).any()


@pytest.mark.parametrize(
    ("width", "height"),
    [(1, 1), (2, 900), (40, 30), (199, 119), (201, 121), (480, 270), (721, 1281), (3840, 2160)],
)
@pytest.mark.parametrize("state", ["online", "offline"])
def test_every_size_of_picture_can_be_painted(width, height, state):
    person = Person("a", 0.4 * width, 0.5 * height, 0.3 * min(width, height))
    tracks = [track_of(1, person, units={"AU12": 3.0, "AU06": 0.2})]
    config = OverlayConfig(mesh=True, pose=True)
    status = dataclasses.replace(STATUS, source_state=state, message="a remark", recording=True)
    painted = paint(reading_of(tracks, width, height, gaze=(0.3, 0.1)), config, status)
    assert painted.shape == (height, width, 3)
    assert painted.dtype == np.uint8


@pytest.mark.parametrize("zoom", [0.1, 0.5, 1.5, 3.0])
def test_a_zoomed_painting_has_the_zoomed_size_and_its_box_where_the_face_is(zoom):
    track = track_of(1, Person("a", 320, 200, 150))
    painted = paint(reading_of([track]), NOTHING, STATUS, zoom)
    assert painted.shape == (round(360 * zoom), round(640 * zoom), 3)
    column = round(float(track.xyxy[0]) * zoom)
    row = round(200 * zoom)
    edge = painted[row, max(0, column - 3) : column + 4].astype(int)
    assert np.abs(edge - 90).max() > 40


def test_boxes_beyond_the_border_or_not_finite_are_survived():
    face = face_of(Person("a", -30, 20, 200), units={"AU12": 2.0})
    boxes = ([-1e9, -50, 40, 1e9], [np.nan, 0, np.inf, 10], [500, 300, 900, 700])
    tracks = [Track(n, np.array(box), np.nan, 1, 0, face) for n, box in enumerate(boxes, 1)]
    painted = paint(
        reading_of(tracks, gaze=(9.0, np.nan)), OverlayConfig(mesh=True, pose=True), STATUS
    )
    assert painted.shape == (360, 640, 3)


def test_neighbouring_ids_have_colours_of_their_own():
    assert id_color(1) == ID_COLORS[0]
    assert id_color(len(ID_COLORS) + 1) == id_color(1)
    assert len({id_color(n) for n in range(1, len(ID_COLORS) + 1)}) == len(ID_COLORS)


def test_without_room_for_a_panel_a_brief_movement_is_named_on_the_box():
    track = track_of(1, Person("a", 170, 120, 250), units={"AU12": 0.0})
    reading = reading_of([track], 340, 240, gaze=(np.nan, np.nan))
    event = facial_event(0)
    watched = with_micro(reading, {1: [event]})
    rest = paint(with_micro(reading), OverlayConfig(), STATUS)
    assert changed(paint(watched, OverlayConfig(), STATUS), rest).any()
    old = with_micro(reading, {1: [facial_event(0, decided_ns=-1200 * MS)]})
    assert not changed(paint(old, OverlayConfig(), STATUS), rest).any()


def test_units_stand_beside_the_face_and_leave_it_free():
    person = Person("a", 220, 180, 130)
    bare = track_of(1, person)
    full = track_of(1, person, units={"AU01": 0.5, "AU12": 4.0, "AU25": 1.5})
    without = paint(reading_of([bare]), OverlayConfig(notice=False), STATUS)
    with_bars = paint(reading_of([full]), OverlayConfig(notice=False), STATUS)
    difference = changed(without, with_bars)
    x0, y0, x1, y1 = np.rint(bare.xyxy).astype(int)
    assert difference[:, x1:].any()
    assert not difference[y0:y1, x0:x1].any()


def test_a_unit_without_evidence_has_no_row_while_a_quiet_one_has():
    person = Person("a", 220, 180, 130)
    heights = []
    for units in ({"AU12": 2.0}, {"AU12": 2.0, "AU14": 0.0}):
        with_bars = reading_of([track_of(1, person, units=units)])
        without = paint(with_bars, OverlayConfig(bars=False, notice=False), STATUS)
        painted = paint(with_bars, OverlayConfig(notice=False), STATUS)
        heights.append(int(changed(without, painted).any(axis=1).sum()))
    assert heights[1] > heights[0] > 0


def test_a_stronger_unit_has_a_longer_bar():
    person = Person("a", 220, 180, 130)
    amounts = []
    for value in (1.5, 4.5):
        painted = paint(
            reading_of([track_of(1, person, units={"AU12": value})]), OverlayConfig(), STATUS
        )
        beside = painted[:, (220 + 80) :]
        amounts.append(int((beside == id_color(1)).all(axis=2).sum()))
    assert amounts[1] > 2 * amounts[0] > 0


def test_expression_and_strongest_unit_are_named_on_the_box_with_or_without_panels():
    for size in ((320, 240), (640, 640), (1280, 720)):
        person = Person("a", 160, 130, 260)
        plain, smiling = (
            paint(reading_of([track_of(1, person, units={"AU12": v})], *size), NOTHING, STATUS)
            for v in (0.0, 4.0)
        )
        assert changed(plain, smiling).any()


@pytest.mark.fault(20)
def test_text_stays_readable_on_every_shape_of_source():
    from realtime_affect.overlay.drawing import text_size

    for width, height in ((480, 480), (320, 180), (720, 1280)):
        assert text_size(13, max(0.8, (width * height / 921600) ** 0.5)) >= 12


@pytest.mark.fault(21)
@pytest.mark.parametrize("below", [0, 255])
def test_quiet_text_keeps_its_contrast_over_any_image(below):
    from realtime_affect.overlay.drawing import (
        DARK,
        GREY,
        PANEL_OPACITY,
        QUIET,
        WHITE,
        Canvas,
        panel,
    )

    def luminance(bgr):
        share = np.asarray(bgr, float)[::-1] / 255
        linear = np.where(share <= 0.04045, share / 12.92, ((share + 0.055) / 1.055) ** 2.4)
        return linear @ (0.2126, 0.7152, 0.0722)

    canvas = Canvas(np.full((40, 40, 3), below, np.uint8))
    canvas.blit(panel(40, 40, 0, DARK, PANEL_OPACITY), 0, 0)
    ground = luminance(canvas.image[20, 20])
    for text in (WHITE, GREY, QUIET):
        assert (luminance(text) + 0.05) / (ground + 0.05) >= 4.5


@pytest.mark.fault(12)
def test_gaze_is_hidden_on_eyes_that_are_shut_in_this_very_frame():
    person = Person("a", 320, 180, 140)
    track = track_of(1, person)
    shut = dataclasses.replace(track.face, eye_openness=np.array([0.05, 0.05], np.float32))
    shut = dataclasses.replace(track, face=shut)
    arrows = [
        changed(paint(reading_of([t]), NOTHING, STATUS),
                paint(reading_of([t], gaze=(0.4, 0.1)), NOTHING.replace(gaze=True), STATUS)).any()
        for t in (track, shut)
    ]  # fmt: skip
    assert arrows == [True, False]


@pytest.mark.fault(19)
def test_the_heads_angles_are_written_on_a_face_that_fills_the_image():
    reading = reading_of([track_of(1, Person("a", 160, 130, 300))], 320, 240)
    axes = paint(reading, NOTHING, STATUS)
    shown = changed(axes, paint(reading, NOTHING.replace(pose=True), STATUS))
    assert shown[-40:].sum() > 200


def test_no_label_covers_the_face_beside_it():
    people = [Person("a", 200, 180, 120), Person("b", 320, 150, 120)]
    tracks = [track_of(n, p, units={"AU12": 4.0}) for n, p in enumerate(people, 1)]
    without, with_first = (
        paint(reading_of(shown), NOTHING, STATUS) for shown in (tracks[1:], tracks)
    )
    x0, y0, x1, y1 = np.rint(tracks[1].xyxy).astype(int)
    own = np.rint(tracks[0].xyxy).astype(int)
    difference = changed(without, with_first)[y0:y1, max(x0, own[2] + 4) : x1]
    assert not difference.any()


def test_no_label_runs_into_the_next_name_or_over_a_panel():
    people = [Person("a", 160, 200, 90), Person("b", 330, 200, 90)]
    tracks = [track_of(n, person) for n, person in enumerate(people, 1)]
    boxes = [tuple(np.rint(track.xyxy).astype(int).tolist()) for track in tracks]
    image = np.full((360, 640, 3), 90, np.uint8)
    label = Label("#1", ("spike", "happiness 100%", "AU12 4.0"), ID_COLORS[0], 1.0)
    for panels in ((), ((boxes[0][2] + 8, boxes[0][1] - 40, boxes[1][0], 300),)):
        painted = image.copy()
        paint_label(Canvas(painted), label, boxes, 0, 0, panels)
        columns = np.flatnonzero(changed(image, painted).any(axis=0))
        assert columns[0] >= boxes[0][0]
        assert columns[-1] < (panels[0][0] if panels else boxes[1][0])


@pytest.mark.fault(23)
def test_a_recording_shows_its_sign():
    plain, recording = (
        paint(reading_of([]), NOTHING, dataclasses.replace(STATUS, recording=on))
        for on in (False, True)
    )
    assert changed(plain, recording)[:30].any()


@pytest.mark.fault(22)
def test_a_small_image_keeps_its_ids_and_its_notice():
    track = track_of(1, Person("a", 80, 100, 60))
    bare = reading_of([], 320, 180)
    assert changed(paint(bare, NOTHING, STATUS), paint(bare, NOTHING.replace(notice=True), STATUS))[
        -12:
    ].any()
    painted = paint(reading_of([track], 320, 180), NOTHING, STATUS)
    assert (painted == id_color(1)).all(axis=2).sum() > 60


def test_gaze_is_drawn_when_it_is_known_now_and_not_when_it_is_old_or_unknown():
    tracks = [track_of(1, Person("a", 320, 180, 140))]
    config = OverlayConfig(bars=False, notice=False)
    bare = paint(reading_of(tracks), config, STATUS)
    assert changed(bare, paint(reading_of(tracks, gaze=(0.4, 0.1)), config, STATUS)).any()
    old = reading_of(tracks, gaze=(0.4, 0.1), age_ns=2 * 10**9)
    assert not changed(bare, paint(old, config, STATUS)).any()
    shut = reading_of(tracks, gaze=(np.nan, np.nan))
    assert not changed(bare, paint(shut, config, STATUS)).any()


@pytest.mark.parametrize("name", ["mesh", "pose"])
def test_mesh_and_pose_are_drawn_on_demand(name):
    reading = reading_of([track_of(1, Person("a", 320, 180, 140))])
    shown = paint(reading, NOTHING.replace(**{name: True}), STATUS)
    assert changed(paint(reading, NOTHING, STATUS), shown).sum() > 50


def test_a_face_that_was_not_measured_still_has_its_box():
    track = dataclasses.replace(track_of(1, Person("a", 320, 180, 140)), face=None, misses=1)
    bare = paint(reading_of([]), NOTHING, STATUS)
    painted = paint(reading_of([track]), OverlayConfig(notice=False, mesh=True), STATUS)
    assert changed(bare, painted)[100:260].any()


@pytest.mark.fault(14)
def test_twenty_faces_get_labels_and_no_panels():
    people = [Person("p", 60 + 125 * (n % 5), 60 + 85 * (n // 5), 50) for n in range(20)]
    tracks = [track_of(n, p, units={"AU12": 3.0}) for n, p in enumerate(people, 1)]
    reading = reading_of(tracks)
    with_bars, without = (
        paint(reading, NOTHING.replace(bars=bars), STATUS) for bars in (True, False)
    )
    assert not changed(with_bars, without).any()


def test_offline_changes_most_of_the_picture_and_alarms_in_red():
    reading = reading_of([], level=120)
    painted = paint(reading, OverlayConfig(), dataclasses.replace(STATUS, source_state="offline"))
    assert changed(paint(reading, OverlayConfig(), STATUS), painted).mean() > 0.8
    blue, _, red = painted[180, 20].astype(int)
    assert red - blue > 120


def test_the_notice_says_what_happens_to_the_measurement_and_never_claims_a_feeling():
    reading = reading_of([])
    live, recorded, none = (
        paint(reading, config, status)
        for config, status in (
            (OverlayConfig(), STATUS),
            (OverlayConfig(), dataclasses.replace(STATUS, recording=True)),
            (OverlayConfig(notice=False), STATUS),
        )
    )
    assert changed(live, none)[-12:].any()
    assert changed(live, recorded)[-12:].any()
    assert "Nothing leaves it" in NOTICE_LIVE
    assert "recorded" in NOTICE_RECORDING
    for text in (NOTICE_LIVE, NOTICE_RECORDING):
        # Either may stand in a file: a screenshot, or a video made of a file.
        assert "stored" not in text
        assert not {"feel", "feels", "emotion", "emotions", "mood"} & set(text.lower().split())


def test_status_shows_what_is_known_and_leaves_out_what_is_not():
    reading = reading_of([])
    config = OverlayConfig(notice=False)
    known = paint(reading, config, OverlayStatus(fps=30, age_ms=40, drops=3))
    unknown = paint(reading, config, OverlayStatus())
    assert changed(known, unknown)[:25].any()


def test_painting_twice_gives_the_same_picture():
    reading = reading_of([track_of(1, Person("a", 200, 180, 120), units={"AU12": 2.0})])
    config = OverlayConfig(mesh=True, pose=True)
    assert (paint(reading, config, STATUS) == paint(reading, config, STATUS)).all()
