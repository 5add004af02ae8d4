"""Opening the window, and saying why there can be none."""

from __future__ import annotations

import importlib.util
import os
import signal
import subprocess
import sys

import pytest

from affect_gui import app
from realtime_affect.capture import SourceState
from realtime_affect.config import Config
from realtime_affect.errors import DependencyError
from tests.affect_gui.conftest import reading_of

pytestmark = pytest.mark.gui


@pytest.fixture
def timer(qapp):
    from PyQt6.QtCore import QTimer

    return lambda work, ms=50: QTimer.singleShot(ms, work)


def close_windows():
    from PyQt6.QtWidgets import QApplication, QMainWindow

    for widget in QApplication.topLevelWidgets():
        if isinstance(widget, QMainWindow):
            widget.close()


def test_the_app_opens_with_its_start_page_and_what_is_named(pipeline, timer):
    opened = []

    def opener(spec, config):
        opened.append(spec)
        return pipeline

    pipeline.on_start = lambda: timer(close_windows, 300)
    assert app.run_app(Config(), opener, "demo") == 0
    assert opened == ["demo"]
    assert pipeline.stopped


def test_the_window_starts_the_pipeline_and_returns_0_when_it_is_stopped(pipeline, timer):
    pipeline.slot.put(reading_of())
    pipeline.on_start = lambda: timer(pipeline.slot.close)
    assert app.run_window(pipeline, Config()) == 0
    assert pipeline.running
    assert pipeline.stopped


def test_a_failure_of_the_pipeline_returns_1(pipeline, timer):
    def fail():
        pipeline.failure = RuntimeError("broken")
        pipeline.slot.close()
        timer(close_windows, 1500)  # it stays until the user closes it

    pipeline.on_start = lambda: timer(fail)
    assert app.run_window(pipeline, Config()) == 1


def test_ctrl_c_closes_the_window_and_gives_the_signal_back(pipeline, timer):
    before = signal.getsignal(signal.SIGINT)
    pipeline.on_start = lambda: timer(lambda: os.kill(os.getpid(), signal.SIGINT))
    assert app.run_window(pipeline, Config()) == 0
    assert pipeline.stopped
    assert signal.getsignal(signal.SIGINT) is before


def test_a_defect_of_the_window_is_raised_and_does_not_abort_the_process(
    pipeline, timer, monkeypatch
):
    def defect(*_):
        message = "a defect"
        raise ZeroDivisionError(message)

    monkeypatch.setattr("affect_gui.canvas.paint", defect)
    pipeline.on_start = lambda: timer(lambda: pipeline.slot.put(reading_of()))
    hook = sys.excepthook
    with pytest.raises(ZeroDivisionError):
        app.run_window(pipeline, Config())
    assert sys.excepthook is hook
    assert pipeline.stopped


def test_without_pyqt_the_error_names_the_extra(pipeline, monkeypatch):
    monkeypatch.setitem(sys.modules, "PyQt6.QtWidgets", None)
    with pytest.raises(DependencyError, match=r"pip install 'realtime-affect\[gui\]'"):
        app.run_window(pipeline, Config())


def test_the_module_itself_needs_no_qt():
    code = "import sys; import affect_gui.app; sys.exit(any('PyQt6' in m for m in sys.modules))"
    paths = os.pathsep.join(sys.path)
    done = subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, "PYTHONPATH": paths}, check=False
    )
    assert done.returncode == 0


def test_an_offscreen_platform_counts_as_a_display(qapp):
    assert app.display_available(30) == (True, "")


def test_no_display_is_said(monkeypatch):
    for name in ("DISPLAY", "WAYLAND_DISPLAY", "QT_QPA_PLATFORM"):
        monkeypatch.delenv(name, raising=False)
    available, reason = app.display_available()
    assert not available
    assert "display" in reason


def test_a_platform_that_does_not_exist_is_said_with_what_to_install(monkeypatch, qapp):
    monkeypatch.setenv("QT_QPA_PLATFORM", "nonsense")
    available, reason = app.display_available(30)
    assert not available
    assert "apt-get install" in reason


def test_missing_libraries_are_said(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda _name: None)
    available, reason = app.display_available()
    assert not available
    assert "realtime-affect[gui]" in reason


def test_a_display_that_never_answers_is_given_up(monkeypatch):
    def hang(*_, timeout, **__):
        raise subprocess.TimeoutExpired("probe", timeout)

    monkeypatch.setattr(subprocess, "run", hang)
    assert app.display_available(2) == (False, "the display did not answer within 2 s")


@pytest.mark.parametrize(
    ("stderr", "expected"),
    [
        (
            "ImportError: libEGL.so.1: cannot open shared object file: No such file or directory",
            "libEGL.so.1",
        ),
        (
            "From 6.5.0, xcb-cursor0 or libxcb-cursor0 is needed to load the Qt xcb platform "
            'plugin.\nCould not load the Qt platform plugin "xcb" in ""',
            "libxcb-cursor0",
        ),
        (
            "qt.qpa.xcb: could not connect to display :9\nFrom 6.5.0, xcb-cursor0 is needed\n",
            "cannot be reached",
        ),
        ("Segmentation fault", "Segmentation fault"),
        ("", "no reason given"),
    ],
)
def test_what_qt_says_becomes_what_to_do(stderr, expected):
    assert expected in app.explain_failure(stderr)


def test_the_state_names_are_those_the_window_looks_for():
    assert {state.name for state in SourceState} == {"ONLINE", "OFFLINE", "ENDED"}
