"""A run with files behind it: rows, events, video, a timeline, a summary.

Each file is a sink of its own. Live, rows and events may fall ten seconds behind before some are
lost, counted and noted in ``summary.json``; the video shows the newest image when it is ready for
one and counts what it left out. Offline none loses anything. A file that cannot be written ends the
run, with everything before it kept.
"""

from __future__ import annotations

import contextlib
import logging
import time
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Self

from realtime_affect.errors import AffectError, OutputError
from realtime_affect.outputs.episodes import EpisodeSink
from realtime_affect.outputs.sinks import ROWS_DEPTH_S, EventSink, RowSink, origin_ns
from realtime_affect.outputs.summary import (
    InputSummary,
    Outcome,
    make_folder,
    write_traceback,
)
from realtime_affect.outputs.video import VideoSink
from realtime_affect.redact import redact_source
from realtime_affect.runtime.pipeline import WorkerError
from realtime_affect.runtime.sink import STALL_S
from realtime_affect.worker import call_within, uninterrupted

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from pathlib import Path
    from types import TracebackType

    from realtime_affect.config import Config
    from realtime_affect.outputs.manifest import Manifest
    from realtime_affect.outputs.narration import Narrator
    from realtime_affect.runtime.reading_source import ReadingSource
    from realtime_affect.runtime.sink import Sink, SinkThread
    from realtime_affect.runtime.stats import SinkStats

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class OutputFiles:
    """Where a run's files go; None = not wanted."""

    rows: Path
    video: Path | None = None
    timeline: Path | None = None
    events: Path | None = None
    episodes: Path | None = None
    report: Path | None = None
    windows: Path | None = None

    def as_dict(self) -> Mapping[str, Path]:
        """Return those that are wanted and exist."""
        return {name: path for name, path in self.named().items() if path.exists()}

    def named(self) -> Mapping[str, Path]:
        """Return those that are wanted."""
        named = {
            "rows": self.rows, "events": self.events, "video": self.video,
            "timeline": self.timeline, "episodes": self.episodes, "report": self.report,
            "windows": self.windows,
        }  # fmt: skip
        return {name: path for name, path in named.items() if path is not None}


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a run is: frames `done` of about `total` (None = no end known) of input `name`."""

    name: str
    done: int
    total: int | None


class Recording:
    """Write the files of one run, each by a sink of its own.

    Create it before the source of the readings starts; leave it (or call :meth:`finish`) after
    that was told to stop or has ended. The caller starts, stops and closes it.

    Parameters
    ----------
    source : ReadingSource
    files : OutputFiles
    config : Config
    name : str
        The input as the user named it.
    manifest : Manifest, optional
        Told of readings that a file lost as soon as others are written again.
    narrator : Narrator, optional
        A language model that is asked about each episode.
    required : bool
        Whether a file that cannot be written ends the source's run. If not, :attr:`broken` says so.

    Raises
    ------
    OutputError
        A file cannot be created.
    """

    def __init__(  # noqa: PLR0913  (what is recorded, and who is told or asked)
        self,
        source: ReadingSource,
        files: OutputFiles,
        config: Config,
        name: str,
        manifest: Manifest | None = None,
        narrator: Narrator | None = None,
        *,
        required: bool = True,
    ) -> None:
        self.failure: BaseException | None = None
        """What ended the run: a file that could not be written, a worker that raised."""
        self._source, self._files = source, files
        self._input = redact_source(name)
        self._manifest, self._required = manifest, required
        self._began_ns = time.monotonic_ns()
        self._rows = RowSink(
            files.rows,
            landmarks=config.record.landmarks,
            backfill=not source.live,
            relative=bool(config.interpret.profile),
        )
        self._tally = self._rows.tally
        self._events = EventSink(files.events) if files.events is not None else None
        self._sinks: dict[str, SinkThread] = {}
        self._attach("rows", self._rows, depth_s=ROWS_DEPTH_S, images=False)
        if self._events is not None:
            self._attach("events", self._events, depth_s=ROWS_DEPTH_S, images=False)
        if files.episodes is not None and files.report is not None:
            episodes = EpisodeSink(
                (files.episodes, files.report, files.windows), config.interpret, self._input,
                narrator,
            )  # fmt: skip
            self._attach("episodes", episodes, images=config.interpret.images)
        if files.video is not None:
            video = VideoSink(files.video, source, config.overlay, config.record.crf)
            self._attach("video", video)

    @property
    def frames(self) -> int:
        """Frames written so far."""
        return self._tally.frames

    @property
    def broken(self) -> str:
        """What ended the first file that could not be written on; empty while all can."""
        return next((stats.error for stats in self._stats().values() if stats.error), "")

    @property
    def waiting(self) -> int:
        """Readings that the rows' file has not taken yet: many, where the disk hangs."""
        return self._sinks["rows"].stats().waiting

    @property
    def lost(self) -> int:
        """Readings that the rows' file lost."""
        return self._sinks["rows"].stats().drops

    def abandon(self) -> None:
        """Write no more, and complete the record as far as the disk allows; never waits for it."""
        self._close()
        if self._manifest is not None and not self.waiting:
            summary = self._sum_up("failed", self._source.source_warnings)
            with contextlib.suppress(AffectError):
                self._manifest.finish("failed", [summary])

    def progress(self) -> Progress:
        """Return how far the run is."""
        info = self._source.source_info
        return Progress(info.name, self._tally.next_index, info.n_frames)

    def wait(self, timeout_s: float | None = None) -> bool:
        """Wait until every file is complete; return whether they are, within `timeout_s`."""
        until_s = None if timeout_s is None else time.monotonic() + timeout_s
        return all(
            sink.wait(None if until_s is None else max(0.0, until_s - time.monotonic()))
            for sink in self._sinks.values()
        )

    def finish(self, *, interrupted: bool = False) -> InputSummary:
        """Wait for the files, draw the timeline and sum up; ``failure`` says what went wrong."""
        if not self._source.running:
            self._close()  # one that never started never ends its sinks
        try:
            self._source.join()
        except (AffectError, WorkerError) as failure:
            self.failure = failure
        warnings = list(self._source.source_warnings)
        broken = isinstance(self.failure, OutputError)  # without rows there is nothing to draw
        if (
            self._files.timeline is not None
            and self._tally.frames
            and not broken
            and not self._hangs
        ):
            try:
                self._plot(self._files.timeline)
            except AffectError as failure:
                self.failure = self.failure or failure
            except KeyboardInterrupt:  # an image less; the record is what counts
                interrupted = True
                warnings.append("no timeline: interrupted")
            except Exception as failure:  # noqa: BLE001  (an image less, not a run less)
                _LOG.warning("no timeline: %s", failure, exc_info=failure)
                warnings.append(f"no timeline: {failure!r}")
        outcome: Outcome = "interrupted" if interrupted else "complete"
        failed = self.failure is not None or bool(self.broken)
        return self._sum_up("failed" if failed else outcome, warnings)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._close()
        for sink in self._sinks.values():
            if self._source.live:
                sink.drain(STALL_S)
            else:
                sink.wait()
        if error is not None and self._manifest is not None and not self._manifest.finished:
            outcome: Outcome = "failed" if isinstance(error, Exception) else "interrupted"
            summary = replace(self._sum_up(outcome, self._source.source_warnings), error=str(error))
            with contextlib.suppress(AffectError):  # what ended it is what counts
                self._manifest.finish(outcome, [summary])

    @property
    def _hangs(self) -> bool:
        """Whether a file was left behind because nothing could be written any more."""
        return not self.wait(0)

    def _attach(self, name: str, sink: Sink, *, depth_s: float = 0.0, images: bool = True) -> None:
        thread = self._source.attach(
            sink, name=name, depth_s=depth_s, images=images, required=self._required
        )
        if self._manifest is not None:
            thread.on_gap = self._note_gap
        self._sinks[name] = thread

    def _close(self) -> None:
        for sink in self._sinks.values():
            sink.close()

    def _stats(self) -> dict[str, SinkStats]:
        return {name: sink.stats() for name, sink in self._sinks.items()}

    def _note_gap(self) -> None:
        """Write down that readings were lost; the run may be killed before its end."""
        if self._manifest is not None:
            self._manifest.update([self._sum_up("running", self._source.source_warnings)])

    def _plot(self, png: Path) -> None:
        from realtime_affect.timeline import plot_timeline

        plot_timeline(self._files.rows, png)

    def _sum_up(self, outcome: Outcome, warnings: Iterable[str]) -> InputSummary:
        tally, info, stats = self._tally, self._source.source_info, self._source.stats()
        first_ns, last_ns = tally.wall_ns
        sinks = self._stats()
        drops = {"frames": stats.slots["frames"].drops, "affect": stats.slots["jobs"].drops}
        drops |= {name: sink.drops for name, sink in sinks.items()}
        stills = info.kind == "stills"
        # A disk that hangs would not answer whether they are there.
        files = self._files.named() if self._hangs else self._files.as_dict()
        return InputSummary(
            input=self._input,
            kind=info.kind,
            outcome=outcome,
            error=str(self.failure) if self.failure is not None else self.broken,
            frames=tally.frames,
            frames_with_faces=tally.frames_with_faces,
            faces=tally.faces,
            most_faces=tally.most_faces,
            tracks=0 if stills else len(tally.track_ids),
            rows=self._rows.rows,
            events=MappingProxyType({} if self._events is None else dict(self._events.counts)),
            width=info.width,
            height=info.height,
            duration_s=0.0 if stills else (tally.source_ns[1] - tally.source_ns[0]) / 1e9,
            elapsed_s=(time.monotonic_ns() - self._began_ns) / 1e9,
            fps=(tally.frames - 1) * 1e9 / (last_ns - first_ns)
            if last_ns > first_ns
            else float("nan"),
            drops=MappingProxyType(drops),
            sinks=MappingProxyType(sinks),
            stage_ms=MappingProxyType(stats.stage_ms),
            warnings=tuple(warnings),
            files=MappingProxyType(dict(files)),
            first_s=0.0
            if tally.frames == 0 or stills or origin_ns(info) is None
            else tally.source_ns[0] / 1e9,
        )


def follow(
    source: ReadingSource,
    recording: Recording,
    *,
    seconds: float | None = None,
    progress: Callable[[Progress], None] | None = None,
) -> InputSummary:
    """Start `source` and wait for its end, for `seconds`, or for Ctrl-C; then sum up.

    Ctrl-C lets frames under way finish and be written; a second one leaves at once.
    """
    interrupted = False
    deadline = None if seconds is None else time.monotonic() + seconds
    try:
        source.start()
        while not recording.wait(0.1):
            if source.live and not source.running:
                break  # a file that hangs is left behind, in finish
            if progress is not None:
                progress(recording.progress())
            if deadline is not None and time.monotonic() > deadline:
                source.stop()
    except KeyboardInterrupt:
        interrupted = True
        source.stop()
    summary = recording.finish(interrupted=interrupted)
    if progress is not None:
        progress(recording.progress())
    return summary


def files_of_run(out: str | Path, name: str, *, video: bool = True) -> OutputFiles:
    """Return the files of a live run in folder `out`, which is created.

    Raises
    ------
    OutputError
        The folder cannot be created or written.
    """
    folder = make_folder(out)
    return OutputFiles(
        rows=folder / f"{name}.csv",
        events=folder / f"{name}.events.csv",
        video=folder / "annotated.mp4" if video else None,
        timeline=folder / "timeline.png",
    )


def conclude_run(
    manifest: Manifest,
    summary: InputSummary,
    failure: BaseException | None,
    streams: Mapping[str, Any] | None = None,
) -> None:
    """Complete the manifest of a live run, then raise its failure, if there was one.

    Parameters
    ----------
    manifest : Manifest
    summary : InputSummary
    failure : BaseException or None
    streams : mapping, optional
        What each stream counted: sent, missed, refused.

    Raises
    ------
    AffectError
        What ended the run.
    WorkerError
        A worker raised; its traceback is in ``error.log`` beside the rows.
    """
    try:
        # On a disk that hangs the run ends all the same, with a manifest that says "running".
        with uninterrupted():
            call_within(
                STALL_S, "manifest", lambda: manifest.finish(summary.outcome, [summary], streams)
            )
    except AffectError as error:
        failure = failure or error
    if failure is None:
        return
    if isinstance(failure, AffectError):
        raise failure
    write_traceback(manifest.path.with_name("error.log"), failure)
    if isinstance(failure, WorkerError):
        raise failure
    message = f"the run stopped: {failure!r}"
    raise WorkerError(message) from failure
