"""Markers on their way into readings: from any thread, at any time, onto the source's clock."""

from __future__ import annotations

import threading
from collections import deque
from typing import TYPE_CHECKING, Final, NamedTuple

from realtime_affect.markers import Marker

if TYPE_CHECKING:
    from realtime_affect.types import Frame

REPEATED_NS: Final = 2_000_000_000
"""How long readings carry a marker after it came."""

_MOST: Final = 1000  # waiting or carried: whoever marks faster than that loses the oldest


class _Request(NamedTuple):
    label: str
    origin: str
    at_ns: int | None
    uncertainty_ms: float


class MarkerQueue:
    """Take in markers and give each frame those that its reading carries.

    Any thread may :meth:`add`; one thread calls :meth:`carried_by`.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: deque[_Request] = deque(maxlen=_MOST)
        self._carried: deque[tuple[int, Marker]] = deque(maxlen=_MOST)
        self._number = 0

    def add(self, label: str, origin: str, at_ns: int | None, uncertainty_ms: float) -> None:
        """Note a marker; the next frame's reading is the first to carry it."""
        with self._lock:
            self._waiting.append(_Request(label, origin, at_ns, uncertainty_ms))

    def carried_by(self, frame: Frame) -> tuple[Marker, ...]:
        """Return the markers of the reading of `frame`, oldest first."""
        if not self._waiting and not self._carried:
            return ()
        with self._lock:
            requests = list(self._waiting)
            self._waiting.clear()
        for label, origin, at_ns, uncertainty_ms in requests:
            self._number += 1
            # A live source's time runs beside the monotonic clock, at the distance of its frames.
            ago_ns = 0 if at_ns is None else frame.captured_ns - at_ns
            marker = Marker(self._number, frame.t_ns - ago_ns, label, origin, uncertainty_ms)
            self._carried.append((frame.captured_ns, marker))
        while self._carried and frame.captured_ns - self._carried[0][0] > REPEATED_NS:
            self._carried.popleft()
        return tuple(marker for _, marker in self._carried)
