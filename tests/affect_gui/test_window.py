"""The live window against a pipeline that a test plays."""

from __future__ import annotations

import gc
import math
import time
from types import SimpleNamespace

import pytest

from realtime_affect.capture import SourceState
from tests.affect_gui.conftest import reading_of

pytestmark = pytest.mark.gui


def shown(window):
    """The window's image as (H, W, 3) RGB."""
    import numpy as np
    from PyQt6.QtGui import QImage

    image = window.canvas.grab().toImage().convertToFormat(QImage.Format.Format_RGB888)
    bits = image.constBits()
    bits.setsize(image.sizeInBytes())
    rows = np.frombuffer(bits, np.uint8).reshape(image.height(), image.bytesPerLine())
    return rows[:, : 3 * image.width()].reshape(image.height(), image.width(), 3).copy()


def until(qtbot, condition):
    """Wait as long as a busy machine may need; only what hangs fails."""
    qtbot.waitUntil(condition, timeout=60_000)


def press(qtbot, window, key):
    from PyQt6.QtCore import Qt

    qtbot.keyClick(window, getattr(Qt.Key, f"Key_{key}"))


def show(qtbot, window, pipeline, reading):
    before = window.n_painted
    pipeline.slot.put(reading)
    until(qtbot, lambda: window.reading is reading and window.n_painted > before)


def test_the_newest_reading_is_painted_and_older_ones_are_not(qtbot, window, pipeline):
    for index in range(5):
        pipeline.slot.put(reading_of(index, level=30 + 40 * index))
    until(qtbot, lambda: window.n_painted > 0)
    assert window.reading.scene.frame.index == 4
    assert abs(int(shown(window)[180, 320, 0]) - 190) < 6
    assert pipeline.slot.counters.drops == 4


def test_the_age_shown_is_that_of_the_frame_when_it_is_painted(qtbot, window, pipeline):
    assert math.isnan(window.age_ms)
    reading = reading_of()
    show(qtbot, window, pipeline, reading)
    now_ms = (time.monotonic_ns() - reading.scene.frame.captured_ns) / 1e6
    assert 0 < window.age_ms <= now_ms


def test_a_stalled_pipeline_leaves_the_window_awake_and_its_picture_ageing(qtbot, window, pipeline):
    show(qtbot, window, pipeline, reading_of())
    first = window.age_ms
    press(qtbot, window, "M")
    assert window.config.mesh
    until(qtbot, lambda: window.age_ms > first + 600)


def test_the_picture_survives_its_reading_and_any_collection(qtbot, window, pipeline):
    show(qtbot, window, pipeline, reading_of(level=200))
    gc.collect()
    assert abs(int(shown(window)[180, 320, 1]) - 200) < 6


@pytest.mark.parametrize(
    ("key", "name"), [("M", "mesh"), ("B", "bars"), ("G", "gaze"), ("P", "pose")]
)
def test_keys_toggle_what_is_painted(qtbot, window, key, name):
    before = getattr(window.config, name)
    press(qtbot, window, key)
    assert getattr(window.config, name) is not before
    assert window.status.message.endswith(" off" if before else " on")
    press(qtbot, window, key)
    assert getattr(window.config, name) is before


def test_help_is_shown_and_hidden(qtbot, window, pipeline):
    show(qtbot, window, pipeline, reading_of())
    plain = shown(window)
    press(qtbot, window, "H")
    assert window.showing_help
    assert (shown(window) != plain).any(axis=2).mean() > 0.1
    press(qtbot, window, "H")
    assert not window.showing_help


def test_n_sets_the_neutral_face_of_all_or_of_the_one_clicked(qtbot, window, pipeline):
    from PyQt6.QtCore import QPoint, Qt

    press(qtbot, window, "N")
    assert pipeline.neutral == []
    show(qtbot, window, pipeline, reading_of(boxes=[(10, 30, 80, 150), (200, 30, 280, 150)]))
    press(qtbot, window, "N")
    assert pipeline.neutral == [None]
    # The window is twice the frame's size.
    qtbot.mouseClick(window.canvas, Qt.MouseButton.LeftButton, pos=QPoint(480, 180))
    assert window.selected == 2
    press(qtbot, window, "N")
    assert pipeline.neutral == [None, 2]
    qtbot.mouseClick(window.canvas, Qt.MouseButton.LeftButton, pos=QPoint(300, 180))
    assert window.selected is None


def test_neutral_is_not_set_for_a_face_that_has_left(qtbot, window, pipeline):
    show(qtbot, window, pipeline, reading_of(boxes=[(10, 30, 80, 150)]))
    window.select_at(40, 90)
    show(qtbot, window, pipeline, reading_of())
    press(qtbot, window, "N")
    assert pipeline.neutral == []
    assert "not in view" in window.status.message


def test_the_picture_keeps_its_proportions_between_black_borders(qtbot, window, pipeline):
    window.resize(640, 600)
    show(qtbot, window, pipeline, reading_of(level=200))
    picture = shown(window)
    assert picture[10, 320].max() < 30
    assert picture[590, 320].max() < 30
    assert abs(int(picture[300, 320, 0]) - 200) < 6
    window.select_at(0, 0)
    assert window.selected is None


def test_a_lost_camera_is_announced_while_the_last_picture_stays(qtbot, window, pipeline):
    show(qtbot, window, pipeline, reading_of())
    pipeline.source_state = SourceState.OFFLINE
    until(qtbot, lambda: "OFFLINE" in window.windowTitle())
    red, _, blue = shown(window)[180, 10].astype(int)
    assert red - blue > 100
    pipeline.source_state = SourceState.ONLINE
    show(qtbot, window, pipeline, reading_of(level=150))
    until(qtbot, lambda: "OFFLINE" not in window.windowTitle())
    assert abs(int(shown(window)[180, 10, 0]) - 150) < 6


def test_a_camera_lost_before_its_first_picture_is_announced(qtbot, window, pipeline):
    pipeline.source_state = SourceState.OFFLINE
    until(qtbot, lambda: "OFFLINE" in window.windowTitle())
    red, _, blue = shown(window)[180, 10].astype(int)
    assert red - blue > 100


def test_a_screenshot_is_written_and_its_place_is_said(qtbot, window, pipeline, tmp_path):
    import cv2

    show(qtbot, window, pipeline, reading_of(level=160))
    press(qtbot, window, "S")
    (path,) = (tmp_path / "pictures").glob("*.png")
    assert str(path) in window.status.message
    assert abs(int(cv2.imread(str(path))[180, 320, 0]) - 160) < 6


def test_a_screenshot_that_cannot_be_written_is_said_and_survived(qtbot, window, tmp_path):
    (tmp_path / "pictures").write_text("a file where the folder should be")
    press(qtbot, window, "S")
    assert "Not saved" in window.status.message
    assert window.isVisible()


def test_full_screen_is_entered_and_left(qtbot, window):
    press(qtbot, window, "F")
    until(qtbot, window.isFullScreen)
    press(qtbot, window, "Escape")
    until(qtbot, lambda: not window.isFullScreen())
    assert window.isVisible()


@pytest.mark.parametrize("key", ["Q", "Escape"])
def test_closing_stops_the_pipeline_and_lets_go_of_its_readings(qtbot, window, pipeline, key):
    press(qtbot, window, key)
    assert not window.isVisible()
    assert pipeline.stopped
    assert pipeline.slot.closed
    assert window.exit_code == 0


def test_a_failed_worker_is_shown_and_becomes_exit_code_1(qtbot, window, pipeline):
    show(qtbot, window, pipeline, reading_of())
    pipeline.failure = RuntimeError("the network broke")
    pipeline.slot.close()
    until(qtbot, lambda: window.exit_code == 1)
    assert window.isVisible()
    red, _, blue = shown(window)[180, 10].astype(int)
    assert red - blue > 100
    window.close()
    assert window.exit_code == 1


def test_a_failed_pipeline_closes_the_window_by_itself(qtbot, window, pipeline, monkeypatch):
    monkeypatch.setattr("affect_gui.window._FAILURE_S", 0.1)
    pipeline.failure = RuntimeError("the network broke")
    pipeline.slot.close()
    until(qtbot, lambda: not window.isVisible())
    assert window.exit_code == 1


def end(qtbot, window, pipeline, monkeypatch):
    """Let the video end; its image would stay for half an hour."""
    monkeypatch.setattr("affect_gui.window._LINGER_S", 1800.0)
    pipeline.source_state = SourceState.ENDED
    pipeline.slot.close()
    until(qtbot, lambda: bool(window.ending))


def an_hour_passes(monkeypatch):
    later = SimpleNamespace(
        monotonic=lambda: time.monotonic() + 3600, monotonic_ns=time.monotonic_ns
    )
    monkeypatch.setattr("affect_gui.window.time", later)


def test_a_video_that_ends_leaves_its_picture_a_while_and_then_closes(
    qtbot, window, pipeline, monkeypatch
):
    show(qtbot, window, pipeline, reading_of())
    end(qtbot, window, pipeline, monkeypatch)
    window.refresh()
    assert window.isVisible()
    an_hour_passes(monkeypatch)
    until(qtbot, lambda: not window.isVisible())
    assert window.exit_code == 0


def test_space_keeps_the_last_picture(qtbot, window, pipeline, monkeypatch):
    end(qtbot, window, pipeline, monkeypatch)
    press(qtbot, window, "Space")
    an_hour_passes(monkeypatch)
    window.refresh()
    assert window.isVisible()


def test_a_pipeline_told_to_stop_closes_the_window(qtbot, window, pipeline):
    pipeline.slot.close()
    until(qtbot, lambda: not window.isVisible())


def test_people_who_do_not_see_the_picture_are_told_what_it_is(window):
    assert "clip" in window.windowTitle()
    assert window.canvas.accessibleName()
    assert "H" in window.canvas.accessibleDescription()
    assert window.canvas.toolTip()
    assert window.status.message == "H  help"
