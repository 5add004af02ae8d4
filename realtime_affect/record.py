"""What a run leaves behind: rows in OpenFace's columns, and the painted pictures as video.

Both survive being killed: rows reach the file whole lines at a time and at least once a second,
video is written in fragments of a second that play without an end. A full disk ends a file with an
:class:`OutputError` and everything written before it.
"""

from __future__ import annotations

import contextlib
import csv
import io
import os
import time
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Final

import cv2
import numpy as np

from realtime_affect.errors import OutputError
from realtime_affect.types import (
    AU_INTENSITIES,
    AU_OCCURRENCES,
    EXPRESSIONS,
    N_MESH_POINTS,
    SIDED_UNITS,
)

if TYPE_CHECKING:
    import av
    from av.video.stream import VideoStream

    from realtime_affect.types import AffectResult, Expression, Image, Reading, Track

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
)
"""Columns of every row. Names that OpenFace has mean what they mean there; units are pixels of the
frame, millimetres, radians and seconds. ``gaze_age_ms`` is how much older than the frame the gaze
and the blink rate are (0 in offline analysis), ``expression_age_ms`` the same of the newest moment
that the expression was decided on. ``expression`` is the likeliest one, as a word; ``warming_up``
is 1 while its clip is shorter than the network wants."""

_FORMATS: Final = {
    **dict.fromkeys(("frame", "face_id", "success"), "%d"),
    **dict.fromkeys(("x", "y", "w", "h"), "%.2f"),
    **dict.fromkeys(("pose_Tx", "pose_Ty", "pose_Tz", "gaze_age_ms", "expression_age_ms"), "%.1f"),
    **dict.fromkeys((f"{unit}_c" for unit in AU_OCCURRENCES), "%.0f"),
    **dict.fromkeys(("pose_Rx", "pose_Ry", "pose_Rz", "gaze_angle_x", "gaze_angle_y"), "%.4f"),
    "timestamp": "%.6f",
    "expression": "%s",
    "warming_up": "%.0f",
}  # the others: %.3f
_NAN: Final = float("nan")
_N_FACE: Final = len(COLUMNS) - COLUMNS.index("pose_Rx")
_FLUSH_NS: Final = 500_000_000
_FLUSH_BYTES: Final = 1 << 16


@dataclass(frozen=True, slots=True)
class RecordConfig:
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

    landmarks: bool = False
    video: bool = True
    crf: int = 23


def columns(landmarks: bool = False) -> tuple[str, ...]:
    """Return the column names of a row, in order."""
    if not landmarks:
        return COLUMNS
    return COLUMNS + tuple(f"{axis}_{n}" for axis in "xyz" for n in range(N_MESH_POINTS))


def rows(reading: Reading, *, landmarks: bool = False, origin_ns: int = 0) -> list[Row]:
    """Return the rows of one frame, in the order of :func:`columns`; NaN where nothing is known.

    There are ``max(1, faces)``. ``frame`` counts from 1, as OpenFace's does; a frame without a face
    has ``face_id`` 0 and ``success`` 0; a face that was not measured in this frame (another one's
    turn) has its box and ``success`` 0.

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
    ) -> None:
        self.path = Path(path)
        self.rows_written = 0
        self._landmarks = landmarks
        self._input_column = input_column
        self._origin_ns = origin_ns
        names = columns(landmarks)
        self._template = ",".join(_FORMATS.get(name, "%.3f") for name in COLUMNS)
        self._template += ",%.2f" * (len(names) - len(COLUMNS)) + "\n"
        self._pending: list[str] = []
        self._pending_bytes = 0
        self._size = 0
        try:
            self._file: io.FileIO | None = io.FileIO(self.path, "w")
        except OSError as error:
            raise _cannot_write(self.path, error) from error
        self._add(",".join((*(("input",) if input_column else ()), *names)) + "\n")
        self.flush()

    def write(self, reading: Reading) -> int:
        """Append the rows of one frame and return how many; reaches the disk within a second."""
        frame = reading.scene.frame
        if self._origin_ns is None:
            self._origin_ns = frame.t_ns
        name = _field(frame.name) + "," if self._input_column else ""
        values = rows(reading, landmarks=self._landmarks, origin_ns=self._origin_ns)
        for row in values:
            self._add(name + (self._template % row).replace("nan", ""))
        self.rows_written += len(values)
        due = time.monotonic_ns() - self._flushed_ns > _FLUSH_NS
        if due or self._pending_bytes > _FLUSH_BYTES:
            self.flush()
        return len(values)

    def flush(self) -> None:
        """Hand every row to the system, whole lines only."""
        self._flushed_ns = time.monotonic_ns()
        if self._file is None or not self._pending:
            return
        data = "".join(self._pending).encode("utf-8", "backslashreplace")
        self._pending.clear()
        self._pending_bytes = 0
        view = memoryview(data)
        try:
            while view:
                view = view[self._file.write(view) or 0 :]
        except OSError as error:
            # Whole lines stay, the torn one goes: a half row would read as wrong numbers.
            with contextlib.suppress(OSError):
                torn = data[: len(data) - len(view)].rfind(b"\n") + 1
                os.ftruncate(self._file.fileno(), self._size + torn)
            self._file.close()
            self._file = None
            raise _cannot_write(self.path, error) from error
        self._size += len(data)

    def close(self) -> None:
        """Flush and close. Idempotent."""
        self.flush()
        if self._file is not None:
            file, self._file = self._file, None
            try:
                file.close()
            except OSError as error:
                raise _cannot_write(self.path, error) from error

    def _add(self, line: str) -> None:
        self._pending.append(line)
        self._pending_bytes += len(line)


def _field(text: str) -> str:
    """Quote `text` as a CSV field where it needs it."""
    line = io.StringIO()
    csv.writer(line, lineterminator="\r\n").writerow([text])
    return line.getvalue()[:-2]


class VideoRecorder:
    """Write pictures as H.264 in fragmented MP4 with their own times (variable frame rate).

    The first picture sets the size, rounded up to even; others are fitted into it with black
    borders. A file cut off anywhere plays up to the last whole second. An existing file is
    replaced. Belongs to one thread.

    Parameters
    ----------
    path : Path
        Its folder must exist; the file appears with the first picture.
    fps_hint : float, optional
        About how many pictures a second to expect.
    crf : int
        x264's quality.

    Raises
    ------
    OutputError
        From any method: the file cannot be written.
    """

    _TICKS: Final = 90_000  # a second, the usual clock of video
    _KEY: Final = _TICKS  # a key picture, and so a fragment, each second

    def __init__(self, path: str | Path, fps_hint: float | None = None, crf: int = 23) -> None:
        self.path = Path(path)
        self.frames_written = 0
        self._fps = fps_hint or 30.0
        self._crf = crf
        self._container: av.container.OutputContainer | None = None
        self._stream: VideoStream | None = None
        self._closed = False
        self._size = (0, 0)
        self._first_ns = 0
        self._last = -1
        self._key = -self._KEY

    def write(self, image: Image, t_ns: int) -> None:
        """Append a BGR picture (H, W, 3) seen at source time `t_ns`."""
        import av

        if self._closed:
            return
        try:
            if self._container is None or self._stream is None:
                self._first_ns = t_ns
                self._container, self._stream = self._open(image)
            ticks = round((t_ns - self._first_ns) * self._TICKS / 1e9)
            frame = av.VideoFrame.from_ndarray(_fitted(image, self._size), format="bgr24")
            frame = frame.reformat(format="yuv420p")
            frame.pts = self._last = max(ticks, self._last + 1)
            frame.time_base = Fraction(1, self._TICKS)
            if frame.pts - self._key >= self._KEY:
                frame.pict_type = av.video.frame.PictureType.I
                self._key = frame.pts
            self._container.mux(self._stream.encode(frame))
        except OSError as error:  # av's errors of the system are OSError too
            self._abandon()
            raise _cannot_write(self.path, error) from error
        self.frames_written += 1

    def close(self) -> None:
        """Finish the file. Idempotent."""
        if self._closed:
            return
        self._closed = True
        if self._container is None or self._stream is None:
            return
        try:
            self._container.mux(self._stream.encode(None))
            self._container.close()
        except OSError as error:
            self._abandon()
            raise _cannot_write(self.path, error) from error

    def _open(self, image: Image) -> tuple[av.container.OutputContainer, VideoStream]:
        import av

        height, width = image.shape[:2]
        self._size = (max(2, width + width % 2), max(2, height + height % 2))
        container = av.open(
            str(self.path),
            "w",
            format="mp4",
            options={
                "movflags": "frag_keyframe+empty_moov+default_base_moof",
                "flush_packets": "1",
            },
        )
        # Key pictures are set by time; the encoder's own count (g) must not interfere.
        options = {"preset": "ultrafast", "tune": "zerolatency", "crf": f"{self._crf}"}
        options["g"] = "100000"
        rate = Fraction(self._fps).limit_denominator(1001)
        stream = container.add_stream("libx264", rate=rate, options=options)
        stream.width, stream.height = self._size
        stream.pix_fmt = "yuv420p"
        stream.codec_context.time_base = Fraction(1, self._TICKS)
        stream.codec_context.colorspace = 6  # BT.601, which the conversion from BGR uses
        return container, stream

    def _abandon(self) -> None:
        """Let go of a file that cannot be written any more; its whole fragments stay."""
        self._closed = True
        if self._container is not None:
            with contextlib.suppress(OSError):
                self._container.close()
        self._container = self._stream = None


def _fitted(image: Image, size: tuple[int, int]) -> Image:
    """Return `image` in the middle of a black picture of `size` (width, height), in proportion."""
    width, height = size
    if image.shape[:2] == (height, width):
        return image
    scale = min(width / image.shape[1], height / image.shape[0])
    if image.shape[0] in (height, height - 1) and image.shape[1] in (width, width - 1):
        scale = 1.0  # an odd size needs one more row or column, not another scale
    if scale != 1.0:
        inner = (max(1, round(image.shape[1] * scale)), max(1, round(image.shape[0] * scale)))
        image = np.asarray(cv2.resize(image, inner, interpolation=cv2.INTER_AREA), np.uint8)
    rows_left, columns_left = height - image.shape[0], width - image.shape[1]
    top, left = rows_left // 2, columns_left // 2
    padded = cv2.copyMakeBorder(
        image, top, rows_left - top, left, columns_left - left, cv2.BORDER_CONSTANT, value=(0, 0, 0)
    )
    return np.asarray(padded, np.uint8)


def _cannot_write(path: Path, error: OSError) -> OutputError:
    return OutputError(
        f"output file {path}",
        got=error.strerror or str(error),
        expected="a file that can be written",
        hint="What was written so far is kept. Free some space or choose another folder (--out).",
    )
