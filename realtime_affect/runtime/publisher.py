"""Who gets readings and how they reach them: what a pipeline and a replay have in common."""

from __future__ import annotations

import contextlib
import itertools
import time
from abc import abstractmethod
from typing import TYPE_CHECKING

from affect_engines.base import Closeable
from realtime_affect.runtime.sink import STALL_S, SinkThread
from realtime_affect.slots import LatestSlot, LosslessSlot, SlotClosed

if TYPE_CHECKING:
    from collections.abc import Iterator

    from realtime_affect.capture import SourceInfo
    from realtime_affect.runtime.sink import Sink
    from realtime_affect.runtime.stats import SinkStats
    from realtime_affect.types import Reading


class Publisher(Closeable):
    """Base of the sources of readings: it has readers in this process, and sinks.

    Parameters
    ----------
    live : bool
        True: the newest reading wins, and nobody is waited for. False: every one comes.
    """

    def __init__(self, *, live: bool) -> None:
        self._live = live
        self._published_all = False
        # Replaced, never changed: the publishing thread may be going through them.
        self._readings: list[LatestSlot[Reading]] = []
        self._sinks: list[SinkThread] = []

    @property
    def live(self) -> bool:
        """Whether the newest reading wins."""
        return self._live

    @property
    @abstractmethod
    def source_info(self) -> SourceInfo:
        """What is known of the source of the frames."""

    @abstractmethod
    def _note_sink(self, name: str, failure: BaseException) -> None:
        """Take the failure of a required sink as an end of the run; on the sink's thread."""

    def subscribe(self) -> LatestSlot[Reading]:
        """Return a slot that receives readings from now on; one slot, one reader.

        Live, it holds the newest, and nobody waits for its reader. Offline it holds every one, and
        the source waits: keep reading, or close the slot.
        """
        slot: LatestSlot[Reading] = LatestSlot() if self._live else LosslessSlot()
        self._readings = [*self._readings, slot]
        if self._published_all:
            slot.close()
        return slot

    def attach(
        self,
        sink: Sink,
        *,
        name: str = "",
        depth_s: float = 0.0,
        images: bool = True,
        required: bool = True,
    ) -> SinkThread:
        """Give a sink every reading from now on, on a thread of its own.

        Parameters
        ----------
        sink : Sink
            Opened at once, on the calling thread; written to and closed on its own.
        name : str, optional
            What ``stats()`` and the log call it; default its class.
        depth_s : float
            Live: how far it may fall behind before readings are lost, in seconds; 0 = it gets the
            newest when it is ready for one. Offline, the source waits for it.
        images : bool
            False: it gets readings without pixels, as a deep buffer should ask for.
        required : bool
            Whether its failure ends the run, to be raised by ``join``. If not, it is logged as an
            error and the run goes on without it.

        Returns
        -------
        SinkThread
            Its counters, and what waits for its end.

        Raises
        ------
        Exception
            What ``sink.open`` raises.
        """
        wanted = name or type(sink).__name__
        names = {other.name for other in self._sinks}
        name = next(n for n in _numbered(wanted) if n not in names)

        def failed(failure: BaseException) -> None:
            self._note_sink(name, failure)

        thread = SinkThread(
            sink,
            self.source_info,
            lossless=not self._live,
            depth_s=depth_s,
            images=images,
            failed=failed if required else None,
            name=name,
        )
        # One that has left is gone for good: a disk that fails for months must not add up.
        self._sinks = [*(sink for sink in self._sinks if not sink.left), thread]
        if self._published_all:
            thread.close()
        return thread

    def _publish_to_all(self, reading: Reading) -> None:
        """Hand a reading to everybody; a reader that has left has closed its slot."""
        for slot in self._readings:
            with contextlib.suppress(SlotClosed):
                slot.put(reading)
        without: Reading | None = None
        for sink in self._sinks:
            if not sink.images and without is None:
                without = reading.without_images()
            with contextlib.suppress(SlotClosed):
                sink.slot.put(reading if sink.images or without is None else without)

    def _end_publishing(self) -> None:
        """Tell everybody that nothing more comes."""
        self._published_all = True
        self._let_go()

    def _let_go(self) -> None:
        """Publish into nothing from now on, so that no reader who has left is waited for."""
        for slot in self._readings:
            slot.close()
        for sink in self._sinks:
            sink.close()

    def _finish_sinks(self, timeout_s: float | None = None) -> bool:
        """Wait until all sinks have written what they got; return whether they have.

        Without a limit, a live run leaves a sink behind that finishes nothing for ten seconds.
        """
        deadline = None if timeout_s is None else time.monotonic() + timeout_s
        ended = True
        for sink in self._sinks:
            if deadline is not None:
                ended = sink.wait(max(0.0, deadline - time.monotonic())) and ended
            else:
                ended = (sink.drain(STALL_S) if self._live else sink.wait()) and ended
        return ended

    def _sink_stats(self) -> dict[str, SinkStats]:
        return {sink.name: sink.stats() for sink in self._sinks}


def _numbered(name: str) -> Iterator[str]:
    """Yield ``name``, ``name 2``, ``name 3`` and so on."""
    yield name
    yield from (f"{name} {n}" for n in itertools.count(2))
