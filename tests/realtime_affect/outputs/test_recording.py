import csv
import dataclasses
import io
import json
import threading
import time
from functools import partial

import av
import pytest

from realtime_affect import overlay, timeline
from realtime_affect.config import Config
from realtime_affect.errors import InputError, OutputError
from realtime_affect.face.vision import Vision
from realtime_affect.outputs import csv_events as events
from realtime_affect.outputs import csv_rows as record
from realtime_affect.outputs import line_file, video
from realtime_affect.outputs import recording as recording_module
from realtime_affect.outputs.manifest import Manifest
from realtime_affect.outputs.recording import Recording, conclude_run, files_of_run, follow
from realtime_affect.runtime import publisher as publisher_module
from realtime_affect.runtime import sink
from realtime_affect.runtime.pipeline import Pipeline, WorkerError
from realtime_affect.slots import BacklogSlot
from realtime_affect.types import Spotting
from tests.realtime_affect.micro_world import facial_event
from tests.realtime_affect.runtime.test_pipeline import (
    FakeAffect,
    FakeSource,
    PacedSource,
    Progressed,
)
from tests.realtime_affect.world import Person, World

NO_VIDEO = Config().with_values({"record.video": False})


def two_people(index):
    return [Person("a", 200, 150), Person("b", 400, 150)]


def nobody(index):
    return []


def record_run(source, out, config=None, *, live=True, people=two_people, affect=None, **options):
    """Run to the end as the command line does; return the summary and what ended the run."""
    config = config or Config()
    world = World(people)
    vision = Vision(detector=world, mesher=world)
    with Pipeline(source, config, live=live, vision=vision, affect=affect or FakeAffect()) as p:
        files = files_of_run(out, p.source_info.name, video=config.record.video)
        with Recording(p, files, config, "fake") as recording:
            summary = follow(p, recording, **options)
    return summary, recording.failure


class Spotter(FakeAffect):
    """Tells one event of the first face it meets, decided on its frame 27, as the real one does."""

    event = facial_event(200, decided_ns=900_000_000)

    def decide(self, job):
        snapshot = super().decide(job)
        results = {}
        for track_id, result in snapshot.results.items():
            known = track_id == 1 and snapshot.t_ns >= self.event.decided_ns
            micro = Spotting((self.event,) if known else (), "")
            results[track_id] = dataclasses.replace(result, micro=micro)
        return dataclasses.replace(snapshot, results=results)


def rows_of(path):
    with path.open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def pictures_in(path):
    with av.open(str(path)) as container:
        return sum(1 for _ in container.decode(video=0))


def fail_after(n, error):
    """A replacement for a method: works `n` times, then raises."""

    def replace(monkeypatch, owner, name):
        original, calls = getattr(owner, name), []

        def method(*args, **kwargs):
            calls.append(1)
            if len(calls) > n:
                raise error
            return original(*args, **kwargs)

        monkeypatch.setattr(owner, name, method)

    return replace


DISK_FULL = OutputError("output file x", got="No space left", expected="room", hint="Free some.")


def test_offline_every_frame_has_its_rows_and_its_picture(tmp_path):
    summary, failure = record_run(FakeSource(40), tmp_path, live=False)
    assert failure is None
    rows = rows_of(tmp_path / "fake.csv")
    by_frame = {n: [r for r in rows if r["frame"] == str(n)] for n in range(1, 41)}
    assert sum(map(len, by_frame.values())) == len(rows)
    assert all(len(r) >= 1 for r in by_frame.values())
    assert len(by_frame[40]) == 2
    assert pictures_in(tmp_path / "annotated.mp4") == 40
    assert summary.outcome == "complete"
    assert summary.frames == 40
    assert summary.rows == len(rows)
    assert summary.tracks == 2
    assert summary.most_faces == 2
    assert summary.faces == sum(r["success"] == "1" for r in rows)
    assert set(summary.drops) == {"frames", "affect", "rows", "events", "video"}
    assert set(summary.drops.values()) == {0}
    assert summary.duration_s == pytest.approx(39 / 30)
    assert set(summary.files) == {"rows", "video", "timeline"}
    assert all(path.stat().st_size > 0 for path in summary.files.values())


def test_live_rows_miss_nothing_analysed_and_drops_are_named(tmp_path, monkeypatch):
    written, paint = Progressed(), overlay.paint
    write = record.RowWriter.write

    class Affect(FakeAffect):
        def decide(self, job):
            written.wait_for(20)
            return super().decide(job)

    def painted(*args, **how):
        written.wait_for(20)
        return paint(*args, **how)

    def counted(writer, reading):
        write(writer, reading)
        written.add()

    monkeypatch.setattr(overlay, "paint", painted)
    monkeypatch.setattr(record.RowWriter, "write", counted)
    # A frame comes when the rows of the last are written: nothing here depends on speed.
    source = PacedSource(60, lambda index: written.wait_for(index))
    summary, failure = record_run(source, tmp_path, affect=Affect())
    assert failure is None
    rows = rows_of(tmp_path / "fake.csv")
    assert len({r["frame"] for r in rows}) == summary.frames
    assert summary.frames + summary.drops["frames"] == 60
    assert summary.drops["video"] > 0
    assert summary.drops["affect"] > 0
    assert pictures_in(tmp_path / "annotated.mp4") + summary.drops["video"] == summary.frames


@pytest.mark.parametrize("live", [True, False])
def test_a_brief_movement_reaches_rows_events_and_summary(live, tmp_path):
    source = FakeSource(40, every_s=0.004 if live else 0.0)
    summary, failure = record_run(source, tmp_path, NO_VIDEO, live=live, affect=Spotter())
    assert failure is None
    rows = rows_of(tmp_path / "fake.csv")
    assert len(rows) == summary.rows
    marked = [float(r["timestamp"]) for r in rows if r["micro"] == "1" and r["face_id"] == "1"]
    if live:
        assert len(marked) == 1
        assert marked[0] >= 0.9
    else:
        seen = [t for t in (n / 30 for n in range(40)) if 0.2 <= t <= 0.4]
        assert marked == pytest.approx(seen, abs=1e-5)
    (line,) = rows_of(tmp_path / "fake.events.csv")
    assert (line["face_id"], line["kind"], line["onset"]) == ("1", "micro", "0.200000")
    assert dict(summary.events) == {"micro": 1, "macro": 0}
    assert summary.files["events"] == tmp_path / "fake.events.csv"
    conclude_run(Manifest(tmp_path, "run", NO_VIDEO, ["fake"]), summary, failure)
    (entry,) = json.loads((tmp_path / "summary.json").read_text())["inputs"]
    assert entry["events"] == {"micro": 1, "macro": 0}


def test_events_that_cannot_be_written_end_the_run_and_keep_the_rows(tmp_path, monkeypatch):
    fail_after(5, DISK_FULL)(monkeypatch, events.EventWriter, "write")
    summary, failure = record_run(FakeSource(40), tmp_path, NO_VIDEO, live=False, affect=Spotter())
    assert failure is DISK_FULL
    assert len(rows_of(tmp_path / "fake.csv")) == summary.rows >= 5


def test_frames_without_a_face_have_one_row_each(tmp_path):
    summary, _ = record_run(FakeSource(12), tmp_path, NO_VIDEO, live=False, people=nobody)
    rows = rows_of(tmp_path / "fake.csv")
    assert [(r["frame"], r["face_id"], r["success"]) for r in rows] == [
        (str(n), "0", "0") for n in range(1, 13)
    ]
    assert (summary.frames_with_faces, summary.faces, summary.tracks) == (0, 0, 0)
    assert not (tmp_path / "annotated.mp4").exists()


@pytest.mark.parametrize("kind", ["camera", "stream", "gstreamer"])
def test_a_live_clock_counts_from_the_first_frame(kind, tmp_path):
    source = FakeSource(5, kind=kind)
    source.index = 3  # its clock has run before
    record_run(source, tmp_path, NO_VIDEO, live=False)
    rows = rows_of(tmp_path / "fake.csv")
    assert rows[0]["frame"] == "4"
    assert rows[0]["timestamp"] == "0.000000"


def test_a_file_s_clock_is_its_own(tmp_path):
    source = FakeSource(5)
    source.index = 3
    record_run(source, tmp_path, NO_VIDEO, live=False)
    assert rows_of(tmp_path / "fake.csv")[0]["timestamp"] == "0.100000"


def test_stills_name_their_file_and_have_no_tracks(tmp_path):
    summary, _ = record_run(FakeSource(3, kind="stills"), tmp_path, NO_VIDEO, live=False)
    assert next(iter(rows_of(tmp_path / "fake.csv")[0])) == "input"
    assert summary.tracks == 0
    assert summary.faces == 6


def test_an_endless_source_ends_after_the_seconds_asked_for(tmp_path):
    source = FakeSource(None, every_s=0.005)
    summary, failure = record_run(source, tmp_path, NO_VIDEO, seconds=0.3)
    assert failure is None
    assert summary.outcome == "complete"
    assert summary.frames > 0
    assert source.closed


def test_ctrl_c_keeps_every_row_and_says_interrupted(tmp_path):
    source = FakeSource(None, every_s=0.005)

    def interrupt(progress):
        if progress.done > 10 and not seen:
            seen.append(progress)
            raise KeyboardInterrupt

    seen = []
    summary, failure = record_run(source, tmp_path, progress=interrupt)
    assert failure is None
    assert summary.outcome == "interrupted"
    rows = rows_of(tmp_path / "fake.csv")
    assert len(rows) == summary.rows >= 11
    assert pictures_in(tmp_path / "annotated.mp4") > 0
    assert summary.files["timeline"].exists()


def test_progress_tells_frames_and_the_number_expected(tmp_path):
    seen = []
    record_run(FakeSource(20, every_s=0.02), tmp_path, NO_VIDEO, live=False, progress=seen.append)
    assert (seen[-1].name, seen[-1].done, seen[-1].total) == ("fake", 20, 20)


@pytest.mark.parametrize("live", [True, False])
@pytest.mark.parametrize("recorder", [record.RowWriter, video.VideoRecorder])
@pytest.mark.survival(22)
def test_a_full_disk_ends_an_endless_run_and_keeps_the_rest(live, recorder, tmp_path, monkeypatch):
    fail_after(8, DISK_FULL)(monkeypatch, recorder, "write")
    source = FakeSource(None, every_s=0.005)
    summary, failure = record_run(source, tmp_path, live=live)
    assert failure is DISK_FULL
    assert summary.outcome == "failed"
    assert "No space left" in summary.error
    assert len(rows_of(tmp_path / "fake.csv")) >= 8
    assert pictures_in(tmp_path / "annotated.mp4") > 0
    with pytest.raises(OutputError, match="No space left"):
        conclude_run(Manifest(tmp_path, "run", Config(), ["fake"]), summary, failure)
    content = json.loads((tmp_path / "summary.json").read_text())
    assert content["outcome"] == "failed"


def test_an_output_folder_that_is_a_file_fails_before_anything_runs(tmp_path):
    (tmp_path / "file").touch()
    source = FakeSource(5)
    for out in (tmp_path / "file", tmp_path / "file" / "below", "/dev/full"):
        with pytest.raises(OutputError, match=r"output folder .*Name another one with --out"):
            record_run(source, out)
    assert source.index == 0


def test_a_lost_input_ends_the_run_with_its_error_and_keeps_the_rows(tmp_path):
    gone = InputError("stream x", got="end", expected="frames", hint="Start it again.")
    summary, failure = record_run(FakeSource(30, fail_at=9, error=gone), tmp_path, live=False)
    assert failure is gone
    # What was between two workers at that moment (two frames) goes with the workers.
    assert 7 <= summary.frames <= 9
    assert len({r["frame"] for r in rows_of(tmp_path / "fake.csv")}) == summary.frames


def test_a_defect_in_a_worker_leaves_its_traceback_in_a_log(tmp_path):
    summary, failure = record_run(
        FakeSource(30), tmp_path, affect=FakeAffect(fail_at=4), live=False
    )
    assert isinstance(failure, WorkerError)
    with pytest.raises(WorkerError):
        conclude_run(Manifest(tmp_path, "run", Config(), ["fake"]), summary, failure)
    log = (tmp_path / "error.log").read_text()
    assert "ZeroDivisionError" in log
    assert "in the affect worker" in log
    assert json.loads((tmp_path / "summary.json").read_text())["outcome"] == "failed"


def test_a_defect_in_the_painter_ends_the_run_and_is_logged(tmp_path, monkeypatch):
    fail_after(3, ZeroDivisionError("painter"))(monkeypatch, overlay, "paint")
    summary, failure = record_run(FakeSource(None, every_s=0.005), tmp_path)
    with pytest.raises(WorkerError, match="painter"):
        conclude_run(Manifest(tmp_path, "run", Config(), ["fake"]), summary, failure)
    assert "ZeroDivisionError: painter" in (tmp_path / "error.log").read_text()


def test_a_timeline_that_cannot_be_drawn_is_a_warning(tmp_path, monkeypatch):
    fail_after(0, ZeroDivisionError("plot"))(monkeypatch, timeline, "plot_timeline")
    summary, failure = record_run(FakeSource(5), tmp_path, NO_VIDEO, live=False)
    assert failure is None
    assert summary.outcome == "complete"
    assert any("no timeline: ZeroDivisionError('plot')" in w for w in summary.warnings)


def test_the_summary_holds_counts_drops_stages_config_and_versions(tmp_path):
    summary, failure = record_run(FakeSource(20), tmp_path, NO_VIDEO, live=False)
    conclude_run(Manifest(tmp_path, "run", NO_VIDEO, ["fake"]), summary, failure)
    content = json.loads((tmp_path / "summary.json").read_text())
    assert content["command"] == "run"
    assert content["outcome"] == "complete"
    (entry,) = content["inputs"]
    assert entry["frames"] == 20
    assert entry["drops"] == {"frames": 0, "affect": 0, "rows": 0, "events": 0}
    assert set(entry["stage_ms"]["vision"]) == {"n", "p50", "p90", "p95", "p99", "max"}
    assert entry["files"]["rows"].endswith("fake.csv")
    assert content["config"]["record"]["video"] is False
    assert content["versions"]["numpy"]
    assert not list(tmp_path.glob(".*")), "no temporary file is left"


def test_a_password_in_a_url_is_not_written(tmp_path):
    world = World(nobody)
    vision = Vision(detector=world, mesher=world)
    with Pipeline(FakeSource(3), live=False, vision=vision, affect=FakeAffect()) as pipeline:
        files = files_of_run(tmp_path, "x", video=False)
        with Recording(pipeline, files, NO_VIDEO, "rtsp://me:secret@host/a") as recording:
            summary = follow(pipeline, recording)
    assert summary.input == "rtsp://***@host/a"


def test_a_recording_left_before_its_pipeline_starts_does_not_hang(tmp_path):
    world = World(nobody)
    vision = Vision(detector=world, mesher=world)
    with Pipeline(FakeSource(3), live=False, vision=vision, affect=FakeAffect()) as pipeline:
        files = files_of_run(tmp_path, "x", video=True)
        with Recording(pipeline, files, Config(), "x") as recording:
            summary = recording.finish()
    assert summary.frames == 0
    assert rows_of(tmp_path / "x.csv") == []


class StallingFile(io.FileIO):
    """A file on a disk that stalls: writes after the header's wait while the gate is shut."""

    gate = threading.Event()

    def write(self, data):
        if not bytes(data).startswith(b"frame"):
            assert self.gate.wait(60)
        return super().write(data)


@pytest.fixture
def disk(monkeypatch):
    """A disk whose stall takes made-up time; also the clock, in nanoseconds, in a list."""
    clock = [0]
    monkeypatch.setattr(sink, "BacklogSlot", partial(BacklogSlot, clock=lambda: clock[0]))
    monkeypatch.setattr(line_file, "_FLUSH_NS", -1)  # every row goes to the disk at once
    monkeypatch.setattr(line_file.io, "FileIO", StallingFile)
    monkeypatch.setattr(StallingFile, "gate", threading.Event())
    return clock


def record_on(disk, out, n, at):
    """Record `n` frames, 5 a second of the made-up clock; call ``at[index](rows)`` before each."""
    world = World(nobody)
    vision = Vision(detector=world, mesher=world)
    analysed = Progressed()

    class Seen:
        def open(self, info):
            pass

        def write(self, reading):
            analysed.add()

        def close(self):
            pass

    def wait(index):
        analysed.wait_for(index)
        if index in at:
            at[index](recording)
        disk[0] = index * 200_000_000

    with Pipeline(PacedSource(n, wait), vision=vision, affect=FakeAffect()) as pipeline:
        pipeline.attach(Seen(), depth_s=1e6)
        files = files_of_run(out, "fake", video=False)
        manifest = Manifest(out, "run", NO_VIDEO, ["fake"], pipeline.models)
        with Recording(pipeline, files, NO_VIDEO, "fake", manifest) as recording:
            summary = follow(pipeline, recording)
        conclude_run(manifest, summary, recording.failure)
        assert pipeline.stats().drops == 0, "the disk held up nothing"
    return summary


def until_written(recording, n):
    end = time.monotonic() + 60
    while recording.frames < n:
        assert time.monotonic() < end, f"{recording.frames} of {n}"
        time.sleep(0.005)


@pytest.mark.survival(22, stand_in="a write that waits")
def test_a_disk_that_stalls_five_seconds_loses_no_row(disk, tmp_path):
    summary = record_on(disk, tmp_path, 32, {25: lambda _: StallingFile.gate.set()})
    rows = rows_of(tmp_path / "fake.csv")
    assert {int(row["frame"]) for row in rows} == set(range(1, 33))
    assert summary.frames == 32
    assert summary.drops["rows"] == 0
    assert summary.sinks["rows"].gaps == ()


def test_a_disk_that_stalls_longer_loses_counted_rows_and_the_manifest_says_where(disk, tmp_path):
    seen = []

    def go_on(recording):
        StallingFile.gate.set()
        until_written(recording, 30)  # the oldest that waits is 7 s old by now

    def look(recording):
        until_written(recording, 55)  # beyond the gap
        seen.append(json.loads((tmp_path / "summary.json").read_text()))

    summary = record_on(disk, tmp_path, 80, {65: go_on, 75: look})
    (gap,) = summary.sinks["rows"].gaps
    assert gap.readings == summary.drops["rows"] > 0
    written = {int(row["frame"]) for row in rows_of(tmp_path / "fake.csv")}
    lost = set(range(gap.first_frame, gap.last_frame + 1))
    assert written | lost == set(range(1, 81))
    assert not written & lost
    assert (gap.first_frame, gap.last_frame) == (53, 65), "ten seconds are kept"
    (running,) = seen
    assert running["outcome"] == "running", "the run may be killed before its end"
    (entry,) = running["inputs"]
    assert entry["sinks"]["rows"]["gaps"] == [dataclasses.asdict(gap)]
    (entry,) = json.loads((tmp_path / "summary.json").read_text())["inputs"]
    assert entry["sinks"]["rows"]["gaps"] == [dataclasses.asdict(gap)]
    assert entry["sinks"]["rows"]["drops"] == gap.readings


def test_a_live_run_ends_though_its_disk_hangs(disk, tmp_path, monkeypatch):
    for module in (recording_module, publisher_module):
        monkeypatch.setattr(module, "STALL_S", 2.0)
    with pytest.raises(OutputError, match="output rows: got nothing written for 2 s"):
        record_on(disk, tmp_path, 12, {})
    (entry,) = json.loads((tmp_path / "summary.json").read_text())["inputs"]
    assert entry["outcome"] == "failed"
    StallingFile.gate.set()
