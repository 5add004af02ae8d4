"""What ``realtime-affect bench`` does: the scenarios, one after the other, and their table."""

from __future__ import annotations

from typing import TYPE_CHECKING

from realtime_affect.bench.measure import measure
from realtime_affect.bench.scenario import DEFAULT, read_scenario
from realtime_affect.bench.table import about_machine, bench_table

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from realtime_affect.config import Config


def bench(
    source: str | None,
    files: Sequence[Path],
    seconds: float | None,
    config: Config,
    told: Callable[[str], None],
) -> str:
    """Run scenarios and return their table.

    Parameters
    ----------
    source : str or None
        Instead of the scenarios' own. A camera is only run live.
    files : sequence of Path
        Scenarios; none = the default ones.
    seconds : float or None
        Of each, instead of their own.
    config : Config
        Settings under those of the scenarios.
    told : callable
        Told what is run.
    """
    scenarios = {path.stem: read_scenario(path) for path in files} or dict(DEFAULT)
    found = {}
    for name, scenario in scenarios.items():
        changes = {"source": source, "seconds": seconds}
        scenario = scenario.replace(**{k: v for k, v in changes.items() if v is not None})
        told(f"{name}: {scenario.seconds:g} s")
        found[name] = measure(scenario, config)
    return f"{bench_table(found)}\n\n{about_machine()}"
