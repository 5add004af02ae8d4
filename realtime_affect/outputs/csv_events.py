"""Facial events on their way to the files: each written once, on rows and on a line of its own.

Readings repeat an event for two seconds, so that a reader which missed one still finds it; here it
is identified by its onset. An event is a movement of the face that came and went, nothing more.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

from realtime_affect.markers import NewMarkers
from realtime_affect.measure import Moment
from realtime_affect.outputs.csv_table import Table
from realtime_affect.outputs.line_file import LineFile, cannot_write
from realtime_affect.schema import SCHEMA

if TYPE_CHECKING:
    from realtime_affect.markers import Marker
    from realtime_affect.measure import Schema
    from realtime_affect.outputs.csv_table import Value
    from realtime_affect.types import FacialEvent, Reading

EVENT_COLUMNS: Final = ("face_id", *SCHEMA.event_columns)
"""Columns of ``<stem>.events.csv``; ``docs/output-format.md`` says what each holds."""

BACKFILL_NS: Final = 1_500_000_000
"""How far back an event reaches at most: it lasts less than 0.67 s and is decided within 0.7 s of
its apex."""

_FORGET_NS: Final = 10_000_000_000  # readings repeat an event for two seconds


class NewEvents:
    """Find the events of each reading that were in no earlier one; one for each reader."""

    def __init__(self) -> None:
        self._seen: dict[tuple[int, int], int] = {}

    def take(self, reading: Reading) -> list[tuple[int, FacialEvent]]:
        """Return track id and event of what is new, in the order of decision a face."""
        new = []
        for track_id, result in reading.affect.results.items():
            for event in () if result.micro is None else result.micro.events:
                key = (track_id, event.onset_ns)
                if key not in self._seen:
                    self._seen[key] = event.decided_ns
                    new.append((track_id, event))
        if new:
            since_ns = reading.affect.t_ns - _FORGET_NS
            self._seen = {key: t_ns for key, t_ns in self._seen.items() if t_ns >= since_ns}
        return new


class MicroMarks:
    """Decide which row carries which micro event.

    Parameters
    ----------
    backfill : bool
        True: every row from onset to offset, asked about `BACKFILL_NS` later. False: the first row
        of the face after the decision, as a row that is written cannot be changed.
    """

    def __init__(self, *, backfill: bool) -> None:
        self._backfill = backfill
        self._new = NewEvents()
        self._events: dict[int, list[FacialEvent]] = {}

    def take(self, reading: Reading) -> None:
        """Take in what a reading decided."""
        for track_id, event in self._new.take(reading):
            if event.kind == "micro":
                self._events.setdefault(track_id, []).append(event)

    def event_of(self, track_id: int, t_ns: int) -> FacialEvent | None:
        """Return the event that a measured row of a face at `t_ns` carries."""
        events = self._events.get(track_id)
        if not events:
            return None
        if not self._backfill:
            return events.pop(0)
        return next((event for event in events if event.onset_ns <= t_ns <= event.offset_ns), None)

    def forget(self, before_ns: int) -> None:
        """Let go of what no row from `before_ns` on can carry."""
        if not self._events:
            return
        since_ns = before_ns if self._backfill else before_ns - _FORGET_NS
        kept = {
            track_id: [event for event in events if event.offset_ns >= since_ns]
            for track_id, events in self._events.items()
        }
        self._events = {track_id: events for track_id, events in kept.items() if events}


class EventWriter:
    """Write one line an event, micro and macro, as soon as it is decided, and one a marker.

    The file appears with the first marker or the first face that is watched for micro-expressions,
    so that a file without events says that there were none; one of an earlier run is removed.
    Belongs to one thread.

    Parameters
    ----------
    path : Path
        Its folder must exist.
    origin_ns : int or None
        As in :class:`~realtime_affect.outputs.csv_rows.RowWriter`.
    schema : Schema
        What the columns are.

    Raises
    ------
    OutputError
        From any method: the file cannot be written.
    """

    def __init__(
        self, path: str | Path, *, origin_ns: int | None = 0, schema: Schema = SCHEMA
    ) -> None:
        self.path = Path(path)
        self._table = Table([(measure, measure.event_columns) for measure in schema.in_events])
        self._origin_ns = origin_ns
        self._kind, self._onset = (self._table.columns.index(name) for name in ("kind", "onset"))
        self._new, self._new_markers = NewEvents(), NewMarkers()
        self._lines: LineFile | None = None
        self._counts = {"micro": 0, "macro": 0}
        try:
            self.path.unlink(missing_ok=True)
        except OSError as error:
            raise cannot_write(self.path, error) from error

    @property
    def counts(self) -> dict[str, int]:
        """Events written by kind; empty where nothing was watched or marked."""
        return {} if self._lines is None else dict(self._counts)

    def write(self, reading: Reading) -> None:
        """Append what is new in a reading; it is on its way to the disk on return."""
        frame = reading.scene.frame
        if self._origin_ns is None:
            self._origin_ns = frame.t_ns
        if self._lines is None:
            watched = any(result.micro is not None for result in reading.affect.results.values())
            if not watched and not reading.markers:
                return
            self._lines = LineFile(self.path, ",".join(("face_id", *self._table.columns)) + "\n")
        new = self._new.take(reading)
        for track_id, event in new:
            values = self._table.values(
                {"event": event, "marker": None}, Moment(frame.t_ns), self._origin_ns
            )
            self._lines.add(f"{track_id},{self._table.line(values)}")
            self._counts[event.kind] += 1
        markers = self._new_markers.take(reading.markers)
        for marker in markers:
            self._lines.add(f"0,{self._table.line(self._marker_values(marker))}")
        if new or markers:
            self._lines.flush()

    def close(self) -> None:
        """Close the file. Idempotent."""
        if self._lines is not None:
            self._lines.close()

    def _marker_values(self, marker: Marker) -> list[Value]:
        """Return the line of a marker: of its kind, at its time, on no face."""
        origin_ns = self._origin_ns or 0
        values = self._table.values(
            {"event": None, "marker": marker}, Moment(marker.t_ns), origin_ns
        )
        values[self._kind] = "marker"
        values[self._onset] = (marker.t_ns - origin_ns) / 1e9
        return values
