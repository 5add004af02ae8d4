"""``realtime-affect gui``: the window with its start page, and its place in the desktop's menu."""

from __future__ import annotations

import shutil
import sys
from functools import partial
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from affect_kernels.atomic import write_atomically
from realtime_affect import memory
from realtime_affect.errors import DependencyError, OutputError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable

    from realtime_affect.config import Config
    from realtime_affect.outputs.streams.opened import OpenStreams
    from realtime_affect.runtime.reading_source import ReadingSource

_WINDOWS: Final = "realtime_affect.windows"  # group of entry points
_NAME: Final = "realtime-affect"

_ENTRY: Final = """[Desktop Entry]
Type=Application
Version=1.5
Name=realtime-affect
GenericName=Facial expression measurement
Comment=Measure the expressions that faces display, on this device
Exec={command} gui %F
Icon=realtime-affect
Terminal=false
Categories=Science;AudioVideo;
MimeType=video/mp4;video/quicktime;video/x-matroska;video/webm;
StartupWMClass=realtime-affect
"""

_ICON: Final = """<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 64 64">
<rect width="64" height="64" rx="14" fill="#15171a"/>
<rect x="12" y="10" width="40" height="36" rx="9" fill="none" stroke="#56b4e9" stroke-width="4"/>
<circle cx="24" cy="25" r="3.5" fill="#f1f3f5"/><circle cx="40" cy="25" r="3.5" fill="#f1f3f5"/>
<path d="M23 35q9 6 18 0" fill="none" stroke="#f1f3f5" stroke-width="3.5" stroke-linecap="round"/>
<path d="M8 55h16l3-7 4 12 4-8 2 3h19" fill="none" stroke="#e69f00" stroke-width="3"/>
</svg>
"""


def find_window() -> tuple[Any, str]:
    """Return the module of the window, or None and why there can be no window."""
    # The window is a layer above this one: it says where it is, by an entry point.
    installed = list(metadata.entry_points(group=_WINDOWS))
    if not installed:
        return None, "none is installed; install realtime-affect[gui]"
    try:
        module = installed[0].load()
    except ImportError as error:
        return None, f"{error}; install realtime-affect[gui]"
    available, why = module.display_available()
    return (module, "") if available else (None, str(why))


def open_gui(
    source: str | None, config: Config, *, install_entry: bool, say: Callable[[str], None]
) -> None:
    """Open the window and stay until it is closed.

    Parameters
    ----------
    source : str or None
        What to open at once.
    config : Config
    install_entry : bool
        Put it into the desktop's menu instead, and return.
    say : callable
        Takes a line for the user.

    Raises
    ------
    DependencyError
        There can be no window here.
    OutputError
        A stream that is configured cannot be opened.
    """
    if install_entry:
        for path in install_desktop_entry():
            say(f"written: {path}")
        return
    window, why = find_window()
    if window is None:
        raise DependencyError(
            thing="live window",
            got=why,
            expected="a display, and the extra [gui]",
            hint="Without a window: realtime-affect run SOURCE --headless.",
        )
    from realtime_affect.outputs.streams.opened import OpenStreams

    with OpenStreams(config) as streams:
        window.run_app(config, partial(open_live, streams=streams), source)


def open_live(spec: str, config: Config, streams: OpenStreams) -> ReadingSource:
    """Open what the user named as a live source of readings; may take seconds.

    The streams that are configured get its readings instead of those of the last one.
    """
    from realtime_affect.runtime.pipeline import Pipeline

    pipeline = Pipeline(spec, config, live=True)
    streams.attach(pipeline)
    memory.spare_loaded()
    return pipeline


def install_desktop_entry(data: Path | None = None) -> tuple[Path, ...]:
    """Write the menu entry and its icon into the user's own folders (Linux), and return where.

    Parameters
    ----------
    data : Path, optional
        Default the user's ``~/.local/share``.

    Raises
    ------
    UsageError
        This system has no such menu.
    OutputError
        They cannot be written.
    """
    if not sys.platform.startswith("linux"):
        raise UsageError(
            thing="option --install-entry",
            got=sys.platform,
            expected="a desktop that follows freedesktop.org",
            hint="Start the window by `realtime-affect gui`, or pin that command.",
        )
    if data is None:
        from platformdirs import user_data_path

        data = user_data_path()
    beside = Path(sys.executable).with_name(_NAME)
    command = str(beside) if beside.is_file() else shutil.which(_NAME) or _NAME
    quoted = command if " " not in command else f'"{command}"'
    files = {
        data / "applications" / f"{_NAME}.desktop": _ENTRY.format(command=quoted),
        data / "icons" / "hicolor" / "scalable" / "apps" / f"{_NAME}.svg": _ICON,
    }
    for path, text in files.items():
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            write_atomically(path, text)
        except OSError as error:
            raise OutputError(
                thing=f"file {path}",
                got=error.strerror or str(error),
                expected="a file that can be written",
                hint="See whether the folder belongs to you.",
            ) from error
    return tuple(files)
