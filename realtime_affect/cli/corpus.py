"""``corpus SOURCE...``: thousands of recordings; ``corpus report DIR``: one page of them."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path  # noqa: TC003 -- typer reads it
from typing import TYPE_CHECKING, Annotated, Any, Final, Protocol

import typer
from typer.core import TyperGroup

from realtime_affect.cli.arguments import number_argument, path_argument
from realtime_affect.cli.messages import complain, is_quiet, say
from realtime_affect.cli.options import (  # noqa: TC001 -- typer reads them
    AnnotateOption,
    ConfigOption,
    ExplainOption,
    LandmarksOption,
    LogFileOption,
    MaxFacesOption,
    NeutralOption,
    QuietOption,
    SetOption,
    TimelineOption,
    VerboseOption,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

    from realtime_affect.config import Config
    from realtime_affect.corpus.run import Corpus

_ANALYZE: Final = "analyze"
_FAILED: Final = 3
_LISTED: Final = 20  # failures that are told at the end; corpus.json has them all


class Format(StrEnum):
    """What rows are written as, beside the files of each input."""

    csv = "csv"
    parquet = "parquet"


class _Loader(Protocol):
    def __call__(
        self, path: Path | None, overrides: list[str] | None, *, neutral: bool, max_faces: int
    ) -> Config: ...


class _SourcesOrCommand(TyperGroup):
    """A command that takes sources, beside commands of its own."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Take what is no command for the sources, and ``--help`` for theirs."""
        given = args if args and args[0] in self.commands else [_ANALYZE, *args]
        return list(super().parse_args(ctx, given))


def make_corpus_app(
    reporting: Callable[..., AbstractContextManager[None]], load: _Loader, epilog: str
) -> typer.Typer:
    """Return the commands under ``corpus``, to be added to the command line."""
    app = typer.Typer(
        cls=_SourcesOrCommand,
        help="Analyse thousands of recordings, on all cores or many machines; resumable.",
        epilog=epilog, rich_markup_mode=None,
    )  # fmt: skip

    @app.command(_ANALYZE, epilog=epilog)
    def analyze(  # noqa: PLR0913  (a command's options)
        sources: Annotated[
            list[str],
            typer.Argument(
                metavar="SOURCE...",
                help="Folders with all below them, files, 'patterns', lists (.txt), manifests "
                "(.csv with a column path, others are kept).",
            ),
        ],
        out: Annotated[
            Path,
            typer.Option(
                "--out", "-o", parser=path_argument, metavar="DIR", help="Folder for the results."
            ),
        ],
        workers: Annotated[
            int | None,
            typer.Option("--workers", min=1, help="Processes.  [one a core]"),
        ] = None,
        ray: Annotated[
            str | None,
            typer.Option(
                "--ray", metavar="ADDRESS", help="Use the workers of a Ray cluster, or 'local'."
            ),
        ] = None,
        resume: Annotated[
            bool,
            typer.Option(
                "--resume", help="Keep what is complete for the same input, models and settings."
            ),
        ] = False,
        form: Annotated[
            Format | None,
            typer.Option(
                "--format",
                help="parquet: also all rows as one data set, corpus.parquet.  [parquet, where "
                "pyarrow is installed]",
            ),
        ] = None,
        memory: Annotated[
            float | None,
            typer.Option(
                "--memory", metavar="MIB", min=64, callback=number_argument,
                help="What a worker may hold; one that needs more is ended, its input marked.",
            ),
        ] = None,
        config_file: ConfigOption = None,
        overrides: SetOption = None,
        neutral: NeutralOption = False,
        max_faces: MaxFacesOption = None,
        annotate: AnnotateOption = False,
        timeline: TimelineOption = True,
        landmarks: LandmarksOption = False,
        explain: ExplainOption = True,
        verbose: VerboseOption = 0,
        quiet: QuietOption = False,
        log_file: LogFileOption = None,
    ) -> None:  # fmt: skip
        """Analyse thousands of recordings, each once, on all cores or a Ray cluster.

        Each input gets the files that analyze writes, in a folder of its own that mirrors the
        input's tree; corpus.json says what came of each. Bad inputs end alone (exit code 3 at the
        end). Whatever ends it, what is complete is kept: --resume does the rest. Long videos are
        not cut into parts: track numbers and each face's neutral expression go through all of it.
        `realtime-affect corpus report DIR` writes one page of the results.
        """
        with reporting(verbose - 2 * quiet, log_file):
            from realtime_affect.cli.progress import corpus_progress
            from realtime_affect.corpus.run import analyze_corpus

            config = load(config_file, overrides, neutral=neutral, max_faces=max_faces or 0)
            with corpus_progress(quiet=is_quiet()) as progress:
                done = analyze_corpus(
                    sources,
                    out,
                    config,
                    workers=workers,
                    ray=ray,
                    resume=resume,
                    parquet=None if form is None else form is Format.parquet,
                    memory_mb=memory,
                    annotate=annotate,
                    timeline=timeline,
                    landmarks=landmarks,
                    explain=explain,
                    progress=progress,
                )
            if not quiet:
                for line in summary_of(done):
                    say(line)
            for entry in done.failures[:_LISTED]:
                complain(f"{entry['input']}: {entry['error']}")
            if len(done.failures) > _LISTED:
                complain(f"and {len(done.failures) - _LISTED} more, see corpus.json")
            if done.outcome == "interrupted":
                complain(f"interrupted; what is complete is in {done.out}: go on with --resume")
                raise typer.Exit(130)
            if done.failures:
                raise typer.Exit(_FAILED)

    @app.command("report", epilog=epilog)
    def report(
        folder: Annotated[Path, typer.Argument(metavar="DIR", help="What corpus wrote.")],
        by: Annotated[
            list[str] | None,
            typer.Option("--by", metavar="COLUMN", help="Metadata to compare by; repeatable."),
        ] = None,
        window: Annotated[
            float,
            typer.Option(
                "--window", metavar="MS", min=10, callback=number_argument,
                help="Length of the windows in corpus.windows.parquet.",
            ),
        ] = 200.0,
    ) -> None:  # fmt: skip
        """Write one page, corpus.html, of all inputs, and means in fixed windows as Parquet."""
        with reporting():
            from realtime_affect.corpus.report import write_corpus_report

            for path in write_corpus_report(folder, by or (), window_ms=window):
                say(f"written: {path}")

    return app


def summary_of(done: Corpus) -> list[str]:
    """Say what came of a corpus, a line each."""
    counts: dict[str, int] = {}
    for entry in done.entries:
        counts[entry["outcome"]] = counts.get(entry["outcome"], 0) + 1
    frames = sum(_number(entry["frames"]) for entry in done.entries)
    told = ", ".join(f"{n} {outcome}" for outcome, n in sorted(counts.items()))
    kept = f" ({done.kept} were complete already)" if done.kept else ""
    lines = [f"{len(done.entries)} inputs: {told}{kept}; {frames} frames"]
    lines += [f"left out: {text}" for text in done.left_out[:_LISTED]]
    if len(done.left_out) > _LISTED:
        lines.append(f"left out: and {len(done.left_out) - _LISTED} more, see corpus.json")
    return [*lines, f"results in {done.out}, corpus.json says what came of each"]


def _number(value: Any) -> int:
    return int(value or 0)
