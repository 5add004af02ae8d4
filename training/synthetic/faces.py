"""ICT-FaceKit Light -> a head that can be posed: shapes, action units, eyes, and what lies where.

Lengths are centimetres in the model's frame: x to the person's left, y up, z towards the viewer.
Vertex ranges are those of the ICT-FaceKit topology (github.com/ICT-VGL/ICT-FaceKit).
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from training.synthetic.motion import EXTRAS, UNITS

if TYPE_CHECKING:
    from pathlib import Path

Array = NDArray[np.float32]


def _pair(name: str) -> tuple[str, str]:
    return f"{name}_R", f"{name}_L"


# Action unit -> the expression shapes that show it; a shape without a side takes the stronger one.
UNIT_SHAPES: Final[dict[str, tuple[str, ...]]] = {
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
    "AU16": _pair("mouthLowerDown"),
    "AU17": ("mouthShrugLower",),
    "AU20": _pair("mouthStretch"),
    "AU24": _pair("mouthPress"),
    "AU26": ("jawOpen",),
    "AU28": ("mouthRollLower", "mouthRollUpper"),
    "AU45": _pair("eyeBlink"),
}

N_USED: Final = 24591  # vertices after these are lashes, tears and shadows, which are painted
HEAD: Final = slice(0, 11248)
MOUTH_SOCKET: Final = slice(11248, 13294)
GUMS: Final = slice(14062, 17039)
TEETH: Final = slice(17039, 21451)
SCLERAS: Final = (slice(21451, 22221), slice(23021, 23791))
EYES: Final = (slice(21451, 23021), slice(23021, 24591))  # each shell with the iris inside it
# Weight of the shapes at intensity 1, which is FACS E, the strongest there is: many shapes at
# weight 1 are what a face does with ease, a blink of 1 leaves some lids ajar, and a jaw beyond 0.7
# is AU27.
_GAIN: Final = {
    "AU01": 1.6, "AU02": 1.4, "AU04": 1.6, "AU05": 1.5, "AU06": 1.3, "AU07": 2.3, "AU09": 1.3,
    "AU10": 1.2, "AU14": 1.5, "AU15": 1.4, "AU17": 1.4, "AU20": 1.4, "AU24": 2.0, "AU26": 0.7,
    "AU45": 1.15,
}  # fmt: skip
EYE_TURN_RAD: Final = 0.55  # how far a look of 1 turns the eyes
INNER_LIPS: Final = ((61, 67), (62, 66), (63, 65))  # of the 68 landmarks: upper, lower
_HIDDEN: Final = ("M_EyeBlend", "M_EyeOcclusion", "M_LacrimalFluid", "M_EyeLashes")


class FaceModel:
    """The morphable head, read from its packed file.

    Parameters
    ----------
    path : Path
        ``ict_facekit_light.npz``.

    Attributes
    ----------
    neutral : (n, 3) float32
    triangles : (t, 3) int32
    landmarks : (68,) int
        Multi-PIE's points among the vertices.
    lash, eye_plane, normals
        A painted rim of the lids (n,), coordinates on the eyes (n, 3), normals at rest (n, 3).
    """

    def __init__(self, path: Path) -> None:
        with np.load(path, allow_pickle=False) as stored:
            self.neutral: Array = stored["neutral"][:N_USED].astype(np.float32)
            visible = ~np.isin(stored["tri_mat"], _HIDDEN)
            triangles = stored["tri"][visible]
            self.triangles = np.ascontiguousarray(triangles[(triangles < N_USED).all(axis=1)])
            shapes = stored["expr"][:, :N_USED].astype(np.float32)
            self.identities: Array = stored["ident"][:, :N_USED].astype(np.float32)
            self.landmarks = stored["lm68"]
            names = [str(name) for name in stored["expr_names"]]
        self._shapes = [np.ascontiguousarray(shape) for shape in shapes]
        self._shape_index = {name: i for i, name in enumerate(names)}
        self._mixer = self._unit_mixer()
        marks = self.neutral[self.landmarks]
        upper = np.minimum(self._distance(marks[36:40]), self._distance(marks[42:46]))
        lower = np.minimum(
            self._distance(marks[[39, 40, 41, 36]]), self._distance(marks[[45, 46, 47, 42]])
        )
        rim = np.maximum(np.clip(1.4 - upper / 0.14, 0, 1), 0.4 * np.clip(1.3 - lower / 0.1, 0, 1))
        self.lash: Array = np.where(self.on_head(), rim, 0.0).astype(np.float32)
        self.eye_plane = self._eye_plane()
        self.normals = normals_of(self.neutral, self.triangles)

    def weights(self, units: Array, extras: Array, look: Array) -> Array:
        """Return the weights (57,) of the expression shapes.

        Parameters
        ----------
        units : (18, 2) float32
            Intensities 0 to 1 in the order of ``motion.UNITS``: the person's right, left.
        extras : (10,) float32
            Shapes that no unit drives, in the order of ``motion.EXTRAS``.
        look : (2,) float32
            Where the eyes turn, -1 to 1: towards the person's left, and up.
        """
        sides = np.column_stack([units, units.max(axis=1)]).reshape(-1)
        weights = self._mixer @ np.concatenate([sides, extras]).astype(np.float32)
        x, y = (float(v) for v in look)
        for name, amount in (
            ("eyeLookOut_L", x), ("eyeLookIn_R", x), ("eyeLookIn_L", -x), ("eyeLookOut_R", -x),
            ("eyeLookUp_L", y), ("eyeLookUp_R", y), ("eyeLookDown_L", -y), ("eyeLookDown_R", -y),
        ):  # fmt: skip
            weights[self._shape_index[name]] += max(0.0, amount)
        return weights

    def expressed(self, base: Array, weights: Array, look: Array) -> Array:
        """Vertices (n, 3) of a person's `base` shape with expression `weights`, eyes at `look`.

        The shapes named eyeLook move only the lids; the eyes themselves are turned here, each
        about the centre of the sphere that fits its shell.
        """
        vertices = base.copy()
        for i in np.flatnonzero(weights):
            vertices += weights[i] * self._shapes[i]
        turn = eye_rotation(look)
        for eye, shell in zip(EYES, SCLERAS, strict=True):
            centre = _sphere_centre(vertices[shell])
            vertices[eye] = (vertices[eye] - centre) @ turn.T + centre
        return vertices

    def lip_gap_cm(self, vertices: Array) -> float:
        """Mean distance of the inner lips."""
        marks = vertices[self.landmarks]
        gaps = [np.linalg.norm(marks[up] - marks[low]) for up, low in INNER_LIPS]
        return float(np.mean(gaps))

    def on_head(self) -> NDArray[np.bool_]:
        """Return which vertices are skin or scalp."""
        mask = np.zeros(len(self.neutral), bool)
        mask[HEAD] = True
        return mask

    def _unit_mixer(self) -> Array:
        """Return (57, 3 * 18 + 10): what each unit's right, left and stronger side drive."""
        mixer = np.zeros((len(self._shapes), 3 * len(UNITS) + len(EXTRAS)), np.float32)
        for unit, names in UNIT_SHAPES.items():
            for name in names:
                side = {"_R": 0, "_L": 1}.get(name[-2:], 2)
                gain = _GAIN.get(unit, 1.0)
                mixer[self._shape_index[name], 3 * UNITS.index(unit) + side] = gain
        for i, name in enumerate(EXTRAS):
            mixer[self._shape_index[name], 3 * len(UNITS) + i] = 1.0
        return mixer

    def _distance(self, line: Array) -> Array:
        """Distance (n,) of every vertex from a polyline."""
        nearest = np.full(len(self.neutral), np.inf, np.float32)
        for a, b in itertools.pairwise(line):
            along = np.clip((self.neutral - a) @ (b - a) / ((b - a) @ (b - a)), 0, 1)
            gap = np.linalg.norm(self.neutral - (a + along[:, None] * (b - a)), axis=1)
            nearest = np.minimum(nearest, gap)
        return nearest

    def _eye_plane(self) -> Array:
        """Eye pattern's coordinates (n, 3): x and y from the pupil in cm, and 1 on a shell.

        The pattern is drawn for each pixel: the mesh is far too coarse for the rim of an iris.
        """
        plane = np.zeros((len(self.neutral), 3), np.float32)
        for shell in SCLERAS:
            centre = _sphere_centre(self.neutral[shell])
            offset = self.neutral[shell] - centre
            # Behind the front half the pattern must stay off the iris.
            plane[shell, :2] = np.where(offset[:, 2:] > 0, offset[:, :2], 9.0)
            plane[shell, 2] = 1.0
        return plane


def normals_of(vertices: Array, triangles: NDArray[np.int32]) -> Array:
    """Return unit normals (n, 3) of vertices (n, 3)."""
    a, b, c = (vertices[triangles[:, k]] for k in range(3))
    faces = np.cross(b - a, c - a)
    normals = np.zeros_like(vertices)
    for k in range(3):
        for axis in range(3):
            normals[:, axis] += np.bincount(triangles[:, k], faces[:, axis], len(vertices))
    return normals / (np.linalg.norm(normals, axis=1, keepdims=True) + 1e-9)


def eye_rotation(look: Array) -> Array:
    """Rotation (3, 3) of both eyes in the head, in the model's frame, for a `look`."""
    left, up = np.asarray(look, np.float64) * EYE_TURN_RAD
    cx, sx, cy, sy = np.cos(up), np.sin(up), np.cos(left), np.sin(left)
    aside = np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]])
    raised = np.array([[1, 0, 0], [0, cx, sx], [0, -sx, cx]])
    return (aside @ raised).astype(np.float32)


def _sphere_centre(points: Array) -> Array:
    """Centre (3,) of the sphere that fits points (n, 3) best, by linear least squares."""
    system = np.column_stack([2 * points, np.ones(len(points))]).astype(np.float64)
    squares = (points.astype(np.float64) ** 2).sum(axis=1)
    return np.linalg.solve(system.T @ system, system.T @ squares)[:3].astype(np.float32)
