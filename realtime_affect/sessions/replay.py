"""A recorded session as a source of readings: what is shown is what was stored.

Live, it plays at a speed, pauses, steps and goes where it is told, and waits at its end. Offline,
every reading comes, as fast as it is read, and the rows written from them are those that were
stored, byte for byte.
"""

from __future__ import annotations

import logging
import math
import threading
import time
from concurrent.futures import Future
from dataclasses import replace
from typing import TYPE_CHECKING, Final

import numpy as np

from realtime_affect.capture import SourceInfo, SourceState
from realtime_affect.errors import AffectError
from realtime_affect.runtime.publisher import Publisher
from realtime_affect.runtime.stats import PipelineStats, StageClock
from realtime_affect.sessions.reading_log import LogReader
from realtime_affect.sessions.repair import open_session, source_info_of
from realtime_affect.sessions.store import AGAIN, READINGS, VIDEO, Session
from realtime_affect.sessions.video_reader import VideoReader
from realtime_affect.slots import SlotClosed, SlotCounters
from realtime_affect.types import Scene
from realtime_affect.worker import Worker

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from realtime_affect.types import Reading

_LOG = logging.getLogger(__name__)
_IDLE_S: Final = 0.1
_SIZE: Final = (1280, 720)  # of sources that did not say theirs
_MOST_WAIT_S: Final = 0.5  # between two images of a replay: a gap is not sat through


class Replay(Publisher):
    """Play a session; a :class:`~realtime_affect.runtime.reading_source.ReadingSource`.

    Parameters
    ----------
    folder : str or Path
        Of the session; one that was never finished is repaired first.
    live : bool
        True: at its own pace, newest wins. False: every reading, as fast as it goes.
    images : bool
        Whether readings carry the video's images; black where there is none of their moment.
    again : bool
        Show what analysing the video again gave (``sessions.again``), not what was stored.

    Attributes
    ----------
    session : Session
    again : bool
    has_again : bool
        Whether the video was analysed again.

    Raises
    ------
    InputError
        It is no session, or cannot be read.

    Examples
    --------
    >>> with Replay(folder, live=False) as replay:
    ...     for reading in replay:
    ...         print(reading.scene.frame.index, len(reading.scene.tracks))
    """

    def __init__(
        self, folder: str | Path, *, live: bool = True, images: bool = True, again: bool = False
    ) -> None:
        self.session = open_session(folder)
        self.again = again
        self.has_again = (self.session.folder / AGAIN / READINGS).is_file()
        reader = self.open_log(again=again)
        self._times_ns = reader.times_ns
        reader.close()  # each thread has a reader of its own
        info = source_info_of(self.session)
        self._info = replace(info, n_frames=len(self._times_ns), live=False)
        super().__init__(live=live)
        self._images = images
        self._changed = threading.Condition()
        self._place = 0
        self._sought = True
        self._paused = False
        self._speed = 1.0
        self._stopping = False
        self._published = 0
        self._began_ns = time.monotonic_ns()
        self._clock = StageClock()
        self._worker = Worker("replay", self._work, end=self._end, failed=self._note)
        self._failure: BaseException | None = None

    def open_log(self, *, again: bool) -> LogReader:
        """Open the stored readings, or those of the video analysed again; each thread its own."""
        folder = self.session.folder
        return LogReader((folder / AGAIN if again else folder) / READINGS)

    # What moves it

    @property
    def times_ns(self) -> list[int]:
        """Source times of all readings."""
        return self._times_ns

    @property
    def place(self) -> int:
        """Number of the reading that is shown, from 0."""
        return self._place

    @property
    def paused(self) -> bool:
        """Whether it stands still: told to, or at its end."""
        return self._paused

    @property
    def speed(self) -> float:
        """Times as fast as it was recorded."""
        return self._speed

    def play_at(self, speed: float) -> None:
        """Play `speed` times as fast, above 0."""
        with self._changed:
            self._speed = max(0.05, speed)
            self._changed.notify_all()

    def pause(self, on: bool) -> None:
        """Stand still, or play on; from the beginning, at the end."""
        with self._changed:
            self._paused = on
            if not on and self._place >= len(self._times_ns) - 1:
                self._place, self._sought = 0, True
            self._changed.notify_all()

    def seek(self, place: int) -> None:
        """Go to a reading by its number."""
        with self._changed:
            self._place = min(max(0, place), max(0, len(self._times_ns) - 1))
            self._sought = True
            self._changed.notify_all()

    def seek_ns(self, t_ns: int) -> None:
        """Go to the last reading at or before a source time."""
        import bisect

        self.seek(bisect.bisect_right(self._times_ns, t_ns) - 1)

    def step(self, by: int) -> None:
        """Stand still, `by` readings further on."""
        with self._changed:
            self._paused = True
        self.seek(self._place + by)

    # What a source of readings is

    @property
    def running(self) -> bool:
        """Whether readings may still come."""
        return self._worker.working

    @property
    def failure(self) -> BaseException | None:
        """What ended it early, or None."""
        return self._failure

    @property
    def source_info(self) -> SourceInfo:
        """What was known of the source."""
        return self._info

    @property
    def source_state(self) -> SourceState:
        """Online while it can be moved, then ended."""
        return SourceState.ONLINE if not self._stopping else SourceState.ENDED

    @property
    def source_warnings(self) -> tuple[str, ...]:
        """What was wrong with the session and did not end it."""
        error = str(self.session.content["inputs"][0].get("error") or "")
        return (error,) if error else ()

    @property
    def models(self) -> Mapping[str, str]:
        """SHA-256 of the networks that the readings came from, by card."""
        folder = self.session.folder / AGAIN
        session = Session(folder) if self.again else self.session
        return dict(session.content["models"])

    @property
    def can_set_neutral(self) -> bool:
        """Never: what was measured is stored."""
        return False

    def start(self) -> None:
        """Begin to publish."""
        self._worker.start()

    def stop(self) -> None:
        """Ask it to end; returns at once."""
        with self._changed:
            self._stopping = True
            self._changed.notify_all()

    def join(self, timeout_s: float | None = None) -> bool:
        """Wait until it and its sinks have ended; raise what ended it early."""
        deadline = None if timeout_s is None else time.monotonic() + timeout_s
        ended = self._worker.wait(timeout_s)
        if ended:
            left_s = None if deadline is None else max(0.0, deadline - time.monotonic())
            ended = self._finish_sinks(left_s)
        if self._failure is not None:
            raise self._failure
        return ended

    def close(self) -> None:
        """Stop, let go of all readers, wait for the sinks."""
        self.stop()
        self._let_go()
        self._worker.wait()
        self._finish_sinks()

    def set_neutral(
        self,
        track_id: int | None = None,  # noqa: ARG002  (as any source takes it)
    ) -> Future[tuple[int, ...]]:
        """Do nothing: the future is cancelled."""
        nothing: Future[tuple[int, ...]] = Future()
        nothing.cancel()
        return nothing

    def revert_neutral(self, track_id: int | None = None) -> Future[tuple[int, ...]]:
        """Do nothing: the future is cancelled."""
        return self.set_neutral(track_id)

    def mark(
        self,
        label: str,
        *,
        origin: str = "",
        at_ns: int | None = None,
        uncertainty_ms: float = math.nan,
    ) -> None:
        """Do nothing: what was recorded stays; the session's record takes later markers."""

    def stats(self) -> PipelineStats:
        """Return counters so far."""
        counters = SlotCounters(self._published, self._published, 0, 0)
        return PipelineStats(
            source_state=self.source_state,
            slots={"frames": counters, "jobs": counters},
            stage_ms=self._clock.percentiles(),
            fps=self._clock.fps(),
            frames_analysed=self._published,
            elapsed_s=(time.monotonic_ns() - self._began_ns) / 1e9,
            first_reading_ms=float("nan"),
            sinks=self._sink_stats(),
        )

    def __iter__(self) -> Iterator[Reading]:
        """Start, and yield readings until the end; offline every one."""
        slot = self.subscribe()
        self.start()
        try:
            while True:
                try:
                    yield slot.get()
                except SlotClosed:
                    break
        finally:
            slot.close()
            self.stop()
        self.join()

    # Its thread

    def _work(self) -> None:
        log = self.open_log(again=self.again)
        path = self.session.path(VIDEO) if self._images else None
        video = None if path is None else VideoReader(path)
        try:
            if self._live:
                self._play(log, video)
            else:
                for n in range(len(log)):
                    if self._stopping:
                        return
                    self._publish(self._reading(log, video, n))
        finally:
            log.close()
            if video is not None:
                video.close()

    def _play(self, log: LogReader, video: VideoReader | None) -> None:
        """Show the reading gone to, then those after it when they are due."""
        shown = -1
        due_s = time.monotonic()
        while True:
            with self._changed:
                if self._stopping:
                    return
                if not self._times_ns:
                    self._changed.wait(_IDLE_S)
                    continue
                if self._sought:
                    place, self._sought, due_s = self._place, False, time.monotonic()
                elif self._paused or self._place >= len(self._times_ns) - 1:
                    self._paused = True
                    self._changed.wait(_IDLE_S)
                    due_s = time.monotonic()
                    continue
                else:
                    gap_s = (self._times_ns[self._place + 1] - self._times_ns[self._place]) / 1e9
                    wait_s = due_s + min(gap_s / self._speed, _MOST_WAIT_S) - time.monotonic()
                    if wait_s > 0:
                        self._changed.wait(wait_s)
                        continue
                    due_s = max(due_s + min(gap_s / self._speed, _MOST_WAIT_S),
                                time.monotonic() - _IDLE_S)  # fmt: skip
                    place = self._place = self._place + 1
            if place != shown:
                shown = place
                self._publish(self._reading(log, video, place))

    def _reading(self, log: LogReader, video: VideoReader | None, n: int) -> Reading:
        """Return reading `n` with its image."""
        reading = log.read(n)
        frame = reading.scene.frame
        size = self._info.width or _SIZE[0], self._info.height or _SIZE[1]
        image = None if video is None else video.image_at(frame.t_ns, size)
        if image is None:
            image = np.zeros((size[1], size[0], 3), np.uint8)
        captured_ns = time.monotonic_ns() if self._live else frame.captured_ns
        frame = replace(frame, image=image, captured_ns=captured_ns)
        return replace(reading, scene=Scene(frame, reading.scene.tracks))

    def _publish(self, reading: Reading) -> None:
        self._published += 1
        self._clock.tick(time.monotonic_ns())
        self._publish_to_all(reading)

    def _note_sink(self, name: str, failure: BaseException) -> None:  # noqa: ARG002
        self._note(failure)

    def _note(self, failure: BaseException) -> None:
        self._failure = self._failure or failure
        self._stopping = True
        if not isinstance(failure, AffectError):
            _LOG.error("the replay ended: %s", failure, exc_info=failure)

    def _end(self) -> None:
        self._stopping = True
        self._end_publishing()
