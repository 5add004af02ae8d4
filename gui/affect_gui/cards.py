"""Cards over the live image: what is wrong, and the keys."""

from __future__ import annotations

from typing import Final

from PyQt6.QtCore import QPointF, QRectF, Qt
from PyQt6.QtGui import QColor, QFont, QPainter

KEYS: Final = (
    ("N", "Set neutral: the selected face, or all"),
    ("Click", "Select a face"),
    ("B", "Expression and action units"),
    ("M", "Mesh points"),
    ("G", "Gaze"),
    ("P", "Head pose"),
    ("S", "Save a screenshot"),
    ("F", "Full screen"),
    ("H", "This help"),
    ("Q", "Quit (Esc: leave full screen, then quit)"),
)
"""Keys of the live window and what they do."""

_GROUND: Final = QColor(20, 22, 24, 232)
_ALARM: Final = QColor(214, 60, 30)
_TEXT: Final = QColor(255, 255, 255)
_QUIET: Final = QColor(182, 186, 190)


def draw_notice(
    painter: QPainter, area: QRectF, title: str, text: str, alarm: bool = False
) -> None:
    """Draw a title and a text in the middle of `area`; an alarm goes across it, in red."""
    width = min(area.width(), 720.0)
    inner = QRectF(area.center().x() - width / 2 + 24, 0, width - 48, area.height())
    title_font, text_font = _font(30, bold=True), _font(14)
    flags = int(Qt.AlignmentFlag.AlignHCenter | Qt.TextFlag.TextWordWrap)
    painter.setFont(title_font)
    title_box = painter.boundingRect(inner, flags, title)
    painter.setFont(text_font)
    text_box = painter.boundingRect(inner, flags, text)
    height = min(area.height(), title_box.height() + text_box.height() + 60)
    y = area.center().y() - height / 2
    if alarm:
        painter.fillRect(QRectF(area.x(), y, area.width(), height), _ALARM)
    painter.setPen(_TEXT)
    painter.setFont(title_font)
    painter.drawText(QRectF(inner.x(), y + 22, inner.width(), title_box.height()), flags, title)
    painter.setPen(_TEXT if alarm else _QUIET)
    painter.setFont(text_font)
    below = y + 22 + title_box.height() + 10
    painter.drawText(QRectF(inner.x(), below, inner.width(), y + height - below), flags, text)


def draw_help(painter: QPainter, area: QRectF) -> None:
    """Draw the keys, smaller where the window is small."""
    row, pad, width = 30.0, 26.0, 480.0
    height = 2 * pad + 44 + row * len(KEYS)
    scale = min(1.0, area.width() / (width + 24), area.height() / (height + 24))
    painter.save()
    painter.translate(area.center())
    painter.scale(scale, scale)
    card = QRectF(-width / 2, -height / 2, width, height)
    painter.setPen(Qt.PenStyle.NoPen)
    painter.setBrush(_GROUND)
    painter.drawRoundedRect(card, 14, 14)
    painter.setPen(_TEXT)
    painter.setFont(_font(18, bold=True))
    painter.drawText(QPointF(card.x() + pad, card.y() + pad + 18), "Keys")
    y = card.y() + pad + 44
    for key, meaning in KEYS:
        painter.setPen(_TEXT)
        painter.setFont(_font(14, bold=True))
        painter.drawText(QPointF(card.x() + pad, y + 14), key)
        painter.setPen(_QUIET)
        painter.setFont(_font(14))
        painter.drawText(QPointF(card.x() + pad + 80, y + 14), meaning)
        y += row
    painter.restore()


def _font(pixels: int, *, bold: bool = False) -> QFont:
    font = QFont()
    font.setPixelSize(pixels)
    font.setBold(bold)
    return font
