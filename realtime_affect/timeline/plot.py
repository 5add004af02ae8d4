"""A recording's rows as one image: what each face displayed over time, and how it was held."""

from __future__ import annotations

import math
import warnings
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

from realtime_affect.errors import OutputError
from realtime_affect.schema import SCHEMA
from realtime_affect.timeline.strips import pool_rows

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from matplotlib.axes import Axes
    from matplotlib.colors import Colormap
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

    from realtime_affect.timeline.strips import Face, Strips

MAX_FACES: Final = 6
"""Faces drawn: those longest in view."""

_UNITS: Final = SCHEMA["action_unit_intensity"]
_BLINK: Final = _UNITS.parts.index("AU45")
_N_LINES: Final = 3

_DARK, _QUIET, _RULE = "#1f2328", "#6e7781", "#d8dee4"
_LINES: Final = ("#d55e00", "#0072b2", "#009e73")  # Okabe & Ito
_MOVEMENTS: Final = {
    "negative": "#0072b2",
    "positive": "#d55e00",
    "surprise": "#009e73",
    "": "#6e7781",
}
"""Colours of micro-expressions by their class; the last is of those without one."""

_POSE_LINES: Final = tuple(
    zip(SCHEMA["head_rotation"].labels, ("#0072b2", "#d55e00", "#009e73"), strict=True)
)


def plot_timeline(csv_path: Path, png_path: Path) -> None:
    """Draw the rows of a recording.

    Parameters
    ----------
    csv_path : Path
        As ``RowWriter`` writes it.
    png_path : Path
        Replaced if it exists.

    Raises
    ------
    InputMissingError, InputError
        The CSV does not exist, cannot be read, or has not the columns needed.
    OutputError
        The image cannot be written.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    strips = pool_rows(csv_path)
    figure = _draw(strips, csv_path.name)
    FigureCanvasAgg(figure)
    try:
        with warnings.catch_warnings():
            # Of letters in a file's name that the font has not: they become boxes.
            warnings.filterwarnings("ignore", message="Glyph")
            figure.savefig(png_path, dpi=110, facecolor="white", format="png")
    except OSError as error:
        raise OutputError(
            thing=f"timeline {png_path}",
            got=error.strerror or str(error),
            expected="a file that can be written",
            hint="Free some space or choose another folder (--out).",
        ) from error


def _draw(strips: Strips, title: str) -> Figure:
    """Draw one block of panels a face, one below the other."""
    from matplotlib.figure import Figure

    by_presence = sorted(strips.faces, key=lambda n: (-strips.faces[n].n_rows, n))
    shown = sorted(by_presence[:MAX_FACES])
    head, foot, block = 0.95, 0.3, 6.0
    height = head + (foot + block * len(shown) if shown else 2.4)
    figure = Figure(figsize=(13, height))
    name = title if len(title) <= 90 else f"{title[:50]}...{title[-37:]}"
    up = 1 - 0.36 / height
    # A file's name may hold dollar signs, which are not mathematics here.
    figure.text(0.04, up, name, size=15, weight="bold", color=_DARK, va="center", parse_math=False)
    up = 1 - 0.66 / height
    figure.text(0.04, up, _subtitle(strips, len(shown)), size=9.5, color=_QUIET, va="center")
    if not shown:
        figure.text(0.5, 0.4, "No face was seen", size=22, color=_QUIET, ha="center", va="center")
    for n, face_id in enumerate(shown):
        top = 1 - (head + n * block) / height
        _draw_face(figure, strips, face_id, (top - block / height, top), last=face_id == shown[-1])
    return figure


def _subtitle(strips: Strips, n_shown: int) -> str:
    n_faces = len(strips.faces)
    parts = [
        f"{strips.n_frames} frame{'s' * (strips.n_frames != 1)}",
        _span(strips.end_s - strips.start_s),
        f"{n_faces} face{'s' * (n_faces != 1)}",
    ]
    if n_faces > n_shown:
        parts.append(f"the {n_shown} longest in view are drawn, {n_faces - n_shown} are left out")
    if strips.silent.any():
        silent_s = float(strips.silent.mean()) * (strips.end_s - strips.start_s)
        parts.append(f"no images for {_span(silent_s)}")
    if n_faces:
        parts.append("movements as displayed, each against the neutral face")
        parts.append("hatched: not measured")
    return "   ·   ".join(parts)


def _span(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.1f} s"
    if seconds < 7200:
        return f"{seconds / 60:.1f} min"
    return f"{seconds / 3600:.1f} h"


def _draw_face(
    figure: Figure, strips: Strips, face_id: int, between: tuple[float, float], *, last: bool
) -> None:
    """Draw the panels of a face between two heights of the figure."""
    from matplotlib.ticker import NullLocator

    face = strips.faces[face_id]
    bottom, top = between
    height = top - bottom
    left, width = 0.155, 0.735
    share = 100 * face.n_rows / max(1, strips.n_frames)
    figure.text(0.04, top - 0.03 * height, f"#{face_id}", size=13, weight="bold", color=_DARK)
    blinks = f"{len(face.blinks)} blink{'s' * (len(face.blinks) != 1)}"
    figure.text(
        left, top - 0.03 * height, f"in view in {share:.0f}% of the frames   ·   {blinks}",
        size=9, color=_QUIET,
    )  # fmt: skip
    panels = []
    watched = bool(face.watched.any() or face.movements)
    rows = [(0.05, 0.18), (0.25, 0.37), (0.645, 0.13), (0.80, 0.11)]
    if watched:
        rows[2:] = [(0.635, 0.045), (0.70, 0.11), (0.83, 0.09)]
        _name_movements(figure, face, (left + width, top - 0.03 * height))
    for up, tall in rows:
        box = (left, top - (up + tall) * height, width, tall * height)
        panels.append(figure.add_axes(box))
    scales = [
        figure.add_axes((left + width + 0.012, top - (up + tall) * height, 0.008, tall * height))
        for up, tall in rows[:2]
    ]
    edges, unit_name, divisor = _time_axis(strips, len(face.units))
    expressions, units, *movements, lines, pose = panels
    shares = _Strip(100 * face.shares, SCHEMA["expression_probability"].labels, 100, _blues())
    _draw_strip(expressions, scales[0], shares, face, edges)
    names = [
        f"{label}  {unit[2:]}" for unit, label in zip(_UNITS.parts, _UNITS.labels, strict=True)
    ]
    _draw_strip(units, scales[1], _Strip(face.units, names, 5, _embers()), face, edges)
    seen = np.isfinite(face.pose).any(axis=1)
    _name_gaps(units, edges, strips.silent, "no images")
    _name_gaps(units, edges, ~seen & ~strips.silent, "not in view")
    middles = (edges[:-1] + edges[1:]) / 2
    for panel in movements:
        _draw_movements(panel, face, edges, divisor)
    _draw_lines(lines, face, middles)
    _draw_pose(pose, face, middles)
    for seconds in face.blinks if len(face.blinks) <= 400 else ():
        lines.plot([seconds / divisor], [5.0], marker="|", color=_DARK, markersize=7, clip_on=False)
    for panel in panels:
        panel.set_xlim(edges[0], edges[-1])
        panel.tick_params(length=2, color=_RULE, labelcolor=_QUIET, labelsize=7.5)
        for side in ("top", "right", "left", "bottom"):
            panel.spines[side].set_visible(panel in (expressions, units, *movements))
            panel.spines[side].set_color(_RULE)
        if panel is not pose:  # ticks are what an image of many panels takes longest to draw
            panel.xaxis.set_major_locator(NullLocator())
    if last:
        pose.set_xlabel(f"time in {unit_name}", color=_QUIET, size=9)


def _time_axis(strips: Strips, n_bins: int) -> tuple[NDArray[np.float64], str, float]:
    """Return the edges of the stretches in the unit that suits the span, its name, its seconds."""
    span = strips.end_s - strips.start_s
    name, divisor = "seconds", 1.0
    if span >= 7200:
        name, divisor = "hours", 3600.0
    elif span >= 180:
        name, divisor = "minutes", 60.0
    # The last row lasts as long as the others.
    end = strips.end_s + (span / max(1, strips.n_frames - 1) or 1.0)
    return np.linspace(strips.start_s, end, n_bins + 1) / divisor, name, divisor


class _Strip(NamedTuple):
    """Values (n, k) with their k names, drawn as `colors` from 0 to `most`."""

    values: NDArray[np.float32]
    names: Sequence[str]
    most: float
    colors: Colormap


def _draw_strip(
    panel: Axes, scale: Axes, content: _Strip, face: Face, edges: NDArray[np.float64]
) -> None:
    """Draw a strip into `panel` and its colours into `scale`.

    Hatched where the face was in view and there is no value.
    """
    values, names, most, colors = content
    n_rows = len(names)
    seen = np.asarray(np.isfinite(face.pose).any(axis=1))
    extent = (edges[0], edges[-1], n_rows - 0.5, -0.5)
    for row in range(n_rows):
        unknown = seen & ~np.isfinite(values[:, row])
        _hatch(panel, edges, unknown, (row - 0.5, row + 0.5))
    strip = panel.imshow(
        np.ma.masked_invalid(values.T), aspect="auto", interpolation="nearest", extent=extent,
        cmap=colors, vmin=0, vmax=most, zorder=2,
    )  # fmt: skip
    panel.hlines(
        np.arange(n_rows - 1) + 0.5, edges[0], edges[-1], colors="white", linewidths=0.6, zorder=3
    )
    panel.set_ylim(n_rows - 0.5, -0.5)
    panel.set_yticks(range(n_rows), list(names))
    bar = panel.figure.colorbar(strip, cax=scale, ticks=[0, most])
    bar.outline.set_visible(False)
    bar.ax.tick_params(length=0, labelcolor=_QUIET, labelsize=8)
    if most == 100:
        bar.ax.set_title("%", size=8, color=_QUIET, pad=7)


def _hatch(
    panel: Axes,
    edges: NDArray[np.float64],
    unknown: NDArray[np.bool_],
    between: tuple[float, float],
) -> None:
    """Hatch the stretches of which nothing is known, between two heights of the panel."""
    look: dict[str, Any] = {
        "facecolor": "#f0f2f4",
        "hatch": "////",
        "edgecolor": "#c9d0d6",
        "linewidth": 0,
    }
    for first, end in _runs(unknown):
        panel.fill_between(edges[[first, end]], *between, **look)


def _draw_movements(panel: Axes, face: Face, edges: NDArray[np.float64], divisor: float) -> None:
    """Draw a spike for each micro-expression at its apex; hatched where none could be seen."""
    seen = np.asarray(np.isfinite(face.pose).any(axis=1))
    _hatch(panel, edges, seen & ~face.watched, (0, 1))
    half = 0.004 * (edges[-1] - edges[0])
    for apex_s, kind in face.movements:
        at, color = apex_s / divisor, _MOVEMENTS[kind]
        panel.fill([at - half, at, at + half], [0, 0.95, 0], color=color, linewidth=0, zorder=3)
    panel.set_ylim(0, 1)
    panel.set_yticks([])
    panel.set_ylabel("micro-expressions", rotation=0, ha="right", va="center", size=8,
                     color=_QUIET, labelpad=6)  # fmt: skip


def _name_movements(figure: Figure, face: Face, at: tuple[float, float]) -> None:
    """Write the legend of the spikes, with their number, to the left of a place."""
    x, y = at
    n = len(face.movements)
    counts = {kind: sum(m.kind == kind for m in face.movements) for kind in _MOVEMENTS}
    words = [
        (f"▲ {counts[kind]} {kind or 'of no class'}", color)
        for kind, color in _MOVEMENTS.items()
        if counts[kind]
    ]
    words = [(f"{n or 'no'} micro-expression{'s' * (n != 1)}", _QUIET), *words]
    for text, color in reversed(words):
        figure.text(x, y, text, size=9, color=color, ha="right")
        x -= 0.0062 * len(text) + 0.012


def _name_gaps(
    panel: Axes, edges: NDArray[np.float64], gaps: NDArray[np.bool_], words: str
) -> None:
    """Write `words` into the stretches that `gaps` marks, where they are wide enough."""
    for first, end in _runs(gaps):
        if end - first > 0.1 * len(gaps):
            at = (edges[first] + edges[end]) / 2
            panel.text(at, len(_UNITS.parts) / 2, words, size=9, color=_QUIET, ha="center")


def _embers() -> Colormap:
    """Return a scale from nearly white to dark that grows evenly darker, over reds."""
    return _scale("#eceff1", "#f6cf9b", "#e8883a", "#b5352f", "#5a1240", "#220a2c")


def _blues() -> Colormap:
    """Return a scale like :func:`_embers`, over blues."""
    return _scale("#eceff1", "#b9dcec", "#63acd6", "#2a6fb0", "#1b3a78", "#10143c")


def _scale(*colors: str) -> Colormap:
    from matplotlib.colors import LinearSegmentedColormap

    return LinearSegmentedColormap.from_list(colors[1], list(colors))


def _runs(flags: NDArray[np.bool_]) -> list[tuple[int, int]]:
    """Return the stretches (first, end) in which `flags` is true."""
    steps = np.flatnonzero(np.diff(np.concatenate([[False], flags, [False]]).astype(np.int8)))
    return [(int(a), int(b)) for a, b in steps.reshape(-1, 2)]


def _draw_lines(panel: Axes, face: Face, middles: NDArray[np.float64]) -> None:
    """Draw the most active units as lines, named at their end, and blinks as ticks above."""
    units = face.units.copy()
    units[:, _BLINK] = np.nan  # has its own marks
    known = np.isfinite(units).any(axis=0)
    score = np.where(known, np.nansum(np.nan_to_num(units) ** 2, axis=0), -1)
    active = [n for n in np.argsort(-score)[:_N_LINES].tolist() if score[n] > 0]
    taken: list[float] = []
    for n, color in zip(active, _LINES, strict=False):
        panel.plot(middles, units[:, n], color=color, linewidth=1.1, solid_joinstyle="round")
    for n, color in zip(active, _LINES, strict=False):
        at = 4.4 - 1.6 * len(taken)
        taken.append(at)
        panel.text(
            1.008, at / 5, _UNITS.labels[n], color=color, size=7.5,
            transform=panel.transAxes, va="center",
        )  # fmt: skip
    panel.set_ylim(0, 5)
    panel.set_yticks([0, 5])
    panel.set_ylabel("most active\nand blinks |", rotation=0, ha="right", va="center", size=8,
                     color=_QUIET, labelpad=14)  # fmt: skip
    panel.axhline(0, color=_RULE, linewidth=0.8)


def _draw_pose(panel: Axes, face: Face, middles: NDArray[np.float64]) -> None:
    """Draw the head's angles."""
    for n, (name, color) in enumerate(_POSE_LINES):
        panel.plot(middles, face.pose[:, n], color=color, linewidth=1.1)
        panel.text(
            1.008, 0.85 - 0.35 * n, name, color=color, size=7.5, transform=panel.transAxes,
            va="center",
        )  # fmt: skip
    most = float(np.nanmax(np.abs(face.pose), initial=10.0))
    limit = 15 * math.ceil(min(most, 90) / 15)
    panel.set_ylim(-limit, limit)
    panel.set_yticks([-limit, 0, limit], [f"{-limit}°", "0°", f"{limit}°"])
    panel.axhline(0, color=_RULE, linewidth=0.8, zorder=0)
    panel.set_ylabel("head pose", rotation=0, ha="right", va="center", size=8, color=_QUIET,
                     labelpad=14)  # fmt: skip
