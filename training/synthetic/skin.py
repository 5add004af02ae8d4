"""The front of a face as a picture: skin, brows, lips, beard, and the wrinkles units fold.

All faces share one layout, the model's neutral front seen from far away: texture pixel (u, v) lies
at x = (u - WIDTH / 2) / PX_PER_CM, y = TOP_CM - v / PX_PER_CM. So a crow's foot, a brow or a whole
photograph is placed once for every identity. Colours are linear RGB in [0, 1].
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import cv2
import numpy as np

from training.synthetic.motion import UNITS

if TYPE_CHECKING:
    from training.synthetic.faces import Array, FaceModel

WIDTH: Final = 256
HEIGHT: Final = 320
PX_PER_CM: Final = 14.2
TOP_CM: Final = 12.2


def texture_points(points: Array) -> Array:
    """Texture pixels (n, 2) of points (n, 2 or 3) of the neutral model, in centimetres."""
    u = points[:, 0] * PX_PER_CM + WIDTH / 2
    v = (TOP_CM - points[:, 1]) * PX_PER_CM
    return np.column_stack([u, v]).astype(np.float32)


@dataclass(frozen=True, slots=True)
class SkinTraits:
    """What a face's front looks like; colours linear RGB, amounts 0 to 1."""

    skin: tuple[float, float, float]
    hair: tuple[float, float, float]
    brow: float
    beard: float
    moustache: float
    lips: tuple[float, float, float]
    eye_shadow: float
    freckles: float
    mottle: float
    age: float


def paint_skin(
    model: FaceModel, traits: SkinTraits, rng: np.random.Generator, *, hairs: bool = False
) -> Array:
    """Paint a synthetic face: (HEIGHT, WIDTH, 3) float32; with `hairs`, brows grow hair by hair."""
    marks = texture_points(model.neutral[model.landmarks])
    skin = np.array(traits.skin, np.float32)
    picture = np.tile(skin, (HEIGHT, WIDTH, 1))
    picture *= 1 + traits.mottle * (
        0.05 * _noise(rng, 24)[..., None] + 0.04 * _noise(rng, 7)[..., None]
    )
    picture *= 1 + 0.035 * traits.mottle * _noise(rng, 1.2)[..., None]
    blush = sum(
        _spot(marks[a] * 0.5 + marks[b] * 0.5, 26.0) for a, b in ((2, 48), (14, 54), (30, 30))
    )
    # Blood tints what light the skin lets through, so the blush is a share of the skin's own.
    picture *= 1 + np.array([0.05, -0.10, -0.09], np.float32) * blush[..., None]
    sockets = _spot(marks[36:42].mean(axis=0), 17.0) + _spot(marks[42:48].mean(axis=0), 17.0)
    shade = 0.10 + 0.25 * traits.eye_shadow
    picture *= 1 - shade * np.clip(sockets, 0, 1)[..., None]
    if traits.freckles > 0.3:
        specks = _noise(rng, 1.6) > 2.2 - traits.freckles * 0.6
        soft = cv2.GaussianBlur(specks.astype(np.float32), (0, 0), 0.8) * np.clip(blush * 1.5, 0, 1)
        picture *= 1 - 0.45 * soft[..., None]
    for _ in range(rng.poisson(1.5)):
        at = rng.uniform([60, 90], [196, 280])
        picture *= 1 - rng.uniform(0.2, 0.6) * _spot(at, rng.uniform(0.8, 1.8))[..., None]
    _lay(picture, np.array(traits.lips, np.float32), 0.85 * _filled(marks[48:60], 1.5))
    hair = np.array(traits.hair, np.float32)
    _lay(picture, hair, _beard(marks, traits, rng))
    brows = _grow_brows(marks, traits, rng) if hairs else _brows(marks, traits.brow, rng)
    _lay(picture, hair * 0.9, 0.92 * brows)
    return np.clip(picture, 0.003, 1).astype(np.float32)


@dataclass(frozen=True, slots=True)
class Wrinkles:
    """Folds that units press into a face.

    Attributes
    ----------
    maps : tuple of (left, top, (h, w) float32)
        Relief of each fold in a box of the texture: 1 = dark furrow, below 0 = lit ridge.
    drive : (k, 2 * units) float32
        How much each unit's right and left side deepens each fold.
    rest : (k,) float32
        How deep each is in the neutral face.
    """

    maps: tuple[tuple[int, int, Array], ...]
    drive: Array
    rest: Array

    def lid_shade(self, units: Array) -> Array:  # noqa: ARG002
        """Darkening (2,) of the right and the left eye: lids here throw no shadow."""
        return np.zeros(2, np.float32)

    def shade(self, units: Array, lights: Array) -> Array:  # noqa: ARG002  (lines are painted)
        """Darkening (HEIGHT, WIDTH) of the skin while `units` (18, 2) act, in any light."""
        depth = np.clip(self.rest + self.drive @ units.reshape(-1), 0, 1)
        shade = np.zeros((HEIGHT, WIDTH), np.float32)
        for (x, y, fold), amount in zip(self.maps, depth.tolist(), strict=True):
            if amount > 0.01:
                shade[y : y + fold.shape[0], x : x + fold.shape[1]] += amount * fold
        return shade


def make_wrinkles(model: FaceModel, age: float, rng: np.random.Generator) -> Wrinkles:
    """Lay out a person's folds: where they run is common, how deep and how many is the person's."""
    marks = texture_points(model.neutral[model.landmarks])
    maps: list[tuple[int, int, Array]] = []
    drives: list[Array] = []
    rests: list[float] = []

    def add(lines: list[Array], width: float, drive: dict[tuple[str, int], float]) -> None:
        moved = [line + rng.normal(size=(1, 2)) * 1.2 for line in lines]
        fold = _furrows(moved, width * rng.uniform(0.8, 1.25))
        ys, xs = np.nonzero(np.abs(fold) > 0.01)
        if not len(ys):
            return
        top, left = ys.min(), xs.min()
        box = np.ascontiguousarray(fold[top : ys.max() + 1, left : xs.max() + 1])
        maps.append((int(left), int(top), box))
        row = np.zeros((len(UNITS), 2), np.float32)
        strength = rng.uniform(0.35, 0.8) + 0.35 * age
        for (unit, side), gain in drive.items():
            row[UNITS.index(unit), side] = gain * strength
        drives.append(row.reshape(-1))
        rests.append(float(max(0.0, rng.normal(0.02 + 0.22 * age * age, 0.05))))

    for side in (0, 1):  # the person's right lies at the picture's left
        out = -1 if side == 0 else 1
        brow = marks[17:22] if side == 0 else marks[26:21:-1]  # outer -> inner
        eye_out, eye_low = (
            marks[36 if side == 0 else 45],
            marks[[41, 40] if side == 0 else [46, 47]],
        )
        wing, corner = marks[31 if side == 0 else 35], marks[48 if side == 0 else 54]
        inner_eye = marks[39 if side == 0 else 42]
        heights = (22, 33, 44)
        add(
            [brow[:3] + [0, -h] + [[0, 4], [0, 0], [0, 0]] for h in heights],
            1.6,
            {("AU02", side): 1.0},
        )
        add([brow[2:] + [0, -h + 2] for h in heights], 1.7, {("AU01", side): 1.0})
        add(
            [
                np.array(
                    [brow[4] + [out * -4, -10], brow[4] + [out * -5, 0], brow[4] + [out * -4, 9]]
                )
            ],
            1.9,
            {("AU04", side): 1.1, ("AU09", side): 0.4},
        )
        feet = [
            np.array(
                [
                    eye_out + [out * 5, dy * 0.4],
                    eye_out + [out * 12, dy],
                    eye_out + [out * 18, dy * 1.6],
                ]
            )
            for dy in (-7, 0, 7)
        ]
        add(feet, 1.3, {("AU06", side): 1.1, ("AU45", side): 0.15})
        add(
            [np.array([inner_eye + [0, 8], eye_low.mean(axis=0) + [0, 10], eye_out + [0, 10]])],
            1.6,
            {("AU06", side): 0.7, ("AU07", side): 0.9, ("AU09", side): 0.2},
        )
        add(
            [
                np.array([eye_low[0] + [0, 4], eye_low[1] + [0, 4]]),
                np.array([eye_low[0] + [out * 6, 3], eye_out + [out * 4, 2]]),
            ],
            1.1,
            {("AU07", side): 1.1},
        )
        nose_root = marks[27]
        add(
            [
                np.array(
                    [
                        nose_root + [out * 1, dy],
                        nose_root + [out * 7, dy - 3],
                        nose_root + [out * 11, dy + 3],
                    ]
                )
                for dy in (2, 9, 16)
            ],
            1.3,
            {("AU09", side): 1.2},
        )
        fold = np.array(
            [
                wing + [out * 4, -8],
                wing + [out * 12, 8],
                corner + [out * 11, -8],
                corner + [out * 12, 6],
            ]
        )
        add(
            [fold],
            2.3,
            {("AU12", side): 0.9, ("AU10", side): 0.8, ("AU09", side): 0.7, ("AU06", side): 0.3},
        )
        add(
            [np.array([corner + [out * 5, -5], corner + [out * 7, 0], corner + [out * 5, 6]])],
            1.9,
            {("AU14", side): 1.3, ("AU12", side): 0.25},
        )
        add(
            [np.array([corner + [out * 2, 3], corner + [out * 6, 12], corner + [out * 7, 22]])],
            1.8,
            {("AU15", side): 1.0, ("AU20", side): 0.5},
        )
        add(
            [np.array([corner + [out * 8, -3], corner + [out * 12, 6], corner + [out * 11, 15]])],
            1.7,
            {("AU20", side): 0.9},
        )
    chin = marks[8] + [0, -16]
    dimples = [
        np.array([chin + d, chin + d + [3, 1]]) for d in rng.uniform([-14, -8], [14, 8], (14, 2))
    ]
    both = {("AU17", 0): 0.6, ("AU17", 1): 0.6}
    add(dimples, 1.4, both)
    add([np.array([marks[57] + [-14, 12], marks[57] + [0, 9], marks[57] + [14, 12]])], 2.0, both)
    for lip, unit in ((51, "AU24"), (57, "AU28")):
        add(
            [
                marks[lip]
                + np.array([[-14, 4], [0, 0], [14, 4]]) * ([1, 1] if lip == 57 else [1, -1])
            ],
            1.5,
            {(unit, 0): 0.5, (unit, 1): 0.5},
        )
    return Wrinkles(tuple(maps), np.array(drives), np.array(rests, np.float32))


def _furrows(lines: list[Array], width: float) -> Array:
    """Relief (HEIGHT, WIDTH) of soft lines: dark in the middle, a lit ridge below."""
    mask = np.zeros((HEIGHT, WIDTH), np.uint8)
    for line in lines:
        corners = np.round(_smooth(line) * 16).astype(np.int32)
        cv2.polylines(mask, [corners], False, 255, 1, cv2.LINE_AA, 4)
    line_mask = mask.astype(np.float32) / 255
    dark = cv2.GaussianBlur(line_mask, (0, 0), 0.55 * width)
    ridge = cv2.GaussianBlur(
        np.roll(line_mask, max(1, round(1.3 * width)), axis=0), (0, 0), 0.8 * width
    )
    peak = max(float(dark.max()), 1e-6)
    return (0.62 * dark / peak - 0.25 * ridge / peak).astype(np.float32)


def _smooth(line: Array, n: int = 16) -> Array:
    """Quadratic through a polyline's points (k, 2), sampled n times."""
    t = np.linspace(0, 1, len(line))
    degree = min(2, len(line) - 1)
    s = np.linspace(0, 1, n)
    return np.column_stack([np.polyval(np.polyfit(t, line[:, k], degree), s) for k in range(2)])


def _noise(rng: np.random.Generator, size_px: float) -> Array:
    """Smooth noise (HEIGHT, WIDTH) of unit variance with blobs of `size_px`."""
    small = rng.normal(size=(int(HEIGHT / size_px) + 4, int(WIDTH / size_px) + 4))
    big = cv2.resize(small.astype(np.float32), (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC)
    return big / (big.std() + 1e-6)  # type: ignore[no-any-return]


def _spot(at: Array, radius: float) -> Array:
    y, x = np.ogrid[:HEIGHT, :WIDTH]
    return np.exp(-((x - at[0]) ** 2 + (y - at[1]) ** 2) / (2 * radius**2)).astype(np.float32)


def _filled(outline: Array, softness: float) -> Array:
    mask = np.zeros((HEIGHT, WIDTH), np.uint8)
    cv2.fillPoly(mask, [np.round(outline * 16).astype(np.int32)], 255, cv2.LINE_AA, 4)
    return cv2.GaussianBlur(mask.astype(np.float32) / 255, (0, 0), softness)


def _lay(picture: Array, colour: Array, cover: Array) -> None:
    picture += (colour - picture) * cover[..., None]


def _brows(marks: Array, thickness: float, rng: np.random.Generator) -> Array:
    """Cover (HEIGHT, WIDTH) of brow hairs, stroke by stroke."""
    mask = np.zeros((HEIGHT, WIDTH), np.uint8)
    lift = rng.normal(0, 1.0)
    for side, line in ((-1, marks[17:22]), (1, marks[26:21:-1])):  # outer -> inner
        path = _smooth(line, 60)
        for _ in range(int(80 + 420 * thickness)):
            k = min(59, int(60 * rng.beta(1.3, 1.1)))
            width = (1.2 + 3.4 * thickness) * min(1.0, 0.35 + k / 30)
            at = path[k] + [0, lift + rng.normal(0, width)]
            lean = rng.uniform(0.2, 1.0)
            tip = at + np.array([side * lean, -(1 - lean) - 0.15]) * rng.uniform(3, 7)
            ends = [tuple(np.round(p * 16).astype(int).tolist()) for p in (at, tip)]
            cv2.line(mask, *ends, 255, 1, cv2.LINE_AA, 4)
    return cv2.GaussianBlur(mask.astype(np.float32) / 255, (0, 0), 1.0)


def _grow_brows(marks: Array, traits: SkinTraits, rng: np.random.Generator) -> Array:
    """Cover (HEIGHT, WIDTH) of brow hairs: upright at the nose, combed outwards along the arch.

    Hairs of the upper edge lean down and those of the lower edge up; age thins them out.
    """
    fine = 4
    mask = np.zeros((fine * HEIGHT, fine * WIDTH), np.uint8)
    n = int((220 + 900 * traits.brow) * (1 - 0.35 * traits.age))
    lift, high = rng.normal(0, 1.0), 1.6 + 3.0 * traits.brow
    for side, line in ((-1, marks[17:22]), (1, marks[26:21:-1])):  # outer -> inner
        path = _smooth(line, 60)
        at = np.clip(rng.beta(1.25, 1.1, n), 0, 0.999)  # 0 at the tail, 1 at the nose
        across = np.clip(rng.normal(0, 0.6, n), -1.2, 1.2)
        root = path[(60 * at).astype(int)]
        root = root + np.column_stack([np.zeros(n), across * high * np.minimum(1, 0.3 + 1.6 * at)])
        root[:, 1] += lift
        # Angle from outwards (0) to upwards (90 degrees).
        angle = 5 + 80 * np.clip((at - 0.55) / 0.45, 0, 1) ** 1.5 - 18 * np.clip(1 - 3 * at, 0, 1)
        angle = np.deg2rad(angle + 22 * across + rng.normal(0, 8, n))
        way = np.column_stack([side * np.cos(angle), -np.sin(angle)])
        long = (rng.uniform(4, 8, n) * (0.55 + 0.45 * np.minimum(1, 2 * at)))[:, None]
        middle = root + 0.55 * long * way
        tip = middle + 0.45 * long * (way + [0.35 * side, 0.15])
        hairs = np.round(np.stack([root, middle, tip], 1) * fine * 16).astype(np.int32)
        cv2.polylines(mask, list(hairs), False, 255, 1, cv2.LINE_AA, 4)
    cover = cv2.resize(mask, (WIDTH, HEIGHT), interpolation=cv2.INTER_AREA).astype(np.float32) / 255
    return cv2.GaussianBlur(np.clip(1.5 * cover, 0, 1), (0, 0), 0.6)


def _beard(marks: Array, traits: SkinTraits, rng: np.random.Generator) -> Array:
    """Cover (HEIGHT, WIDTH) of beard and moustache."""
    cover = np.zeros((HEIGHT, WIDTH), np.float32)
    grain = np.clip(0.65 + 0.45 * _noise(rng, 1.3), 0, 1)
    if traits.beard > 0:
        jaw = np.concatenate([marks[2:15], marks[14:15] + [-14, -12], marks[54:55] + [12, -14]])
        outline = np.concatenate(
            [
                jaw,
                marks[35:36] + [10, 14],
                marks[31:32] + [-10, 14],
                marks[48:49] + [-12, -14],
                marks[2:3] + [14, -12],
            ]
        )
        cover = np.maximum(cover, traits.beard * _filled(outline, 5.0))
    if traits.moustache > 0:
        outline = np.concatenate(
            [marks[48:49] + [-5, 4], marks[31:36] + [0, 3], marks[54:55] + [5, 4], marks[54:47:-1]]
        )
        cover = np.maximum(cover, traits.moustache * _filled(outline, 2.0))
    cover *= 1 - _filled(marks[48:60], 0.8)
    return cover * grain
