"""What stands on a face's box: who it is, what it displays, how old that is, the head's angles."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Final

import numpy as np

from realtime_affect.face.vision import GOOD_SHARPNESS, GOOD_SIZE_PX, GOOD_VIEW_DEG, MAX_VIEW_DEG
from realtime_affect.overlay.drawing import (
    BOLD,
    DARK,
    PANEL_OPACITY,
    WHITE,
    Canvas,
    Font,
    Pen,
    Stamp,
    panel,
    text_size,
    text_width,
)
from realtime_affect.overlay.event_trace import fresh_movement
from realtime_affect.overlay.panel import short_name, strongest_units
from realtime_affect.schema import SCHEMA

if TYPE_CHECKING:
    from collections.abc import Sequence

    from realtime_affect.overlay.drawing import Color
    from realtime_affect.overlay.placement import Rect
    from realtime_affect.types import Face, FaceQuality, Reading, Track

_OLD_NS: Final = 250_000_000  # an expression older than this says so
_RING_STEPS: Final = 24
_WIDTH_STEP: Final = 8
_POSE: Final = SCHEMA["head_rotation"].labels


def paint_label(  # noqa: PLR0913  (what is drawn, of whom, and what it may not cover)
    canvas: Canvas, label: Label, boxes: list[Rect], n: int, top: int, panels: Sequence[Rect] = ()
) -> None:
    """Draw id or name, the reported expression and the strongest unit above the box.

    Words go where they cover no other face or its name, and none of `panels`; those that find no
    room are left out from the end.
    """
    unit, box = canvas.unit, boxes[n]
    size = text_size(13, unit)
    height, pad = round(1.6 * size), round(0.45 * size)
    above = height + round(3 * unit)
    x, y = max(0, box[0]), box[1] - above
    if y < top:  # no room above: inside the box
        x, y = x + round(4 * unit), max(top, box[1] + round(4 * unit))
    name_width = text_width(label.name, size, BOLD) + 2 * pad
    radius = 0 if math.isnan(label.calibration) else round(0.5 * size)
    ring = 2 * radius + pad if radius else 0
    space = round(0.6 * size)
    # Where the label ends with all words, with one fewer, and so on: what fits is taken.
    words = list(label.words)
    widths = [name_width + (pad + ring if ring else 0)]
    at = name_width + pad + ring
    for word in words:
        at += text_width(word, size)
        # In steps: what is below is kept for each width, and trembles less.
        widths.append(-(-(at + pad) // _WIDTH_STEP) * _WIDTH_STEP)
        at += space
    others = [(o[0], o[1] - above, o[2], o[3]) for m, o in enumerate(boxes) if m != n]
    others = [o for o in (*others, *panels) if x < o[2] and y < o[3] and y + height > o[1]]

    def covers(width: int) -> bool:
        x1 = x + width
        if x1 <= box[2]:
            return False
        return x1 > canvas.width - pad or any(x1 > o[0] for o in others)

    while words and covers(widths[len(words)]):
        words.pop()
    width = widths[len(words)]
    if not words and covers(width):
        radius, width = 0, name_width
    x = max(0, min(x, canvas.width - width))
    middle = y + height // 2
    if width > name_width:
        canvas.blit(panel(width, height, 0.3 * height, DARK, PANEL_OPACITY), x, y)
    canvas.blit(panel(name_width, height, 0.3 * height, label.color, 1.0), x, y)
    canvas.write(label.name, x + pad, middle, Font(size, DARK, BOLD))
    x += name_width + pad
    if radius:
        stamp = _ring(radius, label.calibration, label.color)
        canvas.blit(stamp, x + radius - stamp.width // 2, middle - stamp.height // 2)
        x += ring
    for word in words:
        x = canvas.write(word, x, middle, Font(size, WHITE)) + space


@dataclass(frozen=True, slots=True)
class Label:
    """What stands above a face's box; `calibration` NaN leaves its ring out."""

    name: str
    words: tuple[str, ...]
    color: Color
    calibration: float


def label_of(reading: Reading, track: Track, name: str, color: Color, *, short: bool) -> Label:
    """Say who it is, what is displayed, how old that is, and what keeps it from being measured."""
    if track.face is None:
        return Label(name, () if short else ("not measured now",), color, math.nan)
    result = reading.affect.results.get(track.track_id)
    t_ns = reading.scene.frame.t_ns
    words = []
    if result is not None and result.micro is not None and fresh_movement(result.micro, t_ns):
        words.append("spike")
    if short:
        return Label(name, tuple(words), color, math.nan)
    expression = None if result is None else result.expression
    if expression is not None:
        words.append(f"{expression.name} {100 * expression.probability:.0f}%")
    units = track.face.action_units
    words += [f"AU{short_name(unit)} {units[unit]:.1f}" for unit in strongest_units(units)[:1]]
    if expression is not None and t_ns - expression.t_ns >= _OLD_NS:
        words.append(f"{(t_ns - expression.t_ns) / 1e9:.1f} s old")
    if reason := weakness(track.face.quality):
        words.append(reason)
    return Label(name, tuple(words), color, units.calibration)


def paint_angles(canvas: Canvas, face: Face, box: Rect) -> None:
    """Write the head's angles on the lower edge of its own box."""
    size = text_size(12, canvas.unit)
    height, pad = round(1.6 * size), round(0.5 * size)
    degrees = np.rint(np.rad2deg(face.pose.rotation_rad)).astype(int).tolist()
    text = "  ".join(f"{name} {angle:+d}°" for name, angle in zip(_POSE, degrees, strict=True))
    width = text_width(text, size) + 2 * pad
    if width > box[2] - box[0]:
        text = " ".join(f"{angle:+d}°" for angle in degrees)
        width = text_width(text, size) + 2 * pad
    x = max(0, min(box[0] + pad, canvas.width - width))
    y = min(box[3], canvas.height) - height - pad
    canvas.blit(panel(width, height, 0.3 * height, DARK, PANEL_OPACITY), x, y)
    canvas.write(text, x + pad, y + height // 2, Font(size, WHITE))


def _ring(radius: int, share: float, color: Color) -> Stamp:
    """Return how much of the person's own neutral face is known: an arc, a disc when all is."""
    share = min(1.0, max(0.0, share)) if math.isfinite(share) else 0.0
    whole = _RING_STEPS + 1
    return _ring_of(radius, whole if share >= 0.995 else math.ceil(share * _RING_STEPS), color)


@lru_cache(maxsize=256)
def _ring_of(radius: int, steps: int, color: Color) -> Stamp:
    side = 2 * radius + 5
    middle = radius + 2
    keep, add = np.full((side, side, 3), 255, np.uint8), np.zeros((side, side, 3), np.uint8)
    turn = np.linspace(0, 2 * math.pi, _RING_STEPS + 1)
    thickness = max(1.0, 0.3 * radius)
    circle = middle + (radius - thickness / 2) * np.column_stack([np.sin(turn), -np.cos(turn)])
    tick = middle + radius * np.array([(-0.45, 0.0), (-0.1, 0.4), (0.5, -0.4)])
    black = (0, 0, 0)
    # Drawn in colour on the light, in black on what shows through: opaque on the image.
    for sheet, empty, full, dark in (
        (Canvas(add), (110, 106, 102), color, DARK),
        (Canvas(keep), black, black, black),
    ):
        sheet.stroke(circle, Pen(empty, thickness))
        if steps > _RING_STEPS:
            sheet.disc(middle, middle, radius, full)
            sheet.stroke(tick, Pen(dark, thickness))
        elif steps:
            sheet.stroke(circle[: steps + 1], Pen(full, thickness))
    return Stamp(keep, add)


def weakness(quality: FaceQuality) -> str:
    """Return what limits a poorly seen face most (small, turned away, blurred), or nothing."""
    if quality.score >= 0.5:
        return ""
    limits = {
        "small": quality.size_px / GOOD_SIZE_PX,
        "turned away": (MAX_VIEW_DEG - quality.view_deg) / (MAX_VIEW_DEG - GOOD_VIEW_DEG),
        "blurred": quality.sharpness / GOOD_SHARPNESS,
    }
    return min(limits, key=lambda name: limits[name])
