"""Detections -> tracks: stable ids inside the live loop, from place and motion alone.

A face that is seen is followed by its own mesh: the region of the next frame is the mesh of the
last one, moved by a constant-velocity Kalman filter. Detections only start tracks and bring lost
ones back. Nothing here looks at who a person is: no identity embedding is ever computed, so a
face that returns after ``reentry_ms``, or elsewhere, is a new one.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Annotated, ClassVar, Final, NamedTuple

import numpy as np
from pydantic import Field, NonNegativeFloat, PositiveInt

from realtime_affect.face.mesh import region_from_keypoints, region_from_mesh
from realtime_affect.landmarks import KEYPOINTS
from realtime_affect.settings import Section
from realtime_affect.types import Track

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from realtime_affect.face.region import Region
    from realtime_affect.types import Detections, Face, FaceMesh, Float32


class TrackConfig(Section):
    """How faces are followed.

    Attributes
    ----------
    max_faces : int
        Faces measured in one frame; when more are in view they take turns, the one not measured
        for longest first. Stills have no limit.
    detect_every_ms : float
        Look for new faces at least this often while every known face is in view.
    detect_missing_ms : float
        The same while a face is out of view and may return.
    detect_empty_ms : float
        The same while no face is in view, live; in ``analyze`` every frame is searched then.
    reentry_ms : float
        A face that returns near where it was expected within this time keeps its id.
    birth_frames : int
        Frames in a row a doubtful new face is measured in before it gets an id; one that both
        networks are sure of gets it at once.
    min_presence : float
        Mesh presence below which a face counts as not seen.
    """

    section: ClassVar[str] = "track"

    max_faces: PositiveInt = 8
    detect_every_ms: NonNegativeFloat = 2000.0
    detect_missing_ms: NonNegativeFloat = 100.0
    detect_empty_ms: NonNegativeFloat = 100.0
    reentry_ms: NonNegativeFloat = 2000.0
    birth_frames: PositiveInt = 3
    min_presence: Annotated[float, Field(ge=0.0, le=1.0)] = 0.5


class Place(NamedTuple):
    """Centre and size of a face in pixels; or how fast they change, in pixels a second."""

    x: float
    y: float
    size: float

    def plus(self, factor: float, other: Place) -> Place:
        """Return self + factor * other."""
        return Place(
            self.x + factor * other.x, self.y + factor * other.y, self.size + factor * other.size
        )


class Motion:
    """Constant-velocity Kalman filter of a face's centre and size.

    The three coordinates share one covariance of place and velocity, in units of the face's size:
    one tuning serves a face near the camera and one at the back of the room.

    Plain floats: the arithmetic of three numbers costs more in arrays.

    Parameters
    ----------
    place : Place
        Where the face is first seen.
    """

    _ACCELERATION: Final = 10.0  # face sizes per second squared: a quick turn of the head
    _MEASUREMENT: Final = 0.02  # face sizes: jitter of the mesh's box
    _COAST_S: Final = 0.4  # an unseen face is expected to slow down within this time

    def __init__(self, place: Place) -> None:
        self.place = place
        self.velocity = Place(0.0, 0.0, 0.0)
        self._var_place = self._MEASUREMENT**2
        self._covariance = 0.0
        self._var_velocity = 1.0

    def predict(self, dt_s: float) -> None:
        """Move on by `dt_s` seconds, under white acceleration held for one step."""
        noise = (self._ACCELERATION * dt_s) ** 2
        self._var_place += dt_s * (2 * self._covariance + dt_s * self._var_velocity)
        self._var_place += noise * dt_s**2 / 4
        self._covariance += dt_s * self._var_velocity + noise * dt_s / 2
        self._var_velocity += noise
        moved = self.place.plus(dt_s, self.velocity)
        self.place = Place(moved.x, moved.y, max(moved.size, 1.0))

    def correct(self, measured: Place) -> None:
        """Take in where the face was measured."""
        total = self._var_place + self._MEASUREMENT**2
        gain_place, gain_velocity = self._var_place / total, self._covariance / total
        residual = measured.plus(-1.0, self.place)
        self.place = self.place.plus(gain_place, residual)
        self.velocity = self.velocity.plus(gain_velocity, residual)
        self._var_velocity -= gain_velocity * self._covariance
        self._covariance -= gain_velocity * self._var_place
        self._var_place -= gain_place * self._var_place

    def coast(self, dt_s: float) -> None:
        """Let the velocity fade: called for every frame in which the face was not seen."""
        self.velocity = Place(0.0, 0.0, 0.0).plus(math.exp(-dt_s / self._COAST_S), self.velocity)


@dataclass(slots=True, eq=False)
class TrackedFace:
    """The tracker's own, mutable memory of one face; the vision thread's alone."""

    motion: Motion
    region: Region
    track_id: int = 0
    """0 until the face is confirmed."""
    mesh: FaceMesh | None = None
    score: float = 0.0
    """Of the detection it was born from."""
    xyxy: NDArray[np.float64] = field(default_factory=lambda: np.zeros(4))
    hits: int = 0
    misses: int = 0
    seen_ns: int = 0
    turn: int = -1
    """Number of its last measurement, counted over all faces; -1 where a detection calls for it."""
    fresh: bool = False
    """Whether it was measured in this frame."""


# BlazeFace's keypoints that the mesh has too, and the mesh points that mark the same places
_KEYPOINTS: Final = list(range(len(KEYPOINTS)))
_KEYPOINT_MESH: Final = np.array(KEYPOINTS)
_GATE: Final = 1.0  # box and keypoints together; identical faces cost 0, touching ones about 2
_SURE_SCORE: Final = 0.8  # real faces of the evaluation clips score 0.8 to 0.97, others below 0.7
_SURE_PRESENCE: Final = 0.9
_SAME_FACE: Final = 0.35  # mean distance of two meshes, in face sizes, below which they are one


def box_of(points: NDArray[np.floating]) -> NDArray[np.float64]:
    """Box xyxy (4,) around points (n, >= 2)."""
    xy = np.ascontiguousarray(points.T[:2])  # reducing along rows is several times faster
    return np.concatenate([xy.min(axis=1), xy.max(axis=1)]).astype(np.float64)


def place_of(xyxy: NDArray[np.float64]) -> Place:
    """Centre and longer side of a box xyxy (4,)."""
    left, top, right, bottom = xyxy.tolist()
    return Place((left + right) / 2, (top + bottom) / 2, max(right - left, bottom - top, 1.0))


def iou(boxes: NDArray[np.floating], others: NDArray[np.floating]) -> NDArray[np.float64]:
    """Intersection over union (n, m) of boxes xyxy (n, 4) and (m, 4)."""
    low = np.maximum(boxes[:, None, :2], others[None, :, :2])
    high = np.minimum(boxes[:, None, 2:], others[None, :, 2:])
    inner = np.prod(np.clip(high - low, 0.0, None), axis=2)
    area = np.prod(np.clip(boxes[:, 2:] - boxes[:, :2], 0.0, None), axis=1)
    other = np.prod(np.clip(others[:, 2:] - others[:, :2], 0.0, None), axis=1)
    union: NDArray[np.float64] = area[:, None] + other[None, :] - inner
    ratio: NDArray[np.float64] = inner / np.maximum(union, 1e-9)
    return ratio


class Tracker:
    """Follow faces through the frames of one source; used by the vision thread alone."""

    def __init__(self, config: TrackConfig) -> None:
        # Imported here: slow to load, and needed before the first frame rather than in it.
        from scipy.optimize import linear_sum_assignment

        self._solve = linear_sum_assignment
        self._config = config
        self.live = False
        """Whether frames without a face may pass unsearched (``detect_empty_ms``)."""
        self._faces: list[TrackedFace] = []
        self._next_id = 1
        self._turns = 0
        self._t_ns: int | None = None
        self._detected_ns: int | None = None
        self._dt_s = 0.0

    def update(
        self,
        t_ns: int,
        look: Callable[[Sequence[TrackedFace], bool], tuple[Sequence[FaceMesh], Detections | None]],
    ) -> tuple[TrackedFace, ...]:
        """Follow every face into the next frame.

        Parameters
        ----------
        t_ns : int
            The frame's source time, which must not run backwards.
        look : callable
            Returns the mesh in the region of each of the faces and, where the second argument asks
            for it, the faces that a search of the whole frame finds. Of faces in view the one not
            measured for longest comes first. After a search it is called once more, with those
            that were found anew. It gets ``max_faces`` in all; who finds no room comes first in the
            next frame.

        Returns
        -------
        tuple of TrackedFace
            Faces in view that have an id.
        """
        self._advance(t_ns)
        search = self._wants_detection()
        if search:  # what no mesh has confirmed is found anew, or was no face
            self._faces = [face for face in self._faces if face.mesh is not None]
        # A search says nothing of faces in view, so they are measured while it goes on.
        due = self._due(called=not search)
        meshes, found = look(due, search)
        if found is not None:
            self._match(found)
            called = [face for face in self._faces if face.turn < 0]
            called = called[: self._config.max_faces - len(due)]
            due, meshes = [*due, *called], [*meshes, *look(called, False)[0]]
        for face, mesh in zip(due, meshes, strict=True):
            self._observe(face, mesh)
        return self._settle(t_ns)

    def _advance(self, t_ns: int) -> None:
        """Move every face on to source time `t_ns`."""
        self._dt_s = 0.0 if self._t_ns is None else max(0.0, (t_ns - self._t_ns) / 1e9)
        self._t_ns = t_ns
        if self._dt_s * 1e3 > self._config.reentry_ms:
            self._faces = []  # nobody was watched for so long: who is there now may be another
        for face in self._faces:
            face.fresh = False
            face.misses += face.misses > 0
            before = face.motion.place
            face.motion.predict(self._dt_s)
            moved = face.motion.place.plus(-1.0, before)
            face.xyxy = face.xyxy + np.array([moved.x, moved.y] * 2)
            # Below a twentieth of the face, the shift is the filter's noise rather than motion.
            if math.hypot(moved.x, moved.y) > 0.05 * face.motion.place.size:
                x, y = face.region.center
                centre = (x + moved.x, y + moved.y)
                face.region = replace(face.region, center=centre)

    def _wants_detection(self) -> bool:
        """Whether this frame should be searched for faces."""
        if self._detected_ns is None:
            return True
        if all(face.misses for face in self._faces):
            wait_ms = self._config.detect_empty_ms if self.live else 0.0
        elif any(face.misses for face in self._faces):
            wait_ms = self._config.detect_missing_ms
        else:
            wait_ms = self._config.detect_every_ms
        assert self._t_ns is not None
        return self._t_ns - self._detected_ns >= wait_ms * 1e6

    def _match(self, detections: Detections) -> None:
        """Assign detections to known faces; call back the lost, take up the new.

        Cost is 1 - IoU of the boxes plus the mean distance between the detection's eyes, nose and
        mouth and the mesh's, in face sizes; the assignment of least total cost is taken.
        """
        self._detected_ns = self._t_ns
        pairs = self._assign(detections)
        for i in range(len(detections)):
            face = pairs.get(i)
            if face is not None and face.misses == 0:
                continue  # already followed by its mesh
            if face is None:
                box = detections.xyxy[i].astype(np.float64)
                region = region_from_keypoints(detections.keypoints[i], detections.xyxy[i])
                score = float(detections.score[i])
                face = TrackedFace(Motion(place_of(box)), region, score=score, xyxy=box)
                self._faces.append(face)
            else:
                face.region = region_from_keypoints(detections.keypoints[i], detections.xyxy[i])
            face.turn = -1

    def _due(self, *, called: bool) -> list[TrackedFace]:
        """Faces to measure, at most ``max_faces``: `called` ones if wanted, then in fair turn."""
        candidates = [
            face for face in self._faces if face.misses == 0 or (called and face.turn < 0)
        ]
        return sorted(candidates, key=lambda face: face.turn)[: self._config.max_faces]

    def _observe(self, face: TrackedFace, mesh: FaceMesh) -> None:
        """Take in what was measured at `face`'s region in this frame."""
        self._turns += 1
        face.turn = self._turns
        face.fresh = True
        if mesh.presence < self._config.min_presence:
            face.misses = max(face.misses, 1)
        else:
            face.mesh = mesh
            face.misses = 0

    def _settle(self, t_ns: int) -> tuple[TrackedFace, ...]:
        """End the frame: take in motion, give ids, forget the lost; return the faces in view."""
        self._part_doubles()
        for face in self._faces:
            if face.misses:
                face.motion.coast(self._dt_s)
            elif face.fresh and face.mesh is not None:
                face.xyxy = box_of(face.mesh.points)
                face.motion.correct(place_of(face.xyxy))
                face.region = region_from_mesh(face.mesh.points, face.xyxy)
                face.hits += 1
                face.seen_ns = t_ns
                sure = face.score >= _SURE_SCORE and face.mesh.presence >= _SURE_PRESENCE
                # In time lapse no frame confirms the one before: each is searched as a still is.
                sure = sure or self._dt_s * 1e3 > self._config.reentry_ms
                if face.track_id == 0 and (sure or face.hits >= self._config.birth_frames):
                    face.track_id = self._next_id
                    self._next_id += 1
        oldest_ns = t_ns - self._config.reentry_ms * 1e6
        self._faces = [
            face
            for face in self._faces
            if face.misses == 0 or (face.track_id and face.seen_ns >= oldest_ns)
        ]
        return tuple(face for face in self._faces if face.track_id and face.misses == 0)

    @property
    def known(self) -> tuple[TrackedFace, ...]:
        """Faces in view or still waited for."""
        return tuple(self._faces)

    def _assign(self, detections: Detections) -> dict[int, TrackedFace]:
        known = self._faces
        if not known or not len(detections):
            return {}
        marks = []
        for face in known:
            assert face.mesh is not None
            points = face.mesh.points[_KEYPOINT_MESH, :2].mean(axis=1)
            moved = place_of(face.xyxy).plus(-1.0, place_of(box_of(face.mesh.points)))
            marks.append(points + moved[:2])  # where a face out of view should be by now
        sizes = np.array([face.motion.place.size for face in known])
        gaps = np.linalg.norm(
            detections.keypoints[:, None, _KEYPOINTS] - np.array(marks)[None], axis=3
        )
        boxes = np.array([face.xyxy for face in known])
        cost = 1.0 - iou(_square(detections.xyxy), _square(boxes)) + gaps.mean(axis=2) / sizes
        rows, columns = self._solve(cost)
        return {
            int(i): known[j]
            for i, j in zip(rows, columns, strict=True)
            if cost[i, j] < self._gate(known[j])
        }

    def _gate(self, face: TrackedFace) -> float:
        # A face out of view may have moved by a good part of its size.
        return _GATE if face.misses == 0 else 1.5 * _GATE

    def _part_doubles(self) -> None:
        """Where two tracks have settled on one face, keep the one that was expected there."""
        # Their nose tips first: nearly all pairs are told apart by one subtraction.
        seen = [
            (face, face.mesh, face.mesh.points[1, :2].tolist())
            for face in self._faces
            if not face.misses and face.mesh is not None
        ]
        for (one, mesh, nose), (other, other_mesh, other_nose) in itertools.combinations(seen, 2):
            if one.misses or other.misses:
                continue
            same = _SAME_FACE * min(one.motion.place.size, other.motion.place.size)
            if math.dist(nose, other_nose) > 2 * same:
                continue
            apart = mesh.points[:, :2] - other_mesh.points[:, :2]
            if np.hypot(apart[:, 0], apart[:, 1]).mean() < same:
                max(one, other, key=self._surprise).misses = 1

    def _surprise(self, face: TrackedFace) -> tuple[bool, float]:
        """How unexpected a face's mesh is where it is: new ones first, then by distance."""
        assert face.mesh is not None
        expected = face.motion.place
        off = place_of(box_of(face.mesh.points)).plus(-1.0, expected)
        return face.track_id == 0, max(map(abs, off)) / expected.size


def _square(xyxy: NDArray[np.floating]) -> NDArray[np.float64]:
    """Square boxes (n, 4) of equal area and centre: a detection's box is squarer than a mesh's."""
    centre = (xyxy[:, :2] + xyxy[:, 2:]) / 2
    sides = np.clip(xyxy[:, 2:] - xyxy[:, :2], 1.0, None)
    half = np.sqrt(np.prod(sides, axis=1, keepdims=True)) / 2
    return np.concatenate([centre - half, centre + half], axis=1)


def publish(face: TrackedFace, measured: Face | None) -> Track:
    """Turn the tracker's memory of a face in view into a value."""
    xyxy: Float32 = face.xyxy.astype(np.float32)
    presence = face.mesh.presence if face.mesh is not None else 0.0
    return Track(face.track_id, xyxy, presence, face.hits, face.misses, measured)
