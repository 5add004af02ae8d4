"""Leave work out before it is done, and measure how busy the workers are."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any

from realtime_affect.face.vision import Vision
from realtime_affect.serve.rate_control import Load, Rate, next_rate

if TYPE_CHECKING:
    from affect_engines import ModelCard
    from realtime_affect.capture.source import Source, SourceInfo
    from realtime_affect.capture.state import SourceState
    from realtime_affect.types import AffectJob, AffectSnapshot, Frame, Scene


class Pace:
    """When a worker may work next, and how busy it was; any thread may call.

    Parameters
    ----------
    full_hz, least_hz : float
        Bounds of the rate.
    """

    def __init__(self, full_hz: float, least_hz: float) -> None:
        self._full_hz, self._least_hz = full_hz, least_hz
        self._lock = threading.Lock()
        self._rate = Rate(full_hz)
        self._due_ns: float = 0.0
        self._busy_ns = self._done = 0
        self._since_ns = time.monotonic_ns()
        self.left_out = 0
        """Times nothing was done because it was not due."""
        self.load = Load(0.0, 0.0)
        """As measured at the last step."""

    @property
    def hz(self) -> float:
        """Times a second at most, now."""
        return self._rate.hz

    @property
    def lowered(self) -> bool:
        """Whether less is done than the settings ask for."""
        return self._rate.hz < self._full_hz

    @property
    def at_least(self) -> bool:
        """Whether the rate cannot be lowered any more."""
        return self._rate.hz <= self._least_hz

    def take(self, now_ns: int) -> bool:
        """Whether what is there at `now_ns` is to be worked on; if so, the next is due later."""
        with self._lock:
            # A camera's pace is not exact: at the full rate, one that is a little faster or uneven
            # is to lose nothing; a lowered rate is kept.
            slack, early = (1.0, 0.1) if self.lowered else (1.05, 0.5)
            period_ns = 1e9 / (slack * self._rate.hz)
            if now_ns < self._due_ns - early * period_ns:
                self.left_out += 1
                return False
            late = now_ns - self._due_ns > period_ns
            self._due_ns = (now_ns if late else self._due_ns) + period_ns
            return True

    def worked(self, ns: int) -> None:
        """Note that a piece of work took `ns`."""
        with self._lock:
            self._busy_ns += ns
            self._done += 1

    def step(self, *, hot: bool, least_busy: float = 0.0, now_ns: int | None = None) -> None:
        """Choose the rate by what was measured since the last step.

        Parameters
        ----------
        hot : bool
            Whether the machine is too warm.
        least_busy : float
            How busy those are who can only be helped by fewer pieces of this work.
        now_ns : int, optional
            Monotonic time; default now.
        """
        now_ns = time.monotonic_ns() if now_ns is None else now_ns
        with self._lock:
            elapsed_ns = max(1, now_ns - self._since_ns)
            busy = max(least_busy, min(1.0, self._busy_ns / elapsed_ns))
            self.load = Load(busy, self._done * 1e9 / elapsed_ns, hot)
            self._busy_ns = self._done = 0
            self._since_ns = now_ns
            self._rate = next_rate(self._rate, self.load, self._full_hz, self._least_hz)


class PacedFrames:
    """A live source of which some frames are left out; a ``Source``.

    A frame that comes too early is thrown away at once, and the first that comes when one is due is
    given out as it comes: nothing waits, so nothing grows old.

    Parameters
    ----------
    source : Source
        Owned from now on.
    pace : Pace
    """

    def __init__(self, source: Source, pace: Pace) -> None:
        self._source, self._pace = source, pace

    @property
    def info(self) -> SourceInfo:
        """Those of the source."""
        return self._source.info

    @property
    def state(self) -> SourceState:
        """That of the source."""
        return self._source.state

    @property
    def warnings(self) -> tuple[str, ...]:
        """Those of the source."""
        return self._source.warnings

    def read(self, timeout_s: float) -> Frame | None:
        """Return the next frame that is due, or None at the end.

        Raises
        ------
        TimeoutError
            None was due within `timeout_s`.
        """
        until_s = time.monotonic() + timeout_s
        while True:
            left_s = until_s - time.monotonic()
            if left_s <= 0:
                msg = f"no frame due within {timeout_s} s"
                raise TimeoutError(msg)
            frame = self._source.read(left_s)
            if frame is None or self._pace.take(frame.captured_ns):
                return frame

    def close(self) -> None:
        """Close the source."""
        self._source.close()


class PacedVision(Vision):
    """A :class:`Vision` that tells a :class:`Pace` how long it worked."""

    pace: Pace

    def analyse(self, frame: Frame) -> Scene:
        """Analyse the next frame, as :meth:`Vision.analyse`."""
        start_ns = time.perf_counter_ns()
        try:
            return super().analyse(frame)
        finally:
            self.pace.worked(time.perf_counter_ns() - start_ns)


class PacedAffect:
    """An affect reader that decides only when it is due; between, its last answer stands.

    That answer carries the time of its own frame, so its age stays honest; when the next decision
    is due it is made on the newest job there is.

    Parameters
    ----------
    reader : AffectEstimator
        Owned from now on.
    pace : Pace
    """

    def __init__(self, reader: Any, pace: Pace) -> None:
        self._reader, self._pace = reader, pace
        self._last: AffectSnapshot | None = None

    def decide(self, job: AffectJob) -> AffectSnapshot:
        """Return the decision on `job`, or the last one."""
        if self._last is not None and not self._pace.take(job.scene.frame.captured_ns):
            return self._last
        start_ns = time.perf_counter_ns()
        self._last = self._reader.decide(job)
        self._pace.worked(time.perf_counter_ns() - start_ns)
        return self._last

    @property
    def cards(self) -> tuple[ModelCard, ...]:
        """Cards of the networks in use."""
        return tuple(self._reader.cards)

    def reset(self) -> None:
        """Forget every track, and the last answer."""
        self._last = None
        self._reader.reset()

    def close(self) -> None:
        """Free the networks. Idempotent."""
        self._reader.close()
