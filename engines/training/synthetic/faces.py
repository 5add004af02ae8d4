"""ICT-FaceKit Light -> people: shapes, action units, skin, eyes and hair, vertex by vertex.

Lengths are centimetres in the model's frame: x to the person's left, y up, z towards the viewer.
Vertex ranges are those of the ICT-FaceKit topology (github.com/ICT-VGL/ICT-FaceKit).
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from pathlib import Path

Array = NDArray[np.float32]


def _pair(name: str) -> tuple[str, str]:
    return f"{name}_L", f"{name}_R"


# Action unit -> the expression shapes that show it.
AU_SHAPES: dict[str, tuple[str, ...]] = {
    "AU01": _pair("browInnerUp"),
    "AU02": _pair("browOuterUp"),
    "AU04": _pair("browDown"),
    "AU05": _pair("eyeWide"),
    "AU06": (*_pair("cheekSquint"), *_pair("cheekRaiser")),
    "AU07": _pair("eyeSquint"),
    "AU09": _pair("noseSneer"),
    "AU10": _pair("mouthUpperUp"),
    "AU12": _pair("mouthSmile"),
    "AU14": _pair("mouthDimple"),
    "AU15": _pair("mouthFrown"),
    "AU17": ("mouthShrugLower",),
    "AU20": _pair("mouthStretch"),
    "AU24": _pair("mouthPress"),
    "AU26": ("jawOpen",),
    "AU45": _pair("eyeBlink"),
}

HEAD = slice(0, 11248)
MOUTH_SOCKET = slice(11248, 13294)
GUMS = slice(14062, 17039)
TEETH = slice(17039, 21451)
SCLERAS = (slice(21451, 22221), slice(23021, 23791))
EYES = (slice(21451, 23021), slice(23021, 24591))  # each shell with the iris inside it
LASHES = slice(25351, 26719)
EYE_TURN_RAD = 0.55  # how far a look of 1 turns the eyes
HIDDEN = ("M_EyeBlend", "M_EyeOcclusion", "M_LacrimalFluid", "M_EyeLashes")


class FaceModel:
    """The morphable head, read from its packed file.

    Parameters
    ----------
    path : Path
        ``ict_facekit_light.npz``.
    """

    def __init__(self, path: Path) -> None:
        with np.load(path, allow_pickle=False) as stored:
            self.neutral: Array = stored["neutral"].astype(np.float32)
            visible = ~np.isin(stored["tri_mat"], HIDDEN)
            self.triangles = np.ascontiguousarray(stored["tri"][visible])
            self.shapes: Array = stored["expr"].astype(np.float32)
            self.identities: Array = stored["ident"].astype(np.float32)
            self.landmarks = stored["lm68"]
            names = [str(name) for name in stored["expr_names"]]
        self._shape_index = {name: i for i, name in enumerate(names)}
        marks = self.neutral[self.landmarks]
        brows = np.minimum(self._distance(marks[17:22]), self._distance(marks[22:27]))
        self.brow = np.where(self._on_head(), np.clip(1.2 - brows / 0.45, 0, 1), 0.0)
        upper = np.minimum(self._distance(marks[36:40]), self._distance(marks[42:46]))
        lower = np.minimum(self._distance(marks[39:42]), self._distance(marks[45:48]))
        lashes = np.maximum(
            np.clip(1.4 - upper / 0.14, 0, 1), 0.4 * np.clip(1.3 - lower / 0.1, 0, 1)
        )
        self.lash = np.where(self._on_head(), lashes, 0.0)
        self.lip = self._lip_mask(marks)
        self.iris, self.pupil = self._eye_masks()
        self.scalp = self._scalp_mask()

    def weights(self, units: dict[str, float | tuple[float, float]], look: Array) -> Array:
        """Expression weights (57,) of action units.

        Parameters
        ----------
        units : dict
            Unit -> intensity 0 to 1, or (person's right, person's left).
        look : (2,) float
            Where the eyes turn, -1 to 1: towards the person's left, and up.
        """
        weights = np.zeros(len(self.shapes), np.float32)
        for unit, intensity in units.items():
            right, left = intensity if isinstance(intensity, tuple) else (intensity, intensity)
            for name in AU_SHAPES[unit]:
                side = left if name.endswith("_L") else right if name.endswith("_R") else 0
                weights[self._shape_index[name]] += side or max(right, left) * (name[-2] != "_")
        x, y = look
        for name, amount in (
            ("eyeLookOut_L", x), ("eyeLookIn_R", x), ("eyeLookIn_L", -x), ("eyeLookOut_R", -x),
            ("eyeLookUp_L", y), ("eyeLookUp_R", y), ("eyeLookDown_L", -y), ("eyeLookDown_R", -y),
        ):  # fmt: skip
            weights[self._shape_index[name]] += max(0.0, float(amount))
        return weights

    def expressed(self, base: Array, weights: Array, look: Array) -> Array:
        """Vertices (n, 3) of a person's `base` shape with expression `weights`, eyes at `look`.

        The shapes named eyeLook move only the lids; the eyes themselves are turned here, each
        about the centre of the sphere that fits its shell.
        """
        used = np.flatnonzero(weights)
        vertices = base + np.tensordot(weights[used], self.shapes[used], 1).astype(np.float32)
        turn = eye_rotation(look)
        for eye, shell in zip(EYES, SCLERAS, strict=True):
            centre = _sphere_centre(vertices[shell])
            vertices[eye] = (vertices[eye] - centre) @ turn.T + centre
        return vertices

    def _on_head(self) -> NDArray[np.bool_]:
        mask = np.zeros(len(self.neutral), bool)
        mask[HEAD] = True
        return mask

    def _distance(self, line: Array) -> Array:
        """Distance (n,) of every vertex from a polyline."""
        nearest = np.full(len(self.neutral), np.inf, np.float32)
        for a, b in itertools.pairwise(line):
            along = np.clip((self.neutral - a) @ (b - a) / ((b - a) @ (b - a)), 0, 1)
            gap = np.linalg.norm(self.neutral - (a + along[:, None] * (b - a)), axis=1)
            nearest = np.minimum(nearest, gap)
        return nearest

    def _lip_mask(self, marks: Array) -> Array:
        outline = np.ascontiguousarray(marks[48:60, None, :2], np.float32)
        mask = np.zeros(len(self.neutral), np.float32)
        for i in np.flatnonzero(self._on_head() & (self.neutral[:, 2] > 6)):
            x, y = self.neutral[i, :2].tolist()
            inside = cv2.pointPolygonTest(outline, (x, y), measureDist=True)
            mask[i] = np.clip(0.5 + inside / 0.25, 0, 1)
        return mask

    def _eye_masks(self) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
        """Where iris and pupil lie on the shells of the eyes, which hide the iris mesh."""
        iris = np.zeros(len(self.neutral), bool)
        pupil = np.zeros(len(self.neutral), bool)
        for shell in SCLERAS:
            points = self.neutral[shell]
            centre = points.mean(axis=0)
            radius = np.linalg.norm(points[:, :2] - centre[:2], axis=1)
            front = points[:, 2] > centre[2]
            widest = np.linalg.norm(points - centre, axis=1).max()
            iris[shell] = front & (radius < 0.44 * widest)
            pupil[shell] = front & (radius < 0.18 * widest)
        return iris, pupil

    def _scalp_mask(self) -> Array:
        """Where hair grows: above a hairline that falls from the forehead behind the ears."""
        x, y, z = self.neutral.T
        hairline = 9.6 - 0.05 * x**2  # over the forehead, lower at the temples
        behind = np.clip((3.2 - z) / 1.5, 0, 1) * np.clip((y - 1.0) / 1.5, 0, 1)
        above = np.clip((y - hairline) / 0.9, 0, 1)
        ears = (np.abs(x) > 6.5) & (y < 6.0) & (z > -4.5)
        mask = np.where(self._on_head() & ~ears, np.maximum(above, behind), 0.0)
        return mask.astype(np.float32)


def eye_rotation(look: Array) -> Array:
    """Rotation (3, 3) of both eyes in the head, in the model's frame, for a `look`."""
    left, up = np.asarray(look, np.float64) * EYE_TURN_RAD
    cx, sx, cy, sy = np.cos(up), np.sin(up), np.cos(left), np.sin(left)
    aside = np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]])
    raised = np.array([[1, 0, 0], [0, cx, sx], [0, -sx, cx]])
    return (aside @ raised).astype(np.float32)


def _sphere_centre(points: Array) -> Array:
    """Centre (3,) of the sphere that fits points (n, 3) best, by linear least squares."""
    system = np.column_stack([2 * points, np.ones(len(points))])
    return np.linalg.lstsq(system, (points**2).sum(axis=1), rcond=None)[0][:3].astype(np.float32)


@dataclass(frozen=True)
class Look:
    """What a person looks like; colours are linear RGB in [0, 1]."""

    skin: tuple[float, float, float]
    hair: tuple[float, float, float]
    iris: tuple[float, float, float]
    shirt: tuple[float, float, float]
    hair_cm: float
    seed: int


@dataclass(frozen=True)
class Person:
    """A face model made one person's."""

    model: FaceModel
    base: Array
    albedo: Array
    look: Look


def make_person(model: FaceModel, look: Look) -> Person:
    """Draw a person's shape from the identity modes and paint it."""
    rng = np.random.default_rng(look.seed)
    modes = rng.normal(size=len(model.identities)).astype(np.float32) * 0.75
    base = model.neutral + np.tensordot(modes, model.identities, 1).astype(np.float32)
    outward = base - np.array([0.0, 3.0, 0.0], np.float32)
    outward /= np.linalg.norm(outward, axis=1, keepdims=True)
    strands = 1 + 0.12 * np.sin(base[:, :1] * 5.0 + 2.0 * np.sin(base[:, 1:2] * 1.3))
    base = base + outward * (look.hair_cm * model.scalp[:, None] * strands)
    return Person(model, base.astype(np.float32), _paint(model, look, rng), look)


def _paint(model: FaceModel, look: Look, rng: np.random.Generator) -> Array:
    """Albedo (n, 3) of every vertex."""
    points = model.neutral
    skin = np.array(look.skin, np.float32)
    colour = np.tile(skin, (len(points), 1))
    waves = rng.normal(size=(6, 3)) * 0.5
    mottle = np.sin(points @ waves.T + rng.uniform(0, 6, 6)).sum(axis=1, keepdims=True)
    colour *= 1 + 0.015 * mottle + 0.012 * rng.normal(size=(len(points), 1))
    cheeks = np.exp(-((np.abs(points[:, :1]) - 4.2) ** 2 + (points[:, 1:2] + 1.5) ** 2) / 6)
    colour += np.array([0.10, -0.01, -0.01]) * 0.6 * cheeks * (points[:, 2:] > 4)
    lip = skin * np.array([0.95, 0.62, 0.62])
    colour += (lip - colour) * model.lip[:, None]
    hair = np.array(look.hair, np.float32)
    strand = 1 + 0.35 * np.sin(points[:, :1] * 9 + 3 * np.sin(points[:, 1:2] * 2))
    colour += (hair - colour) * (0.85 * model.brow[:, None])
    # Without a dark rim the closed eye of a smooth face shows nothing that says "closed".
    colour += (0.25 * hair - colour) * (0.9 * model.lash[:, None])
    colour += (hair * strand - colour) * model.scalp[:, None]
    colour[MOUTH_SOCKET] = 0.16, 0.05, 0.05
    colour[GUMS] = 0.50, 0.22, 0.22
    colour[TEETH] = 0.82, 0.79, 0.72
    for shell in SCLERAS:
        colour[shell] = 0.84, 0.82, 0.81
    colour[model.iris] = look.iris
    colour[model.pupil] = 0.02
    return np.clip(colour, 0.0, 1.0).astype(np.float32)
