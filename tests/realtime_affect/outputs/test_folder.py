import json
import os
import subprocess
import sys

import pytest

from realtime_affect.errors import OutputError
from realtime_affect.outputs.folder import RunFolder, source_id

PROGRAM = """
import sys, time
from realtime_affect.outputs.folder import RunFolder
folder = RunFolder(sys.argv[1])
print(folder.path, flush=True)
time.sleep(600)
"""


def record(path, name="summary.json", **content):
    path.mkdir(exist_ok=True)
    (path / name).write_text(json.dumps(content))


@pytest.mark.survival(23)
def test_a_folder_that_another_run_writes_into_is_left_to_it(tmp_path):
    out = tmp_path / "out"
    with subprocess.Popen(
        [sys.executable, "-c", PROGRAM, str(out)],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": ":".join(sys.path)},
    ) as other:
        assert other.stdout.readline().strip() == str(out)
        with RunFolder(out) as mine, RunFolder(out) as third:
            assert (mine.path.name, third.path.name) == ("out-2", "out-3")
        other.kill()
        other.wait(60)
    with RunFolder(out) as again:  # killed: the kernel has let go
        assert again.path == out


@pytest.mark.survival(23)
def test_what_cannot_be_had_again_gets_a_new_folder(tmp_path, caplog):
    record(tmp_path / "out", outcome="running")
    (tmp_path / "out-2").mkdir()
    (tmp_path / "out-2" / "camera0.csv").write_text("rows")
    with RunFolder(tmp_path / "out", fresh=True) as folder:
        assert folder.path == tmp_path / "out-3"
    assert f"{tmp_path / 'out'} holds the results of another run: writing to" in caplog.text
    with RunFolder(tmp_path / "out") as folder:
        assert folder.path == tmp_path / "out"


def test_the_record_of_other_inputs_is_kept_and_that_of_the_same_is_replaced(tmp_path):
    record(tmp_path, inputs=[{"source_id": "a", "files": {"rows": "a.csv"}}, 7])
    record(tmp_path, "summary-1.json", inputs="damaged")
    (tmp_path / "summary-2.json").write_text("[[[[")
    with RunFolder(tmp_path) as folder:
        assert [entry["source_id"] for entry in folder.earlier()] == ["a"]
        folder.keep_record(["b", "a"])
        assert (tmp_path / "summary.json").exists(), "all of it is done anew"
        folder.keep_record(["b"])
    assert json.loads((tmp_path / "summary-3.json").read_text())["inputs"][0]["source_id"] == "a"


def test_a_working_directory_gets_its_neighbour(tmp_path, monkeypatch):
    work = tmp_path / "work"
    record(work)
    monkeypatch.chdir(work)
    with RunFolder(".", fresh=True) as folder:
        assert folder.path == tmp_path / "work-2"


@pytest.mark.parametrize("name", ["a\0b", "x" * 300])
def test_a_folder_that_cannot_be_is_an_output_error(tmp_path, name):
    with pytest.raises(OutputError, match="output folder"):
        RunFolder(tmp_path / name)


def test_a_source_is_known_by_what_it_is_and_no_secret_is_in_that(tmp_path):
    (tmp_path / "a.mp4").touch()
    (tmp_path / "b.mp4").symlink_to(tmp_path / "a.mp4")
    assert source_id(tmp_path / "a.mp4") == source_id(tmp_path / "b.mp4")
    assert source_id("rtsp://me:secret@host/a") == source_id("rtsp://me:other@host/a")
    assert source_id([tmp_path / "a.mp4"]) != source_id([tmp_path / "a.mp4", tmp_path / "c"])
