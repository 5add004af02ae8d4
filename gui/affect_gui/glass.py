"""A window that is black or white: what a camera looks at while its way to the screen is timed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from PyQt6.QtCore import QRect, Qt
from PyQt6.QtGui import QColor, QImage, QPainter
from PyQt6.QtWidgets import QApplication, QWidget

if TYPE_CHECKING:
    from PyQt6.QtGui import QCloseEvent, QPaintEvent

    from realtime_affect.types import Image

_SHARE: Final = 6  # of the window's height that the camera's image takes


class GlassScreen(QWidget):
    """The window; see :class:`realtime_affect.bench.glass.Screen`.

    Belongs to the main thread, and keeps the application alive while it is there.
    """

    def __init__(self) -> None:
        self._app = QApplication.instance() or QApplication([])
        super().__init__()
        self.setWindowTitle("Point the camera at this window")
        self.setAttribute(Qt.WidgetAttribute.WA_OpaquePaintEvent)
        self._light, self._image, self._closed = False, None, False
        self._pixels: Image | None = None

    @property
    def closed(self) -> bool:
        """Whether the user has closed it."""
        return self._closed

    def show_full(self) -> None:
        """Fill the screen."""
        self.showFullScreen()
        self._app.processEvents()

    def turn(self, *, light: bool) -> None:
        """Draw white or black, and return when it is drawn."""
        self._light = light
        self._draw()

    def present(self, image: Image) -> None:
        """Draw the camera's painted image in a corner, and return when it is drawn."""
        height, width = image.shape[:2]
        self._pixels = image  # Qt keeps none of its own
        self._image = QImage(  # type: ignore[call-overload]  # any buffer will do
            image.data, width, height, image.strides[0], QImage.Format.Format_BGR888
        )
        self._draw()

    def paintEvent(self, _event: QPaintEvent | None) -> None:  # noqa: N802  (Qt's name)
        """Fill the window with the colour; the image is too small to count."""
        painter = QPainter(self)
        painter.fillRect(self.rect(), QColor("white" if self._light else "black"))
        if self._image is not None:
            height = self.height() // _SHARE
            width = height * self._image.width() // max(1, self._image.height())
            painter.drawImage(QRect(0, self.height() - height, width, height), self._image)
        painter.end()

    def closeEvent(self, event: QCloseEvent | None) -> None:  # noqa: N802  (Qt's name)
        """Note that the user has seen enough."""
        self._closed = True
        super().closeEvent(event)

    def _draw(self) -> None:
        self.repaint()  # at once, not when the event loop comes to it
        self._app.processEvents()


def open_screen() -> GlassScreen:
    """Open the window on the whole screen."""
    screen = GlassScreen()
    screen.show_full()
    return screen
