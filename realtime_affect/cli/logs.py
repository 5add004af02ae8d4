"""Where the log goes: standard error in the reader's form, and a file that does not grow for ever.

The library only logs, one logger a module, and configures nothing; handlers are the command
line's. Whatever leaves through them has gone through :func:`~realtime_affect.redact.redact` and
:func:`~realtime_affect.printable.printable`.
"""

from __future__ import annotations

import contextlib
import logging
import os
import queue
import sys
from logging.handlers import QueueHandler, QueueListener, RotatingFileHandler
from typing import IO, TYPE_CHECKING, Any, Final

from affect_kernels.atomic import PRIVATE
from realtime_affect.errors import OutputError
from realtime_affect.printable import printable
from realtime_affect.redact import HideSecrets

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

PACKAGES: Final = ("realtime_affect", "affect_engines", "affect_kernels", "affect_gui")
FILE_BYTES: Final = 4 << 20
"""Size at which a log file is set aside as ``NAME.1``; `FILES_KEPT` of these are kept."""
FILES_KEPT: Final = 3

_WAITING: Final = 1000  # records for a disk that is slow; later ones are lost, not waited for
_LEVELS: Final = (logging.ERROR, logging.WARNING, logging.INFO, logging.DEBUG)
_FULL: Final = "%(asctime)s %(levelname)s %(name)s: %(message)s"
# syslog(3)'s numbers, which journald reads at the beginning of each line
_PRIORITIES: Final = {
    logging.DEBUG: 7, logging.INFO: 6, logging.WARNING: 4, logging.ERROR: 3, logging.CRITICAL: 2,
}  # fmt: skip


@contextlib.contextmanager
def logging_to(
    verbosity: int = 0, file: Path | None = None, *, service: bool = False
) -> Iterator[None]:
    """Send the log of our packages to standard error and, where named, to a file; then stop.

    Parameters
    ----------
    verbosity : int
        -1 errors only, 0 warnings, 1 what was chosen and why, 2 everything. A service starts at 1.
    file : Path, optional
        Appended to, for its owner alone, rotated at `FILE_BYTES`; at least verbosity 1. A thread of
        its own writes it, so that a disk that hangs holds up nothing.
    service : bool
        Whether standard error is read by a service manager or an administrator and not by who
        typed the command: with names, and with times where journald does not add them.

    Raises
    ------
    OutputError
        The file cannot be opened.
    """
    chosen = min(max(verbosity + service, -1), 2)
    level = _LEVELS[chosen + 1]
    handlers: list[logging.Handler] = [_StandardError(_format_for(sys.stderr, service=service))]
    handlers[0].setLevel(level)
    listener = None
    if file is not None:
        records: queue.Queue[Any] = queue.Queue(_WAITING)  # noqa: TID251  (logging asks for one)
        handlers.append(QueueHandler(records))
        handlers[1].setLevel(min(level, logging.INFO))
        listener = QueueListener(records, _open_file(file))
        listener.start()
    for handler in handlers:
        handler.addFilter(HideSecrets())
        handler.addFilter(_make_printable)  # its traceback is text by now
    raising, logging.raiseExceptions = logging.raiseExceptions, False  # a full disk: no tracebacks
    loggers = [logging.getLogger(name) for name in PACKAGES]
    before = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(min(handler.level for handler in handlers))
        for handler in handlers:
            logger.addHandler(handler)
    try:
        yield
    finally:
        for logger, old in zip(loggers, before, strict=True):
            logger.setLevel(old)
            for handler in handlers:
                logger.removeHandler(handler)
        if listener is not None:
            listener.stop()
            listener.handlers[0].close()
        logging.raiseExceptions = raising


def keep_traceback(failure: BaseException) -> Path | None:
    """Append the traceback of an internal error to the user's own log; return where, if it went."""
    from platformdirs import user_log_path

    from realtime_affect.outputs.summary import write_traceback

    folder = user_log_path("realtime-affect")
    with contextlib.suppress(OSError):
        folder.mkdir(parents=True, exist_ok=True)
    return write_traceback(folder / "error.log", failure)


def _make_printable(record: logging.LogRecord) -> bool:
    """Change `record` so that it acts on no terminal and stays one line but for its traceback."""
    record.msg, record.args = printable(record.getMessage()), None
    if record.exc_text:
        record.exc_text = printable(record.exc_text, lines=True)
    return True


def under_journald(stream: IO[str] | None, environment: Mapping[str, str] = os.environ) -> bool:
    """Whether `stream` goes to journald, as ``JOURNAL_STREAM`` tells (systemd.exec(5))."""
    try:
        status = os.fstat(stream.fileno()) if stream is not None else None
    except (OSError, ValueError):
        return False
    told = environment.get("JOURNAL_STREAM", "")
    return status is not None and told == f"{status.st_dev}:{status.st_ino}"


class _StandardError(logging.StreamHandler[Any]):
    """Write to what ``sys.stderr`` is at that moment: a progress bar puts itself there."""

    def __init__(self, formatter: logging.Formatter) -> None:
        logging.Handler.__init__(self)
        self.setFormatter(formatter)

    @property
    def stream(self) -> Any:  # the base class has a value here
        return sys.stderr

    def emit(self, record: logging.LogRecord) -> None:
        if sys.stderr is not None:
            super().emit(record)


class _Journal(logging.Formatter):
    """Begin each line with its priority; journald adds the time, and splits at line ends."""

    def format(self, record: logging.LogRecord) -> str:
        priority = f"<{_PRIORITIES.get(record.levelno, 5)}>"
        return "\n".join(priority + line for line in super().format(record).splitlines())


class _Plain(logging.Formatter):
    """What someone at a terminal wants to know: ``warning: message``."""

    def format(self, record: logging.LogRecord) -> str:
        return f"{record.levelname.lower()}: {super().format(record)}"


class _PrivateFile(RotatingFileHandler):
    """A rotating file that only its owner may read."""

    def _open(self) -> Any:
        handle = os.open(self.baseFilename, os.O_WRONLY | os.O_CREAT | os.O_APPEND, PRIVATE)
        os.fchmod(handle, PRIVATE)  # one that was there before
        return os.fdopen(handle, "a", encoding="utf-8", errors="backslashreplace")


def _format_for(stream: IO[str] | None, *, service: bool) -> logging.Formatter:
    if under_journald(stream):
        return _Journal("%(name)s: %(message)s")
    return logging.Formatter(_FULL) if service else _Plain("%(message)s")


def _open_file(path: Path) -> logging.Handler:
    try:
        handler = _PrivateFile(path, maxBytes=FILE_BYTES, backupCount=FILES_KEPT)
    except OSError as error:
        raise OutputError(
            thing=f"log file {path}",
            got=error.strerror or str(error),
            expected="a file that can be written",
            hint="Name another one: --log-file FILE.",
        ) from error
    handler.setFormatter(logging.Formatter(_FULL))
    return handler
