"""What a run leaves behind in numbers: rows in OpenFace's columns.

They survive being killed: live, they reach the file whole lines at a time and at least once a
second. Offline, they wait in memory for :data:`~realtime_affect.outputs.csv_events.BACKFILL_NS` of
source time, so that a micro-expression stands on the rows on which it happened. A full disk ends
the file with an :class:`OutputError` and everything written before it.
"""

from __future__ import annotations

import sys
from collections import deque
from itertools import zip_longest
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ClassVar, Final

from pydantic import Field

from realtime_affect.markers import NewMarkers
from realtime_affect.measure import Moment, subjects
from realtime_affect.outputs.csv_events import BACKFILL_NS, MicroMarks
from realtime_affect.outputs.csv_table import Table, Value, as_text
from realtime_affect.outputs.line_file import LineFile, csv_field
from realtime_affect.schema import SCHEMA
from realtime_affect.settings import Section

if TYPE_CHECKING:
    from collections.abc import Iterable

    from realtime_affect.markers import Marker
    from realtime_affect.measure import Schema
    from realtime_affect.types import FacialEvent, Reading

COLUMNS: Final = SCHEMA.columns
"""Columns of every row; ``docs/output-format.md`` says what each holds."""


class RecordConfig(Section):
    """What is written.

    Attributes
    ----------
    landmarks : bool
        Append the 468 mesh points to every row (``x_0`` .. ``z_467``, pixels).
    video : bool
        Write ``annotated.mp4`` in a run without a window, or with ``--record``.
    crf : int
        x264's quality of the video: 0 best, 51 smallest.
    """

    section: ClassVar[str] = "record"

    landmarks: bool = False
    video: bool = True
    crf: Annotated[int, Field(ge=0, le=51)] = 23


class RowTable(Table):
    """The rows of a schema.

    Parameters
    ----------
    schema : Schema
    """

    def __init__(self, schema: Schema = SCHEMA) -> None:
        super().__init__([(measure, measure.row_columns) for measure in schema.in_rows])
        self._micro, self._marker = (self.columns.index(name) for name in ("micro", "marker"))

    def rows(self, reading: Reading, origin_ns: int = 0) -> list[list[Value]]:
        """Return the rows of one frame; NaN where nothing is known.

        There are ``max(1, faces)``. ``frame`` counts from 1, as OpenFace's does; a frame without a
        face has ``face_id`` 0 and ``success`` 0; a face that was not measured in this frame
        (another one's turn) has its box and ``success`` 0. No row carries a micro-expression yet:
        :class:`RowWriter` decides which one does.

        Parameters
        ----------
        reading : Reading
        origin_ns : int
            Source time of ``timestamp`` 0.
        """
        frame, results = reading.scene.frame, reading.affect.results
        moment = Moment(frame.t_ns)
        if not reading.scene.tracks:
            return [self.without_faces(reading, origin_ns)]
        rows = []
        for track in reading.scene.tracks:
            # Affect that a face had earlier does not belong to a row on which it was not measured.
            affect = None if track.face is None else results.get(track.track_id)
            rows.append(self.values(subjects(frame, track, affect), moment, origin_ns))
        return rows

    def without_faces(self, reading: Reading, origin_ns: int = 0) -> list[Value]:
        """Return the row of a frame without a face."""
        frame = reading.scene.frame
        return self.values(subjects(frame), Moment(frame.t_ns), origin_ns)

    def put_markers(self, row: list[Value], markers: Iterable[Marker]) -> None:
        """Let `row` carry the labels of `markers`."""
        row[self._marker] = as_text(";".join(marker.label for marker in markers))

    def mark(self, row: list[Value], event: FacialEvent, origin_ns: int) -> None:
        """Let `row` carry the micro-expression `event`."""
        row[self._micro] = 1.0
        self.put(row, "event", event, Moment(event.decided_ns), origin_ns)


class RowWriter:
    """Write readings as CSV: UTF-8, comma, newline; an empty field where nothing is known.

    Fixed decimals, so equal readings give equal bytes. An existing file is replaced. Belongs to one
    thread, which calls :meth:`flush` when it has nothing to write.

    Parameters
    ----------
    path : Path
        Its folder must exist. The header is written at once.
    input_column : bool
        A leading column ``input`` with the name of each frame's file, for stills.
    origin_ns : int or None
        Source time of ``timestamp`` 0; None takes the first frame's, as cameras and streams need.
    backfill : bool
        True: a micro-expression stands on its face's rows from onset to offset, and rows wait
        for it.
        False: on the first row of its face after the decision.
    schema : Schema
        What the columns are; ``WITH_LANDMARKS`` has the mesh points, too.

    Raises
    ------
    OutputError
        From any method: the file cannot be written.
    """

    def __init__(
        self,
        path: str | Path,
        *,
        input_column: bool = False,
        origin_ns: int | None = 0,
        backfill: bool = False,
        schema: Schema = SCHEMA,
    ) -> None:
        self.path = Path(path)
        self.rows_written = 0
        self._table = RowTable(schema)
        self._input_column = input_column
        self._origin_ns = origin_ns
        self._backfill = backfill
        self._wait_ns = 0
        self._marks = MicroMarks(backfill=backfill)
        self._new_markers = NewMarkers()
        self._held: deque[tuple[int, str, int | None, list[Value]]] = deque()
        names = (*(("input",) if input_column else ()), *self._table.columns)
        head = ",".join(names) + "\n"
        self._lines = LineFile(self.path, head)

    def write(self, reading: Reading) -> int:
        """Append the rows of one frame and return how many; where they wait, see the module."""
        frame = reading.scene.frame
        if self._origin_ns is None:
            self._origin_ns = frame.t_ns
        name = csv_field(frame.name) + "," if self._input_column else ""
        rows = self._table.rows(reading, self._origin_ns)
        if markers := self._new_markers.take(reading.markers):
            for row in rows:
                self._table.put_markers(row, markers)
        self._marks.take(reading)
        if self._backfill and any(r.micro is not None for r in reading.affect.results.values()):
            self._wait_ns = BACKFILL_NS  # without spotting, nothing would come to wait for
        for row, track in zip_longest(rows, reading.scene.tracks):
            seen = None if track is None or track.face is None else track.track_id
            self._held.append((frame.t_ns, name, seen, row))
        self._release(frame.t_ns - self._wait_ns)
        self._lines.flush_if_due()
        return len(rows)

    def flush(self) -> None:
        """Hand every row that need not wait to the system, whole lines only."""
        self._lines.flush()

    def close(self) -> None:
        """Write what has waited, flush and close. Idempotent."""
        self._release(sys.maxsize)
        self._lines.close()

    def _release(self, until_ns: int) -> None:
        """Pass on the rows up to `until_ns`, with the micro-expressions that they carry."""
        origin_ns = self._origin_ns or 0
        while self._held and self._held[0][0] <= until_ns:
            t_ns, name, track_id, row = self._held.popleft()
            event = None if track_id is None else self._marks.event_of(track_id, t_ns)
            if event is not None:
                self._table.mark(row, event, origin_ns)
            self._lines.add(name + self._table.line(row))
            self.rows_written += 1
        self._marks.forget(until_ns)
