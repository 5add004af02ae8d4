"""Take a person's neutral face: look, count down, check, confirm; retry or revert."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from PyQt6.QtCore import Qt, QTimer, pyqtSignal
from PyQt6.QtGui import QImage, QPixmap
from PyQt6.QtWidgets import QDialog, QDialogButtonBox, QHBoxLayout, QLabel, QVBoxLayout, QWidget

from affect_gui.people import neutral_faults, thumbnail_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Future

    from affect_gui.people import Person
    from realtime_affect.runtime.reading_source import ReadingSource
    from realtime_affect.types import Reading

_VIEW: Final = 180
_LOOK_MS: Final = 100
_PATIENCE: Final = 100  # looks at the future: ten seconds


class NeutralDialog(QDialog):
    """Set the neutral face of one person.

    Parameters
    ----------
    source : ReadingSource
    look : callable
        Returns the person as known now, or None where the face is not in view.
    reading : callable
        Returns the newest reading, for the live view.
    parent : QWidget, optional
    step_ms : int
        Of the countdown.

    Attributes
    ----------
    state : {"looking", "counting", "asking", "taken", "refused"}
    """

    taken = pyqtSignal(int)
    """The vision worker has taken the neutral face of this id."""
    reverted = pyqtSignal(int)

    def __init__(  # noqa: PLR0915  (a form, built line by line)
        self,
        source: ReadingSource,
        look: Callable[[], Person | None],
        reading: Callable[[], Reading | None],
        parent: QWidget | None = None,
        *,
        step_ms: int = 1000,
    ) -> None:
        super().__init__(parent)
        self.state = "looking"
        self._source, self._look, self._reading = source, look, reading
        self._left = 0
        self._future: Future[tuple[int, ...]] | None = None
        self._looks = 0
        self.track_id: int | None = None
        person = look()
        self.setWindowTitle(f"Neutral face of {person.title if person else 'nobody'}")
        self.view = QLabel()
        self.view.setFixedSize(_VIEW, _VIEW)
        self.view.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self.view.setAccessibleName("The face, live")
        self.words = QLabel(
            "Ask the person to look into the camera with a relaxed face, mouth closed, then press "
            "Start. The face is taken at the end of the countdown."
        )
        self.words.setWordWrap(True)
        self.words.setMinimumWidth(280)
        self.checks = QLabel("")
        self.checks.setWordWrap(True)
        self.checks.setTextFormat(Qt.TextFormat.PlainText)
        self.count = QLabel("")
        font = self.count.font()
        font.setPointSizeF(font.pointSizeF() * 2.5)
        font.setBold(True)
        self.count.setFont(font)
        self.buttons = QDialogButtonBox()
        role = QDialogButtonBox.ButtonRole
        self.start_button = self.buttons.addButton("Start", role.ActionRole)
        self.revert_button = self.buttons.addButton("Revert", role.ActionRole)
        self.close_button = self.buttons.addButton("Cancel", role.RejectRole)
        assert self.start_button is not None
        assert self.revert_button is not None
        assert self.close_button is not None
        self.start_button.setDefault(True)
        self.start_button.clicked.connect(self.start)
        self.revert_button.clicked.connect(self.revert)
        self.close_button.clicked.connect(self.close)
        self.revert_button.setEnabled(False)
        right = QVBoxLayout()
        for widget in (self.words, self.checks, self.count):
            right.addWidget(widget)
        right.addStretch(1)
        row = QHBoxLayout()
        row.addWidget(self.view)
        row.addLayout(right, 1)
        layout = QVBoxLayout(self)
        layout.addLayout(row)
        layout.addWidget(self.buttons)
        self._look_timer = QTimer(self)
        self._look_timer.timeout.connect(self.look)
        self._look_timer.start(_LOOK_MS)
        self._count_timer = QTimer(self)
        self._count_timer.setInterval(step_ms)
        self._count_timer.timeout.connect(self._step)
        self.look()

    def look(self) -> None:
        """Show the face as it is now and what speaks against it; notice that it was taken."""
        person, reading = self._look(), self._reading()
        self._show_face(person, reading)
        if self.state in ("looking", "counting", "refused"):
            faults = self._faults(person, reading)
            if self.state != "refused":
                self.checks.setText(
                    "\n".join(f"✗ {fault}" for fault in faults) or "✓ size, sharpness, view, rest"
                )
        if self._future is not None:
            self._ask_whether_taken()

    def start(self) -> None:
        """Count 3, 2, 1."""
        self.state, self._left = "counting", 3
        self.count.setText("3")
        self.start_button.setEnabled(False)  # type: ignore[union-attr]
        self._count_timer.start()

    def revert(self) -> None:
        """Go back to the neutral face from before."""
        if self.track_id is None:
            return
        self._source.revert_neutral(self.track_id)
        self.reverted.emit(self.track_id)
        self.track_id = None
        self.state = "looking"
        self.words.setText("Reverted: the neutral face is the one from before.")
        self.revert_button.setEnabled(False)  # type: ignore[union-attr]
        self.close_button.setText("Close")  # type: ignore[union-attr]

    def _step(self) -> None:
        self._left -= 1
        if self._left > 0:
            self.count.setText(str(self._left))
            return
        self._count_timer.stop()
        self.count.clear()
        person, reading = self._look(), self._reading()
        faults = self._faults(person, reading)
        if faults or person is None:
            self._refuse("Not taken.", faults)
            return
        self.state, self._looks = "asking", 0
        self.words.setText("Taking it...")
        self._future = self._source.set_neutral(person.track_id)
        self.look()

    def _ask_whether_taken(self) -> None:
        future = self._future
        assert future is not None
        self._looks += 1
        if future.cancelled() or self._looks > _PATIENCE:
            self._future = None
            self._refuse("Not taken: the analysis ended or is stalled.", [])
        elif future.done():
            self._future = None
            ids = future.result()
            if not ids:
                self._refuse("Not taken: the face has left.", [])
                return
            self.state, self.track_id = "taken", ids[0]
            self.words.setText(
                f"Taken: the neutral face of #{ids[0]} is its own now. Action units count from it."
            )
            self.checks.clear()
            self.start_button.setText("Retry")  # type: ignore[union-attr]
            self.start_button.setEnabled(True)  # type: ignore[union-attr]
            self.revert_button.setEnabled(True)  # type: ignore[union-attr]
            self.close_button.setText("Accept")  # type: ignore[union-attr]
            self.taken.emit(ids[0])

    def _refuse(self, words: str, faults: list[str]) -> None:
        self.state = "refused"
        self.words.setText(words)
        self.checks.setText("\n".join(f"✗ {fault}" for fault in faults))
        self.start_button.setText("Retry")  # type: ignore[union-attr]
        self.start_button.setEnabled(True)  # type: ignore[union-attr]

    def _faults(self, person: Person | None, reading: Reading | None) -> list[str]:
        if person is None or reading is None:
            return ["the face is not in view"]
        return neutral_faults(person, reading.scene.frame.t_ns)

    def _show_face(self, person: Person | None, reading: Reading | None) -> None:
        tracks = () if reading is None else reading.scene.tracks
        track = next((t for t in tracks if person and t.track_id == person.track_id), None)
        image = None
        if track is not None and reading is not None:
            image = thumbnail_of(reading.scene.frame.image, track, _VIEW)
        if image is None:
            self.view.setText("not in view")
            return
        held = QImage(  # type: ignore[call-overload]  # any buffer will do
            image.data, image.shape[1], image.shape[0], image.strides[0],
            QImage.Format.Format_BGR888,
        )  # fmt: skip
        self.view.setPixmap(QPixmap.fromImage(held))
