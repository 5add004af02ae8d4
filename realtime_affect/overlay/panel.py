"""What one face displays as a small panel: its expression, then its units as number, movement, bar.

All that stays the same from frame to frame (ground, names, empty bars) is drawn once and kept as a
stamp; a frame costs only its bars.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from realtime_affect.measure import Moment
from realtime_affect.names import AU_INTENSITIES, AU_OCCURRENCES, EXPRESSIONS
from realtime_affect.overlay.drawing import (
    BOLD,
    DARK,
    PANEL_OPACITY,
    QUIET,
    WHITE,
    Canvas,
    Font,
    Stamp,
    mix,
    panel,
    text_size,
    text_width,
)
from realtime_affect.overlay.event_trace import TextLine, fresh_movement, paint_movement
from realtime_affect.schema import SCHEMA

if TYPE_CHECKING:
    from realtime_affect.meaning import Meaning
    from realtime_affect.measure import Schema
    from realtime_affect.overlay.drawing import Color
    from realtime_affect.types import (
        ActionUnits,
        AffectResult,
        Expression,
        Face,
        FacialEvent,
        Spotting,
    )

_TRACK: Final = (84, 80, 76)
_N_STRONGEST = 3
_SURE: Final = 0.5
_UNITS: Final = SCHEMA["action_unit_intensity"]
_LABELS: Final = dict(zip(_UNITS.parts, _UNITS.labels, strict=True))


def strongest_units(units: ActionUnits) -> list[str]:
    """Return the names of the most active units present, strongest first."""
    strong = present_units(units)
    return sorted(strong, key=lambda name: -strong[name])[:_N_STRONGEST]


def present_units(units: ActionUnits) -> dict[str, float]:
    """Return the units that are present and their intensities."""
    present = {n for n, c in zip(AU_OCCURRENCES, units.occurrence.tolist(), strict=True) if c == 1}
    return {
        name: value
        for name, value in zip(AU_INTENSITIES, units.intensity.tolist(), strict=True)
        if name in present
    }


def short_name(name: str) -> str:
    """Return a unit's number, with a question mark where its card says that trust in it is low."""
    return name[2:] + "?" * (_UNITS.trust_in(name) == "low")


@dataclass(frozen=True, slots=True)
class PanelContent:
    """What a panel shows.

    Attributes
    ----------
    face : Face
    affect : AffectResult or None
        None where nothing was decided yet.
    t_ns : int
        Source time of the image painted on, for what is shown only while it is new.
    schema : Schema
        Where the captions come from.
    """

    face: Face
    affect: AffectResult | None
    t_ns: int = 0
    schema: Schema = SCHEMA

    def captions(self) -> list[str]:
        """Return what the schema's captions say, those that are known."""
        meaning = None if self.affect is None else self.affect.meaning
        things = {
            "face": self.face, "affect": self.affect, "expression": self.expression,
            "meaning": meaning,
        }  # fmt: skip
        moment = Moment(self.t_ns)
        said = []
        for measure in self.schema.captioned:
            thing = things[measure.subject]
            value = None if thing is None else measure.of(thing, moment)
            if measure.subject == "meaning" and meaning is not None and self._moved_on(meaning):
                value = f"{(self.t_ns - meaning.t_ns) / 1e9:.1f} s old"
            if value is not None and (isinstance(value, str) or math.isfinite(value)):
                said.append(measure.caption.format(value))
        return said

    def _moved_on(self, meaning: Meaning) -> bool:
        """Whether none of the units that a decision rests on is among those of this very frame.

        Decisions come twelve times a second, units with every frame: beside units at rest, an
        evidence that was weighed before would seem to be about them.
        """
        present, before = set(present_units(self.face.action_units)), set(meaning.units)
        return meaning.t_ns < self.t_ns and present.isdisjoint(before) and present != before

    @property
    def expression(self) -> Expression | None:
        """None where it is not known."""
        return None if self.affect is None else self.affect.expression

    @property
    def micro(self) -> Spotting | None:
        """None where nobody looks for micro-expressions."""
        return None if self.affect is None else self.affect.micro

    @property
    def movement(self) -> FacialEvent | None:
        """The newest micro-expression, as long as it is shown."""
        return None if self.micro is None else fresh_movement(self.micro, self.t_ns)

    def footer_rows(self, full: bool) -> int:
        """Lines below the units."""
        n_captions = len(self.captions())
        # With names, the first caption stands beside what the units are measured against.
        others = 1 + max(0, n_captions - 1) if full else n_captions
        return others + (self.micro is not None)


def panel_size(content: PanelContent, unit: float, *, full: bool) -> tuple[int, int]:
    """Return width and height in pixels of :func:`paint_panel`'s panel; (0, 0) without units."""
    shown = _measured(content.face)
    if not shown:
        return 0, 0
    layout = _layout(unit, full, content.expression is not None)
    return layout.width, layout.height(len(shown), content.footer_rows(full))


def paint_panel(
    canvas: Canvas, corner: tuple[int, int], content: PanelContent, color: Color, *, full: bool
) -> None:
    """Draw `content` with the panel's top-left corner at `corner`.

    Parameters
    ----------
    canvas : Canvas
    corner : (int, int)
        x and y in pixels.
    content : PanelContent
    color : Color
        Of the face's id.
    full : bool
        With names and numbers; otherwise narrow.
    """
    face = content.face
    shown = _measured(face)
    if not shown:
        return
    (x, y), unit, expression = corner, canvas.unit, content.expression
    layout = _layout(unit, full, expression is not None)
    footer = content.footer_rows(full)
    canvas.blit(_ground(tuple(shown), round(unit, 3), footer, full, layout.header > 0), x, y)
    if expression is not None:
        _paint_expression(canvas, corner, expression, color, layout)
    strongest = strongest_units(face.action_units)
    dim = mix(color, _TRACK, 0.45)
    for n, (name, value) in enumerate(shown.items()):
        middle = y + layout.row_middle(n)
        strong = name in strongest
        if strong:
            canvas.write(short_name(name), x + layout.pad, middle, Font(layout.size, WHITE, BOLD))
            if full:
                canvas.write(_LABELS[name], x + layout.name_x, middle, Font(layout.size, WHITE))
                text = f"{value:.1f}"
                right = x + layout.width - layout.pad - text_width(text, layout.size, BOLD)
                canvas.write(text, right, middle, Font(layout.size, WHITE, BOLD))
        share = min(1.0, max(0.0, value / 5))
        length = round(share * layout.bar_width)
        shade = color if strong else dim
        canvas.bar(x + layout.bar_x, middle, (length, layout.bar_height), shade)
    if footer:
        middle = y + layout.row_middle(len(shown)) + layout.row // 4
        if content.micro is not None:
            # The line keeps its room while nothing is on it, so that the panel does not jump.
            inner = layout.width - 2 * layout.pad
            movement = content.movement
            line = TextLine(x + layout.pad, middle, inner, layout.size)
            paint_movement(canvas, line, content.micro, movement, color)
            middle += layout.row
        _paint_footer(canvas, x, middle, content, layout)


def _paint_expression(
    canvas: Canvas, corner: tuple[int, int], expression: Expression, color: Color, layout: _Layout
) -> None:
    """Write the reported expression and its probability, above a bar of it.

    Grey where less than a half speaks for it, and with dots while its clip is still short.
    """
    (x, y), share = corner, expression.probability
    sure = share >= _SURE
    size = layout.title
    middle = y + layout.pad + round(0.62 * size)
    font = Font(size, WHITE if sure else QUIET, BOLD)
    dots = "..." if expression.warming_up else ""
    canvas.write(expression.name + dots, x + layout.pad, middle, font)
    text = f"{100 * share:.0f}%"
    right = x + layout.width - layout.pad
    canvas.write(text, right - text_width(text, size, BOLD), middle, font)
    length = round(share * (layout.width - 2 * layout.pad))
    under = y + layout.pad + layout.header - round(0.35 * size)
    canvas.bar(x + layout.pad, under, (layout.width - 2 * layout.pad, layout.bar_height), _TRACK)
    shade = color if sure else mix(color, _TRACK, 0.45)
    canvas.bar(x + layout.pad, under, (length, layout.bar_height), shade)


def _paint_footer(
    canvas: Canvas, x: int, middle: int, content: PanelContent, layout: _Layout
) -> None:
    """Write what the units are measured against, and the captions."""
    face, captions = content.face, content.captions()
    calibration = face.action_units.calibration
    text = ""
    if layout.full:
        known = math.floor(100 * calibration) if math.isfinite(calibration) else 0
        text = "own neutral face" if known >= 99 else f"learning neutral face  {known}%"
        if captions and known < 99:
            text = f"neutral {known}%"
    canvas.write(text, x + layout.pad, middle, Font(layout.size, QUIET))
    for n, caption in enumerate(captions):
        at = max(layout.pad, layout.width - layout.pad - text_width(caption, layout.size))
        canvas.write(caption, x + at, middle + n * layout.row, Font(layout.size, QUIET))


class _Layout:
    """Measures of a panel in pixels; see :func:`_layout`."""

    def __init__(self, unit: float, *, full: bool, header: bool) -> None:
        self.full = full
        self.size = text_size(12, unit)
        self.title = round((1.35 if full else 1.0) * self.size)
        self.header = round(2.2 * self.title) if header else 0
        self.row = round(1.28 * self.size)
        self.pad = round(0.7 * self.size)
        self.bar_height = max(2, round(0.42 * self.size))
        number = text_width("00?", self.size, BOLD) + round(0.6 * self.size)
        self.name_x = self.pad + number
        names = max(text_width(name, self.size) for name in _LABELS.values()) if full else 0
        value = text_width("0.0", self.size, BOLD) + round(0.6 * self.size) if full else 0
        self.bar_width = round((5.2 if full else 4.2) * self.size)
        space = round(0.8 * self.size) if full else 0
        self.bar_x = self.name_x + names + space
        self.width = self.bar_x + self.bar_width + value + self.pad
        if header:  # the longest line that may stand there
            longest = max(text_width(f"{name}...", self.title, BOLD) for name in EXPRESSIONS)
            room = longest + text_width(" 100%", self.title, BOLD) + 2 * self.pad
            self.bar_width += max(0, room - self.width)
            self.width = max(self.width, room)

    def row_middle(self, n: int) -> int:
        return self.pad + self.header + n * self.row + self.row // 2

    def height(self, n_units: int, n_footer: int) -> int:
        space = self.row // 4 if n_footer else 0
        return 2 * self.pad + self.header + (n_units + n_footer) * self.row + space


@lru_cache(maxsize=16)
def _layout(unit: float, full: bool, header: bool) -> _Layout:
    return _Layout(unit, full=full, header=header)


@lru_cache(maxsize=16)
def _ground(shown: tuple[str, ...], unit: float, footer: int, full: bool, header: bool) -> Stamp:
    """Return what lies under the bars: panel, numbers, names, empty bars."""
    layout = _layout(unit, full, header)
    height = layout.height(len(shown), footer)
    bare = panel(layout.width, height, 0.7 * layout.size, DARK, PANEL_OPACITY)
    keep, add = bare.keep.copy(), bare.add.copy()
    for n, name in enumerate(shown):
        middle = layout.row_middle(n)
        # Drawn in colour on the light, in black on what shows through: opaque on the image.
        for sheet, text, empty in (
            (Canvas(add), QUIET, _TRACK),
            (Canvas(keep), (0, 0, 0), (0, 0, 0)),
        ):
            sheet.write(short_name(name), layout.pad, middle, Font(layout.size, text, BOLD))
            if full:
                sheet.write(_LABELS[name], layout.name_x, middle, Font(layout.size, text))
            sheet.bar(layout.bar_x, middle, (layout.bar_width, layout.bar_height), empty)
    return Stamp(keep, add)


def _measured(face: Face) -> dict[str, float]:
    """Return the units that were measured, in FACS order."""
    values = face.action_units.intensity.tolist()
    return {
        name: value
        for name, value in zip(AU_INTENSITIES, values, strict=True)
        if math.isfinite(value)
    }
