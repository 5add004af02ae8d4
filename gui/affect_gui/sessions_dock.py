"""The sessions at the left: what is recorded and how, what was recorded, notes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from PyQt6.QtCore import Qt, QTimer, pyqtSignal
from PyQt6.QtWidgets import (
    QComboBox,
    QDockWidget,
    QFormLayout,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QListWidget,
    QListWidgetItem,
    QPlainTextEdit,
    QProgressBar,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from realtime_affect.sessions import Session

MODES: Final = (
    ("full", "Video and results"),
    ("blurred", "Faces made unrecognisable, and results"),
    ("results", "Results only, no video"),
)
_NOTE_MS: Final = 800
_FOLDER: Final = Qt.ItemDataRole.UserRole
_NOTES: Final = Qt.ItemDataRole.UserRole + 1
_PARTICIPANT: Final = Qt.ItemDataRole.UserRole + 2


class SessionsDock(QDockWidget):
    """Choices for the next recording, the sessions there are, and notes on the one chosen."""

    opened = pyqtSignal(str)
    """The folder of a session to replay."""
    doomed = pyqtSignal(str)
    """The folder of a session to delete."""
    noted = pyqtSignal(str, str)
    """A session's folder, and the notes on it."""
    chosen = pyqtSignal()
    """Another session is selected, or none."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__("Sessions", parent)
        self.setObjectName("sessions")
        self.participant = QLineEdit()
        self.participant.setPlaceholderText("a code, better than a name")
        self.mode = QComboBox()
        for mode, text in MODES:
            self.mode.addItem(text, mode)
        self.list = QListWidget()
        self.list.setAccessibleName("Sessions")
        self.list.setWordWrap(True)
        self.list.setContextMenuPolicy(Qt.ContextMenuPolicy.ActionsContextMenu)
        self.list.itemActivated.connect(self._open)
        self.list.currentItemChanged.connect(self._show_notes)
        self.notes = QPlainTextEdit()
        self.notes.setPlaceholderText("Notes on the selected session")
        self.notes.setAccessibleName("Notes")
        self.notes.setMaximumHeight(90)
        self.notes.setEnabled(False)
        self.progress = QProgressBar()
        self.progress.hide()
        self.progress_text = QLabel("")
        self.progress_text.setWordWrap(True)
        self.progress_text.hide()
        self._noting = QTimer(self)
        self._noting.setSingleShot(True)
        self._noting.setInterval(_NOTE_MS)
        self._noting.timeout.connect(self.save_notes)
        self.notes.textChanged.connect(self._note_soon)
        self._shown_folder = ""
        self.setWidget(self._build())

    def show_sessions(self, sessions: Sequence[Session]) -> None:
        """List sessions, the newest first; what is selected stays so."""
        self.save_notes()
        before = self.folder
        self.list.clear()
        for session in sessions:
            item = QListWidgetItem(describe(session))
            item.setData(_FOLDER, str(session.folder))
            item.setData(_NOTES, session.notes)
            item.setData(_PARTICIPANT, session.participant)
            item.setToolTip(str(session.folder))
            self.list.addItem(item)
            if str(session.folder) == before:
                self.list.setCurrentItem(item)

    @property
    def folder(self) -> str:
        """Of the session that is selected; empty without one."""
        item = self.list.currentItem()
        return "" if item is None else str(item.data(_FOLDER))

    def participants(self) -> tuple[list[str], str]:
        """Return who was recorded, by name, and whom the selected session is of; may be empty."""
        items = [self.list.item(n) for n in range(self.list.count())]
        names = {str(item.data(_PARTICIPANT)) for item in items if item is not None}
        chosen = self.list.currentItem()
        return sorted(names - {""}), "" if chosen is None else str(chosen.data(_PARTICIPANT))

    def save_notes(self) -> None:
        """Pass on the notes that were typed last."""
        if self._noting.isActive():
            self._noting.stop()
            self._pass_on()

    def show_progress(self, text: str, share: float | None) -> None:
        """Show how far work in the background is; empty text hides it, None: no end is known."""
        for widget in (self.progress, self.progress_text):
            widget.setVisible(bool(text))
        self.progress_text.setText(text)
        self.progress.setRange(0, 0 if share is None else 100)
        self.progress.setValue(round(100 * (share or 0)))

    def _build(self) -> QWidget:
        body = QWidget()
        layout = QVBoxLayout(body)
        form = QFormLayout()
        form.addRow("Participant", self.participant)
        form.addRow("Record", self.mode)
        layout.addLayout(form)
        layout.addWidget(self.list, 1)
        row = QHBoxLayout()
        for text, work in (("Replay", self._open), ("Delete...", self._doom)):
            button = QPushButton(text)
            button.clicked.connect(lambda _=False, work=work: work())
            row.addWidget(button)
        row.addStretch(1)
        layout.addLayout(row)
        layout.addWidget(self.notes)
        layout.addWidget(self.progress_text)
        layout.addWidget(self.progress)
        body.setMinimumWidth(230)
        return body

    def _open(self, _item: QListWidgetItem | None = None) -> None:
        if self.folder:
            self.opened.emit(self.folder)

    def _doom(self) -> None:
        if self.folder:
            self.doomed.emit(self.folder)

    def _show_notes(self, item: QListWidgetItem | None, _before: object = None) -> None:
        self.save_notes()
        self._shown_folder = self.folder
        self.notes.blockSignals(True)
        self.notes.setPlainText("" if item is None else item.data(_NOTES))
        self.notes.blockSignals(False)
        self.notes.setEnabled(item is not None)
        self.chosen.emit()

    def _note_soon(self) -> None:
        self._noting.start()

    def _pass_on(self) -> None:
        text = self.notes.toPlainText()
        for n in range(self.list.count()):
            item = self.list.item(n)
            if item is not None and item.data(_FOLDER) == self._shown_folder:
                item.setData(_NOTES, text)
        if self._shown_folder:
            self.noted.emit(self._shown_folder, text)


def describe(session: Session) -> str:
    """Say in two lines when a session was, of whom, how long, and what is special about it."""
    begun = str(session.content.get("begun", ""))[:16].replace("T", " ")
    source = session.about.get("source", {}).get("name", "")
    first = f"{begun}  {source}"
    words = [session.participant] if session.participant else []
    seconds = session.content["inputs"][0].get("duration_s")
    if seconds:
        words.append(f"{int(seconds) // 60}:{int(seconds) % 60:02d}")
    if session.mode != "full":
        words.append({"blurred": "faces blurred", "results": "results only"}[session.mode])
    if session.in_use:
        words.append("recording")
    elif session.unclean:
        words.append("not finished: repaired when opened")
    elif session.outcome == "interrupted":
        words.append("repaired")
    elif session.outcome == "failed":
        words.append("ended by a failure")
    return first + "\n" + "  ·  ".join(words)
