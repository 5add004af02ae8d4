import json
import subprocess
import sys
from importlib import metadata
from types import ModuleType, SimpleNamespace

import pytest
from typer.testing import CliRunner

from realtime_affect import analysis
from realtime_affect.cli.main import app
from realtime_affect.config import Config
from realtime_affect.errors import DependencyError, InputError
from realtime_affect.face.vision import Vision
from realtime_affect.outputs.video import VideoRecorder
from realtime_affect.runtime import pipeline
from tests.realtime_affect.outputs.test_video import noise
from tests.realtime_affect.runtime.test_pipeline import FakeAffect, FakeSource
from tests.realtime_affect.world import Person, World

DISPLAYS = ("DISPLAY", "WAYLAND_DISPLAY", "QT_QPA_PLATFORM")


@pytest.fixture(autouse=True)
def no_display(tmp_path, monkeypatch):
    """Neither the tester's screen nor the tester's settings and logs have a part in this."""
    for name in DISPLAYS:
        monkeypatch.delenv(name, raising=False)
    for name in ("XDG_CONFIG_HOME", "XDG_STATE_HOME"):
        monkeypatch.setenv(name, str(tmp_path / name))
    monkeypatch.setenv("COLUMNS", "200")


@pytest.fixture
def fake_run(monkeypatch):
    """Let ``run`` see 20 frames of two known people, whatever source it is given."""
    original = pipeline.Pipeline
    configs = []

    def make(source, config, *, live):
        configs.append(config)
        world = World(lambda index: [Person("a", 200, 150), Person("b", 400, 150)])
        vision = Vision(config.detect, config.track, detector=world, mesher=world)
        frames = FakeSource(None if source == "endless" else 20, every_s=0.005)
        return original(frames, config, live=live, vision=vision, affect=FakeAffect())

    monkeypatch.setattr(pipeline, "Pipeline", make)
    return configs


def call(*arguments):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def assert_clear(result, code, *words):
    """One message, the right exit code, and nothing of our insides."""
    text = result.stdout + result.stderr
    assert result.exit_code == code, text
    assert "Traceback" not in text
    for word in words:
        assert word in text, text


def test_help_names_every_exit_code():
    for command in ([], ["run"], ["analyze"], ["doctor"], ["models"], ["engines"]):
        text = " ".join(call(*command, "--help").stdout.split())
        for code in ("0 done", "2 usage", "3 an input", "4 results", "5 models", "6 a library"):
            assert code in text


def test_version_is_shown():
    result = call("--version")
    assert result.exit_code == 0
    assert result.stdout.startswith("realtime-affect ")


def test_the_command_line_loads_nothing_heavy_before_a_command_runs():
    script = (
        "import sys; import realtime_affect.cli.main; "
        "heavy = {'numpy', 'cv2', 'av', 'matplotlib', 'pydantic', 'PyQt6'}; "
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        env={"PYTHONPATH": ":".join(sys.path)},
        capture_output=True,
        text=True,
        timeout=250,
        check=True,
    )
    assert done.stdout.strip() == "[]"


def test_public_names_are_there_and_others_are_not():
    import realtime_affect

    for name in realtime_affect.__all__:
        assert getattr(realtime_affect, name) is not None
    assert realtime_affect.analyze is analysis.analyze
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        _ = realtime_affect.nonsense


def test_a_run_without_display_writes_files_and_a_table(fake_run, tmp_path):
    result = call("run", "clip", "--out", tmp_path / "o")
    assert_clear(result, 0, "No window: ", "vision", "p99", "summary.json", "fake.csv")
    names = {path.name for path in (tmp_path / "o").iterdir()}
    assert names == {"fake.csv", "annotated.mp4", "timeline.png", "summary.json"}
    (entry,) = json.loads((tmp_path / "o" / "summary.json").read_text())["inputs"]
    assert entry["input"] == "clip"
    assert entry["tracks"] == 2


def test_a_run_s_files_go_to_out_and_the_source_s_name(fake_run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert call("run", "--headless", "--set", "record.video=false").exit_code == 0
    assert (tmp_path / "out" / "fake" / "fake.csv").exists()


def test_options_become_settings(fake_run, tmp_path):
    options = ["--max-faces", 3, "--neutral", "--mesh", "--set", "record.crf=30"]
    assert_clear(call("run", "x", "--headless", "--out", tmp_path, *options), 0)
    (config,) = fake_run
    assert config.track.max_faces == 3
    assert config.action_units.neutral_after_s == 1.0
    assert config.overlay.mesh is True
    assert config.record.crf == 30


def test_seconds_end_an_endless_run(fake_run, tmp_path):
    result = call("run", "endless", "--headless", "--seconds", 0.3, "--out", tmp_path)
    assert_clear(result, 0, "complete")


def install_window(monkeypatch):
    """Let the window's entry point be found, whatever this environment has installed."""
    point = metadata.EntryPoint("qt", "affect_gui.app", "realtime_affect.windows")
    monkeypatch.setattr(metadata, "entry_points", lambda *, group: [point])


@pytest.fixture
def fake_window(monkeypatch):
    """A window that shows everything there is and closes."""
    shown = []

    def run_window(pipeline, config, recording):
        shown.append([reading.scene.frame.index for reading in pipeline])
        return 0

    module = ModuleType("affect_gui.app")
    module.run_window = run_window
    module.display_available = lambda: (True, "")
    monkeypatch.setitem(sys.modules, "affect_gui.app", module)
    install_window(monkeypatch)
    return shown


def test_with_a_display_the_window_opens_and_nothing_is_written(
    fake_run, fake_window, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    assert_clear(call("run", "x"), 0, "frames analysed", "vision")
    assert fake_window[0][-1] == 19
    assert not (tmp_path / "out").exists()


def test_with_record_the_window_s_run_is_written_too(fake_run, fake_window, tmp_path):
    assert_clear(call("run", "x", "--record", "--out", tmp_path), 0, "fake.csv")
    assert fake_window[0][-1] == 19
    # Some of its frames: a busy machine drops others.
    assert (tmp_path / "fake.csv").read_text().count("\n") > 5
    assert (tmp_path / "summary.json").exists()


def test_headless_is_obeyed_where_there_is_a_display(fake_run, fake_window, tmp_path):
    assert_clear(call("run", "x", "--headless", "--out", tmp_path), 0, "fake.csv")
    assert not fake_window


def test_without_pyqt_the_run_goes_on_without_a_window_and_says_why(
    fake_run, tmp_path, monkeypatch
):
    install_window(monkeypatch)
    monkeypatch.setitem(sys.modules, "affect_gui.app", None)
    result = call("run", "x", "--out", tmp_path)
    assert_clear(result, 0, "No window", "realtime-affect[gui]", "fake.csv")


def test_without_any_window_installed_the_run_goes_on_and_says_so(fake_run, tmp_path, monkeypatch):
    monkeypatch.setattr(metadata, "entry_points", lambda *, group: [])
    result = call("run", "x", "--out", tmp_path)
    assert_clear(result, 0, "none is installed", "realtime-affect[gui]", "fake.csv")


@pytest.mark.parametrize("options", [[], ["--record"]])
def test_where_qt_cannot_open_a_window_the_run_goes_on_without(
    options, fake_run, fake_window, tmp_path, monkeypatch
):
    def run_window(pipeline, config, recording):
        raise DependencyError("Qt", got="no display", expected="one", hint="Start X.")

    monkeypatch.setattr(sys.modules["affect_gui.app"], "run_window", run_window)
    result = call("run", "x", "--out", tmp_path, *options)
    assert_clear(result, 0, "Qt: got no display", "Running without a window", "fake.csv")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--set", "track.max_face=3"], ["track.max_face", "Did you mean track.max_faces?"]),
        (["--set", "nonsense"], ["--set 'nonsense'", "expected section.key=value"]),
        (["--config", "missing.toml"], ["missing.toml", "No such file"]),
    ],
)
@pytest.mark.parametrize("command", ["run", "analyze"])
def test_unknown_settings_are_refused_before_anything_is_opened(command, options, words):
    assert_clear(call(command, "clip.mp4", *options), 2, *words)


def test_an_error_on_purpose_is_one_message_and_its_exit_code(monkeypatch):
    def refuse(*args, **kwargs):
        raise InputError("clip [bold]", got="7 bytes", expected="a video", hint="Copy it again.")

    monkeypatch.setattr(analysis, "analyze", refuse)
    result = call("analyze", "clip.mp4")
    assert_clear(result, 3)
    assert result.stderr == ("error: clip [bold]: got 7 bytes, expected a video. Copy it again.\n")


def test_a_defect_of_ours_is_a_message_with_a_log_never_a_traceback(monkeypatch, tmp_path):
    monkeypatch.setattr(analysis, "analyze", lambda *_args, **_kwargs: 1 / 0)
    result = call("analyze", "clip.mp4")
    assert_clear(result, 1, "an internal error ended the run", "ZeroDivisionError", "error.log")
    (log,) = tmp_path.rglob("error.log")
    assert "ZeroDivisionError: division by zero" in log.read_text()


def test_ctrl_c_outside_a_run_is_exit_code_130(monkeypatch):
    def interrupt(*args, **kwargs):
        raise KeyboardInterrupt

    monkeypatch.setattr(analysis, "analyze", interrupt)
    assert_clear(call("analyze", "clip.mp4"), 130, "interrupted")


def test_missing_models_say_how_to_provide_them(monkeypatch, tmp_path):
    from affect_engines import store

    monkeypatch.setenv(store.ENVIRONMENT, str(tmp_path / "empty"))
    VideoRecorder(tmp_path / "a.mp4").write(noise(0), 0)
    for command in (["models", "verify"], ["analyze", tmp_path / "a.mp4", "--out", tmp_path]):
        result = call(*command)
        assert_clear(result, 5, "models fetch --wheel FILE")
    listed = call("models", "list")
    assert_clear(listed, 0, "blazeface_short", "missing", str(tmp_path / "empty"))


def test_models_are_fetched_from_what_the_user_gives(monkeypatch, tmp_path):
    from affect_engines import store

    monkeypatch.setenv(store.ENVIRONMENT, str(tmp_path / "empty"))
    result = call("models", "fetch", "--wheel", tmp_path / "missing.whl")
    assert_clear(result, 5, "missing.whl")


@pytest.mark.parametrize(("ok", "code"), [(True, 0), (False, 1)])
def test_doctor_ends_with_what_it_found(ok, code, monkeypatch):
    report = SimpleNamespace(
        ok=ok,
        as_dict=lambda: {"ok": ok, "cores": 4},
        print=lambda console: console.print("4 cores"),
    )
    module = ModuleType("realtime_affect.cli.doctor")
    module.diagnose = lambda: report
    monkeypatch.setitem(sys.modules, "realtime_affect.cli.doctor", module)
    assert_clear(call("doctor"), code, "4 cores")
    result = call("doctor", "--json")
    assert result.exit_code == code
    assert json.loads(result.stdout) == {"ok": ok, "cores": 4}


def test_doctor_tells_what_is_known_of_each_model():
    result = call("doctor", "--models", "--json")
    found = {model["name"]: model for model in json.loads(result.stdout)["models"]}
    assert found["action_units"]["units"]["AU12"]["trust"] in ("high", "medium", "low")
    text = call("doctor", "--models").stdout
    assert "face_mesh" in text
    assert "lip corner puller" in text


def test_the_defaults_of_the_command_line_are_the_config_s(fake_run, tmp_path):
    call("run", "x", "--headless", "--out", tmp_path)
    assert fake_run == [Config()]


def test_max_faces_below_one_is_a_usage_error():
    assert_clear(call("run", "x", "--max-faces", 0), 2, "--max-faces")
