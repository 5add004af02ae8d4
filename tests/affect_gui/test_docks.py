"""The list of faces and the timeline."""

from __future__ import annotations

import numpy as np
import pytest

from affect_gui.history import SERIES, Stretch
from tests.affect_gui.conftest import measured, reading_of, scene_of
from tests.affect_gui.test_window import show, shown, until
from tests.realtime_affect.micro_world import MS, facial_event, with_micro

pytestmark = pytest.mark.gui


def test_rows_keep_their_selection_while_faces_come_and_go(qtbot, window, pipeline):
    show(qtbot, window, pipeline, scene_of(measured(2), measured(5, x=190)))
    window.pull_docks()
    window.face_commands.select(5)
    show(qtbot, window, pipeline, scene_of(measured(1), measured(5, x=190), index=300))
    window.pull_docks()
    model = window.faces.model
    assert [model.index(n).data(0).split(",")[0] for n in range(model.rowCount())] == ["#1", "#5"]
    assert window.faces.view.currentIndex().row() == 1


@pytest.mark.fault(14)
def test_24_faces_are_listed_and_each_can_be_reached_by_the_keyboard(qtbot, window, pipeline):
    from PyQt6.QtCore import Qt

    faces = [measured(n, x=10 * n, size=40) for n in range(1, 25)]
    show(qtbot, window, pipeline, scene_of(*faces))
    window.pull_docks()
    view = window.faces.view
    assert window.faces.model.rowCount() == 24
    view.setFocus()
    for _ in range(24):
        qtbot.keyClick(view, Qt.Key.Key_Down)
    assert window.face_commands.selected == 24


def test_nobody_in_view_is_said_and_who_was_chosen_before_is_unfolded_when_they_come(
    qtbot, window, pipeline
):
    show(qtbot, window, pipeline, scene_of())
    window.pull_docks()
    assert window.faces.widget().currentWidget() is not window.faces.view
    window.face_commands.select(2)
    show(qtbot, window, pipeline, scene_of(measured(1), measured(2, x=180), index=1))
    window.pull_docks()
    assert window.faces.widget().currentWidget() is window.faces.view
    assert window.faces.view.currentIndex().row() == 1


def test_a_short_session_fills_the_timeline_and_its_text_grows_with_the_windows(
    qtbot, window, pipeline
):
    show(qtbot, window, pipeline, scene_of(measured(1, t_ns=33_000_000)))
    until(qtbot, lambda: window.feed.history.span_ns[1] > 0)
    timeline = window.timeline
    for span_ns, seconds in ((12_000_000_000, 12), (60_000_000_000, 60), (1, 5)):
        timeline.pull(window.feed.history.span_ns[1], None, span_ns)
        (left, right), _ = timeline.plots._expressions.viewRange()
        assert abs((right - left) - seconds) < 0.2
    before = timeline.plots._label_px
    window.view_commands.scale_text(1.5)
    assert timeline.plots._label_px > 1.3 * before
    window.view_commands.scale_text(None)
    assert timeline.plots._label_px == before


def test_a_face_says_in_words_what_its_card_shows(qtbot, window, pipeline):
    show(qtbot, window, pipeline, scene_of(measured(1, smile=4.0, score=0.2, size_px=20)))
    window.pull_docks()
    words = window.faces.model.index(0).data(0)
    for part in ("#1", "happiness", "too small", "neutral"):
        assert part in words


def test_a_selected_card_unfolds_and_is_painted(qtbot, window, pipeline):
    show(qtbot, window, pipeline, scene_of(measured(1, smile=4.0)))
    window.pull_docks()
    view, index = window.faces.view, window.faces.model.index(0)
    folded = view.sizeHintForIndex(index).height()
    before = shown(view)
    window.face_commands.select(1)
    assert view.sizeHintForIndex(index).height() > 3 * folded
    assert (shown(view) != before).any()


def test_the_timeline_shows_values_spikes_markers_and_where_none_could_be_seen(
    qtbot, window, pipeline
):
    event = facial_event(0)
    for n, t_ms in enumerate(range(50, 1550, 50)):
        reading = scene_of(measured(1, t_ns=t_ms * MS, smile=3.0), index=n)
        reading = reading_of(n, t_ns=t_ms * MS, tracks=reading.scene.tracks)
        reason = "" if t_ms > 700 else "15 frames a second, 25 are needed"
        pipeline.put(with_micro(reading, {1: [event]}, reason))
        until(qtbot, lambda t=t_ms: window.feed.history.span_ns[1] >= t * MS)
    until(qtbot, lambda: window.reading is not None and window.reading.scene.frame.index == n)
    window.moments.mark("stimulus")
    window.pull_docks()
    plots = window.timeline.plots
    assert "1 spike" in window.timeline.remark.text()
    assert len(plots._micro.data) == 1
    assert [lines[0].value() for lines in plots._marks if lines[0].isVisible()] == [1.45]
    assert any(item.isVisible() for item in plots._hatches[plots._lane])
    strong = {tuple(color) for color in plots._colours[plots._unit_image][101:].tolist()}
    rows = plots._unit_image.image.tolist()
    assert sum(any(tuple(color) in strong for color in row) for row in rows) == 1
    sought = []
    window.timeline.sought.connect(sought.append)
    plots._heads[0].setValue(0.5)
    plots._heads[0].sigDragged.emit(plots._heads[0])
    assert abs(sought[0] - 550 * MS) < 60 * MS
    assert window.moments.reviewed is not None


def test_the_timeline_moves_on_once_a_second_and_shows_what_came_at_once(qtbot, window, pipeline):
    ends, known = [], []
    for n, t_ms in enumerate((50, 61_200, 61_700, 62_100)):
        reading = scene_of(measured(1, t_ns=t_ms * MS, smile=3.0), index=n)
        pipeline.put(reading_of(n, t_ns=t_ms * MS, tracks=reading.scene.tracks))
        until(qtbot, lambda t=t_ms: window.feed.history.span_ns[1] >= t * MS)
        until(
            qtbot, lambda n=n: window.reading is not None and window.reading.scene.frame.index == n
        )
        window.pull_docks()
        plots = window.timeline.plots
        ends.append(round(plots._expressions.viewRange()[0][1], 2))
        nothing = plots._colours[plots._unit_image][0]
        known.append(
            (plots._unit_image.image != nothing).any(axis=2).any(axis=0).nonzero()[0].max()
        )
    assert ends[1:] == pytest.approx([61.95, 61.95, 62.95])
    assert known[1] < known[2]


def test_gaps_and_markers_that_come_and_go_leave_nothing_behind(window):
    """What Qt's scene has let go of is never freed: an hour of gaps would fill the memory."""
    from affect_gui.timeline_dock import Marker

    plots, n = window.timeline.plots, 200

    def draw(gaps, marks):
        missing = np.zeros(n, bool)
        for k in range(gaps):
            missing[20 * k : 20 * k + 10] = True
        values = np.zeros((n, len(SERIES)), np.float32)
        stretch = Stretch(0, values, np.zeros(n, bool), missing, np.zeros(n, np.uint16))
        plots.draw(stretch, None, [], [Marker(k * MS) for k in range(marks)], [], 0)
        shown = sum(item.isVisible() for item in plots._hatches[plots._lines])
        return len(plots.widget.scene().items()), shown

    most, _ = draw(9, 4)
    assert draw(1, 0) == (most, 1)
    assert draw(8, 4) == (most, 8)
    plots.clear()


def test_lines_are_named_on_their_plot_where_it_is_high_enough(window):
    plots = window.timeline.plots
    for height, named in ((8, False), (90, True)):
        plots._lines.vb.resize(300, height)
        assert plots._legend.isVisible() == named


def test_lines_are_drawn_only_for_what_is_picked(qtbot, window, pipeline):
    show(qtbot, window, pipeline, scene_of(measured(1, smile=4.0)))
    until(qtbot, lambda: window.feed.history.span_ns[1] > 0)
    window.pull_docks()
    before = set(window.timeline.plots._curves)
    window.timeline._pick_line("AU06", True)
    window.timeline._pick_line("AU12", False)
    window.pull_docks()
    assert set(window.timeline.plots._curves) == before - {"AU12"} | {"AU06"}
    for name in before:
        window.timeline._pick_line(name, True)
    window.timeline._pick_line("AU06", False)


@pytest.mark.fault(21)
@pytest.mark.parametrize("name", ["light", "dark", "contrast"])
def test_text_stands_out_from_its_ground_in_every_theme(name):
    from PyQt6.QtGui import QColor

    from affect_gui.theme import theme_of

    def luminance(color):
        share = np.array(QColor(color).getRgbF()[:3])
        linear = np.where(share <= 0.04045, share / 12.92, ((share + 0.055) / 1.055) ** 2.4)
        return float(linear @ (0.2126, 0.7152, 0.0722))

    theme = theme_of(name)
    for text in (theme.text, theme.quiet):
        for ground in (theme.window, theme.base, theme.button):
            low, high = sorted((luminance(text), luminance(ground)))
            assert (high + 0.05) / (low + 0.05) >= 4.5
