"""What the pipeline measures of itself: the one source for overlay, summary and benchmark."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from realtime_affect.capture import SourceState
    from realtime_affect.slots import SlotCounters


@dataclass(frozen=True, slots=True)
class Percentiles:
    """Distribution of a duration in milliseconds over `n` samples; NaN where there are none."""

    n: int
    p50: float
    p90: float
    p95: float
    p99: float
    max: float

    @classmethod
    def of(cls, samples_ms: NDArray[np.floating]) -> Percentiles:
        """Summarise samples (n,) in milliseconds."""
        if not len(samples_ms):
            return cls(0, *[float("nan")] * 5)
        ranks = np.percentile(samples_ms, [50, 90, 95, 99, 100])
        return cls(len(samples_ms), *ranks.tolist())


@dataclass(frozen=True, slots=True)
class Gap:
    """Readings in a row that a sink lost, because it had fallen behind by more than its buffer.

    Attributes
    ----------
    readings : int
        How many.
    first_frame, last_frame : int
        Numbers of the first and the last one's frame, from 1, as in the rows.
    first_ns, last_ns : int
        Their source times.
    """

    readings: int
    first_frame: int
    last_frame: int
    first_ns: int
    last_ns: int


@dataclass(frozen=True, slots=True)
class SinkStats:
    """What a sink was offered and what it did.

    Attributes
    ----------
    offered : int
        Readings published since it was attached.
    written : int
    drops : int
        Replaced by newer ones, or lost in a gap.
    waiting : int
        In its buffer now.
    gaps : tuple of Gap
        Where readings were lost; only of sinks that want every reading.
    error : str
        What ended it early, empty otherwise.
    """

    offered: int
    written: int
    drops: int
    waiting: int
    gaps: tuple[Gap, ...] = ()
    error: str = ""


@dataclass(frozen=True, slots=True)
class PipelineStats:
    """A snapshot of a running or finished pipeline.

    Attributes
    ----------
    source_state : SourceState
    slots : mapping
        Counters by slot: "frames" (capture to vision), "jobs" (vision to affect) and "readings 1",
        "readings 2", ... (one for each subscriber).
    stage_ms : mapping
        Wall time a frame by stage: "detect", "mesh", "track", "action_units", "vision" (their sum
        and what lies between), "affect"; and "age": from the capture of a frame to the publication
        of its reading. Over the last 9,000 frames.
    fps : float
        Frames analysed a second over the last two seconds.
    frames_analysed : int
    elapsed_s : float
        From start to now, or to the end.
    first_reading_ms : float
        From start, opening the source and loading the networks included; NaN before it.
    sinks : mapping
        Counters of each sink by the name it was attached with.
    backend : str
        What runs the expression network now, as :func:`affect_engines.open_engine` calls it;
        empty where none runs.
    """

    source_state: SourceState
    slots: Mapping[str, SlotCounters]
    stage_ms: Mapping[str, Percentiles]
    fps: float
    frames_analysed: int
    elapsed_s: float
    first_reading_ms: float
    sinks: Mapping[str, SinkStats] = field(default_factory=dict)
    backend: str = ""

    @property
    def drops(self) -> int:
        """Frames captured and never analysed, because a newer one was there."""
        return self.slots["frames"].drops


_KEPT: Final = 9_000  # five minutes at 30 fps
_FPS_WINDOW_NS: Final = 2_000_000_000


class _Samples:
    """The last durations of one stage, in milliseconds, in a ring that is cheap to copy."""

    def __init__(self) -> None:
        self._ring = np.empty(_KEPT, np.float32)
        self._n = 0

    def add(self, ms: float) -> None:
        self._ring[self._n % _KEPT] = ms
        self._n += 1

    def copy(self) -> NDArray[np.float32]:
        return self._ring[: min(self._n, _KEPT)].copy()


class _Summaries(Mapping[str, Percentiles]):
    """Percentiles by stage; whoever asks for counters alone, as windows do, waits for none."""

    def __init__(self, samples_ms: Mapping[str, NDArray[np.float32]]) -> None:
        self._samples_ms = samples_ms

    def __getitem__(self, stage: str) -> Percentiles:
        return Percentiles.of(self._samples_ms[stage])

    def __iter__(self) -> Iterator[str]:
        return iter(self._samples_ms)

    def __len__(self) -> int:
        return len(self._samples_ms)


class StageClock:
    """Collect durations by stage; any thread may add and read."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._samples: dict[str, _Samples] = {}
        self._done_ns: deque[int] = deque()

    def add(self, stage: str, ns: int) -> None:
        """Add one duration in nanoseconds."""
        with self._lock:
            samples = self._samples.get(stage)
            if samples is None:
                samples = self._samples[stage] = _Samples()
            samples.add(ns / 1e6)

    def tick(self, now_ns: int) -> None:
        """Note that a frame was finished at monotonic time `now_ns`."""
        with self._lock:
            self._done_ns.append(now_ns)
            while now_ns - self._done_ns[0] > _FPS_WINDOW_NS:
                self._done_ns.popleft()

    def percentiles(self) -> Mapping[str, Percentiles]:
        """Return a summary of every stage until now, worked out when it is looked at."""
        with self._lock:
            return _Summaries({stage: samples.copy() for stage, samples in self._samples.items()})

    def fps(self) -> float:
        """Frames finished a second over the last two seconds."""
        with self._lock:
            if len(self._done_ns) < 2:
                return 0.0
            return (len(self._done_ns) - 1) * 1e9 / (self._done_ns[-1] - self._done_ns[0])
