"""Minutes of live work: whether memory or milliseconds creep up.

    python benchmarks/soak.py [--minutes 10] [--source demo] [--record]

One vision step and one affect step live through the whole run, as they do behind a camera, while
the source starts again and again. Slopes are fitted over the samples after the first minute.
"""

from __future__ import annotations

import argparse
import os
import time
from pathlib import Path
from typing import Any

import numpy as np
import records

from realtime_affect.affect import AffectReader
from realtime_affect.capture import CaptureConfig, open_source
from realtime_affect.clips import EyeHistory
from realtime_affect.types import AffectJob, Frame
from realtime_affect.vision import Vision


def resident_mib() -> float:
    """Memory of this process that is in RAM, in MiB."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def run(name: str, minutes: float, sample_s: float) -> dict[str, Any]:
    """Work through the source until the time is over; sample memory and time."""
    vision, affect, history = Vision(), AffectReader(), EyeHistory()
    began = time.monotonic()
    samples: list[tuple[float, float, float]] = []
    window: list[float] = []
    next_sample = sample_s
    index = 0
    offset_ns = last_ns = 0
    while (now := time.monotonic() - began) < minutes * 60:
        source = open_source(name, CaptureConfig(), live=True)
        while (now := time.monotonic() - began) < minutes * 60:
            try:
                frame = source.read(0.1)
            except TimeoutError:
                continue
            if frame is None:
                break
            # One endless source: the clip's own times, each turn after the last.
            last_ns = offset_ns + frame.t_ns
            frame = Frame(index, last_ns, frame.captured_ns, frame.image)
            index += 1
            start = time.perf_counter_ns()
            scene = vision.analyse(frame)
            affect.decide(AffectJob(scene, history.append(scene)))
            window.append((time.perf_counter_ns() - start) / 1e6)
            if now >= next_sample:
                samples.append((now / 60, resident_mib(), float(np.median(window))))
                window.clear()
                next_sample += sample_s
        source.close()
        offset_ns = last_ns + 33_000_000
    at, memory, ms = np.array(samples).T
    settled = at >= min(1.0, at[-1] / 2)
    return {
        "frames": index,
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
    figures = run(options.source, options.minutes, options.sample_s)
    print(
        f"{figures['frames']} frames · memory {figures['resident_mib'][-1]:.0f} MiB, "
        f"{figures['resident_slope_mib_per_min']:+.3f} MiB a minute · "
        f"{figures['median_ms'][-1]:.2f} ms a frame, "
        f"{figures['median_slope_ms_per_min']:+.4f} ms a minute"
    )
    if options.record:
        config = {"source": Path(options.source).name, "minutes": options.minutes}
        print("recorded in", records.append(records.new_record("soak", config, figures)))


if __name__ == "__main__":
    main()
