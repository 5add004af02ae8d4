"""The cards over the image."""

from __future__ import annotations

import pytest

pytestmark = pytest.mark.gui


@pytest.mark.parametrize(("width", "height"), [(1, 1), (160, 90), (640, 360), (3840, 2160)])
def test_cards_fit_into_every_window(qapp, width, height):
    from PyQt6.QtCore import QRectF
    from PyQt6.QtGui import QColor, QImage, QPainter

    from affect_gui.cards import draw_help, draw_notice

    for draw in (
        lambda painter, area: draw_help(painter, area),
        lambda painter, area: draw_notice(painter, area, "A title", "Some words " * 40, alarm=True),
    ):
        image = QImage(width, height, QImage.Format.Format_RGB888)
        image.fill(QColor(255, 255, 255))
        painter = QPainter(image)
        draw(painter, QRectF(image.rect()))
        painter.end()
        across = [image.pixelColor(x, height // 2) for x in range(width)]
        assert sum(color != QColor(255, 255, 255) for color in across) > 0.1 * width


def test_the_help_names_every_key_the_window_knows():
    from affect_gui.cards import KEYS

    assert {key for key, _ in KEYS} == {"N", "Click", "B", "M", "G", "P", "S", "F", "H", "Q"}
