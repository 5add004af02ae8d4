"""Moments that somebody marked: a key in the window, the trigger of an experiment, a remote client.

A marker is carried by every reading of the two seconds after it came, so that a reader which
missed one reading still finds it, and told apart by its number.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from realtime_affect.printable import printable

if TYPE_CHECKING:
    from collections.abc import Iterable

MAX_LABEL: Final = 200
"""Characters of a label that are kept."""


@dataclass(frozen=True, slots=True)
class Marker:
    """One marked moment.

    Attributes
    ----------
    number : int
        From 1, in the order in which the markers of a run came.
    t_ns : int
        Source time, on the clock of ``Frame.t_ns``.
    label : str
        One line, :data:`MAX_LABEL` characters at most; what acts on a terminal is written out.
    origin : str
        Who marked it: ``"window"``, ``"websocket"``, ``"lsl NAME"``.
    uncertainty_ms : float
        By how much `t_ns` may be wrong, as far as clocks can tell; NaN where nothing is known, as
        of a hand on a key.
    """

    number: int
    t_ns: int
    label: str
    origin: str = ""
    uncertainty_ms: float = math.nan

    def __post_init__(self) -> None:
        for name in ("label", "origin"):
            object.__setattr__(self, name, printable(getattr(self, name))[:MAX_LABEL])


class NewMarkers:
    """Find the markers of each reading that were in no earlier one; one for each reader."""

    def __init__(self) -> None:
        self._last = 0

    def take(self, markers: Iterable[Marker]) -> list[Marker]:
        """Return what is new, in order."""
        new = [marker for marker in markers if marker.number > self._last]
        if new:
            self._last = new[-1].number
        return new
