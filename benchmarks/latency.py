"""Latency of the live pipeline under a scenario: percentiles of age and of every stage.

    python benchmarks/latency.py [--scenario benchmarks/scenarios/demo_720p30.toml] [--record]

The source plays at its own speed, newest wins. "age" is from the capture of a frame (for a file:
the moment it was due) to the publication of its reading; "painted" is to the end of painting its
picture.
"""

from __future__ import annotations

import argparse
import time
import tomllib
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import records

from realtime_affect.config import Config
from realtime_affect.overlay import OverlayStatus, paint
from realtime_affect.pipeline import Pipeline
from realtime_affect.slots import SlotClosed
from realtime_affect.stats import Percentiles

SCENARIOS = Path(__file__).resolve().parent / "scenarios"


def run(source: str, seconds: float, config: Config, *, painted: bool) -> dict[str, Any]:
    """Play `source` for some seconds, again from its start where it is shorter."""
    ages: list[float] = []
    stats = None
    stages: dict[str, Any] = {}
    analysed = dropped = 0
    elapsed_s = 0.0
    ends = time.monotonic() + seconds
    while time.monotonic() < ends:
        with Pipeline(source, config) as pipeline:
            slot = pipeline.subscribe()
            pipeline.start()
            while time.monotonic() < ends:
                try:
                    reading = slot.get(1.0)
                except TimeoutError:
                    continue
                except SlotClosed:
                    break
                if painted:
                    now = pipeline.stats()
                    status = OverlayStatus(now.fps, 0.0, now.drops, "", "")
                    paint(reading, config.overlay, status)
                    ages.append((time.monotonic_ns() - reading.scene.frame.captured_ns) / 1e6)
            stats = pipeline.stats()
        analysed += stats.frames_analysed
        dropped += stats.drops
        elapsed_s += stats.elapsed_s
        stages = {name: asdict(stage) for name, stage in stats.stage_ms.items()}
    assert stats is not None
    return {
        "stage_ms": stages | {"painted": asdict(Percentiles.of(np.array(ages)))},
        "frames_analysed": analysed,
        "frames_dropped": dropped,
        "first_reading_ms": stats.first_reading_ms,
        "elapsed_s": elapsed_s,
        "slots": {name: asdict(counters) for name, counters in stats.slots.items()},
    }


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--scenario", type=Path, default=SCENARIOS / "demo_720p30.toml")
    parser.add_argument("--seconds", type=float, help="instead of the scenario's")
    parser.add_argument("--record", action="store_true")
    options = parser.parse_args()
    scenario = tomllib.loads(options.scenario.read_text(encoding="utf-8"))
    seconds = options.seconds or scenario["seconds"]
    config = Config().with_values(scenario.get("set", {}))
    figures = run(scenario["source"], seconds, config, painted=scenario["painted"])
    for name, stage in figures["stage_ms"].items():
        cells = "  ".join(f"{key} {stage[key]:7.2f}" for key in ("p50", "p90", "p99", "max"))
        print(f"{name:<14} {cells}  ms  ({stage['n']} frames)")
    print(
        f"{figures['frames_analysed']} frames analysed, {figures['frames_dropped']} dropped, "
        f"first reading after {figures['first_reading_ms']:.0f} ms"
    )
    if options.record:
        chosen = {"scenario": options.scenario.stem, "seconds": seconds, "config": config.as_dict()}
        print("recorded in", records.append(records.new_record("latency", chosen, figures)))


if __name__ == "__main__":
    main()
