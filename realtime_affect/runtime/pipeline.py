"""Three threads and their slots: start, stop, supervision.

    capture --frames--> vision --jobs--> affect
                          |                |
                          live: readings   offline: readings

Live, every slot between the threads holds the newest value and drops are counted; the vision worker
publishes readings with the newest affect known, so a slow network never holds up a box. Offline,
slots wait for their reader and the affect worker publishes, so that every frame is analysed and
carries its own affect: same code, deterministic rows.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from typing import TYPE_CHECKING

from affect_engines.base import Closeable
from realtime_affect.affect.expression import clip_timing
from realtime_affect.affect.history import ClipHistory, EyeHistory, FaceHistory
from realtime_affect.affect.worker import AffectEstimator
from realtime_affect.capture import Source, open_source
from realtime_affect.errors import AffectError
from realtime_affect.face.vision import Vision
from realtime_affect.runtime.config import PipelineConfig
from realtime_affect.runtime.stats import PipelineStats, StageClock
from realtime_affect.slots import LatestSlot, LosslessSlot, SlotClosed
from realtime_affect.types import AffectJob, AffectSnapshot, Frame, Reading

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from realtime_affect.capture import SourceInfo, SourceState

_POLL_S = 0.1


class _Worker(threading.Thread):
    """A thread whose end can be waited for.

    ``Thread.join`` interrupted by Ctrl-C may take a running thread for one that has ended (seen
    on Python 3.11); an event cannot.
    """

    def __init__(
        self,
        name: str,
        supervise: Callable[[str, Callable[[], None], Callable[[], None]], None],
        work: Callable[[], None],
        end: Callable[[], None],
    ) -> None:
        super().__init__(name=name, daemon=True)
        self._supervised = (supervise, name, work, end)
        self._left = threading.Event()

    def run(self) -> None:
        """Work under supervision."""
        try:
            supervise, name, work, end = self._supervised
            supervise(name, work, end)
        finally:
            self._left.set()

    def wait(self, timeout_s: float | None = None) -> None:
        """Wait until the worker has left; returns at once if it was never started."""
        if self.ident is not None:
            self._left.wait(timeout_s)

    @property
    def working(self) -> bool:
        """Whether it was started and has not left."""
        return self.ident is not None and not self._left.is_set()


class WorkerError(RuntimeError):
    """A worker of the pipeline raised; the cause is its exception with the worker's traceback."""


class Pipeline(Closeable):
    """Capture, analyse and publish until the source ends or :meth:`stop` is called.

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

    def __init__(
        self,
        source: str | Path | Source,
        config: PipelineConfig | None = None,
        *,
        live: bool = True,
        vision: Vision | None = None,
        affect: AffectEstimator | None = None,
    ) -> None:
        config = config or PipelineConfig()
        self._began_ns = time.monotonic_ns()
        self._live = live
        # Models first: a camera should not be opened, and light up, for a run that cannot begin.
        self._vision = vision or Vision(
            config.detect, config.track, config.action_units, stabilized=config.affect.micro
        )
        self._affect = affect or AffectEstimator(config.affect, config.micro)
        self._source: Source = (
            source if isinstance(source, Source) else open_source(source, config.capture, live=live)
        )
        self._frames: LatestSlot[Frame] = LatestSlot() if live else LosslessSlot()
        self._jobs: LatestSlot[AffectJob] = LatestSlot() if live else LosslessSlot()
        self._readings: list[LatestSlot[Reading]] = []
        self._newest_affect = AffectSnapshot(0, 0)
        self._neutral_requests: deque[int | None] = deque()
        self._clock = StageClock()
        self._stopping = threading.Event()
        self._failure: BaseException | None = None
        self._failure_lock = threading.Lock()
        self._frames_analysed = 0
        self._first_reading_ms = float("nan")
        self._ended_ns: int | None = None
        self._workers = [
            _Worker(name, self._supervise, work, end)
            for name, work, end in (
                ("capture", self._capture, self._frames.close),
                ("vision", self._see, self._jobs.close),
                ("affect", self._decide, self._end),
            )
        ]

    def subscribe(self, *, lossless: bool | None = None) -> LatestSlot[Reading]:
        """Return a slot that receives every reading from now on; one slot, one reader.

        Parameters
        ----------
        lossless : bool, optional
            True: the pipeline waits for this reader, which must keep reading (or close the slot).
            Default: only offline.
        """
        if lossless is None:
            lossless = not self._live
        slot: LatestSlot[Reading] = LosslessSlot() if lossless else LatestSlot()
        self._readings = [*self._readings, slot]
        return slot

    def start(self) -> None:
        """Start the workers; subscribe before, or miss the first readings."""
        for worker in self._workers:
            worker.start()

    def stop(self) -> None:
        """Ask the workers to drain and leave; returns at once. Any thread may call."""
        self._stopping.set()

    def join(self, timeout_s: float | None = None) -> bool:
        """Wait until all workers have left.

        Returns
        -------
        bool
            Whether they have, within `timeout_s`.

        Raises
        ------
        AffectError
            The run ended with it (a stream that broke, a model that failed).
        WorkerError
            A worker raised anything else.
        """
        deadline = None if timeout_s is None else time.monotonic() + timeout_s
        for worker in self._workers:
            worker.wait(None if deadline is None else max(0.0, deadline - time.monotonic()))
        self.raise_failure()
        return not self.running

    def raise_failure(self) -> None:
        """Raise what ended the run, if anything did; see :meth:`join`."""
        failure = self._failure
        if isinstance(failure, AffectError):
            raise failure
        if failure is not None:
            message = f"a worker stopped: {failure!r}"
            raise WorkerError(message) from failure

    def close(self) -> None:
        """Stop, let go of all readers, wait for the workers, free networks and source."""
        self.stop()
        for slot in self._readings:
            slot.close()
        for worker in self._workers:
            worker.wait()
        self._source.close()
        self._vision.close()
        self._affect.close()

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

    def set_neutral(self, track_id: int | None = None) -> None:
        """Take the present face of a track (None: of every track) as its neutral, from now on."""
        self._neutral_requests.append(track_id)

    @property
    def live(self) -> bool:
        """Whether the newest frame wins."""
        return self._live

    @property
    def failure(self) -> BaseException | None:
        """What ended the run, or None."""
        return self._failure

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
        )

    def _supervise(self, name: str, work: Callable[[], None], end: Callable[[], None]) -> None:
        """Run a worker; whatever happens, its successors learn that nothing more will come."""
        try:
            work()
        except BaseException as failure:  # noqa: BLE001  (kept and raised on the reader's thread)
            failure.add_note(f"in the {name} worker")
            with self._failure_lock:
                self._failure = self._failure or failure
            self._stopping.set()
            # Those upstream wait for a reader that has gone; those downstream drain and leave.
            if name != "capture":
                self._frames.close()
                self._jobs.close()
        finally:
            end()

    def _capture(self) -> None:
        while not self._stopping.is_set():
            try:
                frame = self._source.read(_POLL_S)
            except TimeoutError:
                continue
            if frame is None:
                return
            try:
                self._frames.put(frame)
            except SlotClosed:
                return

    def _see(self) -> None:
        stills = self._source.info.kind == "stills"
        analyse = self._vision.analyse_still if stills else self._vision.analyse
        eyes, clips, moments = EyeHistory(), ClipHistory(clip_timing()), FaceHistory()
        while True:
            try:
                frame = self._frames.get()
            except SlotClosed:
                return
            start_ns = time.perf_counter_ns()
            while self._neutral_requests:
                self._vision.set_neutral(self._neutral_requests.popleft())
            scene = analyse(frame)
            if stills:  # each a clip that stands still
                clips = ClipHistory(clip_timing())
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
                self._publish(Reading(scene, self._newest_affect))
            try:
                self._jobs.put(job)
            except SlotClosed:
                return

    def _decide(self) -> None:
        while True:
            try:
                job = self._jobs.get()
            except SlotClosed:
                return
            start_ns = time.perf_counter_ns()
            snapshot = self._affect.decide(job)
            self._clock.add("affect", time.perf_counter_ns() - start_ns)
            self._newest_affect = snapshot
            if not self._live:
                self._publish(Reading(job.scene, snapshot))

    def _publish(self, reading: Reading) -> None:
        now_ns = time.monotonic_ns()
        self._clock.add("age", now_ns - reading.scene.frame.captured_ns)
        self._clock.tick(now_ns)
        if not self._frames_analysed:
            self._first_reading_ms = (now_ns - self._began_ns) / 1e6
        self._frames_analysed += 1
        for slot in self._readings:
            try:
                slot.put(reading)
            except SlotClosed:
                continue  # that reader has left; the others go on

    def _end(self) -> None:
        self._ended_ns = time.monotonic_ns()
        for slot in self._readings:
            slot.close()
