"""What ``realtime-affect bench`` does: scenarios, or a camera's way to the screen; their table."""

from __future__ import annotations

from typing import TYPE_CHECKING

from realtime_affect.bench.glass import GUIDE, glass_table, measure_glass
from realtime_affect.bench.measure import measure
from realtime_affect.bench.scenario import DEFAULT, read_scenario
from realtime_affect.bench.table import about_machine, bench_table
from realtime_affect.cli.gui import find_window
from realtime_affect.errors import DependencyError
from realtime_affect.runtime.pipeline import Pipeline

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from realtime_affect.config import Config

    Told = Callable[[str], None]


def bench(
    source: str | None,
    files: Sequence[Path],
    seconds: float | None,
    config: Config,
    told: Told,
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


def glass(source: str | None, changes: int, config: Config, told: Told) -> str:
    """Time a camera's whole way to the screen and return its table.

    Parameters
    ----------
    source : str or None
        The camera; None = the first.
    changes : int
        Of the screen's colour.
    config : Config
    told : callable
        Told what the user is to do.

    Raises
    ------
    DependencyError
        There can be no window here.
    UsageError
        The camera does not see the screen.
    """
    window, why = find_window()
    if window is None:
        raise DependencyError(
            thing="glass to glass",
            got=why,
            expected="a display, and the extra [gui]",
            hint="Without a window: realtime-affect bench CAMERA.",
        )
    for line in GUIDE:
        told(line)
    with Pipeline(source or "0", config, live=True) as pipeline:
        figures = measure_glass(pipeline, config, window.open_glass(), changes)
    return f"{glass_table(figures)}\n\n{about_machine()}"
