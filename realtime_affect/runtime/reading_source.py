"""Where readings come from: what the window, the sinks and Python users hold."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Protocol, runtime_checkable

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from concurrent.futures import Future

    from realtime_affect.capture import SourceInfo, SourceState
    from realtime_affect.runtime.sink import Sink, SinkThread
    from realtime_affect.runtime.stats import PipelineStats
    from realtime_affect.slots import LatestSlot
    from realtime_affect.types import Reading


@runtime_checkable
class ReadingSource(Protocol):
    """Something that publishes readings until it ends: a pipeline, or the replay of a session.

    Attach sinks or subscribe, then start; any thread may stop it and ask for its state. Whoever
    opened it closes it.
    """

    @property
    def live(self) -> bool:
        """Whether it goes on at its own pace and the newest reading wins."""

    @property
    def running(self) -> bool:
        """Whether readings may still come."""

    @property
    def failure(self) -> BaseException | None:
        """What ended it early, or None."""

    @property
    def source_info(self) -> SourceInfo:
        """What is known of the source of its frames."""

    @property
    def source_state(self) -> SourceState:
        """Whether frames flow, the source is lost, or has ended."""

    @property
    def source_warnings(self) -> tuple[str, ...]:
        """What was wrong with the source so far and did not end it."""

    @property
    def models(self) -> Mapping[str, str]:
        """SHA-256 of the networks that the readings come from, by card."""

    @property
    def can_set_neutral(self) -> bool:
        """Whether :meth:`set_neutral` has an effect: not in what is only replayed."""

    def subscribe(self) -> LatestSlot[Reading]:
        """Return a slot that receives readings from now on; one slot, one reader."""

    def attach(
        self,
        sink: Sink,
        *,
        name: str = "",
        depth_s: float = 0.0,
        images: bool = True,
        required: bool = True,
    ) -> SinkThread:
        """Give a sink every reading from now on, on a thread of its own."""

    def start(self) -> None:
        """Begin to publish."""

    @property
    def paused(self) -> bool:
        """Whether nothing is published because :meth:`pause` said so."""

    def pause(self, on: bool) -> None:
        """Publish nothing until it goes on; returns at once, any thread may call.

        What can stand still does so and goes on where it stood: files, stills, replays. Images that
        a camera or a stream gives meanwhile are passed over.
        """

    def stop(self) -> None:
        """Ask it to end; returns at once."""

    def join(self, timeout_s: float | None = None) -> bool:
        """Wait until it and its sinks have ended; raise what ended it early."""

    def close(self) -> None:
        """Stop, and free everything. Idempotent."""

    def set_neutral(self, track_id: int | None = None) -> Future[tuple[int, ...]]:
        """Take the present face of a track (None: of every track) as its neutral.

        The future is done once that has happened, with the ids of whose neutral it is now.
        """

    def revert_neutral(self, track_id: int | None = None) -> Future[tuple[int, ...]]:
        """Undo the last :meth:`set_neutral` of a track (None: of every track)."""

    def mark(
        self,
        label: str,
        *,
        origin: str = "",
        at_ns: int | None = None,
        uncertainty_ms: float = math.nan,
    ) -> None:
        """Mark a moment; readings carry it as a :class:`~realtime_affect.markers.Marker`.

        Parameters
        ----------
        label : str
        origin : str
            Who marks it.
        at_ns : int, optional
            When it was, by ``time.monotonic_ns()``; default the time of the next frame.
        uncertainty_ms : float
            By how much `at_ns` may be wrong.
        """

    def stats(self) -> PipelineStats:
        """Return counters and stage times so far."""

    def __iter__(self) -> Iterator[Reading]:
        """Start, and yield readings until the end."""
