"""Record, replay, note and delete sessions; everything that touches the disk happens elsewhere."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from PyQt6.QtCore import QObject, Qt, QTimer, QUrl
from PyQt6.QtGui import QDesktopServices
from PyQt6.QtWidgets import QFileDialog, QInputDialog

from affect_gui.history import History
from affect_gui.replay_bar import ReplayBar
from affect_gui.sessions_dock import SessionsDock, describe
from affect_gui.timeline_dock import Marker
from realtime_affect.interpret.baseline import delete_profile, list_profiles
from realtime_affect.sessions import Replay, Session, SessionRecorder, SessionStore
from realtime_affect.sessions.store import AGAIN, RECORD

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from affect_gui.window import MainWindow

_FOLLOW_MS: Final = 500
_RECENT: Final = 8
_REPORT_EVERY: Final = 500
_SELECT: Final = "Select a session first, in the list at the left."


class SessionControl(QObject):
    """The window's sessions.

    Parameters
    ----------
    window : MainWindow
    store : SessionStore

    Attributes
    ----------
    dock : SessionsDock
    recorder : SessionRecorder or None
        Of the session that is recorded now.
    """

    def __init__(self, window: MainWindow, store: SessionStore) -> None:
        super().__init__(window)
        self.store = store
        self.recorder: SessionRecorder | None = None
        self._window = window
        self._starting = False
        self.dock = SessionsDock(window)
        window.add_dock(self.dock, Qt.DockWidgetArea.LeftDockWidgetArea)
        self.bar = ReplayBar(window.moments, window.commands, window)
        window.addToolBar(Qt.ToolBarArea.BottomToolBarArea, self.bar)
        self.bar.results_wanted.connect(lambda again: self.show_results(again=again))
        self.dock.participant.setText(window.preferences.text("session/participant"))
        mode = self.dock.mode.findData(window.preferences.text("session/mode", "full"))
        self.dock.mode.setCurrentIndex(max(0, mode))
        self.dock.opened.connect(self.open)
        self.dock.doomed.connect(self.delete)
        self.dock.noted.connect(self._save_notes)
        window.start_page.session_opened.connect(self.open)
        window.recorders.append(lambda: self.recorder is not None)
        window.guards.append(self._may_leave)
        window.source_changed.connect(self._follow_source)
        window.moments.marked.connect(self._save_markers)
        window.named.connect(self._save_names)
        window.strip.watch_disk(store.root)
        for name, work in (
            ("open_session", self._choose), ("show_folder", self._show_folder),
            ("delete_session", self._delete_selected),
            ("delete_participant", self._choose_participant),
        ):  # fmt: skip
            window.commands[name].setVisible(True)
            window.commands[name].triggered.connect(lambda _=False, work=work: work())
        self.dock.list.addActions(
            [
                window.commands[name]
                for name in ("export", "again", "delete_session", "delete_participant")
            ]
        )
        record = window.commands["record"]
        record.setVisible(True)
        record.toggled.connect(self.record)
        self._timer = QTimer(self)
        self._timer.timeout.connect(self._follow)
        self._timer.start(_FOLLOW_MS)
        self._show_recording()
        self.refresh()

    @property
    def session(self) -> Session | None:
        """What is recorded or replayed now."""
        if self.recorder is not None:
            return self.recorder.session
        replay = self._window.moments.replay
        return None if replay is None else replay.session

    def record(self, on: bool) -> None:
        """Begin a session, or end the one that is recorded."""
        if on:
            self._begin()
        else:
            self.finish()

    def finish(self) -> None:
        """End the session that is recorded, if one is; its record is completed elsewhere."""
        recorder, self.recorder = self.recorder, None
        self._show_recording()
        if recorder is None:
            return
        self._window.say("Completing the session...")
        self._window.tasks.run(recorder.finish, self._say_recorded, self._say_failed)

    def open(self, folder: str) -> None:
        """Replay a session; one that was never finished is repaired first."""
        window = self._window
        if not window.ask_to_leave():
            return
        window.say(f"Opening {folder}...")
        window.tasks.run(lambda: Replay(folder), self._show_replay, window.say_unopened)

    def show_results(self, *, again: bool) -> None:
        """Show the other results of the session that is replayed, at the same moment, standing."""
        replay, shown = self._window.moments.replay, self._window.reading
        if replay is None:
            return
        t_ns = None if shown is None else shown.scene.frame.t_ns
        folder = replay.session.folder
        self._window.tasks.run(
            lambda: Replay(folder, again=again),
            lambda other: self._show_replay(other, t_ns),
            self._window.say_unopened,
        )

    @staticmethod
    def holds_session(folder: str) -> bool:
        """Return whether a path is the folder of a session; asks the disk."""
        return (Path(folder) / RECORD).is_file()

    def delete(self, folder: str) -> None:
        """Delete a session, after asking."""
        window = self._window
        text = f"{folder}\n\nVideo, results, markers and notes are deleted. This cannot be undone."
        if not window.ask("Delete this session?", text):
            return
        if self._let_go(lambda shown: str(shown.folder) == folder):
            window.tasks.run(
                lambda: self.store.delete(Session(folder)),
                lambda _: self._say_deleted(folder),
                self._say_failed,
            )

    def delete_participant(self, name: str) -> None:
        """Delete what is kept of a participant, after asking: sessions, profile, the name."""
        self._window.tasks.run(
            lambda: (self.store.participants().get(name, []), name in list_profiles()),
            lambda found: self._ask_about(name, *found),
            self._say_failed,
        )

    def _ask_about(self, name: str, sessions: list[Session], has_profile: bool) -> None:
        window, n = self._window, len(sessions)
        listed = [describe(session).split("\n", maxsplit=1)[0] for session in sessions[:_RECENT]]
        listed += [f"and {n - _RECENT} more"] if n > _RECENT else []
        profile = f" The profile {name!r} is deleted, too." if has_profile else ""
        text = (
            f"{n} session{'' if n == 1 else 's'}:\n" + "\n".join(listed) + "\n\nVideo, results, "
            f"markers and notes are deleted.{profile} Exports, screenshots and "
            "analysed files stay. This cannot be undone."
        )
        if not window.ask(f"Delete participant {name}?", text):
            return
        if not self._let_go(lambda shown: shown.participant == name):
            return

        def delete() -> int:
            deleted = self.store.delete_participant(name)
            if has_profile:
                delete_profile(name)
            return deleted

        def say(deleted: int) -> None:
            if self.dock.participant.text().strip() == name:
                self.dock.participant.clear()
            if window.preferences.text("session/participant") == name:
                window.preferences.remember("session/participant", "")
            self._say_deleted(f"participant {name}: {deleted} session{'' if deleted == 1 else 's'}")

        window.tasks.run(delete, say, self._say_failed)

    def _let_go(self, doomed: Callable[[Session], bool]) -> bool:
        """Stop to show a session that will be deleted; False where it is being recorded."""
        shown, window = self.session, self._window
        if shown is not None and doomed(shown):
            if self.recorder is not None:
                window.say("It is being recorded: stop the recording first.")
                return False
            window.leave_source()
            window.show_start_page()
        return True

    def _delete_selected(self) -> None:
        if self.dock.folder:
            self.delete(self.dock.folder)
        else:
            self._window.say(_SELECT)

    def _choose_participant(self) -> None:
        names, selected = self.dock.participants()
        if not names:
            self._window.say("No session says of whom it is.")
            return
        name, accepted = QInputDialog.getItem(
            self._window, "Delete participant", "Whose sessions to delete:", names,
            names.index(selected) if selected else 0, False,
        )  # fmt: skip
        if accepted:
            self.delete_participant(name)

    def _say_deleted(self, what: str) -> None:
        self._window.say(f"Deleted {what}")
        self.refresh()

    def refresh(self) -> None:
        """List the sessions anew."""
        self._window.tasks.run(lambda: list(self.store), self._show_list)

    def _begin(self) -> None:
        window, feed = self._window, self._window.feed
        if feed is None or feed.ended or window.moments.replay is not None or self._starting:
            window.say("There is nothing live to record.")
            self._show_recording()
            return
        mode, participant = self.dock.mode.currentData(), self.dock.participant.text().strip()
        window.preferences.remember("session/mode", mode)
        window.preferences.remember("session/participant", participant)
        source, name = feed.source, feed.source.source_info.name
        self._starting = True
        window.tasks.run(
            lambda: SessionRecorder(
                source, self.store, window.config, name, mode=mode, participant=participant
            ),
            self._note_begun,
            self._say_failed,
        )

    def _note_begun(self, recorder: SessionRecorder) -> None:
        self._starting = False
        self.recorder = recorder
        self._show_recording()
        self._save_names()
        self._window.say(f"Recording into {recorder.session.folder}")
        self.refresh()

    def _say_recorded(self, session: Session) -> None:
        error = str(session.content["inputs"][0].get("error") or "")
        lost = sum(session.content["inputs"][0]["drops"].values())
        words = f"Session complete: {session.folder}"
        if error:
            words = f"The session ended early: {error} What was written is in {session.folder}"
        elif lost:
            words += f" ({lost} readings were lost: session.json says where)"
        self._window.say(words)
        self.refresh()

    def _say_failed(self, failure: Exception) -> None:
        self._starting = False
        self._show_recording()
        self._window.say(str(failure))
        self.refresh()

    def _show_replay(self, replay: Replay, at_ns: int | None = None) -> None:
        history, other = History(None), History(None) if replay.has_again else None
        if at_ns is not None:
            replay.pause(True)
            replay.seek_ns(at_ns)
        window = self._window
        markers = tuple(Marker(m.t_ns, m.text) for m in replay.session.markers)
        names = replay.session.names
        selected = window.face_commands.selected if at_ns is not None else None
        window.show_source(replay, history=history, markers=markers, owned=True)
        window.face_commands.select(selected)
        window.people.names.update(names)
        window.canvas.repaint_image()
        error = replay.source_warnings[0] if replay.source_warnings else ""
        what = "analysed again" if replay.again else "as recorded"
        window.say(f"Replay of {replay.session.name}, {what}. {error}".rstrip())
        window.timeline.compare(other, replay.again)
        window.tasks.run(
            lambda tell: _fill_both(history, other, replay, tell),
            lambda faces: self._note_filled(replay, faces),
            self._say_unread,
            lambda share: self.dock.show_progress("Reading the timeline...", share),
        )
        self.refresh()

    def _note_filled(self, replay: Replay, faces: Mapping[int, int]) -> None:
        self.dock.show_progress("", None)
        if self._window.moments.replay is replay:
            self._window.timeline.other_ids = dict(faces)

    def _say_unread(self, failure: Exception) -> None:
        self.dock.show_progress("", None)
        self._window.say(str(failure))

    def _follow(self) -> None:
        """Show how long the recording is; notice what ended it."""
        recorder = self.recorder
        if recorder is None:
            return
        self._show_recording()
        feed = self._window.feed
        if recorder.error or feed is None or feed.ended:
            self.finish()

    def _show_recording(self) -> None:
        action = self._window.commands["record"]
        on = self.recorder is not None or self._starting
        before = action.blockSignals(True)
        action.setChecked(on)
        action.blockSignals(before)
        elapsed = None if self.recorder is None else round(self.recorder.elapsed_s)
        action.setIconText("● Record" if elapsed is None else f"■ REC {_long(elapsed)}")

    def _follow_source(self) -> None:
        self.finish()
        self.bar.follow()

    def _may_leave(self) -> bool:
        if self.recorder is None:
            return True
        text = "A session is being recorded. This ends it; what was recorded is kept."
        if not self._window.ask("Stop recording?", text):
            return False
        self.finish()
        return True

    def _save_markers(self) -> None:
        markers = [[m.t_ns, m.text] for m in self._window.moments.markers]
        self._note(lambda session: session.note(markers=markers))

    def _save_names(self) -> None:
        names = {str(n): name for n, name in self._window.people.names.items()}
        self._note(lambda session: session.note(names=names))

    def _save_notes(self, folder: str, notes: str) -> None:
        current = self.session
        self._window.tasks.run(
            lambda: (
                current if current is not None and str(current.folder) == folder
                else Session(folder)
            ).note(notes=notes),
            None,
            self._say_failed,
        )  # fmt: skip

    def _note(self, change: Callable[[Session], Any]) -> None:
        session = self.session
        if session is not None and self._window.feed is not None:
            self._window.tasks.run(lambda: change(session), None, self._say_failed)

    def _show_list(self, sessions: list[Session]) -> None:
        self.dock.show_sessions(sessions)
        recent = [(describe(s).replace("\n", "   "), str(s.folder)) for s in sessions[:_RECENT]]
        self._window.start_page.show_recent(recent)

    def _choose(self) -> None:
        folder = QFileDialog.getExistingDirectory(
            self._window, "Open session", str(self.store.root)
        )
        if folder:
            self.open(folder)

    def _show_folder(self) -> None:
        self.store.root.mkdir(parents=True, exist_ok=True)
        QDesktopServices.openUrl(QUrl.fromLocalFile(str(self.store.root)))


def _fill_both(
    history: History, other: History | None, replay: Replay, tell: Callable[[float], None]
) -> Mapping[int, int]:
    """Read all of a session into histories, what is shown first; on a thread of its own.

    Returns
    -------
    mapping of int to int
        Ids of the faces that are shown, and those that they have in the other results.
    """
    _fill(history, replay, replay.again, tell)
    if other is None:
        return {}
    _fill(other, replay, not replay.again, tell)
    faces = Session(replay.session.folder / AGAIN).about.get("faces", {})
    pairs = [(int(stored), int(again)) for stored, again in faces.items()]
    return dict((b, a) if replay.again else (a, b) for a, b in pairs)


def _fill(history: History, replay: Replay, again: bool, tell: Callable[[float], None]) -> None:
    log = replay.open_log(again=again)
    try:
        for n in range(len(log)):
            if not replay.running and n > _REPORT_EVERY:
                return
            history.write(log.read(n))
            if n % _REPORT_EVERY == 0:
                tell(n / max(1, len(log)))
    finally:
        log.close()


def _long(seconds: int) -> str:
    return f"{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}"
