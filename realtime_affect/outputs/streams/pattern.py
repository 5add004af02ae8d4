"""A test pattern: faces that show one thing after the other, for whoever builds the other side.

Nothing is analysed and no camera is opened; what is sent goes the way of real readings. Every
value is known from the time alone (:func:`shown_at`), so a receiver can be checked against it.
"""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

from realtime_affect.capture import SourceInfo, SourceState
from realtime_affect.names import AU_INTENSITIES, AU_OCCURRENCES, EXPRESSIONS
from realtime_affect.runtime.pipeline import Pipeline
from realtime_affect.types import (
    N_MESH_POINTS,
    ActionUnits,
    AffectResult,
    AffectSnapshot,
    Expression,
    Face,
    FaceMesh,
    FaceQuality,
    FacialEvent,
    Frame,
    HeadPose,
    Scene,
    Spotting,
    Track,
)

if TYPE_CHECKING:
    from realtime_affect.types import AffectJob

_SIZE: Final = (360, 640)
_EVENT_EVERY_NS: Final = 5_000_000_000
_EVENT_NS: Final = 200_000_000
_REPEATED_NS: Final = 2_000_000_000
_CROP: Final = np.zeros((48, 48), np.uint8)


class Shown(NamedTuple):
    """What a face of the pattern shows at a time.

    `expression` has probability `probability`, the others share the rest; `unit` has the intensity
    `intensity` (0 to 5), the others 0; the head is turned by `yaw_rad`.
    """

    expression: str
    probability: float
    unit: str
    intensity: float
    yaw_rad: float


def shown_at(t_ns: int, face_id: int = 1) -> Shown:
    """Return what face `face_id` (from 1) shows at source time `t_ns`: a new thing each second."""
    seconds, fraction = divmod(t_ns / 1e9 + 0.5 * face_id, 1.0)
    swell = math.sin(math.pi * fraction)
    return Shown(
        EXPRESSIONS[(int(seconds) + face_id) % len(EXPRESSIONS)],
        0.3 + 0.65 * swell,
        AU_INTENSITIES[(int(seconds) + face_id) % len(AU_INTENSITIES)],
        5.0 * swell,
        0.5 * math.sin(2 * math.pi * t_ns / 4e9 + face_id),
    )


def pattern_pipeline(faces: int = 2, fps: float = 30.0, frames: int | None = None) -> Pipeline:
    """Return a live pipeline of the pattern, not started.

    Parameters
    ----------
    faces : int
        In view.
    fps : float
    frames : int, optional
        How many; default without an end.
    """
    parts: dict[str, Any] = {"vision": _Vision(faces), "affect": _Affect()}
    return Pipeline(_Source(fps, frames), live=True, **parts)


class _Source:
    """Empty images at an even pace, on the monotonic clock as a camera's are."""

    warnings: tuple[str, ...] = ()

    def __init__(self, fps: float, frames: int | None) -> None:
        height, width = _SIZE
        self.info = SourceInfo("camera", "test-pattern", width, height, fps, frames, live=True)
        self.state = SourceState.ONLINE
        self._image = np.zeros((height, width, 3), np.uint8)
        self._index, self._due_s = 0, time.monotonic()

    def read(self, timeout_s: float) -> Frame | None:
        """Return the next image when it is due."""
        if self.info.n_frames is not None and self._index >= self.info.n_frames:
            self.state = SourceState.ENDED
            return None
        wait_s = self._due_s - time.monotonic()
        if wait_s > timeout_s:
            time.sleep(timeout_s)
            raise TimeoutError
        time.sleep(max(0.0, wait_s))
        self._due_s = max(self._due_s, time.monotonic() - 1.0) + 1 / (self.info.fps or 30.0)
        now_ns = time.monotonic_ns()
        self._index += 1
        return Frame(self._index - 1, now_ns, now_ns, self._image)

    def close(self) -> None:
        """Do nothing."""


class _NoTimes:
    """Stages take no time here."""

    ns: Final[dict[str, int]] = {}


class _Vision:
    """Faces side by side."""

    def __init__(self, faces: int) -> None:
        self.faces = faces
        self.times = _NoTimes()

    def analyse(self, frame: Frame) -> Scene:
        height, width = frame.image.shape[:2]
        step = width / self.faces
        boxes = [
            (n * step, 0.2 * height, (n + 0.9) * step, 0.8 * height) for n in range(self.faces)
        ]
        return Scene(
            frame,
            tuple(
                Track(n, np.array(box), 0.99, frame.index + 1, 0, _face_at(frame.t_ns, n))
                for n, box in enumerate(boxes, start=1)
            ),
        )

    def set_neutral(self, track_id: int | None) -> None:
        """Do nothing: the pattern has no person."""

    def close(self) -> None:
        """Do nothing."""


class _Affect:
    """Expressions one after the other, and a spike of the face each five seconds."""

    def decide(self, job: AffectJob) -> AffectSnapshot:
        frame = job.scene.frame
        results = {
            track.track_id: _affect_at(frame.t_ns, track.track_id) for track in job.scene.tracks
        }
        return AffectSnapshot(frame.t_ns, frame.captured_ns, results)

    def close(self) -> None:
        """Do nothing."""


def _face_at(t_ns: int, face_id: int) -> Face:
    shown = shown_at(t_ns, face_id)
    intensity = np.zeros(len(AU_INTENSITIES), np.float32)
    intensity[AU_INTENSITIES.index(shown.unit)] = shown.intensity
    occurrence = np.array([unit == shown.unit for unit in AU_OCCURRENCES], np.float32)
    return Face(
        FaceMesh(np.zeros((N_MESH_POINTS, 3), np.float32), 0.99),
        HeadPose(np.array([0.05, shown.yaw_rad, 0.0]), np.array([100.0 * face_id, 0.0, 600.0])),
        np.array([0.3, 0.3]),
        FaceQuality(0.9, 80.0, 5.0, 90.0),
        ActionUnits(intensity, occurrence, np.zeros((2, 2), np.float32), 1.0),
        _CROP,
    )


def _affect_at(t_ns: int, face_id: int) -> AffectResult:
    shown = shown_at(t_ns, face_id)
    shares = np.full(len(EXPRESSIONS), (1 - shown.probability) / (len(EXPRESSIONS) - 1))
    shares[EXPRESSIONS.index(shown.expression)] = shown.probability
    gaze = np.array([0.2 * shown.yaw_rad, 0.0])
    expression = Expression(t_ns, shares, warming_up=False)
    return AffectResult(
        face_id, t_ns, gaze, 15.0, expression, Spotting(_events_at(t_ns, face_id), "")
    )


def _events_at(t_ns: int, face_id: int) -> tuple[FacialEvent, ...]:
    onset_ns = t_ns - (t_ns - face_id * 1_000_000_000) % _EVENT_EVERY_NS
    offset_ns = onset_ns + _EVENT_NS
    if not offset_ns <= t_ns <= offset_ns + _REPEATED_NS:
        return ()
    classes = np.array([0.1, 0.7, 0.1, 0.1])
    event = FacialEvent(
        "micro", onset_ns, onset_ns + _EVENT_NS // 2, offset_ns, offset_ns, 1.5,
        ("left mouth corner",), ("AU12",), classes,
    )  # fmt: skip
    return (event,)
