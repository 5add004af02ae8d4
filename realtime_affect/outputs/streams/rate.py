"""At most so many a second: evenly, for what is sent; on average, for what comes."""

from __future__ import annotations

from typing import Final

_EARLY: Final = 0.25  # of a period: what comes so little early is not left out for that


class RateLimit:
    """Say of each thing that comes whether it may go on.

    Parameters
    ----------
    rate_hz : float
        On average at most; 0 = everything.
    """

    def __init__(self, rate_hz: float) -> None:
        self._period_s = 1 / rate_hz if rate_hz else 0.0
        self._due_s = float("-inf")

    def allows(self, now_s: float) -> bool:
        """Return whether what comes now is within the rate, and count it if so."""
        period_s = self._period_s
        if now_s < self._due_s - _EARLY * period_s:
            return False
        # From when it was due, so that the average holds; after a pause, from now.
        late_s = now_s - self._due_s
        self._due_s = (self._due_s if late_s < period_s else now_s) + period_s
        return True


class Allowance:
    """Let through what comes in bursts, up to a mean rate.

    Parameters
    ----------
    rate_hz : float
        On average at most.
    burst : float
        So many at once.
    """

    def __init__(self, rate_hz: float, burst: float) -> None:
        self._rate_hz, self._burst = rate_hz, burst
        self._left, self._at_s = burst, 0.0

    def take(self, now_s: float) -> bool:
        """Return whether one more is allowed now, and count it if so."""
        self._left = min(self._burst, self._left + (now_s - self._at_s) * self._rate_hz)
        self._at_s = now_s
        if self._left < 1:
            return False
        self._left -= 1
        return True
