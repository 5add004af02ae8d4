"""What can be done with a face: select it, name it, take its neutral."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PyQt6.QtCore import Qt
from PyQt6.QtWidgets import QInputDialog

from affect_gui.neutral_dialog import NeutralDialog
from affect_gui.undo import Change

if TYPE_CHECKING:
    from affect_gui.feed import Feed
    from affect_gui.people import Person
    from affect_gui.window import MainWindow


class FaceCommands:
    """The commands of the menu Faces, on the window's source.

    Attributes
    ----------
    selected : int or None
        Id of the face that commands act on; None: all.
    guide : NeutralDialog or None
        The guide that takes a neutral, while it is open.
    """

    def __init__(self, window: MainWindow) -> None:
        self.selected: int | None = None
        self.guide: NeutralDialog | None = None
        self._window = window

    def select(self, track_id: int | None) -> None:
        """Select a face, on the image, in the list and on the timeline."""
        if track_id == self.selected:
            return
        window = self._window
        self.selected = window.canvas.selected = track_id
        window.canvas.repaint_image()
        window.faces.select(track_id)
        window.timeline.select(track_id)

    def select_next(self, by: int) -> None:
        """Select the next face, or the one before."""
        reading = self._window.moments.reading
        ids = [track.track_id for track in reading.scene.tracks] if reading is not None else []
        if not ids:
            self._window.say("No face in view.")
            return
        at = ids.index(self.selected) if self.selected in ids else (-1 if by > 0 else 0)
        self.select(ids[(at + by) % len(ids)])

    def set_neutral(self) -> None:
        """Open the guide that takes the neutral face of the selected person, or the only one."""
        window, feed = self._window, self._window.feed
        reading = None if feed is None else feed.reading
        ids = [] if reading is None else [track.track_id for track in reading.scene.tracks]
        if feed is None or not ids:
            window.say("No face in view.")
        elif not feed.source.can_set_neutral or feed.ended or feed.source.paused:
            window.say("A neutral can only be set while the face is analysed.")
        elif self.selected is None and len(ids) > 1:
            window.say("Select whose neutral face to take: click on a face, then N.")
        elif self.selected is not None and self.selected not in ids:
            window.say(f"Face #{self.selected} is not in view.")
        else:
            self._open_guide(feed, self.selected or ids[0])

    def rename(self, name: str | None = None) -> None:
        """Name the selected face; it can be taken back."""
        window, track_id = self._window, self.selected
        if track_id is None:
            window.say("Select a face first: click on it.")
            return
        names = window.people.names
        before = names.get(track_id, "")
        if name is None:
            name, accepted = QInputDialog.getText(
                window, "Name", f"Name of face #{track_id}:", text=before
            )
            if not accepted:
                return
        new = name.strip()

        def give(text: str) -> None:
            if text:
                names[track_id] = text
            else:
                names.pop(track_id, None)
            window.canvas.repaint_image()
            window.named.emit()

        window.changes.push(Change("name", lambda: give(new), lambda: give(before)))

    def _open_guide(self, feed: Feed, track_id: int) -> None:
        if self.guide is not None:
            self.guide.close()

        def look() -> Person | None:
            if feed.reading is not None:
                self._window.faces.show_reading(feed.reading)
            return self._window.faces.model.person(track_id)

        guide = self.guide = NeutralDialog(feed.source, look, lambda: feed.reading, self._window)
        guide.taken.connect(self._note_neutral)
        guide.reverted.connect(self._window.faces.model.by_user.discard)
        guide.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)

        def forget(_: int) -> None:
            if self.guide is guide:
                self.guide = None

        guide.finished.connect(forget)
        guide.show()

    def _note_neutral(self, track_id: int) -> None:
        """Keep a neutral that was taken: shown, said, and to be taken back."""
        window, feed = self._window, self._window.feed
        window.faces.model.by_user.add(track_id)

        def undo() -> None:
            window.faces.model.by_user.discard(track_id)
            if feed is not None and feed is window.feed:
                feed.source.revert_neutral(track_id)
                window.say(f"Neutral face of #{track_id}: the one from before.")

        window.changes.push(Change("neutral", lambda: None, undo, once=True))
        window.say(f"Neutral face of #{track_id} taken.")
