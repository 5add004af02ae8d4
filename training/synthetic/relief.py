"""Skin that folds: heights over the front of a face, driven by action units, in the scene's light.

A :class:`Relief` is a person's furrows, bulges and shadows as boxes of the texture's layout
(``skin``), each as deep as units drive it. Heights bend the normals of the face, so that a furrow
is dark where it turns from the light and bright where it turns towards it (bump mapping: Blinn,
"Simulation of wrinkled surfaces", SIGGRAPH 1978), and hollows keep the sky's light out. It all lies
in texture pixels, so it moves with the face, and is a continuous function of the units alone, so it
does not flicker. Where folds run is in ``creases``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import cv2
import numba
import numpy as np

from training.synthetic.faces import HEAD, normals_of
from training.synthetic.motion import UNITS
from training.synthetic.skin import HEIGHT, WIDTH, texture_points

if TYPE_CHECKING:
    from training.synthetic.faces import Array, FaceModel

_HOLLOW_PX: Final = 3.0  # reach of what keeps the sky's light from a hollow
_HOLLOW: Final = 0.28  # light lost a texture pixel of depth
_DARKEST: Final = 0.75
_NARROW: Final = {"AU45": 1.0, "AU07": 0.9, "AU06": 0.8, "AU04": 0.5}
"""How far units bring lids, lashes and brow over the eye."""
_LIDDED: Final = 0.2, 0.6  # light taken from an eye by lids at rest, and by nearly closed ones more
_SMOOTH_PX: Final = 3.0  # of a face's own normals


@dataclass(frozen=True, slots=True)
class Fold:
    """A furrow, a bulge or a shadow that deepens with units.

    Attributes
    ----------
    left, top : int
        Of its box in the texture.
    height : (h, w) float32
        Out of the skin at its deepest, in texture pixels.
    dark : (h, w) float32
        Share of the light that does not reach the skin there, whatever the light is.
    drive : (18, 2) float32
        How deep each unit's right and left side folds it, of 1; below 0 it opens the fold.
    rest : float
        How deep it is in the neutral face.
    sharp : bool
        Comes late and then fast, as a crease; otherwise in proportion, as a bulge.
    """

    left: int
    top: int
    height: Array
    dark: Array
    drive: Array
    rest: float
    sharp: bool


class Relief:
    """A person's folds.

    Parameters
    ----------
    folds : sequence of Fold
    normals : (320, 256, 3) float32
        Of the person's smooth face, in the model's frame; see :func:`front_normals`.
    """

    def __init__(self, folds: list[Fold], normals: Array) -> None:
        self._boxes = [(fold.left, fold.top, fold.height, fold.dark) for fold in folds]
        self._drive = np.array([fold.drive.reshape(-1) for fold in folds], np.float32)
        self._rest = np.array([fold.rest for fold in folds], np.float32)
        self._sharp = np.array([fold.sharp for fold in folds])
        self._normals = normals

    def depths(self, units: Array) -> Array:
        """Return how deep each fold is, 0 to 1, while `units` (18, 2) act."""
        net = self._drive @ units.reshape(-1)
        driven = np.clip(net, 0, 1)
        driven = np.where(self._sharp, driven**1.4, driven)
        opened = np.clip(-net, 0, 1)
        depths: Array = self._rest * (1 - opened) + (1 - self._rest) * driven
        return depths

    def lid_shade(self, units: Array) -> Array:
        """Return what lids and lashes take from the light on the right and the left eye, (2,)."""
        narrow = [gain * units[UNITS.index(unit)] for unit, gain in _NARROW.items()]
        rest = _LIDDED[0] * (1 - units[UNITS.index("AU05")])
        return rest + _LIDDED[1] * np.max(narrow, axis=0)  # type: ignore[no-any-return]

    def shade(self, units: Array, lights: Array) -> Array:
        """Return what the folds take from the skin's light, (320, 256); below 0 they add.

        Parameters
        ----------
        units : (18, 2) float32
        lights : (4, 4) float32
            Directions in the model's frame, and strength, of key light, fill light, sky and ground;
            the ground's direction is the sky's.
        """
        height = np.zeros((HEIGHT, WIDTH), np.float32)
        dark = np.zeros((HEIGHT, WIDTH), np.float32)
        for (x, y, raised, shadow), depth in zip(
            self._boxes, self.depths(units).tolist(), strict=True
        ):
            if depth > 0.004:
                box = slice(y, y + raised.shape[0]), slice(x, x + raised.shape[1])
                height[box] += depth * raised
                dark[box] = 1 - (1 - dark[box]) * (1 - depth * shadow)
        shade = np.zeros((HEIGHT, WIDTH), np.float32)
        _relight(height, dark, self._normals, lights.astype(np.float32), shade)
        return shade


def hollow(height: Array) -> Array:
    """Return how much of the sky's light does not reach the hollows of a height map."""
    around = cv2.GaussianBlur(height, (0, 0), _HOLLOW_PX)
    return np.clip(_HOLLOW * (around - height), 0, _DARKEST).astype(np.float32)


def front_normals(model: FaceModel, base: Array) -> Array:
    """Return the normals (320, 256, 3) of a neutral face `base` (n, 3) over the texture."""
    normals = normals_of(base, model.triangles)[HEAD]
    uv = texture_points(model.neutral)[HEAD]
    seen = (normals[:, 2] > 0) & (model.neutral[HEAD, 2] > 1.0)
    seen &= (uv >= 0).all(axis=1) & (uv < (WIDTH - 1, HEIGHT - 1)).all(axis=1)
    u, v = np.round(uv[seen]).astype(np.int64).T
    splats = np.zeros((HEIGHT, WIDTH, 3), np.float32)
    np.add.at(splats, (v, u), normals[seen])
    splats = cv2.GaussianBlur(splats, (0, 0), _SMOOTH_PX)
    splats[..., 2] += 1e-4  # where there is no face: towards the viewer
    return splats / np.linalg.norm(splats, axis=2, keepdims=True)  # type: ignore[no-any-return]


@numba.njit(cache=True, fastmath=True)
def _relight(height, dark, normals, lights, shade):  # noqa: ANN001, ANN202  (numba infers them)
    """Compare the light on bent normals with that on smooth ones, texel by texel."""
    rows, columns = height.shape
    for i in range(1, rows - 1):
        for j in range(1, columns - 1):
            dx = np.float32(0.5) * (height[i, j + 1] - height[i, j - 1])
            dy = np.float32(0.5) * (height[i - 1, j] - height[i + 1, j])
            ratio = np.float32(1.0)
            if abs(dx) + abs(dy) > np.float32(1e-3):
                x, y, z = normals[i, j, 0], normals[i, j, 1], normals[i, j, 2]
                along = dx * x + dy * y
                bx, by, bz = x - dx + x * along, y - dy + y * along, z + z * along
                length = np.sqrt(bx * bx + by * by + bz * bz) + np.float32(1e-6)
                smooth = _lit(x, y, z, lights)
                ratio = _lit(bx / length, by / length, bz / length, lights) / smooth
                ratio = min(max(ratio, np.float32(0.35)), np.float32(1.6))
            shade[i, j] = 1 - ratio * (1 - dark[i, j])


@numba.njit(cache=True, fastmath=True)
def _lit(x, y, z, lights):  # noqa: ANN001, ANN202
    """Return the light on a normal, as ``render`` lights vertices."""
    key = x * lights[0, 0] + y * lights[0, 1] + z * lights[0, 2]
    key = min(max((key + np.float32(0.25)) / np.float32(1.25), np.float32(0)), np.float32(1))
    fill = max(x * lights[1, 0] + y * lights[1, 1] + z * lights[1, 2], np.float32(0))
    up = np.float32(0.5) * (1 + x * lights[2, 0] + y * lights[2, 1] + z * lights[2, 2])
    return (
        key * lights[0, 3] + fill * lights[1, 3]
        + up * lights[2, 3] + (1 - up) * lights[3, 3] + np.float32(0.02)
    )  # fmt: skip
