"""Open the live window and stay until it is closed; say beforehand whether there can be one.

The entry point of the group ``realtime_affect.windows``: the command line finds this module there,
asks ``display_available`` and calls ``run_window`` or ``run_app``. Nothing of Qt
is imported with it, so that a machine without Qt learns why and what to do.
"""

from __future__ import annotations

import importlib.util
import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING, Any, Final

from realtime_affect.errors import DependencyError

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType, TracebackType

    from affect_gui.glass import GlassScreen
    from affect_gui.window import MainWindow
    from realtime_affect.config import Config
    from realtime_affect.runtime.reading_source import ReadingSource

    Opener = Callable[[str, Config], ReadingSource]

_EXTRA: Final = "pip install 'realtime-affect[gui]'"
_APT: Final = (
    "sudo apt-get install libgl1 libegl1 libglib2.0-0 libdbus-1-3 libfontconfig1 libxkbcommon0 "
    "libxkbcommon-x11-0 libx11-xcb1 libxcb-cursor0 libxcb-icccm4 libxcb-image0 libxcb-keysyms1 "
    "libxcb-randr0 libxcb-render-util0 libxcb-shape0 libxcb-sync1 libxcb-xfixes0 libxcb-xkb1 "
    "libwayland-client0 libwayland-cursor0 libwayland-egl1"
)
"""Qt's libraries on Debian 12 and Ubuntu 24.04, under X11 and Wayland; the Makefile's list."""

_DISPLAYS: Final = ("DISPLAY", "WAYLAND_DISPLAY", "QT_QPA_PLATFORM")
_PROBE: Final = "from PyQt6.QtWidgets import QApplication; QApplication([])"


def run_window(source: ReadingSource, config: Config, recording: bool = False) -> int:
    """Start `source` if it is not running, show it, and return when the window is closed.

    Must be called from the main thread. The source is told to stop; closing it remains the
    caller's. Ctrl-C closes the window. `recording` says whether results go to a file, as people in
    view are told.

    Returns
    -------
    int
        0, or 1 if the source failed (``source.failure`` says how).

    Raises
    ------
    DependencyError
        PyQt6 or one of its system libraries is missing.
    """
    window = _new_window(config, None)
    window.file_recording = recording
    return _stay(window, lambda: window.show_source(source))


def run_app(config: Config, opener: Opener, spec: str | None = None) -> int:
    """Open the window with its start page, or with what `spec` names; stay until it is closed.

    Parameters
    ----------
    config : Config
    opener : callable
        Opens what the user names: ``opener(spec, config)`` returns a source of readings.
    spec : str, optional
        What to open at once.

    Returns
    -------
    int
        0, or 1 if the last source failed.

    Raises
    ------
    DependencyError
        As :func:`run_window`.
    """
    window = _new_window(config, opener)
    return _stay(window, lambda: None if spec is None else window.open(spec))


def open_glass() -> GlassScreen:
    """Open the screen that a camera looks at while its way is timed (``bench --glass``).

    Raises
    ------
    DependencyError
        As :func:`run_window`.
    """
    try:
        from affect_gui.glass import open_screen
    except ImportError as error:
        raise _missing(error) from error
    return open_screen()


def _missing(error: ImportError) -> DependencyError:
    alone = isinstance(error, ModuleNotFoundError)
    return DependencyError(
        thing="live window",
        got=str(error),
        expected="PyQt6, pyqtgraph and Qt's system libraries",
        hint=f"Run: {_EXTRA}" if alone else f"Run: {_APT}",
    )


def _new_window(config: Config, opener: Opener | None) -> MainWindow:
    try:
        from PyQt6.QtWidgets import QApplication

        from affect_gui.window import MainWindow
        from realtime_affect.sessions import SessionStore
    except ImportError as error:
        raise _missing(error) from error
    app = QApplication.instance() or QApplication(sys.argv[:1])
    app.setApplicationName("realtime-affect")
    if isinstance(app, QApplication):
        app.setDesktopFileName("realtime-affect")
    _KEPT.append(app)  # Qt's object lives as long as Python's
    return MainWindow(config, opener, store=SessionStore())


_KEPT: Final[list[object]] = []


def _stay(window: MainWindow, begin: Callable[[], None]) -> int:
    """Show a window and run Qt until it is closed; raise a defect of the window."""
    from PyQt6.QtCore import QEventLoop
    from PyQt6.QtWidgets import QApplication

    app = QApplication.instance()
    assert isinstance(app, QApplication)
    app.setQuitOnLastWindowClosed(False)  # a sheet that closes last must not end it
    loop = QEventLoop()
    window.left.connect(loop.quit)
    defects: list[BaseException] = []

    def note_defect(
        _kind: type[BaseException], error: BaseException, _trace: TracebackType | None
    ) -> None:
        # Qt aborts the process on an exception in a slot, unless this hook is replaced.
        defects.append(error)
        window.shut()

    def close(_number: int, _frame: FrameType | None) -> None:
        window.shut()

    old_hook, sys.excepthook = sys.excepthook, note_defect
    old_signals: dict[signal.Signals, Any] = {}
    for number in (signal.SIGINT, signal.SIGTERM):
        old_signals[number] = signal.signal(number, close)
    try:
        window.show()
        begin()
        loop.exec()
    finally:
        sys.excepthook = old_hook
        for number, handler in old_signals.items():
            signal.signal(number, handler)
        window.shut()
        window.hide()
        window.tasks.close()
        window.deleteLater()
    if defects:
        raise defects[0]
    return window.exit_code


def display_available(timeout_s: float = 10.0) -> tuple[bool, str]:
    """Return whether a window can be opened here, and if not, why and what to do.

    Qt ends the whole process when it finds no display or lacks a library, so it is tried in a
    process of its own.
    """
    for library in ("PyQt6", "pyqtgraph"):
        if importlib.util.find_spec(library) is None:
            return False, f"{library} is not installed; run: {_EXTRA}"
    if sys.platform.startswith("linux") and not any(os.environ.get(name) for name in _DISPLAYS):
        return False, "there is no display (DISPLAY and WAYLAND_DISPLAY are not set)"
    try:
        probe = subprocess.run(
            [sys.executable, "-c", _PROBE],
            capture_output=True,
            text=True,
            errors="replace",
            timeout=timeout_s,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return False, f"the display did not answer within {timeout_s:.0f} s"
    if probe.returncode == 0:
        return True, ""
    return False, explain_failure(probe.stderr)


def explain_failure(stderr: str) -> str:
    """Turn what Qt wrote before it gave up into one line that says what to do."""
    lines = [line.strip() for line in stderr.splitlines() if line.strip()]
    text = stderr.lower()
    for line in lines:
        if "cannot open shared object file" in line:
            library = line.split(":")[-3].strip() if line.count(":") >= 2 else line
            return f"Qt lacks the system library {library}; run: {_APT}"
    # First, for Qt names libxcb-cursor0 on every failure to connect.
    if "could not connect to display" in text:
        name = os.environ.get("DISPLAY", "")
        return f"the display {name!r} cannot be reached; check DISPLAY, or run without a window"
    if "xcb-cursor" in text:
        return f"Qt lacks libxcb-cursor0 and perhaps more; run: {_APT}"
    if "could not load the qt platform plugin" in text or "no qt platform plugin" in text:
        return f"Qt could not load its platform plugin; run: {_APT}"
    return f"Qt could not start ({lines[-1] if lines else 'no reason given'}); run: {_APT}"
