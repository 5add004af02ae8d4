"""Three threads and their slots, and the sinks behind them: start, stop, supervision.

    capture --frames--> vision --jobs--> affect
                          |                |
                          live: readings   offline: readings --> subscribers and sinks

Live, every slot between the threads holds the newest value and drops are counted; the vision worker
publishes readings with the newest affect known, so a slow network never holds up a box, and no sink
holds up anything. Offline, slots wait for their reader and the affect worker publishes, so that
every frame is analysed and carries its own affect: same code, deterministic rows.
"""

from __future__ import annotations

import contextlib
import math
import threading
import time
from collections import deque
from concurrent.futures import Future
from typing import TYPE_CHECKING

from realtime_affect.affect.expression import clip_timing
from realtime_affect.affect.history import ClipHistory, EyeHistory, FaceHistory
from realtime_affect.capture import Source, open_source
from realtime_affect.errors import AffectError
from realtime_affect.runtime.analysers import Analysers
from realtime_affect.runtime.config import PipelineConfig
from realtime_affect.runtime.marking import MarkerQueue
from realtime_affect.runtime.publisher import Publisher
from realtime_affect.runtime.stats import PipelineStats, StageClock
from realtime_affect.slots import LatestSlot, LosslessSlot, SlotClosed
from realtime_affect.types import AffectJob, AffectSnapshot, Frame, Reading
from realtime_affect.worker import Supervisor

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from realtime_affect.affect.worker import AffectEstimator
    from realtime_affect.capture import SourceInfo, SourceState
    from realtime_affect.face.vision import Vision
    from realtime_affect.types import Scene

_POLL_S = 0.1
_STAND_STILL = frozenset(("video", "demo", "stills"))
"""Kinds of sources that wait for their reader."""
_NeutralRequest = tuple[
    "Callable[[int | None], tuple[int, ...]]", "int | None", "Future[tuple[int, ...]]"
]


class WorkerError(RuntimeError):
    """A worker or a sink raised; the cause is its exception with the worker's traceback."""


class Pipeline(Publisher):
    """Capture, analyse and publish until the source ends or :meth:`stop` is called.

    A :class:`~realtime_affect.runtime.reading_source.ReadingSource`.

    Parameters
    ----------
    source : str, Path or Source
        Camera number or device, file, URL, folder, ``"demo"``, or an object with
        :class:`~realtime_affect.capture.Source`'s methods. Opened here, so a bad one raises here.
    config : PipelineConfig, optional
        Its sections; a :class:`~realtime_affect.config.Config` is one.
    live : bool
        True: newest wins, files are played at their own speed. False: every frame, as fast as it
        goes.
    vision, affect : optional
        Analysers to use instead of those `config` describes, as tests do. Closed with the pipeline.
    analysers : Analysers, optional
        Both, opened by the caller for several pipelines one after another: reset here, not closed.

    Raises
    ------
    InputError
        The source cannot be opened.
    ModelError
        A model file is missing or is not what its card says.

    Examples
    --------
    >>> with Pipeline("demo") as pipeline:
    ...     for reading in pipeline:
    ...         for track in reading.scene.tracks:
    ...             print(track.track_id, track.face and track.face.action_units["AU12"])
    """

    def __init__(  # noqa: PLR0913  (two values, the rest by name)
        self,
        source: str | Path | Source,
        config: PipelineConfig | None = None,
        *,
        live: bool = True,
        vision: Vision | None = None,
        affect: AffectEstimator | None = None,
        analysers: Analysers | None = None,
    ) -> None:
        config = config or PipelineConfig()
        self._began_ns = time.monotonic_ns()
        super().__init__(live=live)
        with contextlib.ExitStack() as opened:  # a constructor that fails leaves nothing open
            if isinstance(source, Source):
                opened.callback(source.close)
            # Models first: a camera should not light up for a run that cannot begin.
            if analysers is None:
                analysers = Analysers(config, vision=vision, affect=affect)
                opened.callback(analysers.close)
            else:
                analysers.reset()
            if not isinstance(source, Source):
                source = open_source(source, config.capture, live=live)
                opened.callback(source.close)
            self._source: Source = source
            self._opened = opened.pop_all()
        self._vision, self._affect = analysers.vision, analysers.affect
        self._vision.live = live
        self._models = analysers.models
        self._frames: LatestSlot[Frame] = LatestSlot() if live else LosslessSlot()
        self._jobs: LatestSlot[AffectJob] = LatestSlot() if live else LosslessSlot()
        self._newest_affect = AffectSnapshot(0, 0)
        self._markers = MarkerQueue()
        self._neutral_requests: deque[_NeutralRequest] = deque()
        self._clock = StageClock()
        self._stopping = threading.Event()
        self._going_on = threading.Event()  # cleared while paused
        self._going_on.set()
        self._frames_analysed = 0
        self._first_reading_ms = float("nan")
        self._ended_ns: int | None = None
        self._supervisor = Supervisor(self._end_by)
        self._workers = [
            self._supervisor.worker(name, work, end)
            for name, work, end in (
                ("capture", self._capture, self._frames.close),
                ("vision", self._see, self._jobs.close),
                ("affect", self._decide, self._end),
            )
        ]

    def start(self) -> None:
        """Start the workers; subscribe before, or miss the first readings."""
        for worker in self._workers:
            worker.start()

    @property
    def paused(self) -> bool:
        """Whether frames are held back because :meth:`pause` said so."""
        return not self._going_on.is_set()

    def pause(self, on: bool) -> None:
        """Analyse nothing until it goes on; returns at once. Any thread may call.

        A file or stills stand still and go on with their next image. Images of a camera or a stream
        are read and passed over, so that the first one afterwards is new: its time has a gap.
        """
        if on:
            self._going_on.clear()
        else:
            self._going_on.set()

    def stop(self) -> None:
        """Ask the workers to drain and leave; returns at once. Any thread may call."""
        self._stopping.set()
        self._going_on.set()

    def join(self, timeout_s: float | None = None) -> bool:
        """Wait until all workers have left and all sinks have written what they got.

        Live, a sink that finishes nothing for ten seconds after the end is left behind.

        Returns
        -------
        bool
            Whether they have, within `timeout_s`.

        Raises
        ------
        AffectError
            The run ended with it (a stream that broke, a model that failed, a full disk).
        WorkerError
            A worker or a sink raised anything else.
        """
        deadline = None if timeout_s is None else time.monotonic() + timeout_s
        for worker in self._workers:
            worker.wait(None if deadline is None else max(0.0, deadline - time.monotonic()))
        ended = not self.running
        if ended:
            left_s = None if deadline is None else max(0.0, deadline - time.monotonic())
            ended = self._finish_sinks(left_s)
        self.raise_failure()
        return ended

    def raise_failure(self) -> None:
        """Raise what ended the run, if anything did; see :meth:`join`."""
        failure = self.failure
        if isinstance(failure, AffectError):
            raise failure
        if failure is not None:
            message = f"a worker stopped: {failure!r}"
            raise WorkerError(message) from failure

    def close(self) -> None:
        """Stop, let go of all readers, wait for workers and sinks, free networks and source."""
        self.stop()
        self._let_go()
        for worker in self._workers:
            worker.wait()
        self._finish_sinks()
        self._opened.close()

    def __iter__(self) -> Iterator[Reading]:
        """Start, and yield readings until the source ends; live, only the newest.

        Raises
        ------
        AffectError, WorkerError
            As :meth:`join`.
        """
        slot = self.subscribe()
        self.start()
        try:
            while True:
                try:
                    yield slot.get()
                except SlotClosed:
                    break
        finally:
            slot.close()
        self.join()

    def set_neutral(self, track_id: int | None = None) -> Future[tuple[int, ...]]:
        """Take the present face of a track (None: of every track) as its neutral, from now on.

        Returns
        -------
        Future
            Done once the vision worker has taken it, with the ids of whose neutral it is now;
            cancelled where the run ends before.
        """
        return self._ask(self._vision.set_neutral, track_id)

    def revert_neutral(self, track_id: int | None = None) -> Future[tuple[int, ...]]:
        """Undo the last :meth:`set_neutral`; the future is as there."""
        return self._ask(self._vision.revert_neutral, track_id)

    def _ask(
        self, change: Callable[[int | None], tuple[int, ...]], track_id: int | None
    ) -> Future[tuple[int, ...]]:
        """Let the vision worker make a change before its next frame."""
        taken: Future[tuple[int, ...]] = Future()
        self._neutral_requests.append((change, track_id, taken))
        if self._ended_ns is not None:
            taken.cancel()
        return taken

    def mark(
        self,
        label: str,
        *,
        origin: str = "",
        at_ns: int | None = None,
        uncertainty_ms: float = math.nan,
    ) -> None:
        """Mark a moment, default that of the next frame; any thread may call.

        Offline, frames do not come at their own times: it is the time of the next one.
        """
        self._markers.add(label, origin, at_ns if self._live else None, uncertainty_ms)

    @property
    def can_set_neutral(self) -> bool:
        """Whether :meth:`set_neutral` has an effect: in a pipeline, always."""
        return True

    @property
    def models(self) -> Mapping[str, str]:
        """SHA-256 of the networks in use, by card."""
        return self._models

    @property
    def failure(self) -> BaseException | None:
        """What ended the run, or None."""
        return self._supervisor.failure

    @property
    def running(self) -> bool:
        """Whether any worker is alive."""
        return any(worker.working for worker in self._workers)

    @property
    def source_info(self) -> SourceInfo:
        """What is known of the source."""
        return self._source.info

    @property
    def source_state(self) -> SourceState:
        """Whether frames flow, the camera is lost, or the source has ended."""
        return self._source.state

    @property
    def source_warnings(self) -> tuple[str, ...]:
        """What was wrong with the source so far: damaged packets, a truncated end."""
        return self._source.warnings

    def stats(self) -> PipelineStats:
        """Return counters and stage times so far. Any thread may call."""
        now_ns = self._ended_ns or time.monotonic_ns()
        slots = {"frames": self._frames.counters, "jobs": self._jobs.counters}
        for n, slot in enumerate(self._readings, start=1):
            slots[f"readings {n}"] = slot.counters
        return PipelineStats(
            source_state=self._source.state,
            slots=slots,
            stage_ms=self._clock.percentiles(),
            fps=self._clock.fps(),
            frames_analysed=self._frames_analysed,
            elapsed_s=(now_ns - self._began_ns) / 1e9,
            first_reading_ms=self._first_reading_ms,
            sinks=self._sink_stats(),
            backend=getattr(self._affect, "backend", ""),  # what a test makes up has none
        )

    def _note_sink(self, name: str, failure: BaseException) -> None:
        self._supervisor.note(f"sink {name}", failure)

    def _end_by(self, name: str) -> None:
        """End the run after a failure in the worker or sink `name`; on its thread."""
        self.stop()
        # Those upstream wait for a reader that has gone; those downstream drain and leave. After
        # a capture or a sink that failed, everything under way is still analysed and written.
        if name in ("vision", "affect"):
            self._frames.close()
            self._jobs.close()

    def _capture(self) -> None:
        stands_still = self._source.info.kind in _STAND_STILL
        while not self._stopping.is_set():
            if stands_still and not self._going_on.wait(_POLL_S):
                continue
            try:
                frame = self._source.read(_POLL_S)
            except TimeoutError:
                continue
            if frame is None:
                return
            if not stands_still and self.paused:
                continue
            try:
                self._frames.put(frame)
            except SlotClosed:
                return

    def _see(self) -> None:
        stills = self._source.info.kind == "stills"
        analyse = self._vision.analyse_still if stills else self._vision.analyse
        eyes, moments = EyeHistory(), FaceHistory()
        clips = ClipHistory(clip_timing(), stills=stills)
        while True:
            try:
                frame = self._frames.get()
            except SlotClosed:
                return
            start_ns = time.perf_counter_ns()
            while self._neutral_requests:
                change, track_id, taken = self._neutral_requests.popleft()
                if taken.set_running_or_notify_cancel():
                    taken.set_result(change(track_id))
            scene = analyse(frame)
            if stills:  # each a clip that stands still
                clips = ClipHistory(clip_timing(), stills=True)
            job = AffectJob(
                scene,
                () if stills else eyes.append(scene),
                clips.append(scene),
                () if stills else moments.append(scene),
            )
            self._clock.add("vision", time.perf_counter_ns() - start_ns)
            for stage, ns in self._vision.times.ns.items():
                self._clock.add(stage, ns)
            if self._live:
                self._publish(scene, self._newest_affect)
            try:
                self._jobs.put(job)
            except SlotClosed:
                return

    def _decide(self) -> None:
        stills = self._source.info.kind == "stills"
        while True:
            try:
                job = self._jobs.get()
            except SlotClosed:
                return
            start_ns = time.perf_counter_ns()
            if stills:  # faces with the numbers of the last image's are others
                self._affect.reset()
            snapshot = self._affect.decide(job)
            self._clock.add("affect", time.perf_counter_ns() - start_ns)
            self._newest_affect = snapshot
            if not self._live:
                self._publish(job.scene, snapshot)

    def _publish(self, scene: Scene, affect: AffectSnapshot) -> None:
        reading = Reading(scene, affect, self._markers.carried_by(scene.frame))
        now_ns = time.monotonic_ns()
        self._clock.add("age", now_ns - reading.scene.frame.captured_ns)
        self._clock.tick(now_ns)
        if not self._frames_analysed:
            self._first_reading_ms = (now_ns - self._began_ns) / 1e6
        self._frames_analysed += 1
        self._publish_to_all(reading)

    def _end(self) -> None:
        self._ended_ns = time.monotonic_ns()
        for _, _, taken in self._neutral_requests:
            taken.cancel()
        self._end_publishing()
