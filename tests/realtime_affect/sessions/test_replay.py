"""Replay: what is shown is what was stored."""

from __future__ import annotations

import time

import numpy as np
import pytest

from realtime_affect.outputs.sinks import EventSink, RowSink
from realtime_affect.runtime.reading_source import ReadingSource
from realtime_affect.sessions import Replay
from tests.realtime_affect.sessions.conftest import level_of, readings


def until(condition):
    end = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.005)


def test_replay_returns_the_stored_rows_and_events_byte_for_byte(record, tmp_path):
    session = record(60)
    with Replay(session.folder, live=False) as replay:
        rows = RowSink(tmp_path / "rows.csv", landmarks=False, backfill=False)
        events = EventSink(tmp_path / "events.csv")
        replay.attach(rows)
        replay.attach(events)
        replay.start()
        assert replay.join()
    for name in ("rows.csv", "events.csv"):
        assert (tmp_path / name).read_bytes() == (session.folder / name).read_bytes()
    assert b"micro" in (tmp_path / "events.csv").read_bytes()


@pytest.mark.fault(4)
def test_every_reading_comes_with_the_image_of_its_moment(record):
    session = record()
    with Replay(session.folder, live=False) as replay:
        assert isinstance(replay, ReadingSource)
        replayed = list(replay)
    for stored, shown in zip(readings(), replayed, strict=True):
        assert shown.scene.frame.t_ns == stored.scene.frame.t_ns
        assert abs(level_of(shown.scene.frame.image) - level_of(stored.scene.frame.image)) <= 5


def test_without_a_video_images_are_black_and_everything_else_is_there(record):
    session = record(4, mode="results")
    with Replay(session.folder, live=False) as replay:
        (first, *_) = list(replay)
    assert not first.scene.frame.image.any()
    assert np.array_equal(first.scene.tracks[0].face.mesh.points[0],
                          next(readings(1)).scene.tracks[0].face.mesh.points[0])  # fmt: skip


def test_it_plays_pauses_steps_seeks_changes_speed_and_waits_at_its_end(record):
    session = record(30)
    with Replay(session.folder) as replay:
        slot = replay.subscribe()
        replay.pause(True)
        replay.start()
        slot.get(60)
        assert replay.place == 0
        replay.seek(20)
        until(lambda: slot.get(60).scene.frame.index == 20)
        replay.step(-1)
        assert slot.get(60).scene.frame.index == 19
        assert replay.paused
        replay.seek_ns(replay.times_ns[7] + 1)
        assert slot.get(60).scene.frame.index == 7
        replay.play_at(50.0)
        replay.pause(False)
        until(lambda: replay.paused)
        assert replay.place == 29
        assert replay.running
        replay.pause(False)  # from the beginning
        until(lambda: replay.place < 29 or not replay.paused)
    assert not replay.running
    assert slot.closed


def test_a_neutral_cannot_be_set_in_what_was_measured_long_ago(record):
    with Replay(record(2).folder) as replay:
        assert not replay.can_set_neutral
        assert replay.set_neutral(1).cancelled()
        assert replay.revert_neutral(1).cancelled()
        replay.mark("late")
        assert replay.models == {"action_units": "abc"}
        assert replay.source_warnings == ()
        assert replay.stats().drops == 0
