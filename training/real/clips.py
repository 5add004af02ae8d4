"""Clips of real people -> what the product makes of every face, frame by frame.

Frames go through vision, clips, expression and spotting as in offline analysis, without the threads
between them; gaze is left out. What takes long, all but the expression, is kept in the user's
cache.
"""

from __future__ import annotations

import contextlib
import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import cv2
import numpy as np

from realtime_affect.affect.expression import ExpressionClassifier, clip_timing
from realtime_affect.affect.history import ClipSampler, FaceHistory, shows_nothing
from realtime_affect.capture import open_source
from realtime_affect.face.align import turn_to_front
from realtime_affect.face.pose import fit_heads
from realtime_affect.face.vision import Vision
from realtime_affect.micro.spotter import MicroSpotter
from realtime_affect.types import Frame
from training.real.cache import digest_of, kept

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from numpy.typing import NDArray

    from realtime_affect.affect.reported import ReportedExpression
    from realtime_affect.types import Image

CARDS: Final = ("blazeface_short", "blazeface_full", "face_mesh", "action_units")
MODULES: Final = ("face", "micro", "affect/history.py")
STRIP_FPS: Final = 30.0
STRIP_REST_S: Final = 2.0
STRIP_HOLD_S: Final = 1.0
"""A smile onset is played after 2 s of its first image, and its last one stays for 1 s."""
_STRIP_PX: Final = 112
_KEPT: Final = ("t_ns", "intensity", "occurrence", "calibration", "points", "observed")
_STRIP_FRAMES: Final = 16


@dataclass(frozen=True, slots=True)
class Watched:
    """One face through one clip.

    Attributes
    ----------
    t_ns : (n,) int64
        Source times at which it was measured.
    intensity : (n, 17) float32
    occurrence : (n, 18) float32
    calibration : (n,) float32
    points : (n, 468, 3) float32
        Meshes turned to the front, millimetres.
    moment_ns : (n,) int64
        Of the newest moment the expression was decided on, -1 before the first.
    probabilities : (n, 8) float32
        Decided on it.
    warming_up : (n,) bool
    observed : (n,) bool
        Whether a micro-expression could have been seen.
    spikes : (k, 2) int64
        Onset and offset of those that were spotted, source times.
    """

    t_ns: NDArray[np.int64]
    intensity: NDArray[np.float32]
    occurrence: NDArray[np.float32]
    calibration: NDArray[np.float32]
    points: NDArray[np.float32]
    moment_ns: NDArray[np.int64]
    probabilities: NDArray[np.float32]
    warming_up: NDArray[np.bool_]
    observed: NDArray[np.bool_]
    spikes: NDArray[np.int64]

    @property
    def seconds(self) -> float:
        """From the first frame to the last."""
        return float(self.t_ns[-1] - self.t_ns[0]) / 1e9

    @property
    def observed_s(self) -> float:
        """Time in which a micro-expression could have been seen."""
        both = self.observed[1:] & self.observed[:-1]
        return float(np.diff(self.t_ns)[both].sum()) / 1e9

    def report(self, report: ReportedExpression) -> list[str]:
        """Return what is reported at each moment, (m,) names, as the product does."""
        return [
            report.update(
                int(self.moment_ns[i]), self.probabilities[i],
                at_rest=shows_nothing(self.intensity[i]),
            )
            for i in self.moments().tolist()
        ]  # fmt: skip

    def moments(self) -> NDArray[np.int64]:
        """Return the rows on which a new moment was decided."""
        fresh = np.diff(self.moment_ns, prepend=-1) > 0
        return np.flatnonzero(fresh & (self.moment_ns >= 0))


def watch(frames: Iterable[Frame]) -> dict[str, NDArray[Any]]:
    """Run the product, but the expression, over frames; return all tracks' rows one after another.

    Returns
    -------
    dict
        The arrays of :class:`Watched` that do not depend on the expression, of all tracks;
        ``track`` (n,), whose each row is; ``slots`` (n, 48, 48) uint8, what the expression
        network looks at; ``spikes`` (k, 3), with the track first.
    """
    history = FaceHistory()
    rows: dict[int, list[tuple[Any, ...]]] = {}
    spikes: dict[tuple[int, int], int] = {}
    with contextlib.closing(Vision()) as vision, MicroSpotter() as spotter:
        for frame in frames:
            scene = vision.analyse(frame)
            spotted = spotter.decide(history.append(scene))
            for track in scene.tracks:
                if track.face is None:
                    continue
                mesh = track.face.mesh.points[None]
                units, spotting = track.face.action_units, spotted[track.track_id]
                rows.setdefault(track.track_id, []).append((
                    frame.t_ns, units.intensity, units.occurrence, units.calibration,
                    turn_to_front(mesh, fit_heads(mesh))[0], not spotting.unavailable_reason,
                    track.face.crop,
                ))  # fmt: skip
                for event in spotting.events:
                    if event.kind == "micro":
                        spikes[track.track_id, event.onset_ns] = event.offset_ns
    names = (*_KEPT, "slots")
    flat = [row for track_rows in rows.values() for row in track_rows]
    columns = dict(zip(names, zip(*flat, strict=True), strict=True)) if flat else {}
    arrays = {name: np.array(column) for name, column in columns.items()}
    arrays["track"] = np.repeat(list(rows), [len(r) for r in rows.values()])
    arrays["spikes"] = np.array(
        [(track, onset, offset) for (track, onset), offset in spikes.items()], np.int64
    ).reshape(-1, 3)
    return arrays


def tracks_of(arrays: dict[str, Any]) -> list[Watched]:
    """Return the faces of what :func:`watch` returned, the one seen in most frames first."""
    found = []
    for number in np.unique(arrays["track"]).tolist():
        own = arrays["track"] == number
        spikes = arrays["spikes"]
        known = {name: arrays[name][own] for name in _KEPT}
        shown = _decide(known["t_ns"], arrays["slots"][own], known["intensity"])
        found.append(Watched(**known, **shown, spikes=spikes[spikes[:, 0] == number, 1:]))
    return sorted(found, key=lambda face: len(face.t_ns), reverse=True)


def _decide(
    t_ns: NDArray[np.int64], slots: NDArray[np.uint8], intensity: NDArray[np.float32]
) -> dict[str, NDArray[Any]]:
    """Return what the expression network decides at every frame of one face."""
    clip = ClipSampler(clip_timing())
    shown = []
    with ExpressionClassifier() as classifier:
        for now_ns, slot, units in zip(t_ns.tolist(), slots, intensity, strict=True):
            window = clip.add(1, now_ns, slot, shows_nothing(units))
            shown.append(classifier.decide([window])[1])
    return {
        "moment_ns": np.array([expression.t_ns for expression in shown], np.int64),
        "probabilities": np.array([expression.probabilities for expression in shown]),
        "warming_up": np.array([expression.warming_up for expression in shown]),
    }


def watch_clip(clip: Path, cache: Path) -> list[Watched]:
    """Return what the product makes of the faces of a clip."""

    def make() -> dict[str, NDArray[Any]]:
        with contextlib.closing(open_source(clip, live=False)) as source:
            return watch(iter(lambda: source.read(10.0), None))

    digest = digest_of(CARDS, MODULES, hashlib.sha256(clip.read_bytes()).digest())
    return tracks_of(kept(cache, f"clip-{clip.stem}", digest, make))


def watch_strip(strip: Path, cache: Path) -> Watched:
    """Return what the product makes of a smile onset, played as :func:`strip_frames` does."""
    timing = f"{STRIP_FPS} {STRIP_REST_S} {STRIP_HOLD_S}"
    digest = digest_of(CARDS, MODULES, hashlib.sha256(strip.read_bytes()).digest(), timing)

    def make() -> dict[str, NDArray[Any]]:
        return watch(strip_frames(strip))

    return tracks_of(kept(cache, f"strip-{strip.stem}", digest, make))[0]


def strip_frames(strip: Path) -> Iterator[Frame]:
    """Yield frames of a smile onset: 2 s of the first image, 16 frames at 30 fps, 1 s of the last.

    The image of index ``round(2 s * 30 fps)`` is the first of the 16: the onset.
    """
    picture = cv2.imread(str(strip))
    images = [_enlarge(picture[:, i * _STRIP_PX : (i + 1) * _STRIP_PX])
              for i in range(_STRIP_FRAMES)]  # fmt: skip
    before, after = round(STRIP_REST_S * STRIP_FPS), round(STRIP_HOLD_S * STRIP_FPS)
    played = [images[0]] * before + images + [images[-1]] * after
    for index, image in enumerate(played):
        t_ns = round(index / STRIP_FPS * 1e9)
        yield Frame(index, t_ns, t_ns, image)


def _enlarge(small: Image) -> Image:
    """Enlarge a face three times, with a border for the detector."""
    side = 3 * _STRIP_PX
    image = cv2.resize(small, (side, side), interpolation=cv2.INTER_CUBIC)
    edges = (_STRIP_PX,) * 4
    return cv2.copyMakeBorder(image, *edges, cv2.BORDER_REPLICATE)
