"""When the docks are filled."""

from __future__ import annotations

import pytest

from tests.affect_gui.conftest import measured, scene_of
from tests.affect_gui.test_window import show

pytestmark = pytest.mark.gui


@pytest.fixture
def pulled(qtbot, window, pipeline, monkeypatch):
    """Names of the docks that were filled since one face was shown, in order; by hand alone."""
    window.dock_pulls.timer.stop()
    show(qtbot, window, pipeline, scene_of(measured(1)))
    names = []
    monkeypatch.setattr(window.faces, "show_reading", lambda _: names.append("faces"))
    monkeypatch.setattr(window.timeline, "pull", lambda *_: names.append("timeline"))
    return names


def test_docks_are_filled_in_turn_and_together_where_that_is_asked_for(window, pulled):
    window.feed._ages_ms.clear()
    for _ in range(4):
        window.dock_pulls.pull_next()
    assert pulled in (["faces", "timeline"] * 2, ["timeline", "faces"] * 2)
    window.dock_pulls.pull()
    assert sorted(pulled[-2:]) == ["faces", "timeline"]


def test_docks_wait_while_images_come_late_and_get_their_turn_all_the_same(window, pulled):
    window.feed._ages_ms.append(500.0)
    window.dock_pulls._last_s = float("-inf")
    for _ in range(5):
        window.dock_pulls.pull_next()
    assert len(pulled) == 1
    window.dock_pulls._last_s -= 1
    window.dock_pulls.pull_next()
    assert len(pulled) == 2


def test_docks_do_not_wait_for_images_while_an_earlier_moment_is_looked_at(window, pulled):
    window.feed._ages_ms.append(500.0)
    window.moments.seek(window.reading.scene.frame.t_ns)
    for _ in range(4):
        window.dock_pulls.pull_next()
    assert len(pulled) == 4
