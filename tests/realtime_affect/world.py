"""A world of faces at known places, seen through fake networks: what tracking is tested against."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from realtime_affect.face.pose import load_neutral_face, rotation_matrix
from realtime_affect.types import Detections, FaceMesh, Frame

FPS = 30
WIDTH, HEIGHT = 640, 360


@dataclass(frozen=True)
class Person:
    """A face somewhere: centre and size (width of the face) in pixels, head angles in radians."""

    name: str
    x: float
    y: float
    size: float = 80.0
    angles: tuple[float, float, float] = (0.0, 0.0, 0.0)


def mesh_points(person, moved=None):
    """Neutral mesh (468, 3) px of a person; `moved` {point: (dx, dy, dz) mm} displaces points."""
    points = load_neutral_face().points.copy()
    for index, shift in (moved or {}).items():
        points[index] += shift
    scale = person.size / 140.0  # the neutral face is some 140 mm wide
    points = scale * points @ rotation_matrix(np.array(person.angles)).T
    return (points + np.array([person.x, person.y, 0])).astype(np.float32)


def frame_at(index, t_s=None):
    """A frame that carries its own number in its pixels, for the fakes to read."""
    image = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    image[0, 0] = index & 255, index >> 8, 0
    t_ns = round((index / FPS if t_s is None else t_s) * 1e9)
    return Frame(index, t_ns, t_ns, image)


def index_of(image):
    return int(image[0, 0, 0]) + 256 * int(image[0, 0, 1])


@dataclass
class World:
    """``people(index)`` says who is in view in frame `index`, nearest to the camera first."""

    people: object
    detections: int = 0
    meshes: list = field(default_factory=list)

    def detect(self, image, thorough=False):
        self.detections += 1
        seen = self._in_view(image)
        points = [mesh_points(p) for p in seen]
        boxes = [[*p[:, :2].min(0), *p[:, :2].max(0)] for p in points]
        marks = [
            [p[[33, 133]].mean(0), p[[362, 263]].mean(0), p[1], p[[13, 14]].mean(0), p[234], p[454]]
            for p in points
        ]
        keypoints = np.array(marks, np.float32).reshape(-1, 6, 3)[:, :, :2]
        return Detections(
            np.array(boxes, np.float32).reshape(-1, 4), np.full(len(seen), 0.9), keypoints
        )

    def estimate(self, image, region):
        x, y = region.center
        crop = np.random.default_rng(0).integers(0, 255, (192, 192, 3), np.uint8)
        near = [p for p in self._in_view(image) if np.hypot(p.x - x, p.y - y) < 0.6 * p.size]
        if not near:
            return FaceMesh(np.zeros((468, 3), np.float32), 0.01), crop
        person = min(near, key=lambda p: np.hypot(p.x - x, p.y - y))
        self.meshes.append(person.name)
        return FaceMesh(mesh_points(person), 0.99), crop

    def estimate_all(self, image, regions, meanwhile=None):
        if meanwhile is not None:
            meanwhile()
        return [self.estimate(image, region) for region in regions]

    def close(self):
        pass

    def _in_view(self, image):
        shown = []
        for person in self.people(index_of(image)):
            hidden = any(np.hypot(person.x - p.x, person.y - p.y) < 0.5 * p.size for p in shown)
            if not hidden:
                shown.append(person)
        return shown
