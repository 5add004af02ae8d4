from __future__ import annotations

import errno
import io
import json
import os
import re
import sys
import tomllib
from importlib import metadata
from pathlib import Path
from types import SimpleNamespace

import pytest
from rich.console import Console

from affect_engines.cards import load_card
from affect_engines.store import ENVIRONMENT, list_models
from affect_kernels.cuda import driver as cuda_driver
from realtime_affect.cli import doctor
from realtime_affect.cli.doctor import Finding, Report, diagnose
from tests.affect_engines import fake_cuda

FINE = Finding("cores", "ok", "4 usable")
ABSENT = Finding("window", "absent", "no PyQt6", "pip install 'realtime-affect[gui]'")
ODD = Finding("memory", "warn", "1.0 GiB")
BROKEN = Finding("models", "fail", "missing", "realtime-affect models fetch")


@pytest.fixture
def only(monkeypatch):
    """Let the doctor look at one thing alone, named like its check."""

    def choose(*checks):
        found = [getattr(doctor, f"_{c}") if isinstance(c, str) else c for c in checks]
        monkeypatch.setattr(doctor, "_CHECKS", tuple(found))
        return diagnose

    return choose


def printed(report, width=80):
    text = io.StringIO()
    report.print(Console(file=text, width=width, color_system=None))
    return text.getvalue()


def words(text):
    """Return `text` without the breaks a narrow table puts into it."""
    return "".join(text.split())


def refuse(code):
    def fail(*args, **kwargs):
        raise OSError(code, os.strerror(code))

    return fail


@pytest.mark.parametrize(
    ("findings", "ok"),
    [((), True), ((FINE, ABSENT, ODD), True), ((FINE, BROKEN), False), ((BROKEN,), False)],
)
def test_only_a_failing_finding_keeps_the_main_job_from_running(findings, ok):
    assert Report(findings).ok is ok


def test_a_report_is_plain_json():
    report = Report((FINE, ABSENT, BROKEN))
    back = json.loads(json.dumps(report.as_dict()))
    assert back["ok"] is False
    assert [Finding(**finding) for finding in back["findings"]] == list(report.findings)


def test_a_check_that_raises_becomes_a_finding_and_the_others_go_on(only):
    def _broken_thing():
        yield FINE
        msg = "the bus is gone"
        raise RuntimeError(msg)

    def _next_thing():
        yield ODD

    report = only(_broken_thing, _next_thing)()
    broken = [finding for finding in report.findings if finding.name == "broken thing"]
    assert [finding.status for finding in broken] == ["warn"]
    assert "the bus is gone" in broken[0].detail
    assert broken[0].hint
    assert report.findings[-1] == ODD
    assert report.ok, "a check that fails says nothing of the main job"


def test_every_check_of_the_real_machine_can_be_written_and_read(monkeypatch, tmp_path):
    monkeypatch.setenv(ENVIRONMENT, str(tmp_path))  # the self-test ends at the missing models
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    report = diagnose()
    names = {finding.name for finding in report.findings}
    assert {"Python", "cores", "memory", "libraries", "video", "output"} <= names
    for finding in report.findings:
        assert finding.detail, finding
        assert finding.status in ("ok", "warn") or finding.hint, finding
    assert json.loads(json.dumps(report.as_dict()))["ok"] is report.ok
    assert printed(report)


def test_an_empty_models_folder_fails_and_says_how_to_fill_it(only, monkeypatch, tmp_path):
    monkeypatch.setenv(ENVIRONMENT, str(tmp_path))
    report = only("models")()
    assert not report.ok
    cards = [model.card for model in list_models()]
    assert [finding.name for finding in report.findings] == [f"model {c.name}" for c in cards]
    for card, finding in zip(cards, report.findings, strict=True):
        if card.shipped:
            assert finding.status == "ok"
            continue
        assert finding.status == "fail"
        assert "missing" in finding.detail
        assert str(tmp_path) in finding.detail
        assert "models fetch" in finding.hint


def test_a_damaged_model_is_told_from_a_missing_one(only, monkeypatch, tmp_path):
    monkeypatch.setenv(ENVIRONMENT, str(tmp_path))
    (tmp_path / load_card("iris").file).write_bytes(b"not a network")
    details = {finding.name: finding.detail for finding in only("models")().findings}
    assert details.pop("model iris").startswith("damaged")
    for card in (model.card for model in list_models() if model.card.name != "iris"):
        state = "ok" if card.shipped else "missing"
        assert details[f"model {card.name}"].startswith(state)


def test_good_models_are_one_line(only, monkeypatch, tmp_path):
    from affect_engines import store

    monkeypatch.setenv(ENVIRONMENT, str(tmp_path))
    good = tuple(store.StoredModel(model.card, model.path, "ok") for model in store.list_models())
    monkeypatch.setattr(store, "list_models", lambda: good)
    n = len(good)
    assert only("models")().findings == (
        Finding("models", "ok", f"{n} of {n} verified, in {tmp_path}"),
    )


def with_distributions(monkeypatch, *names):
    found = [SimpleNamespace(metadata={"Name": name}) for name in names]
    monkeypatch.setattr(metadata, "distributions", lambda: iter(found))


def test_the_libraries_of_this_environment_are_named_with_their_versions(only):
    (finding,) = only("libraries")().findings
    assert finding.status == "ok"
    assert f"numpy {metadata.version('numpy')}" in finding.detail


def test_two_opencv_distributions_fail_with_the_command_that_mends_it(only, monkeypatch):
    with_distributions(monkeypatch, *doctor._LIBRARIES, "opencv-python")
    report = only("libraries")()
    assert not report.ok
    (finding,) = [finding for finding in report.findings if finding.status == "fail"]
    assert "2 distributions" in finding.detail
    assert "pip uninstall opencv-contrib-python-headless opencv-python" in finding.hint


def test_a_missing_library_fails_by_name(only, monkeypatch):
    with_distributions(monkeypatch, *(name for name in doctor._LIBRARIES if name != "av"))
    report = only("libraries")()
    assert not report.ok
    assert report.findings[0].detail == "missing: av"


@pytest.fixture
def one_camera(monkeypatch):
    monkeypatch.setattr(Path, "glob", lambda self, pattern: iter([Path("/dev/video7")]))


def test_a_machine_without_a_camera_is_told_what_else_there_is(only, monkeypatch):
    monkeypatch.setattr(Path, "glob", lambda self, pattern: iter(()))
    (finding,) = only("cameras")().findings
    assert (finding.name, finding.status) == ("camera", "absent")
    assert "demo" in finding.hint


@pytest.mark.parametrize(
    ("code", "detail", "hint"),
    [
        (errno.EACCES, "no permission", "usermod"),
        (errno.EBUSY, os.strerror(errno.EBUSY), "Close the program"),
    ],
)
def test_a_camera_that_does_not_open_says_why(only, monkeypatch, one_camera, code, detail, hint):
    monkeypatch.setattr(os, "open", refuse(code))
    (finding,) = only("cameras")().findings
    assert (finding.name, finding.status, finding.detail) == ("camera video7", "warn", detail)
    assert hint in finding.hint


def test_a_camera_that_opens_is_closed_again(only, monkeypatch, one_camera):
    closed = []
    monkeypatch.setattr(os, "open", lambda *args: 4711)
    monkeypatch.setattr(os, "close", closed.append)
    (finding,) = only("cameras")().findings
    monkeypatch.undo()
    assert (finding.status, closed) == ("ok", [4711])


def test_a_machine_without_the_driver_runs_on_its_processor(only, monkeypatch):
    monkeypatch.setattr(cuda_driver, "load_driver", refuse(errno.ENOENT))
    report = only("gpu")()
    assert report.findings[0].status == "absent"
    assert report.ok


def test_a_gpu_is_named_with_its_cuda_and_not_claimed_to_be_used(only, monkeypatch):
    fake_cuda.install(monkeypatch, n_gpus=2)
    (finding,) = only("gpu")().findings
    assert (finding.status, finding.detail) == ("ok", "Fake GPU, Fake GPU; CUDA 13.0")
    assert "Which networks use it" in finding.hint


@pytest.mark.parametrize("fails", [{}, {"cuInit": 100}])
def test_a_driver_without_a_gpu_is_a_warning(only, monkeypatch, fails):
    fake_cuda.install(monkeypatch, n_gpus=0).fails.update(fails)
    report = only("gpu")()
    assert [finding.status for finding in report.findings] == ["warn"]
    assert report.ok


@pytest.mark.parametrize(
    ("module", "status", "detail", "hint"),
    [
        (None, "absent", "not installed", "realtime-affect[tensorrt]"),
        ("__version__ = '11.4.0.106'", "ok", "11.4.0.106", "no plan of ours has run yet"),
        ("__version__ = '11.4.0.106+fake'", "warn", "a stand-in", "counts as having run"),
        ("raise RuntimeError('no libnvinfer')", "warn", "no libnvinfer", "Reinstall"),
    ],
)
def test_tensorrt_is_tried_and_never_claimed_to_have_run(
    only, monkeypatch, tmp_path, module, status, detail, hint
):
    monkeypatch.setattr(doctor.importlib.util, "find_spec", lambda name: module)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "tensorrt", raising=False)
    if module is not None:
        (tmp_path / "tensorrt.py").write_text(module, encoding="utf-8")
    (finding,) = only("tensorrt")().findings
    monkeypatch.delitem(sys.modules, "tensorrt", raising=False)
    assert finding.status == status
    assert detail in finding.detail
    assert hint in finding.hint


def test_what_has_run_is_told_once_it_has():
    ran = ("10.3.0 (Orin NX)", "11.4.0 (H200)")
    assert doctor.tensorrt_proof(ran) == (
        "Plans of ours have run with 10.3.0 (Orin NX), 11.4.0 (H200)."
    )
    assert "no plan of ours has run yet" in doctor.tensorrt_proof(())


def test_the_backends_are_told_with_what_they_lack_and_which_one_runs(only, monkeypatch):
    from affect_engines import selection

    states = (
        selection.BackendState("tensorrt", usable=False, why="no driver", hint="Install it."),
        selection.BackendState("cuda", usable=True, why="onnxruntime on a GPU"),
        selection.BackendState("onnxruntime", usable=True, why="onnxruntime on the CPU"),
    )
    monkeypatch.setattr(selection, "probe", lambda: states)
    assert only("backends")().findings == (
        Finding("backend tensorrt", "absent", "no driver", "Install it."),
        Finding("backend cuda", "ok", "onnxruntime on a GPU"),
        Finding("backend onnxruntime", "ok", "onnxruntime on the CPU"),
        Finding("our networks", "ok", "run by cuda, the first of these that is usable"),
    )


def test_without_any_backend_the_main_job_cannot_run(only, monkeypatch):
    from affect_engines import selection

    states = (selection.BackendState("onnxruntime", usable=False, why="missing"),)
    monkeypatch.setattr(selection, "probe", lambda: states)
    assert not only("backends")().ok


@pytest.fixture
def good_models(monkeypatch):
    from affect_engines import store

    monkeypatch.setattr(store, "list_models", tuple)


@pytest.mark.parametrize(("faces", "status"), [(2, "ok"), (1, "fail"), (0, "fail"), (3, "fail")])
def test_the_self_test_wants_the_two_faces_of_the_demo(
    only, monkeypatch, good_models, faces, status
):
    monkeypatch.setattr(doctor, "_count_faces_in_demo", lambda: faces)
    (finding,) = only("self_test")().findings
    assert finding.status == status
    assert finding.detail.startswith(f"{faces} of 2")


def test_a_self_test_that_raises_means_that_the_main_job_cannot_run(only, monkeypatch, good_models):
    monkeypatch.setattr(doctor, "_count_faces_in_demo", refuse(errno.EIO))
    report = only("self_test")()
    assert not report.ok
    assert os.strerror(errno.EIO) in report.findings[0].detail


def test_the_self_test_waits_for_the_models(only, monkeypatch, tmp_path):
    monkeypatch.setenv(ENVIRONMENT, str(tmp_path))
    assert only("self_test")().findings == ()


@pytest.mark.usefixtures("models")
def test_the_self_test_finds_the_faces_of_the_clip_that_ships(only):
    assert only("self_test")().findings == (
        Finding("self-test", "ok", "2 of 2 faces found in the demo"),
    )


def test_a_folder_that_cannot_be_written_is_named(only, monkeypatch):
    monkeypatch.setattr(doctor.tempfile, "TemporaryFile", refuse(errno.EROFS))
    (finding,) = only("output")().findings
    assert finding.status == "warn"
    assert os.strerror(errno.EROFS) in finding.detail
    assert "--out" in finding.hint


def test_one_core_is_a_warning_not_a_failure(only, monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {0}, raising=False)
    report = only("machine")()
    cores = report.findings[0]
    assert (cores.name, cores.status, cores.detail) == ("cores", "warn", "1 usable")
    assert cores.hint
    assert report.ok


@pytest.mark.parametrize("width", [40, 80, 200])
def test_the_table_fits_the_terminal_and_loses_nothing(width):
    long = Finding("model face_mesh", "fail", "missing, /" + "very_long_folder/" * 12, "Fetch it.")
    report = Report((FINE, ABSENT, long))
    text = printed(report, width)
    assert all(len(line) <= width for line in text.splitlines())
    assert words("4 usable") in words(text)
    for status in ("works", "absent", "fails"):
        assert status in text


def test_square_brackets_are_printed_and_not_taken_for_styles():
    text = printed(Report((ABSENT, Finding("x", "ok", "[red]mine[/red]"))), width=200)
    assert "'realtime-affect[gui]'" in text
    assert "[red]mine[/red]" in text


def test_the_closing_line_says_whether_the_main_job_can_run():
    assert "can run here: make run" in printed(Report((FINE,)))
    assert "cannot run here" in printed(Report((FINE, BROKEN)))


def test_no_telemetry_is_said_with_what_it_is_known_from(only, monkeypatch):
    (found,) = only("telemetry")().findings
    assert found.status in ("ok", "warn")
    assert "ORT_DISABLE_TELEMETRY=1, set before its import" in found.detail
    monkeypatch.setitem(doctor.READ_FOR_TELEMETRY, "numpy", "0.1")
    (found,) = only("telemetry")().findings
    assert (found.status, f"numpy {metadata.version('numpy')}" in found.detail) == ("warn", True)
    monkeypatch.setattr("affect_engines.ort.telemetry_is_off", lambda: False)
    (found,) = only("telemetry")().findings
    assert found.status == "fail"


def test_what_was_read_for_telemetry_is_what_is_installed_and_what_the_docs_say():
    root = Path(__file__).parents[3]
    pinned = dict(
        line.lower().split("==")
        for line in (root / "constraints.txt").read_text().splitlines()
        if "==" in line
    )
    page = (root / "docs" / "privacy.md").read_text("utf-8")
    for name, version in doctor.READ_FOR_TELEMETRY.items():
        assert pinned[name.lower()] == version
        assert f"| {name} {version} |" in page
    with (root / "pyproject.toml").open("rb") as stream:
        project = tomllib.load(stream)["project"]
    extras = project["optional-dependencies"]
    needed = [*project["dependencies"], *extras["gui"], *extras["streams"], *extras["batch"]]
    names = {re.split(r"[<>=]", need)[0] for need in needed} - {"PyQt6-Qt6"}  # Qt: PyQt6's line
    assert names <= set(doctor.READ_FOR_TELEMETRY)
