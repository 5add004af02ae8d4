"""The main window against a source that a test plays."""

from __future__ import annotations

import dataclasses
import gc
import math
from types import SimpleNamespace

import numpy as np
import pytest

from realtime_affect.capture import SourceState
from realtime_affect.errors import InputMissingError
from tests.affect_gui.conftest import FakePipeline, measured, reading_of, scene_of

pytestmark = pytest.mark.gui


def shown(widget):
    """A widget's image as (H, W, 3) RGB."""
    from PyQt6.QtGui import QImage

    image = widget.grab().toImage().convertToFormat(QImage.Format.Format_RGB888)
    bits = image.constBits()
    bits.setsize(image.sizeInBytes())
    rows = np.frombuffer(bits, np.uint8).reshape(image.height(), image.bytesPerLine())
    return rows[:, : 3 * image.width()].reshape(image.height(), image.width(), 3).copy()


def until(qtbot, condition):
    """Wait as long as a busy machine may need; only what hangs fails."""
    qtbot.waitUntil(condition, timeout=60_000)


def press(qtbot, window, key, modifier="NoModifier"):
    from PyQt6.QtCore import Qt

    qtbot.keyClick(window, getattr(Qt.Key, f"Key_{key}"), getattr(Qt.KeyboardModifier, modifier))


def show(qtbot, window, pipeline, reading):
    before = window.canvas.n_painted
    pipeline.put(reading)
    until(qtbot, lambda: window.reading is reading and window.canvas.n_painted > before)


def middle(window):
    picture = shown(window.canvas)
    return picture[picture.shape[0] // 2, picture.shape[1] // 2]


def message(window):
    return window.strip.currentMessage()


@pytest.mark.fault(2)
def test_the_newest_reading_is_painted_and_older_ones_are_not(qtbot, window, pipeline):
    before = window.canvas.n_painted
    for index in range(5):
        pipeline.put(reading_of(index, level=30 + 40 * index))
    until(qtbot, lambda: window.canvas.n_painted > before)
    assert window.reading.scene.frame.index == 4
    assert abs(int(middle(window)[0]) - 190) < 6
    assert pipeline.slot.counters.drops == 4
    gc.collect()
    assert abs(int(middle(window)[1]) - 190) < 6


@pytest.mark.fault(2)
def test_the_age_counted_is_that_of_the_frame_when_it_is_painted(qtbot, window, pipeline):
    assert math.isnan(window.feed.age_ms)
    show(qtbot, window, pipeline, reading_of())
    p50, p95 = window.feed.age_percentiles()
    assert 0 < p50 <= p95


@pytest.mark.parametrize(
    ("key", "name"), [("M", "mesh"), ("B", "bars"), ("G", "gaze"), ("P", "pose")]
)
def test_keys_toggle_what_is_painted_and_it_is_remembered(qtbot, window, preferences, key, name):
    before = getattr(window.canvas.config, name)
    press(qtbot, window, key)
    assert getattr(window.canvas.config, name) is not before
    assert preferences.flag(f"view/{name}", before) is not before
    assert message(window).endswith(" off" if before else " on")


@pytest.mark.fault(15)
@pytest.mark.parametrize(
    ("key", "modifier"),
    [("F", "AltModifier"), ("M", "ControlModifier"), ("N", "ControlModifier"),
     ("S", "AltModifier"), ("P", "AltModifier")],
)  # fmt: skip
def test_modifiers_are_told_apart(qtbot, window, pipeline, key, modifier, tmp_path):
    show(qtbot, window, pipeline, reading_of(boxes=[(10, 30, 80, 150)]))
    before = window.canvas.config
    press(qtbot, window, key, modifier)
    assert window.canvas.config == before
    assert not window.isFullScreen()
    assert window.face_commands.guide is None
    assert not (tmp_path / "pictures").exists()


@pytest.mark.fault(16)
def test_only_steps_and_sizes_repeat_while_their_key_is_held(window):
    from affect_gui.actions import COMMANDS

    repeating = {c.name for c in COMMANDS if window.commands[c.name].autoRepeat()}
    assert repeating == {"back", "forward", "larger", "smaller", "next_face", "previous_face"}


def test_every_command_is_connected_has_a_tip_and_no_two_share_a_key(window):
    from affect_gui.actions import COMMANDS, help_rows

    keys = [key for command in COMMANDS for key in command.keys]
    assert len(keys) == len(set(keys))
    assert all(command.tip for command in COMMANDS)
    assert len(help_rows()) == 1 + sum(bool(command.keys) for command in COMMANDS)
    for command in COMMANDS:
        action = window.commands[command.name]
        signal = action.toggled if command.checkable and not command.group else action.triggered
        if action.isVisible():
            assert action.receivers(signal) > 0, command.name


def test_help_and_about_are_sheets_made_from_what_the_window_knows(qtbot, window):
    from PyQt6.QtWidgets import QDialog, QLabel, QTableWidget

    for name, widget, words in (("keys", QTableWidget, "Ctrl+R"), ("about", QLabel, "5(1)(f)")):
        window.commands[name].trigger()
        (sheet,) = [w for w in window.findChildren(QDialog) if w.isVisible()]
        content = sheet.findChild(widget)
        text = (
            content.text()
            if widget is QLabel
            else " ".join(content.item(row, 0).text() for row in range(content.rowCount()))
        )
        assert words in text
        if widget is QTableWidget:
            assert content.horizontalScrollBar().maximum() == 0, "what is long wraps"
        sheet.close()


def test_a_click_selects_a_face_everywhere_and_the_keyboard_the_next(qtbot, window, pipeline):
    from PyQt6.QtCore import QPoint, Qt

    show(qtbot, window, pipeline, reading_of(boxes=[(10, 30, 80, 150), (200, 30, 280, 150)]))
    window.pull_docks()
    place = window.canvas._place()
    scale = place.width() / 320
    at = QPoint(round(place.x() + 240 * scale), round(place.y() + 90 * scale))
    qtbot.mouseClick(window.canvas, Qt.MouseButton.LeftButton, pos=at)
    assert window.face_commands.selected == 2
    assert window.faces.view.currentIndex().row() == 1
    window.commands["next_face"].trigger()
    assert window.face_commands.selected == 1
    empty = QPoint(round(place.x() + 140 * scale), at.y())
    qtbot.mouseClick(window.canvas, Qt.MouseButton.LeftButton, pos=empty)
    assert window.face_commands.selected is None


@pytest.mark.fault(3)
def test_a_mirrored_image_shows_and_selects_what_is_under_the_mouse(qtbot, window, pipeline):
    reading = reading_of(boxes=[(10, 30, 80, 150)])
    pixels = reading.scene.frame.image.copy()
    pixels[:, :100] = 200
    from dataclasses import replace

    from realtime_affect.types import Reading, Scene

    frame = replace(reading.scene.frame, image=pixels)
    show(qtbot, window, pipeline, Reading(Scene(frame, reading.scene.tracks), reading.affect))
    window.commands["mirror"].setChecked(True)
    picture, place = shown(window.canvas), window.canvas._place()
    assert picture[picture.shape[0] // 2, round(place.right()) - 20].mean() > 150
    assert picture[picture.shape[0] // 2, round(place.left()) + 20].mean() < 150
    assert window.canvas.face_at(20, 90) == 1


@pytest.mark.fault(1)
@pytest.mark.parametrize(("width", "height"), [(320, 240), (200, 200), (180, 320), (640, 200)])
def test_images_of_any_shape_keep_it_and_boxes_lie_on_their_faces(
    qtbot, window, pipeline, width, height
):
    box = (0.5 * width, 0.25 * height, 0.9 * width, 0.75 * height)
    show(qtbot, window, pipeline, reading_of(boxes=[box], width=width, height=height))
    place = window.canvas._place()
    assert place.width() / place.height() == pytest.approx(width / height, rel=0.02)
    x0, y0, x1, y1 = np.array(box) * place.width() / width
    picture = shown(window.canvas)

    def painted(x, y):
        row, column = round(place.top() + y), round(place.left() + x)
        return np.ptp(picture[row - 3 : row + 4, column - 3 : column + 4].astype(int)) > 60

    assert painted(x0, (y0 + y1) / 2)
    assert painted(x1, (y0 + y1) / 2)
    assert not painted(x0 / 2, (y0 + y1) / 2)


@pytest.mark.parametrize(
    ("free", "words"), [(5 << 40, "5120 GB free"), (1 << 30, "LOW: 1 GB free"), (None, "")]
)
def test_the_space_left_where_sessions_go_is_shown(
    qtbot, window, monkeypatch, tmp_path, free, words
):
    asked = []

    def usage(folder):
        asked.append(folder)
        if free is None:
            raise OSError(5, "Input/output error")
        return SimpleNamespace(free=free)

    monkeypatch.setattr("affect_gui.status_strip.shutil.disk_usage", usage)
    window.strip.fields["disk"].setText("?")
    window.strip.watch_disk(tmp_path / "not" / "there yet")
    until(qtbot, lambda: window.strip.fields["disk"].text() == words)
    assert asked[-1] == tmp_path
    window.strip.watch_disk(window.sessions.store.root)


@pytest.mark.fault(6)
def test_another_source_shows_nothing_of_the_one_before(qtbot, window, pipeline):
    show(qtbot, window, pipeline, scene_of(measured(1)))
    other = FakePipeline()
    window.show_source(other)
    assert window.reading is None
    assert window.canvas.face_at(115, 75) is None
    assert window.canvas._place() is None
    show(qtbot, window, other, reading_of(level=40))
    assert window.canvas.face_at(115, 75) is None
    window.leave_source()
    other.close()


def test_the_status_names_what_runs_the_networks(qtbot, window):
    window._show_status()
    assert window.strip.fields["backend"].text() == "cuda"
    window.leave_source()
    window._show_status()
    assert window.strip.fields["backend"].text() == ""


def test_a_lost_camera_is_announced_while_the_last_image_stays(qtbot, window, pipeline):
    show(qtbot, window, pipeline, reading_of())
    pipeline.source_state = SourceState.OFFLINE
    until(qtbot, lambda: "OFFLINE" in window.windowTitle())
    place = window.canvas._place()
    row, column = round(place.center().y()), round(place.left()) + 6
    red, _, blue = shown(window.canvas)[row, column].astype(int)
    assert red - blue > 100
    pipeline.source_state = SourceState.ONLINE
    until(qtbot, lambda: "OFFLINE" not in window.windowTitle())


def test_a_camera_lost_before_its_first_image_is_announced(qtbot, window, pipeline):
    assert window.canvas.title == "Starting"
    pipeline.source_state = SourceState.OFFLINE
    until(qtbot, lambda: window.canvas.title == "OFFLINE")


@pytest.mark.fault(16)
def test_a_screenshot_is_written_elsewhere_once_and_its_place_is_said(
    qtbot, window, pipeline, tmp_path
):
    import cv2

    show(qtbot, window, pipeline, reading_of(level=160))
    press(qtbot, window, "S")
    until(qtbot, lambda: "Saved" in message(window))
    (path,) = (tmp_path / "pictures").glob("*.png")
    assert str(path) in message(window)
    picture = cv2.imread(str(path))
    assert abs(int(picture[window.canvas.height() // 2, picture.shape[1] // 2, 0]) - 160) < 6


def test_a_screenshot_that_cannot_be_written_is_said_and_survived(
    qtbot, window, pipeline, tmp_path
):
    (tmp_path / "pictures").write_text("a file where the folder should be")
    show(qtbot, window, pipeline, reading_of())
    press(qtbot, window, "S")
    until(qtbot, lambda: "Not saved" in message(window))
    assert window.isVisible()


@pytest.mark.fault(17)
def test_escape_leaves_full_screen_and_never_closes(qtbot, window):
    press(qtbot, window, "F")
    until(qtbot, window.isFullScreen)
    press(qtbot, window, "Escape")
    until(qtbot, lambda: not window.isFullScreen())
    press(qtbot, window, "Escape")
    assert window.isVisible()


def test_closing_stops_the_source_and_lets_go_of_its_readings(qtbot, window, pipeline):
    press(qtbot, window, "Q")
    assert not window.isVisible()
    assert pipeline.stopped
    assert pipeline.slot.closed
    assert window.exit_code == 0


@pytest.mark.fault(17)
def test_closing_while_files_are_recorded_asks_first(qtbot, window, pipeline):
    window.file_recording = True
    window.answer = False
    press(qtbot, window, "Q")
    assert window.isVisible()
    assert window.asked
    window.answer = True
    press(qtbot, window, "Q")
    assert not window.isVisible()


@pytest.mark.fault(23)
def test_recording_shows_its_sign_and_the_notice_says_it(qtbot, window, pipeline):
    assert "recorded" not in window.pane.notice.text()
    window.file_recording = True
    show(qtbot, window, pipeline, reading_of())
    until(qtbot, lambda: window.canvas.badge == "REC")
    assert "recorded" in window.pane.notice.text()


@pytest.mark.fault(18)
def test_a_clip_that_ends_leaves_the_window_open_to_look_back(qtbot, window, pipeline):
    for index in range(30):
        pipeline.put(reading_of(index, level=60 + 4 * index))
    until(qtbot, lambda: window.feed.history.span_ns[1] > 0)
    pipeline.source_state = SourceState.ENDED
    pipeline.end()
    until(qtbot, lambda: window.feed.ended)
    assert window.isVisible()
    assert "ended" in window._state_word(window.feed)
    first_ns, _ = window.feed.history.span_ns
    window.moments.seek(first_ns)
    assert window.moments.reviewed is not None
    assert window.canvas.badge.startswith("REVIEW")
    press(qtbot, window, "Escape")
    assert window.moments.reviewed is None


def test_a_failed_worker_is_shown_becomes_exit_code_1_and_leaves_the_window_open(
    qtbot, window, pipeline
):
    show(qtbot, window, pipeline, reading_of())
    pipeline.failure = RuntimeError("the network broke")
    pipeline.end()
    until(qtbot, lambda: window.exit_code == 1)
    assert window.isVisible()
    assert window.canvas.text == "the network broke"


@pytest.mark.parametrize(
    ("kind", "words"), [("video", "Paused at this image"), ("camera", "images are passed over")]
)
def test_pause_pauses_the_source_and_says_what_that_means(
    qtbot, window, pipeline, monkeypatch, kind, words
):
    info = dataclasses.replace(pipeline.source_info, kind=kind)
    monkeypatch.setattr(pipeline, "source_info", info)
    show(qtbot, window, pipeline, reading_of(0, level=60))
    press(qtbot, window, "Space")
    assert pipeline.paused
    assert words in message(window)
    assert window.canvas.badge == "PAUSED"
    press(qtbot, window, "N")
    assert pipeline.neutral == []
    press(qtbot, window, "Space")
    assert not pipeline.paused
    assert window.canvas.badge == ""


def test_looking_back_shows_one_moment_while_newer_ones_come(qtbot, window, pipeline):
    show(qtbot, window, pipeline, reading_of(0, level=60))
    until(qtbot, lambda: window.feed.history.span_ns[1] > 0)
    window.moments.seek(0)
    held = window.reading
    pipeline.put(reading_of(1, level=200))
    until(qtbot, lambda: window.feed.reading.scene.frame.index == 1)
    assert window.reading is held
    press(qtbot, window, "L")
    assert window.reading.scene.frame.index == 1


def test_markers_are_set_shown_and_taken_back(qtbot, window, pipeline):
    show(qtbot, window, pipeline, reading_of())
    press(qtbot, window, "K")
    window.moments.mark("stimulus")
    assert [marker.text for marker in window.moments.markers] == ["", "stimulus"]
    assert pipeline.marked == [("marker", "window"), ("stimulus", "window")]
    window.pull_docks()
    assert window.timeline.markers == window.moments.markers
    press(qtbot, window, "Z", "ControlModifier")
    assert [marker.text for marker in window.moments.markers] == [""]
    press(qtbot, window, "Y", "ControlModifier")
    assert len(window.moments.markers) == 2


def test_the_next_marker_is_gone_to(qtbot, window, pipeline):
    for index in range(60):
        pipeline.put(reading_of(index, level=60 + index))
        if index % 10 == 0:
            until(qtbot, lambda i=index: window.feed.history.span_ns[1] >= (i + 1) * 33_000_000)
    until(qtbot, lambda: window.reading.scene.frame.index == 59)
    window.moments.seek(33_000_000 * 11)
    window.moments.mark()
    window.moments.back_to_live()
    press(qtbot, window, "Left", "ShiftModifier")
    assert abs(window.reading.scene.frame.t_ns - 33_000_000 * 11) < 200_000_000
    press(qtbot, window, "Left", "ShiftModifier")
    assert "before" in message(window)


def test_a_name_is_given_shown_and_taken_back(qtbot, window, pipeline):
    window.face_commands.rename("Anna")
    assert "Select a face" in message(window)
    show(qtbot, window, pipeline, reading_of(boxes=[(10, 30, 80, 150)]))
    window.face_commands.select(1)
    window.face_commands.rename("Anna")
    window.pull_docks()
    assert window.faces.model.person(1).title == "#1 Anna"
    window.commands["undo"].trigger()
    window.pull_docks()
    assert window.faces.model.person(1).title == "#1"


def test_nothing_can_be_stopped_at_first_and_the_start_page_stays_readable_on_a_wide_screen(
    qtbot, bare_window
):
    assert not bare_window.commands["stop"].isEnabled()
    bare_window.resize(3840, 1000)
    page = bare_window.start_page
    until(qtbot, lambda: page.width() > 3000)
    assert page.widget().width() < 2200
    assert abs(page.widget().geometry().center().x() - page.viewport().width() / 2) < 3


def test_the_start_page_opens_what_is_named_and_says_why_something_cannot_be(
    qtbot, bare_window, pipeline
):
    window = bare_window
    assert window.stack.currentWidget() is window.start_page
    window.sources["nothing.mp4"] = InputMissingError(
        thing="file nothing.mp4", got="no such file", expected="a video", hint="Check the path."
    )
    window.start_page.address.setText("nothing.mp4")
    window.start_page.address.returnPressed.emit()
    until(qtbot, lambda: "no such file" in window.start_page.problem.text())
    assert window.stack.currentWidget() is window.start_page
    window.sources["demo"] = pipeline
    window.open("demo")
    until(qtbot, lambda: window.feed is not None)
    assert pipeline.running
    assert window.stack.currentWidget() is window.pane
    other = FakePipeline()
    window.sources["other"] = other
    window.open("other")
    until(qtbot, lambda: window.feed.source is other)
    until(qtbot, lambda: pipeline.closed)
    window.commands["stop"].trigger()
    assert other.stopped
    other.end()
    until(qtbot, lambda: window.commands["start"].isEnabled())
    third = window.sources["other"] = FakePipeline()
    press(qtbot, window, "Return", "ControlModifier")  # what was open last, from its beginning
    until(qtbot, lambda: window.feed.source is third)
    assert third.running
    third.close()


def dropped(window, urls):
    """Drag things over the window's parts and drop them; return which part would keep them."""
    from PyQt6.QtCore import QMimeData, QPoint, QPointF, Qt
    from PyQt6.QtGui import QDragEnterEvent, QDropEvent
    from PyQt6.QtWidgets import QApplication, QGraphicsView

    data = QMimeData()
    data.setUrls(urls)
    rest = Qt.DropAction.CopyAction, data, Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier
    parts = {
        "start page": window.start_page.viewport(), "image": window.canvas,
        "timeline": window.timeline.findChild(QGraphicsView).viewport(),
        "faces": window.faces.view.viewport(), "sessions": window.sessions.dock.list.viewport(),
    }  # fmt: skip

    def taken(part):
        event = QDragEnterEvent(QPoint(1, 1), *rest)
        event.ignore()
        QApplication.sendEvent(part, event)
        return event.isAccepted()

    assert all(map(taken, parts.values()))
    window.setAcceptDrops(False)
    kept = [name for name, part in parts.items() if taken(part)]
    window.setAcceptDrops(True)
    QApplication.sendEvent(window, QDropEvent(QPointF(1, 1), *rest))
    return kept


def test_what_is_dropped_anywhere_on_the_window_is_opened(
    qtbot, bare_window, tmp_path, monkeypatch
):
    from PyQt6.QtCore import QUrl

    opened, replayed = [], []
    monkeypatch.setattr(bare_window, "open", opened.append)
    monkeypatch.setattr(bare_window.sessions, "open", replayed.append)
    clip = tmp_path / "clïp.mp4"
    assert dropped(bare_window, [QUrl.fromLocalFile(str(clip))]) == []
    until(qtbot, lambda: opened == [str(clip)])
    dropped(bare_window, [QUrl("rtsp://camera/1")])
    until(qtbot, lambda: opened[1:] == ["rtsp://camera/1"])
    (tmp_path / "session.json").write_text("{}")
    dropped(bare_window, [QUrl.fromLocalFile(str(tmp_path))])
    until(qtbot, lambda: replayed == [str(tmp_path)])
    assert len(opened) == 2


def test_themes_text_size_and_layout_are_kept_for_the_next_time(qtbot, bare_window, preferences):
    from PyQt6.QtWidgets import QApplication

    before = QApplication.font().pointSizeF()
    bare_window.commands["theme_contrast"].trigger()
    bare_window.commands["larger"].trigger()
    assert QApplication.font().pointSizeF() > before
    assert bare_window.canvas.config.scale > 1
    assert preferences.text("view/theme") == "contrast"
    bare_window.show_source(FakePipeline())
    bare_window.timeline.hide()
    preferences.save_layout(bare_window)
    from affect_gui.window import MainWindow
    from realtime_affect.config import Config

    again = MainWindow(Config(), preferences=preferences)
    assert again.canvas.config.scale > 1
    assert again.timeline.isHidden()
    again.commands["usual_size"].trigger()
    again.commands["theme_light"].trigger()
    again.shut()
    again.deleteLater()


def test_hidden_docks_are_not_pulled(qtbot, window, pipeline):
    window.faces.hide()
    window.timeline.hide()
    show(qtbot, window, pipeline, scene_of(measured(1)))
    window.pull_docks()
    assert window.faces.model.rowCount() == 0


def test_an_image_is_painted_anew_for_another_state_and_not_for_new_counters(
    qtbot, window, pipeline
):
    show(qtbot, window, pipeline, reading_of())
    window.feed.refresh()
    assert not window.canvas._stale
    window.file_recording = True
    window.feed.refresh()
    assert window.canvas._stale
    window.file_recording = False


@pytest.mark.fault(22)
def test_the_notice_stays_readable_in_the_smallest_window(qtbot, window, pipeline):
    window.faces.hide()
    window.timeline.hide()
    window.resize(320, 240)
    show(qtbot, window, pipeline, reading_of())
    notice = window.pane.notice
    assert notice.isVisible()
    needed = notice.heightForWidth(notice.width())
    assert notice.height() >= needed
    assert notice.fontMetrics().height() >= 10


def test_people_who_do_not_see_the_image_are_told_what_it_is(window):
    assert "clip" in window.windowTitle()
    assert window.canvas.accessibleName()
    assert "list of faces" in window.canvas.accessibleDescription()
    assert window.faces.view.accessibleName()
