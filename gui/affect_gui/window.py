"""The live window: the newest reading, painted; a few keys; never a frozen image.

The window pulls: a timer takes the newest reading from the window's own slot, so a slow screen
drops images and delays nothing. Everything here runs on Qt's thread.
"""

from __future__ import annotations

import dataclasses
import math
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

from PyQt6.QtCore import QDateTime, QPointF, QRectF, QStandardPaths, Qt, QTimer
from PyQt6.QtGui import QColor, QImage, QPainter, QPen
from PyQt6.QtWidgets import QMainWindow, QWidget

from affect_gui.cards import draw_help, draw_notice
from realtime_affect.overlay import OverlayStatus, paint
from realtime_affect.slots import SlotClosed

if TYPE_CHECKING:
    from PyQt6.QtGui import QCloseEvent, QKeyEvent, QMouseEvent, QPaintEvent

    from realtime_affect.overlay import OverlayConfig
    from realtime_affect.runtime.reading_source import ReadingSource
    from realtime_affect.types import Image, Reading

_PULL_MS: Final = 5
_STATUS_MS: Final = 500
_MESSAGE_S: Final = 4.0
_LINGER_S: Final = 4.0
_FAILURE_S: Final = 15.0
_QUICKLY: Final = 80  # of PNG's 0 (small) to 100 (quick): a third of the time for a fifth more size
_MAX_PIXELS: Final = 1920 * 1200  # larger windows are painted at this size and enlarged by Qt
_MIN_UNIT: Final = 0.7
_TOGGLES: Final = {
    Qt.Key.Key_M: ("mesh", "Mesh"),
    Qt.Key.Key_B: ("bars", "Expression and action units"),
    Qt.Key.Key_G: ("gaze", "Gaze"),
    Qt.Key.Key_P: ("pose", "Head pose"),
}


class LiveWindow(QMainWindow):
    """Show readings as they come.

    Create it before their source starts. Closing it stops the source.

    Parameters
    ----------
    source : ReadingSource
        A live pipeline, or a replay.
    config : OverlayConfig
        What is painted first; keys change it.
    folder : Path, optional
        Where screenshots go; default: a folder of its own in the user's pictures.
    recording : bool
        Whether results go to a file; the notice says so.

    Attributes
    ----------
    config : OverlayConfig
        What is painted now.
    selected : int or None
        Id of the face that was clicked.
    exit_code : int
        1 once the source has failed.
    age_ms : float
        From the capture of the frame last painted to its painting; NaN before the first.
    n_painted : int
        Readings painted so far.
    """

    def __init__(
        self, source: ReadingSource, config: OverlayConfig, folder: Path | None = None,
        *, recording: bool = False,
    ) -> None:  # fmt: skip
        super().__init__()
        self.config = config
        self.selected: int | None = None
        self.exit_code = 0
        self.age_ms = math.nan
        self.n_painted = 0
        self._source = source
        self._slot = source.subscribe()
        self._folder = folder
        self._reading: Reading | None = None
        self._recording = recording
        self._status = OverlayStatus(recording=recording)
        self._message = ""
        self._message_until = 0.0
        self._closing_at: float | None = None
        self._ending = ""
        self._stats_due = True
        self._help = False

        name = source.source_info.name
        self._name = name
        self.setWindowTitle(f"{name} - realtime-affect")
        self.canvas = _Canvas(self)
        self.canvas.setAccessibleName("Live image")
        self.canvas.setAccessibleDescription(
            "The newest image of the source, with a box around each face and the movements "
            "measured in it. Press H for the keys."
        )
        self.canvas.setToolTip("Click a face to select it. Press H for the keys.")
        self.setCentralWidget(self.canvas)
        self._fit_to_source()

        self._pull_timer = QTimer(self)
        self._pull_timer.setTimerType(Qt.TimerType.PreciseTimer)
        self._pull_timer.timeout.connect(self.pull)
        self._pull_timer.start(_PULL_MS)
        self._status_timer = QTimer(self)
        self._status_timer.timeout.connect(self.refresh)
        self._status_timer.start(_STATUS_MS)
        self.refresh()

    @property
    def reading(self) -> Reading | None:
        """The newest reading pulled."""
        return self._reading

    @property
    def status(self) -> OverlayStatus:
        """What is painted about the run now."""
        message = self._ending or (self._message if time.monotonic() < self._message_until else "")
        return dataclasses.replace(self._status, age_ms=self.age_ms, message=message or "H  help")

    @property
    def ending(self) -> str:
        """Why the window is about to close by itself; empty while it is not."""
        return self._ending

    @property
    def showing_help(self) -> bool:
        """Whether the keys are shown."""
        return self._help

    def pull(self) -> None:
        """Take the newest reading, if there is one; notice the end."""
        try:
            self._reading = self._slot.get(0)
        except TimeoutError:
            return
        except SlotClosed:
            self._pull_timer.stop()
            self._end()
            return
        self.canvas.repaint_picture()

    def refresh(self) -> None:
        """Read the source's counters, twice a second; a stalled image shows its age."""
        if self._closing_at is not None and time.monotonic() >= self._closing_at:
            self.close()
            return
        if self._source.failure is not None and not self._ending:
            self._end()
        stats = self._source.stats()
        state = stats.source_state.name.lower()
        if state != self._status.source_state:
            title = f"{self._name} - realtime-affect"
            self.setWindowTitle(f"OFFLINE - {title}" if state == "offline" else title)
        self._status = OverlayStatus(
            fps=stats.fps, drops=stats.drops, source_state=state, recording=self._recording
        )
        self.canvas.repaint_picture()

    def say(self, message: str) -> None:
        """Show a remark for some seconds."""
        self._message, self._message_until = message, time.monotonic() + _MESSAGE_S
        self.canvas.repaint_picture()

    def paint_reading(self, zoom: float) -> Image | None:
        """Return the newest reading painted `zoom` times its size; None before the first."""
        reading = self._reading
        if reading is None:
            return None
        self.age_ms = (time.monotonic_ns() - reading.scene.frame.captured_ns) / 1e6
        self.n_painted += 1
        height, width = (side * zoom for side in reading.scene.frame.image.shape[:2])
        # On a screen of small pixels text must not become smaller than it would be elsewhere.
        enough = _MIN_UNIT * self.devicePixelRatioF()
        unit = max(_MIN_UNIT, min(width / 1280, height / 720))
        scale = self.config.scale * max(1.0, enough / unit)
        config = self.config.replace(scale=scale)
        return paint(reading, config, self.status, zoom)

    def select_at(self, x: float, y: float) -> None:
        """Select the face at (x, y) in frame pixels, or none."""
        tracks = () if self._reading is None else self._reading.scene.tracks
        hits = [
            track
            for track in tracks
            if track.xyxy[0] <= x <= track.xyxy[2] and track.xyxy[1] <= y <= track.xyxy[3]
        ]
        # Of boxes one above the other the smaller is meant.
        hits.sort(key=lambda track: float(track.xyxy[2] - track.xyxy[0]))
        self.selected = hits[0].track_id if hits else None
        self.say(f"Face #{self.selected} selected" if hits else "No face selected")

    def set_neutral(self) -> None:
        """Take the present expression of the selected face, or of all, as its neutral one."""
        seen = () if self._reading is None else self._reading.scene.tracks
        if self.selected is not None and self.selected not in {t.track_id for t in seen}:
            self.say(f"Face #{self.selected} is not in view")
            return
        if not seen:
            self.say("No face in view")
            return
        if not self._source.can_set_neutral:
            self.say("A neutral can only be set while the face is analysed")
            return
        self._source.set_neutral(self.selected)
        whose = "all faces" if self.selected is None else f"face #{self.selected}"
        self.say(f"Neutral set for {whose}")

    def save_screenshot(self) -> Path | None:
        """Write the image as shown to a new PNG file; say where, or why not."""
        picture = self.canvas.grab()
        folder = self._folder or _pictures()
        stamp = QDateTime.currentDateTime().toString("yyyyMMdd-HHmmss-zzz")
        path = folder / f"realtime-affect-{stamp}.png"
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            self.say(f"Not saved: {folder}: {error.strerror}")
            return None
        if not picture.save(str(path), "PNG", _QUICKLY):
            self.say(f"Not saved: {folder} cannot be written")
            return None
        self.say(f"Saved {path}")
        return path

    def keyPressEvent(self, event: QKeyEvent | None) -> None:  # noqa: N802  (Qt's name)
        """Act on a key; see the help card."""
        if event is None:
            return
        key = event.key()
        if key == Qt.Key.Key_Escape and self.isFullScreen():
            self.showNormal()
        elif key in (Qt.Key.Key_Q, Qt.Key.Key_Escape):
            self.close()
        elif key in _TOGGLES:
            name, label = _TOGGLES[Qt.Key(key)]
            shown = not getattr(self.config, name)
            self.config = self.config.replace(**{name: shown})
            self.say(f"{label} {'on' if shown else 'off'}")
        elif key == Qt.Key.Key_N:
            self.set_neutral()
        elif key == Qt.Key.Key_S:
            self.save_screenshot()
        elif key == Qt.Key.Key_F:
            self.showNormal() if self.isFullScreen() else self.showFullScreen()
        elif key in (Qt.Key.Key_H, Qt.Key.Key_F1):
            self._help = not self._help
            self.canvas.repaint_picture()
        elif key == Qt.Key.Key_Space and self._closing_at is not None:
            self._closing_at = None
            self._ending = "Ended. Q closes."
            self.canvas.repaint_picture()
        else:
            super().keyPressEvent(event)

    def closeEvent(self, event: QCloseEvent | None) -> None:  # noqa: N802  (Qt's name)
        """Stop the source and let go of its readings."""
        self._pull_timer.stop()
        self._status_timer.stop()
        self._source.stop()
        self._slot.close()
        if self._source.failure is not None:
            self.exit_code = 1
        if event is not None:
            event.accept()

    def draw_cards(self, painter: QPainter, area: QRectF) -> None:
        """Draw what lies over the image: what is wrong, what the keys are."""
        failure = self._source.failure
        if failure is not None:
            draw_notice(painter, area, "The run stopped", str(failure) or repr(failure), alarm=True)
        elif self._reading is None and self._status.source_state == "offline":
            draw_notice(
                painter, area, "OFFLINE", f"{self._name} gives no images. Trying again.", True
            )
        elif self._reading is None:
            draw_notice(painter, area, "Starting", f"Waiting for {self._name}")
        if self._help:
            draw_help(painter, area)

    def _end(self) -> None:
        """Nothing will come any more: close, but leave time to read why."""
        now = time.monotonic()
        if self._source.failure is not None:
            self.exit_code = 1
            self._ending = "Stopped. Q closes."
            self._closing_at = now + _FAILURE_S
        elif self._source.source_state.name == "ENDED":
            self._ending = "Ended. Space keeps the image, Q closes."
            self._closing_at = now + _LINGER_S
        else:
            # Someone asked the source to stop; not from within a timer that is firing.
            QTimer.singleShot(0, self.close)
        self.canvas.repaint_picture()

    def _fit_to_source(self) -> None:
        """Open at the source's proportions, large but inside the screen."""
        info = self._source.source_info
        width, height = info.width or 1280, info.height or 720
        screen = self.screen()
        room = screen.availableSize() * 0.85 if screen is not None else None
        most_width, most_height = (room.width(), room.height()) if room else (1280, 720)
        scale = min(most_width / width, most_height / height, max(1.0, 1280 / width))
        self.resize(max(320, round(width * scale)), max(180, round(height * scale)))


class _Canvas(QWidget):
    """Shows the painted image as large as it fits, on black."""

    def __init__(self, window: LiveWindow) -> None:
        super().__init__(window)
        self._window = window
        self._pixels: Image | None = None  # QImage does not own its memory: this does
        self._image = QImage()
        self._zoom = 1.0  # device pixels of the screen per pixel of the frame
        self._stale = True
        self.setAttribute(Qt.WidgetAttribute.WA_OpaquePaintEvent)
        self.setMinimumSize(160, 90)

    def repaint_picture(self) -> None:
        """Paint anew at the next chance; several requests make one painting."""
        self._stale = True
        self.update()

    def paintEvent(self, _event: QPaintEvent | None) -> None:  # noqa: N802  (Qt's name)
        """Paint the newest reading, as old as it is now."""
        painter = QPainter(self)
        painter.fillRect(self.rect(), QColor(12, 12, 13))
        place = self._place()
        if place is not None:
            if self._stale or self._pixels is None:
                self._render()
            painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform)
            painter.drawImage(place, self._image)
            self._mark_selected(painter, place)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        self._window.draw_cards(painter, QRectF(self.rect()))
        painter.end()

    def resizeEvent(self, _event: object) -> None:  # noqa: N802  (Qt's name)
        """Paint at the new size."""
        self._stale = True

    def mousePressEvent(self, event: QMouseEvent | None) -> None:  # noqa: N802  (Qt's name)
        """Select the face that is clicked."""
        place = self._place()
        if event is None or place is None:
            return
        at: QPointF = event.position() - place.topLeft()
        scale = self.devicePixelRatioF() / self._zoom
        self._window.select_at(at.x() * scale, at.y() * scale)

    def _place(self) -> QRectF | None:
        """Return where the image goes, in Qt's points, on whole pixels of the screen."""
        reading = self._window.reading
        if reading is None:
            return None
        height, width = reading.scene.frame.image.shape[:2]
        ratio = self.devicePixelRatioF()
        room_x, room_y = round(self.width() * ratio), round(self.height() * ratio)
        self._zoom = min(room_x / width, room_y / height)
        size_x, size_y = (max(1, round(side * self._zoom)) for side in (width, height))
        left, top = (room_x - size_x) // 2, (room_y - size_y) // 2
        return QRectF(left / ratio, top / ratio, size_x / ratio, size_y / ratio)

    def _render(self) -> None:
        reading = self._window.reading
        assert reading is not None
        height, width = reading.scene.frame.image.shape[:2]
        most = math.sqrt(_MAX_PIXELS / (width * height))
        pixels = self._window.paint_reading(min(self._zoom, most))
        assert pixels is not None
        self._pixels = pixels
        rows, columns = pixels.shape[:2]
        # Any buffer will do; the stub knows only bytes.
        self._image = QImage(  # type: ignore[call-overload]
            pixels.data,
            columns,
            rows,
            pixels.strides[0],
            QImage.Format.Format_BGR888,
        )
        self._stale = False

    def _mark_selected(self, painter: QPainter, place: QRectF) -> None:
        """Draw a dashed frame around the face that keys act on."""
        reading, selected = self._window.reading, self._window.selected
        if reading is None or selected is None:
            return
        scale = self._zoom / self.devicePixelRatioF()
        for track in reading.scene.tracks:
            if track.track_id == selected:
                x0, y0, x1, y1 = (float(v) * scale for v in track.xyxy)
                frame = QRectF(place.x() + x0, place.y() + y0, x1 - x0, y1 - y0)
                painter.setPen(QPen(QColor(255, 255, 255), 2, Qt.PenStyle.DashLine))
                painter.drawRoundedRect(frame.adjusted(-3, -3, 3, 3), 10, 10)


def _pictures() -> Path:
    """Return the folder for screenshots."""
    place = QStandardPaths.StandardLocation.PicturesLocation
    found = QStandardPaths.writableLocation(place)
    return (Path(found) if found else Path.home()) / "realtime-affect"
