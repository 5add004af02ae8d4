"""Every command of the window, declared once: menus, toolbar, shortcuts and help come from it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from PyQt6.QtGui import QAction, QActionGroup, QKeySequence

if TYPE_CHECKING:
    from collections.abc import Iterator

    from PyQt6.QtWidgets import QMainWindow

MENUS: Final = (
    ("file", "&File"),
    ("session", "&Session"),
    ("view", "&View"),
    ("faces", "F&aces"),
    ("tools", "&Tools"),
    ("help", "&Help"),
)


@dataclass(frozen=True, slots=True)
class Command:
    """One thing the user can do.

    Attributes
    ----------
    name : str
        For the code.
    menu : str
        One of :data:`MENUS`.
    text : str
        In menus and on the help sheet.
    keys : tuple of str
        Shortcuts, modifiers told apart; the first is the one that is shown.
    tip : str
        A sentence on what it does; what the help sheet says.
    checkable : bool
        Whether it is on or off.
    repeats : bool
        Whether holding the key repeats it.
    group : str
        Of commands of which one is on.
    ends_section : bool
        Whether a line follows it in the menu.
    """

    name: str
    menu: str
    text: str
    keys: tuple[str, ...] = ()
    tip: str = ""
    checkable: bool = False
    repeats: bool = False
    group: str = ""
    ends_section: bool = False


COMMANDS: Final = (
    Command("start_page", "file", "&New source...", ("Ctrl+N",),
            "Cameras, files, URLs, the demo and recent sessions."),
    Command("open_file", "file", "&Open video...", ("Ctrl+O",), "Play a video file."),
    Command("open_folder", "file", "Open fol&der of images...", ("Ctrl+Shift+O",),
            "Show the images of a folder, one after another."),
    Command("open_session", "file", "Open &session...", ("Ctrl+Shift+S",),
            "Replay a recorded session.", ends_section=True),
    Command("screenshot", "file", "Save screens&hot", ("S", "Ctrl+P"),
            "Save the image as shown, as PNG.", ends_section=True),
    Command("quit", "file", "&Quit", ("Ctrl+Q", "Q"),
            "Close the window; asks while a session is recorded."),
    Command("start", "session", "St&art", ("Ctrl+Return",),
            "Open what was open last again, from its beginning."),
    Command("pause", "session", "&Pause", ("Space",),
            "A file or a replay stands still; images of a camera are passed over. Nothing is "
            "analysed or recorded until it goes on.",
            checkable=True),
    Command("live", "session", "Back to &live", ("L",), "Show the newest image again."),
    Command("back", "session", "Step &back", ("Left",), "One image back.", repeats=True),
    Command("forward", "session", "Step &forward", ("Right",), "One image on.", repeats=True),
    Command("previous_spike", "session", "Previous spike or marker", ("Shift+Left",),
            "Go to the last spike or marker before this moment."),
    Command("next_spike", "session", "Next spike or marker", ("Shift+Right",),
            "Go to the next spike or marker after this moment.", ends_section=True),
    Command("record", "session", "&Record session", ("Ctrl+R",),
            "Record clean video, rows, events and markers into a new session.", checkable=True),
    Command("mark", "session", "&Mark this moment", ("K",), "Set a marker on the timeline."),
    Command("note", "session", "Mark with &note...", ("Ctrl+K",),
            "Set a marker with words of yours.", ends_section=True),
    Command("delete_session", "session", "&Delete session...", (),
            "Delete the selected session with everything that belongs to it."),
    Command("delete_participant", "session", "Delete part&icipant...", (),
            "Delete every session of a participant, and a profile of that name.",
            ends_section=True),
    Command("stop", "session", "S&top the source", ("Ctrl+.",),
            "End the analysis; the last minute stays for review."),
    Command("bars", "view", "&Panels beside faces", ("B",),
            "Expression and action units beside each face.", checkable=True),
    Command("mesh", "view", "&Mesh", ("M",), "The 468 points of each face.", checkable=True),
    Command("gaze", "view", "&Gaze", ("G",), "Where open eyes look.", checkable=True),
    Command("pose", "view", "Head &pose", ("P",), "Axes and angles of the head.", checkable=True),
    Command("mirror", "view", "M&irror image", ("I",),
            "Show the image as a mirror would; what is recorded stays as it is.",
            checkable=True, ends_section=True),
    Command("larger", "view", "&Larger text", ("Ctrl++", "Ctrl+="), "Larger text.", repeats=True),
    Command("smaller", "view", "&Smaller text", ("Ctrl+-",), "Smaller text.", repeats=True),
    Command("usual_size", "view", "&Usual text size", ("Ctrl+0",), "Text of the usual size.",
            ends_section=True),
    Command("theme_system", "view", "Colours of the s&ystem", (), "Light or dark as the system is.",
            checkable=True, group="theme"),
    Command("theme_light", "view", "Ligh&t", (), "Dark text on light.", checkable=True,
            group="theme"),
    Command("theme_dark", "view", "&Dark", (), "Light text on dark.", checkable=True,
            group="theme"),
    Command("theme_contrast", "view", "High &contrast", (), "White and yellow on black.",
            checkable=True, group="theme", ends_section=True),
    Command("full_screen", "view", "&Full screen", ("F", "F11"),
            "The whole screen; Esc leaves it.", checkable=True, ends_section=True),
    Command("neutral", "faces", "Set &neutral...", ("N",),
            "Take the present face of the selected person as neutral: guided and checked."),
    Command("undo", "faces", "&Undo", ("Ctrl+Z",), "Undo the last neutral, marker or name."),
    Command("redo", "faces", "&Redo", ("Ctrl+Shift+Z", "Ctrl+Y"), "Do it again.",
            ends_section=True),
    Command("rename", "faces", "Na&me...", ("F2",), "Name the selected face."),
    Command("next_face", "faces", "Next &face", ("Ctrl+Down",), "Select the next face.",
            repeats=True),
    Command("previous_face", "faces", "&Previous face", ("Ctrl+Up",), "Select the face before.",
            repeats=True),
    Command("no_face", "faces", "Select no face", ("Ctrl+Backspace",), "All faces are meant."),
    Command("queue", "tools", "&Analyse files...", (), "Analyse files in the background."),
    Command("export", "tools", "&Export session...", ("Ctrl+E",),
            "Annotated video, tables, images and a report of a session."),
    Command("again", "tools", "Analyse session a&gain", (),
            "Run the networks of today over a session's video, and compare."),
    Command("models", "tools", "Check and fetch &models", (),
            "Fetch the face models where they are missing; each is checked by SHA-256.",
            ends_section=True),
    Command("show_folder", "tools", "Open the folder of sessions", (), "In the file manager."),
    Command("keys", "help", "&Keys and commands", ("F1", "H"), "This sheet."),
    Command("about", "help", "&What this does and does not", (),
            "What is measured, what is not, and what the law asks."),
)  # fmt: skip
"""All commands, in the order of the menus."""


class Actions:
    """The commands as Qt's actions of a window.

    Parameters
    ----------
    window : QMainWindow
        Owns them; its menu bar is filled.
    """

    def __init__(self, window: QMainWindow) -> None:
        self._actions: dict[str, QAction] = {}
        bar = window.menuBar()
        assert bar is not None
        self.menus = {name: bar.addMenu(text) for name, text in MENUS}
        groups: dict[str, QActionGroup] = {}
        for command in COMMANDS:
            action = QAction(command.text, window)
            action.setObjectName(command.name)
            action.setShortcuts([QKeySequence(key) for key in command.keys])
            action.setAutoRepeat(command.repeats)
            action.setCheckable(command.checkable)
            action.setStatusTip(command.tip)
            action.setToolTip(f"{command.tip}  {command.keys[0]}" if command.keys else command.tip)
            if command.group:
                if command.group not in groups:
                    groups[command.group] = QActionGroup(window)
                groups[command.group].addAction(action)
            self._actions[command.name] = action
            window.addAction(action)
            menu = self.menus[command.menu]
            assert menu is not None
            menu.addAction(action)
            if command.ends_section:
                menu.addSeparator()

    def __getitem__(self, name: str) -> QAction:
        """Return the action of a command."""
        return self._actions[name]

    def __iter__(self) -> Iterator[str]:
        """Yield the names of all commands."""
        return iter(self._actions)

    def enable(self, names: tuple[str, ...], on: bool) -> None:
        """Make commands available or not."""
        for name in names:
            self._actions[name].setEnabled(on)


def help_rows() -> list[tuple[str, str]]:
    """Return keys and meaning of every command that has a key, for the help sheet."""
    rows = [
        (
            "  ".join(command.keys),
            command.tip,
        )
        for command in COMMANDS
        if command.keys
    ]
    return [("Click", "Select a face on the image or in the list."), *rows]
