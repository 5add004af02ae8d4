"""A person under a light -> picture: a z-buffer rasteriser in numba, shaded pixel by pixel."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import cv2
import numba
import numpy as np

from training.synthetic.faces import EYES, GUMS, MOUTH_SOCKET, SCLERAS, TEETH, Array

if TYPE_CHECKING:
    from training.synthetic.people import Person

SUPERSAMPLE: Final = 2
IRIS_CM: Final = 0.78
PUPIL_CM: Final = 0.3
_PIVOT_CM: Final = (0.0, -4.0, 1.0)  # heads turn about their neck


@dataclass(frozen=True, slots=True)
class Placement:
    """Where a head is in the picture.

    Attributes
    ----------
    x, y : float
        Picture position of the point between the eyes of the resting head, in pixels.
    px_per_cm : float
        At the distance of the eyes.
    angles_rad : tuple
        (Rx, Ry, Rz) as in :class:`realtime_affect.types.HeadPose`.
    camera_cm : float
        Distance of the camera: near ones make noses big.
    """

    x: float
    y: float
    px_per_cm: float
    angles_rad: tuple[float, float, float]
    camera_cm: float = 90.0


@dataclass(frozen=True, slots=True)
class Light:
    """One key light, one fill light and a sky.

    Attributes
    ----------
    key, fill : (3,) float32
        Directions to the lights in the camera's frame (x right, y up, z to the camera).
    key_colour, fill_colour, sky, ground : (3,) float32
        Linear RGB.
    gloss : float
        Shine of skin.
    """

    key: Array
    fill: Array
    key_colour: Array
    fill_colour: Array
    sky: Array
    ground: Array
    gloss: float = 0.08


@numba.njit(cache=True, fastmath=True)
def _normals(vertices, triangles, normals):  # noqa: ANN001, ANN202  (numba infers them)
    normals[:] = 0
    for t in range(triangles.shape[0]):
        a, b, c = triangles[t, 0], triangles[t, 1], triangles[t, 2]
        ux = vertices[b, 0] - vertices[a, 0]
        uy = vertices[b, 1] - vertices[a, 1]
        uz = vertices[b, 2] - vertices[a, 2]
        vx = vertices[c, 0] - vertices[a, 0]
        vy = vertices[c, 1] - vertices[a, 1]
        vz = vertices[c, 2] - vertices[a, 2]
        x, y, z = uy * vz - uz * vy, uz * vx - ux * vz, ux * vy - uy * vx
        for i in (a, b, c):
            normals[i, 0] += x
            normals[i, 1] += y
            normals[i, 2] += z
    for i in range(normals.shape[0]):
        x, y, z = normals[i, 0], normals[i, 1], normals[i, 2]
        length = np.sqrt(x * x + y * y + z * z) + np.float32(1e-9)
        normals[i, 0] /= length
        normals[i, 1] /= length
        normals[i, 2] /= length


@numba.njit(cache=True, fastmath=True)
def _see(points, triangles, depth, owner, bary):  # noqa: ANN001, ANN202
    """Find the nearest triangle of every pixel, and where on it the pixel lies."""
    height, width = depth.shape
    for t in range(triangles.shape[0]):
        a, b, c = triangles[t, 0], triangles[t, 1], triangles[t, 2]
        x0, y0 = points[a, 0], points[a, 1]
        x1, y1 = points[b, 0], points[b, 1]
        x2, y2 = points[c, 0], points[c, 1]
        area = (x1 - x0) * (y2 - y0) - (x2 - x0) * (y1 - y0)
        if area > -1e-9:  # turned away: y grows downwards
            continue
        left = max(0, int(np.ceil(min(x0, x1, x2))))
        right = min(width - 1, int(max(x0, x1, x2)))
        top = max(0, int(np.ceil(min(y0, y1, y2))))
        bottom = min(height - 1, int(max(y0, y1, y2)))
        if left > right or top > bottom:
            continue
        inverse = np.float32(1.0) / area
        for y in range(top, bottom + 1):
            for x in range(left, right + 1):
                p = ((x1 - x) * (y2 - y) - (x2 - x) * (y1 - y)) * inverse
                q = ((x2 - x) * (y0 - y) - (x0 - x) * (y2 - y)) * inverse
                r = np.float32(1.0) - p - q
                if p < 0 or q < 0 or r < 0:
                    continue
                z = p * points[a, 2] + q * points[b, 2] + r * points[c, 2]
                if z < depth[y, x]:
                    depth[y, x] = z
                    owner[y, x] = t
                    bary[y, x, 0] = p
                    bary[y, x, 1] = q


@numba.njit(cache=True, fastmath=True)
def _shade(owner, bary, triangles, attributes, texture, shade, iris, out):  # noqa: ANN001, ANN202
    """Colour every pixel.

    Attributes of a vertex, 14: light rgb, shine, own rgb, share of the texture, texture u, v,
    darkening, eye x, eye y, eye.
    """
    height, width = owner.shape
    rows, columns = texture.shape[:2]
    v = np.empty(14, np.float32)
    for y in range(height):
        for x in range(width):
            t = owner[y, x]
            if t < 0:
                continue
            a, b, c = triangles[t, 0], triangles[t, 1], triangles[t, 2]
            p, q = bary[y, x, 0], bary[y, x, 1]
            r = np.float32(1.0) - p - q
            for k in range(14):
                v[k] = p * attributes[a, k] + q * attributes[b, k] + r * attributes[c, k]
            red, green, blue = v[4], v[5], v[6]
            if v[7] > 0.004:
                tx = min(max(v[8], np.float32(0.0)), np.float32(columns - 1.001))
                ty = min(max(v[9], np.float32(0.0)), np.float32(rows - 1.001))
                i, j = int(ty), int(tx)
                fy, fx = ty - i, tx - j
                w00, w01 = (1 - fy) * (1 - fx), (1 - fy) * fx
                w10, w11 = fy * (1 - fx), fy * fx
                fold = (
                    w00 * shade[i, j] + w01 * shade[i, j + 1]
                    + w10 * shade[i + 1, j] + w11 * shade[i + 1, j + 1]
                )  # fmt: skip
                keep = (1 - v[7]) * np.float32(1.0)
                gain = v[7] * (1 - fold)
                red = keep * red + gain * (
                    w00 * texture[i, j, 0] + w01 * texture[i, j + 1, 0]
                    + w10 * texture[i + 1, j, 0] + w11 * texture[i + 1, j + 1, 0]
                )  # fmt: skip
                green = keep * green + gain * (
                    w00 * texture[i, j, 1] + w01 * texture[i, j + 1, 1]
                    + w10 * texture[i + 1, j, 1] + w11 * texture[i + 1, j + 1, 1]
                )  # fmt: skip
                blue = keep * blue + gain * (
                    w00 * texture[i, j, 2] + w01 * texture[i, j + 1, 2]
                    + w10 * texture[i + 1, j, 2] + w11 * texture[i + 1, j + 1, 2]
                )  # fmt: skip
            dark = 1 - v[10]
            glint = v[3]
            if v[13] > 0.99:
                radius = np.sqrt(v[11] * v[11] + v[12] * v[12])
                lid = np.float32(0.35) * min(max(v[12] - np.float32(0.1), 0.0), 1.0)
                dark *= np.float32(1.02) - lid
                inside = min(max((iris[3] - radius) / 0.06 + 0.5, 0.0), 1.0)
                if inside > 0:
                    angle = np.arctan2(v[12], v[11])
                    spokes = 1 + 0.18 * np.sin(23 * angle) * np.sin(9 * radius)
                    rim = min(max((iris[3] - radius) / 0.16, 0.25), 1.0)
                    core = min(max((radius - iris[4]) / 0.07, 0.04), 1.0)
                    gain = 1.5 * spokes * rim * core
                    red = red * (1 - inside) + red * iris[0] * inside * gain
                    green = green * (1 - inside) + green * iris[1] * inside * gain
                    blue = blue * (1 - inside) + blue * iris[2] * inside * gain
                dx, dy = v[11] - iris[5], v[12] - iris[6]
                glint = 0.75 * min(max(1.6 - np.sqrt(dx * dx + dy * dy) / 0.11, 0.0), 1.0)
            out[y, x, 0] = min(red * v[0] * dark + glint, np.float32(1.0))
            out[y, x, 1] = min(green * v[1] * dark + glint, np.float32(1.0))
            out[y, x, 2] = min(blue * v[2] * dark + glint, np.float32(1.0))
            out[y, x, 3] = 1


def rotation(angles_rad: tuple[float, float, float]) -> Array:
    """Rotation (3, 3) in the model's frame (y up, z to the viewer) of HeadPose's angles."""
    from realtime_affect.face.pose import rotation_matrix

    flip = np.diag([1.0, -1.0, -1.0])
    return (flip @ rotation_matrix(np.array(angles_rad)) @ flip).astype(np.float32)


def turn(vertices: Array, place: Placement) -> Array:
    """Turn vertices (n, 3) about the neck."""
    pivot = np.array(_PIVOT_CM, np.float32)
    matrix = rotation(place.angles_rad).T
    return vertices @ matrix + (pivot - pivot @ matrix)


def lights_on_head(light: Light, place: Placement) -> Array:
    """Return directions in the head's own frame, and strength, of key, fill, sky and ground (4, 4).

    Sky and ground are one direction: that upwards.
    """
    up = np.array([0, 1, 0], np.float32)
    directions = np.array([light.key, light.fill, up, up]) @ rotation(place.angles_rad)
    colours = (light.key_colour, light.fill_colour, light.sky, light.ground)
    strengths = [[float(np.mean(colour))] for colour in colours]
    return np.hstack([directions, strengths]).astype(np.float32)


def project(person: Person, turned: Array, place: Placement) -> Array:
    """Picture x, y and camera distance (n, 3) of vertices (n, 3) of the turned head."""
    eyes = person.model.neutral[person.model.landmarks[[36, 45]]].mean(axis=0)
    points = np.empty_like(turned)
    _project(turned, eyes, place.camera_cm, place.px_per_cm, place.x, place.y, points)
    return points


@numba.njit(cache=True, fastmath=True)
def _project(turned, eyes, camera_cm, px_per_cm, x, y, points):  # noqa: ANN001, ANN202
    for i in range(turned.shape[0]):
        away = camera_cm - turned[i, 2]
        scale = px_per_cm * (camera_cm - eyes[2]) / away
        points[i, 0] = x + (turned[i, 0] - eyes[0]) * scale
        points[i, 1] = y - (turned[i, 1] - eyes[1]) * scale
        points[i, 2] = away


def draw_person(
    picture: Array,
    person: Person,
    vertices: Array,
    units: Array,
    place: Placement,
    light: Light,
    supersample: int = SUPERSAMPLE,
) -> Array:
    """Draw a person's head over `picture` and return where its vertices lie.

    Parameters
    ----------
    picture : (H, W, 3) float32
        Linear RGB; changed in place.
    person : Person
    vertices : (n, 3) float32
        From ``FaceModel.expressed``.
    units : (18, 2) float32
        What folds the skin.
    place : Placement
    light : Light
    supersample : int
        Rays a pixel, each way.

    Returns
    -------
    (n, 3) float32
        Picture x, y of every vertex, and its distance from the camera in centimetres.
    """
    model = person.model
    turned = turn(vertices, place)
    points = project(person, turned, place)
    normals = np.empty_like(vertices)
    _normals(turned, model.triangles, normals)
    height, width = picture.shape[:2]
    x, y = np.ascontiguousarray(points.T[:2])
    left, top = int(max(0, x.min() - 1)), int(max(0, y.min() - 1))
    right, bottom = int(min(width, x.max() + 2)), int(min(height, y.max() + 2))
    if left >= right or top >= bottom:
        return points
    size = (right - left, bottom - top)
    shape = (supersample * size[1], supersample * size[0])
    depth = np.full(shape, np.inf, np.float32)
    owner = np.full(shape, -1, np.int32)
    bary = np.empty((*shape, 2), np.float32)
    local = points.copy()
    local[:, :2] = (local[:, :2] - [left, top]) * supersample
    _see(local, model.triangles, depth, owner, bary)
    canvas = np.zeros((*shape, 4), np.float32)
    iris = np.array([*person.iris, IRIS_CM, PUPIL_CM, 0.24, 0.2], np.float32)
    shade = person.wrinkles.shade(units, lights_on_head(light, place))
    attributes = _attributes(person, normals, light)
    for eye, taken in zip(EYES, person.wrinkles.lid_shade(units)[::-1], strict=True):
        attributes[eye, 10] = taken
    _shade(owner, bary, model.triangles, attributes, person.texture, shade, iris, canvas)
    drawn = cv2.resize(canvas, size, interpolation=cv2.INTER_AREA)
    part = picture[top:bottom, left:right]
    part *= 1 - drawn[..., 3:]
    part += drawn[..., :3]
    return points


@numba.njit(cache=True, fastmath=True)
def _light(normals, own, lights, gloss, out):  # noqa: ANN001, ANN202
    """Fill light and shine of vertices.

    Rows of `lights`: key, fill, halfway, then the colours of key, fill, sky and ground. Light wraps
    a little around skin: a cheap stand-in for scattering below it.
    """
    for i in range(normals.shape[0]):
        x, y, z = normals[i, 0], normals[i, 1], normals[i, 2]
        key = x * lights[0, 0] + y * lights[0, 1] + z * lights[0, 2]
        fill = max(x * lights[1, 0] + y * lights[1, 1] + z * lights[1, 2], np.float32(0))
        half = max(x * lights[2, 0] + y * lights[2, 1] + z * lights[2, 2], np.float32(0))
        key = min(max((key + np.float32(0.25)) / np.float32(1.25), np.float32(0)), np.float32(1))
        up = np.float32(0.5) + np.float32(0.5) * y
        for k in range(3):
            out[i, k] = (
                key * lights[3, k] + fill * lights[4, k]
                + up * lights[5, k] + (1 - up) * lights[6, k]
            )  # fmt: skip
        half *= half
        half *= half
        half *= half
        out[i, 3] = own[i, 3] * gloss * half * half * half
        for k in range(4, out.shape[1]):
            out[i, k] = own[i, k]


def _attributes(person: Person, normals: Array, light: Light) -> Array:
    """Return what :func:`_shade` interpolates, (n, 14)."""
    halfway = light.key + np.array([0, 0, 1], np.float32)
    halfway /= np.linalg.norm(halfway)
    lights = np.array(
        [light.key, light.fill, halfway, light.key_colour, light.fill_colour, light.sky,
         light.ground], np.float32,
    )  # fmt: skip
    attributes = np.empty_like(person.attributes)
    _light(normals, person.attributes, lights, np.float32(light.gloss), attributes)
    return attributes


def shine_of(n: int) -> Array:
    """How much each of n vertices shines, relative to skin."""
    shine = np.ones(n, np.float32)
    shine[MOUTH_SOCKET] = 0.2
    shine[GUMS] = 0.5
    shine[TEETH] = 0.8
    for shell in SCLERAS:
        shine[shell] = 0.0  # the glint is painted
    return shine
