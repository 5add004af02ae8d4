"""Files in, rows out: every frame of every input, the same bytes every time."""

from __future__ import annotations

import contextlib
import csv
import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from affect_engines.base import Closeable
from realtime_affect.capture import open_stills
from realtime_affect.config import Config
from realtime_affect.errors import (
    AffectError,
    DependencyError,
    DeviceError,
    InputError,
    ModelError,
    OutputError,
    UsageError,
)
from realtime_affect.outputs.folder import RunFolder
from realtime_affect.outputs.manifest import Manifest
from realtime_affect.outputs.recording import Recording, follow
from realtime_affect.outputs.summary import (
    InputSummary,
    Outcome,
    write_traceback,
)
from realtime_affect.outputs.tasks import Task, Wanted, plan_tasks
from realtime_affect.redact import redact_source
from realtime_affect.runtime.analysers import Analysers
from realtime_affect.runtime.pipeline import Pipeline, WorkerError
from realtime_affect.schema import SCHEMA
from realtime_affect.worker import uninterrupted

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from realtime_affect.outputs.narration import Narrator
    from realtime_affect.outputs.recording import Progress

_WHOLE_NUMBERS: Final = frozenset({"frame", "face_id", "success"})
_WORDS: Final = frozenset(
    {"input", *(m.name for m in SCHEMA.in_rows if m.dtype in ("text", "names"))}
)
_LISTED: Final = 20  # failures that one message names
FATAL: Final = (OutputError, ModelError, DependencyError, DeviceError)
"""Errors that end an analysis of many inputs: the next one would meet them too."""


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
    left_out : tuple of str
        What was met beside the inputs and is none, a sentence each.
    """

    out: Path
    inputs: tuple[InputSummary, ...]
    failures: tuple[Exception, ...] = ()
    interrupted: bool = False
    left_out: tuple[str, ...] = ()

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
    networks: Networks | None = None,
    progress: Callable[[Progress], None] | None = None,
) -> Analysis:
    """Analyse every frame of videos, images and folders of them, mixed as they come.

    Writes ``<stem>.csv``, ``<stem>.events.csv`` (micro-expressions, where they are spotted),
    ``<stem>.timeline.png``, ``<stem>.episodes.json`` and ``<stem>.report.html`` (what was displayed
    when, and why) and, on demand, ``<stem>.annotated.mp4`` for each video, ``images.csv`` for all
    stills, and ``summary.json``. Videos of the same stem are numbered in the order given
    (``clip.csv``, ``clip-2.csv``). An input that is analysed anew replaces its own results; those
    of others in the same folder stay, their ``summary.json`` as ``summary-1.json``. A folder that
    another run writes into is left to it: :attr:`Analysis.out` says where the results are. The same
    input gives the same bytes of CSV. Ctrl-C ends it early and keeps what is written.

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
    networks : Networks, optional
        Opened by an earlier analysis with the same `config`, and left open for the next.
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
    explain = explain and config.affect.interpretation and config.affect.expression
    wanted = Wanted(annotate, timeline, explain, explain and config.interpret.windows_ms > 0)
    with RunFolder(out) as folder:
        left_out: list[str] = []
        tasks = plan_tasks(listed, folder, left_out, wanted)
        folder.keep_record(task.source_id for task in tasks)
        names = [task.name for task in tasks]
        with (
            Manifest(folder.path, "analyze", config, names, left_out=left_out) as manifest,
            contextlib.nullcontext(networks) if networks else Networks(config) as opened,
        ):
            manifest.update([task.planned() for task in tasks], opened.models)
            return _carry_out_all(tasks, manifest, config, opened, left_out, narrator, progress)


def _carry_out_all(  # noqa: PLR0913  (of one place)
    tasks: Sequence[Task],
    manifest: Manifest,
    config: Config,
    networks: Networks,
    left_out: Sequence[str],
    narrator: Narrator | None,
    progress: Callable[[Progress], None] | None,
) -> Analysis:
    """Analyse one input after the other, complete the record, raise what ended it."""
    folder = manifest.path.parent
    summaries: list[InputSummary] = []
    failures: list[Exception] = []
    fatal: AffectError | None = None
    interrupted = False
    for task in tasks:
        summary, failure = _carry_out(task, config, networks, manifest, narrator, progress)
        summaries.append(dataclasses.replace(summary, source_id=task.source_id))
        interrupted = summary.outcome == "interrupted"
        if failure is not None:
            failures.append(failure)
        if isinstance(failure, FATAL):
            fatal = failure
        elif failure is not None and not isinstance(failure, AffectError):
            write_traceback(folder / "error.log", failure)
        if interrupted or fatal is not None:
            break
    done = Analysis(folder, tuple(summaries), tuple(failures), interrupted, tuple(left_out))
    with uninterrupted():
        manifest.finish(done.outcome, summaries)
    if fatal is not None:
        raise fatal
    if failures and len(failures) == len(summaries):
        raise _of_all(failures)
    return done


def _of_all(failures: Sequence[Exception]) -> Exception:
    """Return the first failure, with the others in its hint."""
    first = failures[0]
    if len(failures) == 1:
        return first
    others = "; ".join(
        f"{failure.thing}: {failure.got}" if isinstance(failure, AffectError) else str(failure)
        for failure in failures[1:_LISTED]
    )
    more = f"; and {len(failures) - _LISTED} more" if len(failures) > _LISTED else ""
    also = f"Neither can the others be read: {others}{more}."
    if isinstance(first, AffectError):
        hint = f"{first.hint} {also}"
        return type(first)(first.thing, got=first.got, expected=first.expected, hint=hint)
    return WorkerError(f"{first} {also}").with_traceback(first.__traceback__)


class Networks(Closeable):
    """The networks of many inputs: opened for the first that can be read, kept while they work.

    Parameters
    ----------
    config : Config
        Of every analysis that uses them.
    """

    def __init__(self, config: Config) -> None:
        self._config = config
        self._analysers: Analysers | None = None
        self.models: Mapping[str, str] = {}
        """SHA-256 of the networks by card; empty before they were opened."""
        self.opened = 0
        """How often they were opened: again only after an internal error."""

    def open(self) -> Analysers:
        """Return them, opened if they are not."""
        if self._analysers is None:
            self._analysers = Analysers(self._config)
            self.models = self._analysers.models
            self.opened += 1
        return self._analysers

    def close(self) -> None:
        """Free them; :meth:`open` opens new ones. Idempotent."""
        if self._analysers is not None:
            self._analysers.close()
            self._analysers = None


def _carry_out(  # noqa: PLR0913  (of one place)
    task: Task,
    config: Config,
    networks: Networks,
    manifest: Manifest,
    narrator: Narrator | None,
    progress: Callable[[Progress], None] | None,
) -> tuple[InputSummary, Exception | None]:
    """Analyse one input; what goes wrong is returned, not raised, whatever it is.

    Files from anywhere meet here decoders, networks and writers: none of them may end a batch.
    """
    nothing = InputSummary(redact_source(task.name))
    if task.files is None:
        return dataclasses.replace(nothing, error=str(task.error)), task.error
    try:
        source = task.source or open_stills(task.stills, config.capture, live=False, name=task.name)
        analysers = networks.open()
        manifest.update(models=networks.models)
        with (
            Pipeline(source, config, live=False, analysers=analysers) as pipeline,
            Recording(pipeline, task.files, config, task.name, narrator=narrator) as recording,
        ):
            summary = follow(pipeline, recording, progress=progress)
            failure = recording.failure
    except KeyboardInterrupt:
        return dataclasses.replace(nothing, outcome="interrupted"), None
    except MemoryError:
        failure = _too_large(task.name)
        return dataclasses.replace(nothing, error=str(failure)), failure
    except Exception as error:  # noqa: BLE001  (the one boundary of an input)
        networks.close()
        return dataclasses.replace(nothing, error=str(error) or repr(error)), error
    if isinstance(failure, WorkerError) and isinstance(failure.__cause__, MemoryError):
        failure = _too_large(task.name)
        summary = dataclasses.replace(summary, error=str(failure))
    if isinstance(failure, WorkerError):
        networks.close()  # what an internal error left them in, nobody knows
    if failure is None and summary.outcome == "complete":
        failure = _shortfall(summary, len(task.stills) or 1)
        if failure is not None:
            summary = dataclasses.replace(summary, outcome="failed", error=str(failure))
    if failure is not None and not isinstance(failure, Exception):
        raise failure
    return summary, failure


def _too_large(name: str) -> InputError:
    return InputError(
        thing=f"input {redact_source(name)}",
        got="images that do not fit into the memory",
        expected="images of this machine's size",
        hint="Scale it down: ffmpeg -i IN -vf scale=1920:-2 OUT.",
    )


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
