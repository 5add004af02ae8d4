"""Minutes of live work: whether memory or milliseconds creep up.

    python benchmarks/soak.py [--minutes 10] [--source demo] [--record]

One pipeline lives through the whole run while the clip starts again and again. Every few seconds
the resident memory and the median time of a vision step are noted; slopes are fitted over what
comes after the first minute, when caches are filled.
"""

from __future__ import annotations

import argparse
import os
import time
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import records
from rich.console import Console
from rich.progress import Progress

from realtime_affect.bench.clips import open_endless
from realtime_affect.capture import CaptureConfig
from realtime_affect.face.vision import Vision
from realtime_affect.runtime.pipeline import Pipeline
from realtime_affect.runtime.stats import Percentiles
from realtime_affect.slots import SlotClosed

if TYPE_CHECKING:
    from realtime_affect.types import Frame, Scene

_FASTEST_HZ = 240


def resident_mib() -> float:
    """Memory of this process that is in RAM, in MiB."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


class TimedVision(Vision):
    """A vision step that notes how long each frame took, in memory that does not grow."""

    def __init__(self, capacity: int) -> None:
        super().__init__()
        self.ms = np.full(capacity, np.nan, np.float32)
        self.n = 0

    def analyse(self, frame: Frame) -> Scene:
        """Analyse and note."""
        start = time.perf_counter_ns()
        scene = super().analyse(frame)
        if self.n < len(self.ms):
            self.ms[self.n] = (time.perf_counter_ns() - start) / 1e6
            self.n += 1
        return scene


def run(name: str, minutes: float, sample_s: float) -> dict[str, Any]:
    """Work through the source until the time is over; sample memory and time."""
    vision = TimedVision(round(minutes * 60 * _FASTEST_HZ) + 1)
    samples: list[tuple[float, float, float]] = []
    newest_id = seen = 0
    next_sample = sample_s
    source = open_endless(name, CaptureConfig(), collect=True)
    with (
        Pipeline(source, vision=vision) as pipeline,
        Progress(console=Console(stderr=True), transient=True, refresh_per_second=1) as progress,
    ):
        bar = progress.add_task(f"{name}, live", total=minutes * 60)
        slot = pipeline.subscribe()
        pipeline.start()
        began = time.monotonic()
        while (now := time.monotonic() - began) < minutes * 60:
            progress.update(bar, completed=now)
            try:
                tracks = slot.get(0.1).scene.tracks
            except TimeoutError:
                continue
            except SlotClosed:
                break
            newest_id = max([newest_id, *(track.track_id for track in tracks)])
            if now >= next_sample and vision.n > seen:
                window, seen = vision.ms[seen : vision.n], vision.n
                samples.append((now / 60, resident_mib(), float(np.median(window))))
                next_sample += sample_s
        pipeline.raise_failure()
        stats = pipeline.stats()
    at, memory, ms = np.array(samples).T
    settled = at >= min(1.0, at[-1] / 2)
    return {
        "frames": stats.frames_analysed,
        "frames_dropped": stats.drops,
        "slots": {name: asdict(counters) for name, counters in stats.slots.items()},
        "newest_id": newest_id,
        "vision_ms": asdict(Percentiles.of(vision.ms[: vision.n])),
        "minutes": at.round(3).tolist(),
        "resident_mib": memory.round(2).tolist(),
        "median_ms": ms.round(3).tolist(),
        "resident_slope_mib_per_min": float(np.polyfit(at[settled], memory[settled], 1)[0]),
        "median_slope_ms_per_min": float(np.polyfit(at[settled], ms[settled], 1)[0]),
    }


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--sample-s", type=float, default=10.0)
    parser.add_argument("--source", default="demo")
    parser.add_argument("--record", action="store_true")
    options = parser.parse_args()
    code = records.code_state()
    figures = run(options.source, options.minutes, options.sample_s)
    vision = figures["vision_ms"]
    print(
        f"{figures['frames']} frames, {figures['frames_dropped']} dropped · "
        f"memory {figures['resident_mib'][-1]:.0f} MiB, "
        f"{figures['resident_slope_mib_per_min']:+.3f} MiB a minute · "
        f"vision p50 {vision['p50']:.2f}, p99 {vision['p99']:.2f} ms a frame, "
        f"{figures['median_slope_ms_per_min']:+.4f} ms a minute"
    )
    if options.record:
        config = {"source": Path(options.source).name, "minutes": options.minutes}
        print("recorded in", records.append(records.new_record("soak", config, figures, code)))


if __name__ == "__main__":
    main()
