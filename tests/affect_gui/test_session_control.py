"""Recording, replaying, noting and deleting sessions in the window."""

from __future__ import annotations

import shutil

import pytest

from realtime_affect.sessions import Session
from tests.affect_gui.conftest import measured, scene_of
from tests.affect_gui.test_window import message, press, show, until

pytestmark = pytest.mark.gui


def record(qtbot, window, pipeline, n=12):
    """Record some readings into a session and return it."""
    control = window.sessions
    window.commands["record"].trigger()
    until(qtbot, lambda: control.recorder is not None)
    recorder = control.recorder
    for index in range(n):
        pipeline.put(scene_of(measured(1), index=index, level=40 + 10 * index))
        until(qtbot, lambda i=index: recorder.stats()["results"].written > i)
        until(qtbot, lambda i=index: recorder.stats()["video"].written > i)
    return recorder


def finished(qtbot, window, recorder):
    window.commands["record"].trigger()
    until(qtbot, lambda: recorder.session.outcome != "running")
    until(qtbot, lambda: "Session" in message(window))
    return recorder.session


def row_of(control, session):
    rows = [control.dock.list.item(n).toolTip() for n in range(control.dock.list.count())]
    return rows.index(str(session.folder))


def test_a_session_is_recorded_shown_and_listed(qtbot, window, pipeline):
    window.sessions.dock.participant.setText("P7")
    recorder = record(qtbot, window, pipeline)
    until(qtbot, lambda: window.canvas.badge == "REC")
    assert "REC 00:00" in window.commands["record"].iconText()
    assert "recorded" in window.pane.notice.text()
    window.moments.mark("stimulus")
    until(qtbot, lambda: [m.text for m in recorder.session.markers] == ["stimulus"])
    window.face_commands.select(1)
    window.face_commands.rename("Anna")
    until(qtbot, lambda: recorder.session.names == {1: "Anna"})
    session = finished(qtbot, window, recorder)
    assert str(session.folder) in message(window)
    until(qtbot, lambda: "P7" in window.sessions.dock.list.item(0).text())
    again = Session(session.folder)
    assert again.content["inputs"][0]["frames"] == 12
    assert again.names == {1: "Anna"}


@pytest.mark.fault(17)
def test_leaving_while_recording_asks_and_then_completes_the_session(qtbot, window, pipeline):
    recorder = record(qtbot, window, pipeline, 2)
    window.answer = False
    press(qtbot, window, "Q")
    assert window.isVisible()
    assert window.asked
    assert recorder.session.outcome == "running"
    window.answer = True
    window.commands["stop"].trigger()
    until(qtbot, lambda: recorder.session.outcome == "complete")
    assert pipeline.stopped


def test_a_recording_that_breaks_is_said_and_the_window_goes_on(
    qtbot, window, pipeline, monkeypatch
):
    from realtime_affect.errors import OutputError
    from realtime_affect.outputs.video import VideoRecorder

    def full(*_):
        message = "No space left on device"
        raise OutputError("video.mp4", got=message, expected="space", hint="Free some.")

    monkeypatch.setattr(VideoRecorder, "write", full)
    window.commands["record"].trigger()
    until(qtbot, lambda: window.sessions.recorder is not None)
    pipeline.put(scene_of(measured(1)))
    until(qtbot, lambda: "No space" in message(window))
    assert window.sessions.recorder is None
    assert not window.commands["record"].isChecked()
    show(qtbot, window, pipeline, scene_of(measured(1), index=3))


def test_nothing_is_recorded_of_nothing(qtbot, bare_window):
    bare_window.commands["record"].trigger()
    assert "nothing live" in message(bare_window)
    assert not bare_window.commands["record"].isChecked()


def test_a_session_is_replayed_stepped_noted_and_deleted(qtbot, window, pipeline):
    recorder = record(qtbot, window, pipeline)
    session = finished(qtbot, window, recorder)
    control = window.sessions
    control.open(str(session.folder))
    until(qtbot, lambda: window.moments.replay is not None)
    replay = window.moments.replay
    replay.pause(True)
    replay.seek(5)
    until(qtbot, lambda: window.reading is not None and window.reading.scene.frame.index == 5)
    press(qtbot, window, "Right")
    until(qtbot, lambda: window.reading.scene.frame.index == 6)
    assert window.commands["pause"].isChecked()
    control.bar.follow()
    assert control.bar.isVisible()
    assert control.bar.slider.value() == 6
    until(qtbot, lambda: window.feed.history.span_ns[1] > 0)
    window.moments.mark("later")
    until(qtbot, lambda: [m.text for m in Session(session.folder).markers] == ["later"])
    assert not window.commands["neutral"].isEnabled() or not replay.can_set_neutral
    control.dock.list.setCurrentRow(row_of(control, session))
    control.dock.notes.setPlainText("blinks a lot")
    control.dock.save_notes()
    until(qtbot, lambda: Session(session.folder).notes == "blinks a lot")
    window.answer = False
    control.delete(str(session.folder))
    assert session.folder.exists()
    window.answer = True
    control.delete(str(session.folder))
    until(qtbot, lambda: not session.folder.exists())


def test_a_session_that_was_analysed_again_shows_both(qtbot, window, pipeline):
    recorder = record(qtbot, window, pipeline, 6)
    session = finished(qtbot, window, recorder)
    control, bar, timeline = window.sessions, window.sessions.bar, window.timeline
    control.open(str(session.folder))
    until(qtbot, lambda: window.moments.replay is not None)
    bar.follow()
    assert not bar.results.isVisible()
    again = session.folder / "again"
    again.mkdir()
    for name in ("session.json", "readings.sqlite", "rows.csv"):
        shutil.copy(session.folder / name, again)
    Session(again).note(faces={"1": 1})
    window.moments.replay.pause(True)
    window.moments.replay.seek(4)
    until(qtbot, lambda: window.reading is not None and window.reading.scene.frame.index == 4)
    control.show_results(again=True)
    until(qtbot, lambda: window.moments.replay.again)
    until(qtbot, lambda: window.reading is not None and window.reading.scene.frame.index == 4)
    assert window.moments.replay.paused
    assert "analysed again" in message(window)
    until(qtbot, lambda: timeline.other_ids == {1: 1})
    bar.follow()
    assert bar.results.isVisible()
    assert bar.results.currentText() == "Analysed again"
    window.face_commands.select(1)
    window.pull_docks()
    assert "dotted: as recorded" in timeline.remark.text()
    curves = timeline.plots._curves
    assert {name for name in curves if not name.startswith("other ")} == {
        name.removeprefix("other ") for name in curves if name.startswith("other ")
    }
    bar.results.activated.emit(0)
    until(qtbot, lambda: not window.moments.replay.again)
    window.leave_source()
    window.pull_docks()


def test_a_participant_is_deleted_with_sessions_profile_and_name_after_asking(
    qtbot, window, pipeline, monkeypatch
):
    from affect_gui import session_control

    control, preferences = window.sessions, window.preferences
    profiles = ["P8", "other"]
    monkeypatch.setattr(session_control, "list_profiles", lambda: list(profiles))
    monkeypatch.setattr(session_control, "delete_profile", profiles.remove)
    control.dock.participant.setText("P8")
    doomed = finished(qtbot, window, record(qtbot, window, pipeline, 2))
    control.dock.participant.setText("P9")
    kept = finished(qtbot, window, record(qtbot, window, pipeline, 2))
    control.dock.participant.setText("P8")
    preferences.remember("session/participant", "P8")
    until(qtbot, lambda: {"P8", "P9"} <= set(control.dock.participants()[0]))
    control.open(str(doomed.folder))
    until(qtbot, lambda: window.moments.replay is not None)
    until(qtbot, lambda: not window.tasks._running)
    control.dock.list.setCurrentRow(row_of(control, doomed))
    offered = []

    def choose(_parent, _title, _label, names, at, _editable):
        offered.append(names[at])
        return "P8", True

    monkeypatch.setattr(session_control.QInputDialog, "getItem", choose)
    window.answer = False
    window.commands["delete_participant"].trigger()
    until(qtbot, lambda: bool(window.asked))
    assert "1 session:" in window.asked[-1]
    assert "profile 'P8'" in window.asked[-1]
    assert doomed.folder.exists()
    window.answer = True
    window.commands["delete_participant"].trigger()
    until(qtbot, lambda: "Deleted participant P8: 1 session" in message(window))
    assert not doomed.folder.exists()
    assert kept.folder.exists()
    assert profiles == ["other"]
    assert window.moments.replay is None
    assert control.dock.participant.text() == preferences.text("session/participant") == ""
    until(qtbot, lambda: "P8" not in control.dock.participants()[0])
    assert offered == ["P8", "P8"]


def test_a_participant_who_is_being_recorded_is_not_deleted(qtbot, window, pipeline):
    window.sessions.dock.participant.setText("P10")
    recorder = record(qtbot, window, pipeline, 2)
    window.sessions.delete_participant("P10")
    until(qtbot, lambda: "stop the recording first" in message(window))
    session = finished(qtbot, window, recorder)
    assert session.folder.exists()


def test_the_menu_says_what_to_select_before_it_deletes(qtbot, bare_window):
    bare_window.sessions.dock.list.clear()
    bare_window.commands["delete_session"].trigger()
    assert "Select a session" in message(bare_window)
    bare_window.commands["delete_participant"].trigger()
    assert "of whom" in message(bare_window)


def test_what_is_no_session_is_said(qtbot, bare_window, tmp_path):
    bare_window.sessions.open(str(tmp_path))
    until(qtbot, lambda: "session.json" in message(bare_window))
