"""Which moment is shown: the newest, one looked back to, a place in a replay; and markers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from PyQt6.QtCore import QObject, pyqtSignal

from affect_gui.timeline_dock import Marker
from affect_gui.undo import Change

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from PyQt6.QtGui import QUndoStack

    from affect_gui.feed import Feed
    from realtime_affect.sessions.replay import Replay
    from realtime_affect.types import Reading

_ORIGIN: Final = "window"
_PASSED_OVER: Final = ("camera", "stream", "gstreamer")
_BACK_NS: Final = 100_000_000  # between two images that are kept to look back on
_MARGIN_NS: Final = 60_000_000  # a spike so near counts as the one that is shown


class Moments(QObject):
    """Move through time: live by looking back, in a replay by going there.

    Parameters
    ----------
    say : callable
        Tells the user what happened.
    changes : QUndoStack
        Markers can be taken back.
    parent : QObject, optional

    Attributes
    ----------
    markers : tuple of Marker
        By time.
    """

    moved = pyqtSignal()
    """Another moment is shown, or is no longer."""
    marked = pyqtSignal()
    """The markers have changed."""

    def __init__(
        self, say: Callable[[str], None], changes: QUndoStack, parent: QObject | None = None
    ) -> None:
        super().__init__(parent)
        self.markers: tuple[Marker, ...] = ()
        self._say, self._changes = say, changes
        self._feed: Feed | None = None
        self._reviewed: Reading | None = None

    def follow(self, feed: Feed | None, markers: Sequence[Marker] = ()) -> None:
        """Move through another source from now on."""
        self._feed = feed
        self.markers = tuple(markers)
        self._review(None)
        self.marked.emit()

    @property
    def reading(self) -> Reading | None:
        """What is on the screen: the newest reading, or the one looked back to."""
        if self._reviewed is not None:
            return self._reviewed
        return None if self._feed is None else self._feed.reading

    @property
    def reviewed(self) -> Reading | None:
        """The earlier moment that is shown while newer ones come; None: the newest is shown."""
        return self._reviewed

    @property
    def replay(self) -> Replay | None:
        """What is shown, where it is a recorded session with a place of its own."""
        from realtime_affect.sessions.replay import Replay

        source = None if self._feed is None else self._feed.source
        return source if isinstance(source, Replay) else None

    def seek(self, t_ns: int) -> None:
        """Show the moment of a source time: of a replay, go there; live, look back."""
        if self.replay is not None:
            self.replay.seek_ns(t_ns)
        elif self._feed is not None:
            self._review(self._feed.history.at(t_ns))

    def back_to_live(self) -> None:
        """Show the newest image again."""
        self._review(None)

    def pause(self, on: bool) -> None:
        """Let the source pause, or go on from what is newest."""
        feed = self._feed
        if feed is None:
            return
        feed.source.pause(on)
        if on and feed.source.source_info.kind in _PASSED_OVER:
            self._say("Paused: images are passed over, nothing is analysed or recorded.")
        elif on:
            self._say("Paused at this image.")
        self._review(self._reviewed if on else None)

    def step(self, by: int) -> None:
        """Go `by` images on, and stay there."""
        shown = self.reading
        if self.replay is not None:
            self.replay.step(by)
            self.moved.emit()
        elif shown is not None:
            self.seek(shown.scene.frame.t_ns + by * _BACK_NS)

    def jump(self, forward: bool) -> None:
        """Go to the next spike or marker, or the one before."""
        shown = self.reading
        if self._feed is None or shown is None:
            return
        now_ns, history = shown.scene.frame.t_ns, self._feed.history
        moments = [
            spike.event.apex_ns
            for spike in history.spikes(*history.span_ns)
            if spike.event.kind == "micro"
        ]
        moments += [marker.t_ns for marker in self.all_markers]
        later = [t for t in moments if t > now_ns + _MARGIN_NS]
        earlier = [t for t in moments if t < now_ns - _MARGIN_NS]
        if forward and later:
            self.seek(min(later))
        elif not forward and earlier:
            self.seek(max(earlier))
        else:
            self._say(f"No spike and no marker {'after' if forward else 'before'} this one.")

    def mark(self, text: str = "") -> None:
        """Set a marker at the moment that is shown; it can be taken back."""
        shown = self.reading
        if shown is None:
            self._say("Nothing to mark yet.")
            return
        marker = Marker(shown.scene.frame.t_ns, text)

        def add() -> None:
            self.markers = tuple(sorted((*self.markers, marker), key=lambda m: m.t_ns))
            self.marked.emit()

        def drop() -> None:
            self.markers = tuple(m for m in self.markers if m is not marker)
            self.marked.emit()

        self._changes.push(Change("marker", add, drop))
        if self._feed is not None and self._reviewed is None and self.replay is None:
            # Into the readings, too, and so into every row and stream.
            self._feed.source.mark(text or "marker", origin=_ORIGIN)
        self._say(f"Marked: {text}" if text else "Marked.")

    @property
    def all_markers(self) -> tuple[Marker, ...]:
        """The user's markers, and those that came from elsewhere, by time."""
        others = () if self._feed is None else self._feed.history.markers
        found = [Marker(m.t_ns, m.label) for m in others if m.origin != _ORIGIN]
        return tuple(sorted((*self.markers, *found), key=lambda marker: marker.t_ns))

    def _review(self, reading: Reading | None) -> None:
        self._reviewed = reading
        self.moved.emit()
