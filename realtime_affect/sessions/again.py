"""Analyse a session's video with the networks of today, and compare with what was stored.

What comes of it is kept as the stored readings are, on the clock of the session, in its folder
``again``: a replay shows the one or the other. Live, affect may be older than its frame, and the
video is lossy: the two differ. The comparison says by how much, for each measure, over the moments
that both have, and whether that is within what was stated for it.
"""

from __future__ import annotations

import csv
import dataclasses
import io
import math
import shutil
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import av
import numpy as np

from affect_kernels.atomic import PRIVATE, write_atomically
from realtime_affect.capture import open_source
from realtime_affect.errors import InputMissingError, OutputError
from realtime_affect.names import AU_INTENSITIES, EXPRESSIONS
from realtime_affect.outputs.video import origin_of
from realtime_affect.runtime.pipeline import Pipeline
from realtime_affect.sessions.recorder import SessionRecorder
from realtime_affect.sessions.repair import source_info_of
from realtime_affect.sessions.store import AGAIN, ROWS, VIDEO, Session

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from realtime_affect.capture import Source, SourceInfo, SourceState
    from realtime_affect.config import Config
    from realtime_affect.types import Frame

DIFFERENCES: Final = "differences.csv"
"""How far both are apart, in the folder of the new results."""

TOLERANCE: Final[Mapping[str, float]] = {
    "action units, 0 to 5": 0.5,
    "expression, probability": 0.25,
    "head rotation, rad": 0.02,
    "box, px": 2.0,
}
"""What 95 of 100 differences stay below, by group: live rows of a run that keeps up against a
lossless analysis of its video."""

GROUPS: Final = {
    "action units, 0 to 5": tuple(f"{name}_r" for name in AU_INTENSITIES),
    "expression, probability": tuple(f"p_{name}" for name in EXPRESSIONS),
    "head rotation, rad": ("pose_Rx", "pose_Ry", "pose_Rz"),
    "box, px": ("x", "y", "w", "h"),
}
_TELL_EVERY: Final = 10
_APART_S: Final = 0.001  # of the video's clock
_OVERLAP: Final = 0.3  # of two boxes that are the same face: ids are of each run


@dataclass(frozen=True, slots=True)
class Difference:
    """How far the new measures are from the stored ones.

    Attributes
    ----------
    group : str
    n : int
        Values compared.
    mean, p95, most : float
        Of the absolute differences; NaN without any.
    """

    group: str
    n: int
    mean: float
    p95: float
    most: float

    @property
    def within(self) -> bool:
        """Whether 95 of 100 differences are no larger than :data:`TOLERANCE` says."""
        return not self.p95 > TOLERANCE[self.group]


def analyse_again(
    session: Session, config: Config, progress: Callable[[float], None] | None = None
) -> tuple[Difference, ...]:
    """Analyse every image of the session's video into its folder ``again``, and compare.

    The folder holds readings, rows and events as the session's own does; ``session.json`` says
    with which networks, and under ``faces`` which id of the session each of its faces had.
    ``differences.csv`` has the columns of :class:`Difference`. Earlier such results are replaced
    once the new ones are complete.

    Parameters
    ----------
    session : Session
    config : Config
    progress : callable, optional
        Takes the share that is done, 0 to 1.

    Raises
    ------
    InputMissingError
        The session has no video.
    AffectError
        As :class:`~realtime_affect.runtime.pipeline.Pipeline` and its iteration.
    OutputError
        Something cannot be written.
    """
    video = session.path(VIDEO)
    if video is None:
        raise InputMissingError(
            thing=f"session {session.name}",
            got="no video",
            expected="one that was recorded with its video",
            hint="Results-only sessions can be replayed, not analysed again.",
        )
    unfinished, done = session.folder / f".{AGAIN}", session.folder / AGAIN
    try:
        shutil.rmtree(unfinished, ignore_errors=True)
        unfinished.mkdir(mode=0o700)
        _analyse(session, video, config, unfinished, progress)
        differences, faces = compare_rows(session.folder / ROWS, unfinished / ROWS)
        Session(unfinished).note(faces={str(n): other for n, other in faces.items()})
        _keep(differences, unfinished / DIFFERENCES)
        shutil.rmtree(done, ignore_errors=True)
        unfinished.rename(done)
    except OSError as error:
        raise OutputError(
            thing=f"results in {unfinished}",
            got=error.strerror or str(error),
            expected="a folder that can be written",
            hint="Free some space, or see whether the session's folder is still there.",
        ) from error
    return differences


def _analyse(
    session: Session, video: Path, config: Config, folder: Path,
    progress: Callable[[float], None] | None,
) -> None:  # fmt: skip
    frames = max(1, int(session.content["inputs"][0].get("frames") or 1))
    with Pipeline(_VideoOf(session, video, config), config, live=False) as pipeline:
        recorder = SessionRecorder(pipeline, folder, config, VIDEO, mode="results")
        for n, _ in enumerate(pipeline):
            if progress is not None and n % _TELL_EVERY == 0:
                progress(min(1.0, n / frames))
        recorder.finish()


class _VideoOf:
    """A session's video as the source that was recorded: its clock, its kind."""

    def __init__(self, session: Session, video: Path, config: Config) -> None:
        with av.open(str(video)) as container:
            self._origin_ns = origin_of(container.metadata)
        self._source: Source = open_source(video, config.capture, live=False)
        known = source_info_of(session)
        self.info: SourceInfo = dataclasses.replace(
            self._source.info, kind=known.kind, name=known.name, fps=known.fps, live=False
        )

    @property
    def state(self) -> SourceState:
        return self._source.state

    @property
    def warnings(self) -> tuple[str, ...]:
        return self._source.warnings

    def read(self, timeout_s: float) -> Frame | None:
        frame = self._source.read(timeout_s)
        if frame is None:
            return None
        return dataclasses.replace(frame, t_ns=frame.t_ns + self._origin_ns)

    def close(self) -> None:
        self._source.close()


def compare_rows(stored: Path, again: Path) -> tuple[tuple[Difference, ...], dict[int, int]]:
    """Compare the rows of the same moments and faces; both count time from the first image.

    Returns
    -------
    tuple of Difference
    dict of int to int
        Ids of the stored faces, and of those that were most often in the same place.
    """
    one, other = _moments(stored), _moments(again)
    times = np.array(sorted(other))
    apart: dict[str, list[float]] = {group: [] for group in GROUPS}
    met: dict[int, Counter[int]] = {}
    for t_s, faces in one.items():
        place = int(np.searchsorted(times, t_s - _APART_S))
        if place == len(times) or abs(times[place] - t_s) > _APART_S:
            continue
        for face in faces:
            match = max(other[float(times[place])], key=lambda f: _overlap(face, f), default=None)
            if match is None or _overlap(face, match) < _OVERLAP:
                continue
            met.setdefault(int(face["face_id"]), Counter())[int(match["face_id"])] += 1
            for group, columns in GROUPS.items():
                for column in columns:
                    difference = abs(face.get(column, math.nan) - match.get(column, math.nan))
                    if math.isfinite(difference):
                        apart[group].append(difference)
    ids = {n: others.most_common(1)[0][0] for n, others in sorted(met.items())}
    return tuple(_summed(group, values) for group, values in apart.items()), ids


def _keep(differences: tuple[Difference, ...], path: Path) -> None:
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(("group", "n", "mean", "p95", "most"))
    table.writerows(
        (d.group, d.n, *("" if math.isnan(v) else f"{v:.6f}" for v in (d.mean, d.p95, d.most)))
        for d in differences
    )
    try:
        write_atomically(path, text.getvalue(), mode=PRIVATE)
    except OSError as error:
        raise OutputError(
            thing=f"comparison {path}",
            got=error.strerror or str(error),
            expected="a file that can be written",
            hint="Free some space, or see whether the folder is still there.",
        ) from error


def _moments(path: Path) -> dict[float, list[dict[str, float]]]:
    """Return the measured faces of each moment, by seconds from the first row."""
    found: dict[float, list[dict[str, float]]] = {}
    first: float | None = None
    columns = ["face_id", *(column for group in GROUPS.values() for column in group)]
    with path.open(encoding="utf-8", newline="") as stream:
        for row in csv.DictReader(stream):
            t_s = float(row["timestamp"])
            first = t_s if first is None else first
            faces = found.setdefault(round(t_s - first, 6), [])
            if row["success"] == "1":
                faces.append({name: float(row.get(name) or "nan") for name in columns})
    return found


def _overlap(one: dict[str, float], other: dict[str, float]) -> float:
    """Return how much of the union of two boxes both cover."""
    x = min(one["x"] + one["w"], other["x"] + other["w"]) - max(one["x"], other["x"])
    y = min(one["y"] + one["h"], other["y"] + other["h"]) - max(one["y"], other["y"])
    both = max(0.0, x) * max(0.0, y)
    union = one["w"] * one["h"] + other["w"] * other["h"] - both
    return both / union if union > 0 else 0.0


def _summed(group: str, values: list[float]) -> Difference:
    if not values:
        return Difference(group, 0, math.nan, math.nan, math.nan)
    array = np.array(values)
    return Difference(
        group, len(array), float(array.mean()), float(np.percentile(array, 95)), float(array.max())
    )
