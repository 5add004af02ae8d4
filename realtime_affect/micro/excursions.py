"""Where regions of a face are, over time -> movements that came and went.

One track's displacements are put on an even grid of time. Lifting's CDF 5/3 wavelet, aligned with
every moment in turn, tells at four scales (33 to 267 ms) how far a region is from the line between
where it was before and where it is after: a brief excursion stays, whereas drift, a posture held
and the middle of a slow movement cancel. What rises over the threshold of its moment at any
scale is followed in the displacement itself, which says when it began, was strongest and was gone,
whether it came back at all, and whether it stands alone: speech and expressions go on and on.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple

import numpy as np

from affect_kernels.excursion_scores.cpu import score_moment
from affect_kernels.lifting import WAVELETS, analyse
from realtime_affect.micro.config import MicroConfig

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from realtime_affect.types import Float64

# What follows is how movements are measured, tied to each other and to the filters; what counts as
# a movement is in MicroConfig.

TICK_HZ: Final = 30.0
"""Of the grid of time; faster sources are averaged onto it, for deciding, not for timing."""

_TICK_NS: Final = round(1e9 / TICK_HZ)
_LEVELS: Final = 4  # scales of 33, 67, 133 and 267 ms: from one frame to half of max_micro_s
_BEFORE: Final = 24  # ticks before and after a moment that the coarsest level's filter reaches
_AFTER: Final = 16
_DELAY: Final = 18  # ticks after an apex at which it is decided: 0.6 s, two more than _AFTER
_SIGHT: Final = 22  # ticks before an apex in which its onset is sought: _REACH and what is around
_APART: Final = 6  # ticks within which only the strongest moment is an apex: 0.2 s
_GATE: Final = (
    2  # ticks around a moment whose doubts count for it: a blink is noticed early or late
)
_KEPT: Final = 64  # ticks remembered: _BEFORE, _SIGHT and _DELAY all lie within
_ROOM: Final = 4 * _KEPT  # rows of memory: one in 192 ticks moves all that is remembered
_REFRESH: Final = 15  # moments between two looks at what is calm: half a second, for its cost
_REACH: Final = (3, 5, 8, 20)  # ticks from an apex to its feet, by the level that shows it best
_AWAY: Final = (6, 7, 9, 13)  # ticks from an apex at which only drift is left, by level
_FEW: Final = 4  # ticks at either end of what is seen that tell where a course came from and went
_RISE: Final = 8  # ticks before an apex in which all of a micro-expression's way is gone
_NEAR: Final = 4  # ticks around the moment of the strongest detail in which the apex itself lies

# Of a course's height, which its weights make about 1:
_FLANK: Final = (0.2, 0.5)  # between them flanks are straight: feet are where their lines end
_RETURNED: Final = 0.5  # the smaller side over the larger: what came back at least by half
_TALL: Final = 0.2  # what is lower is noise on the way of something else
_TURNED: Final = (0.25, 0.05)  # rise over the foot, relative and in all, that begins another one
_GONE: Final = 0.25  # height below which a movement that was held has come back


@cache
def detail_filters() -> Float64:
    """Return (4, 41): a moment's detail at four levels from the 24 ticks before and 16 after it.

    Rows are what :func:`affect_kernels.lifting.analyse` answers to impulses, its scale undone, so
    that a level tells a displacement in the signal's own unit. A wavelet of every level is laid so
    that the moment is one of those it keeps as a detail; a level's slots are 2, 4, 8, 16 ticks.
    """
    width = _BEFORE + 1 + _AFTER
    filters = np.zeros((_LEVELS, width))
    for level in range(1, _LEVELS + 1):
        half = 2 ** (level - 1)
        at = max(k for k in range(half, _BEFORE + 1, 2 * half))
        first = _BEFORE - at
        bands = analyse(np.eye(width - first)[:, None, :], WAVELETS["cdf53"])
        for _ in range(level - 1):
            bands = analyse(bands[0], WAVELETS["cdf53"])
        # Each level scales its approximation up and its detail down.
        unscaled = bands[1][(at // half - 1) // 2, 0] * 2.0 ** (1.0 - level / 2.0)
        filters[level - 1, first:] = unscaled
    return filters


class Excursion(NamedTuple):
    """A movement that came and went.

    Attributes
    ----------
    kind : {"micro", "macro"}
    onset_ns, apex_ns, offset_ns, decided_ns : int
        As in :class:`~realtime_affect.types.FacialEvent`.
    score : float
    strengths : (R,) float64
        How often each region's excursion held its threshold.
    moves : (R, 2) float64
        From onset to apex, in inter-ocular distances: to the image's right, down.
    """

    kind: Literal["micro", "macro"]
    onset_ns: int
    apex_ns: int
    offset_ns: int
    decided_ns: int
    score: float
    strengths: Float64
    moves: Float64


class Shape(NamedTuple):
    """Course of one movement: times in ticks, and whether it came back."""

    onset: float
    apex: int
    offset: float
    returned: bool


def measure_excursion(course: Float64, at: int, reach: int) -> Shape:
    """Measure the excursion around `at` in a course (n,), upwards, of about unit height.

    Its foot on either side is the lowest point within `reach` before the course rises again by a
    quarter. It begins and ends where straight lines through a fifth and a half of its height meet
    the feet.
    """
    apex = at - _NEAR + int(course[at - _NEAR : at + _NEAR + 1].argmax())
    left, onset = _side(course[apex::-1][: reach + 1])
    right, offset = _side(course[apex:][: reach + 1])
    smaller, larger = sorted((left, right))
    return Shape(apex - onset, apex, apex + offset, smaller >= _RETURNED * larger > _TALL)


def _take_out_drift(course: Float64, level: int) -> None:
    """Subtract the line that a course of _SIGHT + _DELAY + 1 ticks follows away from its middle."""
    places, shares, ticks = _away(level)
    slope, height = shares @ course[places]
    course -= slope * ticks + height


@cache
def _away(level: int) -> tuple[NDArray[np.intp], Float64, NDArray[np.intp]]:
    """Return the ticks that tell drift, what each adds to its slope and height, and all ticks."""
    ticks = np.arange(-_SIGHT, _DELAY + 1)
    places = np.flatnonzero(np.abs(ticks) > _AWAY[level])
    ones = np.stack([ticks[places], np.ones(len(places))], axis=1)
    return places, np.linalg.pinv(ones), ticks


def _line(x: NDArray[Any], y: Float64) -> tuple[float, float]:
    """Return slope and height at 0 of the line nearest to points, by least squares."""
    middle = float(x.mean())
    centred = x - middle
    slope = float(centred @ y / (centred @ centred))
    return slope, float(y.mean()) - slope * middle


def restlessness(course: Float64, shape: Shape) -> float:
    """Return how far a course strays from straight lines before and after its excursion.

    Relative to the excursion's height: speech goes on and on, a micro-expression stands alone.
    """
    first, last = max(0, int(shape.onset)), min(len(course) - 1, int(np.ceil(shape.offset)))
    height = float(course[shape.apex]) - 0.5 * float(course[first] + course[last])
    strays = [0.0]
    for part in (course[: max(0, first - 1)], course[last + 2 :]):
        if len(part) >= _FEW:
            ticks = np.arange(len(part))
            slope, start = _line(ticks, part)
            strays.append(float(np.ptp(part - slope * ticks - start)))
    return max(strays) / max(height, 1e-9)


def _side(course: Float64) -> tuple[float, float]:
    """Return how high an apex, the first of `course`, stands over its foot, and how far off."""
    top = foot = float(course[0])
    last = 0
    for k, level in enumerate(course.tolist()):
        if level < foot:
            foot, last = level, k
        elif level > top or level - foot > _TURNED[0] * (top - foot) + _TURNED[1]:
            break
    height = top - foot
    if last == 0 or height <= 0.0:
        return 0.0, 0.0
    falling = np.minimum.accumulate(course[: last + 1])
    low, high = _FLANK
    lower, upper = (
        float(np.interp(-(foot + share * height), -falling, np.arange(last + 1.0)))
        for share in (low, high)
    )
    return height, min(lower + (lower - upper) * (low / (high - low)), float(last))


class _Ticks:
    """Displacements and doubts on the grid of time; the newest last."""

    def __init__(self, regions: int) -> None:
        # Rows are written one behind another, and moved back when the room is full.
        self._places = np.zeros((_ROOM, regions, 2))
        self._doubts = np.ones((_ROOM, regions))
        self._end = _KEPT
        self.places, self.doubts = self._places[:_KEPT], self._doubts[:_KEPT]
        self.n = 0
        """Ticks there were; the newest is at [-1]."""
        self._first_ns = 0
        self._frames: list[tuple[int, Float64, Float64]] = []

    def add(self, t_ns: int, places: Float64, doubts: Float64) -> Iterator[int]:
        """Take in a frame; yield the times of the ticks that it completes, one at a time."""
        if not self._frames:
            self._first_ns = t_ns
        self._frames.append((t_ns, places, doubts))
        while (at := self._first_ns + self.n * _TICK_NS) + _TICK_NS // 2 <= t_ns:
            while len(self._frames) > 2 and self._frames[1][0] < at - _TICK_NS // 2:
                self._frames.pop(0)
            self._roll(at)
            self.n += 1
            yield at

    def _roll(self, at: int) -> None:
        frames = self._frames  # in the order of time
        before, after = frames[0], frames[-1]
        near = []
        for frame in frames:
            if frame[0] <= at:
                before = frame
            if frame[0] >= at and after[0] > frame[0]:
                after = frame
            if abs(frame[0] - at) <= _TICK_NS // 2:
                near.append(frame)
        if len(near) > 1:
            places = np.add.reduce([f[1] for f in near]) / len(near)
        else:
            share = (at - before[0]) / max(1, after[0] - before[0])
            places = before[1] + share * (after[1] - before[1])
        if self._end == _ROOM:
            for room in (self._places, self._doubts):
                room[:_KEPT] = room[-_KEPT:]
            self._end = _KEPT
        self._places[self._end] = places
        newest = self._doubts[self._end]
        np.maximum(before[2], after[2], out=newest)
        for frame in near:
            if frame is not before and frame is not after:
                np.maximum(newest, frame[2], out=newest)
        self._end += 1
        kept = slice(self._end - _KEPT, self._end)
        self.places, self.doubts = self._places[kept], self._doubts[kept]


@dataclass(slots=True)
class _Held:
    """A movement that has not come back yet.

    Attributes
    ----------
    weights : (R, 2) float64
        What makes its course of displacements.
    foot, top : float
        Of its course: before the movement, and highest so far.
    excursion : Excursion
        As far as it is known.
    ticks : int
        Since it was noticed.
    """

    weights: Float64
    foot: float
    top: float
    excursion: Excursion
    ticks: int = 0


class ExcursionDetector:
    """Find movements that came and went in the displacements of one track, frame by frame.

    Parameters
    ----------
    regions : int
    config : MicroConfig, optional
    """

    def __init__(self, regions: int, config: MicroConfig | None = None) -> None:
        self._config = config or MicroConfig()
        self._ticks = _Ticks(regions)
        self._scores = np.zeros((_KEPT, _LEVELS))  # by tick, the newest last, as in _Ticks
        self._times = np.full((_LEVELS, 1), self._config.times_calm)
        self._times[-1] = self._config.times_drift
        self._past = np.zeros((round(self._config.calm_s * TICK_HZ), _LEVELS, regions))
        self._n_past = 0
        self.thresholds = np.full((_LEVELS, regions), self._config.floor_iod)
        """Of each level and region at this moment, in inter-ocular distances."""
        self._taken_ns = -sys.maxsize  # source times may lie below zero
        self._held: _Held | None = None

    @property
    def warming_up(self) -> bool:
        """Whether too little has been seen to tell anything."""
        return self._ticks.n < self._config.warm_up_s * TICK_HZ

    def add(self, t_ns: int, places: Float64, doubts: Float64, longest_s: float) -> list[Excursion]:
        """Take in a frame.

        Parameters
        ----------
        t_ns : int
            Source time, after the last one's.
        places : (R, 2) float64
            Displacement of each region, in inter-ocular distances.
        doubts : (R,) float64
            How much higher than usual the threshold of each region is at this moment; infinite
            where it cannot be judged.
        longest_s : float
            Longest movement that is called brief at the source's frame rate.

        Returns
        -------
        list of Excursion
            Decided on this frame.
        """
        excursions = []
        for now_ns in self._ticks.add(t_ns, places, doubts):
            self._scores[:-1] = self._scores[1:]
            self._scores[-1] = 0.0
            if self._ticks.n >= _KEPT:
                self._weigh()
                excursion = self._decide(now_ns, longest_s) or self._follow_held(now_ns, longest_s)
                if excursion is not None:
                    excursions.append(excursion._replace(decided_ns=t_ns))
        return excursions

    def _weigh(self) -> None:
        """Score the newest moment that has its surroundings; learn what is usual."""
        at = _KEPT - 1 - _AFTER
        ticks = self._ticks
        seen = (
            ticks.places[at - _BEFORE : at + _AFTER + 1],
            ticks.doubts[at - _GATE : at + _GATE + 1], detail_filters(),
        )  # fmt: skip
        excursions, scores, judged = score_moment(*seen, self.thresholds)
        if judged:
            self._past[self._n_past % len(self._past)] = excursions
            self._n_past += 1
            if self._n_past % _REFRESH == 0:
                past = self._past[: self._n_past]
                # Its quieter quarter: speech and expressions are no noise.
                rank = len(past) // 4
                calm = np.partition(past, rank, axis=0)[rank]
                self.thresholds = np.maximum(self._config.floor_iod, self._times * calm)
                scores = score_moment(*seen, self.thresholds).scores
        self._scores[at] = scores

    def _detail(self, at: int, level: int) -> Float64:
        """Return a level's details (R, 2) of a moment."""
        surroundings = self._ticks.places[at - _BEFORE : at + _AFTER + 1]
        found: Float64 = detail_filters()[level] @ surroundings.reshape(len(surroundings), -1)
        return found.reshape(-1, 2)

    def _doubts(self, at: int) -> Float64:
        return self._ticks.doubts[at - _GATE : at + _GATE + 1].max(axis=0)  # type: ignore[no-any-return]

    def _decide(self, now_ns: int, longest_s: float) -> Excursion | None:
        """Decide on the moment whose surroundings have been seen far enough.

        It is looked at by every scale that finds it strongest among its neighbours: where a
        movement begins or ends, a finer one may see more than a coarser one does at its apex.
        """
        at = _KEPT - 1 - _DELAY
        scores = self._scores[at]
        if self.warming_up or scores.max() < 1.0:  # nearly always
            return None
        near = self._scores[at - _APART : at + _DELAY - _AFTER + 1].max(axis=0)
        found = None
        for level in np.argsort(-scores).tolist():
            if scores[level] < max(1.0, float(near[level])):
                continue
            excursion = self._measure(at, level, now_ns, longest_s)
            if excursion is not None and (found is None or excursion.kind == "micro"):
                found = excursion
                if excursion.kind == "micro":
                    break
        if found is None:
            return None
        self._taken_ns = found.offset_ns
        return found._replace(score=float(near.max()))

    def _measure(self, at: int, level: int, now_ns: int, longest_s: float) -> Excursion | None:
        """Follow the excursion that a level shows at a moment; None for what did not come back."""
        detail, limits = self._detail(at, level), self.thresholds[level] * self._doubts(at)
        strengths = np.hypot(detail[:, 0], detail[:, 1]) / limits
        taking_part = strengths >= self._config.taking_part * strengths.max()
        weights = np.where(taking_part, 1.0 / (limits * limits), 0.0)[:, None] * detail
        weights /= (weights * detail).sum()
        places = self._ticks.places[at - _SIGHT : at + _DELAY + 1]
        raw = places.reshape(len(places), -1) @ weights.reshape(-1)
        course = raw.copy()
        _take_out_drift(course, level)
        shape = measure_excursion(course, _SIGHT, _REACH[level])
        first_ns = now_ns - (_DELAY + _SIGHT) * _TICK_NS
        onset, apex, offset = (first_ns + round(tick * _TICK_NS) for tick in shape[:3])
        brief = offset - onset <= longest_s * 1e9
        excursion = Excursion(
            "micro" if brief else "macro", onset, apex, offset, 0, float(self._scores[at, level]),
            strengths, places[shape.apex] - places[max(0, int(shape.onset))],
        )  # fmt: skip
        left = abs(float(raw[-_FEW:].mean() - raw[:_FEW].mean()))
        limit = self._config.max_left_over_micro if brief else self._config.max_left_over
        if left > limit or not shape.returned:
            self._hold(raw, weights, excursion, first_ns)
            return None
        if onset <= self._taken_ns:
            return None
        way = float(np.hypot(*excursion.moves.T).max())
        strays = restlessness(course, shape) * max(1.0, way / self._config.slight_iod)
        rise = places[shape.apex - _RISE : shape.apex] - places[shape.apex]
        gesture = (
            brief and float(np.hypot(rise[..., 0], rise[..., 1]).max()) > self._config.widest_iod
        )
        alone = strays <= self._config.max_restlessness and not gesture
        return excursion if alone else None

    def _hold(self, course: Float64, weights: Float64, excursion: Excursion, first_ns: int) -> None:
        """Keep an eye on a course that rose and stayed, unless another one is being followed."""
        foot, top = float(course[:_FEW].mean()), float(course[-_FEW:].mean())
        if self._held is not None or top - foot < _RETURNED:
            return
        below = np.flatnonzero(course < foot + _FLANK[0] * (top - foot))
        onset_ns = first_ns + int(below[-1]) * _TICK_NS
        # What was noticed first may have been a peak before it rose for good.
        apex_ns = max(onset_ns, excursion.apex_ns)
        excursion = excursion._replace(onset_ns=onset_ns, apex_ns=apex_ns)
        self._held = _Held(weights, foot, top, excursion)

    def _follow_held(self, now_ns: int, longest_s: float) -> Excursion | None:
        """Follow a movement of ordinary length until it comes back, or is a new posture.

        One that comes back briefly is left to its own apex.
        """
        held = self._held
        if held is None:
            return None
        held.ticks += 1
        level = float((self._ticks.places[-1] * held.weights).sum())
        if level > held.top:
            held.top = level
            held.excursion = held.excursion._replace(apex_ns=now_ns)
        if level > held.foot + _GONE * (held.top - held.foot):
            if held.ticks > round(self._config.max_macro_s * TICK_HZ):
                self._held = None
            return None
        self._held = None
        brief = now_ns - held.excursion.onset_ns <= longest_s * 1e9
        if brief or held.excursion.onset_ns <= self._taken_ns:
            return None
        return held.excursion._replace(kind="macro", offset_ns=now_ns)
