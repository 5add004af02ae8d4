"""Per-track history, kept upstream of the slots so that every job is complete in itself."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from realtime_affect.affect.blink import WINDOW_S
from realtime_affect.types import ClipWindow, EyeWindow, FaceWindow

if TYPE_CHECKING:
    from realtime_affect.types import Face, Float32, Image, Scene

MOMENTS_S: Final = 0.6
"""How far a job reaches back for a reader that missed some: longer pauses begin anew anyway."""

_TRACE: Final = 1.0  # intensity of FACS A


class _Ring:
    """The last samples of one track; grows by doubling, drops what is older than the window.

    What was once written stays as it is, so that windows are views: nothing is copied a frame.
    """

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
        return EyeWindow(track_id, self._t_ns[kept], self._openness[kept])


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
                right, left = track.face.eye_openness
                ring.append(t_ns, (right + left) / 2)
                windows.append(ring.window(track.track_id))
        self._rings = {
            track_id: ring
            for track_id, ring in self._rings.items()
            if t_ns - ring.newest_ns <= WINDOW_S * 1e9
        }
        return tuple(windows)


@dataclass(frozen=True, slots=True)
class ClipTiming:
    """When moments are taken; from the network's card.

    Attributes
    ----------
    slot_hz : float
        Moments a second.
    slots : int
        Moments of a clip.
    max_gap_ms : float
        Time without a moment after which a clip begins anew.
    """

    slot_hz: float
    slots: int
    max_gap_ms: float


def shows_nothing(intensity: Float32) -> bool:
    """Return whether no action unit (17,) is above a trace (FACS A); NaN is no evidence of one."""
    return not np.fmax.reduce(intensity) > _TRACE


class ClipSampler:
    """The last moments of one track, on a grid of time that begins with its first."""

    def __init__(self, timing: ClipTiming) -> None:
        self._timing = timing
        self._period_ns = 1e9 / timing.slot_hz
        self._moments: deque[tuple[int, Image, bool]] = deque(maxlen=timing.slots)
        self._due_ns = 0.0
        self.seen_ns = 0
        self.window: ClipWindow | None = None

    def add(self, track_id: int, t_ns: int, crop: Image, at_rest: bool) -> ClipWindow:
        """Take the image if it is the nearest to the moment that is due.

        `at_rest` is what :attr:`ClipWindow.at_rest` says of it.
        """
        since_ns = t_ns - self.seen_ns
        self.seen_ns = t_ns
        if self._moments and t_ns - self._moments[-1][0] > self._timing.max_gap_ms * 1e6:
            self._moments.clear()
            self.window = None
        if self.window is not None and t_ns + since_ns / 2 < self._due_ns:
            return self.window  # the next frame will be nearer
        late = self.window is None or t_ns - self._due_ns > self._period_ns
        self._due_ns = (t_ns if late else self._due_ns) + self._period_ns
        self._moments.append((t_ns, crop, at_rest))
        times, crops, resting = zip(*self._moments, strict=True)
        self.window = ClipWindow(
            track_id, np.array(times, np.int64), np.array(crops),
            warming_up=len(times) < self._timing.slots, at_rest=np.array(resting),
        )  # fmt: skip
        return self.window


class ClipHistory:
    """The expression network's clip of every track; the vision thread's alone.

    Sampled by time, not by frame count: the same movement gives the same clip at 25, 30 and 60
    frames a second, and frames that were dropped do not stretch it.

    Parameters
    ----------
    timing : ClipTiming
    stills : bool
        Whether each scene stands alone: then no face counts as one at rest, which only other
        moments of the same face could tell.
    """

    def __init__(self, timing: ClipTiming, *, stills: bool = False) -> None:
        self._timing, self._stills = timing, stills
        self._clips: dict[int, ClipSampler] = {}

    def append(self, scene: Scene) -> tuple[ClipWindow, ...]:
        """Take in a scene; return the clips of the tracks measured in it."""
        t_ns = scene.frame.t_ns
        windows = []
        for track in scene.tracks:
            if track.face is not None:
                clip = self._clips.setdefault(track.track_id, ClipSampler(self._timing))
                at_rest = not self._stills and shows_nothing(track.face.action_units.intensity)
                windows.append(clip.add(track.track_id, t_ns, track.face.crop, at_rest))
        gone_ns = t_ns - self._timing.max_gap_ms * 1e6
        self._clips = {k: clip for k, clip in self._clips.items() if clip.seen_ns >= gone_ns}
        return tuple(windows)


class FaceHistory:
    """The faces of every track over the last 0.6 s; the vision thread's alone.

    Values are passed on as they are: a window costs two tuples of references.
    """

    def __init__(self) -> None:
        self._moments: dict[int, deque[tuple[int, Face]]] = {}

    def append(self, scene: Scene) -> tuple[FaceWindow, ...]:
        """Take in a scene; return the windows of the tracks measured in it."""
        t_ns = scene.frame.t_ns
        oldest_ns = t_ns - MOMENTS_S * 1e9
        windows = []
        for track in scene.tracks:
            if track.face is not None:
                moments = self._moments.setdefault(track.track_id, deque())
                moments.append((t_ns, track.face))
                while moments[0][0] < oldest_ns:
                    moments.popleft()
                times, faces = zip(*moments, strict=True)
                windows.append(FaceWindow(track.track_id, times, faces))
        self._moments = {k: m for k, m in self._moments.items() if m[-1][0] >= oldest_ns}
        return tuple(windows)
