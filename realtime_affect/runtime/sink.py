"""Whoever wants readings: a sink, on a thread of its own, behind a buffer that holds nothing up.

Live, ``put`` into a sink's buffer never waits. With ``depth_s`` 0 the newest reading wins and the
others are counted as drops, which suits images and streams. With a depth, every reading is kept in
order while the oldest waits no longer than that, which suits rows: a disk may stall that long and
lose nothing; what comes then is lost, counted, and noted as a :class:`~.stats.Gap`. Offline every
sink gets every reading, and the source waits for it.
"""

from __future__ import annotations

import contextlib
import logging
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Final, Protocol, runtime_checkable

from realtime_affect.errors import OutputError
from realtime_affect.runtime.stats import Gap, SinkStats
from realtime_affect.slots import BacklogSlot, LatestSlot, LosslessSlot, SlotClosed
from realtime_affect.worker import Worker

if TYPE_CHECKING:
    from collections.abc import Callable

    from realtime_affect.capture import SourceInfo
    from realtime_affect.types import Reading

_LOG = logging.getLogger(__name__)

STALL_S: Final = 10.0
"""At the end of a live run, a sink that finishes nothing for so long is left behind."""

_IDLE_S: Final = 0.5
_MAX_GAPS: Final = 1000  # beyond, the last one grows: a disk that flaps for days costs no memory


@runtime_checkable
class Sink(Protocol):
    """What takes readings; see ``Pipeline.attach``. All three calls may raise to end it.

    A sink may also have ``flush()``: called on its thread when nothing came for half a second.

    Examples
    --------
    >>> from realtime_affect import Pipeline
    >>> class Smiles:
    ...     def open(self, info):
    ...         self.n = 0
    ...
    ...     def write(self, reading):
    ...         faces = [track.face for track in reading.scene.tracks if track.face]
    ...         self.n += any(face.action_units["AU12"] > 2 for face in faces)
    ...
    ...     def close(self):
    ...         print(self.n, "frames with a smile")
    >>> with Pipeline("demo", live=False) as pipeline:
    ...     _ = pipeline.attach(Smiles())
    ...     pipeline.start()
    ...     _ = pipeline.join()
    """

    def open(self, info: SourceInfo) -> None:
        """Get ready for the readings of a source; on the thread that attaches the sink."""

    def write(self, reading: Reading) -> None:
        """Take one reading; on the sink's own thread, which may be slow and holds up nobody."""

    def close(self) -> None:
        """Finish; on the sink's own thread, after the last reading or what ``write`` raised."""


@runtime_checkable
class _Flushable(Protocol):
    def flush(self) -> None: ...


class SinkThread:
    """A sink at work: its buffer, its thread, its counters. ``Pipeline.attach`` makes them.

    Parameters
    ----------
    sink : Sink
    info : SourceInfo
    lossless : bool
        Whether the source waits for the sink: offline.
    depth_s : float
        Live: how far the sink may fall behind; 0 = only the newest reading waits.
    images : bool
        False: readings wait, and come, without pixels. What a deep buffer should do: ten seconds
        of 720p are 830 MB.
    failed : callable or None
        Takes what the sink raised, on its thread; None leaves the failure to the log.
    name : str
        Of the thread, the counters and the log.

    Raises
    ------
    Exception
        What ``sink.open`` raises.
    """

    def __init__(  # noqa: PLR0913  (two values, the rest by name)
        self,
        sink: Sink,
        info: SourceInfo,
        *,
        lossless: bool,
        depth_s: float,
        images: bool,
        failed: Callable[[BaseException], None] | None,
        name: str,
    ) -> None:
        self.name, self.images = name, images
        self.on_gap: Callable[[], None] | None = None
        """Called on the sink's thread once a reading that came after a gap is written."""
        self._sink = sink
        self._written = 0
        self._gaps: list[Gap] = []
        self._failed = failed
        self._given_up = ""
        self.slot: LatestSlot[Reading]
        """Where its readings go."""
        if lossless:
            self.slot = LosslessSlot()
        elif depth_s > 0:
            self.slot = BacklogSlot(depth_s, self._note_lost)
        else:
            self.slot = LatestSlot()
        sink.open(info)
        self._worker = Worker(name, self._work, end=self.slot.close, failed=failed)
        self._worker.start()

    def stats(self) -> SinkStats:
        """Return its counters now. Any thread may call."""
        counters, failure = self.slot.counters, self._worker.failure
        error = self._given_up if failure is None else str(failure) or repr(failure)
        return SinkStats(
            counters.puts, self._written, counters.drops, counters.pending, tuple(self._gaps), error
        )

    @property
    def left(self) -> bool:
        """Whether it ended early and its failure, if anyone takes it, was taken."""
        return self._failed is None and self._worker.failure is not None

    def close(self) -> None:
        """Let it finish what waits; what is published from now on does not reach it."""
        self.slot.close()

    def wait(self, timeout_s: float | None = None) -> bool:
        """Wait until it has written all and closed; return whether it has, within `timeout_s`."""
        return self._worker.wait(timeout_s)

    def drain(self, stall_s: float) -> bool:
        """Wait until it has closed, or leave it behind when it finishes nothing for `stall_s`.

        Call it when nothing is published any more. A sink left behind counts as failed.
        """
        done, since_s = self._written, time.monotonic()
        while not self._worker.wait(0.05):
            if self._given_up:
                return False
            now_s = time.monotonic()
            if self._written != done:
                done, since_s = self._written, now_s
            elif now_s - since_s > stall_s:
                self._give_up(stall_s)
                return False
        return True

    def _give_up(self, stall_s: float) -> None:
        waiting = self.slot.counters.pending
        failure = OutputError(
            thing=f"output {self.name}",
            got=f"nothing written for {stall_s:g} s at the end of the run",
            expected="an output that keeps up",
            hint=f"{waiting} readings are not in it. The disk or what it sends to hangs.",
        )
        self._given_up = str(failure)
        _LOG.log(logging.ERROR if self._failed is None else logging.INFO, "%s", failure)
        if self._failed is not None:
            self._failed(failure)

    def _work(self) -> None:
        try:
            self._write_all()
        except BaseException:
            self.slot.close()  # nobody must wait for a reader that has left
            with contextlib.suppress(Exception):  # what ended it is what counts
                self._sink.close()
            raise
        self._sink.close()

    def _write_all(self) -> None:
        told = 0
        while True:
            try:
                reading = self.slot.get(_IDLE_S)
            except TimeoutError:
                if isinstance(self._sink, _Flushable):
                    self._sink.flush()
                continue
            except SlotClosed:
                return
            self._sink.write(reading)
            self._written += 1
            # A gap has its full length once what came after it is written.
            if told < len(self._gaps) and reading.scene.frame.index >= self._gaps[told].last_frame:
                gap, told = self._gaps[told], told + 1
                _LOG.warning(
                    "%s fell behind and lost %d readings, frames %d to %d",
                    self.name, gap.readings, gap.first_frame, gap.last_frame,
                )  # fmt: skip
                if self.on_gap is not None:
                    self.on_gap()

    def _note_lost(self, reading: Reading, begins: bool) -> None:
        """Note a reading that found no room; on the publisher's thread, so nothing slow."""
        frame = reading.scene.frame
        if begins and len(self._gaps) < _MAX_GAPS:
            self._gaps.append(Gap(1, frame.index + 1, frame.index + 1, frame.t_ns, frame.t_ns))
            return
        last = self._gaps[-1]
        self._gaps[-1] = replace(
            last, readings=last.readings + 1, last_frame=frame.index + 1, last_ns=frame.t_ns
        )
