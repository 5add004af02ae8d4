"""The one command: its steps, and that it stops at the first that fails."""

from pathlib import Path
from types import SimpleNamespace

import pytest

from training.action_units import __main__ as pipeline


def test_each_step_uses_what_an_earlier_one_made():
    steps = pipeline.steps(Path("shared"), Path("work"), 3, Path("report.json"), "why")
    modules = [module for module, _ in steps]
    assert modules == [
        "dataset", "dataset", "dataset", "real_faces", "stills", "stills", "teacher", "teacher",
        "begin", "train", "thresholds", "export", "evaluate", "card",
    ]  # fmt: skip
    made = set()
    for module, arguments in steps:
        options = dict(zip(arguments[::2], arguments[1::2], strict=False))
        for needs in ("--data", "--run", "--teacher", "--start"):
            if needs in options:
                assert options[needs] in made, (module, needs)
        made.add(options.get("--out", ""))


def run(monkeypatch, tmp_path, fails_at):
    ran = []

    def fake(command, check):
        teacher = command[1].endswith("teacher.py")
        ran.append("teacher" if teacher else command[2].rpartition(".")[2])
        assert (command[0] == str(pipeline.PEERS)) is teacher
        return SimpleNamespace(returncode=int(len(ran) == fails_at))

    for name in ("synthetic_ict", "london_faces", "ferplus", "lfw_expressions", "teachers"):
        (tmp_path / name).mkdir(exist_ok=True)
    monkeypatch.setattr(pipeline, "PEERS", tmp_path / "python")
    pipeline.PEERS.touch()
    monkeypatch.setattr("training.steps.subprocess.run", fake)
    monkeypatch.setattr(
        "sys.argv", ["x", "--shared", str(tmp_path), "--work", str(tmp_path / "work")]
    )
    return ran


def test_a_step_that_fails_ends_it(monkeypatch, tmp_path):
    ran = run(monkeypatch, tmp_path, fails_at=2)
    with pytest.raises(SystemExit) as caught:
        pipeline.main()
    assert caught.value.code == 1
    assert ran == ["dataset", "dataset"]


def test_all_steps_run_in_order(monkeypatch, tmp_path):
    ran = run(monkeypatch, tmp_path, fails_at=0)
    pipeline.main()
    assert ran[-1] == "card"
    assert len(ran) == 14


def test_without_the_data_it_says_which_folder_to_name(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr("sys.argv", ["x", "--shared", str(tmp_path)])
    with pytest.raises(SystemExit):
        pipeline.main()
    assert "--shared FOLDER" in capsys.readouterr().err


def test_without_the_teacher_s_environment_it_says_how_to_make_it(monkeypatch, tmp_path, capsys):
    run(monkeypatch, tmp_path, fails_at=0)
    pipeline.PEERS.unlink()
    with pytest.raises(SystemExit):
        pipeline.main()
    assert "make peers" in capsys.readouterr().err
