"""What surrounds and covers a face: long hair, glasses, shoulders, hands, rooms.

Drawn flat over the projected head: cheap, and enough that a network cannot lean on bare faces.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import cv2
import numpy as np
from scipy.interpolate import CubicSpline

if TYPE_CHECKING:
    from training.synthetic.faces import Array
    from training.synthetic.people import Person
    from training.synthetic.render import Light, Placement

_FINE: Final = 4  # sub-pixel bits of OpenCV's drawing
_NOSE_BRIDGE, _EYES = 27, ((36, 37, 38, 39, 40, 41), (42, 43, 44, 45, 46, 47))
_TEMPLE_RIGHT, _TEMPLE_LEFT = 0, 16


def lay(picture: Array, mask: Array, colour: Array | tuple[float, float, float]) -> None:
    """Cover `picture` (H, W, 3) with a colour, or a picture, where `mask` (H, W) is 1; in place."""
    ys, xs = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if not len(ys):
        return
    box = slice(ys[0], ys[-1] + 1), slice(xs[0], xs[-1] + 1)
    ink = np.asarray(colour, np.float32)
    ink = ink[box] if ink.ndim == 3 else ink
    picture[box] += (ink - picture[box]) * mask[box][..., None]


def draw_hair_behind(
    picture: Array, person: Person, marks: Array, place: Placement, light: Light
) -> None:
    """Draw long hair that hangs behind the head and beside the neck."""
    length = person.traits.sides_cm
    if length <= 0 or person.traits.covering is not None:
        return
    unit = place.px_per_cm
    middle = 0.5 * (marks[_TEMPLE_RIGHT] + marks[_TEMPLE_LEFT])
    half = 0.5 * np.linalg.norm(marks[_TEMPLE_LEFT] - marks[_TEMPLE_RIGHT]) + 1.2 * unit
    angles = np.linspace(np.pi, 2 * np.pi, 13)
    top = [middle + [half * np.cos(a), 9.5 * unit * np.sin(a)] for a in angles]
    low = length * unit
    sides = [
        middle + [half * 1.06, low],
        middle + [half * 0.55, low + unit],
        middle + [-half * 0.55, low + unit],
        middle + [-half * 1.06, low],
    ]
    lay(
        picture,
        _polygon(picture, np.array([*top, *sides])),
        _lit(person.traits.skin.hair, light, 0.5),
    )


def draw_hair_before(
    picture: Array, person: Person, marks: Array, place: Placement, light: Light, seed: int
) -> None:
    """Draw locks along the cheeks."""
    length = person.traits.sides_cm
    if length <= 0 or person.traits.covering is not None:
        return
    rng = np.random.default_rng([seed, 77])
    unit = place.px_per_cm
    shade = _lit(person.traits.skin.hair, light, 0.9)
    for temple, out in ((marks[_TEMPLE_RIGHT], -1), (marks[_TEMPLE_LEFT], 1)):
        inward = rng.uniform(-0.6, 1.3) * unit
        reach = min(length, 24.0) * unit
        outline = [
            temple + [out * 0.2 * unit, -5.5 * unit],
            temple + [-out * 0.7 * inward, -2.5 * unit],
            temple + [-out * inward, 1.0 * unit],
            temple + [-out * 0.6 * inward, 0.5 * reach],
            temple + [-out * 0.9 * inward, 0.8 * reach],
            temple + [out * 0.9 * unit, reach],
            temple + [out * 2.2 * unit, 0.85 * reach],
            temple + [out * 2.0 * unit, 0.3 * reach],
            temple + [out * 1.6 * unit, -1.0 * unit],
            temple + [out * 0.9 * unit, -4.0 * unit],
        ]
        closed = np.array([*outline, *outline, *outline])
        t = np.linspace(len(outline), 2 * len(outline), 80)
        steps = np.arange(len(closed))
        rounded = np.column_stack([CubicSpline(steps, closed[:, k])(t) for k in range(2)])
        lay(picture, _polygon(picture, rounded), shade)


def draw_glasses(
    picture: Array, person: Person, points: Array, place: Placement, light: Light
) -> None:
    """Draw frames on the nose, following the head; `points` (n, 3) are the projected vertices."""
    glasses = person.traits.glasses
    if glasses is None:
        return
    marks = points[person.model.landmarks, :2]
    eyes = [marks[list(group)].mean(axis=0) for group in _EYES]
    across = (eyes[1] - eyes[0]) / 6.2  # a centimetre to the person's left, seen in the picture
    down = np.array([-across[1], across[0]])
    down *= place.px_per_cm / max(float(np.linalg.norm(down)), 1e-6)
    width = max(1, round(glasses.thickness * place.px_per_cm))
    frame = np.zeros(picture.shape[:2], np.uint8)
    angles = np.linspace(0, 2 * np.pi, 33)
    power = 0.5 + 0.5 * glasses.roundness  # 1: an ellipse, less: a rounded box
    x = np.sign(np.cos(angles)) * np.abs(np.cos(angles)) ** power * glasses.half_width
    y = np.sign(np.sin(angles)) * np.abs(np.sin(angles)) ** power * glasses.half_height
    for eye in eyes:
        rim = eye + x[:, None] * across + (y[:, None] + 0.25) * down
        corners = [np.round(rim * 2**_FINE).astype(np.int32)]
        if glasses.tint > 0:
            lens = np.zeros(picture.shape[:2], np.uint8)
            cv2.fillPoly(lens, corners, 255, cv2.LINE_AA, _FINE)
            lay(picture, lens.astype(np.float32) / 255 * glasses.tint, (0.02, 0.02, 0.02))
        cv2.polylines(frame, corners, True, 255, width, cv2.LINE_AA, _FINE)
    bridge = [
        eyes[0] + glasses.half_width * across,
        marks[_NOSE_BRIDGE],
        eyes[1] - glasses.half_width * across,
    ]
    arms = [
        [eyes[0] - glasses.half_width * across, marks[_TEMPLE_RIGHT]],
        [eyes[1] + glasses.half_width * across, marks[_TEMPLE_LEFT]],
    ]
    lines = [np.round(np.array(line) * 2**_FINE).astype(np.int32) for line in (bridge, *arms)]
    cv2.polylines(frame, lines, False, 255, width, cv2.LINE_AA, _FINE)
    lay(picture, frame.astype(np.float32) / 255, _lit(glasses.colour, light, 0.9))


def draw_shirt(picture: Array, person: Person, place: Placement, light: Light) -> None:
    """Paint shoulders over the end of the neck; they stay while the head turns."""
    scale = place.px_per_cm
    neck_y = place.y + 16.2 * scale
    if neck_y - 4 * scale > picture.shape[0]:
        return
    outline = np.array([(place.x + x * scale, neck_y + y * scale) for x, y in _SHOULDERS])
    height, width = picture.shape[:2]
    rows = np.arange(height, dtype=np.float32)[:, None, None]
    columns = np.arange(width, dtype=np.float32)[None, :, None]
    shade = 1.05 - 0.02 * (rows - neck_y) / scale - 0.018 * np.abs(columns - place.x) / scale
    cloth = _lit(person.traits.shirt, light, 1.0) * np.clip(shade, 0.3, 1.1)
    lay(picture, _polygon(picture, outline), cloth)


def draw_occluder(picture: Array, marks: Array, place: Placement, rng: np.random.Generator) -> None:
    """Put a hand, a cup or a sheet of something over a part of the face."""
    unit = place.px_per_cm
    target = marks[rng.choice([8, 3, 13, 48, 54, 17, 26, 57])] + rng.normal(size=2) * unit
    colour = (
        rng.uniform(0.02, 0.6, 3)
        if rng.uniform() < 0.5
        else np.array([0.6, 0.38, 0.28]) * rng.uniform(0.2, 1.1)
    )
    mask = np.zeros(picture.shape[:2], np.uint8)
    if rng.uniform() < 0.6:  # fingers
        lean = rng.uniform(-0.5, 0.5)
        for finger in range(rng.integers(1, 5)):
            tip = target + np.array([finger * 1.7 * unit, rng.uniform(-1, 1) * unit])
            end = tip + np.array([lean * 20 * unit, 20 * unit])
            ends = [tuple(np.round(p).astype(int).tolist()) for p in (tip, end)]
            cv2.line(mask, *ends, 255, max(1, round(1.6 * unit)), cv2.LINE_AA)
    else:
        spread = rng.uniform(2, 6, 2) * unit
        turns = np.sort(rng.uniform(0, 2 * np.pi, rng.integers(4, 9)))
        away = target + np.sign(target - marks[30]) * spread * 0.6
        outline = away + np.column_stack([np.cos(turns), np.sin(turns)]) * spread
        cv2.fillPoly(mask, [np.round(outline).astype(np.int32)], 255, cv2.LINE_AA)
    shade = cv2.GaussianBlur(mask.astype(np.float32) / 255, (0, 0), max(0.3, 0.06 * unit))
    texture = 1 + 0.15 * np.sin(np.arange(picture.shape[1]) / rng.uniform(1, 9))[None, :, None]
    lay(picture, shade, np.broadcast_to(colour * texture, picture.shape).astype(np.float32))


def draw_room(height: int, width: int, rng: np.random.Generator) -> Array:
    """Make an out-of-focus room: (height, width, 3) float32 linear RGB."""
    coarse = rng.uniform(0.02, 0.5, (rng.integers(2, 6), rng.integers(2, 7), 1))
    tint = rng.uniform(0.75, 1.25, (*coarse.shape[:2], 3))
    small = (coarse * tint).astype(np.float32)
    way = cv2.INTER_CUBIC if rng.uniform() < 0.6 else cv2.INTER_NEAREST
    picture = cv2.resize(small, (width, height), interpolation=way)
    for _ in range(rng.integers(0, 6)):
        a, b = rng.uniform([0, 0], [width, height], (2, 2))
        corners = [tuple(np.round(p).astype(int).tolist()) for p in (a, b)]
        colour = tuple(rng.uniform(0.01, 0.8, 3).tolist())
        if rng.uniform() < 0.5:
            cv2.rectangle(picture, *corners, colour, -1)
        else:
            cv2.circle(picture, corners[0], int(rng.uniform(0.03, 0.2) * width) + 1, colour, -1)
    return np.clip(cv2.GaussianBlur(picture, (0, 0), width * rng.uniform(0.008, 0.04)), 0.002, 1)


def _lit(colour: tuple[float, float, float], light: Light, share: float) -> Array:
    """Colour under a light that meets it half aside."""
    strength = (
        0.6 * light.key_colour + 0.3 * light.fill_colour + 0.6 * light.sky + 0.4 * light.ground
    )
    return np.clip(np.array(colour, np.float32) * strength * share, 0, 1)


def _polygon(picture: Array, outline: Array) -> Array:
    mask = np.zeros(picture.shape[:2], np.uint8)
    corners = np.round(outline * 2**_FINE).astype(np.int32)
    cv2.fillPoly(mask, [corners], 255, cv2.LINE_AA, _FINE)
    return mask.astype(np.float32) / 255


def _shoulders() -> list[tuple[float, float]]:
    """Outline of a crew neck and shoulders, in centimetres from the middle of the collar."""
    collar = [(6.2 * np.sin(a), 2.2 * np.cos(a) - 1.6) for a in np.linspace(-1.5, 1.5, 17)]
    right = [(7.5, -2.4), (10.5, -2.8), (13.5, -1.8), (16.0, 0.8), (17.6, 5.0), (18.2, 30.0)]
    return [*collar, *right, *[(-x, y) for x, y in reversed(right)]]


_SHOULDERS: Final = _shoulders()
