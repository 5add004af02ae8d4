"""Files in, rows out: every frame of every input, the same bytes every time."""

from __future__ import annotations

import csv
import dataclasses
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from affect_engines.base import Closeable
from realtime_affect.capture import find_inputs, open_stills
from realtime_affect.config import Config
from realtime_affect.errors import AffectError, InputError, UsageError
from realtime_affect.outputs.manifest import Manifest
from realtime_affect.outputs.recording import OutputFiles, Recording, follow
from realtime_affect.outputs.summary import (
    InputSummary,
    Outcome,
    make_folder,
    write_traceback,
)
from realtime_affect.redact import redact, redact_source
from realtime_affect.runtime.analysers import Analysers
from realtime_affect.runtime.pipeline import Pipeline, WorkerError
from realtime_affect.schema import SCHEMA

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Sequence

    from realtime_affect.outputs.narration import Narrator
    from realtime_affect.outputs.recording import Progress

_WHOLE_NUMBERS: Final = frozenset({"frame", "face_id", "success"})
_WORDS: Final = frozenset(
    {"input", *(m.name for m in SCHEMA.in_rows if m.dtype in ("text", "names"))}
)
_IMAGES: Final = "images"


@dataclass(frozen=True, slots=True)
class Analysis:
    """What an analysis left behind.

    Attributes
    ----------
    out : Path
        Folder of all files, ``summary.json`` among them.
    inputs : tuple of InputSummary
        One for each video, one for all stills together, one for each input that could not be read.
    failures : tuple of Exception
        What went wrong with the inputs whose outcome is "failed", in the same order.
    interrupted : bool
        Ctrl-C ended it early; inputs not begun are not listed.
    """

    out: Path
    inputs: tuple[InputSummary, ...]
    failures: tuple[Exception, ...] = ()
    interrupted: bool = False

    @property
    def outcome(self) -> Outcome:
        """The worst of all."""
        if self.failures:
            return "failed"
        return "interrupted" if self.interrupted else "complete"

    def rows(self) -> Iterator[dict[str, str | int | float]]:
        """Yield all rows of all inputs as they stand in the files, read as they are asked for.

        ``input`` is the file's name and ``expression`` a word, empty where none was told;
        ``frame``, ``face_id`` and ``success`` are int, the others float with NaN for an empty
        field.
        """
        for summary in self.inputs:
            path = summary.files.get("rows")
            if path is None:
                continue
            with path.open(encoding="utf-8", newline="") as stream:
                for row in csv.DictReader(stream):
                    yield {"input": Path(summary.input).name, **_typed(row)}


def _typed(row: dict[str, str]) -> dict[str, str | int | float]:
    values: dict[str, str | int | float] = {}
    for name, text in row.items():
        if name in _WORDS:
            values[name] = text
        elif name in _WHOLE_NUMBERS:
            values[name] = int(text)
        else:
            values[name] = float(text or "nan")
    return values


def analyze(  # noqa: PLR0913  (what the command line offers, all but two by name)
    paths: str | Path | Sequence[str | Path],
    out: str | Path = "out",
    config: Config | None = None,
    *,
    annotate: bool = False,
    timeline: bool = True,
    landmarks: bool = False,
    explain: bool = True,
    narrator: Narrator | None = None,
    progress: Callable[[Progress], None] | None = None,
) -> Analysis:
    """Analyse every frame of videos, images and folders of them, mixed as they come.

    Writes ``<stem>.csv``, ``<stem>.events.csv`` (micro-expressions, where they are spotted),
    ``<stem>.timeline.png``, ``<stem>.episodes.json`` and ``<stem>.report.html`` (what was displayed
    when, and why) and, on demand, ``<stem>.annotated.mp4`` for each video, ``images.csv`` for all
    stills, and ``summary.json``. Videos of the same stem are numbered in the order given
    (``clip.csv``, ``clip-2.csv``). Existing files of these names are replaced. The same input
    gives the same bytes of CSV. Ctrl-C ends it early and keeps what is written.

    Parameters
    ----------
    paths : path or sequence of paths
        Files and folders; also any source that ends by itself.
    out : path
        Folder for the results, created where it is missing.
    config : Config, optional
    annotate : bool
        Also write the painted video.
    timeline : bool
        Also draw each video's timeline.
    landmarks : bool
        Also write the 468 points of each face; the same as ``record.landmarks``.
    explain : bool
        Also write episodes and their report; needs ``affect.interpretation``.
    narrator : Narrator, optional
        A language model that is asked about each episode; its words are marked and checked
        (``outputs.narration``).
    progress : callable, optional
        Called about ten times a second.

    Returns
    -------
    Analysis
        An input that cannot be read is reported there and does not stop the others.

    Raises
    ------
    InputError
        No input at all could be read.
    OutputError
        Results cannot be written; everything before is kept.
    UsageError
        No path was given, or a result would replace an input.
    ModelError
        A model file is missing or is not what its card says.

    Examples
    --------
    >>> analysis = analyze("demo", out="out/demo")
    >>> smiles = [row["AU12_r"] for row in analysis.rows() if row["face_id"] == 1]
    """
    config = config or Config()
    if landmarks:
        config = config.with_values({"record.landmarks": True})
    listed = [paths] if isinstance(paths, str | Path) else list(paths)
    if not listed:
        raise UsageError(
            thing="inputs to analyse",
            got="none",
            expected="at least one file or folder",
            hint="Name videos, images or folders of them.",
        )
    folder = make_folder(out)
    explain = explain and config.affect.interpretation and config.affect.expression
    wanted = _Wanted(annotate, timeline, explain, explain and config.interpret.windows_ms > 0)
    tasks = _plan(listed, folder, wanted)
    manifest = Manifest(folder, "analyze", config, [task.name for task in tasks])
    networks = _Networks(config, manifest)
    summaries: list[InputSummary] = []
    failures: list[Exception] = []
    fatal: AffectError | None = None
    interrupted = False
    for task in tasks:
        summary, failure = _carry_out(task, config, networks, narrator, progress)
        summaries.append(summary)
        interrupted = summary.outcome == "interrupted"
        if failure is not None:
            failures.append(failure)
        if isinstance(failure, AffectError) and not isinstance(failure, InputError):
            fatal = failure  # a full disk or a missing model would fail every other input too
        elif failure is not None and not isinstance(failure, AffectError):
            write_traceback(folder / "error.log", failure)
        if interrupted or fatal is not None:
            break
    networks.close()
    done = Analysis(folder, tuple(summaries), tuple(failures), interrupted)
    manifest.finish(done.outcome, summaries)
    if fatal is None and len(failures) == len(summaries):
        raise failures[0]
    if fatal is not None:
        raise fatal
    return done


@dataclass(frozen=True, slots=True)
class _Task:
    """One input: what to open and where its results go, or why it cannot be opened."""

    name: str
    source: str | Path | None = None
    stills: tuple[Path, ...] = ()  # instead of a source: images that share one table
    files: OutputFiles | None = None
    error: InputError | None = None


class _Wanted(NamedTuple):
    """Which files are written beside the rows and events of a video."""

    video: bool
    timeline: bool
    episodes: bool
    windows: bool


class _Networks(Closeable):
    """The networks of all inputs: opened for the first that can be read, kept while they work."""

    def __init__(self, config: Config, manifest: Manifest) -> None:
        self._config, self._manifest = config, manifest
        self._analysers: Analysers | None = None

    def open(self) -> Analysers:
        """Return them, opened if they are not."""
        if self._analysers is None:
            self._analysers = Analysers(self._config)
            self._manifest.update(models=self._analysers.models)
        return self._analysers

    def close(self) -> None:
        """Free them; :meth:`open` opens new ones. Idempotent."""
        if self._analysers is not None:
            self._analysers.close()
            self._analysers = None


def _carry_out(
    task: _Task,
    config: Config,
    networks: _Networks,
    narrator: Narrator | None,
    progress: Callable[[Progress], None] | None,
) -> tuple[InputSummary, Exception | None]:
    """Analyse one input; what goes wrong is returned, not raised."""
    nothing = InputSummary(redact_source(task.name))
    if task.files is None:
        return dataclasses.replace(nothing, error=str(task.error)), task.error
    try:
        source = task.source or open_stills(task.stills, config.capture, live=False, name=task.name)
        with (
            Pipeline(source, config, live=False, analysers=networks.open()) as pipeline,
            Recording(pipeline, task.files, config, task.name, narrator=narrator) as recording,
        ):
            summary = follow(pipeline, recording, progress=progress)
            failure = recording.failure
    except KeyboardInterrupt:
        return dataclasses.replace(nothing, outcome="interrupted"), None
    except (AffectError, WorkerError) as error:
        return dataclasses.replace(nothing, error=str(error)), error
    if isinstance(failure, WorkerError):
        networks.close()  # what an internal error left them in, nobody knows
    if failure is None and summary.outcome == "complete":
        failure = _shortfall(summary, len(task.stills) or 1)
        if failure is not None:
            summary = dataclasses.replace(summary, outcome="failed", error=str(failure))
    if failure is not None and not isinstance(failure, Exception):
        raise failure
    return summary, failure


def _shortfall(summary: InputSummary, wanted: int) -> InputError | None:
    """Return the error of an input that ended well and gave fewer than `wanted` frames."""
    if summary.frames >= wanted:
        return None
    if summary.kind == "stills":
        return InputError(
            thing=f"input {summary.input}",
            got=f"{wanted - summary.frames} of {wanted} images that cannot be read: "
            + "; ".join(summary.warnings),
            expected="images only",
            hint="The others were analysed.",
        )
    return InputError(
        thing=f"input {summary.input}",
        got="no frame at all",
        expected="at least one image",
        hint="The file may be empty or cut off at its beginning.",
    )


def _plan(paths: Sequence[str | Path], folder: Path, wanted: _Wanted) -> list[_Task]:
    """Expand folders and give every input its output files, by the order of `paths` alone.

    Raises
    ------
    UsageError
        A result would replace an input.
    """
    tasks: list[_Task] = []
    stills: list[Path] = []
    taken, met = {_IMAGES}, set[str | Path]()
    for given in paths:
        try:
            found = find_inputs([given])
        except InputError as error:
            tasks.append(_Task(str(given), error=error))
            continue
        for item in found:
            key = item.path.resolve() if isinstance(item.path, Path) else item.path
            if key in met:
                continue
            met.add(key)
            if item.kind == "still":
                stills.append(Path(item.path))
                continue
            stem = _free_name(_stem(str(item.path)), taken)
            files = OutputFiles(
                rows=folder / f"{stem}.csv",
                events=folder / f"{stem}.events.csv",
                video=folder / f"{stem}.annotated.mp4" if wanted.video else None,
                timeline=folder / f"{stem}.timeline.png" if wanted.timeline else None,
                episodes=folder / f"{stem}.episodes.json" if wanted.episodes else None,
                report=folder / f"{stem}.report.html" if wanted.episodes else None,
                windows=folder / f"{stem}.windows.csv" if wanted.windows else None,
            )
            tasks.append(_Task(str(item.path), item.path, files=files))
    if stills:
        files = OutputFiles(folder / f"{_IMAGES}.csv")
        tasks.append(_Task(_IMAGES, stills=tuple(stills), files=files))
    _refuse_to_replace(met, tasks)
    return tasks


def _stem(source: str) -> str:
    """Return a name for the files of `source`: a path's stem, or what of a URL can be a name."""
    if "://" not in source:
        return Path(source).stem
    shown = re.split(r"[?#]", redact(source))[0]
    return re.sub(r"[^\w.-]+", "_", Path(shown).stem)


def _free_name(stem: str, taken: set[str]) -> str:
    """Return `stem`, numbered where it is taken (whatever the case of its letters), and take it."""
    name, number = stem, 1
    while name.lower() in taken:
        number += 1
        name = f"{stem}-{number}"
    taken.add(name.lower())
    return name


def _refuse_to_replace(inputs: Collection[str | Path], tasks: Sequence[_Task]) -> None:
    """Raise UsageError where a result would be written over an input."""
    for task in tasks:
        for path in task.files.named().values() if task.files is not None else ():
            if path.resolve() in inputs:
                raise UsageError(
                    thing=f"output file {path}",
                    got="a path that is also an input",
                    expected="results apart from their inputs",
                    hint="Choose another folder with --out.",
                )
