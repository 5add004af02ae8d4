"""The installed command, its real networks and real signals, on small files made here."""

import csv
import json
import os
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import av
import cv2
import numpy as np
import pytest
from typer.testing import CliRunner

from realtime_affect.cli.main import app
from realtime_affect.outputs.video import VideoRecorder

pytestmark = pytest.mark.usefixtures("models")

COMMAND = [
    sys.executable,
    "-c",
    # Where the tests run in a shell's background, children inherit an ignored Ctrl-C.
    "import signal; signal.signal(signal.SIGINT, signal.default_int_handler);"
    "from realtime_affect.cli.main import main; main()",
]


@pytest.fixture(scope="session")
def astronaut():
    """A face in the public domain, BGR (512, 512, 3)."""
    data = pytest.importorskip("skimage.data", reason="scikit-image is not installed")
    return np.ascontiguousarray(data.astronaut()[:, :, ::-1])


@pytest.fixture
def environment(tmp_path):
    """No display, no settings of the tester, plain output."""
    keep = {name: value for name, value in os.environ.items() if "DISPLAY" not in name}
    keep.pop("QT_QPA_PLATFORM", None)
    return {
        **keep,
        "PYTHONPATH": os.pathsep.join(sys.path),
        "XDG_CONFIG_HOME": str(tmp_path / "config"),
        "COLUMNS": "200",
    }


@pytest.fixture
def call(environment, tmp_path):
    def run(*arguments, **options):
        return subprocess.run(
            [*COMMAND, *map(str, arguments)],
            env=environment,
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=250,
            check=False,
            **options,
        )

    return run


@pytest.fixture
def call_here(environment, tmp_path, monkeypatch):
    """The command in this process, for what ends before anything is analysed."""
    monkeypatch.chdir(tmp_path)
    for name in set(os.environ) - set(environment):
        monkeypatch.delenv(name)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)

    def run(*arguments):
        done = CliRunner().invoke(app, list(map(str, arguments)))
        return SimpleNamespace(returncode=done.exit_code, stdout=done.stdout, stderr=done.stderr)

    return run


def clip(path, image, n):
    """A video of `image` that moves a little from frame to frame."""
    recorder = VideoRecorder(path, 25)
    for index in range(n):
        shift = 6 * np.sin(index / 9)
        move = np.array([[1, 0, shift], [0, 1, -shift]], np.float32)
        moved = cv2.warpAffine(image, move, image.shape[1::-1], borderMode=cv2.BORDER_REPLICATE)
        recorder.write(moved, index * 40_000_000)
    recorder.close()
    return path


def rows_of(path):
    with path.open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def summary_of(out):
    return json.loads((out / "summary.json").read_text())


def assert_clear(done, code, *words):
    text = done.stdout + done.stderr
    assert done.returncode == code, text
    assert "Traceback" not in text
    for word in words:
        assert word in text, text


def test_a_face_is_followed_through_a_clip_twice_to_the_same_byte(call, astronaut, tmp_path):
    video = clip(tmp_path / "clip.mp4", astronaut, 30)
    cv2.imwrite(str(tmp_path / "face.png"), astronaut)
    for name in "ab":
        done = call("analyze", video, "face.png", "--out", name)
        assert_clear(done, 0, "clip.mp4", "summary.json")
    for name in ("clip.csv", "images.csv"):
        first = (tmp_path / "a" / name).read_bytes()
        assert first == (tmp_path / "b" / name).read_bytes()
    rows = rows_of(tmp_path / "a" / "clip.csv")
    assert [int(row["frame"]) for row in rows] == list(range(1, 31)), "max(1, faces) rows each"
    assert {row["face_id"] for row in rows if row["success"] == "1"} == {"1"}
    assert sum(row["success"] == "1" for row in rows) >= 28
    (still,) = rows_of(tmp_path / "a" / "images.csv")
    assert still["input"] == "face.png"
    assert still["success"] == "1"
    assert 200 < float(still["x"]) + float(still["w"]) / 2 < 250, "where the astronaut's face is"


def test_a_live_run_leaves_its_files(call, astronaut, tmp_path):
    done = call("run", clip(tmp_path / "clip.mp4", astronaut, 50), "--neutral")
    assert_clear(done, 0, "No window: ", "vision", "age")
    out = tmp_path / "out" / "clip"
    names = {p.name for p in out.iterdir()}
    # The list of micro-expressions is there where they are looked for.
    assert names - {"clip.events.csv"} == {
        *("clip.csv", "annotated.mp4", "timeline.png", "summary.json")
    }
    (entry,) = summary_of(out)["inputs"]
    rows = rows_of(out / "clip.csv")
    assert len(rows) == entry["rows"]
    assert len({row["frame"] for row in rows}) == entry["frames"]
    assert entry["frames"] + entry["drops"]["frames"] == 50
    assert entry["tracks"] == 1


@pytest.fixture(scope="module")
def long_clip(astronaut, tmp_path_factory):
    """Four minutes of video, the same two seconds again and again: no test waits for its end."""
    folder = tmp_path_factory.mktemp("long")
    small = cv2.resize(astronaut, (256, 256))
    with (
        av.open(str(clip(folder / "short.mp4", small, 50))) as short,
        av.open(str(folder / "long.mp4"), "w") as long,
    ):
        stream = short.streams.video[0]
        copy = long.add_stream_from_template(stream)
        packets = [packet for packet in short.demux(stream) if packet.pts is not None]
        length = round(50 / 25 / stream.time_base)
        for k in range(120):
            for packet in packets:
                again = av.Packet(bytes(packet))
                again.time_base, again.stream = stream.time_base, copy
                again.pts, again.dts = packet.pts + k * length, packet.dts + k * length
                again.is_keyframe = packet.is_keyframe
                long.mux(again)
    return folder / "long.mp4"


def wait_for_rows(path, process, n=5):
    deadline = time.monotonic() + 200
    while time.monotonic() < deadline and process.poll() is None:
        if path.exists() and path.read_bytes().count(b"\n") > n:
            return
        time.sleep(0.02)
    pytest.fail(f"no rows came: {process.communicate()}")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("command", ["analyze", "run"])
def test_a_signal_stops_cleanly_and_keeps_what_was_written(
    number, command, environment, long_clip, tmp_path
):
    out = tmp_path / "out"
    with subprocess.Popen(
        [*COMMAND, command, str(long_clip), "--out", str(out)],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            wait_for_rows(out / "long.csv", process)
            process.send_signal(number)
            stdout, stderr = process.communicate(timeout=200)
        finally:
            process.kill()
    assert "Traceback" not in stderr
    assert process.returncode == (130 if command == "analyze" else 0), stderr
    assert "interrupted" in stdout
    content = summary_of(out)
    assert content["outcome"] == "interrupted"
    rows = rows_of(out / "long.csv")
    assert len(rows) == content["inputs"][0]["rows"] > 5
    assert None not in rows[-1].values(), "the last row is whole"


@pytest.mark.survival(21)
def test_a_killed_run_leaves_whole_rows(environment, long_clip, tmp_path):
    out = tmp_path / "out"
    process = subprocess.Popen(
        [*COMMAND, "analyze", str(long_clip), "--out", str(out)],
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    wait_for_rows(out / "long.csv", process)
    process.kill()
    process.wait()
    assert (out / "long.csv").read_bytes().endswith(b"\n")
    assert None not in rows_of(out / "long.csv")[-1].values()


def limit_file_size():
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))


@pytest.mark.parametrize("command", ["analyze", "run"])
@pytest.mark.survival(22)
def test_a_full_disk_is_exit_code_4_and_keeps_whole_rows(command, call, astronaut, tmp_path):
    video = clip(tmp_path / "clip.mp4", astronaut, 150)
    out = tmp_path / "out"
    options = [] if command == "analyze" else ["--set", "record.video=false"]
    done = call(command, video, "--out", out, *options, preexec_fn=limit_file_size)
    assert_clear(done, 4, "clip.csv: got File too large", "Free some space")
    assert (out / "clip.csv").read_bytes().endswith(b"\n")
    assert len(rows_of(out / "clip.csv")) > 20
    assert summary_of(out)["outcome"] == "failed"


@pytest.mark.parametrize("command", ["run", "analyze"])
def test_bad_inputs_end_with_exit_code_3(command, call_here, tmp_path):
    (tmp_path / "empty.mp4").touch()
    (tmp_path / "text.mp4").write_text("not a video at all\n" * 100)
    (tmp_path / "torn.png").write_bytes(b"\x89PNG\r\n\x1a\n torn")
    (tmp_path / "folder").mkdir()
    for name in ("missing.mp4", "empty.mp4", "text.mp4", "torn.png", "folder"):
        assert_clear(call_here(command, name, "--out", "out"), 3, "error: ", name, "expected")


@pytest.mark.survival(28)
def test_names_act_on_no_terminal(call, tmp_path):
    names = ["a\x1b]0;owned\x07.mp4", "b\x9b2J\nerror: c.mov", os.fsdecode(b"d\xff.mkv")]
    for name in names[:2]:
        (tmp_path / name).write_text("nothing")
    cv2.imwrite(str(tmp_path / "good.png"), np.zeros((64, 64, 3), np.uint8))
    done = call("analyze", *names, "good.png", "--out", "out", "-v", "--log-file", "log")
    assert_clear(done, 3, r"a\x1b]0;owned\x07.mp4", r"b\x9b2J\nerror: c.mov", r"d\udcff.mkv")
    for text in (done.stdout, done.stderr, (tmp_path / "log").read_text()):
        assert not [c for c in text if c != "\n" and not c.isprintable()]


def test_no_camera_ends_with_exit_code_3(call_here):
    if Path("/dev/video63").exists():
        pytest.skip("this machine has a camera 63")
    assert_clear(call_here("run", "63", "--out", "out"), 3, "error: ", "63")


def test_an_output_folder_that_cannot_be_is_exit_code_4(call_here, astronaut, tmp_path):
    video = clip(tmp_path / "clip.mp4", astronaut, 2)
    for command in ("run", "analyze"):
        assert_clear(call_here(command, video, "--out", video), 4, "output folder", "--out")


def test_a_good_input_beside_bad_ones_is_analysed(call, astronaut, tmp_path):
    clip(tmp_path / "good.mp4", astronaut, 5)
    (tmp_path / "bad.mp4").write_text("nothing")
    done = call("analyze", "bad.mp4", "missing.mp4", "good.mp4", "--out", "out")
    assert_clear(done, 3, "error: ", "bad.mp4", "missing.mp4", "good.csv")
    assert len(rows_of(tmp_path / "out" / "good.csv")) == 5
    outcomes = {e["input"]: e["outcome"] for e in summary_of(tmp_path / "out")["inputs"]}
    assert outcomes == {"bad.mp4": "failed", "missing.mp4": "failed", "good.mp4": "complete"}
