"""Frame -> Scene: detect, track, mesh, pose, action units; the vision worker's whole work."""

from __future__ import annotations

import contextlib
import math
import sys
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

import cv2
import numpy as np

from realtime_affect.face.action_units import (
    ActionUnitConfig,
    ActionUnitEstimator,
    NeutralBaseline,
    eye_openness,
)
from realtime_affect.face.align import align_crop, slot_crop, turn_to_front
from realtime_affect.face.detect import DetectConfig, FaceDetector
from realtime_affect.face.mesh import MeshEstimator, region_from_mesh
from realtime_affect.face.pose import fit_heads, head_poses
from realtime_affect.face.stabilize import Stabilizer, stabilized_crop
from realtime_affect.face.track import TrackConfig, TrackedFace, Tracker, publish
from realtime_affect.landmarks import OUTER_EYE_CORNERS_MM
from realtime_affect.types import Face, FaceQuality, Scene, StabilizedCrop

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from affect_engines import ModelCard
    from realtime_affect.face.action_units import UnitEstimate
    from realtime_affect.face.region import Region
    from realtime_affect.types import (
        Detections,
        FaceMesh,
        Float32,
        Frame,
        HeadPose,
        Image,
    )

GOOD_SIZE_PX: Final = 60.0  # between the outer eye corners: a face some 110 px wide
GOOD_SHARPNESS: Final = 60.0
MAX_VIEW_DEG: Final = 60.0
GOOD_VIEW_DEG: Final = 20.0
_REST_VIEW_DEG: Final = 25.0  # a neutral face is learned only from nearly frontal views


class Detector(Protocol):
    """What :class:`Vision` needs of a face detector."""

    def detect(self, image: Image, thorough: bool = False) -> Detections:
        """Find the faces in a BGR image (H, W, 3)."""

    def close(self) -> None:
        """Free the network."""


class Mesher(Protocol):
    """What :class:`Vision` needs of a mesh estimator."""

    def estimate_all(
        self, image: Image, regions: Sequence[Region], meanwhile: Callable[[], None] | None = None
    ) -> Sequence[tuple[FaceMesh, Image]]:
        """Measure the mesh in each region of a BGR image; also the upright crop it was seen in.

        `meanwhile` is to be called once, on the calling thread.
        """

    def close(self) -> None:
        """Free the network."""


class UnitReader(Protocol):
    """What :class:`Vision` needs of an action unit reader; see ``ActionUnitEstimator``."""

    def read(
        self,
        points: Float32,
        crops: Sequence[Image],
        angles_rad: Float32,
        neutrals: Sequence[NeutralBaseline],
    ) -> list[UnitEstimate]:
        """Score the units of n faces turned to the front, each against its neutral."""

    def close(self) -> None:
        """Free the network."""


class _Seen(NamedTuple):
    """A mesh's crop and the square of the frame that it shows."""

    crop: Image
    region: Region


@dataclass(slots=True)
class _Person:
    """What the vision thread remembers of one track besides its place."""

    baseline: NeutralBaseline
    stabilized: Stabilizer = field(default_factory=Stabilizer)
    measured: Face | None = None
    frame_index: int = -1


class StageTimes:
    """Wall time of each stage in one frame, in nanoseconds, lap by lap."""

    def __init__(self) -> None:
        self.ns: dict[str, int] = {}
        self._since = time.perf_counter_ns()

    def lap(self, stage: str) -> None:
        """Add the time since the last lap to `stage`."""
        now = time.perf_counter_ns()
        self.ns[stage] = self.ns.get(stage, 0) + now - self._since
        self._since = now


class Vision:
    """Analyse frame after frame of one source; belongs to one thread.

    Parameters
    ----------
    detect, track, action_units : configurations, optional
    stabilized : bool
        Whether faces of a video carry the stabilized crop that micro-expressions are spotted in.
    detector, mesher, units : optional
        Networks to use instead of the cards', as tests do.

    Raises
    ------
    ModelError
        A model file is missing or is not what its card says.
    """

    def __init__(  # noqa: PLR0913  (three sections, a switch, three networks)
        self,
        detect: DetectConfig | None = None,
        track: TrackConfig | None = None,
        action_units: ActionUnitConfig | None = None,
        *,
        stabilized: bool = True,
        detector: Detector | None = None,
        mesher: Mesher | None = None,
        units: UnitReader | None = None,
    ) -> None:
        self._track_config = track or TrackConfig()
        self._unit_config = action_units or ActionUnitConfig()
        self._stabilized = stabilized
        with contextlib.ExitStack() as opened:  # a constructor that fails leaves nothing open
            self._detector: Detector = detector or FaceDetector(detect or DetectConfig())
            opened.callback(self._detector.close)
            self._mesher: Mesher = mesher or MeshEstimator()
            opened.callback(self._mesher.close)
            self._units: UnitReader = units or ActionUnitEstimator()
            opened.callback(self._units.close)
            self._opened = opened.pop_all()
        self._tracker = Tracker(self._track_config)
        self._people: dict[TrackedFace, _Person] = {}
        self.live = False
        """Whether the next frames are a camera's, so that empty ones need not all be searched."""
        self.times = StageTimes()
        """Stage times of the last frame."""

    def analyse(self, frame: Frame) -> Scene:
        """Analyse the next frame of a video; source times must not run backwards."""
        self._tracker.live = self.live
        in_view, crops = self._track(self._tracker, frame)
        seen = [face for face in crops if face.misses == 0]
        self._measure(seen, crops, frame, stabilized=self._stabilized)
        self.times.lap("action_units")
        self._forget()
        tracks = []
        for face in in_view:
            person = self._people.get(face)
            now = person is not None and person.frame_index == frame.index
            tracks.append(publish(face, person.measured if person and now else None))
        return Scene(frame, tuple(sorted(tracks, key=lambda track: track.track_id)))

    def analyse_still(self, frame: Frame) -> Scene:
        """Analyse one image on its own: a thorough search, every face, ids by detection score.

        The neutral face is the population's: a single image tells nothing of a person's own.
        """
        tracker = Tracker(TrackConfig(max_faces=sys.maxsize, birth_frames=1))
        in_view, crops = self._track(tracker, frame, still=True)
        self._measure(in_view, crops, frame, stabilized=False)
        self.times.lap("action_units")
        tracks = [publish(face, self._people[face].measured) for face in in_view]
        self._people.clear()
        return Scene(frame, tuple(tracks))

    def set_neutral(self, track_id: int | None) -> tuple[int, ...]:
        """Take the present face of a track (None: of every track) as its neutral; return whose."""
        return tuple(
            face.track_id
            for face, person in self._people.items()
            if track_id in (None, face.track_id) and person.baseline.set_neutral()
        )

    def revert_neutral(self, track_id: int | None) -> tuple[int, ...]:
        """Undo the last :meth:`set_neutral` of a track (None: of every track); return whose."""
        return tuple(
            face.track_id
            for face, person in self._people.items()
            if track_id in (None, face.track_id) and person.baseline.revert_neutral()
        )

    @property
    def cards(self) -> tuple[ModelCard, ...]:
        """Cards of the networks in use; nothing of those that were given instead."""
        parts = (self._detector, self._mesher, self._units)
        return tuple(card for part in parts for card in getattr(part, "cards", ()))

    def reset(self) -> None:
        """Forget every face: the next frame is the first of another source."""
        self._tracker = Tracker(self._track_config)
        self._people = {}

    def close(self) -> None:
        """Free the networks. Idempotent."""
        self._opened.close()

    def _track(
        self, tracker: Tracker, frame: Frame, *, still: bool = False
    ) -> tuple[tuple[TrackedFace, ...], dict[TrackedFace, _Seen]]:
        """Track into a frame; return the faces in view, and the crop of each one that was meshed.

        A still is searched thoroughly, and a second pass of the mesh starts from the first: it
        costs as much again, where no next frame will refine a mesh or refute what was no face.
        """
        self.times = times = StageTimes()
        crops: dict[TrackedFace, _Seen] = {}

        def look(
            faces: Sequence[TrackedFace], search: bool
        ) -> tuple[list[FaceMesh], Detections | None]:
            found: Detections | None = None

            def detect() -> None:
                nonlocal found
                found = self._detector.detect(frame.image, thorough=still)
                times.lap("detect")

            times.lap("track")
            regions = [face.region for face in faces]
            measured = self._mesher.estimate_all(frame.image, regions, detect if search else None)
            if still:
                regions = [region_from_mesh(mesh.points) for mesh, _ in measured]
                measured = self._mesher.estimate_all(frame.image, regions)
            for face, region, (_, crop) in zip(faces, regions, measured, strict=True):
                crops[face] = _Seen(crop, region)
            times.lap("mesh")
            return [mesh for mesh, _ in measured], found

        in_view = tracker.update(frame.t_ns, look)
        times.lap("track")
        return in_view, crops

    def _measure(
        self,
        faces: Sequence[TrackedFace],
        crops: Mapping[TrackedFace, _Seen],
        frame: Frame,
        *,
        stabilized: bool,
    ) -> None:
        """Measure pose, eyes, quality and action units of faces meshed in this frame.

        What is arithmetic on the mesh is done for all faces at once: after a network has run, the
        cost is in the number of calls, not in the number of faces.
        """
        if not faces:
            return
        points = np.array([face.mesh.points for face in faces if face.mesh is not None])
        heads = fit_heads(points)
        height, width = frame.image.shape[:2]
        poses = head_poses(heads, width, height)
        front = turn_to_front(points, heads)
        openness = eye_openness(front)
        greys: list[Image] = [
            cv2.cvtColor(crops[face].crop, cv2.COLOR_RGB2GRAY)  # type: ignore[misc]
            for face in faces
        ]
        aligned = [
            align_crop(greys[i], crops[face].region, heads, i) for i, face in enumerate(faces)
        ]
        people = [self._person(face) for face in faces]
        angles = np.array([pose.rotation_rad for pose in poses], np.float32)
        estimates = self._units.read(front, aligned, angles, [p.baseline for p in people])
        for i, (face, person) in enumerate(zip(faces, people, strict=True)):
            assert face.mesh is not None
            units, features, at_rest = estimates[i]
            quality = _quality(float(heads.scale[i]), poses[i], crops[face].crop)
            moment = slot_crop(greys[i], crops[face].region, heads, i)
            still = _stabilized_crop(person.stabilized, frame, points[i]) if stabilized else None
            person.measured = Face(face.mesh, poses[i], openness[i], quality, units, moment, still)
            person.frame_index = frame.index
            if quality.view_deg < _REST_VIEW_DEG:
                person.baseline.observe(features, at_rest=at_rest, t_ns=frame.t_ns)

    def _person(self, face: TrackedFace) -> _Person:
        person = self._people.get(face)
        if person is None:
            person = self._people[face] = _Person(NeutralBaseline(self._unit_config))
        return person

    def _forget(self) -> None:
        known = self._tracker.known
        if len(self._people) > len(known):
            self._people = {face: p for face, p in self._people.items() if face in known}


def _stabilized_crop(stabilized: Stabilizer, frame: Frame, points: Float32) -> StabilizedCrop:
    place = stabilized.update(frame.t_ns, points)
    return StabilizedCrop(stabilized_crop(frame.image, place), place.to_frame())


def _quality(scale: float, pose: HeadPose, crop: Image) -> FaceQuality:
    """Judge a face by its size, view and sharpness (see :class:`FaceQuality`)."""
    size_px = OUTER_EYE_CORNERS_MM * scale
    rx, ry, _ = pose.rotation_rad.tolist()
    view_deg = math.degrees(math.acos(max(-1.0, min(1.0, math.cos(rx) * math.cos(ry)))))
    # The face without hair and background; every second pixel tells as much for a quarter.
    inner = np.ascontiguousarray(crop[32:-32:2, 32:-32:2, 1])
    row = inner.reshape(-1)
    across = cv2.norm(row[1:], row[:-1], cv2.NORM_L2SQR)
    down = cv2.norm(inner[1:], inner[:-1], cv2.NORM_L2SQR)
    sharpness = min(across, down) / inner.size  # motion blurs one direction
    factors = (
        min(1.0, size_px / GOOD_SIZE_PX),
        max(0.0, min(1.0, (MAX_VIEW_DEG - view_deg) / (MAX_VIEW_DEG - GOOD_VIEW_DEG))),
        min(1.0, sharpness / GOOD_SHARPNESS),
    )
    return FaceQuality(math.prod(factors), size_px, view_deg, sharpness)
