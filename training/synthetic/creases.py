"""Where a face folds: the furrows, bulges and shadows of each action unit, laid out for a person.

Where they run is common; how many there are, how they wander and how deep they get is the person's.
Creases hardly show on smooth young skin and are deep, and there at rest, in old one; grooves and
bulges of the flesh below show in everybody. What each unit folds follows the appearance changes of
Ekman, Friesen & Hager, Facial Action Coding System: Investigator's Guide (2002).

Positions are texture pixels (``skin``) of the person's right, which lies at the picture's left;
those of the left are their mirror images, so that each side follows its own unit.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import cv2
import numba
import numpy as np

from training.synthetic.motion import UNITS
from training.synthetic.relief import Fold, Relief, front_normals, hollow
from training.synthetic.skin import HEIGHT, WIDTH

if TYPE_CHECKING:
    from collections.abc import Sequence

    from training.synthetic.faces import Array, FaceModel
    from training.synthetic.skin import SkinTraits

Drive = dict[str, float]

_NOTHING: Final = 0.012  # heights and shadows below this are left out


def make_relief(
    model: FaceModel, base: Array, traits: SkinTraits, rng: np.random.Generator
) -> Relief:
    """Lay out a person's folds.

    Parameters
    ----------
    model : FaceModel
    base : (n, 3) float32
        The person's neutral face.
    traits : SkinTraits
        Age decides how deep creases are; dark skin creases later.
    rng : Generator
    """
    sheet = _Sheet(traits, rng)
    _fold_forehead(sheet, rng)
    _fold_between_brows(sheet, rng)
    _fold_about_eyes(sheet, rng)
    _fold_nose(sheet, rng)
    _fold_cheeks(sheet, rng)
    _fold_about_mouth(sheet, rng)
    _fold_chin(sheet, rng)
    return Relief(sheet.folds, front_normals(model, base))


class _Sheet:
    """Gathers the folds of both sides.

    Lengths are texture pixels. `drive` says how far each unit folds it; a crease is as deep as the
    person's creases are, anything else as the person's flesh is soft. `both` = a fold in the
    middle, which follows the mean of both sides.
    """

    def __init__(self, traits: SkinTraits, rng: np.random.Generator) -> None:
        self.age = traits.age
        self.folds: list[Fold] = []
        light = float(np.clip(np.mean(traits.skin) / 0.35, 0, 1))
        creased = 0.03 + 1.1 * traits.age**1.2 + rng.normal(0, 0.08)
        self._creased = float(np.clip(creased, 0.02, 1.15)) * (0.75 + 0.25 * light)
        self._soft = float(np.clip(0.72 + 0.35 * traits.age + rng.normal(0, 0.12), 0.45, 1.25))
        self._rng = rng

    def groove(
        self, path: Sequence[tuple[float, float]], width: float, depth: float, drive: Drive, *,
        heap: float = 0.25, reach: float = 5.0, aside: bool = False, rest: float = 0.0,
        crease: bool = False, both: bool = False, window: Array | None = None,
    ) -> None:  # fmt: skip
        """Add a valley along a path with skin heaped up beside it.

        `heap` is the height of what is heaped up, as a share of the depth, `reach` its distance;
        `aside` = only on the side that lies to the right of who walks the path.
        """
        wander = self._rng.normal(0, 0.9, 2)
        for side in (0, 1):
            points = np.array(path, np.float64) + wander + self._rng.normal(0, 0.4, 2)
            left, top, distance, along, right = _near(points, 4 * width + 4 * reach * (heap > 0))
            ends = np.clip(np.minimum(along, 1 - along) / 0.22, 0, 1)
            ends = ends * (2 - ends)
            height = -np.exp(-((distance / width) ** 2))
            beside = distance / reach
            hill = heap * beside * np.exp(1 - beside) * np.clip(distance / width, 0, 1)
            height += hill * (right > 0) if aside else hill
            self._add(left, top, ends * height * depth, None, drive, side, rest=rest,
                      crease=crease, both=both, window=window)  # fmt: skip
            if both:
                return

    def bulge(
        self, at: tuple[float, float], radii: tuple[float, float], height: float, drive: Drive, *,
        turn: float = 0.0, rest: float = 0.0, both: bool = False,
    ) -> None:  # fmt: skip
        """Add flesh that is pushed out, or in where `height` is negative; `turn` in degrees."""
        wander = self._rng.normal(0, 1.0, 2)
        for side in (0, 1):
            cos, sin = np.cos(np.deg2rad(turn)), np.sin(np.deg2rad(turn))
            left, top, x, y = _around(np.array([at]), 2.3 * max(radii))
            x, y = x - at[0] - wander[0], y - at[1] - wander[1]
            a, b = (x * cos + y * sin) / radii[0], (y * cos - x * sin) / radii[1]
            self._add(left, top, height * np.exp(-(a * a + b * b)), None, drive, side, rest=rest,
                      both=both)  # fmt: skip
            if both:
                return

    def shadow(
        self, path: Sequence[tuple[float, float]], width: float, dark: float, drive: Drive, *,
        rest: float = 0.0,
    ) -> None:  # fmt: skip
        """Add a place along a path where light hardly comes, or that lashes cover."""
        for side in (0, 1):
            left, top, distance, along, _ = _near(np.array(path, np.float64), 2.2 * width)
            ends = np.clip(np.minimum(along, 1 - along) / 0.2, 0, 1)
            cover = dark * ends * np.exp(-((distance / width) ** 2))
            self._add(left, top, np.zeros_like(cover), cover, drive, side, rest=rest)

    def pits(self, at: tuple[float, float], radii: tuple[float, float], drive: Drive) -> None:
        """Add skin that is drawn in from below in many places."""
        left, top, x, y = _around(np.array([at]), 2.2 * max(radii))
        inside = np.exp(-(((x - at[0]) / radii[0]) ** 2) - ((y - at[1]) / radii[1]) ** 2)
        field = self._rng.normal(size=(20, 20)).astype(np.float32)
        field = cv2.resize(field, x.shape[::-1], interpolation=cv2.INTER_CUBIC)
        depth = (0.9 + 0.9 * self._creased) * self._rng.uniform(0.5, 1.2)
        self._add(left, top, -depth * inside * np.abs(field), None, drive, 0, both=True)

    def _add(
        self, left: int, top: int, height: Array, dark: Array | None, drive: Drive, side: int, *,
        rest: float = 0.0, crease: bool = False, both: bool = False, window: Array | None = None,
    ) -> None:  # fmt: skip
        strength = self._creased if crease else self._soft
        if dark is None:
            height = height * (strength * self._rng.uniform(0.8, 1.2))
            dark = hollow(height.astype(np.float32))
        if window is not None:
            share = window[left : left + height.shape[1]]
            height, dark = height * share, dark * share
        if side == 1:
            height, dark = height[:, ::-1], dark[:, ::-1]
            left = WIDTH + 1 - left - height.shape[1]
            inside = slice(max(0, -left), WIDTH - left)
            height, dark = height[:, inside], dark[:, inside]
            left = max(0, left)
        if np.abs(height).max() < _NOTHING and dark.max() < _NOTHING:
            return
        driven = np.zeros((len(UNITS), 2), np.float32)
        for unit, gain in drive.items():
            driven[UNITS.index(unit), slice(None) if both else side] = gain / 2 if both else gain
        if crease:  # there at rest where a face is old
            rest = max(0.0, self.age - 0.35) * self._rng.uniform(0.3, 0.9)
        self.folds.append(Fold(
            left, top, np.ascontiguousarray(height, np.float32),
            np.ascontiguousarray(dark, np.float32), driven, float(np.clip(rest, 0, 1)), crease,
        ))  # fmt: skip


def _fold_forehead(sheet: _Sheet, rng: np.random.Generator) -> None:
    """Furrows across: the middle of each follows the inner brow, its ends the outer one."""
    x = np.arange(WIDTH, dtype=np.float32)
    middle = 1 / (1 + np.exp(-(x - 84) / 7))
    n = int(rng.integers(2, 6))
    heights = np.linspace(73, 73 - 9.5 * (n - 1), n) + rng.normal(0, 1.0, n)
    for y in heights.tolist():
        arch, dip = rng.uniform(-2, 5), rng.normal(0, 1.5)
        path = ((132, y + dip), (112, y + 0.5 * dip), (88, y - 0.4 * arch), (64, y), (46, y + arch))
        width, depth = rng.uniform(1.2, 1.8), rng.uniform(1.2, 2.0)
        common = {"heap": 0.35, "reach": 4.0, "crease": True}
        sheet.groove(path, width, depth, {"AU01": 1.0, "AU02": 0.3, "AU04": -0.2}, window=middle,
                     **common)  # fmt: skip
        sheet.groove(path, width, depth, {"AU02": 1.0, "AU01": 0.15}, window=1 - middle, **common)


def _fold_between_brows(sheet: _Sheet, rng: np.random.Generator) -> None:
    """Upright furrows and the bulges of the corrugators; the brow's shadow on the lid."""
    for k in range(int(rng.integers(1, 4))):
        x = 118.5 - 5.5 * k + rng.normal(0, 0.8)
        top = rng.uniform(66, 76)
        sheet.groove(((x + 2, 106), (x, 96), (x - 1.5, 86), (x - 1 - 2 * k, top)),
                     rng.uniform(1.2, 1.8), rng.uniform(1.4, 2.2), {"AU04": 1.0, "AU09": 0.3},
                     heap=0.4, reach=4.0, crease=True)  # fmt: skip
    sheet.groove(((120, 106), (118, 97), (116, 86), (114, 74)), 2.2, 1.7,
                 {"AU04": 1.0, "AU09": 0.3}, heap=0.6, reach=6.0)  # fmt: skip
    sheet.bulge((106, 88), (11, 6), 3.0, {"AU04": 1.0, "AU09": 0.3, "AU01": 0.1}, turn=-12)
    sheet.shadow(((52, 107), (68, 101), (86, 102), (103, 108)), 7.0, rng.uniform(0.35, 0.65),
                 {"AU04": 1.0, "AU09": 0.3, "AU07": 0.25, "AU01": -0.5, "AU02": -0.5},
                 rest=rng.uniform(0.0, 0.3))  # fmt: skip
    sheet.shadow(((101, 110), (104, 116), (106, 124)), 4.5, rng.uniform(0.2, 0.4),
                 {"AU04": 1.0, "AU09": 0.4}, rest=rng.uniform(0.0, 0.3))  # fmt: skip


def _fold_about_eyes(sheet: _Sheet, rng: np.random.Generator) -> None:
    """Crow's feet, the furrow below the eye, lid folds, lids, and lashes of a closed eye."""
    n = int(rng.integers(2, 6))
    for turn in np.linspace(-0.5, 0.65, n) + rng.normal(0, 0.06, n):
        start, length = rng.uniform(6, 9), rng.uniform(11, 21)
        bend = 0.25 * turn
        path = [
            (65 - r * np.cos(turn + bend * r / 20), 124 + r * np.sin(turn + bend * r / 20))
            for r in np.linspace(start, start + length, 4)
        ]
        sheet.groove(path, rng.uniform(1.0, 1.5), rng.uniform(1.0, 1.7),
                     {"AU06": 1.0, "AU12": 0.25, "AU07": 0.2, "AU45": 0.1},
                     heap=0.4, reach=3.0, crease=True)  # fmt: skip
    below = ((58, 134), (69, 142), (84, 146), (98, 142), (107, 134))
    sheet.groove(below, 3.6, 2.6, {"AU06": 1.0, "AU09": 0.4, "AU07": 0.2, "AU12": 0.2},
                 heap=0.6, reach=9.0, aside=True, rest=0.06 + 0.25 * sheet.age)  # fmt: skip
    for k in range(int(rng.integers(1, 4))):
        drop = 3.2 * k + rng.normal(0, 0.5)
        sheet.groove(((100 - 5 * k, 137 + drop), (86, 140 + drop), (70, 137 + drop)), 1.1, 1.1,
                     {"AU06": 1.0, "AU07": 0.5, "AU12": 0.15}, crease=True)  # fmt: skip
    sheet.groove(((100, 133), (89, 136.5), (76, 136), (66, 131)), 1.4, 0.9,
                 {"AU07": 1.0, "AU06": 0.5, "AU45": 0.1}, heap=0.0, rest=0.15)  # fmt: skip
    sheet.bulge((83, 134), (14, 2.6), 1.3, {"AU07": 0.8, "AU06": 0.8, "AU12": 0.2})
    lid = rng.uniform(0.1, 1.0)  # some lids hardly have a fold
    fold = ((61, 121), (69, 112.5), (82, 108.5), (94, 112), (102, 120))
    sheet.groove(fold, 1.5, 1.3 * lid, {"AU45": -0.75, "AU05": 0.6, "AU04": 0.3}, heap=0.3,
                 reach=4.0, rest=0.6)  # fmt: skip
    sheet.bulge((81, 115), (13, 4), 1.5, {"AU45": 1.0})
    hood = max(0.0, sheet.age - 0.3) * rng.uniform(0.3, 1.0)
    sheet.groove(((80, 107), (70, 110), (60, 116), (55, 123)), 2.0, 1.6,
                 {"AU04": 0.6, "AU06": 0.5, "AU07": 0.4, "AU02": -0.5}, heap=0.9, reach=5.0,
                 aside=True, rest=hood)  # fmt: skip
    # Lashes hang over the eye, more so as it narrows, and over the lower lid of a closed one.
    lash = rng.uniform(0.5, 0.9)
    sheet.shadow(((63, 126), (73, 117.5), (82, 116), (90, 117.5), (102, 126.5)), 2.3, lash,
                 {"AU06": 0.7, "AU07": 0.7, "AU04": 0.3, "AU45": 0.5}, rest=0.25)  # fmt: skip
    sheet.shadow(((63, 126), (70, 130), (81, 132), (93, 131.5), (103, 128)), 2.3, lash,
                 {"AU45": 1.0, "AU06": 0.5, "AU07": 0.5}, rest=0.1)  # fmt: skip


def _fold_nose(sheet: _Sheet, rng: np.random.Generator) -> None:
    """Wrinkles of the root and the sides of the nose, and the folds beside its wings."""
    for y in (122, 130, 138)[: int(rng.integers(2, 4))]:
        y += rng.normal(0, 1.2)
        sheet.groove(((124, y + 1), (117, y), (110, y + 4), (106, y + 9)), 1.3,
                     rng.uniform(1.0, 1.5), {"AU09": 1.0, "AU10": 0.1}, heap=0.5, reach=3.5,
                     crease=True)  # fmt: skip
        sheet.groove(((123, y), (115, y + 1), (108, y + 6)), 1.8, 1.1, {"AU09": 1.0}, heap=0.5)
    root = 112 + rng.normal(0, 1.5)
    sheet.groove(((113, root + 1), (128, root - 1), (143, root + 1)), 1.8, 1.5,
                 {"AU09": 1.0, "AU04": 0.25}, heap=0.5, reach=5.0, both=True)  # fmt: skip
    sheet.groove(((113, 164), (107, 172), (104, 181), (107, 190)), 2.2, 2.2,
                 {"AU09": 1.0, "AU10": 0.6, "AU12": 0.2}, heap=0.5, reach=7.0, aside=True,
                 rest=0.15)  # fmt: skip


def _fold_cheeks(sheet: _Sheet, rng: np.random.Generator) -> None:
    """Cheeks that are raised, and the nasolabial fold under them."""
    deep = rng.uniform(0.75, 1.25)
    path = ((106, 181), (97, 192), (87, 207), (80, 222), (78, 238))
    sheet.groove(path, 3.4, 3.4 * deep, {"AU12": 0.95, "AU10": 0.55, "AU09": 0.35, "AU06": 0.35,
                 "AU20": 0.2, "AU14": 0.15}, heap=0.9, reach=14.0, aside=True,
                 rest=0.06 + 0.35 * sheet.age**1.5)  # fmt: skip
    sheet.shadow(((103, 185), (94, 198), (86, 212), (83, 228)), 6.0, 0.32 * deep,
                 {"AU12": 0.9, "AU10": 0.7, "AU09": 0.4, "AU06": 0.2})  # fmt: skip
    sheet.groove(path, 1.3, 1.4, {"AU12": 0.8, "AU10": 0.6, "AU06": 0.3, "AU09": 0.4},
                 crease=True)  # fmt: skip
    sheet.groove(((106, 160), (98, 170), (91, 182), (86, 196)), 3.6, 3.0 * deep,
                 {"AU09": 1.0, "AU10": 0.7}, heap=0.9, reach=10.0, aside=True)  # fmt: skip
    sheet.bulge((68, 170), (19, 15), 5.0, {"AU06": 0.8, "AU12": 0.45}, turn=-20)
    sheet.bulge((94, 160), (10, 8), 1.8, {"AU10": 0.8, "AU09": 0.8, "AU06": 0.2})
    if rng.uniform() < 0.5:  # a second fold outside of the first
        outer = [(x - 9 - 2 * k, y + 2) for k, (x, y) in enumerate(path[2:])]
        sheet.groove(outer, 2.0, 1.4, {"AU12": 1.0, "AU06": 0.2}, heap=0.6, reach=6.0,
                     crease=True)  # fmt: skip


def _fold_about_mouth(sheet: _Sheet, rng: np.random.Generator) -> None:
    """Dimples, folds at and under the mouth's corners, lips that are pressed."""
    sheet.bulge((85, 222), (4.5, 6), -3.2 * rng.uniform(0.5, 1.3), {"AU14": 1.0, "AU12": 0.15})
    sheet.groove(((84, 211), (79.5, 221), (83, 232)), 1.9, 1.7, {"AU14": 1.0, "AU12": 0.25},
                 heap=0.9, reach=6.0, aside=True)  # fmt: skip
    sheet.bulge((91, 214), (7, 4), 0.9, {"AU14": 0.9, "AU24": 0.2}, turn=35)
    sheet.bulge((91, 233), (7, 4), 0.9, {"AU14": 0.9, "AU15": 0.5}, turn=-35)
    sheet.groove(((91, 226), (87, 234), (85, 246)), 2.2, 1.7,
                 {"AU15": 1.0, "AU20": 0.35, "AU17": 0.2}, heap=0.5, reach=7.0, aside=True,
                 rest=0.3 * sheet.age**2)  # fmt: skip
    sheet.groove(((82, 216), (78, 226), (79, 238)), 1.7, 1.5, {"AU20": 1.0}, heap=0.4)
    for x in (104, 112, 120):
        x += rng.normal(0, 1.0)
        sheet.groove(((x, 197), (x + 0.8, 208)), 1.1, 0.9, {"AU24": 1.0, "AU28": 0.6}, crease=True)
    sheet.groove(((98, 208), (112, 203), (128, 205), (144, 203), (158, 208)), 2.0, 1.1,
                 {"AU24": 1.0, "AU28": 0.7}, both=True)  # fmt: skip
    sheet.groove(((103, 236), (116, 242), (128, 243), (140, 242), (153, 236)), 3.2, 2.6,
                 {"AU17": 0.9, "AU24": 0.6, "AU28": 0.5, "AU16": 0.5}, heap=0.6, reach=6.0,
                 rest=0.15, both=True)  # fmt: skip


def _fold_chin(sheet: _Sheet, rng: np.random.Generator) -> None:
    """Ball and pits of a chin that is pushed up, and the folds beside it."""
    sheet.bulge((128, 258), (17, 9), 3.5, {"AU17": 1.0}, both=True)
    sheet.pits((128, 259), (16, 11), {"AU17": 1.0})
    sheet.groove(((108, 243), (103, 252), (104, 262)), 2.2, 1.3 * rng.uniform(0.5, 1.0),
                 {"AU17": 1.0, "AU15": 0.3})  # fmt: skip


def _around(points: Array, reach: float) -> tuple[int, int, Array, Array]:
    """Return a box about points (k, 2): left, top, x (h, w) and y (h, w)."""
    left, top = (max(0, int(v - reach)) for v in points.min(axis=0))
    right, bottom = points.max(axis=0) + reach
    y, x = np.mgrid[top : min(HEIGHT, int(bottom)), left : min(WIDTH, int(right))]
    return left, top, x.astype(np.float32), y.astype(np.float32)


def _near(points: Array, reach: float) -> tuple[int, int, Array, Array, Array]:
    """Return a box about a path: left, top, and of its texels what :func:`_measure` measures."""
    path = _round(points)
    left, top, x, _ = _around(path, reach)
    gap, along, side = (np.empty_like(x) for _ in range(3))
    _measure(path, left, top, gap, along, side)
    return left, top, gap, along, side


def _round(points: Array) -> Array:
    """Cut the corners of a path (k, 2) three times (Chaikin, 1974), so that it bends smoothly."""
    for _ in range(3):
        step = 0.25 * np.diff(points, axis=0)
        cut = np.stack([points[:-1] + step, points[1:] - step], 1).reshape(-1, 2)
        points = np.concatenate([points[:1], cut[1:-1], points[-1:]])
    return points


@numba.njit(cache=True)
def _measure(path, left, top, gap, along, side):  # noqa: ANN001, ANN202  (numba infers them)
    """Measure how far texels are from a path, where along it (0 to 1), and on which side."""
    n = len(path) - 1
    for i in range(gap.shape[0]):
        for j in range(gap.shape[1]):
            nearest = np.inf
            for k in range(n):
                dx, dy = path[k + 1, 0] - path[k, 0], path[k + 1, 1] - path[k, 1]
                gx, gy = left + j - path[k, 0], top + i - path[k, 1]
                t = min(max((gx * dx + gy * dy) / (dx * dx + dy * dy + 1e-9), 0.0), 1.0)
                square = (gx - t * dx) ** 2 + (gy - t * dy) ** 2
                if square < nearest:
                    nearest = square
                    along[i, j] = (k + t) / n
                    side[i, j] = 1.0 if dx * gy - dy * gx > 0 else -1.0
            gap[i, j] = np.sqrt(nearest)
