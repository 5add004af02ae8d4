"""How another clock of this machine stands to the monotonic one, and how well that is known."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass(frozen=True, slots=True)
class ClockOffset:
    """What must be added to the monotonic clock to get another one.

    Attributes
    ----------
    offset_ns : int
    uncertainty_ns : int
        It is within so much of `offset_ns`, for certain: half the time that one look took.
    """

    offset_ns: int
    uncertainty_ns: int

    def seconds(self, monotonic_ns: int) -> float:
        """Return the other clock's seconds at a monotonic time."""
        return (monotonic_ns + self.offset_ns) / 1e9

    def monotonic_ns(self, seconds: float) -> int:
        """Return the monotonic time at the other clock's `seconds`."""
        return round(seconds * 1e9) - self.offset_ns


def measure_offset(
    other_s: Callable[[], float], now_ns: Callable[[], int] = time.monotonic_ns, looks: int = 50
) -> ClockOffset:
    """Look at both clocks some times and return what the quickest look said.

    Parameters
    ----------
    other_s : callable
        Returns the other clock's seconds.
    now_ns : callable
        Returns the monotonic clock's nanoseconds.
    looks : int
    """
    best: ClockOffset | None = None
    for _ in range(looks):
        before_ns, seconds, after_ns = now_ns(), other_s(), now_ns()
        uncertainty_ns = (after_ns - before_ns + 1) // 2
        if best is None or uncertainty_ns < best.uncertainty_ns:
            middle_ns = (before_ns + after_ns) // 2
            best = ClockOffset(round(seconds * 1e9) - middle_ns, uncertainty_ns)
    assert best is not None
    return best
