"""The list of faces: who, how it is measured, what it displays; keyboard and mouse select.

A model and a delegate: rows stay in the order of the ids, the selected one unfolds.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final

from PyQt6.QtCore import (
    QAbstractListModel,
    QItemSelectionModel,
    QModelIndex,
    QPointF,
    QRectF,
    QSize,
    Qt,
    pyqtSignal,
)
from PyQt6.QtGui import QColor, QFont, QFontMetrics, QImage, QPainter, QPalette, QPen
from PyQt6.QtWidgets import (
    QAbstractItemView,
    QDockWidget,
    QLabel,
    QListView,
    QStackedWidget,
    QStyle,
    QStyledItemDelegate,
    QStyleOptionViewItem,
    QWidget,
)

from realtime_affect.names import AU_INTENSITIES, EXPRESSIONS
from realtime_affect.overlay import id_color
from realtime_affect.overlay.panel import strongest_units
from realtime_affect.schema import SCHEMA

if TYPE_CHECKING:
    from collections.abc import Sequence

    from affect_gui.people import People, Person
    from realtime_affect.types import Reading

PERSON: Final = Qt.ItemDataRole.UserRole
_UNITS: Final = SCHEMA["action_unit_intensity"]
_MARKS: Final = {"medium": "~", "low": "?", "none": "??"}
"""Beside a unit's number: how far it can be trusted, as its card says."""
_THUMB: Final = 52
_PAD: Final = 6
_MOST_SPIKES: Final = 5


class FacesModel(QAbstractListModel):
    """Everyone in view, by ascending id."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._people: list[Person] = []
        self.by_user: set[int] = set()
        """Whose neutral face the user set."""

    def rowCount(self, parent: QModelIndex | None = None) -> int:  # noqa: N802  (Qt's name)
        """Return how many faces there are."""
        return 0 if parent is not None and parent.isValid() else len(self._people)

    def data(self, index: QModelIndex, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        """Return a person, or what a screen reader says of them."""
        if not index.isValid() or index.row() >= len(self._people):
            return None
        person = self._people[index.row()]
        if role == PERSON:
            return person
        if role in (Qt.ItemDataRole.DisplayRole, Qt.ItemDataRole.AccessibleTextRole):
            return in_words(person, by_user=person.track_id in self.by_user)
        return None

    def show(self, people: Sequence[Person]) -> None:
        """Show these, in this order; rows come and go one by one, so that selection stays."""
        wanted = [person.track_id for person in people]
        for row in reversed(range(len(self._people))):
            if self._people[row].track_id not in wanted:
                self.beginRemoveRows(QModelIndex(), row, row)
                del self._people[row]
                self.endRemoveRows()
        for row, person in enumerate(people):
            if row < len(self._people) and self._people[row].track_id == person.track_id:
                self._people[row] = person
            else:
                self.beginInsertRows(QModelIndex(), row, row)
                self._people.insert(row, person)
                self.endInsertRows()
        if self._people:
            self.dataChanged.emit(self.index(0), self.index(len(self._people) - 1))

    def row_of(self, track_id: int | None) -> int:
        """Return a face's row, or -1."""
        ids = [person.track_id for person in self._people]
        return ids.index(track_id) if track_id in ids else -1

    def person(self, track_id: int | None) -> Person | None:
        """Return the face of an id, or None."""
        row = self.row_of(track_id)
        return self._people[row] if row >= 0 else None


class FacesDock(QDockWidget):
    """The faces at the right; pulls ten times a second at most, and not while hidden."""

    selected = pyqtSignal(object)
    """The id selected by mouse or keyboard, or None."""

    def __init__(self, people: People, parent: QWidget | None = None) -> None:
        super().__init__("Faces", parent)
        self.setObjectName("faces")
        self.people = people
        self._wanted: int | None = None
        self.model = FacesModel(self)
        self.view = QListView(self)
        self.view.setModel(self.model)
        self.view.setItemDelegate(_FaceDelegate(self.view))
        self.view.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self.view.setVerticalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self.view.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.view.setUniformItemSizes(False)
        self.view.setMinimumWidth(230)
        self.view.setAccessibleName("Faces")
        chosen = self.view.selectionModel()
        assert chosen is not None
        self._chosen = chosen
        chosen.currentChanged.connect(self._choose)
        nobody = QLabel("No face in view.")
        nobody.setAlignment(Qt.AlignmentFlag.AlignHCenter | Qt.AlignmentFlag.AlignTop)
        nobody.setMargin(12)
        self._pages = QStackedWidget(self)
        self._pages.addWidget(nobody)
        self._pages.addWidget(self.view)
        self.setWidget(self._pages)

    def show_reading(self, reading: Reading | None) -> None:
        """Show the faces of a reading."""
        if reading is None:
            self.people.forget()
            self.model.show(())
        else:
            self.model.show(self.people.update(reading))
        self._pages.setCurrentIndex(1 if self.model.rowCount() else 0)
        if self._wanted is not None and not self._chosen.hasSelection():
            self.select(self._wanted)  # chosen before it was in the list

    def select(self, track_id: int | None) -> None:
        """Select a face's row; None selects none."""
        self._wanted = track_id
        row = self.model.row_of(track_id)
        if row < 0:
            self._chosen.clear()
            self.view.scheduleDelayedItemsLayout()
            return
        index = self.model.index(row)
        if index != self._chosen.currentIndex():
            how = QItemSelectionModel.SelectionFlag.ClearAndSelect
            self._chosen.setCurrentIndex(index, how)
            self.view.scrollTo(index)

    def _choose(self, index: QModelIndex, _before: QModelIndex) -> None:
        self.view.scheduleDelayedItemsLayout()  # the selected one is taller
        person = index.data(PERSON)
        self.selected.emit(None if person is None else person.track_id)


class _FaceDelegate(QStyledItemDelegate):
    """Paint a face: a few lines, and all its measures where it is selected."""

    def sizeHint(  # noqa: N802  (Qt's name)
        self, option: QStyleOptionViewItem, index: QModelIndex
    ) -> QSize:
        """Return the room a face needs."""
        line = option.fontMetrics.height()
        person = index.data(PERSON)
        height = max(_THUMB + 2 * _PAD, 3 * line + 2 * _PAD)
        if person is not None and self._unfolded(index):
            rows = len(EXPRESSIONS) + len(AU_INTENSITIES) + 6 + min(len(person.spikes), 5)
            height += rows * (line + 1) + _PAD
        return QSize(230, height)

    def paint(
        self, painter: QPainter | None, option: QStyleOptionViewItem, index: QModelIndex
    ) -> None:
        """Paint one face."""
        person: Person | None = index.data(PERSON)
        if painter is None or person is None:
            return
        painter.save()
        model = index.model()
        assert isinstance(model, FacesModel)
        _Card(painter, option).draw(
            person, unfolded=self._unfolded(index), by_user=person.track_id in model.by_user
        )
        painter.restore()

    def _unfolded(self, index: QModelIndex) -> bool:
        view = self.parent()
        assert isinstance(view, QListView)
        return bool(index == view.currentIndex())


class _Card:
    """Where and with what one face is painted."""

    def __init__(self, painter: QPainter, option: QStyleOptionViewItem) -> None:
        self._p = painter
        self._rect = QRectF(option.rect)
        self._line = option.fontMetrics.height()
        self._font = QFont(option.font)
        self._bold = QFont(option.font)
        self._bold.setBold(True)
        self._metrics, self._bold_metrics = option.fontMetrics, QFontMetrics(self._bold)
        self._number = self._bold_metrics.horizontalAdvance("100% ")
        palette = option.palette
        self._text = palette.color(QPalette.ColorRole.Text)
        self._quiet = palette.color(QPalette.ColorRole.PlaceholderText)
        self._ground = palette.color(QPalette.ColorRole.Base)
        self._empty = palette.color(QPalette.ColorRole.Button)
        self._accent = palette.color(QPalette.ColorRole.Highlight)
        self._chosen = bool(option.state & QStyle.StateFlag.State_Selected)

    def draw(self, person: Person, *, unfolded: bool, by_user: bool) -> None:
        p, rect = self._p, self._rect
        color = QColor(*reversed(id_color(person.track_id)))
        p.setRenderHint(QPainter.RenderHint.Antialiasing)
        p.fillRect(rect, self._ground)
        if self._chosen:
            p.setPen(QPen(self._accent, 2))
            p.drawRect(rect.adjusted(1, 1, -1, -1))
        p.fillRect(QRectF(rect.x(), rect.y() + 2, 5, rect.height() - 4), color)
        self._thumbnail(person, color)
        x = rect.x() + _THUMB + 3 * _PAD
        width = rect.right() - x - _PAD
        y = rect.y() + _PAD
        self._words(person.title, x, y, width, bold=True)
        if person.face is not None:
            note = f"quality {person.face.quality.score:.1f}"
            self._words(note, x, y, width, quiet=True, right=True)
        y += self._line
        self._words(displayed(person), x, y, width)
        y += self._line
        low = person.remark or person.neutral(by_user)
        self._words(low, x, y, width, quiet=not person.remark)
        if not unfolded:
            p.setPen(self._empty)
            p.drawLine(rect.bottomLeft(), rect.bottomRight())
            return
        x, width = rect.x() + 2 * _PAD, rect.width() - 4 * _PAD
        top = max(y + self._line, rect.y() + _PAD + _THUMB) + _PAD
        self._measures(person, QRectF(x, top, width, 0), color, by_user)

    def _thumbnail(self, person: Person, color: QColor) -> None:
        p, rect = self._p, self._rect
        place = QRectF(rect.x() + 2 * _PAD, rect.y() + _PAD, _THUMB, _THUMB)
        image = person.thumbnail
        if image is not None:
            held = QImage(  # type: ignore[call-overload]  # any buffer will do
                image.data, image.shape[1], image.shape[0], image.strides[0],
                QImage.Format.Format_BGR888,
            )  # fmt: skip
            p.setOpacity(0.4 if person.remark == "not in view" else 1.0)
            p.drawImage(place, held)
            p.setOpacity(1.0)
        else:
            p.fillRect(place, self._empty)
        p.setPen(QPen(color, 2))
        p.setBrush(Qt.BrushStyle.NoBrush)
        p.drawRect(place)

    def _measures(self, person: Person, at: QRectF, color: QColor, by_user: bool) -> None:
        x, y, width = at.x(), at.y(), at.width()
        step = self._line + 1
        expression = None if person.result is None else person.result.expression
        for n, name in enumerate(EXPRESSIONS):
            share = math.nan if expression is None else float(expression.probabilities[n])
            bold = expression is not None and expression.name == name
            shown = "" if math.isnan(share) else f"{100 * share:.0f}%"
            self._bar(name, shown, share, QRectF(x, y, width, step), color, bold)
            y += step
        units = None if person.face is None else person.face.action_units
        strong = [] if units is None else strongest_units(units)
        for name, label in zip(AU_INTENSITIES, _UNITS.labels, strict=True):
            value = math.nan if units is None else units[name]
            trust = _UNITS.trust_in(name)
            words = f"{name[2:]}{_MARKS.get(trust, '')} {label.lower()}"
            shown = "" if math.isnan(value) else f"{value:.1f}"
            self._bar(words, shown, value / 5, QRectF(x, y, width, step), color, name in strong)
            y += step
        self._words("~ medium, ? low trust, ?? none", x, y, width, quiet=True)
        y += step
        self._words(person.neutral(by_user), x, y, width, quiet=True)
        y += step
        for line in measured_words(person):
            self._words(line, x, y, width, quiet=True)
            y += step
        for event in person.spikes[-_MOST_SPIKES:][::-1]:
            where = f" · {event.regions[0]}" if event.regions else ""
            self._words(f"▲ spike at {_clock(event.apex_ns)}{where}", x, y, width)
            y += step

    def _bar(  # noqa: PLR0913  (what is drawn, where, how)
        self, name: str, value: str, share: float, place: QRectF, color: QColor, bold: bool
    ) -> None:
        """Draw a name, a bar of `share` and a number."""
        p = self._p
        bar = QRectF(place.x() + 0.58 * place.width(), place.y() + 0.3 * self._line, 0, 0)
        bar.setWidth(max(10.0, 0.42 * place.width() - self._number))
        bar.setHeight(0.45 * self._line)
        self._words(name, place.x(), place.y(), 0.57 * place.width(), bold=bold, quiet=not bold)
        p.fillRect(bar, self._empty)
        if math.isfinite(share):
            bar.setWidth(bar.width() * min(1.0, max(0.0, share)))
            p.fillRect(bar, color)
        self._words(value, place.x(), place.y(), place.width(), bold=bold, right=True)

    def _words(  # noqa: PLR0913  (what is written, where, how)
        self, text: str, x: float, y: float, width: float,
        *, bold: bool = False, quiet: bool = False, right: bool = False,
    ) -> None:  # fmt: skip
        p, metrics = self._p, self._bold_metrics if bold else self._metrics
        p.setFont(self._bold if bold else self._font)
        p.setPen(self._quiet if quiet else self._text)
        advance = metrics.horizontalAdvance(text)
        if advance > width:
            text = metrics.elidedText(text, Qt.TextElideMode.ElideRight, int(width))
            advance = metrics.horizontalAdvance(text)
        at = x + width - advance if right else x
        p.drawText(QPointF(at, y + metrics.ascent()), text)


def displayed(person: Person) -> str:
    """Say the reported expression and the strongest unit, or that nothing is known yet."""
    if person.face is None:
        return "not measured yet"
    words = []
    expression = None if person.result is None else person.result.expression
    if expression is not None:
        words.append(f"{expression.name} {100 * expression.probability:.0f}%")
    units = person.face.action_units
    words += [f"AU{name[2:]} {units[name]:.1f}" for name in strongest_units(units)[:2]]
    return "  ".join(words) or "no marked movement"


def measured_words(person: Person) -> list[str]:
    """Return gaze, blinks, pose and whether spikes can be seen, in words."""
    lines = []
    if person.face is not None:
        rx, ry, rz = (math.degrees(v) for v in person.face.pose.rotation_rad.tolist())
        lines.append(f"pitch {rx:+.0f}°  yaw {ry:+.0f}°  roll {rz:+.0f}°")
    result = person.result
    if result is not None and result.meaning is not None and result.meaning.line:
        lines.append(result.meaning.line)
    if result is not None:
        reason = "" if result.micro is None else result.micro.unavailable_reason
        if reason:
            lines.append(f"no spikes: {reason}")
        elif math.isfinite(result.blinks_per_min):
            lines.append(f"{result.blinks_per_min:.0f} blinks/min")
    return lines[:3]


def in_words(person: Person, *, by_user: bool) -> str:
    """Return what the card shows as one sentence, for who does not see it."""
    parts = [person.title, displayed(person), person.remark, person.neutral(by_user)]
    return ", ".join(part for part in parts if part)


def _clock(t_ns: int) -> str:
    seconds = t_ns / 1e9
    return f"{int(seconds // 60) % 60}:{seconds % 60:04.1f}"
