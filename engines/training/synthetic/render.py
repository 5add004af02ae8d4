"""People -> picture: a z-buffer rasteriser with per-vertex light, in numba."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numba
import numpy as np

from training.synthetic.faces import LASHES, SCLERAS, TEETH, Array, Person

if TYPE_CHECKING:
    from numpy.typing import NDArray

CAMERA_CM = 90.0
SUPERSAMPLE = 2


@dataclass(frozen=True)
class Placement:
    """Where a head is in the picture.

    Attributes
    ----------
    x, y : float
        Picture position of the point between the eyes of the resting head, in pixels.
    px_per_cm : float
    angles_rad : tuple
        (Rx, Ry, Rz) as in :class:`realtime_affect.types.HeadPose`.
    """

    x: float
    y: float
    px_per_cm: float
    angles_rad: tuple[float, float, float]


@numba.njit(cache=True, fastmath=True)
def _normals(vertices, triangles, normals):  # noqa: ANN001, ANN202  (numba infers them)
    normals[:] = 0
    for t in range(triangles.shape[0]):
        a, b, c = triangles[t]
        ux, uy, uz = vertices[b] - vertices[a]
        vx, vy, vz = vertices[c] - vertices[a]
        for i in (a, b, c):
            normals[i, 0] += uy * vz - uz * vy
            normals[i, 1] += uz * vx - ux * vz
            normals[i, 2] += ux * vy - uy * vx
    for i in range(normals.shape[0]):
        length = np.sqrt((normals[i] ** 2).sum()) + 1e-9
        normals[i] /= length


@numba.njit(cache=True, fastmath=True)
def _rasterise(points, triangles, colours, image, depth):  # noqa: ANN001, ANN202
    height, width = depth.shape
    for t in range(triangles.shape[0]):
        a, b, c = triangles[t]
        x0, y0 = points[a, 0], points[a, 1]
        x1, y1 = points[b, 0], points[b, 1]
        x2, y2 = points[c, 0], points[c, 1]
        area = (x1 - x0) * (y2 - y0) - (x2 - x0) * (y1 - y0)
        if area > -1e-9:  # turned away: y grows downwards
            continue
        left = max(0, int(min(x0, x1, x2)))
        right = min(width - 1, int(max(x0, x1, x2)) + 1)
        top = max(0, int(min(y0, y1, y2)))
        bottom = min(height - 1, int(max(y0, y1, y2)) + 1)
        for y in range(top, bottom + 1):
            for x in range(left, right + 1):
                p = ((x1 - x) * (y2 - y) - (x2 - x) * (y1 - y)) / area
                q = ((x2 - x) * (y0 - y) - (x0 - x) * (y2 - y)) / area
                r = 1 - p - q
                if p < 0 or q < 0 or r < 0:
                    continue
                z = p * points[a, 2] + q * points[b, 2] + r * points[c, 2]
                if z < depth[y, x]:
                    depth[y, x] = z
                    for k in range(3):
                        image[y, x, k] = p * colours[a, k] + q * colours[b, k] + r * colours[c, k]


def rotation(angles_rad: tuple[float, float, float]) -> Array:
    """Rotation (3, 3) in the model's frame (y up, z to the viewer) of HeadPose's angles."""
    from realtime_affect.pose import rotation_matrix

    flip = np.diag([1.0, -1.0, -1.0])
    return (flip @ rotation_matrix(np.array(angles_rad)) @ flip).astype(np.float32)


def project(person: Person, vertices: Array, place: Placement) -> Array:
    """Picture x, y and camera distance (n, 3) of posed vertices; the head turns about its neck."""
    pivot = np.array([0.0, -4.0, 1.0], np.float32)
    posed = (vertices - pivot) @ rotation(place.angles_rad).T + pivot
    eyes = person.model.neutral[person.model.landmarks[[36, 45]]].mean(axis=0)
    away = CAMERA_CM - posed[:, 2]
    scale = place.px_per_cm * (CAMERA_CM - eyes[2]) / away
    return np.stack(
        [
            place.x + (posed[:, 0] - eyes[0]) * scale,
            place.y - (posed[:, 1] - eyes[1]) * scale,
            away,
        ],
        axis=1,
    ).astype(np.float32)


def draw_person(
    picture: NDArray[np.float32], person: Person, vertices: Array, place: Placement
) -> Array:
    """Draw a person over `picture` (H, W, 3) linear RGB; return the 68 landmarks (68, 2) in pixels.

    The picture is changed in place. The neck ends in a shirt.
    """
    points = project(person, vertices, place)
    turn = rotation(place.angles_rad)
    posed = np.ascontiguousarray(vertices @ turn.T)
    normals = np.empty_like(posed)
    _normals(posed, person.model.triangles, normals)
    colours = _lit(person, normals)
    height, width = picture.shape[:2]
    reach = 17 * place.px_per_cm
    left, right = int(max(0, place.x - reach)), int(min(width, place.x + reach))
    top, bottom = int(max(0, place.y - reach)), height
    canvas = np.zeros((SUPERSAMPLE * (bottom - top), SUPERSAMPLE * (right - left), 3), np.float32)
    depth = np.full(canvas.shape[:2], np.inf, np.float32)
    local = points.copy()
    local[:, :2] = (local[:, :2] - [left, top]) * SUPERSAMPLE
    _rasterise(local, person.model.triangles, colours, canvas, depth)
    alpha = np.isfinite(depth).astype(np.float32)[..., None]
    size = (right - left, bottom - top)
    colour = cv2.resize(canvas * alpha, size, interpolation=cv2.INTER_AREA)
    cover = cv2.resize(alpha, size, interpolation=cv2.INTER_AREA)[..., None]
    part = picture[top:bottom, left:right]
    part *= 1 - cover
    part += colour
    _draw_shirt(picture, person, place)
    return points[person.model.landmarks, :2]


def _lit(person: Person, normals: Array) -> Array:
    """Colour (n, 3) of vertices under a key light, a rim light and a soft sky."""
    key = np.array([0.45, 0.55, 0.9], np.float32)
    fill = np.array([-0.8, 0.1, 0.6], np.float32)
    key /= np.linalg.norm(key)
    fill /= np.linalg.norm(fill)
    halfway = key + np.array([0, 0, 1], np.float32)
    halfway /= np.linalg.norm(halfway)
    # Light wraps a little around skin: a cheap stand-in for scattering below it.
    wrapped = np.clip((normals @ key + 0.25) / 1.25, 0, 1)
    diffuse = 0.30 + 0.12 * normals[:, 1] + 0.72 * wrapped
    diffuse += 0.18 * np.clip(normals @ fill, 0, 1)
    shine = np.full(len(normals), 0.07, np.float32) * (1 - person.model.scalp)
    gloss = np.clip(normals @ halfway, 0, 1) ** 24
    for shell in SCLERAS:
        shine[shell] = 0.35
    shine[TEETH] = 0.2
    colours = person.albedo * diffuse[:, None] + (shine * gloss)[:, None]
    colours[LASHES] = 0.03
    return np.clip(colours, 0, 1).astype(np.float32)


def _draw_shirt(picture: NDArray[np.float32], person: Person, place: Placement) -> None:
    """Paint shoulders over the end of the neck; they stay while the head turns."""
    height, width = picture.shape[:2]
    scale = place.px_per_cm
    fine = 8  # sub-pixel bits of OpenCV's polygons
    neck_y = place.y + 16.2 * scale
    outline = [(place.x + x * scale, neck_y + y * scale) for x, y in _SHOULDERS]
    mask = np.zeros((height, width), np.uint8)
    corners = np.round(np.array(outline) * 2**fine).astype(np.int32)
    cv2.fillPoly(mask, [corners], 255, cv2.LINE_AA, fine)
    cover = mask[..., None].astype(np.float32) / 255
    rows = np.arange(height, dtype=np.float32)[:, None, None]
    columns = np.arange(width, dtype=np.float32)[None, :, None]
    shade = 1.05 - 0.02 * (rows - neck_y) / scale - 0.018 * np.abs(columns - place.x) / scale
    picture *= 1 - cover
    picture += cover * np.array(person.look.shirt, np.float32) * np.clip(shade, 0.3, 1.1)


def _shoulders() -> list[tuple[float, float]]:
    """Outline of a crew neck and shoulders, in centimetres from the middle of the collar."""
    collar = [(6.2 * np.sin(a), 2.2 * np.cos(a) - 1.6) for a in np.linspace(-1.5, 1.5, 17)]
    right = [(7.5, -2.4), (10.5, -2.8), (13.5, -1.8), (16.0, 0.8), (17.6, 5.0), (18.2, 30.0)]
    return [*collar, *right, *[(-x, y) for x, y in reversed(right)]]


_SHOULDERS = _shoulders()
