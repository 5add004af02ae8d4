"""Work in the background of the window: a queue of files, export, analysing again, networks."""

from __future__ import annotations

from datetime import datetime
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from PyQt6.QtCore import QObject, QSize
from PyQt6.QtWidgets import QCheckBox, QDialog, QDialogButtonBox, QFileDialog, QVBoxLayout

from affect_gui.pdf import print_pdf
from affect_gui.sheets import show_sheet, table_of
from realtime_affect.sessions.export import PARTS, export_session
from realtime_affect.sessions.store import Session

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from affect_gui.session_control import SessionControl
    from affect_gui.window import MainWindow
    from realtime_affect.sessions.again import Difference

_FETCHING: Final = "Fetching models"
_PART_WORDS = {
    "video": "Painted video (annotated.mp4)",
    "tables": "Rows, events and markers (CSV)",
    "parquet": "Rows and events with types, units and meanings (Parquet)",
    "images": "An image of each spike (PNG)",
    "report": "One page to read in a browser (report.html)",
    "pdf": "The same to print or pass on (report.pdf)",
}


class ToolsControl(QObject):
    """The commands of the menu Tools; one piece of work at a time, in the order asked for."""

    def __init__(self, window: MainWindow, sessions: SessionControl) -> None:
        super().__init__(window)
        self._window, self._sessions = window, sessions
        self._waiting: list[tuple[str, Callable[..., Any], Callable[[Any], None]]] = []
        self._running = ""
        for name, work in (
            ("queue", self._choose_files), ("export", self._choose_parts),
            ("again", self.analyse_again), ("models", self.fetch_models),
        ):  # fmt: skip
            window.commands[name].setVisible(True)
            window.commands[name].triggered.connect(lambda _=False, work=work: work())
        window.start_page.models_wanted.connect(self.fetch_models)
        self._look_for_models()

    @property
    def busy(self) -> str:
        """What is under way; empty where nothing is."""
        return self._running

    def analyse_files(self, paths: Sequence[str]) -> None:
        """Analyse every frame of files, one after another, in the background."""
        window, root = self._window, self._sessions.store.root
        for path in paths:
            out = (
                root / "analyses" / f"{datetime.now().astimezone():%Y%m%d-%H%M%S}-{Path(path).stem}"
            )

            def work(tell: Callable[[Any], None], path: str = path, out: Path = out) -> Path:
                from realtime_affect.analysis import analyze

                analyze(path, out, window.config, progress=lambda p: tell(_share(p)))
                return out

            self._add(f"Analysing {Path(path).name}", work, self._say_written)

    def export(self, folder: str, out: str, parts: Sequence[str]) -> None:
        """Export parts of a session into a folder."""
        overlay = self._window.canvas.config.replace(bars=True)

        def work(tell: Callable[[float], None]) -> Path:
            export_session(
                Session(folder), Path(out), parts, overlay, print_pdf=print_pdf, progress=tell
            )
            return Path(out)

        self._add(f"Exporting {Path(folder).name}", work, self._say_written)

    def analyse_again(self) -> None:
        """Run the networks of today over the session's video, and show how far both are apart."""
        session = self._chosen()
        if session is None:
            return
        config = self._window.config

        def work(tell: Callable[[Any], None]) -> Any:
            from realtime_affect.sessions.again import analyse_again

            return analyse_again(session, config, tell)

        self._add(
            f"Analysing {session.name} again", work,
            lambda differences: self._show_differences(session, differences),
        )  # fmt: skip

    def fetch_models(self) -> None:
        """Fetch the face models where they are missing; each is checked by SHA-256."""

        def work(tell: Callable[[Any], None]) -> str:
            from affect_engines.store import fetch_models

            files = fetch_models(None, tell)
            return f"{len(files)} models are in place, each checked by SHA-256."

        self._add(_FETCHING, work, self._window.say)

    def _look_for_models(self) -> None:
        """Offer on the start page to fetch what is missing."""

        def work() -> list[str]:
            from affect_engines.store import list_models

            models = [model for model in list_models() if not model.card.shipped]
            return [model.card.name for model in models if model.state != "ok"]

        self._window.tasks.run(work, self._window.start_page.offer_models)

    def _add(self, words: str, work: Callable[..., Any], done: Callable[[Any], None]) -> None:
        self._waiting.append((words, work, done))
        if not self._running:
            self._next()

    def _next(self) -> None:
        if not self._waiting:
            self._running = ""
            self._sessions.dock.show_progress("", None)
            return
        words, work, done = self._waiting.pop(0)
        self._running = words
        self._tell(None)

        def end(result: Any) -> None:
            done(result)
            go_on()

        def fail(failure: Exception) -> None:
            self._window.say(str(failure))
            if words == _FETCHING:
                self._window.start_page.say(str(failure))
            go_on()

        def go_on() -> None:
            if words == _FETCHING:
                self._look_for_models()
            self._next()

        self._window.tasks.run(work, end, fail, self._tell)

    def _tell(self, told: Any) -> None:
        """Show progress: a share, or a line of text."""
        words = self._running + (f"; {len(self._waiting)} more" if self._waiting else "")
        if isinstance(told, str):
            words = told
        share = told if isinstance(told, float) else None
        if self._running == _FETCHING:
            self._window.start_page.show_fetching(words)
        self._sessions.dock.show_progress(words, share)

    def _say_written(self, out: Path) -> None:
        self._window.say(f"Written: {out}")

    def _show_differences(self, session: Session, differences: Sequence[Difference]) -> None:
        from realtime_affect.sessions.again import TOLERANCE

        rows = [
            (d.group, str(d.n), f"{d.mean:.3f}", f"{d.p95:.3f}", f"{TOLERANCE[d.group]:g}",
             f"{d.most:.3f}")
            for d in differences
        ]  # fmt: skip
        columns = ("measure", "values", "mean difference", "95 of 100 below", "stated", "largest")
        show_sheet(
            self._window, "Stored and analysed again", table_of(columns, rows), QSize(620, 260)
        )
        self._window.say(
            "Analysed again: rows and this table are in the session's folder, in 'again'."
        )
        shown = self._window.moments.replay
        if shown is not None and shown.session.folder == session.folder:
            self._sessions.show_results(again=True)

    def _chosen(self) -> Session | None:
        """Return the session that is replayed, or else the one selected in the list."""
        session = self._sessions.session if self._window.moments.replay is not None else None
        if session is None and self._sessions.dock.folder:
            session = Session(self._sessions.dock.folder)
        if session is None:
            self._window.say("Select a session first, in the list at the left.")
        return session

    def _choose_files(self) -> None:
        names, _ = QFileDialog.getOpenFileNames(self._window, "Analyse files")
        if names:
            self.analyse_files(names)

    def _choose_parts(self) -> None:
        session = self._chosen()
        if session is None:
            return
        dialog = QDialog(self._window)
        dialog.setWindowTitle(f"Export {session.name}")
        layout = QVBoxLayout(dialog)
        boxes = {part: QCheckBox(_PART_WORDS[part]) for part in PARTS}
        for box in boxes.values():
            box.setChecked(True)
            layout.addWidget(box)
        if find_spec("pyarrow") is None:
            boxes["parquet"].setChecked(False)
            boxes["parquet"].setEnabled(False)
            boxes["parquet"].setToolTip("Needs: pip install 'realtime-affect[parquet]'")
        standard = QDialogButtonBox.StandardButton
        buttons = QDialogButtonBox(standard.Ok | standard.Cancel)
        buttons.accepted.connect(dialog.accept)
        buttons.rejected.connect(dialog.reject)
        layout.addWidget(buttons)
        if not dialog.exec():
            return
        out = QFileDialog.getExistingDirectory(self._window, "Export into")
        if out:
            parts = [part for part, box in boxes.items() if box.isChecked()]
            self.export(str(session.folder), str(Path(out) / session.name), parts)


def _share(progress: Any) -> float:
    return min(1.0, progress.done / progress.total) if progress.total else 0.0
