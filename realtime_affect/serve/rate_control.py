"""Do less when the machine can do less: fewer decisions, never older results.

A worker that is busy all the time has no room for a clock that is lowered by heat or by a power
mode. Frames are then left out *before* they are analysed, and those that are analysed are fresh:
so results come more seldom and are as young as ever.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

HIGH: Final = 0.85
"""Share of its time a worker may be busy before it gets less to do."""
LOW: Final = 0.6
"""Share below which it may get more."""
_AIM: Final = 0.7
_CALM_STEPS: Final = 5
_RISE: Final = 1.25
_COOL: Final = 0.8


@dataclass(frozen=True, slots=True)
class Rate:
    """How often a worker may work.

    Attributes
    ----------
    hz : float
        Times a second at most.
    calm : int
        Steps in a row that were calm enough for more.
    """

    hz: float
    calm: int = 0


@dataclass(frozen=True, slots=True)
class Load:
    """What was measured of a worker since the last step.

    Attributes
    ----------
    busy : float
        Share of the time it worked, 0 to 1.
    done_hz : float
        Times a second it did work; less than the rate where it could not follow, or where nothing
        came.
    hot : bool
        Whether the machine is too warm.
    """

    busy: float
    done_hz: float
    hot: bool = False


def next_rate(rate: Rate, load: Load, full_hz: float, least_hz: float) -> Rate:
    """Return the rate after one step (a second); a pure function.

    Downwards at once, from what was really done, so that a worker which cannot follow is caught in
    one or two steps. Upwards by a quarter and only after five calm steps, and never so far that the
    load measured now would be too high there: between `LOW` and `HIGH` nothing changes, and
    a rate does not swing.

    Parameters
    ----------
    rate : Rate
    load : Load
    full_hz, least_hz : float
        Bounds of the result.
    """
    hz = rate.hz
    if load.busy > HIGH or load.hot:
        done_hz = min(hz, load.done_hz) if load.done_hz > 0 else hz
        factor = _AIM / load.busy if load.busy > HIGH else 1.0
        if load.hot:
            factor = min(factor, _COOL)
        return Rate(max(least_hz, min(hz, done_hz * factor)))
    if load.busy >= LOW or hz >= full_hz:
        return replace(rate, hz=min(hz, full_hz), calm=0)
    if rate.calm + 1 < _CALM_STEPS:
        return replace(rate, calm=rate.calm + 1)
    # A worker at rest says nothing of what a unit of work costs; then only the quarter bounds.
    bound = hz * _AIM / load.busy if load.busy > 0 else full_hz
    return Rate(min(full_hz, hz * _RISE, max(hz, bound)))
