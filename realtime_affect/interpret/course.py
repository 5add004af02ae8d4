"""Intensities of one face's units, frame after frame -> since when each has been away from rest."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

_REST_S: Final = 1.0
"""Over which the level and the noise of a unit at rest are followed."""
_LEAST_STEP: Final = 0.02
_NOISES: Final = 4.0  # mean absolute deviations, 3.2 standard deviations
_PAUSE_NS: Final = 100_000_000
"""A unit that is back at rest for no longer has not ended: one frame of noise does not cut it."""


class UnitCourse:
    """The last frame in which each unit was at rest, found afterwards.

    A unit is away while it is above its level at rest by more than four times its noise. Level and
    noise follow the moments in which it is not present, so that a slow drift is no onset.

    Parameters
    ----------
    present_at : (n,) sequence of float
        Intensities from which units count as present; NaN for those never measured.
    """

    def __init__(self, present_at: Sequence[float]) -> None:
        n = len(present_at)
        self._present_at = np.array(present_at)
        self._rest = np.zeros(n)
        self._noise = np.zeros(n)
        self._since = np.full(n, -1, np.int64)
        self._away_ns = np.full(n, np.iinfo(np.int64).min // 2)
        self.t_ns = -1
        """Source time of the newest frame; -1 before the first."""

    def add(self, t_ns: Sequence[int], intensity: NDArray[np.floating]) -> list[int]:
        """Take in the frames since the last decision; return which units left their rest in them.

        Parameters
        ----------
        t_ns : (k,) sequence of int
            Source times, ascending, after those added before.
        intensity : (k, n) float
            NaN where there is no evidence.
        """
        before_ns = self.t_ns
        since_s = (t_ns[-1] - self.t_ns) / 1e9 if self.t_ns >= 0 else 0.0
        edge = self._rest + np.maximum(_LEAST_STEP, _NOISES * self._noise)
        away = intensity > edge  # False for NaN
        for at_ns, now in zip(t_ns, away, strict=True):
            begun = now & (self._away_ns < at_ns - _PAUSE_NS)
            np.copyto(self._since, self.t_ns, where=begun)  # the frame before; -1: there is none
            np.copyto(self._away_ns, at_ns, where=now)
            self.t_ns = at_ns
        newest = intensity[-1]
        above = newest - self._rest
        share = 1.0 - math.exp(-since_s / _REST_S)
        calm = newest < self._present_at
        np.copyto(self._rest, self._rest + share * above, where=calm)
        np.maximum(self._rest, 0.0, out=self._rest)
        np.minimum(self._rest, self._present_at, out=self._rest)
        still = calm & ~away[-1]
        np.copyto(self._noise, self._noise + share * (abs(above) - self._noise), where=still)
        if before_ns < 0:
            return []
        return np.flatnonzero(away[-1] & (self._since >= before_ns)).tolist()

    def begin_earlier(self, unit: int, t_ns: int) -> None:
        """Note that a unit was at rest for the last time at `t_ns`, if not even earlier."""
        self._since[unit] = min(int(self._since[unit]), t_ns)

    def onsets_ns(self) -> list[int]:
        """Return the last frame at rest of each unit; -1: before the first one, or not known."""
        return self._since.tolist()
