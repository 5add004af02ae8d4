"""What stands on a face's box: who it is, what it displays, how old that is, the head's angles."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from realtime_affect.face.vision import GOOD_SHARPNESS, GOOD_SIZE_PX, GOOD_VIEW_DEG, MAX_VIEW_DEG
from realtime_affect.overlay.drawing import (
    BOLD,
    DARK,
    PANEL_OPACITY,
    WHITE,
    Font,
    Pen,
    panel,
    text_size,
    text_width,
)
from realtime_affect.overlay.event_trace import fresh_movement
from realtime_affect.overlay.panel import short_name, strongest_units
from realtime_affect.schema import SCHEMA

if TYPE_CHECKING:
    from collections.abc import Sequence

    from realtime_affect.overlay.drawing import Canvas, Color
    from realtime_affect.overlay.placement import Rect
    from realtime_affect.types import Face, FaceQuality, Reading, Track

_OLD_NS: Final = 250_000_000  # an expression older than this says so
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
    ring = 0 if math.isnan(label.calibration) else round(0.5 * size)
    words = list(label.words)
    others = [(o[0], o[1] - above, o[2], o[3]) for m, o in enumerate(boxes) if m != n]
    others += panels

    def width() -> int:
        return (
            name_width
            + (pad if words or ring else 0)
            + (2 * ring + pad if ring else 0)
            + (_span(words, size) + pad if words else 0)
        )

    def covers() -> bool:
        x1 = x + width()
        if x1 > canvas.width - pad and x1 > box[2]:
            return True
        return any(
            x < o[2] and x1 > o[0] and y < o[3] and y + height > o[1] and x1 > box[2]
            for o in others
        )

    while words and covers():
        words.pop()
    if not words and covers():
        ring = 0
    x = max(0, min(x, canvas.width - width()))
    middle = y + height // 2
    if width() > name_width:
        canvas.blit(panel(width(), height, 0.3 * height, DARK, PANEL_OPACITY), x, y)
    canvas.blit(panel(name_width, height, 0.3 * height, label.color, 1.0), x, y)
    canvas.write(label.name, x + pad, middle, Font(size, DARK, BOLD))
    x += name_width + pad
    if ring:
        _paint_ring(canvas, (x + ring, middle), ring, label.calibration, label.color)
        x += 2 * ring + pad
    for word in words:
        x = canvas.write(word, x, middle, Font(size, WHITE)) + round(0.6 * size)


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


def _span(words: list[str], size: int) -> int:
    """Return how wide `words` are side by side."""
    spaces = max(0, len(words) - 1) * round(0.6 * size)
    return sum(text_width(word, size) for word in words) + spaces


def _paint_ring(
    canvas: Canvas, center: tuple[float, float], radius: float, share: float, color: Color
) -> None:
    """Draw how much of the person's own neutral face is known: an arc, a disc when all is."""
    x, y = center
    share = min(1.0, max(0.0, share)) if math.isfinite(share) else 0.0
    turn = np.linspace(0, 2 * math.pi, 25)
    thickness = max(1.0, 0.3 * radius)
    reach = radius - thickness / 2
    circle = np.array([x, y]) + reach * np.column_stack([np.sin(turn), -np.cos(turn)])
    canvas.stroke(circle, Pen((110, 106, 102), thickness))
    if share >= 0.995:
        canvas.disc(x, y, radius, color)
        tick = [(x - 0.45 * radius, y), (x - 0.1 * radius, y + 0.4 * radius)]
        canvas.stroke([*tick, (x + 0.5 * radius, y - 0.4 * radius)], Pen(DARK, thickness))
    elif share > 0:
        arc = circle[: max(2, math.ceil(share * 24) + 1)]
        canvas.stroke(arc, Pen(color, thickness))


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
