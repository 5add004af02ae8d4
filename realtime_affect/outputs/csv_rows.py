"""What a run leaves behind in numbers: rows in OpenFace's columns.

They survive being killed: live, they reach the file whole lines at a time and at least once a
second. Offline, they wait in memory for :data:`~realtime_affect.outputs.csv_events.BACKFILL_NS` of
source time, so that a micro-expression stands on the rows on which it happened. A full disk ends
the file with an :class:`OutputError` and everything written before it.
"""

from __future__ import annotations

import sys
from collections import deque
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ClassVar, Final

from pydantic import Field

from realtime_affect.names import AU_INTENSITIES, AU_OCCURRENCES, EXPRESSIONS, SIDED_UNITS
from realtime_affect.outputs.csv_events import (
    BACKFILL_NS,
    MICRO_COLUMNS,
    MicroMarks,
    micro_fields,
    quiet_fields,
)
from realtime_affect.outputs.line_file import LineFile, csv_field
from realtime_affect.settings import Section
from realtime_affect.types import N_MESH_POINTS

if TYPE_CHECKING:
    from realtime_affect.types import AffectResult, Expression, Reading, Track

Row = tuple[float | str, ...]

COLUMNS: Final = (
    *("frame", "face_id", "timestamp", "confidence", "success", "x", "y", "w", "h"),
    *("pose_Rx", "pose_Ry", "pose_Rz", "quality"),
    *(f"{unit}_r" for unit in AU_INTENSITIES),
    *(f"{unit}_c" for unit in AU_OCCURRENCES),
    *(f"{unit}_{side}_r" for unit in SIDED_UNITS for side in ("right", "left")),
    *("pose_Tx", "pose_Ty", "pose_Tz"),
    *("gaze_angle_x", "gaze_angle_y", "gaze_age_ms", "blinks_per_min"),
    *("expression", *(f"p_{name}" for name in EXPRESSIONS), "expression_age_ms", "warming_up"),
    *MICRO_COLUMNS,
)
"""Columns of every row. Names that OpenFace has mean what they mean there; units are pixels of the
frame, millimetres, radians and seconds. ``gaze_age_ms`` is how much older than the frame the gaze
and the blink rate are (0 in offline analysis), ``expression_age_ms`` the same of the newest moment
that the expression was decided on. ``expression`` is the reported one, as a word: steady, so not
always the likeliest by the probabilities, which are those of the moment; ``warming_up`` is 1
while its clip is shorter than the network wants. ``micro`` is 1 on a row that carries a brief
movement, 0 where one could have been seen, empty where it could not."""

_FORMATS: Final = {
    **dict.fromkeys(("frame", "face_id", "success"), "%d"),
    **dict.fromkeys(("x", "y", "w", "h"), "%.2f"),
    **dict.fromkeys(("pose_Tx", "pose_Ty", "pose_Tz", "gaze_age_ms", "expression_age_ms"), "%.1f"),
    **dict.fromkeys((f"{unit}_c" for unit in AU_OCCURRENCES), "%.0f"),
    **dict.fromkeys(("pose_Rx", "pose_Ry", "pose_Rz", "gaze_angle_x", "gaze_angle_y"), "%.4f"),
    **dict.fromkeys(("timestamp", "micro_onset", "micro_apex", "micro_offset"), "%.6f"),
    **dict.fromkeys(("warming_up", "micro"), "%.0f"),
    "expression": "%s",
}  # the others: %.3f
_NAN: Final = float("nan")
_N_FACE: Final = len(COLUMNS) - COLUMNS.index("pose_Rx")
_MICRO: Final = slice(COLUMNS.index("micro"), COLUMNS.index("micro") + len(MICRO_COLUMNS))


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


def columns(landmarks: bool = False) -> tuple[str, ...]:
    """Return the column names of a row, in order."""
    if not landmarks:
        return COLUMNS
    return COLUMNS + tuple(f"{axis}_{n}" for axis in "xyz" for n in range(N_MESH_POINTS))


def rows(reading: Reading, *, landmarks: bool = False, origin_ns: int = 0) -> list[Row]:
    """Return the rows of one frame, in the order of :func:`columns`; NaN where nothing is known.

    There are ``max(1, faces)``. ``frame`` counts from 1, as OpenFace's does; a frame without a face
    has ``face_id`` 0 and ``success`` 0; a face that was not measured in this frame (another one's
    turn) has its box and ``success`` 0. No row carries a micro-expression yet: which one does, is
    :class:`RowWriter`'s to say.

    Parameters
    ----------
    reading : Reading
    landmarks : bool
        With the mesh points.
    origin_ns : int
        Source time of ``timestamp`` 0.
    """
    scene, results = reading.scene, reading.affect.results
    t_ns = scene.frame.t_ns
    number, seconds = scene.frame.index + 1, (t_ns - origin_ns) / 1e9
    rest = (_NAN,) * (_N_FACE + (3 * N_MESH_POINTS if landmarks else 0))
    if not scene.tracks:
        return [(number, 0, seconds, _NAN, 0, _NAN, _NAN, _NAN, _NAN, *rest)]
    out: list[Row] = []
    for track in scene.tracks:
        x0, y0, x1, y1 = track.xyxy.tolist()
        success = 0 if track.face is None else 1
        head = (number, track.track_id, seconds, track.confidence, success, x0, y0, x1 - x0)
        measured = (
            rest
            if track.face is None
            else _measured(track, results.get(track.track_id), t_ns, landmarks)
        )
        out.append((*head, y1 - y0, *measured))
    return out


def _measured(track: Track, affect: AffectResult | None, t_ns: int, landmarks: bool) -> Row:
    """Return the columns from ``pose_Rx`` on of a face that was measured."""
    face = track.face
    assert face is not None
    units = face.action_units
    return (
        *face.pose.rotation_rad.tolist(),
        face.quality.score,
        *units.intensity.tolist(),
        *units.occurrence.tolist(),
        *units.sides.ravel().tolist(),
        *face.pose.translation_mm.tolist(),
        *((_NAN, _NAN) if affect is None else affect.gaze_rad.tolist()),
        _NAN if affect is None else (t_ns - affect.t_ns) / 1e6,
        _NAN if affect is None else affect.blinks_per_min,
        *_displayed(None if affect is None else affect.expression, t_ns),
        *quiet_fields(affect),
        *(face.mesh.points.T.ravel().tolist() if landmarks else ()),
    )


def _displayed(expression: Expression | None, t_ns: int) -> Row:
    """Return the columns from ``expression`` to ``warming_up``."""
    if expression is None:
        return (_NAN,) * (len(EXPRESSIONS) + 3)
    age_ms = (t_ns - expression.t_ns) / 1e6
    shares = expression.probabilities.tolist()
    return (expression.name, *shares, age_ms, float(expression.warming_up))


class RowWriter:
    """Write readings as CSV: UTF-8, comma, newline; an empty field where nothing is known.

    Fixed decimals, so equal readings give equal bytes. An existing file is replaced. Belongs to one
    thread, which calls :meth:`flush` when it has nothing to write.

    Parameters
    ----------
    path : Path
        Its folder must exist. The header is written at once.
    landmarks : bool
        With the mesh points.
    input_column : bool
        A leading column ``input`` with the name of each frame's file, for stills.
    origin_ns : int or None
        Source time of ``timestamp`` 0; None takes the first frame's, as cameras and streams need.
    backfill : bool
        True: a micro-expression stands on its face's rows from onset to offset, and rows wait
        for it.
        False: on the first row of its face after the decision.

    Raises
    ------
    OutputError
        From any method: the file cannot be written.
    """

    def __init__(
        self,
        path: str | Path,
        *,
        landmarks: bool = False,
        input_column: bool = False,
        origin_ns: int | None = 0,
        backfill: bool = False,
    ) -> None:
        self.path = Path(path)
        self.rows_written = 0
        self._landmarks = landmarks
        self._input_column = input_column
        self._origin_ns = origin_ns
        self._backfill = backfill
        self._wait_ns = 0
        self._marks = MicroMarks(backfill=backfill)
        self._held: deque[tuple[int, str, Row]] = deque()
        names = columns(landmarks)
        self._template = ",".join(_FORMATS.get(name, "%.3f") for name in COLUMNS)
        self._template += ",%.2f" * (len(names) - len(COLUMNS)) + "\n"
        head = ",".join((*(("input",) if input_column else ()), *names)) + "\n"
        self._lines = LineFile(self.path, head)

    def write(self, reading: Reading) -> int:
        """Append the rows of one frame and return how many; where they wait, see the module."""
        frame = reading.scene.frame
        if self._origin_ns is None:
            self._origin_ns = frame.t_ns
        name = csv_field(frame.name) + "," if self._input_column else ""
        values = rows(reading, landmarks=self._landmarks, origin_ns=self._origin_ns)
        self._marks.take(reading)
        if self._backfill and any(r.micro is not None for r in reading.affect.results.values()):
            self._wait_ns = BACKFILL_NS  # without spotting, nothing would come to wait for
        self._held.extend((frame.t_ns, name, row) for row in values)
        self._release(frame.t_ns - self._wait_ns)
        self._lines.flush_if_due()
        return len(values)

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
            t_ns, name, row = self._held.popleft()
            track_id, success = int(row[1]), row[4]
            event = self._marks.event_of(track_id, t_ns) if success else None
            if event is not None:
                row = (*row[: _MICRO.start], *micro_fields(event, origin_ns), *row[_MICRO.stop :])
            self._lines.add(name + (self._template % row).replace("nan", ""))
            self.rows_written += 1
        self._marks.forget(until_ns)
