"""A micro-expression as one line of a panel: a spike on a flat trace, and where the face moved.

Said is what was seen, a movement that came and went. While none is fresh the trace is flat; where
none could be seen it is broken and says why, quietly.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from realtime_affect.names import MICRO_CLASSES
from realtime_affect.overlay.drawing import BOLD, QUIET, WHITE, Font, Pen, mix, text_width

if TYPE_CHECKING:
    from realtime_affect.overlay.drawing import Canvas, Color
    from realtime_affect.types import FacialEvent, Spotting

SHOWN_NS: Final = 2_000_000_000
"""How long an event is painted after its decision."""

_DIM: Final = (118, 113, 108)
_SURE: Final = 0.5
_SPIKE: Final = np.array(
    [(0.0, 0.0), (0.3, 0.0), (0.4, 0.1), (0.5, -0.5), (0.6, 0.2), (0.7, 0.0), (1.0, 0.0)]
)


def fresh_movement(micro: Spotting, t_ns: int) -> FacialEvent | None:
    """Return the newest micro-expression that is to be painted at source time `t_ns`."""
    fresh = [
        event
        for event in micro.events
        if event.kind == "micro" and t_ns - event.decided_ns <= SHOWN_NS
    ]
    return max(fresh, key=lambda event: event.decided_ns, default=None)


def likely_class(event: FacialEvent) -> tuple[str, float] | None:
    """Return the class that more than half speaks for and its probability; None without one."""
    best = int(np.argmax(np.nan_to_num(event.probabilities)))
    share = float(event.probabilities[best])
    name = MICRO_CLASSES[best]
    return (name, share) if name != "none" and share > _SURE else None


@dataclass(frozen=True, slots=True)
class TextLine:
    """A line of a panel: where it starts, its middle row, width and text size, in pixels."""

    x: int
    middle: int
    width: int
    size: int


def paint_movement(
    canvas: Canvas, line: TextLine, micro: Spotting, event: FacialEvent | None, color: Color
) -> None:
    """Draw `event` on `line`, or the flat trace where there is none.

    Words that do not fit are left out, the least informative first.
    """
    x, middle, width, size = line.x, line.middle, line.width, line.size
    if event is None:
        _paint_rest(canvas, line, micro.unavailable_reason)
        return
    reach = round(1.9 * size)
    points = np.array((x, middle)) + _SPIKE * (reach, 1.5 * size)
    canvas.stroke(points, Pen(mix(color, WHITE, 0.25), max(1.0, 0.11 * size)))
    at = x + reach + round(0.5 * size)
    room = x + width - at
    where = f" · {event.regions[0]}" if event.regions else ""
    part = where.replace(" right ", " ").replace(" left ", " ")
    likely = likely_class(event)
    name, ending = (likely[0], f"{likely[0]} {100 * likely[1]:.0f}%") if likely else ("", "")
    gap = round(0.8 * size)
    for words, end in (
        (f"micro-expression{where}", ending),
        (f"micro-expression{where}", name),
        (f"micro-expression{part}", name),
        (f"brief{where}", ending),
        (f"brief{where}", name),
        ("micro-expression", ending),
        (f"micro-expression{where}", ""),
        (f"micro-expression{part}", ""),
        (f"brief{where}", ""),
        (f"brief{part}", ""),
        (part.removeprefix(" · ") or "micro-expression", ""),  # the spike says the rest
        ("brief", ""),
    ):
        end_width = text_width(end, size, BOLD) + gap if end else 0
        if text_width(words, size) + end_width <= room:
            canvas.write(words, at, middle, Font(size, WHITE))
            canvas.write(end, x + width - end_width + gap, middle, Font(size, WHITE, BOLD))
            return


def _paint_rest(canvas: Canvas, line: TextLine, unavailable_reason: str) -> None:
    """Draw a flat trace, or why there is none."""
    x, middle, width, size = line.x, line.middle, line.width, line.size
    thickness = max(1.0, 0.08 * size)
    if not unavailable_reason:
        canvas.stroke([(x, middle), (x + width, middle)], Pen(_DIM, thickness))
        return
    dash, n = 0.4 * size, 3
    starts = x + 2 * dash * np.arange(n)
    dashes = np.stack([np.column_stack([starts + k * dash, np.full(n, middle)]) for k in (0, 1)], 1)
    canvas.stroke(dashes, Pen(_DIM, thickness))
    at = round(x + (2 * n - 1) * dash + 0.5 * size)
    for words in (
        f"micro-expressions: {unavailable_reason}",
        unavailable_reason,
        "micro-expressions unseen",
        "unseen",
    ):
        if text_width(words, size) <= x + width - at:
            canvas.write(words, at, middle, Font(size, QUIET))
            return
