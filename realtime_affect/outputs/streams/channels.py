"""What streams of numbers carry: the columns of the rows, by the same names, and places for faces.

A channel is a column of ``<stem>.csv``, so that a recording made elsewhere and our own rows speak
of the same thing. A face keeps its place (1, 2, ...) for as long as it is seen; one that comes
takes the lowest that is free.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

from realtime_affect.outputs.csv_events import MicroMarks
from realtime_affect.outputs.csv_rows import RowTable
from realtime_affect.schema import SCHEMA

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from realtime_affect.measure import Group, Measure, Schema
    from realtime_affect.outputs.csv_table import Value
    from realtime_affect.types import Reading

_FREED_NS: Final = 2_000_000_000  # a face out of sight keeps its place for so long


@dataclass(frozen=True, slots=True)
class Channel:
    """One column of the rows as a channel.

    Attributes
    ----------
    name : str
        Of the column.
    label : str
        What people read.
    measure : Measure
    trust : str
        Of this value: a level of :data:`~realtime_affect.measure.TRUSTS`, or the card's.
    column : int
        Where it stands in a row.
    """

    name: str
    label: str
    measure: Measure
    trust: str
    column: int

    @property
    def is_text(self) -> bool:
        """Whether its values are words."""
        return self.measure.dtype in ("text", "names")

    @property
    def address(self) -> str:
        """Its end of an OSC address: ``expression/happiness``, ``action_units/AU12_r``."""
        group = self.measure.group.replace(" ", "_").replace("-", "_")
        return f"{group}/{self.name.removeprefix('p_') if self.measure.parts else self.name}"


def channels_of(groups: Collection[Group], schema: Schema = SCHEMA) -> tuple[Channel, ...]:
    """Return the columns of some groups of measures, in the rows' order; markers are none."""
    found: list[Channel] = []
    column = 0
    for measure in schema.in_rows:
        for n, name in enumerate(measure.row_columns):
            if measure.group in groups and measure.subject != "marker":
                part = measure.parts[n] if measure.parts else ""
                label = measure.labels[n] if measure.parts else measure.name.replace("_", " ")
                trust = measure.trust_in(part) if measure.card else measure.trust
                found.append(Channel(name, label, measure, trust, column + n))
        column += len(measure.row_columns)
    return tuple(found)


class Placed(NamedTuple):
    """A face in its place: from 1, and its row."""

    place: int
    row: list[Value]


class FaceRows:
    """Rows of faces in their places, one reading after the other; belongs to one thread.

    Parameters
    ----------
    places : int
        Further faces are left out.
    schema : Schema
    """

    def __init__(self, places: int, schema: Schema = SCHEMA) -> None:
        self._table = RowTable(schema)
        self._marks = MicroMarks(backfill=False)
        self._places: dict[int, int] = {}  # by track id
        self._seen_ns: dict[int, int] = {}
        self._free = list(range(1, places + 1))

    def of(self, reading: Reading) -> list[Placed]:
        """Return the rows of one reading: as live ones, with times of the source from its zero."""
        frame, tracks = reading.scene.frame, reading.scene.tracks
        self._take_places([track.track_id for track in tracks], frame.t_ns)
        self._marks.take(reading)
        found = []
        for track, row in zip(tracks, self._table.rows(reading), strict=False):
            place = self._places.get(track.track_id)
            if place is None:
                continue
            event = None if track.face is None else self._marks.event_of(track.track_id, frame.t_ns)
            if event is not None:
                self._table.mark(row, event, 0)
            found.append(Placed(place, row))
        self._marks.forget(frame.t_ns)
        return sorted(found)

    def place_of(self, track_id: int) -> int | None:
        """Return the place of a face, if it has one."""
        return self._places.get(track_id)

    def nobody(self, reading: Reading) -> list[Value]:
        """Return the row of a place without a face."""
        return self._table.without_faces(reading)

    def _take_places(self, track_ids: Iterable[int], now_ns: int) -> None:
        for track_id in track_ids:
            self._seen_ns[track_id] = now_ns
        for track_id in [t for t, seen in self._seen_ns.items() if now_ns - seen > _FREED_NS]:
            del self._seen_ns[track_id]
            if track_id in self._places:
                self._free.append(self._places.pop(track_id))
        for track_id in sorted(self._seen_ns):
            if track_id not in self._places and self._free:
                place = min(self._free)
                self._free.remove(place)
                self._places[track_id] = place
