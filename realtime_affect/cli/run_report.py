"""The short tables a command prints at its end."""

from __future__ import annotations

import math
import os
from pathlib import Path
from typing import TYPE_CHECKING, Final

from rich.console import Console
from rich.table import Table
from rich.text import Text

from realtime_affect.printable import printable

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from realtime_affect.outputs.summary import InputSummary
    from realtime_affect.runtime.stats import Percentiles, PipelineStats

_STAGES: Final = ("detect", "mesh", "track", "action_units", "vision", "affect", "age")


class _Output(Console):
    """Standard output; where nobody reads it any more, the rest is for nobody."""

    def on_broken_pipe(self) -> None:
        """Go on silently: results are in files."""
        self.quiet = True
        nothing = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nothing, 1)  # or Python complains when it flushes at its end
        os.close(nothing)


def print_report(
    summaries: Sequence[InputSummary],
    folder: Path,
    console: Console | None = None,
    left_out: Sequence[str] = (),
) -> None:
    """Print one line an input, the stage times of a single one, warnings, and the folder.

    Also what was met beside the inputs and left out. Whoever reads it may leave.

    "faces" are those in view at once, at most; "drops" are frames not analysed.
    """
    console = console or _Output()
    table = Table(box=None, header_style="bold")
    table.add_column("input", overflow="fold", min_width=20)
    for name in ("frames", "faces", "tracks", "fps", "drops"):
        table.add_column(name, justify="right")
    table.add_column("outcome")
    for summary in summaries:
        table.add_row(
            _shown(summary.input if "://" in summary.input else Path(summary.input).name),
            str(summary.frames),
            str(summary.most_faces),
            str(summary.tracks),
            _number(summary.fps),
            str(summary.drops.get("frames", 0)),
            summary.outcome,
        )
    console.print(table)
    if len(summaries) == 1:
        console.print(stage_table(summaries[0].stage_ms))
    for summary in summaries:
        if any(summary.drops.values()):
            console.print(Text(f"dropped: {_drops(summary.drops)}"), soft_wrap=True)
        if summary.events:
            console.print(Text(_movements(summary.events)), soft_wrap=True)
        for warning in summary.warnings:
            console.print(_shown(f"warning: {summary.input}: {warning}"), soft_wrap=True)
    for text in left_out:
        console.print(_shown(f"left out: {text}"), soft_wrap=True)
    names = [path.name for summary in summaries for path in summary.files.values()]
    listed = ", ".join([*names[:8], *(["..."] if len(names) > 8 else []), "summary.json"])
    console.print(_shown(f"files in {folder}: {listed}"), soft_wrap=True)


def print_stats(stats: PipelineStats, console: Console | None = None) -> None:
    """Print what a run without files measured."""
    console = console or _Output()
    line = f"{stats.frames_analysed} frames analysed in {stats.elapsed_s:.1f} s"
    console.print(Text(f"{line}, {stats.drops} dropped"))
    console.print(stage_table(stats.stage_ms))


def stage_table(stage_ms: Mapping[str, Percentiles]) -> Table:
    """Return a table of milliseconds by stage; "age" is from capture to the finished reading."""
    table = Table(box=None, header_style="bold")
    table.add_column("stage")
    for name in ("p50 ms", "p90 ms", "p99 ms", "n"):
        table.add_column(name, justify="right")
    known = [stage for stage in _STAGES if stage in stage_ms]
    for stage in [*known, *(stage for stage in stage_ms if stage not in _STAGES)]:
        times = stage_ms[stage]
        numbers = (times.p50, times.p90, times.p99)
        table.add_row(stage, *(_number(value, 2) for value in numbers), str(times.n))
    return table


def _shown(text: str) -> Text:
    """Return text with a name of the user's in it as it may be printed."""
    return Text(printable(text))


def _number(value: float, digits: int = 1) -> str:
    return f"{value:.{digits}f}" if math.isfinite(value) else "-"


def _movements(events: Mapping[str, int]) -> str:
    """Say what moved: ``"1 micro-expression, 4 that lasted longer"``."""
    brief, longer = events.get("micro", 0), events.get("macro", 0)
    return f"{brief} micro-expression{'s' * (brief != 1)}, {longer} that lasted longer"


def _drops(drops: Mapping[str, int]) -> str:
    """Say what every slot dropped: ``"3 frames not analysed, 12 not in the video"``."""
    said = {
        "frames": "frames not analysed",
        "affect": "without an affect of their own",
        "rows": "without rows (summary.json says where)",
        "events": "not looked through for events",
        "video": "not in the video",
    }
    return ", ".join(f"{count} {said.get(name, name)}" for name, count in drops.items() if count)
