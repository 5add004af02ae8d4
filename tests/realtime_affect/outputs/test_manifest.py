import json
import stat

import pytest

from realtime_affect.config import Config
from realtime_affect.errors import OutputError
from realtime_affect.outputs.manifest import Manifest, write_record
from realtime_affect.outputs.summary import InputSummary

CONFIG = Config().with_values({
    "serve.source": "rtsp://me:sec/r@et@host/live?token=abcdef",
    "capture.stream_options": ["headers=Authorization: Bearer abcdef", "rw_timeout=5"],
})  # fmt: skip


def content(folder):
    return json.loads((folder / "summary.json").read_text())


def test_a_run_that_begins_says_of_what_with_which_networks_and_settings(tmp_path):
    Manifest(tmp_path, "run", CONFIG, ["rtsp://me:secret@host/a", "b"], {"face_mesh": "ab12"})
    begun = content(tmp_path)
    assert (begun["command"], begun["outcome"], begun["finished"]) == ("run", "running", None)
    assert begun["begun"].endswith("+00:00")
    assert [entry["input"] for entry in begun["inputs"]] == ["rtsp://***@host/a", "b"]
    assert begun["models"] == {"face_mesh": "ab12"}
    assert begun["config"]["track"]["max_faces"] == CONFIG.track.max_faces
    assert begun["versions"]["numpy"]


@pytest.mark.survival(30)
def test_it_is_its_owner_s_alone_and_holds_no_secret(tmp_path):
    manifest = Manifest(tmp_path, "run", CONFIG, ["x"])
    manifest.finish("failed", [InputSummary("x", error="rtsp://me:secret@host/a broke")])
    ended = content(tmp_path)
    assert ended["inputs"][0]["error"] == "rtsp://***@host/a broke"
    assert ended["config"]["serve"]["source"] == "rtsp://***@host/live?token=***"
    assert ended["config"]["capture"]["stream_options"] == ["headers=***", "rw_timeout=5"]
    assert stat.S_IMODE((tmp_path / "summary.json").stat().st_mode) == 0o600
    assert [path.name for path in tmp_path.iterdir()] == ["summary.json"], "nothing temporary"


def test_a_run_that_ends_completes_it_and_later_notes_are_nothing(tmp_path):
    manifest = Manifest(tmp_path, "analyze", CONFIG, ["a", "b"])
    manifest.update(models={"iris": "cd34"})
    assert not manifest.finished
    manifest.finish("complete", [InputSummary("a", outcome="complete", frames=7)])
    assert manifest.finished
    manifest.update([InputSummary("a", outcome="running")])
    ended = content(tmp_path)
    assert (ended["outcome"], ended["models"]) == ("complete", {"iris": "cd34"})
    assert ended["finished"] >= ended["begun"]
    assert [(e["outcome"], e["frames"], e["fps"]) for e in ended["inputs"]] == [
        ("complete", 7, None)
    ]


def test_an_earlier_one_is_replaced_when_a_run_begins(tmp_path):
    Manifest(tmp_path, "run", CONFIG, ["a"]).finish("complete", [])
    Manifest(tmp_path, "run", CONFIG, ["b"])
    assert content(tmp_path)["outcome"] == "running"


def test_a_folder_that_is_gone_is_an_output_error(tmp_path):
    manifest = Manifest(tmp_path, "run", CONFIG, ["a"])
    manifest.path = tmp_path / "gone" / "summary.json"
    with pytest.raises(OutputError, match=r"summary\.json"):
        manifest.finish("complete", [])


@pytest.mark.survival(21)
def test_whatever_ends_a_run_the_record_says_so(tmp_path):
    with pytest.raises(KeyboardInterrupt), Manifest(tmp_path, "run", CONFIG, ["a"]):
        raise KeyboardInterrupt
    assert content(tmp_path)["outcome"] == "interrupted"
    with pytest.raises(ZeroDivisionError), Manifest(tmp_path, "run", CONFIG, ["a"]):
        raise ZeroDivisionError
    assert content(tmp_path)["outcome"] == "failed"
    assert content(tmp_path)["finished"]


def test_a_record_keeps_names_that_are_not_unicode_and_says_what_to_do_where_it_cannot_be_written(
    tmp_path,
):
    path, content = tmp_path / "record.json", {"name": "Zoë \udcff", "n": [1.5, None]}
    write_record(path, content, "Free some.")
    assert "Zoë" in path.read_text(encoding="utf-8")
    assert json.loads(path.read_text(encoding="utf-8")) == content
    with pytest.raises(OutputError, match=r"gone.*Free some\."):
        write_record(tmp_path / "gone" / "record.json", content, "Free some.")
