"""A source of readings as the window has it: the newest reading by timer, never waiting.

The window pulls from a slot of its own, so a slow screen drops images and delays nothing.
Everything here but the history's writing runs on Qt's thread.
"""

from __future__ import annotations

import math
import time
from collections import deque
from typing import TYPE_CHECKING, Final

import numpy as np
from PyQt6.QtCore import QObject, Qt, QTimer, pyqtSignal

from affect_gui.history import History
from realtime_affect.slots import SlotClosed

if TYPE_CHECKING:
    from realtime_affect.runtime.reading_source import ReadingSource
    from realtime_affect.runtime.stats import PipelineStats
    from realtime_affect.types import Reading

_PULL_MS: Final = 5
_STATE_MS: Final = 500
_AGES: Final = 300


class Feed(QObject):
    """Readings of one source on their way to the screen.

    Create it before the source starts.

    Parameters
    ----------
    source : ReadingSource
    history : History, optional
        Of a replay, what its whole session displayed; live, the last minute is kept here.
    parent : QObject, optional

    Attributes
    ----------
    reading : Reading or None
        The newest pulled.
    stats : PipelineStats
        Twice a second.
    ended : bool
        Nothing will come any more.
    """

    arrived = pyqtSignal()
    """A newer reading is there."""
    changed = pyqtSignal()
    """The counters were read anew, or the end has come."""

    def __init__(
        self, source: ReadingSource, history: History | None = None, parent: QObject | None = None
    ) -> None:
        super().__init__(parent)
        self.source = source
        self.reading: Reading | None = None
        self.ended = False
        self._slot = source.subscribe()
        self._ages_ms: deque[float] = deque(maxlen=_AGES)
        if history is None:
            history = History()
            source.attach(history, name="timeline", required=False)
        self.history = history
        self.stats: PipelineStats = source.stats()
        self._pull_timer = QTimer(self)
        self._pull_timer.setTimerType(Qt.TimerType.PreciseTimer)
        self._pull_timer.timeout.connect(self.pull)
        self._pull_timer.start(_PULL_MS)
        self._state_timer = QTimer(self)
        self._state_timer.timeout.connect(self.refresh)
        self._state_timer.start(_STATE_MS)

    @property
    def failure(self) -> BaseException | None:
        """What ended the source early, or None."""
        return self.source.failure

    @property
    def offline(self) -> bool:
        """Whether the source gives no new images and is tried again."""
        return self.stats.source_state.name == "OFFLINE"

    @property
    def age_ms(self) -> float:
        """From the capture of the image painted last to its painting; NaN before the first."""
        return self._ages_ms[-1] if self._ages_ms else math.nan

    def note_painted(self, reading: Reading) -> None:
        """Remember how old an image was when it was painted."""
        self._ages_ms.append((time.monotonic_ns() - reading.scene.frame.captured_ns) / 1e6)

    def age_percentiles(self) -> tuple[float, float]:
        """Return p50 and p95 of the ages at painting, milliseconds; NaN before the first."""
        if not self._ages_ms:
            return math.nan, math.nan
        p50, p95 = np.percentile(np.array(self._ages_ms), [50, 95])
        return float(p50), float(p95)

    def pull(self) -> None:
        """Take the newest reading, if there is one; notice the end."""
        if not self._slot.ready:  # two hundred times a second
            return
        try:
            self.reading = self._slot.get(0)
        except TimeoutError:
            return
        except SlotClosed:
            self._pull_timer.stop()
            self.ended = True
            self.refresh()
            return
        self.arrived.emit()

    def refresh(self) -> None:
        """Read the source's counters."""
        self.stats = self.source.stats()
        self.changed.emit()

    def stop(self) -> None:
        """Ask the source to end and let go of its readings; returns at once."""
        self._pull_timer.stop()
        self._state_timer.stop()
        self.source.stop()
        self._slot.close()
        self.ended = True
