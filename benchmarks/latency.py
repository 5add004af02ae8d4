"""Latency of the live pipeline under a scenario: percentiles of age and of every stage.

    python benchmarks/latency.py [--scenario benchmarks/scenarios/demo_720p30.toml] [--record]

The source plays at its own speed, again and again in one pipeline, newest wins. "age" is from the
capture of a frame (for a file: the moment it was due) to the publication of its reading, "received"
to the reader having it, "painted" to the end of painting its image. Everything counts, the first
frames too, so "max" shows the cold start; stages other than "received" and "painted" are those of
the last 9,000 frames. "decisions" are those on the expression of each face that reached the reader,
for a second in view.
"""

from __future__ import annotations

import argparse
import time
import tomllib
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import records
from rich.console import Console
from rich.progress import Progress
from sources import open_endless

from realtime_affect.config import Config
from realtime_affect.overlay import OverlayStatus, paint
from realtime_affect.runtime.pipeline import Pipeline
from realtime_affect.runtime.stats import Percentiles
from realtime_affect.slots import SlotClosed

if TYPE_CHECKING:
    from realtime_affect.types import Reading

SCENARIOS = Path(__file__).resolve().parent / "scenarios"


def run(
    source: str, seconds: float, config: Config, *, painted: bool, tiles: int = 1
) -> dict[str, Any]:
    """Play `source` for some seconds, again from its start where it is shorter."""
    received: list[float] = []
    ages: list[float] = []
    faces: list[int] = []
    decisions = Decisions()
    began = time.monotonic()
    endless = open_endless(source, config.capture, tiles)
    opening_ms = (time.monotonic() - began) * 1e3
    with (
        Pipeline(endless, config) as pipeline,
        Progress(console=Console(stderr=True), transient=True, refresh_per_second=1) as progress,
    ):
        bar = progress.add_task(f"{source}, live", total=seconds)
        slot = pipeline.subscribe()
        pipeline.start()
        began = time.monotonic()
        while (now := time.monotonic() - began) < seconds:
            progress.update(bar, completed=now)
            try:
                reading = slot.get(0.1)
            except TimeoutError:
                continue
            except SlotClosed:
                break
            captured_ns = reading.scene.frame.captured_ns
            received.append((time.monotonic_ns() - captured_ns) / 1e6)
            faces.append(len(reading.scene.tracks))
            decisions.add(reading)
            if painted:
                so_far = pipeline.stats()
                paint(reading, config.overlay, OverlayStatus(so_far.fps, 0.0, so_far.drops, "", ""))
                ages.append((time.monotonic_ns() - captured_ns) / 1e6)
        pipeline.raise_failure()
        stats = pipeline.stats()
    own = {"received": received, "painted": ages}
    stages = {name: asdict(stage) for name, stage in stats.stage_ms.items()}
    return {
        "stage_ms": stages | {k: asdict(Percentiles.of(np.array(v))) for k, v in own.items()},
        "raw_received_ms": histogram(received),
        "frames_analysed": stats.frames_analysed,
        "frames_dropped": stats.drops,
        "fps": stats.frames_analysed / stats.elapsed_s,
        "faces_by_frame": {str(n): faces.count(n) for n in sorted(set(faces))},
        "decisions_per_s": decisions.per_second(),
        "first_reading_ms": opening_ms + stats.first_reading_ms,
        "elapsed_s": stats.elapsed_s,
        "slots": {name: asdict(counters) for name, counters in stats.slots.items()},
    }


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
        spans = {
            track_id: (last_ns - first_ns) / 1e9
            for track_id, (first_ns, last_ns) in self._in_view.items()
        }
        return {
            str(track_id): len(self._seen.get(track_id, ())) / span
            for track_id, span in spans.items()
            if span >= 5
        }


def histogram(samples_ms: list[float]) -> dict[str, Any]:
    """Count samples by whole milliseconds: ``counts[i]`` lie in [i, i + 1) ms."""
    return {"bin_ms": 1, "counts": np.bincount(np.array(samples_ms, np.int64)).tolist()}


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--scenario", type=Path, default=SCENARIOS / "demo_720p30.toml")
    parser.add_argument("--seconds", type=float, help="instead of the scenario's")
    parser.add_argument("--source", help="instead of the scenario's")
    parser.add_argument("--faces", type=int, help="instead of the scenario's")
    parser.add_argument("--record", action="store_true")
    options = parser.parse_args()
    code = records.code_state(*records.PRODUCT, "realtime_affect/overlay")
    scenario = tomllib.loads(options.scenario.read_text(encoding="utf-8"))
    scenario |= {k: v for k in ("source", "faces") if (v := getattr(options, k)) is not None}
    seconds = options.seconds or scenario["seconds"]
    tiles = scenario.get("tiles", 1)
    config = Config().with_values(scenario.get("set", {}))
    figures = run(scenario["source"], seconds, config, painted=scenario["painted"], tiles=tiles)
    for name, stage in figures["stage_ms"].items():
        cells = "  ".join(f"{key} {stage[key]:7.2f}" for key in ("p50", "p90", "p99", "max"))
        print(f"{name:<14} {cells}  ms  ({stage['n']} frames)")
    read = sum(figures["faces_by_frame"].values())
    met = figures["faces_by_frame"].get(str(scenario["faces"]), 0)
    print(
        f"{figures['frames_analysed']} frames analysed, {figures['frames_dropped']} dropped, "
        f"{figures['fps']:.1f} a second; first reading after {figures['first_reading_ms']:.0f} ms\n"
        f"{scenario['faces']} faces in {met / max(1, read):.1%} of {read} readings"
    )
    for track_id, rate in figures["decisions_per_s"].items():
        print(f"#{track_id}: {rate:.1f} decisions on its expression a second")
    if options.record:
        chosen = {
            "scenario": Path(options.source).stem if options.source else options.scenario.stem,
            "source": Path(scenario["source"]).name,
            "tiles": tiles,
            "faces": scenario["faces"],
            "painted": scenario["painted"],
            "seconds": seconds,
            "config": config.as_dict(),
        }
        print("recorded in", records.append(records.new_record("latency", chosen, figures, code)))


if __name__ == "__main__":
    main()
