"""When the docks are filled, and with what: in turn, less often while images come late.

Filling a dock and painting it takes Qt's thread as long as an image or two. Faces and timeline are
never both filled between the same two images, and where the machine is too busy to paint images in
time, they wait for a second: the image comes first.
"""

from __future__ import annotations

import time
from itertools import cycle
from typing import TYPE_CHECKING, Final

from PyQt6.QtCore import QTimer

from affect_gui.timeline_dock import SPAN_NS

if TYPE_CHECKING:
    from affect_gui.window import MainWindow

_TURN_MS: Final = 100  # each dock at every other one
_LATE_MS: Final = 120.0  # three images of a camera
_LATE_TURN_S: Final = 0.5
_SECOND_NS: Final = 1_000_000_000


class DockPulls:
    """Fill the list of faces and the timeline of a window, as far as anybody sees them."""

    def __init__(self, window: MainWindow) -> None:
        self._window = window
        self._turns = cycle((self.pull_faces, self.pull_timeline))
        self._last_s = 0.0
        self.timer = QTimer(window)
        self.timer.timeout.connect(self.pull_next)
        self.timer.start(_TURN_MS)

    def pull(self) -> None:
        """Fill both now."""
        self.pull_faces()
        self.pull_timeline()

    def pull_next(self) -> bool:
        """Fill the one whose turn it is; False: images come late, and it is not yet time."""
        now_s = time.monotonic()
        if self._late and now_s - self._last_s < _LATE_TURN_S:
            return False
        self._last_s = now_s
        next(self._turns)()
        return True

    @property
    def _late(self) -> bool:
        """Whether the newest image was old when it was painted."""
        feed = self._window.feed
        if feed is None or not feed.source.live or self._window.moments.reviewed is not None:
            return False
        return feed.age_ms > _LATE_MS

    def pull_faces(self) -> None:
        """Show the faces of what is on the screen."""
        window = self._window
        shown = window.reading
        if window.feed is not None and shown is not None and window.faces.isVisible():
            window.faces.show_reading(shown)

    def pull_timeline(self) -> None:
        """Show the last minute, or the minute around the moment of a replay."""
        window = self._window
        feed, shown = window.feed, window.reading
        if feed is None or shown is None or not window.timeline.isVisible():
            return
        t_ns, span_ns = shown.scene.frame.t_ns, SPAN_NS
        first_ns, newest_ns = feed.history.span_ns
        replay = window.moments.replay
        if replay is not None and replay.times_ns:
            span_ns = min(SPAN_NS, replay.times_ns[-1] - replay.times_ns[0])
            end_ns = min(t_ns + span_ns // 2, newest_ns)
        else:
            newest = feed.reading
            end_ns = t_ns if newest is None else newest.scene.frame.t_ns
            # The plots move on once a second: to move them costs more than what they show.
            end_ns = -(-end_ns // _SECOND_NS) * _SECOND_NS
        window.timeline.markers = window.moments.all_markers
        window.timeline.pull(max(end_ns, t_ns, first_ns + span_ns), t_ns, span_ns)
