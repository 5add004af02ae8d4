import pytest
from typer.testing import CliRunner

from realtime_affect.cli.main import app
from realtime_affect.corpus import run as run_module
from realtime_affect.corpus.analyst import Finished
from realtime_affect.errors import OutputError
from tests.realtime_affect.corpus.test_run import Script


@pytest.fixture
def script(monkeypatch):
    script = Script()
    monkeypatch.setattr(run_module, "Processes", script)
    return script


def corpus(*arguments):
    return CliRunner().invoke(app, ["corpus", *map(str, arguments)])


@pytest.fixture
def clip(tmp_path):
    path = tmp_path / "in" / "a.mp4"
    path.parent.mkdir()
    path.touch()
    return path


def test_sources_need_no_word_before_them_and_the_end_is_told(script, clip, tmp_path):
    done = corpus(clip, "-o", tmp_path / "out", "--format", "csv", "--no-timeline")
    assert done.exit_code == 0
    assert "1 inputs: 1 complete; 3 frames" in done.stdout
    assert (script.job.parquet, script.job.options["timeline"]) == (False, False)


def test_bad_inputs_end_with_exit_code_3_and_their_reason(script, clip, tmp_path):
    done = corpus(clip, tmp_path / "gone.mp4", "-o", tmp_path / "out")
    assert done.exit_code == 3
    assert "no such file or folder" in done.stderr
    assert script.given == ["a.mp4"]


def test_a_full_disk_is_exit_code_4_and_ctrl_c_130(script, clip, tmp_path):
    full = OutputError("output file x", got="full", expected="room", hint="Free some.")
    entry = {"input": "a.mp4", "outcome": "failed", "frames": 0, "error": str(full)}
    script.answers = {"a.mp4": [Finished(entry, fatal=full), KeyboardInterrupt()]}
    assert corpus(clip, "-o", tmp_path / "out").exit_code == 4
    done = corpus(clip, "-o", tmp_path / "out", "--resume")
    assert done.exit_code == 130
    assert "go on with --resume" in done.stderr
    assert corpus(clip, "-o", tmp_path / "out").exit_code == 2  # results, and no --resume


def test_help_is_that_of_the_sources_and_names_the_report():
    said = corpus("--help").stdout
    assert "SOURCE..." in said
    assert "corpus report DIR" in " ".join(said.split())
    assert corpus("report", "--help").exit_code == 0
    assert corpus().exit_code == 2
