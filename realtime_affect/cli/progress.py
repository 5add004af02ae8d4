"""Bars on a terminal: how far a run is, and how far a plan is built."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from affect_engines.trt.build import BuildProgress
    from realtime_affect.corpus.run import CorpusProgress
    from realtime_affect.outputs.recording import Progress

_TOLD: Final = 10  # failures that are not told again


@contextlib.contextmanager
def run_progress(*, quiet: bool) -> Iterator[Callable[[Progress], None]]:
    """Show a bar with the remaining time on a terminal, unless `quiet`; nothing elsewhere."""
    from rich import progress as bars
    from rich.console import Console

    from realtime_affect.printable import printable

    console = Console(stderr=True)
    tasks: dict[str, bars.TaskID] = {}
    with bars.Progress(
        bars.TextColumn("{task.description}", markup=False),
        bars.BarColumn(),
        bars.TextColumn("{task.completed:.0f} frames"),
        bars.TimeElapsedColumn(),
        bars.TimeRemainingColumn(),
        console=console,
        disable=quiet or not console.is_terminal,
    ) as progress:

        def update(now: Progress) -> None:
            if now.name not in tasks:
                tasks[now.name] = progress.add_task(printable(now.name), total=now.total)
            progress.update(tasks[now.name], completed=now.done, total=now.total)

        yield update


@contextlib.contextmanager
def corpus_progress(*, quiet: bool) -> Iterator[Callable[[CorpusProgress], None]]:
    """Show a bar of all frames: inputs done, throughput, remaining time; failures as they come."""
    from rich import progress as bars
    from rich.console import Console
    from rich.text import Text

    from realtime_affect.printable import printable

    console = Console(stderr=True)
    told: list[str] = []
    with bars.Progress(
        bars.TextColumn("{task.fields[done]}/{task.fields[inputs]} inputs"),
        bars.BarColumn(),
        bars.TextColumn("{task.fields[fps]:.1f} frames/s"),
        bars.TimeElapsedColumn(),
        bars.TimeRemainingColumn(),
        console=console,
        disable=quiet or not console.is_terminal,
    ) as progress:
        task = progress.add_task("", total=None, done=0, inputs="?", fps=0.0)

        def update(now: CorpusProgress) -> None:
            progress.update(
                task, completed=now.frames, total=max(now.of_frames, now.frames) or None,
                done=now.done, inputs=now.inputs, fps=now.fps,
            )  # fmt: skip
            for failure in now.failures:
                if failure not in told:
                    told.append(failure)
                    progress.print(Text(printable(f"failed: {failure}")), soft_wrap=True)
            del told[:-_TOLD]

        yield update


@contextlib.contextmanager
def build_progress() -> Iterator[Callable[[str, BuildProgress], None]]:
    """Show a bar a network with what TensorRT is doing; on a terminal only."""
    from rich import progress as bars
    from rich.console import Console

    console = Console(stderr=True)
    tasks: dict[str, bars.TaskID] = {}
    with bars.Progress(
        bars.TextColumn("{task.description}", markup=False),
        bars.BarColumn(),
        bars.TaskProgressColumn(),
        bars.TimeElapsedColumn(),
        bars.TextColumn("{task.fields[phase]}", markup=False),
        console=console,
        disable=not console.is_terminal,
    ) as progress:

        def update(name: str, now: BuildProgress) -> None:
            if name not in tasks:
                tasks[name] = progress.add_task(name, total=1.0, phase="")
            progress.update(tasks[name], completed=now.share, phase=now.phase)

        yield update
