"""What every face displayed, on one line of time: for the timeline, and for looking back.

A sink: its own thread writes, any thread reads. Nothing of Qt.
"""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

import cv2
import numpy as np

from realtime_affect.markers import NewMarkers
from realtime_affect.names import AU_INTENSITIES, EXPRESSIONS
from realtime_affect.outputs.csv_events import NewEvents
from realtime_affect.types import Frame, Scene

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from realtime_affect.capture import SourceInfo
    from realtime_affect.markers import Marker
    from realtime_affect.types import AffectResult, FacialEvent, Image, Reading, Track

POSE: Final = ("pitch", "yaw", "roll")
SERIES: Final = (*EXPRESSIONS, *AU_INTENSITIES, *POSE)
"""Columns of a face's values: probabilities, units 0 to 5, degrees."""

BIN_NS: Final = 50_000_000
_HOLD: Final = 6  # bins over which a value is shown on when none came
_GAP_BINS: Final = 10  # without a reading for longer, time is shown as missing
_UNSEEN, _WATCHED, _UNAVAILABLE = 0, 1, 2
_IMAGE_NS: Final = 100_000_000
_IMAGE_SIDE: Final = 640
_EMPTY: Final = 1200


@dataclass(frozen=True, slots=True)
class Spike:
    """A facial event of a face."""

    track_id: int
    event: FacialEvent


@dataclass(frozen=True, slots=True)
class Stretch:
    """One face over a stretch of time, in bins of :data:`BIN_NS`.

    Attributes
    ----------
    start_ns : int
        Source time of the first bin.
    values : (n, 28) float32
        In the order of :data:`SERIES`; NaN where nothing is known.
    unavailable : (n,) bool
        The face was measured and no micro-expression could have been spotted.
    missing : (n,) bool
        No reading came: a gap, or time that has not been yet.
    dropped : (n,) uint16
        Images of the source that were not analysed, before the readings of this bin.
    """

    start_ns: int
    values: NDArray[np.float32]
    unavailable: NDArray[np.bool_]
    missing: NDArray[np.bool_]
    dropped: NDArray[np.uint16]


class History:
    """Keep values, spikes and small images of the last seconds, or values of all of a session.

    Parameters
    ----------
    span_s : float or None
        How much is kept; None keeps everything and no images.
    """

    def __init__(self, span_s: float | None = 60.0) -> None:
        self._span = None if span_s is None else max(1, round(span_s * 1e9 / BIN_NS))
        self._lock = threading.Lock()
        self._first_bin: int | None = None
        self._n = 0
        self._present = np.zeros(_EMPTY, np.bool_)
        self._dropped = np.zeros(_EMPTY, np.uint16)
        self._newest_index: int | None = None
        self._values: dict[int, NDArray[np.float32]] = {}
        self._watched: dict[int, NDArray[np.uint8]] = {}
        self._seen_ns: dict[int, int] = {}
        self._new, self._new_markers = NewEvents(), NewMarkers()
        self._markers: deque[Marker] = deque(maxlen=None if span_s is None else 2000)
        self._spikes: deque[Spike] = deque(maxlen=None if span_s is None else 2000)
        self._images: deque[tuple[Reading, tuple[int, int], bytes]] = deque()
        self._newest_ns = 0

    def open(self, info: SourceInfo) -> None:
        """Begin; nothing is written anywhere."""

    def close(self) -> None:
        """Keep what there is, to look back on."""

    def write(self, reading: Reading) -> None:
        """Take in one reading."""
        image = self._compressed(reading)
        with self._lock:
            t_ns = reading.scene.frame.t_ns
            place = self._place(t_ns)
            self._note_dropped(reading.scene.frame, place)
            self._newest_ns = max(self._newest_ns, t_ns)
            self._present[place] = True
            for track in reading.scene.tracks:
                self._add(track, reading.affect.results.get(track.track_id), place, t_ns)
            for track_id, event in self._new.take(reading):
                self._spikes.append(Spike(track_id, event))
            self._markers.extend(self._new_markers.take(reading.markers))
            if image is not None:
                height, width = reading.scene.frame.image.shape[:2]
                self._images.append((reading.without_images(), (width, height), image))
                oldest_ns = t_ns - (self._span or 0) * BIN_NS
                while self._images and self._images[0][0].scene.frame.t_ns < oldest_ns:
                    self._images.popleft()

    @property
    def span_ns(self) -> tuple[int, int]:
        """Source times of the first and the newest moment that is kept; (0, 0) before any."""
        with self._lock:
            if self._first_bin is None:
                return 0, 0
            start = self._first_bin
            if self._span is not None:
                start = max(start, self._newest_ns // BIN_NS - self._span)
            return start * BIN_NS, self._newest_ns

    @property
    def track_ids(self) -> tuple[int, ...]:
        """Faces of which something is kept, by id."""
        with self._lock:
            return tuple(sorted(self._values))

    def spikes(self, start_ns: int, end_ns: int) -> list[Spike]:
        """Return the facial events with their apex in a stretch of source time."""
        with self._lock:
            return [s for s in self._spikes if start_ns <= s.event.apex_ns <= end_ns]

    @property
    def markers(self) -> tuple[Marker, ...]:
        """Those that the readings carried, whoever set them."""
        with self._lock:
            return tuple(self._markers)

    def stretch(self, track_id: int | None, start_ns: int, end_ns: int) -> Stretch:
        """Return what a face displayed from `start_ns` to `end_ns`; of no face, only the gaps."""
        first, end = start_ns // BIN_NS, max(start_ns // BIN_NS + 1, -(-end_ns // BIN_NS))
        n = end - first
        values = np.full((n, len(SERIES)), np.nan, np.float32)
        watched = np.zeros(n, np.uint8)
        present = np.zeros(n, np.bool_)
        dropped = np.zeros(n, np.uint16)
        with self._lock:
            if self._first_bin is not None:
                # A little more to the left, so that what holds on is not cut off.
                low = max(0, first - _GAP_BINS - self._first_bin)
                high = min(self._n, end - self._first_bin)
                if high > low:
                    here = np.s_[low:high]
                    at = low + self._first_bin - first
                    known = self._present[low:high].copy()
                    of = self._values.get(track_id or 0)
                    part = None if of is None else of[here].copy()
                    states = None if of is None else self._watched[track_id or 0][here].copy()
                    _lay(present, _held(known, _GAP_BINS), at)
                    _lay(dropped, self._dropped[here].copy(), at)
                    if part is not None and states is not None:
                        source = _hold_from(np.asarray(np.isfinite(part).any(axis=1)), _HOLD)
                        part = np.where(source[:, None] >= 0, part[source], np.nan)
                        _lay(values, part, at)
                        _lay(watched, np.where(source >= 0, states[source], 0), at)
        return Stretch(first * BIN_NS, values, watched == _UNAVAILABLE, ~present, dropped)

    def at(self, t_ns: int) -> Reading | None:
        """Return the kept reading nearest to a source time, with its image; None without one."""
        with self._lock:
            if not self._images:
                return None
            reading, (width, height), data = min(
                self._images, key=lambda kept: abs(kept[0].scene.frame.t_ns - t_ns)
            )
        small = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
        if small is None:
            return None
        image = np.asarray(cv2.resize(small, (width, height)), np.uint8)
        frame = reading.scene.frame
        frame = Frame(frame.index, frame.t_ns, frame.captured_ns, image, frame.name)
        return replace(reading, scene=Scene(frame, reading.scene.tracks))

    def _compressed(self, reading: Reading) -> bytes | None:
        """Return a small JPEG of the image, ten times a second."""
        frame = reading.scene.frame
        if self._span is None or not frame.image.size:
            return None
        if self._images and frame.t_ns - self._images[-1][0].scene.frame.t_ns < _IMAGE_NS:
            return None
        return jpeg_of(frame.image, _IMAGE_SIDE)

    def _note_dropped(self, frame: Frame, place: int) -> None:
        """Count the images between this reading and the last; after a longer time it is a gap."""
        n = 0 if self._newest_index is None else frame.index - self._newest_index - 1
        self._newest_index = frame.index
        if n > 0 and frame.t_ns - self._newest_ns <= _GAP_BINS * BIN_NS:
            room = np.iinfo(np.uint16).max - int(self._dropped[place])
            self._dropped[place] += min(room, n)

    def _place(self, t_ns: int) -> int:
        """Return the bin of a source time, with room made for it."""
        bin_ = t_ns // BIN_NS
        if self._first_bin is None or bin_ < self._first_bin:
            # A clip that starts again, or a clock set back: earlier times no longer mean anything.
            self._first_bin, self._n = bin_, 0
            self._present[:] = False
            self._dropped[:] = 0
            self._values.clear()
            self._watched.clear()
            self._images.clear()
        place = bin_ - self._first_bin
        if self._span is not None and place >= 2 * self._span:
            self._move_on(place - self._span)
            place = bin_ - self._first_bin
        self._n = max(self._n, place + 1)
        if self._n > len(self._present):
            self._grow(max(self._n, 2 * len(self._present)))
        return place

    def _move_on(self, by: int) -> None:
        """Let go of the first `by` bins."""
        assert self._first_bin is not None
        self._first_bin += by
        kept = max(0, self._n - by)
        for arrays in (self._values, self._watched):
            for track_id, array in arrays.items():
                moved = np.full_like(array, 0 if array.ndim == 1 else np.nan)
                moved[:kept] = array[by : by + kept]
                arrays[track_id] = moved  # type: ignore[assignment]  # each into its own
        self._present[:kept] = self._present[by : by + kept]
        self._present[kept:] = False
        self._dropped[:kept] = self._dropped[by : by + kept]
        self._dropped[kept:] = 0
        self._n = kept
        oldest_ns = self._first_bin * BIN_NS
        for track_id in [n for n, seen_ns in self._seen_ns.items() if seen_ns < oldest_ns]:
            for known in (self._values, self._watched, self._seen_ns):
                known.pop(track_id, None)

    def _grow(self, size: int) -> None:
        more = size - len(self._present)
        self._present = np.concatenate([self._present, np.zeros(more, np.bool_)])
        self._dropped = np.concatenate([self._dropped, np.zeros(more, np.uint16)])
        for track_id, values in self._values.items():
            room = np.full((more, len(SERIES)), np.nan, np.float32)
            self._values[track_id] = np.concatenate([values, room])
            states = self._watched[track_id]
            self._watched[track_id] = np.concatenate([states, np.zeros(more, np.uint8)])

    def _add(self, track: Track, result: AffectResult | None, place: int, t_ns: int) -> None:
        face = track.face
        if face is None:
            return
        if track.track_id not in self._values:
            size = len(self._present)
            self._values[track.track_id] = np.full((size, len(SERIES)), np.nan, np.float32)
            self._watched[track.track_id] = np.zeros(size, np.uint8)
        self._seen_ns[track.track_id] = t_ns
        row = self._values[track.track_id][place]
        expression = None if result is None else result.expression
        if expression is not None:
            row[: len(EXPRESSIONS)] = expression.probabilities
        units = row[len(EXPRESSIONS) : -len(POSE)]
        np.fmax(units, face.action_units.intensity, out=units)  # a short movement stays visible
        row[-len(POSE) :] = np.rad2deg(face.pose.rotation_rad)
        if result is not None and result.micro is not None:
            reason = result.micro.unavailable_reason
            self._watched[track.track_id][place] = _UNAVAILABLE if reason else _WATCHED


def jpeg_of(image: Image, side: int) -> bytes:
    """Return a JPEG of a BGR image, no longer than `side` pixels."""
    scale = min(1.0, side / max(image.shape[:2]))
    if scale < 1:
        size = (max(1, round(image.shape[1] * scale)), max(1, round(image.shape[0] * scale)))
        image = np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)
    return bytes(cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, 80])[1])


def runs_of(flags: Sequence[bool] | NDArray[np.bool_]) -> list[tuple[int, int]]:
    """Return the stretches (first, end) in which `flags` is true."""
    steps = np.flatnonzero(np.diff(np.concatenate([[False], flags, [False]]).astype(np.int8)))
    return [(int(a), int(b)) for a, b in steps.reshape(-1, 2)]


def _lay(target: NDArray[np.generic], part: NDArray[np.generic], at: int) -> None:
    """Copy `part` into `target` from place `at` on, as far as it lies in it."""
    cut = max(0, -at)
    n = min(len(part) - cut, len(target) - max(0, at))
    if n > 0:
        target[max(0, at) : max(0, at) + n] = part[cut : cut + n]


def _hold_from(known: NDArray[np.bool_], most: int) -> NDArray[np.intp]:
    """Return for each bin the last known one at most `most` before it, or -1."""
    places = np.arange(len(known))
    last = np.maximum.accumulate(np.where(known, places, -1))
    return np.where((last >= 0) & (places - last <= most), last, -1)


def _held(known: NDArray[np.bool_], most: int) -> NDArray[np.bool_]:
    return np.asarray(_hold_from(known, most) >= 0, np.bool_)
