"""What a run writes and sends, each a sink: rows, events, lines of JSON for who listens."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final, Protocol

from realtime_affect.outputs.csv_events import EventWriter
from realtime_affect.outputs.csv_rows import RowWriter
from realtime_affect.outputs.json_lines import reading_line
from realtime_affect.schema import RELATIVE, SCHEMA, WITH_LANDMARKS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from pathlib import Path

    from realtime_affect.capture import SourceInfo
    from realtime_affect.types import Reading

LIVE_KINDS: Final = frozenset({"camera", "stream", "gstreamer"})
"""Sources whose clock is the machine's: their rows count seconds from the first frame."""

ROWS_DEPTH_S: Final = 10.0
"""How far rows and events may fall behind a live run before some are lost."""


class Tally:
    """Counts over all readings written; kept by the rows' thread, read after it or for progress."""

    def __init__(self) -> None:
        self.frames = self.frames_with_faces = self.faces = self.most_faces = 0
        self.next_index = 0
        self.track_ids: set[int] = set()
        self.source_ns = (0, 0)
        self.wall_ns = (0, 0)

    def add(self, reading: Reading) -> None:
        """Count one reading."""
        frame, tracks = reading.scene.frame, reading.scene.tracks
        now_ns = time.monotonic_ns()
        first = self.frames == 0
        self.source_ns = (frame.t_ns if first else self.source_ns[0], frame.t_ns)
        self.wall_ns = (now_ns if first else self.wall_ns[0], now_ns)
        self.frames += 1
        self.next_index = frame.index + 1
        self.frames_with_faces += bool(tracks)
        self.faces += sum(track.face is not None for track in tracks)
        self.most_faces = max(self.most_faces, len(tracks))
        self.track_ids.update(track.track_id for track in tracks)


class RowSink:
    """Rows as CSV, and what they add up to.

    Parameters
    ----------
    path : Path
    landmarks : bool
        With the mesh points.
    relative : bool
        With units and probabilities above a profile's rest.
    backfill : bool
        As in :class:`~realtime_affect.outputs.csv_rows.RowWriter`; stills have nothing to wait for.
    """

    def __init__(
        self, path: Path, *, landmarks: bool, backfill: bool, relative: bool = False
    ) -> None:
        self.path = path
        self.tally = Tally()
        self._landmarks, self._relative, self._backfill = landmarks, relative, backfill
        self._writer: RowWriter | None = None

    @property
    def rows(self) -> int:
        """Rows written, the header aside."""
        return 0 if self._writer is None else self._writer.rows_written

    def open(self, info: SourceInfo) -> None:
        """Create the file, with its header."""
        stills = info.kind == "stills"
        schema = WITH_LANDMARKS if self._landmarks else SCHEMA
        self._writer = RowWriter(
            self.path,
            schema=schema.with_measures(*RELATIVE) if self._relative else schema,
            input_column=stills,
            origin_ns=origin_ns(info),
            backfill=self._backfill and not stills,
        )

    def write(self, reading: Reading) -> None:
        """Append the rows of one reading."""
        assert self._writer is not None
        self._writer.write(reading)
        self.tally.add(reading)

    def flush(self) -> None:
        """Hand what was written to the system."""
        assert self._writer is not None
        self._writer.flush()

    def close(self) -> None:
        """Finish the file. Idempotent."""
        if self._writer is not None:
            self._writer.close()


class EventSink:
    """Micro- and macro-expressions as CSV, a line each."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._writer: EventWriter | None = None

    @property
    def counts(self) -> Mapping[str, int]:
        """Lines written by kind; empty where nothing was watched."""
        return {} if self._writer is None else self._writer.counts

    def open(self, info: SourceInfo) -> None:
        """Remove an earlier file; a new one appears with the first face that is watched."""
        self._writer = EventWriter(self.path, origin_ns=origin_ns(info))

    def write(self, reading: Reading) -> None:
        """Append what is new in one reading."""
        assert self._writer is not None
        self._writer.write(reading)

    def close(self) -> None:
        """Finish the file. Idempotent."""
        if self._writer is not None:
            self._writer.close()


class LineStream(Protocol):
    """What gets lines to whoever listens; it never waits for one who is slow."""

    def publish(self, kind: str, line: bytes) -> None:
        """Offer a line; of each `kind` the newest wins, for each listener."""


class StreamSink:
    """Readings as lines of JSON, for every client of some streams; the streams stay open.

    Parameters
    ----------
    streams : iterable of LineStream
    sent : callable, optional
        Called with each reading that was offered.
    """

    def __init__(
        self, streams: Iterable[LineStream], sent: Callable[[Reading], None] | None = None
    ) -> None:
        self._streams, self._sent = tuple(streams), sent

    def open(self, info: SourceInfo) -> None:
        """Do nothing: clients come when they like."""

    def write(self, reading: Reading) -> None:
        """Offer one reading to every client."""
        if self._streams:
            line = reading_line(reading)
            for stream in self._streams:
                stream.publish("reading", line)
        if self._sent is not None:
            self._sent(reading)

    def close(self) -> None:
        """Do nothing: the streams go on to the next run."""


def origin_ns(info: SourceInfo) -> int | None:
    """Return the source time of ``timestamp`` 0; None = the first frame's."""
    return None if info.kind in LIVE_KINDS else 0
