"""Record scenarios of ``realtime-affect bench``: ages, stages, CPU time and memory.

    python benchmarks/latency.py [SCENARIO.toml ...] [--seconds S] [--record]
                                  [--source CLIP --faces N]

Without a scenario, all of ``benchmarks/scenarios`` that ask for no GPU. What is measured and how is
told in ``realtime_affect/bench/measure.py``. Where a hypervisor gives more than a hundredth of the
processors' time to other machines, a scenario is run again, three times at most, and the calmest
run is recorded, with what all of them were like.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import records

from realtime_affect.bench.measure import measure
from realtime_affect.bench.scenario import Scenario, read_scenario
from realtime_affect.bench.table import bench_table
from realtime_affect.config import Config

SCENARIOS = Path(__file__).resolve().parent / "scenarios"
CALM = 0.01
"""Share of the processors' time up to which a hypervisor may give it to other machines."""
TRIES = 3
GPU = "gpu_"
"""Begin of the names of scenarios that need one."""


def all_scenarios() -> list[Path]:
    """Return the scenarios of this folder that run without a GPU."""
    return [p for p in sorted(SCENARIOS.glob("*.toml")) if not p.name.startswith(GPU)]


def record_of(name: str, scenario: Scenario, code: dict[str, Any]) -> dict[str, Any]:
    """Measure a scenario; return its record: of the first calm run, or of the calmest of three."""
    runs: list[dict[str, Any]] = []
    while not runs or (len(runs) < TRIES and runs[-1]["stolen_share"] > CALM):
        runs.append(measure(scenario))
    figures = min(runs, key=lambda run: run["stolen_share"])
    figures["runs"] = [{"fps": r["fps"], "stolen_share": r["stolen_share"]} for r in runs]
    chosen = {
        "scenario": name,
        **scenario.model_dump(),
        "source": Path(scenario.source).name,
        "config": Config().with_values(scenario.set).as_dict(),
    }
    return records.new_record("latency", chosen, figures, code)


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("scenarios", nargs="*", type=Path)
    parser.add_argument("--seconds", type=float, help="instead of the scenarios'")
    parser.add_argument("--source", help="instead of the scenarios'; the record bears its name")
    parser.add_argument("--faces", type=int, help="instead of the scenarios'")
    parser.add_argument("--record", action="store_true")
    options = parser.parse_args()
    code = records.code_state(
        *records.PRODUCT, "realtime_affect/bench", "realtime_affect/outputs",
        "realtime_affect/overlay",
    )  # fmt: skip
    found = {}
    for path in options.scenarios or all_scenarios():
        changes = {k: v for k in ("seconds", "source", "faces") if (v := getattr(options, k))}
        scenario = read_scenario(path).replace(**changes)
        name = path.stem + (f" {Path(options.source).stem}" if options.source else "")
        made = record_of(name, scenario, code)
        found[name] = made["figures"]
        if options.record:
            print("recorded in", records.append(made))
    print(bench_table(found))


if __name__ == "__main__":
    main()
