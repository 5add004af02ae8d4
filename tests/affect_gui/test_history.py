"""What faces displayed on one line of time."""

from __future__ import annotations

import numpy as np

from affect_gui.history import BIN_NS, SERIES, History, runs_of
from realtime_affect.names import AU_INTENSITIES
from tests.affect_gui.conftest import measured, reading_of, scene_of
from tests.realtime_affect.micro_world import MS, facial_event, with_micro

SECOND = 1_000_000_000
AU12 = SERIES.index("AU12")


def filled(seconds=2.0, span_s=60.0, smile_at=1.0):
    history = History(span_s)
    for n in range(round(30 * seconds)):
        t_ns = n * 33_333_333
        smile = 4.0 if abs(t_ns / 1e9 - smile_at) < 0.02 else 0.0
        track, result = measured(1, t_ns=t_ns, smile=smile)
        reading = reading_of(n, t_ns=t_ns, tracks=[track])
        history.write(with_affect(reading, result))
    return history


def with_affect(reading, result):
    from realtime_affect.types import AffectSnapshot, Reading

    t_ns = reading.scene.frame.t_ns
    return Reading(reading.scene, AffectSnapshot(t_ns, t_ns, {result.track_id: result}))


def test_a_short_movement_stays_visible_and_unknown_time_is_nan():
    history = filled()
    stretch = history.stretch(1, 0, 3 * SECOND)
    assert stretch.values.shape == (60, len(SERIES))
    assert stretch.values[18:22, AU12].max() == 4.0
    assert np.isnan(stretch.values[50]).all()
    assert stretch.missing[50]
    assert not stretch.missing[:40].any()
    assert np.isnan(history.stretch(7, 0, SECOND).values).all()


def test_only_the_last_seconds_are_kept_and_memory_stays_flat():
    history = History(1.0)
    for n in range(400):
        track, result = measured(1 + n // 100, t_ns=n * BIN_NS)
        history.write(with_affect(reading_of(n, t_ns=n * BIN_NS, tracks=[track]), result))
    first_ns, newest_ns = history.span_ns
    assert newest_ns - first_ns <= SECOND + BIN_NS
    assert history.track_ids == (4,)
    assert history.at(0).scene.frame.t_ns >= first_ns - BIN_NS


def test_a_whole_session_is_kept_where_no_span_is_given():
    history = History(None)
    for n in range(70):
        track, result = measured(1, t_ns=n * SECOND, smile=4.0 if n == 1 else 0.0)
        history.write(with_affect(reading_of(n, t_ns=n * SECOND, tracks=[track]), result))
    assert history.stretch(1, 0, 2 * SECOND).values[20, AU12] == 4.0
    assert history.span_ns == (0, 69 * SECOND)
    assert history.at(0) is None


def test_an_earlier_moment_comes_back_with_its_image_and_its_faces():
    history = History()
    for n in range(20):
        history.write(scene_of(measured(1), index=n, level=40 + 10 * n))
    back = history.at(33_000_000 * 8)
    assert abs(int(back.scene.frame.image[2, 2, 0]) - (40 + 10 * back.scene.frame.index)) < 8
    assert back.scene.frame.image.shape == (180, 320, 3)
    assert back.scene.tracks[0].track_id == 1


def test_time_without_readings_is_a_gap_and_unseen_spikes_are_told_apart():
    history = History()
    for t_ns, reason in (
        (0, ""),
        (100 * MS, "15 frames a second, 25 are needed"),
        (3 * SECOND, ""),
    ):
        reading = scene_of(measured(1, t_ns=t_ns))
        reading = with_micro(reading_of(0, t_ns=t_ns, tracks=reading.scene.tracks), None, reason)
        history.write(reading)
    stretch = history.stretch(1, 0, 3 * SECOND + BIN_NS)
    assert runs_of(stretch.unavailable) == [(2, 9)]
    assert stretch.missing[20]
    assert not stretch.missing[-1]


def test_images_that_were_not_analysed_are_counted_where_they_are_missing():
    history = History()
    for index, t_ms in ((0, 0), (1, 33), (5, 200), (6, 233), (4, 266), (9, 400)):
        history.write(reading_of(index, t_ns=t_ms * MS))
    stretch = history.stretch(None, 0, 450 * MS)
    assert stretch.dropped.tolist() == [0, 0, 0, 0, 3, 0, 0, 0, 4]
    history.write(reading_of(90, t_ns=3000 * MS))  # a pause, or a source that was away: a gap
    assert history.stretch(None, 2900 * MS, 3050 * MS).dropped.sum() == 0


def test_each_spike_is_kept_once():
    history = History()
    event = facial_event(0)
    for t_ms in (600, 700, 800):
        reading = reading_of(0, t_ns=t_ms * MS, tracks=[measured(1)[0]])
        history.write(with_micro(reading, {1: [event]}))
    (spike,) = history.spikes(0, SECOND)
    assert spike.track_id == 1
    assert spike.event.apex_ns == event.apex_ns


def test_a_clock_that_was_set_back_begins_anew():
    history = filled()
    history.write(reading_of(0, t_ns=-5 * SECOND, tracks=[measured(1)[0]]))
    assert history.span_ns[0] < 0
    assert len(AU_INTENSITIES) == 17
