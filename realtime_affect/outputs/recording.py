"""A pipeline with files behind it: rows without a gap, video as well as it keeps up, a summary.

Each file is written on a thread of its own from a slot of its own. Rows are never dropped; live,
the video shows the newest image when it is ready for one and counts what it left out. A file that
cannot be written ends the run, with everything before it kept.
"""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, Self

from realtime_affect.errors import AffectError
from realtime_affect.outputs.csv_events import EventWriter
from realtime_affect.outputs.csv_rows import RowWriter
from realtime_affect.outputs.summary import (
    InputSummary,
    Outcome,
    make_folder,
    write_summary,
    write_traceback,
)
from realtime_affect.outputs.video import VideoRecorder
from realtime_affect.redact import redact_source
from realtime_affect.runtime.pipeline import WorkerError
from realtime_affect.schema import SCHEMA, WITH_LANDMARKS
from realtime_affect.slots import SlotClosed

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from types import TracebackType

    from realtime_affect.config import Config
    from realtime_affect.runtime.pipeline import Pipeline
    from realtime_affect.slots import LatestSlot
    from realtime_affect.types import Reading

LIVE_KINDS: Final = frozenset({"camera", "stream", "gstreamer"})
"""Sources whose clock is the machine's: their rows count seconds from the first frame."""

_FLUSH_S: Final = 0.5
_STATUS_NS: Final = 500_000_000


@dataclass(frozen=True, slots=True)
class OutputFiles:
    """Where a run's files go; None = not wanted."""

    rows: Path
    video: Path | None = None
    timeline: Path | None = None
    events: Path | None = None

    def as_dict(self) -> Mapping[str, Path]:
        """Return those that are wanted and exist."""
        return {name: path for name, path in self.named().items() if path.exists()}

    def named(self) -> Mapping[str, Path]:
        """Return those that are wanted."""
        named = {
            "rows": self.rows, "events": self.events, "video": self.video,
            "timeline": self.timeline,
        }  # fmt: skip
        return {name: path for name, path in named.items() if path is not None}


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a run is: frames `done` of about `total` (None = no end known) of input `name`."""

    name: str
    done: int
    total: int | None


class _Tally:
    """Counts over all readings; written by the rows thread, read after it or for progress."""

    def __init__(self) -> None:
        self.frames = self.frames_with_faces = self.faces = self.most_faces = 0
        self.next_index = 0
        self.track_ids: set[int] = set()
        self.source_ns = (0, 0)
        self.wall_ns = (0, 0)

    def add(self, reading: Reading) -> None:
        """Count one reading."""
        frame, tracks = reading.scene.frame, reading.scene.tracks
        now_ns = time.monotonic_ns()
        first = self.frames == 0
        self.source_ns = (frame.t_ns if first else self.source_ns[0], frame.t_ns)
        self.wall_ns = (now_ns if first else self.wall_ns[0], now_ns)
        self.frames += 1
        self.next_index = frame.index + 1
        self.frames_with_faces += bool(tracks)
        self.faces += sum(track.face is not None for track in tracks)
        self.most_faces = max(self.most_faces, len(tracks))
        self.track_ids.update(track.track_id for track in tracks)


class Recording:
    """Write the files of one pipeline run, in the background.

    Create it before the pipeline starts; leave it (or call :meth:`finish`) after the pipeline was
    told to stop or has ended. The caller starts, stops and closes the pipeline.

    Raises
    ------
    OutputError
        The rows' file cannot be created.
    """

    def __init__(self, pipeline: Pipeline, files: OutputFiles, config: Config, name: str) -> None:
        self.failure: BaseException | None = None
        """What ended the run: a file that could not be written, a worker that raised."""
        self._pipeline, self._files, self._config = pipeline, files, config
        self._input = redact_source(name)
        self._tally = _Tally()
        info = pipeline.source_info
        origin_ns = None if info.kind in LIVE_KINDS else 0
        self._writer = RowWriter(
            files.rows,
            schema=WITH_LANDMARKS if config.record.landmarks else SCHEMA,
            input_column=info.kind == "stills",
            origin_ns=origin_ns,
            backfill=not pipeline.live and info.kind != "stills",
        )
        self._events = (
            EventWriter(files.events, origin_ns=origin_ns) if files.events is not None else None
        )
        self._began_ns = time.monotonic_ns()
        rows_slot = pipeline.subscribe(lossless=True)
        self._slots = [rows_slot]
        self._threads = [self._thread("rows", self._write_rows, rows_slot)]
        if files.video is not None:
            video_slot = pipeline.subscribe()
            self._slots.append(video_slot)
            self._threads.append(self._thread("video", self._write_video, video_slot))
        self._lock, self._complete = threading.Lock(), threading.Event()
        self._writing = len(self._threads)
        for thread in self._threads:
            thread.start()

    @property
    def frames(self) -> int:
        """Frames written so far."""
        return self._tally.frames

    def progress(self) -> Progress:
        """Return how far the run is."""
        info = self._pipeline.source_info
        return Progress(info.name, self._tally.next_index, info.n_frames)

    def wait(self, timeout_s: float | None = None) -> bool:
        """Wait until every file is complete; return whether they are, within `timeout_s`."""
        # Not Thread.join: in Python 3.11, one that Ctrl-C interrupts takes the thread for ended.
        return self._complete.wait(timeout_s)

    def finish(self, *, interrupted: bool = False) -> InputSummary:
        """Wait for the files, draw the timeline and sum up; ``failure`` says what went wrong."""
        if not self._pipeline.running:
            # A pipeline that never started never closes its slots.
            for slot in self._slots:
                slot.close()
        self.wait()
        try:
            self._pipeline.join()
        except (AffectError, WorkerError) as failure:
            self.failure = self.failure or failure
        warnings = list(self._pipeline.source_warnings)
        if self._files.timeline is not None and self._tally.frames:
            try:
                self._plot(self._files.timeline)
            except AffectError as failure:
                self.failure = self.failure or failure
            except Exception as failure:  # noqa: BLE001  (an image less, not a run less)
                warnings.append(f"no timeline: {failure!r}")
        return self._sum_up(interrupted, tuple(warnings))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for slot in self._slots:
            slot.close()
        self.wait()

    def _thread(
        self, name: str, work: Callable[[LatestSlot[Reading]], None], slot: LatestSlot[Reading]
    ) -> threading.Thread:
        def supervised() -> None:
            try:
                work(slot)
            except BaseException as failure:  # noqa: BLE001  (kept and raised by the caller)
                if self.failure is None:
                    self.failure = failure
                self._pipeline.stop()
            finally:
                slot.close()  # the pipeline must never wait for a reader that has left
                with self._lock:
                    self._writing -= 1
                    if not self._writing:
                        self._complete.set()

        return threading.Thread(target=supervised, name=name, daemon=True)

    def _write_rows(self, slot: LatestSlot[Reading]) -> None:
        try:
            while True:
                try:
                    reading = slot.get(_FLUSH_S)
                except TimeoutError:
                    self._writer.flush()
                    continue
                except SlotClosed:
                    break
                self._writer.write(reading)
                if self._events is not None:
                    self._events.write(reading)
                self._tally.add(reading)
        finally:
            if self._events is not None:
                self._events.close()
            self._writer.close()

    def _write_video(self, slot: LatestSlot[Reading]) -> None:
        from realtime_affect.overlay import OverlayStatus, paint

        assert self._files.video is not None
        config, info = self._config, self._pipeline.source_info
        video = VideoRecorder(self._files.video, info.fps, config.record.crf)
        # Offline there is no "now": speed and age would say nothing about the image.
        status, status_ns = OverlayStatus(source_state="analysis", recording=True), 0
        try:
            while True:
                try:
                    reading = slot.get()
                except SlotClosed:
                    break
                frame, now_ns = reading.scene.frame, time.monotonic_ns()
                if self._pipeline.live and now_ns - status_ns > _STATUS_NS:
                    stats, status_ns = self._pipeline.stats(), now_ns
                    status = OverlayStatus(
                        fps=stats.fps,
                        age_ms=(now_ns - frame.captured_ns) / 1e6,
                        drops=stats.drops,
                        source_state=stats.source_state.value,
                        recording=True,
                    )
                video.write(paint(reading, config.overlay, status), frame.t_ns)
        finally:
            video.close()

    def _plot(self, png: Path) -> None:
        from realtime_affect.timeline import plot_timeline

        plot_timeline(self._files.rows, png)

    def _sum_up(self, interrupted: bool, warnings: tuple[str, ...]) -> InputSummary:
        tally, info, stats = self._tally, self._pipeline.source_info, self._pipeline.stats()
        outcome: Outcome = "interrupted" if interrupted else "complete"
        first_ns, last_ns = tally.wall_ns
        drops = {"frames": stats.slots["frames"].drops, "affect": stats.slots["jobs"].drops}
        if self._files.video is not None:
            drops["video"] = self._slots[1].counters.drops
        stills = info.kind == "stills"
        return InputSummary(
            input=self._input,
            kind=info.kind,
            outcome="failed" if self.failure is not None else outcome,
            error=str(self.failure) if self.failure is not None else "",
            frames=tally.frames,
            frames_with_faces=tally.frames_with_faces,
            faces=tally.faces,
            most_faces=tally.most_faces,
            tracks=0 if stills else len(tally.track_ids),
            rows=self._writer.rows_written,
            events=MappingProxyType({} if self._events is None else self._events.counts),
            width=info.width,
            height=info.height,
            duration_s=0.0 if stills else (tally.source_ns[1] - tally.source_ns[0]) / 1e9,
            elapsed_s=(time.monotonic_ns() - self._began_ns) / 1e9,
            fps=(tally.frames - 1) * 1e9 / (last_ns - first_ns)
            if last_ns > first_ns
            else float("nan"),
            drops=MappingProxyType(drops),
            stage_ms=MappingProxyType(stats.stage_ms),
            warnings=warnings,
            files=MappingProxyType(dict(self._files.as_dict())),
        )


def follow(
    pipeline: Pipeline,
    recording: Recording,
    *,
    seconds: float | None = None,
    progress: Callable[[Progress], None] | None = None,
) -> InputSummary:
    """Start the pipeline and wait for its end, for `seconds`, or for Ctrl-C; then sum up.

    Ctrl-C lets frames under way finish and be written; a second one leaves at once.
    """
    interrupted = False
    deadline = None if seconds is None else time.monotonic() + seconds
    try:
        pipeline.start()
        while not recording.wait(0.1):
            if progress is not None:
                progress(recording.progress())
            if deadline is not None and time.monotonic() > deadline:
                pipeline.stop()
    except KeyboardInterrupt:
        interrupted = True
        pipeline.stop()
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
    out: str | Path, summary: InputSummary, config: Config, failure: BaseException | None
) -> None:
    """Write ``summary.json`` of a live run, then raise its failure, if there was one.

    Raises
    ------
    AffectError
        What ended the run.
    WorkerError
        A worker raised; its traceback is in ``error.log`` beside the rows.
    """
    folder = Path(out)
    try:
        write_summary(folder / "summary.json", "run", summary.outcome, [summary], config)
    except AffectError as error:
        failure = failure or error
    if failure is None:
        return
    if isinstance(failure, AffectError):
        raise failure
    write_traceback(folder / "error.log", failure)
    if isinstance(failure, WorkerError):
        raise failure
    message = f"the run stopped: {failure!r}"
    raise WorkerError(message) from failure
