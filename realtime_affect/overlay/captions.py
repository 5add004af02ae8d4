"""What the overlay says about the run: state along the top, a notice below, an alarm across."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

import cv2

from realtime_affect.overlay.drawing import (
    BOLD,
    DARK,
    GREY,
    PANEL_OPACITY,
    WHITE,
    Font,
    panel,
    text_size,
    text_width,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from realtime_affect.overlay.drawing import Canvas

_ALARM: Final = (30, 60, 214)
_GOOD: Final = (150, 200, 40)
_MOST_NOTICE: Final = 0.25  # of the image's height

NOTICE_LIVE: Final = (
    "Expressions displayed by faces are measured on this device. Nothing leaves it."
)
"""True of a screenshot and of a video made offline, too: it promises nothing about files here."""
NOTICE_SHORT: Final = "Faces are measured here. Nothing is sent."
NOTICE_RECORDING: Final = (
    "Expressions displayed by faces are measured on this device and recorded to a file here. "
    "Nothing is sent."
)


@dataclass(frozen=True, slots=True)
class OverlayStatus:
    """What is painted about the run itself.

    Attributes
    ----------
    fps : float
        Frames analysed a second; NaN or 0 is left out.
    age_ms : float
        From the capture of the frame to now, milliseconds; NaN is left out.
    drops : int
        Frames captured and not analysed.
    source_state : str
        "online", "offline" (painted as an alarm) or "ended", as the capture names them; any other
        word is shown as it is.
    message : str
        A short remark, such as what a key just did.
    recording : bool
        Whether results go to a file: people in view are told.
    names : mapping of int to str
        What the user calls some of the faces, by id; shown in place of their numbers' sign.
    """

    fps: float = math.nan
    age_ms: float = math.nan
    drops: int = 0
    source_state: str = "online"
    message: str = ""
    recording: bool = False
    names: Mapping[int, str] = field(default_factory=lambda: MappingProxyType({}))


def strip_height(unit: float) -> int:
    """Return the pixels that :func:`paint_strip` takes from the upper edge."""
    return round(2.1 * text_size(13, unit))


def notice_height(unit: float) -> int:
    """Return the pixels that :func:`paint_notice` takes from the lower edge, on one line."""
    return round(2.0 * text_size(12, unit))


def paint_strip(canvas: Canvas, status: OverlayStatus, n_faces: int) -> None:
    """Draw the run's state along the upper edge; what does not fit is left out from the end."""
    width, unit = canvas.width, canvas.unit
    size, height = text_size(13, unit), strip_height(unit)
    canvas.blit(panel(width, height, 0, DARK, PANEL_OPACITY), 0, 0)
    middle, gap = height // 2, round(1.3 * size)
    state = status.source_state.lower()
    color = {"online": _GOOD, "offline": _ALARM}.get(state, GREY)
    x = round(0.9 * size)
    canvas.disc(x, middle, 0.32 * size, color)
    x += round(0.7 * size)
    label = "LIVE" if state == "online" else state.upper()
    x = canvas.write(label, x, middle, Font(size, WHITE, BOLD)) + gap
    if status.recording:
        canvas.disc(x, middle, 0.32 * size, _ALARM)
        x = canvas.write("REC", x + round(0.7 * size), middle, Font(size, WHITE, BOLD)) + gap
    items = [(f"{n_faces}", "face" if n_faces == 1 else "faces")]
    if math.isfinite(status.fps) and status.fps > 0:
        items.append((f"{status.fps:.0f}", "fps"))
    if math.isfinite(status.age_ms):
        age = (f"{status.age_ms:.0f}", "ms old")
        items.append(age if status.age_ms < 1999.5 else (f"{status.age_ms / 1e3:.0f}", "s old"))
    items.append((f"{status.drops}", "dropped"))
    digit = text_width("0", size, BOLD)
    for (number, word), digits in zip(items, (2, 2, 3, 1, 1), strict=False):
        # Numbers keep their room, so that words beside them do not dance.
        room = max(text_width(number, size, BOLD), digits * digit)
        if x + room + text_width(f" {word}", size) > width - size:
            return
        canvas.write(
            number, x + room - text_width(number, size, BOLD), middle, Font(size, WHITE, BOLD)
        )
        x = canvas.write(f" {word}", x + room, middle, Font(size, GREY)) + gap
    message_width = text_width(status.message, size)
    if status.message and x + message_width <= width - size:
        canvas.write(status.message, width - size - message_width, middle, Font(size, WHITE))


def paint_notice(canvas: Canvas, *, recording: bool) -> None:
    """Draw the line for people in view along the lower edge, shorter where it would not fit."""
    text = NOTICE_RECORDING if recording else NOTICE_LIVE
    height, width, unit = canvas.height, canvas.width, canvas.unit
    room = width - round(16 * unit)
    size = text_size(12, unit)
    lines = _wrap(text, size, room)
    if len(lines) * 1.5 * size > _MOST_NOTICE * height:
        short = f"Recorded. {NOTICE_SHORT}" if recording else NOTICE_SHORT
        size = max(8, min(size, math.floor(2 * size * room / text_width(short, size))))
        lines = _wrap(short, size, room)
    step = round(1.5 * size)
    band = max(notice_height(unit) if len(lines) == 1 else 0, len(lines) * step + step // 3)
    canvas.blit(panel(width, band, 0, DARK, PANEL_OPACITY), 0, height - band)
    for n, line in enumerate(lines):
        middle = round(height - band / 2 + (n - (len(lines) - 1) / 2) * step)
        x = (width - text_width(line, size)) // 2
        canvas.write(line, x, middle, Font(size, WHITE))


def _wrap(text: str, size: int, room: int) -> list[str]:
    """Break `text` into lines of at most `room` pixels, between its sentences if that will do."""
    if text_width(text, size) <= room:
        return [text]
    first, _, second = text.partition(". ")
    lines = [f"{first}.", second]
    if max(text_width(line, size) for line in lines) <= room:
        return lines
    lines = []
    for word in text.split():
        if lines and text_width(f"{lines[-1]} {word}", size) <= room:
            lines[-1] += f" {word}"
        else:
            lines.append(word)
    return lines


def paint_offline(canvas: Canvas) -> None:
    """Dim the last image and say across it that it is old."""
    image, height, width = canvas.image, canvas.height, canvas.width
    dark = cv2.convertScaleAbs(cv2.cvtColor(image, cv2.COLOR_BGR2GRAY), alpha=0.4)
    cv2.cvtColor(dark, cv2.COLOR_GRAY2BGR, dst=image)
    title, remark = "OFFLINE", "The source gives no new images. Trying again."
    size = min(round(56 * canvas.unit), round(0.16 * width), round(0.3 * height))
    band = min(height, round(2.4 * size))
    y = (height - band) // 2
    canvas.blit(panel(width, band, 0, _ALARM, 1.0), 0, y)
    small = min(round(0.36 * size), math.floor(0.045 * width))
    if size >= 6:
        shift = round(0.3 * size) if small >= 6 else 0
        x = (width - text_width(title, size, BOLD)) // 2
        canvas.write(title, x, y + band // 2 - shift, Font(size, WHITE, BOLD))
    if small >= 6:
        x = (width - text_width(remark, small)) // 2
        canvas.write(remark, x, y + band // 2 + round(0.62 * size), Font(small, WHITE))
