"""How much of a virtual machine's processor time went to other machines while something ran.

On a machine that is shared, ages grow with what the neighbours do; the load of one's own machine
does not show it, the time that its hypervisor says it was kept waiting does.
"""

from __future__ import annotations

import time

import psutil


class Stolen:
    """Counts from when it is made."""

    def __init__(self) -> None:
        self._began_s, self._stolen_s = time.monotonic(), _stolen_s()

    def share(self) -> float:
        """Return the share of all cores' time that was stolen; NaN where no system says it."""
        elapsed_s = time.monotonic() - self._began_s
        return (_stolen_s() - self._stolen_s) / max(1e-3, elapsed_s * (psutil.cpu_count() or 1))


def _stolen_s() -> float:
    """Return seconds since the machine began, over all cores."""
    return float(getattr(psutil.cpu_times(), "steal", float("nan")))
