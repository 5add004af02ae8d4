"""The image, painted as large as it fits, and below it the line for people in view."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

import cv2
import numpy as np
from PyQt6.QtCore import QPointF, QRectF, Qt, pyqtSignal
from PyQt6.QtGui import QColor, QFont, QImage, QPainter, QPen
from PyQt6.QtWidgets import QLabel, QSizePolicy, QVBoxLayout, QWidget

from realtime_affect.overlay import OverlayStatus, PanelMemory, paint
from realtime_affect.overlay.captions import NOTICE_LIVE, NOTICE_RECORDING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from PyQt6.QtGui import QMouseEvent, QPaintEvent

    from realtime_affect.overlay import OverlayConfig
    from realtime_affect.types import Image, Reading

_MAX_PIXELS: Final = 1920 * 1200  # larger windows are painted at this size and enlarged by Qt
_MIN_UNIT: Final = 0.8
_ALARM: Final = QColor(190, 40, 25)


class Canvas(QWidget):
    """Paint the newest reading in proportion, on black.

    Attributes
    ----------
    n_painted : int
        Readings painted so far.
    selected : int or None
        Id of the face that commands act on.
    mirrored : bool
        Shown as a mirror would.
    title, text : str
        What is wrong, over the image; empty: nothing.
    badge : str
        A word in the upper corner: REC, REVIEW.
    """

    clicked = pyqtSignal(object)
    """The id of the face clicked, or None."""
    painted = pyqtSignal(object)
    """A reading has reached the screen for the first time."""

    def __init__(self, config: OverlayConfig, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.config = config
        self.n_painted = 0
        self.selected: int | None = None
        self.mirrored = False
        self.title = self.text = self.badge = ""
        self.badge_alarms = False
        self.offline = False
        self.names: Mapping[int, str] = {}
        self._reading: Reading | None = None
        self._shown: Reading | None = None
        self._panels = PanelMemory()
        self._pixels: Image | None = None  # QImage does not own its memory: this does
        self._image = QImage()
        self._zoom = 1.0  # device pixels of the screen per pixel of the frame
        self._stale = True
        self.setAttribute(Qt.WidgetAttribute.WA_OpaquePaintEvent)
        self.setMinimumSize(160, 90)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setAccessibleName("Image")
        self.setAccessibleDescription(
            "The newest image of the source, with a box around each face and what it displays. "
            "The list of faces says the same in words."
        )

    @property
    def reading(self) -> Reading | None:
        """What is shown."""
        return self._reading

    @property
    def said(self) -> tuple[str | bool, ...]:
        """What is said over the image, and whether that is old."""
        return self.title, self.text, self.badge, self.badge_alarms, self.offline

    def show_reading(self, reading: Reading | None) -> None:
        """Paint a reading at the next chance; several in a row make one painting."""
        self._reading = reading
        self.repaint_image()

    def repaint_image(self) -> None:
        """Paint anew at the next chance."""
        self._stale = True
        self.update()

    def face_at(self, x: float, y: float) -> int | None:
        """Return the id of the face at (x, y) in frame pixels; of two, the smaller one's."""
        tracks = () if self._reading is None else self._reading.scene.tracks
        hits = [
            track
            for track in tracks
            if track.xyxy[0] <= x <= track.xyxy[2] and track.xyxy[1] <= y <= track.xyxy[3]
        ]
        hits.sort(key=lambda track: float(track.xyxy[2] - track.xyxy[0]))
        return hits[0].track_id if hits else None

    def paintEvent(self, _event: QPaintEvent | None) -> None:  # noqa: N802  (Qt's name)
        """Paint the reading, what is selected, and what is wrong."""
        place = self._place()
        if place is not None and (self._stale or self._pixels is None):
            self._render()  # before Qt's painter begins: what raises leaves none behind
        painter = QPainter(self)
        painter.fillRect(self.rect(), QColor(12, 12, 13))
        if place is not None:
            painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform)
            painter.drawImage(place, self._image)
            painter.setRenderHint(QPainter.RenderHint.Antialiasing)
            self._mark_selected(painter, place)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        if self.badge:
            self._draw_badge(painter)
        if self.title:
            draw_card(painter, QRectF(self.rect()), self.title, self.text)
        painter.end()
        if self._reading is not None and self._reading is not self._shown:
            self._shown = self._reading
            self.n_painted += 1
            self.painted.emit(self._reading)

    def resizeEvent(self, _event: object) -> None:  # noqa: N802  (Qt's name)
        """Paint at the new size."""
        self._stale = True

    def mousePressEvent(self, event: QMouseEvent | None) -> None:  # noqa: N802  (Qt's name)
        """Select the face that is clicked."""
        place = self._place()
        if event is None or place is None:
            return
        at: QPointF = event.position() - place.topLeft()
        x = place.width() - at.x() if self.mirrored else at.x()
        scale = self.devicePixelRatioF() / self._zoom
        self.clicked.emit(self.face_at(x * scale, at.y() * scale))

    def _place(self) -> QRectF | None:
        """Return where the image goes, in Qt's points, on whole pixels of the screen."""
        if self._reading is None or not self._reading.scene.frame.image.size:
            return None
        height, width = self._reading.scene.frame.image.shape[:2]
        ratio = self.devicePixelRatioF()
        room_x, room_y = round(self.width() * ratio), round(self.height() * ratio)
        self._zoom = min(room_x / width, room_y / height)
        size_x, size_y = (max(1, round(side * self._zoom)) for side in (width, height))
        left, top = (room_x - size_x) // 2, (room_y - size_y) // 2
        return QRectF(left / ratio, top / ratio, size_x / ratio, size_y / ratio)

    def _render(self) -> None:
        reading = self._reading
        assert reading is not None
        height, width = reading.scene.frame.image.shape[:2]
        zoom = min(self._zoom, math.sqrt(_MAX_PIXELS / (width * height)))
        # On a screen of small pixels text must not become smaller than it would be elsewhere.
        unit = max(_MIN_UNIT, zoom * math.sqrt(width * height / (1280 * 720)))
        scale = self.config.scale * max(1.0, self.devicePixelRatioF() * _MIN_UNIT / unit)
        config = self.config.replace(scale=scale, strip=False, notice=False)
        status = OverlayStatus(
            source_state="offline" if self.offline else "online", names=self.names
        )
        if self.mirrored:
            reading = mirrored(reading)
        painted = paint(reading, config, status, zoom, self._panels)
        # The screen's own format: Qt would convert any other on threads that it waits for.
        pixels = self._pixels = np.asarray(cv2.cvtColor(painted, cv2.COLOR_BGR2BGRA), np.uint8)
        rows, columns = pixels.shape[:2]
        # Any buffer will do; the stub knows only bytes.
        self._image = QImage(  # type: ignore[call-overload]
            pixels.data,
            columns,
            rows,
            pixels.strides[0],
            QImage.Format.Format_RGB32,
        )
        self._stale = False

    def _mark_selected(self, painter: QPainter, place: QRectF) -> None:
        """Draw a dashed frame around the face that commands act on."""
        if self._reading is None or self.selected is None or self.offline:
            return
        scale = self._zoom / self.devicePixelRatioF()
        for track in self._reading.scene.tracks:
            if track.track_id == self.selected:
                x0, y0, x1, y1 = (float(v) * scale for v in track.xyxy)
                if self.mirrored:
                    x0, x1 = place.width() - x1, place.width() - x0
                frame = QRectF(place.x() + x0, place.y() + y0, x1 - x0, y1 - y0)
                for color, style in (
                    (QColor(0, 0, 0), Qt.PenStyle.SolidLine),
                    (QColor(255, 255, 255), Qt.PenStyle.DashLine),
                ):
                    painter.setPen(QPen(color, 2, style))
                    painter.setBrush(Qt.BrushStyle.NoBrush)
                    painter.drawRoundedRect(frame.adjusted(-4, -4, 4, 4), 10, 10)

    def _draw_badge(self, painter: QPainter) -> None:
        font = QFont(self.font())
        font.setBold(True)
        painter.setFont(font)
        metrics = painter.fontMetrics()
        width, height = metrics.horizontalAdvance(self.badge) + 34, metrics.height() + 10
        box = QRectF(self.width() - width - 10, 10, width, height)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(QColor(20, 20, 22, 225))
        painter.drawRoundedRect(box, 6, 6)
        painter.setBrush(_ALARM if self.badge_alarms else QColor(240, 190, 60))
        painter.drawEllipse(QPointF(box.x() + 14, box.center().y()), 5, 5)
        painter.setPen(QColor(255, 255, 255))
        flags = Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignLeft
        painter.drawText(box.adjusted(26, 0, 0, 0), flags, self.badge)


class VideoPane(QWidget):
    """The canvas, and below it the line that tells people in view what is done.

    The line is text of its own: it keeps its size and place whatever the window's.
    """

    def __init__(self, config: OverlayConfig, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.canvas = Canvas(config, self)
        self.notice = QLabel(NOTICE_LIVE, self)
        self.notice.setWordWrap(True)
        self.notice.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self.notice.setMargin(4)
        self.notice.setVisible(config.notice)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(0)
        layout.addWidget(self.canvas, 1)
        layout.addWidget(self.notice)

    def say_recording(self, recording: bool) -> None:
        """Let the notice say whether what is measured is recorded."""
        self.notice.setText(NOTICE_RECORDING if recording else NOTICE_LIVE)


def mirrored(reading: Reading) -> Reading:
    """Return a reading as a mirror would show it: image, boxes, mesh, gaze and pose."""
    from dataclasses import replace

    from realtime_affect.types import FaceMesh, HeadPose, Scene

    frame = reading.scene.frame
    width = frame.image.shape[1]
    tracks = []
    for track in reading.scene.tracks:
        x0, y0, x1, y1 = track.xyxy.tolist()
        face = track.face
        if face is not None:
            points = face.mesh.points * np.array((-1, 1, 1), np.float32) + np.array(
                (width, 0, 0), np.float32
            )
            turned = face.pose.rotation_rad * np.array((1, -1, -1), np.float32)
            face = replace(
                face,
                mesh=FaceMesh(points, face.mesh.presence),
                pose=HeadPose(turned, face.pose.translation_mm),
            )
        box = np.array([width - x1, y0, width - x0, y1], np.float32)
        tracks.append(replace(track, xyxy=box, face=face))
    results = {
        n: replace(result, gaze_rad=result.gaze_rad * np.array((-1, 1), np.float32))
        for n, result in reading.affect.results.items()
    }
    image = np.ascontiguousarray(frame.image[:, ::-1])
    scene = Scene(replace(frame, image=image), tuple(tracks))
    return replace(reading, scene=scene, affect=replace(reading.affect, results=results))


def draw_card(painter: QPainter, area: QRectF, title: str, text: str) -> None:
    """Draw a title and a text across the middle of `area`, in red."""
    width = min(area.width(), 720.0)
    inner = QRectF(area.center().x() - width / 2 + 16, 0, width - 32, area.height())
    title_font, text_font = QFont(), QFont()
    title_font.setPixelSize(max(14, round(min(28.0, area.height() / 10))))
    title_font.setBold(True)
    text_font.setPixelSize(max(12, round(min(15.0, area.height() / 16))))
    flags = int(Qt.AlignmentFlag.AlignHCenter | Qt.TextFlag.TextWordWrap)
    painter.setFont(title_font)
    title_box = painter.boundingRect(inner, flags, title)
    painter.setFont(text_font)
    text_box = painter.boundingRect(inner, flags, text)
    height = min(area.height(), title_box.height() + text_box.height() + 44)
    y = area.center().y() - height / 2
    painter.fillRect(QRectF(area.x(), y, area.width(), height), _ALARM)
    painter.setPen(QColor(255, 255, 255))
    painter.setFont(title_font)
    painter.drawText(QRectF(inner.x(), y + 14, inner.width(), title_box.height()), flags, title)
    painter.setFont(text_font)
    below = y + 14 + title_box.height() + 8
    painter.drawText(QRectF(inner.x(), below, inner.width(), y + height - below), flags, text)
