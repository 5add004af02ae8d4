"""Taking a neutral face: counted down, checked, confirmed when vision has taken it, reverted."""

from __future__ import annotations

import pytest

from tests.affect_gui.conftest import measured, scene_of
from tests.affect_gui.test_window import message, press, show, until

pytestmark = pytest.mark.gui


@pytest.fixture
def guide(qtbot, window, pipeline):
    """The guide, open for the only face in view."""

    def open_for(face):
        show(qtbot, window, pipeline, scene_of(face))
        window.face_commands.select(face[0].track_id)
        press(qtbot, window, "N")
        dialog = window.face_commands.guide
        dialog._count_timer.setInterval(1)
        return dialog

    yield open_for
    if window.face_commands.guide is not None:
        window.face_commands.guide.close()


@pytest.mark.fault(13)
def test_it_is_taken_only_when_vision_says_so_and_can_be_undone(qtbot, window, pipeline, guide):
    dialog = guide(measured(1))
    assert pipeline.neutral == []
    dialog.start()
    until(qtbot, lambda: dialog.state == "asking")
    assert pipeline.neutral == [1]
    assert window.faces.model.by_user == set()
    pipeline.taken.set_result((1,))
    until(qtbot, lambda: dialog.state == "taken")
    assert window.faces.model.by_user == {1}
    dialog.close()
    window.commands["undo"].trigger()
    assert pipeline.reverted == [1]
    assert window.faces.model.by_user == set()
    assert not window.changes.canRedo()


@pytest.mark.fault(13)
def test_a_laughing_face_is_refused_with_its_reason_and_may_be_tried_again(
    qtbot, window, pipeline, guide
):
    dialog = guide(measured(1, smile=4.0))
    dialog.start()
    until(qtbot, lambda: dialog.state == "refused")
    assert "happiness" in dialog.checks.text()
    assert pipeline.neutral == []
    show(qtbot, window, pipeline, scene_of(measured(1), index=1))
    dialog.start()
    until(qtbot, lambda: dialog.state == "asking")


def test_one_that_was_taken_can_be_reverted_in_the_guide(qtbot, window, pipeline, guide):
    dialog = guide(measured(1))
    dialog.start()
    until(qtbot, lambda: dialog.state == "asking")
    pipeline.taken.set_result((1,))
    until(qtbot, lambda: dialog.state == "taken")
    dialog.revert()
    assert pipeline.reverted == [1]
    assert window.faces.model.by_user == set()


def test_a_face_that_has_left_or_a_run_that_ends_takes_nothing(qtbot, window, pipeline, guide):
    dialog = guide(measured(1))
    for outcome in ("left", "ended"):
        dialog.start()
        until(qtbot, lambda: dialog.state == "asking")
        if outcome == "left":
            pipeline.taken.set_result(())
        else:
            pipeline.taken.cancel()
        until(qtbot, lambda: dialog.state == "refused")
        assert "Not taken" in dialog.words.text()
    assert window.faces.model.by_user == set()


def test_nobody_or_two_without_a_choice_are_told_what_to_do(qtbot, window, pipeline):
    press(qtbot, window, "N")
    assert "No face" in message(window)
    show(qtbot, window, pipeline, scene_of(measured(1), measured(2, x=190)))
    press(qtbot, window, "N")
    assert "Select" in message(window)
    assert window.face_commands.guide is None
