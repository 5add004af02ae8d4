import csv
import json
import math

import cv2
import numpy as np
import pytest

from realtime_affect import analysis as analysis_module
from realtime_affect import analyze
from realtime_affect.config import Config
from realtime_affect.errors import InputError, InputMissingError, OutputError, UsageError
from realtime_affect.face.vision import Vision
from realtime_affect.outputs.csv_rows import RowWriter
from realtime_affect.outputs.video import VideoRecorder
from realtime_affect.runtime.analysers import Analysers
from tests.realtime_affect.outputs.test_recording import Spotter
from tests.realtime_affect.runtime.test_pipeline import FakeAffect
from tests.realtime_affect.world import Person, World


class SeenEverywhere(World):
    """Two people in every image, whatever its size: images from files carry no number."""

    def __init__(self):
        super().__init__(lambda index: [Person("a", 200, 150), Person("b", 400, 150)])
        self.seen = 0

    def detect(self, image, thorough=False):
        return super().detect(np.zeros((360, 640, 3), np.uint8), thorough)

    def estimate(self, image, region):
        return super().estimate(np.zeros((360, 640, 3), np.uint8), region)


def made_with(affect):
    """A way to open analysers in which only the networks are made up."""

    def make(config):
        world = SeenEverywhere()
        vision = Vision(config.detect, config.track, detector=world, mesher=world)
        return Analysers(config, vision=vision, affect=affect())

    return make


@pytest.fixture(autouse=True)
def fake_networks(monkeypatch):
    """Real files, real threads, real tracking."""
    monkeypatch.setattr(analysis_module, "Analysers", made_with(FakeAffect))


def picture(index, height=90, width=160):
    image = np.full((height, width, 3), 90, np.uint8)
    image[:, (3 * index) % width] = 255
    return image


def video(path, n=12):
    path.parent.mkdir(parents=True, exist_ok=True)
    recorder = VideoRecorder(path, 25)
    for index in range(n):
        recorder.write(picture(index), index * 40_000_000)
    recorder.close()
    return path


def still(path, shape=(90, 160, 3)):
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), np.full(shape, 90, np.uint8))
    return path


def rows_of(path):
    with path.open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def summary_of(out):
    return json.loads((out / "summary.json").read_text())


def test_every_frame_of_a_video_has_its_rows(tmp_path):
    done = analyze(video(tmp_path / "clip.mp4"), tmp_path / "out")
    rows = rows_of(tmp_path / "out" / "clip.csv")
    assert sorted({int(row["frame"]) for row in rows}) == list(range(1, 13))
    assert [row["face_id"] for row in rows if row["frame"] == "12"] == ["1", "2"]
    assert next(row["timestamp"] for row in rows if row["frame"] == "3") == "0.080000"
    (summary,) = done.inputs
    assert (summary.frames, summary.rows, summary.outcome) == (12, len(rows), "complete")
    assert set(summary.drops.values()) == {0}
    assert done.outcome == "complete"
    assert {path.name for path in done.out.iterdir()} == {
        *("clip.csv", "clip.timeline.png", "summary.json")
    }


@pytest.mark.survival(25)
def test_twice_the_same_input_gives_the_same_bytes(tmp_path):
    inputs = [video(tmp_path / "clip.mp4", 40), still(tmp_path / "face.png")]
    for name in "ab":
        analyze(inputs, tmp_path / name, landmarks=True, timeline=False)
    for name in ("clip.csv", "images.csv"):
        first = (tmp_path / "a" / name).read_bytes()
        assert first == (tmp_path / "b" / name).read_bytes()
        assert len(first) > 10_000


def test_brief_movements_too_give_the_same_bytes_every_time(tmp_path, monkeypatch):
    monkeypatch.setattr(analysis_module, "Analysers", made_with(Spotter))
    clip = video(tmp_path / "clip.mp4", 40)
    for name in "ab":
        done = analyze(clip, tmp_path / name, timeline=False)
    for name in ("clip.csv", "clip.events.csv"):
        first = (tmp_path / "a" / name).read_bytes()
        assert first == (tmp_path / "b" / name).read_bytes()
    assert sum(row["micro"] == 1 for row in done.rows()) == 6
    assert len(rows_of(done.out / "clip.events.csv")) == 1
    with pytest.raises(UsageError, match="a path that is also an input"):
        analyze(video(tmp_path / "clip.events.csv", 2), tmp_path, timeline=False)


def test_videos_pictures_and_folders_may_be_mixed(tmp_path):
    folder = tmp_path / "folder"
    video(folder / "inside.mp4", 3)
    still(folder / "b.png")
    still(folder / "a.jpg")
    (folder / "notes.txt").write_text("no medium")
    inputs = [still(tmp_path / "first.png"), folder, video(tmp_path / "clip.mp4", 3)]
    done = analyze([str(path) for path in inputs], tmp_path / "out", timeline=False)
    assert {path.name for path in done.out.iterdir()} == {
        *("inside.csv", "clip.csv", "images.csv", "summary.json")
    }
    images = rows_of(done.out / "images.csv")
    assert next(iter(images[0])) == "input"
    assert [row["input"] for row in images] == [
        name for name in ("first.png", "a.jpg", "b.png") for _ in range(2)
    ]
    assert [summary.frames for summary in done.inputs] == [3, 3, 3]


def test_videos_of_one_stem_get_names_of_their_own(tmp_path):
    inputs = [video(tmp_path / "a" / "clip.mp4", 2), video(tmp_path / "b" / "clip.mp4", 3)]
    inputs += [video(tmp_path / "CLIP.mkv.mp4", 4), video(tmp_path / "images.mp4", 5)]
    inputs += [video(tmp_path / "c" / "Clip.mp4", 6)]
    done = analyze(inputs, tmp_path / "out", timeline=False)
    names = [summary.files["rows"].name for summary in done.inputs]
    assert names == ["clip.csv", "clip-2.csv", "CLIP.mkv.csv", "images-2.csv", "Clip-3.csv"]
    entries = summary_of(done.out)["inputs"]
    assert [entry["frames"] for entry in entries] == [2, 3, 4, 5, 6]


def test_the_painted_video_comes_on_demand_with_every_frame(tmp_path):
    import av

    done = analyze(video(tmp_path / "clip.mp4", 9), tmp_path / "out", annotate=True)
    with av.open(str(done.out / "clip.annotated.mp4")) as container:
        assert sum(1 for _ in container.decode(video=0)) == 9


def test_rows_are_read_back_with_types(tmp_path):
    inputs = [video(tmp_path / "clip.mp4", 4), still(tmp_path / "face.png")]
    rows = list(analyze(inputs, tmp_path / "out", timeline=False).rows())
    assert {row["input"] for row in rows} == {"clip.mp4", "face.png"}
    last = [row for row in rows if row["input"] == "clip.mp4"][-1]
    assert (last["frame"], last["face_id"], last["success"]) == (4, 2, 1)
    assert last["timestamp"] == pytest.approx(0.12)
    assert math.isnan(last["AU23_r"]) or 0 <= last["AU23_r"] <= 5


def test_a_bad_input_among_many_is_reported_and_the_others_go_on(tmp_path):
    (tmp_path / "text.mp4").write_text("not a video")
    (tmp_path / "empty.mp4").touch()
    (tmp_path / "torn.jpg").write_bytes(b"\xff\xd8\xff\xe0 torn")
    inputs = [tmp_path / "missing.mp4", tmp_path / "text.mp4", video(tmp_path / "good.mp4", 5)]
    inputs += [tmp_path / "empty.mp4", still(tmp_path / "fine.png"), tmp_path / "torn.jpg"]
    done = analyze(inputs, tmp_path / "out", timeline=False)
    assert done.outcome == "failed"
    assert all(isinstance(failure, InputError) for failure in done.failures)
    assert len(rows_of(done.out / "good.csv")) >= 5
    assert {row["input"] for row in rows_of(done.out / "images.csv")} >= {"fine.png"}
    entries = summary_of(done.out)["inputs"]
    failed = [entry for entry in entries if entry["outcome"] == "failed"]
    names = " ".join(entry["input"] + entry["error"] for entry in failed)
    assert all(name in names for name in ("missing.mp4", "text.mp4", "empty.mp4"))
    assert "torn.jpg" in json.dumps(entries)
    assert summary_of(done.out)["outcome"] == "failed"


def test_if_no_input_can_be_read_the_first_error_is_raised(tmp_path):
    with pytest.raises(InputMissingError, match=r"missing\.mp4"):
        analyze([tmp_path / "missing.mp4", tmp_path / "too.mp4"], tmp_path / "out")
    assert len(summary_of(tmp_path / "out")["inputs"]) == 2


@pytest.mark.parametrize("content", [b"", b"\x00" * 5000])
def test_a_file_without_a_frame_is_an_input_error(content, tmp_path):
    (tmp_path / "clip.mp4").write_bytes(content)
    with pytest.raises(InputError, match=r"clip\.mp4"):
        analyze(tmp_path / "clip.mp4", tmp_path / "out")


def test_an_empty_folder_is_an_input_error(tmp_path):
    (tmp_path / "nothing").mkdir()
    with pytest.raises(InputError, match="nothing"):
        analyze(tmp_path / "nothing", tmp_path / "out")


def test_a_truncated_video_gives_its_rows_and_a_warning(tmp_path):
    content = video(tmp_path / "whole.mp4", 100).read_bytes()
    (tmp_path / "cut.mp4").write_bytes(content[: len(content) * 2 // 3])
    done = analyze(tmp_path / "cut.mp4", tmp_path / "out", timeline=False)
    (summary,) = done.inputs
    assert 20 < summary.frames < 100
    assert summary.outcome == "complete"
    assert summary.warnings
    assert summary_of(done.out)["inputs"][0]["warnings"] == list(summary.warnings)


@pytest.mark.parametrize("shape", [(1, 1, 3), (91, 161), (90, 160, 4), (4320, 7680, 3)])
def test_pictures_of_any_size_and_kind_are_analysed(shape, tmp_path):
    done = analyze(still(tmp_path / "face.png", shape), tmp_path / "out")
    assert done.inputs[0].frames == 1
    assert rows_of(done.out / "images.csv")[0]["input"] == "face.png"


def test_a_folder_that_cannot_be_written_fails_before_any_input_is_opened(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="output folder"):
        analyze(tmp_path / "missing.mp4", tmp_path / "file")


def test_a_full_disk_ends_everything_and_keeps_the_rest(tmp_path, monkeypatch):
    inputs = [video(tmp_path / "a.mp4", 6), video(tmp_path / "b.mp4", 6), video(tmp_path / "c.mp4")]
    full = OutputError("output file b.csv", got="No space", expected="room", hint="Free some.")
    original, written = RowWriter.write, []

    def write(writer, reading):
        if len(written) == 9:
            raise full
        written.append(reading)
        return original(writer, reading)

    monkeypatch.setattr(RowWriter, "write", write)
    with pytest.raises(OutputError, match="No space"):
        analyze(inputs, tmp_path / "out", timeline=False)
    assert len({row["frame"] for row in rows_of(tmp_path / "out" / "a.csv")}) == 6
    assert len({row["frame"] for row in rows_of(tmp_path / "out" / "b.csv")}) == 3
    outcomes = [entry["outcome"] for entry in summary_of(tmp_path / "out")["inputs"]]
    assert outcomes == ["complete", "failed"]


def test_ctrl_c_keeps_what_was_written_and_begins_nothing_new(tmp_path):
    inputs = [video(tmp_path / "a.mp4", 300), video(tmp_path / "b.mp4", 5)]

    def interrupt(progress):
        if progress.done and not seen:
            seen.append(progress)
            raise KeyboardInterrupt

    seen = []
    done = analyze(inputs, tmp_path / "out", timeline=False, progress=interrupt)
    assert done.interrupted
    assert done.outcome == summary_of(done.out)["outcome"] == "interrupted"
    (summary,) = done.inputs
    assert summary.rows == len(rows_of(done.out / "a.csv")) > 0
    assert not (done.out / "b.csv").exists()


def test_a_defect_with_one_input_is_logged_and_the_others_go_on(tmp_path, monkeypatch):
    inputs = [video(tmp_path / "a.mp4", 6), video(tmp_path / "b.mp4", 6)]
    made = []

    def broken_once():
        made.append(FakeAffect(fail_at=None if made else 2))
        return made[-1]

    monkeypatch.setattr(analysis_module, "Analysers", made_with(broken_once))
    done = analyze(inputs, tmp_path / "out", timeline=False)
    assert [summary.outcome for summary in done.inputs] == ["failed", "complete"]
    assert "ZeroDivisionError" in (done.out / "error.log").read_text()
    assert made[0].closed, "networks that an internal error went through are not used again"


def test_a_result_never_replaces_an_input(tmp_path):
    first, second = video(tmp_path / "a.mp4", 2), video(tmp_path / "a.annotated.mp4", 2)
    before = second.read_bytes()
    with pytest.raises(UsageError, match="a path that is also an input"):
        analyze([first, second], tmp_path, annotate=True)
    assert second.read_bytes() == before


def test_no_input_at_all_is_a_usage_error(tmp_path):
    with pytest.raises(UsageError, match="inputs to analyse: got none"):
        analyze([], tmp_path)


def test_landmarks_may_be_asked_for_by_config_too(tmp_path):
    config = Config().with_values({"record.landmarks": True})
    done = analyze(still(tmp_path / "face.png"), tmp_path / "out", config)
    assert rows_of(done.out / "images.csv")[0]["z_467"]


def test_the_networks_are_opened_once_and_each_input_starts_anew(tmp_path, monkeypatch):
    opened = []

    def spotter():
        opened.append(Spotter())
        return opened[-1]

    monkeypatch.setattr(analysis_module, "Analysers", made_with(spotter))
    inputs = [video(tmp_path / f"{name}.mp4", 40) for name in "abc"]
    analyze(inputs, tmp_path / "together", timeline=False)
    assert len(opened) == 1
    assert opened[0].closed
    for path in inputs:
        analyze(path, tmp_path / "apart", timeline=False)
    assert len(opened) == 4
    for name in ("a.csv", "b.csv", "c.csv", "c.events.csv"):
        together = (tmp_path / "together" / name).read_bytes()
        assert together == (tmp_path / "apart" / name).read_bytes()


def test_without_an_input_that_can_be_read_no_network_is_opened(tmp_path, monkeypatch):
    monkeypatch.setattr(analysis_module, "Analysers", None)
    with pytest.raises(InputMissingError):
        analyze(tmp_path / "missing.mp4", tmp_path / "out")


@pytest.mark.usefixtures("models")
@pytest.mark.timeout(170)  # real networks, on a machine that may be busy
def test_real_networks_used_for_several_inputs_give_the_bytes_of_separate_runs(
    tmp_path, monkeypatch
):
    from realtime_affect.capture import open_source

    monkeypatch.setattr(analysis_module, "Analysers", Analysers)
    inputs = []
    for name in "ab":
        recorder = VideoRecorder(tmp_path / f"{name}.mp4", 25)
        source = open_source("demo", live=False)
        for _ in range(40):
            frame = source.read(60)
            recorder.write(frame.image, frame.t_ns)
        recorder.close()
        source.close()
        inputs.append(tmp_path / f"{name}.mp4")
    analyze(inputs, tmp_path / "together", timeline=False)
    analyze(inputs[1], tmp_path / "apart", timeline=False)
    together = (tmp_path / "together" / "b.csv").read_bytes()
    assert together == (tmp_path / "apart" / "b.csv").read_bytes()
    assert together == (tmp_path / "together" / "a.csv").read_bytes()
    assert b"happiness" in together or b"neutral" in together
    models = summary_of(tmp_path / "together")["models"]
    assert len(models["face_mesh"]) == 64


@pytest.mark.survival(9)
def test_no_failure_of_one_input_ends_a_batch(tmp_path, monkeypatch):
    inputs = [video(tmp_path / f"{name}.mp4", 4) for name in "abc"]
    opened = analysis_module.Pipeline

    def make(source, *args, **kwargs):
        if "b.mp4" in str(source):
            raise {"a.mp4": AttributeError("no codec")}["a.mp4"]
        if "c.mp4" in str(source):
            raise MemoryError
        return opened(source, *args, **kwargs)

    monkeypatch.setattr(analysis_module, "Pipeline", make)
    done = analyze(inputs, tmp_path / "out", timeline=False)
    assert [summary.outcome for summary in done.inputs] == ["complete", "failed", "failed"]
    assert "no codec" in done.inputs[1].error
    assert "do not fit into the memory" in done.inputs[2].error
    assert "AttributeError" in (done.out / "error.log").read_text()
    assert summary_of(done.out)["outcome"] == "failed"


def test_where_all_inputs_fail_each_is_named(tmp_path):
    with pytest.raises(InputMissingError, match=r"a\.mp4.*Neither.*b\.mp4: no such.*c\.mp4"):
        analyze([tmp_path / f"{name}.mp4" for name in "abc"], tmp_path / "out")


def test_one_file_after_the_other_into_one_folder_keeps_all(tmp_path):
    for name in "ab":
        video(tmp_path / name / "clip.mp4", 3)
        analyze(tmp_path / name / "clip.mp4", tmp_path / "out", timeline=False)
    out = tmp_path / "out"
    assert {path.name for path in out.iterdir()} == {
        *("clip.csv", "clip-2.csv", "summary.json", "summary-1.json")
    }
    analyze(tmp_path / "b" / "clip.mp4", out, timeline=False)  # anew: replaces its own
    assert not (out / "clip-3.csv").exists()
    (out / "notes.txt").write_text("mine")
    done = analyze(tmp_path / "a", out, timeline=False)
    assert done.left_out == ()
    assert summary_of(out)["left_out"] == []


def test_a_run_that_is_killed_leaves_a_record_that_says_so(tmp_path, monkeypatch):
    def killed(*args, **kwargs):
        raise SystemExit

    monkeypatch.setattr(analysis_module, "follow", killed)
    with pytest.raises(SystemExit):
        analyze(video(tmp_path / "clip.mp4", 3), tmp_path / "out")
    entry = summary_of(tmp_path / "out")["inputs"][0]
    assert summary_of(tmp_path / "out")["outcome"] == "interrupted"
    assert entry["files"]["rows"].endswith("clip.csv")
