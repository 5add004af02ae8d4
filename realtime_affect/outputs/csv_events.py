"""Micro-expressions on their way to the files: each told once, on rows and on a line of its own.

Readings repeat an event for two seconds, so that a reader which missed one still finds it; here it
is told apart by its onset. An event is a movement of the face that came and went, nothing more.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Final

from realtime_affect.names import MICRO_CLASSES
from realtime_affect.outputs.line_file import LineFile, cannot_write, csv_field

if TYPE_CHECKING:
    from realtime_affect.types import AffectResult, FacialEvent, Reading

MICRO_COLUMNS: Final = (
    *("micro", "micro_onset", "micro_apex", "micro_offset", "micro_score"),
    *(f"p_micro_{name}" for name in MICRO_CLASSES if name != "none"),
)
"""What a row tells of micro-expressions; times in seconds, as ``timestamp``."""

EVENT_COLUMNS: Final = (
    *("face_id", "kind", "onset", "apex", "offset", "duration_ms", "decided", "score"),
    *("regions", "units", *(f"p_micro_{name}" for name in MICRO_CLASSES)),
)
"""Columns of ``<stem>.events.csv``; regions and units are joined by semicolons."""

BACKFILL_NS: Final = 1_500_000_000
"""How far back an event reaches at most: it lasts less than 0.67 s and is decided within 0.7 s of
its apex."""

_FORGET_NS: Final = 10_000_000_000  # readings repeat an event for two seconds
_NAN: Final = float("nan")


class NewEvents:
    """Tell which events of each reading were not in an earlier one; one for each reader."""

    def __init__(self) -> None:
        self._told: dict[tuple[int, int], int] = {}

    def take(self, reading: Reading) -> list[tuple[int, FacialEvent]]:
        """Return track id and event of what is new, in the order of decision a face."""
        new = []
        for track_id, result in reading.affect.results.items():
            for event in () if result.micro is None else result.micro.events:
                key = (track_id, event.onset_ns)
                if key not in self._told:
                    self._told[key] = event.decided_ns
                    new.append((track_id, event))
        if new:
            since_ns = reading.affect.t_ns - _FORGET_NS
            self._told = {key: t_ns for key, t_ns in self._told.items() if t_ns >= since_ns}
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


def micro_fields(event: FacialEvent, origin_ns: int) -> tuple[float, ...]:
    """Return :data:`MICRO_COLUMNS` of a row that carries `event`."""
    times = ((t - origin_ns) / 1e9 for t in (event.onset_ns, event.apex_ns, event.offset_ns))
    shares = zip(MICRO_CLASSES, event.probabilities.tolist(), strict=True)
    return (1.0, *times, event.score, *(share for name, share in shares if name != "none"))


def quiet_fields(affect: AffectResult | None) -> tuple[float, ...]:
    """Return :data:`MICRO_COLUMNS` of a row without an event: 0 only where one could be seen."""
    seen = affect is not None and affect.micro is not None and not affect.micro.unavailable_reason
    return (0.0 if seen else _NAN, *(_NAN,) * (len(MICRO_COLUMNS) - 1))


class EventWriter:
    """Write one line an event, micro and macro, as soon as it is decided.

    The file appears with the first face that is watched for micro-expressions, so that a file
    without events says that there were none; one of an earlier run is removed. Belongs to one
    thread.

    Parameters
    ----------
    path : Path
        Its folder must exist.
    origin_ns : int or None
        As in ``record.RowWriter``.

    Raises
    ------
    OutputError
        From any method: the file cannot be written.
    """

    def __init__(self, path: str | Path, *, origin_ns: int | None = 0) -> None:
        self.path = Path(path)
        self._origin_ns = origin_ns
        self._new = NewEvents()
        self._lines: LineFile | None = None
        self._counts = {"micro": 0, "macro": 0}
        try:
            self.path.unlink(missing_ok=True)
        except OSError as error:
            raise cannot_write(self.path, error) from error

    @property
    def counts(self) -> dict[str, int]:
        """Lines written by kind; empty where nothing was watched."""
        return {} if self._lines is None else dict(self._counts)

    def write(self, reading: Reading) -> None:
        """Append what is new in a reading; it is on its way to the disk on return."""
        if self._origin_ns is None:
            self._origin_ns = reading.scene.frame.t_ns
        if self._lines is None:
            if all(result.micro is None for result in reading.affect.results.values()):
                return
            self._lines = LineFile(self.path, ",".join(EVENT_COLUMNS) + "\n")
        new = self._new.take(reading)
        for track_id, event in new:
            self._lines.add(_line(track_id, event, self._origin_ns))
            self._counts[event.kind] += 1
        if new:
            self._lines.flush()

    def close(self) -> None:
        """Close the file. Idempotent."""
        if self._lines is not None:
            self._lines.close()


def _line(track_id: int, event: FacialEvent, origin_ns: int) -> str:
    def seconds(t_ns: int) -> str:
        return f"{(t_ns - origin_ns) / 1e9:.6f}"

    shares = ("" if math.isnan(p) else f"{p:.3f}" for p in event.probabilities.tolist())
    fields = (
        *(str(track_id), event.kind, seconds(event.onset_ns), seconds(event.apex_ns)),
        *(seconds(event.offset_ns), f"{(event.offset_ns - event.onset_ns) / 1e6:.1f}"),
        *(seconds(event.decided_ns), f"{event.score:.3f}"),
        *(csv_field(";".join(names)) for names in (event.regions, event.units)),
        *shares,
    )
    return ",".join(fields) + "\n"
