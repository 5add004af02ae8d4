"""What the process of a command line is given: standard streams, signals, libraries."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from typing import TYPE_CHECKING, Any, Final, TextIO

from realtime_affect.worker import ENDING_SIGNALS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from realtime_affect.errors import DependencyError

_INTERRUPTED: Final = 130
_OURS: Final = ("realtime_affect", "affect_engines", "affect_kernels", "affect_gui")
_HINTS: Final = {
    "cv2": "It needs system libraries: sudo apt-get install -y libgl1 libglib2.0-0.",
    "PyQt6": "Install realtime-affect[gui].",
}


def open_standard_streams() -> None:
    """Open what the caller closed of standard input, output and error, on nothing.

    Otherwise the next file that is opened takes its number, and what libraries print to standard
    error ends in our rows.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # the lowest free number: this one
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, _on_nothing())


class PrintableStream:
    """A text stream that writes out what would act on a terminal: for what others print of names.

    Parameters
    ----------
    wrapped : TextIO
    """

    def __init__(self, wrapped: TextIO) -> None:
        self.wrapped = wrapped

    def write(self, text: str) -> int:
        """Write `text`, harmless; bytes are refused, or typer takes this for a binary stream."""
        from realtime_affect.printable import printable

        if not isinstance(text, str):
            message = f"write() argument must be str, not {type(text).__name__}"
            raise TypeError(message)

        return self.wrapped.write(printable(text, lines=True))

    def __getattr__(self, name: str) -> Any:
        return getattr(self.wrapped, name)


@contextlib.contextmanager
def before_commands() -> Iterator[None]:
    """Make the process fit for reading a command line; a command itself is :func:`during_command`.

    Standard streams are open, signals end it at once, and nothing that was typed acts on the
    terminal where it is refused: commands say what they say through ``printable``, and in colours.
    """
    open_standard_streams()
    end_at_once_on_signals()
    before = sys.stderr
    sys.stderr = PrintableStream(before)
    try:
        yield
    finally:
        sys.stderr = before


@contextlib.contextmanager
def during_command() -> Iterator[None]:
    """Let signals interrupt a command in order, and it and what ends it write in colours."""
    if isinstance(sys.stderr, PrintableStream):
        sys.stderr = sys.stderr.wrapped
    with ending_signals_interrupt():
        yield


def end_at_once_on_signals() -> None:
    """Let Ctrl-C, SIGTERM and SIGHUP end the process silently: nothing has begun that must end."""
    for number in _heard():
        signal.signal(number, lambda *_: os._exit(_INTERRUPTED))


@contextlib.contextmanager
def ending_signals_interrupt() -> Iterator[None]:
    """Let Ctrl-C, SIGTERM and SIGHUP raise KeyboardInterrupt: files are closed, records written."""
    before = {n: signal.signal(n, signal.default_int_handler) for n in _heard()}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def missing_library(error: ImportError) -> DependencyError:
    """Return the error of a library that cannot be imported; one of ours is a defect, and raised.

    Raises
    ------
    ImportError
        What cannot be imported is ours.
    """
    from realtime_affect.errors import DependencyError

    name = (error.name or "").partition(".")[0]
    text = str(error)
    if name in _OURS and not text.startswith("lib"):
        raise error
    # "import cv2" fails without a name where a shared library is missing; its traceback knows.
    name = name or _imported_by(error)
    hint = _HINTS.get(name, "Install the package again: pip install --force-reinstall NAME.")
    return DependencyError(
        thing=f"library {name or 'of this program'}",
        got=text,
        expected="a library that can be imported",
        hint=f"{hint} `realtime-affect doctor` lists what works here.",
    )


def _imported_by(error: ImportError) -> str:
    """Return the package whose own import failed, by the last frame that is not of ours."""
    trace, name = error.__traceback__, ""
    while trace is not None:
        module = str(trace.tb_frame.f_globals.get("__name__", "")).partition(".")[0]
        name = module if module not in (*_OURS, "importlib", "__main__") else name
        trace = trace.tb_next
    return name


def _heard() -> list[Any]:
    """Signals that ask to end and that nobody ignores for us, as nohup does."""
    return [number for number in ENDING_SIGNALS if signal.getsignal(number) != signal.SIG_IGN]


def _on_nothing() -> TextIO:
    return open(os.devnull, "w", encoding="utf-8")  # noqa: PTH123  (open for good)
