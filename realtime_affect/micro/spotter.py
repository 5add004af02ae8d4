"""FaceWindows -> micro-expressions: when, where, and which class HTNet-Live gives them.

A reading says that a face moved briefly, or why such movements cannot be seen at the moment. It
does not say what someone feels or hides: state of the art finds few of the micro-expressions in
unseen video at webcam frame rates, and a micro-expression may be anything.
"""

from __future__ import annotations

import math
import sys
from bisect import bisect_left, insort
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol

import numpy as np

from affect_engines.base import Closeable
from realtime_affect.micro.config import MicroConfig
from realtime_affect.micro.excursions import ExcursionDetector
from realtime_affect.micro.flow import flow_map, stiff_places
from realtime_affect.micro.skin_motion import MOUTH_REGIONS, REGIONS, SkinMotion
from realtime_affect.names import MICRO_CLASSES
from realtime_affect.types import FacialEvent, Spotting

if TYPE_CHECKING:
    from collections.abc import Sequence

    from affect_engines import ModelCard
    from realtime_affect.micro.excursions import Excursion
    from realtime_affect.micro.skin_motion import Skin
    from realtime_affect.types import Face, FaceWindow, Float32, Float64, Image

__all__ = ["REGIONS", "Classifier", "MicroSpotter", "units_of"]

_FPS_OVER_S: Final = 1.0  # long enough for a steady number, short enough to notice a slow camera
_FPS_ERROR: Final = 0.5  # a camera of 25 frames a second may count 24.6 within one
_KEPT_S: Final = 2.2  # images, for the flow from onset to apex: ExcursionDetector's 64 ticks
_GONE_S: Final = 2.0  # a track away for so long would begin anew; its memory is freed
_TURN_FRAMES: Final = 5  # over which turning is measured: fewer would measure the mesh's jitter
_GAPS: Final = 90  # frames whose middle one is the lids' usual gap: some 3 s, with few blinks


class Classifier(Protocol):
    """What :class:`MicroSpotter` needs of HTNet-Live."""

    def classify(self, maps: Float32) -> Float32:
        """Return probabilities (n, 4) of MICRO_CLASSES for flow maps (n, 56, 56, 3)."""

    def close(self) -> None:
        """Free the network."""


@dataclass(frozen=True, slots=True)
class _Move:
    """A unit, and the way its region goes: x outwards from the middle of the face, y down."""

    unit: str
    part: str
    x: float
    y: float


_MOVES: Final = (
    _Move("AU01", "inner brow", 0.0, -1.0),
    _Move("AU02", "outer brow", 0.0, -1.0),
    _Move("AU04", "inner brow", -0.5, 0.85),
    _Move("AU04", "middle brow", -0.3, 0.95),
    _Move("AU06", "cheek", 0.0, -1.0),
    _Move("AU09", "nose wing", 0.0, -1.0),
    _Move("AU10", "upper lip", 0.0, -1.0),
    _Move("AU12", "mouth corner", 0.6, -0.8),
    _Move("AU14", "mouth corner", 1.0, 0.0),
    _Move("AU15", "mouth corner", 0.2, 1.0),
    _Move("AU17", "chin", 0.0, -1.0),
    _Move("AU20", "mouth corner", 0.95, 0.3),
    _Move("AU26", "chin", 0.0, 1.0),
)


def units_of(
    strengths: Float64, moves: Float64, config: MicroConfig | None = None
) -> tuple[str, ...]:
    """Name the action units whose way the moving regions went.

    Parameters
    ----------
    strengths : (R,) float64
        How often each region's excursion held its threshold.
    moves : (R, 2) float64
        From onset to apex, to the image's right and down.
    config : MicroConfig, optional

    Returns
    -------
    tuple of str
        In FACS's order; empty where no way fits.
    """
    config = config or MicroConfig()
    found = set()
    for i, region in enumerate(REGIONS):
        side, part = region.split(" ", 1)
        length = float(np.hypot(*moves[i]))
        if strengths[i] < config.taking_part * strengths.max() or length == 0.0:
            continue
        outwards = -1.0 if side == "right" else 1.0  # the person's right is the image's left
        x, y = outwards * moves[i, 0] / length, moves[i, 1] / length
        fits = [
            ((x * move.x + y * move.y) / np.hypot(move.x, move.y), move.unit)
            for move in _MOVES
            if move.part == part
        ]
        likeness, unit = max(fits, default=(0.0, ""))
        if likeness >= config.unit_likeness:
            found.add(unit)
    return tuple(sorted(found))


class _Watch:
    """What is remembered of one track."""

    def __init__(self, config: MicroConfig) -> None:
        self._config = config
        self.seen_ns = -sys.maxsize  # source times may lie below zero
        self.events: deque[FacialEvent] = deque()
        self._skin = SkinMotion(config.forget_s)
        self._detector = ExcursionDetector(len(REGIONS), config)
        self._times: deque[int] = deque()
        self._crops: deque[tuple[int, Image]] = deque()
        self._gaps: deque[float] = deque()
        self._ordered_gaps: list[float] = []
        self._turns: deque[tuple[int, Float64]] = deque(maxlen=_TURN_FRAMES)
        turns = (config.free_turn_deg_per_s, config.max_turn_deg_per_s)
        self._free_rad_per_s, self._max_rad_per_s = map(math.radians, turns)

    def watch(self, t_ns: int, face: Face) -> list[Excursion]:
        """Take in the next frame of the track."""
        assert face.stabilized is not None
        while self._times and t_ns - self._times[0] > _FPS_OVER_S * 1e9:
            self._times.popleft()
        self._times.append(t_ns)
        self._crops.append((t_ns, face.stabilized.image))
        while t_ns - self._crops[0][0] > _KEPT_S * 1e9:
            self._crops.popleft()
        self.seen_ns = t_ns
        skin = self._skin.follow(t_ns, face, face.stabilized)
        if skin is None:
            self._detector = ExcursionDetector(len(REGIONS), self._config)
            self._turns.clear()
            return []
        doubts = self._doubts(t_ns, face, skin)
        longest_s = self._config.max_micro_s + self._config.length_error_frames / max(self.fps, 1.0)
        return self._detector.add(t_ns, skin.places, doubts, longest_s)

    @property
    def fps(self) -> float:
        """Frames a second over the last second."""
        if len(self._times) < 2:
            return 0.0
        return (len(self._times) - 1) * 1e9 / (self._times[-1] - self._times[0])

    def _doubts(self, t_ns: int, face: Face, skin: Skin) -> Float64:
        """Return how much a movement of each region is to be doubted at this moment."""
        config = self._config
        gap = 0.5 * float(face.eye_openness[0] + face.eye_openness[1])
        if self._is_blink(gap):
            doubts = np.where(MOUTH_REGIONS, 1.0, config.blink_doubt)
        else:
            doubts = np.ones(len(REGIONS))
        self._turns.append((t_ns, skin.turn_rad))
        (then_ns, then), (now_ns, now) = self._turns[0], self._turns[-1]
        speed = math.hypot(*(now - then).tolist()) * 1e9 / max(1, now_ns - then_ns)
        times = max(1.0, speed / self._free_rad_per_s, skin.misfit / config.usual_misfit_iod)
        if times > 1.0:
            doubts *= times
        if speed > self._max_rad_per_s or self._unfit(face):
            doubts[:] = np.inf
        return doubts

    def _is_blink(self, gap: float) -> bool:
        """Return whether the lids' gap is small beside what it mostly was."""
        if math.isnan(gap):
            return False
        gaps, ordered = self._gaps, self._ordered_gaps
        if len(gaps) == _GAPS:
            del ordered[bisect_left(ordered, gaps.popleft())]
        gaps.append(gap)
        insort(ordered, gap)
        return gap < self._config.blink_dip * ordered[len(ordered) // 2]

    def unavailable_reason(self, face: Face) -> str:
        """Say why micro-expressions cannot be seen, or nothing."""
        return self._unfit(face) or ("warming up" if self._detector.warming_up else "")

    def _unfit(self, face: Face) -> str:
        """Say why this image shows no micro-expressions; while warming up it is learned from."""
        fps, quality, config = self.fps, face.quality, self._config
        if len(self._times) > 1 and fps < config.min_fps - _FPS_ERROR:
            return f"{fps:.0f} frames a second, {config.min_fps:.0f} are needed"
        if quality.size_px < config.min_size_px:
            return f"eyes {quality.size_px:.0f} px apart, {config.min_size_px:.0f} are needed"
        if quality.view_deg > config.max_view_deg:
            most = f"{config.max_view_deg:.0f} are allowed"
            return f"turned away by {quality.view_deg:.0f} degrees, {most}"
        if quality.sharpness < config.min_sharpness:
            return "the image of the face is blurred"
        return ""

    def picture_at(self, t_ns: int) -> Image:
        """Return the kept image nearest to a source time."""
        return min(self._crops, key=lambda kept: abs(kept[0] - t_ns))[1]


class MicroSpotter(Closeable):
    """Spot micro-expressions of every track; belongs to one thread.

    Parameters
    ----------
    classifier : Classifier, optional
        Tells the class of a movement from its flow; without one, probabilities are NaN. Closed
        with the spotter.
    config : MicroConfig, optional
    """

    def __init__(
        self, classifier: Classifier | None = None, config: MicroConfig | None = None
    ) -> None:
        self._classifier = classifier
        if classifier is not None:
            stiff_places()  # now, not when the first movement is seen
        self._config = config or MicroConfig()
        self._watches: dict[int, _Watch] = {}

    def decide(self, moments: Sequence[FaceWindow]) -> dict[int, Spotting]:
        """Look at every moment that is new; return what is to be told of each window's track.

        A window reaches back over moments whose own job was dropped: nothing is lost as long as
        its oldest one follows the newest one known.
        """
        told = {}
        for window in moments:
            watch = self._watches.get(window.track_id)
            if watch is None:
                watch = self._watches[window.track_id] = _Watch(self._config)
            for t_ns, face in zip(window.t_ns, window.faces, strict=True):
                if t_ns > watch.seen_ns and face.stabilized is not None:
                    watch.events += [
                        self._event(watch, excursion)
                        for excursion in watch.watch(t_ns, face)
                        if self._is_whole(excursion, watch.fps)
                    ]
            now_ns = window.t_ns[-1]
            while (
                watch.events and now_ns - watch.events[0].decided_ns > self._config.reported_s * 1e9
            ):
                watch.events.popleft()
            told[window.track_id] = Spotting(
                tuple(watch.events), watch.unavailable_reason(window.faces[-1])
            )
        if moments:
            self._forget(max(window.t_ns[-1] for window in moments))
        return told

    @property
    def cards(self) -> tuple[ModelCard, ...]:
        """Card of the classifier's network, if it has one."""
        return getattr(self._classifier, "cards", ())

    def reset(self) -> None:
        """Forget every track: the next moments are of another source."""
        self._watches = {}

    def close(self) -> None:
        """Free the classifier. Idempotent."""
        if self._classifier is not None:
            self._classifier.close()

    def _is_whole(self, excursion: Excursion, fps: float) -> bool:
        """Whether a movement is long enough to be more than a glitch in one frame."""
        length_s = (excursion.offset_ns - excursion.onset_ns) / 1e9
        return length_s >= self._config.min_length_frames / max(fps, 1.0)

    def _event(self, watch: _Watch, excursion: Excursion) -> FacialEvent:
        shares = np.full(len(MICRO_CLASSES), np.nan, np.float32)
        if self._classifier is not None and excursion.kind == "micro":
            pictures = watch.picture_at(excursion.onset_ns), watch.picture_at(excursion.apex_ns)
            shares = self._classifier.classify(flow_map(*pictures)[None])[0].copy()
        part = self._config.taking_part
        order = np.argsort(-excursion.strengths, kind="stable")
        took_part = [i for i in order if excursion.strengths[i] >= part * excursion.strengths.max()]
        return FacialEvent(
            excursion.kind, excursion.onset_ns, excursion.apex_ns, excursion.offset_ns,
            excursion.decided_ns, excursion.score, tuple(REGIONS[i] for i in took_part),
            units_of(excursion.strengths, excursion.moves, self._config), shares,
        )  # fmt: skip

    def _forget(self, now_ns: int) -> None:
        oldest_ns = now_ns - _GONE_S * 1e9
        self._watches = {k: w for k, w in self._watches.items() if w.seen_ns >= oldest_ns}
