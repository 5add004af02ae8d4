"""Analyse a session's video with the networks of today, and compare with what was stored.

Live, affect may be older than its frame, and the video is lossy: the two differ. The comparison
says by how much, for each measure, over the moments that both have.
"""

from __future__ import annotations

import csv
import io
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from affect_kernels.atomic import PRIVATE, write_atomically
from realtime_affect.analysis import analyze
from realtime_affect.errors import InputMissingError, OutputError
from realtime_affect.names import AU_INTENSITIES, EXPRESSIONS
from realtime_affect.sessions.store import ROWS, VIDEO

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from realtime_affect.config import Config
    from realtime_affect.outputs.recording import Progress
    from realtime_affect.sessions.store import Session

AGAIN: Final = "again"
"""Folder of the new results, inside the session's."""
DIFFERENCES: Final = "differences.csv"
"""How far they are from the stored ones, in that folder."""

GROUPS: Final = {
    "action units, 0 to 5": tuple(f"{name}_r" for name in AU_INTENSITIES),
    "expression, probability": tuple(f"p_{name}" for name in EXPRESSIONS),
    "head rotation, rad": ("pose_Rx", "pose_Ry", "pose_Rz"),
    "box, px": ("x", "y", "w", "h"),
}
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


def analyse_again(
    session: Session, config: Config, progress: Callable[[Progress], None] | None = None
) -> tuple[Difference, ...]:
    """Analyse the session's video into its folder ``again``, compare, and keep both there.

    The comparison is ``differences.csv``: the columns are those of :class:`Difference`.

    Raises
    ------
    InputMissingError
        The session has no video.
    AffectError
        As :func:`~realtime_affect.analysis.analyze`.
    OutputError
        The comparison cannot be written.
    """
    video = session.path(VIDEO)
    if video is None:
        raise InputMissingError(
            thing=f"session {session.name}",
            got="no video",
            expected="one that was recorded with its video",
            hint="Results-only sessions can be replayed, not analysed again.",
        )
    analyze(video, session.folder / AGAIN, config, timeline=False, progress=progress)
    folder = session.folder / AGAIN
    differences = compare_rows(session.folder / ROWS, folder / "video.csv")
    _keep(differences, folder / DIFFERENCES)
    return differences


def compare_rows(stored: Path, again: Path) -> tuple[Difference, ...]:
    """Compare the rows of the same moments and faces; both count time from the first image."""
    one, other = _moments(stored), _moments(again)
    times = np.array(sorted(other))
    apart: dict[str, list[float]] = {group: [] for group in GROUPS}
    for t_s, faces in one.items():
        place = int(np.searchsorted(times, t_s - _APART_S))
        if place == len(times) or abs(times[place] - t_s) > _APART_S:
            continue
        for face in faces:
            match = max(other[float(times[place])], key=lambda f: _overlap(face, f), default=None)
            if match is None or _overlap(face, match) < _OVERLAP:
                continue
            for group, columns in GROUPS.items():
                for column in columns:
                    difference = abs(face.get(column, math.nan) - match.get(column, math.nan))
                    if math.isfinite(difference):
                        apart[group].append(difference)
    return tuple(_summed(group, values) for group, values in apart.items())


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
    columns = [column for group in GROUPS.values() for column in group]
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
