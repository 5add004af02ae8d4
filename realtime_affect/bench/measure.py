"""Run a scenario -> how old readings are, what each stage takes, what it costs.

"age" is from the capture of a frame (of a file: the moment it was due) to the publication of its
reading, "received" to the reader having it, "painted" to the end of painting its image; "jitter" is
how much one age differs from the last. Everything counts, the first frames too, so "max" shows the
cold start; stages other than "received", "painted" and "jitter" are those of the last 9,000 frames.
CPU time is that of the whole process: decoding, scaling and cutting of a file's images are in it.
"""

from __future__ import annotations

import contextlib
import tempfile
import threading
import time
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import psutil

from realtime_affect import memory
from realtime_affect.bench.clips import open_endless
from realtime_affect.bench.stolen import Stolen
from realtime_affect.config import Config
from realtime_affect.outputs.recording import Recording, files_of_run
from realtime_affect.overlay import OverlayStatus, paint
from realtime_affect.runtime.pipeline import Pipeline
from realtime_affect.runtime.stats import Percentiles
from realtime_affect.slots import SlotClosed

if TYPE_CHECKING:
    from realtime_affect.bench.scenario import Scenario
    from realtime_affect.capture import Source
    from realtime_affect.types import Frame, Reading

_LEAST: Final = 5  # readings, however long they take


def measure(scenario: Scenario, config: Config | None = None) -> dict[str, Any]:
    """Run a scenario.

    Parameters
    ----------
    scenario : Scenario
    config : Config, optional
        Settings under those of the scenario.

    Returns
    -------
    dict
        ``stage_ms`` (percentiles by stage), ``frames_analysed``, ``frames_dropped``, ``fps``,
        ``cpu_s_per_frame``, ``stolen_share`` (:class:`Stolen`), ``resident_mib``,
        ``first_reading_ms``, ``first_painted_ms``, ``faces_by_frame``, ``decisions_per_s`` and
        ``raw_`` samples. Of a single stream, "age" is to the answer in full; saturated, ages say
        how long frames waited and are left out.
    """
    config = (config or Config()).with_values(scenario.set)
    began = time.monotonic()
    with contextlib.ExitStack() as opened:
        source = _open(scenario, config)
        opening_ms = (time.monotonic() - began) * 1e3
        live = scenario.mode == "live"
        pipeline = opened.enter_context(Pipeline(source, config, live=live))
        reader = _Reader(pipeline, scenario, config)
        if scenario.record:
            folder = opened.enter_context(tempfile.TemporaryDirectory())
            files = files_of_run(folder, "bench", video=config.record.video)
            opened.enter_context(Recording(pipeline, files, config, scenario.source))
        slot = pipeline.subscribe()
        memory.spare_loaded()  # as a live run does
        pipeline.start()
        began, cpu_s, stolen = time.monotonic(), time.process_time(), Stolen()
        # A machine too busy to answer in time is measured all the same.
        while (now := time.monotonic() - began) < scenario.seconds or reader.count < _LEAST:
            try:
                reader.take(slot.get(0.1))
            except TimeoutError:
                continue
            except SlotClosed:
                break
            if isinstance(source, _OneAtATime):
                source.answered()
        cpu_s, stolen_share = time.process_time() - cpu_s, stolen.share()
        resident = psutil.Process().memory_info().rss / 2**20
        pipeline.raise_failure()
        stats = pipeline.stats()
        pipeline.stop()
        slot.close()
        if isinstance(source, _OneAtATime):
            source.answered()
    stages = {name: asdict(stage) for name, stage in stats.stage_ms.items()}
    stages |= {k: asdict(Percentiles.of(np.array(v))) for k, v in reader.samples().items()}
    if scenario.mode == "saturated":
        for name in ("age", "received", "painted", "jitter"):
            stages.pop(name, None)
    return {
        "stage_ms": stages,
        "raw_received_ms": histogram(reader.received),
        "raw_painted": {"t_s": reader.painted_s, "age_ms": reader.painted},
        "frames_analysed": stats.frames_analysed,
        "frames_dropped": stats.drops,
        "fps": reader.count / now if now else 0.0,
        "cpu_s_per_frame": cpu_s / max(1, stats.frames_analysed),
        "stolen_share": stolen_share,
        "resident_mib": resident,
        "faces_by_frame": {str(n): reader.faces.count(n) for n in sorted(set(reader.faces))},
        "decisions_per_s": reader.decisions.per_second(),
        "first_reading_ms": opening_ms + stats.first_reading_ms,
        "first_painted_ms": opening_ms + reader.first_painted_ms,
        "elapsed_s": stats.elapsed_s,
        "slots": {name: asdict(counters) for name, counters in stats.slots.items()},
    }


def _open(scenario: Scenario, config: Config) -> Source:
    """Open the source of a scenario."""
    crowd = scenario.faces if scenario.source == "demo" and scenario.faces != 2 else None
    shown = {"crowd": crowd, "size_px": scenario.size_px, "fps": scenario.fps}
    source = open_endless(scenario.source, config.capture, paced=scenario.mode == "live", **shown)
    return _OneAtATime(source) if scenario.mode == "single-stream" else source


class _OneAtATime:
    """A source whose next frame comes once the last was answered."""

    def __init__(self, source: Source) -> None:
        self._source, self._free = source, threading.Semaphore(1)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._source, name)

    def read(self, timeout_s: float) -> Frame | None:
        """Return the next frame; its capture is when it was asked for and ready."""
        if not self._free.acquire(timeout=timeout_s):
            raise TimeoutError
        frame = self._source.read(timeout_s)
        return frame and replace(frame, captured_ns=time.monotonic_ns())

    def answered(self) -> None:
        """Let the next frame come."""
        self._free.release()


class _Reader:
    """What a scenario's readings tell."""

    def __init__(self, pipeline: Pipeline, scenario: Scenario, config: Config) -> None:
        self._pipeline, self._window, self._overlay = pipeline, scenario.window, config.overlay
        self._began_ns = time.monotonic_ns()
        self.count = 0
        self.received: list[float] = []
        self.painted: list[float] = []
        self.painted_s: list[float] = []
        self.faces: list[int] = []
        self.decisions = Decisions()
        self.first_painted_ms = float("nan")

    def take(self, reading: Reading) -> None:
        """Take in a reading; paint it where there is a window."""
        captured_ns = reading.scene.frame.captured_ns
        self.count += 1
        self.received.append((time.monotonic_ns() - captured_ns) / 1e6)
        self.faces.append(len(reading.scene.tracks))
        self.decisions.add(reading)
        if not self._window:
            return
        so_far = self._pipeline.stats()
        paint(reading, self._overlay, OverlayStatus(so_far.fps, 0.0, so_far.drops, "", ""))
        now_ns = time.monotonic_ns()
        if not self.painted:
            self.first_painted_ms = (now_ns - self._began_ns) / 1e6
        self.painted.append(round((now_ns - captured_ns) / 1e6, 3))
        self.painted_s.append(round((now_ns - self._began_ns) / 1e9, 3))

    def samples(self) -> dict[str, list[float]]:
        """Return own samples by stage."""
        jitter = np.abs(np.diff(self.painted or self.received)).tolist()
        return {"received": self.received, "painted": self.painted, "jitter": jitter}


class Decisions:
    """Counts the different decisions on each face's expression."""

    def __init__(self) -> None:
        self._seen: dict[int, list[int]] = {}
        self._in_view: dict[int, tuple[int, int]] = {}

    def add(self, reading: Reading) -> None:
        """Take in a reading."""
        now_ns = reading.scene.frame.t_ns
        for track in reading.scene.tracks:
            first_ns, _ = self._in_view.get(track.track_id, (now_ns, now_ns))
            self._in_view[track.track_id] = first_ns, now_ns
            result = reading.affect.results.get(track.track_id)
            if result is not None and result.expression is not None:
                times = self._seen.setdefault(track.track_id, [])
                if not times or times[-1] != result.expression.t_ns:
                    times.append(result.expression.t_ns)

    def per_second(self) -> dict[str, float]:
        """Return decisions a second in view, by id; faces seen for less than 5 s are left out."""
        return {
            str(track_id): len(self._seen.get(track_id, ())) / ((last_ns - first_ns) / 1e9)
            for track_id, (first_ns, last_ns) in self._in_view.items()
            if last_ns - first_ns >= 5e9
        }


def histogram(samples_ms: list[float]) -> dict[str, Any]:
    """Count samples by whole milliseconds: ``counts[i]`` lie in [i, i + 1) ms."""
    return {"bin_ms": 1, "counts": np.bincount(np.array(samples_ms, np.int64)).tolist()}
