"""The main window: the image in the middle, faces and timeline around it, commands above.

The window pulls: timers take the newest reading from its own slot, so a slow screen drops images
and delays nothing. What opens sources, writes files or asks disks runs elsewhere (``tasks``).
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from PyQt6.QtCore import QDateTime, QSize, QStandardPaths, Qt, QTimer, pyqtSignal
from PyQt6.QtGui import QUndoStack
from PyQt6.QtWidgets import (
    QDockWidget,
    QFileDialog,
    QInputDialog,
    QMainWindow,
    QMessageBox,
    QStackedWidget,
    QToolBar,
)

from affect_gui import sheets
from affect_gui.actions import Actions
from affect_gui.canvas import VideoPane
from affect_gui.dock_pulls import DockPulls
from affect_gui.face_commands import FaceCommands
from affect_gui.faces_dock import FacesDock
from affect_gui.feed import Feed
from affect_gui.moments import Moments
from affect_gui.people import People
from affect_gui.preferences import Preferences
from affect_gui.start_page import StartPage
from affect_gui.status_strip import StatusStrip
from affect_gui.tasks import Tasks
from affect_gui.timeline_dock import TimelineDock
from affect_gui.view_commands import TOGGLES, ViewCommands
from realtime_affect.errors import AffectError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from PyQt6.QtGui import QCloseEvent, QDragEnterEvent, QDropEvent, QKeyEvent

    from affect_gui.history import History
    from affect_gui.session_control import SessionControl
    from affect_gui.timeline_dock import Marker
    from realtime_affect.config import Config
    from realtime_affect.overlay import OverlayConfig
    from realtime_affect.runtime.reading_source import ReadingSource
    from realtime_affect.sessions import SessionStore
    from realtime_affect.types import Reading

_STATUS_MS: Final = 1000
_MESSAGE_MS: Final = 10_000
_NEEDS_SOURCE: Final = (
    "screenshot", "pause", "back", "forward", "previous_spike", "next_spike", "mark", "note",
    "rename", "next_face", "previous_face",
)  # fmt: skip
_LATER: Final = (
    "open_session", "record", "delete_session", "delete_participant", "queue", "export", "again",
    "models", "show_folder",
)  # fmt: skip


class MainWindow(QMainWindow):
    """Show any source of readings, live or replayed.

    Parameters
    ----------
    config : Config
    opener : callable, optional
        Opens what the user names: ``opener(spec, config)``; may take seconds, is called off Qt's
        thread. Without one, only :meth:`show_source` shows something.
    store : SessionStore, optional
        Where sessions are recorded; without one, none is.
    preferences : Preferences, optional
    pictures : Path, optional
        Where screenshots go; default: a folder of its own in the user's pictures.

    Attributes
    ----------
    feed : Feed or None
        Of what is shown.
    sessions : SessionControl or None
    exit_code : int
        1 once a source has failed.
    file_recording : bool
        Whether the command line records to files while the window is open.
    guards : list of callable
        Asked before a source is left; one that returns False keeps it.
    recorders : list of callable
        Each says whether it records now.
    """

    source_changed = pyqtSignal()
    """Another source is shown, or none."""
    left = pyqtSignal()
    """Everything was let go of: the window is closed, or told to be."""
    named = pyqtSignal()
    """A face was given a name, or lost it."""

    def __init__(  # noqa: PLR0915  (a window, built part by part)
        self,
        config: Config,
        opener: Callable[[str, Config], ReadingSource] | None = None,
        *,
        store: SessionStore | None = None,
        preferences: Preferences | None = None,
        pictures: Path | None = None,
    ) -> None:
        super().__init__()
        self.config = config
        self.preferences = preferences or Preferences()
        self.feed: Feed | None = None
        self.sessions: SessionControl | None = None
        self.exit_code = 0
        self.file_recording = False
        self.guards: list[Callable[[], bool]] = []
        self.recorders: list[Callable[[], bool]] = []
        self.changes = QUndoStack(self)
        self.tasks = Tasks(self)
        self._opener = opener
        self._opening = False
        self._owned: ReadingSource | None = None
        self._stopped = False
        self._name = self._state = ""
        self._pictures = pictures

        self.commands = Actions(self)
        self.start_page = StartPage(self)
        self.pane = VideoPane(self._overlay(), self)
        self.canvas = self.pane.canvas
        self.stack = QStackedWidget(self)
        self.stack.addWidget(self.start_page)
        self.stack.addWidget(self.pane)
        self.setCentralWidget(self.stack)
        self.setAcceptDrops(self._opener is not None)
        self.people = People(config.track.max_faces)
        self.canvas.names = self.people.names
        self.faces = FacesDock(self.people, self)
        self.timeline = TimelineDock(self)
        self._docks: list[QDockWidget] = []
        self.add_dock(self.faces, Qt.DockWidgetArea.RightDockWidgetArea)
        self.add_dock(self.timeline, Qt.DockWidgetArea.BottomDockWidgetArea)
        self._away: list[QDockWidget] = []
        self.strip = StatusStrip(self.tasks, self)
        self.setStatusBar(self.strip)
        self.toolbar = self._build_toolbar()
        self.moments = Moments(self.say, self.changes, self)
        self.face_commands = FaceCommands(self)
        self.view_commands = ViewCommands(self)
        self._connect()
        if store is not None:
            from affect_gui.session_control import SessionControl
            from affect_gui.tools_control import ToolsControl

            self.sessions = SessionControl(self, store)
            self.tools = ToolsControl(self, self.sessions)
        if not self.preferences.restore_layout(self):
            self.resize(QSize(1320, 900))
            self.resizeDocks([self.faces], [310], Qt.Orientation.Horizontal)
            self.resizeDocks([self.timeline], [330], Qt.Orientation.Vertical)
        self.dock_pulls = DockPulls(self)
        self._status_timer = self._every(_STATUS_MS, self._show_status)
        self.show_start_page()
        self._show_state()
        self._show_status()

    def open(self, spec: str) -> None:
        """Open a camera, file, folder, URL or the demo off Qt's thread, then show it."""
        if self._opener is None or self._opening or not self.ask_to_leave():
            return
        opener, config = self._opener, self.config.with_values(self._capture_choices())
        self._opening = True
        self.start_page.wait(f"Opening {spec}...")
        self.say(f"Opening {spec}...")
        self.tasks.run(
            lambda: opener(spec, config),
            lambda source: self._show_opened(source, spec),
            self.say_unopened,
        )

    def show_source(
        self,
        source: ReadingSource,
        *,
        history: History | None = None,
        markers: Sequence[Marker] = (),
        owned: bool = False,
    ) -> None:
        """Show a source in place of what was shown; start it if it is not running.

        Parameters
        ----------
        source : ReadingSource
        history : History, optional
            Of a replay, all that it displayed.
        markers : sequence of Marker
            Those that it has already.
        owned : bool
            Whether the window closes it when it is done with it.
        """
        self.leave_source()
        self._name = source.source_info.name
        self._owned = source if owned else None
        self._stopped = False
        feed = self.feed = Feed(source, history, self)
        feed.arrived.connect(self._show_newest)
        feed.changed.connect(self._show_state)
        self.people.names.clear()
        self.changes.clear()
        self.faces.model.by_user.clear()
        self.faces.show_reading(None)
        self.timeline.show_history(feed.history)
        self.face_commands.select(None)
        self.moments.follow(feed, markers)
        self._bring_docks()
        self.stack.setCurrentWidget(self.pane)
        self.canvas.setFocus()
        if not source.running:
            source.start()
        self.source_changed.emit()
        self._show_state()
        self._show_status()

    def leave_source(self) -> None:
        """Let go of what is shown; closing a source takes a while and happens elsewhere."""
        feed, self.feed = self.feed, None
        if feed is None:
            return
        self._note_failure(feed)
        feed.stop()
        self.moments.follow(None)
        self.source_changed.emit()
        feed.deleteLater()
        self._show_state()
        owned, self._owned = self._owned, None
        if owned is not None:
            self.tasks.run(owned.close)

    def show_start_page(self) -> None:
        """Show what can be opened; what runs goes on. Without a source, the docks make room."""
        self.stack.setCurrentWidget(self.start_page)
        if self.feed is None:
            self._away = [dock for dock in self._docks if not dock.isHidden()]
            for dock in self._away:
                dock.hide()

    def _bring_docks(self) -> None:
        for dock in self._away:
            dock.show()
        self._away = []

    @property
    def reading(self) -> Reading | None:
        """What is on the screen."""
        return self.moments.reading

    @property
    def recording(self) -> bool:
        """Whether what is measured goes to a file."""
        if self.feed is None:
            return False
        by_command_line = self.file_recording and not self.feed.ended
        return by_command_line or any(records() for records in self.recorders)

    def say(self, message: str) -> None:
        """Show what happened for some seconds."""
        self.strip.showMessage(message, _MESSAGE_MS)

    def save_screenshot(self) -> None:
        """Write the image as shown, with its notice, to a new PNG, off Qt's thread."""
        image = self.pane.grab().toImage()
        folder = self._pictures or _pictures()
        stamp = QDateTime.currentDateTime().toString("yyyyMMdd-HHmmss-zzz")
        path = folder / f"realtime-affect-{stamp}.png"

        def save() -> str:
            folder.mkdir(parents=True, exist_ok=True)
            if not image.save(str(path), "PNG"):
                message = f"{folder} cannot be written"
                raise OSError(message)
            return f"Saved {path}"

        self.tasks.run(save, self.say, lambda failure: self.say(f"Not saved: {failure}"))

    def ask(self, title: str, text: str) -> bool:
        """Ask a question that Yes or No answers; No is the default."""
        yes, no = QMessageBox.StandardButton.Yes, QMessageBox.StandardButton.No
        return QMessageBox.question(self, title, text, yes | no, no) == yes

    def ask_to_leave(self) -> bool:
        """Ask whoever has something to lose; True: nothing keeps the source."""
        if self.feed is not None and self.file_recording and not self.feed.ended:
            text = "Results are written to files. This ends it; what was written stays."
            if not self.ask("Stop recording?", text):
                return False
        return all(guard() for guard in self.guards)

    def shut(self) -> None:
        """Let go of everything without asking. Idempotent."""
        self.dock_pulls.timer.stop()
        self._status_timer.stop()
        if self.face_commands.guide is not None:
            self.face_commands.guide.close()
        self._bring_docks()
        self.preferences.save_layout(self)
        self.leave_source()
        self.tasks.finish()
        self.left.emit()

    def closeEvent(self, event: QCloseEvent | None) -> None:  # noqa: N802  (Qt's name)
        """Ask where something would be lost; then stop the source and let go of it."""
        if event is None:
            return
        if self.ask_to_leave():
            self.shut()
            event.accept()
        else:
            event.ignore()

    def dragEnterEvent(self, event: QDragEnterEvent | None) -> None:  # noqa: N802  (Qt's name)
        """Take files, folders and addresses, wherever on the window."""
        if event is not None and (data := event.mimeData()) is not None and data.hasUrls():
            event.acceptProposedAction()

    def dropEvent(self, event: QDropEvent | None) -> None:  # noqa: N802  (Qt's name)
        """Open what was dropped, a session in replay; of several things the first."""
        if event is None or (data := event.mimeData()) is None or not data.urls():
            return
        event.acceptProposedAction()
        url, sessions = data.urls()[0], self.sessions
        spec = url.toLocalFile() or url.toString()
        if sessions is None or not url.isLocalFile():
            self.open(spec)
            return
        self.tasks.run(
            lambda: sessions.holds_session(spec),
            lambda is_session: sessions.open(spec) if is_session else self.open(spec),
        )

    def keyPressEvent(self, event: QKeyEvent | None) -> None:  # noqa: N802  (Qt's name)
        """Leave full screen, or the review, by Esc; nothing else, and never the window."""
        if event is not None and event.key() == Qt.Key.Key_Escape:
            if self.isFullScreen():
                self.commands["full_screen"].setChecked(False)
            else:
                self.moments.back_to_live()
            return
        super().keyPressEvent(event)

    def pull_docks(self) -> None:
        """Show faces and timeline anew, as far as anybody sees them."""
        self.dock_pulls.pull()

    def say_unopened(self, failure: Exception) -> None:
        """Say why something could not be opened, and stay where that can be mended."""
        self._opening = False
        self.start_page.wait("")
        words = str(failure) if isinstance(failure, AffectError) else f"internal error: {failure!r}"
        self.start_page.say(words)
        self.say(words)
        if self.feed is None:
            self.show_start_page()

    def _show_opened(self, source: ReadingSource, spec: str) -> None:
        self._opening = False
        self.start_page.wait("")
        self.preferences.remember("source/last", spec)
        self.show_source(source, owned=True)

    def _show_newest(self) -> None:
        if self.feed is not None and self.moments.reviewed is None:
            self.canvas.show_reading(self.feed.reading)
            if self.canvas.title:
                self._show_state()  # the first image, or the first after an outage

    def _show_moment(self) -> None:
        """Show the moment gone to, and whether the newest is held back."""
        held = self.moments.reviewed is not None
        pause = self.commands["pause"]
        before = pause.blockSignals(True)
        pause.setChecked(self.feed is not None and self.feed.source.paused)
        pause.blockSignals(before)
        self.commands["live"].setEnabled(held)
        self.canvas.show_reading(self.reading)
        self._show_state()

    def _show_state(self) -> None:
        """Say over the image what is wrong, and in its corner what is going on."""
        feed, canvas = self.feed, self.canvas
        before = canvas.said
        canvas.title = canvas.text = canvas.badge = ""
        canvas.badge_alarms = canvas.offline = False
        self._state = ""
        if feed is not None:
            self._state = self._state_word(feed)
            if feed.ended and self._owned is None and not self._stopped and self._was_stopped(feed):
                # Whoever opened it ended it; not from within a timer that is firing.
                QTimer.singleShot(0, self.close)
            canvas.offline = feed.offline and feed.reading is not None
            if feed.failure is not None:
                self._note_failure(feed)
                canvas.title = "The run stopped"
                canvas.text = str(feed.failure) or repr(feed.failure)
            elif feed.reading is None and feed.offline:
                canvas.title = "OFFLINE"
                canvas.text = f"{self._name} gives no images. Trying again."
            elif feed.reading is None and not feed.ended:
                canvas.title, canvas.text = "Starting", f"Waiting for {self._name}"
            reviewed = self.moments.reviewed
            if reviewed is not None and feed.reading is not None:
                back_ns = feed.reading.scene.frame.t_ns - reviewed.scene.frame.t_ns
                canvas.badge = f"REVIEW  {-back_ns / 1e9:.1f} s"
            elif self._state == "paused":
                canvas.badge = "PAUSED, recording too" if self.recording else "PAUSED"
            elif self.recording:
                canvas.badge, canvas.badge_alarms = "REC", True
        running = feed is not None and not feed.ended
        self.commands["stop"].setEnabled(running)
        self.commands["start"].setEnabled(not running)
        self.pane.say_recording(self.recording)
        title = "realtime-affect" if feed is None else f"{self._name} - realtime-affect"
        self.setWindowTitle(f"OFFLINE - {title}" if feed is not None and feed.offline else title)
        if canvas.said != before:
            canvas.repaint_image()

    @staticmethod
    def _was_stopped(feed: Feed) -> bool:
        """Whether a source ended because it was told to, not by itself and not by a failure."""
        return feed.failure is None and feed.stats.source_state.name != "ENDED"

    def _state_word(self, feed: Feed) -> str:
        if feed.failure is not None:
            return "stopped"
        if feed.offline:
            return "OFFLINE"
        if self.moments.replay is not None:
            return "replay"
        if feed.ended or feed.stats.source_state.name == "ENDED":
            return "ended: drag on the timeline to look back"
        if feed.source.paused:
            return "paused"
        return "live"

    def _show_status(self) -> None:
        feed = self.feed
        self.strip.show_feed(feed, self._state)
        self.commands.enable(_NEEDS_SOURCE, feed is not None)
        self.commands["neutral"].setEnabled(feed is not None and feed.source.can_set_neutral)

    def _note_failure(self, feed: Feed) -> None:
        if feed.failure is not None:
            self.exit_code = 1

    def _note_painted(self, reading: Reading) -> None:
        if self.feed is not None and reading is self.feed.reading:
            self.feed.note_painted(reading)

    def _overlay(self) -> OverlayConfig:
        """Return what is painted first: as configured, and as the user left it."""
        overlay, remembered = self.config.overlay, self.preferences.flag
        shown = {name: remembered(f"view/{name}", getattr(overlay, name)) for name in TOGGLES}
        # The list of faces has the measures; panels over the image are for who wants them.
        return overlay.replace(**shown | {"bars": remembered("view/bars", False)})

    def _capture_choices(self) -> dict[str, Any]:
        width, height = self.start_page.size_choice.currentData()
        self.commands["mirror"].setChecked(self.start_page.mirror.isChecked())
        return {
            "capture.width": width,
            "capture.height": height,
            "capture.fps": float(self.start_page.rate_choice.currentData()),
        }

    def _every(self, ms: int, work: Callable[[], None]) -> QTimer:
        timer = QTimer(self)
        timer.timeout.connect(work)
        timer.start(ms)
        return timer

    def _build_toolbar(self) -> QToolBar:
        bar = QToolBar("Commands", self)
        bar.setObjectName("commands")
        bar.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextOnly)
        for name, text in (
            ("start_page", "Source..."), ("start", "Start"), ("pause", "Pause"),
            ("stop", "Stop"), ("", ""),
            ("record", "Record"), ("mark", "Mark"), ("neutral", "Neutral..."),
            ("screenshot", "Screenshot"), ("", ""), ("live", "Back to live"),
        ):  # fmt: skip
            if name:
                self.commands[name].setIconText(text)
                bar.addAction(self.commands[name])
            else:
                bar.addSeparator()
        self.addToolBar(bar)
        return bar

    def _connect(self) -> None:
        moments, faces, commands = self.moments, self.face_commands, self.commands
        for name, work in {
            "start_page": self.show_start_page, "open_file": self._choose_file,
            "start": lambda: self.open(self.preferences.text("source/last", "demo")),
            "open_folder": self._choose_folder, "screenshot": self.save_screenshot,
            "quit": self.close, "live": moments.back_to_live, "back": lambda: moments.step(-1),
            "forward": lambda: moments.step(1), "previous_spike": lambda: moments.jump(False),
            "next_spike": lambda: moments.jump(True), "mark": moments.mark,
            "note": self._mark_with_note, "stop": self._stop, "neutral": faces.set_neutral,
            "undo": self.changes.undo, "redo": self.changes.redo, "rename": faces.rename,
            "next_face": lambda: faces.select_next(1),
            "previous_face": lambda: faces.select_next(-1),
            "no_face": lambda: faces.select(None), "keys": lambda: sheets.show_keys(self),
            "about": lambda: sheets.show_about(self),
        }.items():  # fmt: skip
            commands[name].triggered.connect(lambda _=False, work=work: work())
        commands["pause"].toggled.connect(moments.pause)
        for name in _LATER:
            commands[name].setVisible(False)
        for name in ("start", "start_page", "open_file", "open_folder"):
            commands[name].setVisible(self._opener is not None)
        self.changes.canUndoChanged.connect(commands["undo"].setEnabled)
        self.changes.canRedoChanged.connect(commands["redo"].setEnabled)
        commands.enable(("undo", "redo", "live"), False)
        moments.moved.connect(self._show_moment)
        self.canvas.clicked.connect(faces.select)
        self.canvas.painted.connect(self._note_painted)
        self.faces.selected.connect(lambda n: None if n is None else faces.select(n))
        self.timeline.sought.connect(moments.seek)
        self.start_page.opened.connect(self.open)
        self.start_page.file_wanted.connect(self._choose_file)
        self.start_page.folder_wanted.connect(self._choose_folder)

    def add_dock(self, dock: QDockWidget, area: Qt.DockWidgetArea) -> None:
        """Put a dock beside the image, and into the menu."""
        self.addDockWidget(area, dock)
        if dock not in self._docks:
            self._docks.append(dock)
        menu = self.commands.menus["view"]
        assert menu is not None
        menu.addAction(dock.toggleViewAction())

    def _stop(self) -> None:
        if self.feed is not None and self.ask_to_leave():
            self._stopped = True
            self.feed.source.stop()
            self.say("Stopped. The last minute stays on the timeline to look back on.")

    def _mark_with_note(self) -> None:
        text, accepted = QInputDialog.getText(self, "Marker", "Words for this marker:")
        if accepted:
            self.moments.mark(text.strip())

    def _choose_file(self) -> None:
        name, _ = QFileDialog.getOpenFileName(self, "Open video or image")
        if name:
            self.open(name)

    def _choose_folder(self) -> None:
        name = QFileDialog.getExistingDirectory(self, "Open folder of images")
        if name:
            self.open(name)


def _pictures() -> Path:
    """Return the folder for screenshots."""
    place = QStandardPaths.StandardLocation.PicturesLocation
    found = QStandardPaths.writableLocation(place)
    return (Path(found) if found else Path.home()) / "realtime-affect"
