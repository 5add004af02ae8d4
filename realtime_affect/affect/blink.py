"""EyeWindow -> blinks.

A blink is a dip of the eye aspect ratio that is short: a morphological closing with an element
longer than any blink fills short dips and leaves slow changes (looking down, squinting, sleep), so
the signal beside its closing shows blinks alone, without a threshold for each person.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import cv2
import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from realtime_affect.types import EyeWindow

WINDOW_S: Final = 60.0
"""Length of the window a blink rate is counted over, in seconds."""

MIN_SEEN_S: Final = 10.0
"""Seconds the eyes must have been seen in the window before a rate is given."""

_RECOUNT_NS: Final = 200_000_000  # a rate over a minute needs no counting in every frame
_MAX_BLINK_S: Final = 0.5  # longer closures are not blinks (Caffier et al. 2003: 0.1 to 0.4 s)
_DIP: Final = 0.75  # lids closed by a quarter of what they were just before and after
_GAP_S: Final = 0.2  # a face unseen for longer ends a stretch


def count_blinks(window: EyeWindow) -> tuple[int, float]:
    """Count blinks in a window of eye openness.

    Parameters
    ----------
    window : EyeWindow

    Returns
    -------
    blinks : int
        Dips shorter than half a second; one that is still going on does not count yet.
    seen_s : float
        Seconds of the window in which the eyes were seen.
    """
    t_s = window.t_ns / 1e9
    blinks = 0
    seen_s = 0.0
    for part in np.split(np.arange(len(t_s)), np.flatnonzero(np.diff(t_s) > _GAP_S) + 1):
        if len(part) < 3:
            continue
        length_s = float(t_s[part[-1]] - t_s[part[0]])
        seen_s += length_s
        width = int(_MAX_BLINK_S * (len(part) - 1) / length_s) | 1
        signal = window.openness[part].reshape(1, -1)
        filled = cv2.morphologyEx(
            signal, cv2.MORPH_CLOSE, np.ones((1, width), np.uint8), borderType=cv2.BORDER_REPLICATE
        )
        shut = (signal < _DIP * filled)[0].astype(np.int8)
        blinks += int(np.count_nonzero(np.diff(shut, prepend=np.int8(0)) < 0))
    return blinks, seen_s


def blinks_per_min(window: EyeWindow) -> float:
    """Blink rate over the window; NaN until the eyes were seen for :data:`MIN_SEEN_S`."""
    blinks, seen_s = count_blinks(window)
    return 60.0 * blinks / seen_s if seen_s >= MIN_SEEN_S else float("nan")


class BlinkRates:
    """The blink rate of every track, counted anew five times a second; belongs to one thread."""

    def __init__(self) -> None:
        self._known: dict[int, tuple[int, float]] = {}

    def update(self, windows: Sequence[EyeWindow]) -> dict[int, float]:
        """Return the rate of each window's track; see :func:`blinks_per_min`.

        Tracks that are not among `windows` are forgotten: one that returns is counted at once.
        """
        known = {}
        for window in windows:
            now_ns = int(window.t_ns[-1])
            counted = self._known.get(window.track_id)
            if counted is None or now_ns - counted[0] >= _RECOUNT_NS:
                counted = now_ns, blinks_per_min(window)
            known[window.track_id] = counted
        self._known = known
        return {track_id: rate for track_id, (_, rate) in known.items()}
