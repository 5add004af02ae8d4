"""Files played at their own speed, as if they were a camera."""

from __future__ import annotations

import dataclasses
import threading
import time
from typing import TYPE_CHECKING, Final

from realtime_affect.capture.state import SourceState

if TYPE_CHECKING:
    from realtime_affect.capture.source import Source, SourceInfo
    from realtime_affect.types import Frame

_LATE_NS: Final = 100_000_000
_REST_NS: Final = 20_000_000  # at most
_LONGEST_NS: Final = 2_000_000_000  # to wait for a frame, whatever its timestamp says


class PacedSource:
    """Give out a source's frames when they are due, never early.

    The first frame is due at the first read, every other at its time after the first. A frame
    that is late is given at once; if it is more than 0.1 s late, everything after it is due that
    much later. So a slow decoder or a pause of the reader makes the film stand still for a moment;
    it is not followed by a burst. A gap in time, as where two recordings were joined or in time
    lapse, is waited for two seconds at most.

    As a camera does, it leaves the processor to the frame that was just given before it works on
    the next one: it rests half of the time that reading leaves until that is due.

    Parameters
    ----------
    source : Source
        Owned from now on.
    frame_s : float, optional
        Time between frames in seconds, for stills; None takes ``Frame.t_ns``. The last still, too,
        lasts so long before the source ends.
    """

    def __init__(self, source: Source, frame_s: float | None = None) -> None:
        self._source = source
        self._frame_ns = None if frame_s is None else round(frame_s * 1e9)
        self._next: Frame | None = None
        self._last: Frame | None = None
        self._due_ns = 0
        self._rest_ns = 0  # after a frame is due, until the next one is read
        self._reading_ns = 0  # what that takes, the longest of late
        self._shortened = 0
        self._at_end = False  # of the file; the last still may have time left
        self._ended = False
        self._closed = threading.Event()

    @property
    def info(self) -> SourceInfo:
        """What is known of the source."""
        return dataclasses.replace(self._source.info, live=True)

    @property
    def state(self) -> SourceState:
        """ONLINE until :meth:`read` has returned None."""
        ended = self._closed.is_set() or self._ended
        return SourceState.ENDED if ended else SourceState.ONLINE

    @property
    def warnings(self) -> tuple[str, ...]:
        """Those of the file, and how many waits were cut short."""
        said = f"{self._shortened} gaps in time shortened to {_LONGEST_NS / 1e9:g} s"
        return (*self._source.warnings, said) if self._shortened else self._source.warnings

    def read(self, timeout_s: float) -> Frame | None:
        """Return the next frame when it is due, or None at the end.

        Raises
        ------
        TimeoutError
            It is not due within `timeout_s`.
        """
        deadline_ns = time.monotonic_ns() + round(timeout_s * 1e9)
        if self._next is None and not self._at_end:
            self._wait(self._due_ns + self._rest_ns, deadline_ns)
            if self._closed.is_set():
                return None
            self._read_next(timeout_s)
        now_ns = self._wait(self._due_ns, deadline_ns)
        if self._closed.is_set():
            return None
        if self._last is None or now_ns - self._due_ns > _LATE_NS:
            self._due_ns = now_ns
        frame, self._next = self._next, None
        if frame is None:
            self._ended = True
            return None
        self._last = frame
        return dataclasses.replace(frame, captured_ns=now_ns)

    def close(self) -> None:
        """Free the file; a waiting read returns None."""
        self._closed.set()
        self._source.close()

    def _read_next(self, timeout_s: float) -> None:
        """Read the next frame, and learn when it is due and how long that leaves to rest."""
        began_ns = time.monotonic_ns()
        self._next = self._source.read(timeout_s)
        self._at_end = self._next is None
        self._reading_ns = max(time.monotonic_ns() - began_ns, self._reading_ns * 9 // 10)
        before_ns, self._due_ns = self._due_ns, self._due_time()
        if self._last is not None:
            left_ns = self._due_ns - before_ns - self._reading_ns
            self._rest_ns = min(_REST_NS, max(0, left_ns // 2))

    def _wait(self, until_ns: int, deadline_ns: int) -> int:
        """Wait until then, or until closed; return the time.

        Raises
        ------
        TimeoutError
            It is not yet then at `deadline_ns`.
        """
        now_ns = time.monotonic_ns()
        if until_ns > now_ns:
            self._closed.wait(max(0.0, (min(until_ns, deadline_ns) - now_ns) / 1e9))
            now_ns = time.monotonic_ns()
            if until_ns > now_ns and not self._closed.is_set():
                msg = "no frame is due yet"
                raise TimeoutError(msg)
        return now_ns

    def _due_time(self) -> int:
        """Return when the next frame, or the end, is due."""
        now_ns = time.monotonic_ns()
        if self._last is None:
            return now_ns
        if self._frame_ns is not None:
            return self._due_ns + self._frame_ns
        if self._next is None:
            return now_ns
        wait_ns = self._next.t_ns - self._last.t_ns
        if wait_ns > _LONGEST_NS:
            self._shortened += 1
        return self._due_ns + min(wait_ns, _LONGEST_NS)
