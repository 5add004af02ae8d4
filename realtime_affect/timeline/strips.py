"""A CSV of rows, pooled into at most some hundred stretches of time for each face.

The file is streamed, and of a stretch the maximum is kept, so that a short movement stays visible
(of probabilities the mean, so that they still add up): hours take as much memory as minutes.
"""

from __future__ import annotations

import csv
import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from realtime_affect.errors import InputError, InputMissingError
from realtime_affect.names import AU_INTENSITIES, EXPRESSIONS, MICRO_CLASSES
from realtime_affect.schema import SCHEMA

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray

_N_BINS: Final = 900
_POSE: Final = SCHEMA["head_rotation"].row_columns
_UNIT_COLUMNS: Final = SCHEMA["action_unit_intensity"].row_columns
_SHARE_COLUMNS: Final = SCHEMA["expression_probability"].row_columns
_MICRO_COLUMNS: Final = tuple(
    column
    for name in ("micro", "event_onset", "event_apex", "micro_class")
    for column in SCHEMA[name].row_columns
)
_SURE: Final = 0.5
_BLINK: Final = AU_INTENSITIES.index("AU45")
_BLINK_FROM: Final = 2.5  # intensity of AU45 from which the eyes count as closed
_SILENCE_S: Final = 1.0  # frames further apart are an outage, not unevenness, ...
_SILENCE_FRAMES: Final = 4  # ... unless the recording is as slow as that throughout


class Movement(NamedTuple):
    """A micro-expression: when it was strongest, and of which class.

    ``kind`` is one of the classes if more than half speaks for it, empty otherwise.
    """

    apex_s: float
    kind: str


@dataclass(slots=True)
class Face:
    """What is kept of one face in n stretches of time.

    Attributes
    ----------
    n_rows : int
        Frames in which it was measured.
    units : (n, 17) float32
        Largest intensity, in the order of ``AU_INTENSITIES``; NaN where nothing is known.
    pose : (n, 3) float32
        Pitch, yaw and roll furthest from 0, degrees; NaN where the face was not measured.
    shares : (n, 8) float32
        Mean probabilities, in the order of ``EXPRESSIONS``; NaN where there are none.
    blinks : list of float
        When the eyes closed, seconds.
    movements : list of Movement
        Micro-expressions, in the order of the rows.
    watched : (n,) bool
        Stretches in which a micro-expression could have been seen.
    """

    n_rows: int = 0
    units: NDArray[np.float32] = field(
        default_factory=lambda: np.full((_N_BINS, len(AU_INTENSITIES)), np.nan, np.float32)
    )
    pose: NDArray[np.float32] = field(
        default_factory=lambda: np.full((_N_BINS, 3), np.nan, np.float32)
    )
    shares: NDArray[np.float32] = field(
        default_factory=lambda: np.full((_N_BINS, len(EXPRESSIONS)), np.nan, np.float32)
    )
    blinks: list[float] = field(default_factory=list)
    movements: list[Movement] = field(default_factory=list)
    watched: NDArray[np.bool_] = field(default_factory=lambda: np.zeros(_N_BINS, np.bool_))
    onset_s: float = math.nan
    closed: bool = False
    place: int = 0
    pending: list[list[float]] = field(default_factory=list)

    def add(self, place: int, seconds: float, values: list[float]) -> None:
        """Take in a row's 17 units, 3 angles in radians and 8 shares, of stretch `place`."""
        if place != self.place:
            self.flush()
            self.place = place
        self.n_rows += 1
        self.pending.append(values)
        closed = values[_BLINK] >= _BLINK_FROM
        if closed and not self.closed:
            self.blinks.append(seconds)
        self.closed = closed

    def watch(self, place: int, values: list[float]) -> None:
        """Take in a row's :data:`_MICRO_COLUMNS`; an event may stand on many rows in a row."""
        micro, onset_s, apex_s, *shares = values
        self.watched[place] |= math.isfinite(micro)
        if micro != 1 or onset_s == self.onset_s:
            return
        self.onset_s = onset_s
        likely = [name for name, p in zip(MICRO_CLASSES, shares, strict=False) if p > _SURE]
        self.movements.append(Movement(apex_s, likely[0] if likely else ""))

    def flush(self) -> None:
        """Pool the rows of the present stretch: the largest unit, the angle furthest from 0."""
        if not self.pending:
            return
        rows = np.array(self.pending, np.float32)
        rows[np.isinf(rows)] = np.nan
        self.pending.clear()
        here = self.place
        units, pose, shares = np.split(rows, [len(AU_INTENSITIES), len(AU_INTENSITIES) + 3], axis=1)
        known = shares[np.isfinite(shares).all(axis=1)]
        if len(known):
            self.shares[here] = known.mean(axis=0)
        self.units[here] = np.fmax(self.units[here], np.fmax.reduce(units))
        angles = np.vstack([self.pose[here], np.rad2deg(pose)])
        furthest = np.where(np.isnan(angles), -1, np.abs(angles)).argmax(axis=0)
        self.pose[here] = angles[furthest, np.arange(3)]


@dataclass(frozen=True, slots=True)
class Strips:
    """A recording, pooled.

    Attributes
    ----------
    faces : dict
        By id.
    n_frames : int
    start_s, end_s : float
        As in the CSV's timestamps.
    silent : (n,) bool
        Stretches in which the source gave no frame, as while a camera was unplugged: nothing is
        known of them, of any face.
    """

    faces: dict[int, Face]
    n_frames: int
    start_s: float
    end_s: float
    silent: NDArray[np.bool_]


def pool_rows(path: Path) -> Strips:
    """Read a recording's rows: once for its span, once into stretches of time.

    Parameters
    ----------
    path : Path
        CSV as ``RowWriter`` writes it; half a row at its end is left out.

    Raises
    ------
    InputMissingError
        It does not exist.
    InputError
        It cannot be read, has not the columns needed, or holds something else than numbers.
    """
    try:
        return _pool(path)
    except ValueError as error:
        raise InputError(
            thing=f"rows {path}",
            got=str(error),
            expected="numbers",
            hint="Draw a CSV as realtime-affect has written it.",
        ) from error


def _pool(path: Path) -> Strips:
    start_s, end_s, n_frames, last_frame = math.inf, -math.inf, 0, None
    for row in _rows(path, ("frame", "timestamp")):
        seconds = _number(row[1])
        if math.isfinite(seconds):
            start_s, end_s = min(start_s, seconds), max(end_s, seconds)
        n_frames += row[0] != last_frame
        last_frame = row[0]
    faces: dict[int, Face] = {}
    if not n_frames or not math.isfinite(start_s):
        return Strips(faces, n_frames, 0.0, 0.0, np.zeros(0, np.bool_))
    n_bins = max(1, min(_N_BINS, n_frames))
    per_s = n_bins / max(end_s - start_s, 1e-9)
    filled, silent = np.zeros(n_bins, np.bool_), np.zeros(n_bins, np.bool_)
    most_s = max(_SILENCE_S, _SILENCE_FRAMES * (end_s - start_s) / max(1, n_frames - 1))
    before, before_s = 0, start_s
    wanted = ("face_id", "timestamp", "success", *_UNIT_COLUMNS, *_POSE)
    for row in _rows(path, wanted, (*_SHARE_COLUMNS, *_MICRO_COLUMNS)):
        face_id, seconds = _number(row[0]), _number(row[1])
        if not math.isfinite(seconds):
            continue
        place = min(n_bins - 1, int((seconds - start_s) * per_s))
        filled[place] = True
        if seconds - before_s > most_s:
            silent[before + 1 : place] = True
        before, before_s = place, seconds
        if not (_number(row[2]) == 1 and face_id >= 1):
            continue
        face = faces.setdefault(int(face_id), Face())
        values = [_number(text) for text in row[3:]]
        face.add(place, seconds, values[: -len(_MICRO_COLUMNS)])
        face.watch(place, values[-len(_MICRO_COLUMNS) :])
    # A stretch between two frames (uneven times) shows what the one before it showed; of an outage
    # that would claim an expression nobody saw.
    silent &= ~filled
    source = np.maximum.accumulate(np.where(filled, np.arange(n_bins), 0))
    for face in faces.values():
        face.flush()
        face.units, face.pose = face.units[source], face.pose[source]
        face.shares = face.shares[source]
        face.watched = face.watched[source] & ~silent
        face.units[silent] = face.pose[silent] = face.shares[silent] = np.nan
    return Strips(faces, n_frames, start_s, end_s, silent)


def _number(text: str) -> float:
    return float(text) if text else math.nan


def _rows(
    path: Path, wanted: tuple[str, ...], optional: tuple[str, ...] = ()
) -> Iterator[list[str]]:
    """Yield the `wanted` fields of every whole row, then the `optional` ones or empty text."""
    try:
        with path.open(newline="", encoding="utf-8", errors="replace") as file:
            reader = csv.reader(file)
            header = next(reader, [])
            missing = [name for name in wanted if name not in header]
            if missing:
                raise InputError(
                    thing=f"rows {path}",
                    got=f"no column {missing[0]}",
                    expected="the columns of realtime-affect's CSV",
                    hint="Draw a CSV that realtime-affect has written.",
                )
            columns = [header.index(name) for name in wanted]
            others = [header.index(name) if name in header else -1 for name in optional]
            for row in reader:
                if len(row) == len(header):  # a run that was killed may end in half a row
                    extra = [row[column] if column >= 0 else "" for column in others]
                    yield [row[column] for column in columns] + extra
    except FileNotFoundError as error:
        raise InputMissingError(
            thing=f"rows {path}",
            got="no such file",
            expected="a CSV of realtime-affect",
            hint="Check the path.",
        ) from error
    except (OSError, csv.Error) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(
            thing=f"rows {path}",
            got=str(error),
            expected="a readable CSV",
            hint="Check the file and its permissions.",
        ) from error
