"""A stream's own timestamps, put right where they do not increase."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from fractions import Fraction

_NS: Final = 1_000_000_000
_STEP_NS: Final = 1_000_000  # between frames whose timestamps collide: 1 ms fits any container
_BEHIND: Final = 2  # mean intervals; a timestamp that falls back further begins a new piece of time
_LONG_NS: Final = 10 * _NS  # and ten mean intervals: a gap that is told


class Timestamps:
    """Turn a stream's timestamps into strictly increasing nanoseconds.

    Parameters
    ----------
    fps : float
        Mean rate, for frames without a timestamp.
    """

    def __init__(self, fps: float) -> None:
        self._interval_ns = round(_NS / fps)
        self._first_ns: int | None = None
        self._last_ns = 0
        self._offset_ns = 0
        self._offset_before_ns: int | None = None
        self._missing = self._collided = self._jumps = self._gaps = self._longest_ns = 0

    @property
    def warnings(self) -> tuple[str, ...]:
        """What had to be put right, one sentence for each sort."""
        counts = (
            (self._missing, "frames without a timestamp"),
            (self._collided, "frames whose timestamp did not increase"),
            (self._jumps, "jumps back of the timestamps"),
            (self._gaps, f"gaps in time, the longest {self._longest_ns / _NS:.1f} s"),
        )
        return tuple(f"{n} {what}" for n, what in counts if n)

    @property
    def covered_s(self) -> float:
        """Time from the first frame to the end of the last, in seconds."""
        if self._first_ns is None:
            return 0.0
        return (self._last_ns - self._first_ns + self._interval_ns) / _NS

    def follow(self, pts: int | None, time_base: Fraction | None) -> int:
        """Return the time of the next frame in nanoseconds.

        A frame without a timestamp follows the last by one mean interval; one that repeats the
        last timestamp or falls a little behind comes 1 ms after it; after a fall of more than two
        intervals all times are moved so that they go on, until they go on without that.
        """
        if self._first_ns is None:
            t_ns = 0 if pts is None or time_base is None else _own_ns(pts, time_base)
            self._missing += pts is None or time_base is None
            self._first_ns = t_ns
        elif pts is None or time_base is None:
            self._missing += 1
            t_ns = self._last_ns + self._interval_ns
        else:
            t_ns = self._after(_own_ns(pts, time_base))
        self._last_ns = t_ns
        return t_ns

    def _after(self, own_ns: int) -> int:
        """Return the time of a frame whose container says `own_ns`."""
        before_ns = self._offset_before_ns
        if before_ns is not None and 0 < own_ns + before_ns - self._last_ns <= (
            _BEHIND * self._interval_ns
        ):  # one frame had a wrong time, and the clock goes on as it did
            self._offset_ns, self._offset_before_ns = before_ns, None
        t_ns = own_ns + self._offset_ns
        if t_ns < self._last_ns - _BEHIND * self._interval_ns:
            self._jumps += 1
            t_ns = self._last_ns + self._interval_ns
            self._offset_before_ns, self._offset_ns = self._offset_ns, t_ns - own_ns
        elif t_ns <= self._last_ns:
            self._collided += 1
            t_ns = self._last_ns + _STEP_NS
        elif (gap_ns := t_ns - self._last_ns) > max(_LONG_NS, 10 * self._interval_ns):
            self._gaps += 1
            self._longest_ns = max(self._longest_ns, gap_ns)
        return t_ns


def _own_ns(pts: int, time_base: Fraction) -> int:
    return pts * time_base.numerator * _NS // time_base.denominator
