"""Per-track history, kept upstream of the slots so that every job is complete in itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from realtime_affect.blink import WINDOW_S
from realtime_affect.types import EyeWindow

if TYPE_CHECKING:
    from realtime_affect.types import Scene


class _Ring:
    """The last samples of one track; grows by doubling, drops what is older than the window."""

    def __init__(self) -> None:
        self._t_ns = np.empty(256, np.int64)
        self._openness = np.empty(256, np.float32)
        self._start = 0
        self._end = 0

    @property
    def newest_ns(self) -> int:
        return int(self._t_ns[self._end - 1])

    def append(self, t_ns: int, openness: float) -> None:
        if self._end == len(self._t_ns):
            kept = slice(self._start, self._end)
            n = self._end - self._start
            room = 2 * max(n, 128)
            for name in ("_t_ns", "_openness"):
                old = getattr(self, name)
                new = np.empty(room, old.dtype)
                new[:n] = old[kept]
                setattr(self, name, new)
            self._start, self._end = 0, n
        self._t_ns[self._end] = t_ns
        self._openness[self._end] = openness
        self._end += 1
        while t_ns - self._t_ns[self._start] > WINDOW_S * 1e9:
            self._start += 1

    def window(self, track_id: int) -> EyeWindow:
        kept = slice(self._start, self._end)
        return EyeWindow(track_id, self._t_ns[kept].copy(), self._openness[kept].copy())


class EyeHistory:
    """Eye openness of every track over the last minute; the vision thread's alone."""

    def __init__(self) -> None:
        self._rings: dict[int, _Ring] = {}

    def append(self, scene: Scene) -> tuple[EyeWindow, ...]:
        """Take in a scene; return the windows of the tracks measured in it.

        A track unseen for the length of the window is forgotten.
        """
        t_ns = scene.frame.t_ns
        windows = []
        for track in scene.tracks:
            if track.face is not None:
                ring = self._rings.setdefault(track.track_id, _Ring())
                ring.append(t_ns, float(track.face.eye_openness.mean()))
                windows.append(ring.window(track.track_id))
        self._rings = {
            track_id: ring
            for track_id, ring in self._rings.items()
            if t_ns - ring.newest_ns <= WINDOW_S * 1e9
        }
        return tuple(windows)
