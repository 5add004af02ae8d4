"""Recording: clean video, every reading, and what happens when something breaks."""

from __future__ import annotations

import csv
import datetime
import os
import shutil
import struct
import threading
import time

import numpy as np
import pytest

from realtime_affect.config import Config
from realtime_affect.errors import InputError, OutputError
from realtime_affect.outputs.video import VideoRecorder
from realtime_affect.sessions import Replay
from realtime_affect.sessions.recorder import SessionRecorder, blur_faces
from realtime_affect.sessions.repair import open_session
from realtime_affect.sessions.video_reader import VideoReader
from tests.affect_gui.conftest import measured, reading_of
from tests.realtime_affect.sessions.conftest import (
    HEIGHT,
    WIDTH,
    Scripted,
    close_without_finishing,
    level_of,
    readings,
)


@pytest.mark.fault(4)
def test_the_video_is_clean_and_keeps_the_variable_times_of_its_source(record):
    session = record()
    video = VideoReader(session.folder / "video.mp4")
    for reading in readings():
        frame = reading.scene.frame
        image = video.image_at(frame.t_ns, (WIDTH, HEIGHT))
        assert image.shape == (HEIGHT, WIDTH, 3)
        assert abs(level_of(image) - level_of(frame.image)) <= 5
        assert int(np.ptp(image[:, :, 1])) < 12  # nothing is painted on it
    assert video.image_at(reading.scene.frame.t_ns + 2_000_000_000, (WIDTH, HEIGHT)) is None
    video.close()


@pytest.mark.fault(7)
def test_the_first_row_is_in_pixels_of_the_source_like_every_other(record):
    expected = next(readings(1)).scene.tracks[0].xyxy
    with (record(3).folder / "rows.csv").open(encoding="utf-8", newline="") as stream:
        first = next(csv.DictReader(stream))
    x, y, w, h = (float(first[name]) for name in ("x", "y", "w", "h"))
    assert first["frame"] == "1"
    np.testing.assert_allclose([x, y, x + w, y + h], expected, atol=0.1)


def test_moments_are_found_in_any_order(record):
    session = record(60)
    video = VideoReader(session.folder / "video.mp4")
    frames = [reading.scene.frame for reading in readings(60)]
    for n in (50, 3, 59, 0, 31, 30, 32):
        image = video.image_at(frames[n].t_ns, (WIDTH, HEIGHT))
        assert abs(level_of(image) - level_of(frames[n].image)) <= 5, n
    video.close()


@pytest.mark.fault(8)
def test_moments_at_the_rate_of_ntsc_are_found_in_their_place(store):
    source = Scripted()
    recorder = SessionRecorder(source, store, Config(), "0")
    times_ns = [round(n * 1001 / 30_000 * 1e9) for n in range(40)]
    for n, t_ns in enumerate(times_ns):
        source.put(reading_of(n, level=20 + 5 * n, width=WIDTH, height=HEIGHT, t_ns=t_ns))
    video = VideoReader(recorder.finish().folder / "video.mp4")
    for n in (35, 1, 20, 39):
        image = video.image_at(times_ns[n], (WIDTH, HEIGHT))
        assert abs(video.time_ns - times_ns[n]) < 1_000_000
        assert abs(level_of(image) - (20 + 5 * n)) <= 5
    video.close()


def test_results_only_sessions_have_no_video(record):
    session = record(4, mode="results")
    assert not (session.folder / "video.mp4").exists()
    assert session.mode == "results"


def test_in_blurred_sessions_tracked_faces_are_blocks_and_the_rest_stays():
    noise = np.random.default_rng(1).integers(0, 255, (180, 320, 3)).astype(np.uint8)
    track, _ = measured(1, x=60, y=40, size=100)
    blurred = blur_faces(noise, (track,))
    x0, y0, x1, y1 = np.rint(track.xyxy).astype(int)
    inside = blurred[y0:y1, x0:x1].reshape(-1, 3)
    assert len(np.unique(inside, axis=0)) <= 64
    assert (blurred[:, 250:] == noise[:, 250:]).all()
    assert (blurred != noise).any()


def test_a_session_that_was_killed_is_recognised_and_made_whole(record, monkeypatch):
    recorder = record(40, finish=False)
    whole = recorder.session.folder
    close_without_finishing(recorder)
    killed = whole.with_name("killed")
    shutil.copytree(whole, killed)
    rows = (killed / "rows.csv").read_bytes()
    (killed / "rows.csv").write_bytes(rows[: len(rows) // 2])  # half a row at its end
    video = (killed / "video.mp4").read_bytes()
    (killed / "video.mp4").write_bytes(video[: int(len(video) * 0.8)])
    monkeypatch.setattr("realtime_affect.sessions.store.Session.in_use", False)
    session = open_session(killed)
    assert session.outcome == "interrupted"
    assert "repaired" in session.content["inputs"][0]["error"]
    assert (killed / "rows.csv").read_bytes() == rows
    reader = VideoReader(killed / "video.mp4")
    first = next(iter(readings())).scene.frame
    assert reader.image_at(first.t_ns, (WIDTH, HEIGHT)) is not None
    reader.close()
    assert open_session(killed).outcome == "interrupted"


def test_a_session_under_way_is_not_opened(record):
    recorder = record(2, finish=False)
    with pytest.raises(InputError, match="being recorded"):
        open_session(recorder.session.folder)
    recorder.finish()


@pytest.mark.parametrize("part", ["log", "video"])
def test_a_full_disk_ends_the_session_and_says_so_and_not_the_run(record, monkeypatch, part):
    import sqlite3

    from realtime_affect.outputs.video import VideoRecorder
    from realtime_affect.sessions import reading_log

    def full(*_):
        if part == "log":
            message = "database or disk is full"
            raise sqlite3.OperationalError(message)
        message = "No space left on device"
        raise OutputError("video.mp4", got=message, expected="space", hint="Free some.")

    if part == "log":
        monkeypatch.setattr(reading_log, "encode", full)
    else:
        monkeypatch.setattr(VideoRecorder, "write", full)
    session = record(6)
    assert session.outcome == "failed"
    assert "full" in session.content["inputs"][0]["error"] or "space" in str(session.content)


def test_a_folder_that_is_gone_is_noticed_and_said(record):
    recorder = record(6, finish=False)
    shutil.rmtree(recorder.session.folder)
    with pytest.raises(OutputError, match="gone"):
        recorder._results.flush()
    close_without_finishing(recorder)
    with pytest.raises(OutputError, match="still there"):
        recorder.finish()


@pytest.mark.fault(5)
def test_a_video_that_hangs_holds_up_neither_the_source_nor_the_results(store, monkeypatch):
    hanging = threading.Event()
    monkeypatch.setattr(VideoRecorder, "write", lambda *_: hanging.wait(60))
    source = Scripted(lossless=False)
    recorder = SessionRecorder(source, store, Config(), "0")
    for reading in readings(60):
        source.put(reading)  # as a pipeline publishes: what waits here starves the detection
    end_s = time.monotonic() + 60
    while recorder.stats()["results"].written < 60 and time.monotonic() < end_s:
        time.sleep(0.01)
    stats = recorder.stats()
    assert stats["results"].written == 60
    assert stats["video"].written == 0
    hanging.set()
    assert recorder.finish().content["inputs"][0]["frames"] == 60


def test_hours_of_sleep_and_a_wall_clock_set_back_leave_one_session_that_plays(store, monkeypatch):
    source = Scripted()
    recorder = SessionRecorder(source, store, Config(), "0")
    before = list(readings(8))
    slept_ns = 8 * 3600 * 10**9
    after = list(readings(8, start_ns=before[-1].scene.frame.t_ns + slept_ns))
    for reading in before:
        source.put(reading)
    elapsed_s = recorder.elapsed_s

    class SetBack(datetime.datetime):
        @classmethod
        def now(cls, tz=None):
            return datetime.datetime(2001, 1, 1, tzinfo=tz)

    monkeypatch.setattr("realtime_affect.sessions.recorder.datetime", SetBack)
    for reading in after:
        source.put(reading)
    assert recorder.elapsed_s >= elapsed_s
    session = recorder.finish()
    assert session.outcome == "complete"
    with Replay(session.folder, live=False) as replay:
        shown = list(replay)
    assert [r.scene.frame.t_ns for r in shown] == [r.scene.frame.t_ns for r in before + after]
    for stored, played in zip(before + after, shown, strict=True):
        assert abs(level_of(stored.scene.frame.image) - level_of(played.scene.frame.image)) < 8
    with Replay(session.folder) as replay:  # the night is not sat through
        slot = replay.subscribe()
        replay.seek(7)
        replay.start()
        while slot.get(60).scene.frame.t_ns < after[0].scene.frame.t_ns:
            pass


def test_a_video_longer_than_4_gb_is_read_by_its_times(record):
    """Its fragments lie beyond a hole: whatever counts bytes in 32 bits, or from 0, is lost."""
    video = record(24).folder / "video.mp4"
    whole = video.read_bytes()
    cut = whole.index(b"moof") - 4
    end = whole.rindex(b"mfra") - 4 if b"mfra" in whole else len(whole)
    hole = 5 << 30
    with video.open("wb") as file:
        file.write(whole[:cut])
        file.write(struct.pack(">I4sQ", 1, b"free", hole))  # a box of 64 bits
        file.seek(hole - 16, os.SEEK_CUR)
        file.write(whole[cut:end])
    assert video.stat().st_size > hole
    reader = VideoReader(video)
    for index in (0, 20, 3):
        wanted = list(readings(24))[index].scene.frame
        image = reader.image_at(wanted.t_ns, (WIDTH, HEIGHT))
        assert image is not None
        assert abs(level_of(image) - level_of(wanted.image)) < 8
    reader.close()
