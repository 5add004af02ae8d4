"""A text file that grows by whole lines and keeps them, whatever ends the run."""

from __future__ import annotations

import contextlib
import csv
import io
import os
import time
from typing import TYPE_CHECKING, Final

from realtime_affect.errors import OutputError

if TYPE_CHECKING:
    from pathlib import Path

_FLUSH_NS: Final = 500_000_000
_FLUSH_BYTES: Final = 1 << 16


class LineFile:
    """Append lines, UTF-8; they reach the disk whole, within half a second of the next one.

    An existing file is replaced. Belongs to one thread, which calls :meth:`flush` when it has
    nothing to write.

    Parameters
    ----------
    path : Path
        Its folder must exist.
    head : str
        The first line, written at once.

    Raises
    ------
    OutputError
        From any method: the file cannot be written.
    """

    def __init__(self, path: Path, head: str) -> None:
        self.path = path
        self._pending: list[str] = []
        self._pending_bytes = 0
        self._size = 0
        try:
            self._file: io.FileIO | None = io.FileIO(path, "w")
            self._known_as = identity_of(self._file.fileno())
        except OSError as error:
            raise cannot_write(path, error) from error
        self.add(head)
        self.flush()

    def add(self, line: str) -> None:
        """Keep a line, its end included, for the next flush."""
        self._pending.append(line)
        self._pending_bytes += len(line)

    def flush_if_due(self) -> None:
        """Flush if half a second has passed, or much is waiting."""
        due = time.monotonic_ns() - self._flushed_ns > _FLUSH_NS
        if due or self._pending_bytes > _FLUSH_BYTES:
            self.flush()

    def flush(self) -> None:
        """Hand every line to the system, whole lines only."""
        self._flushed_ns = time.monotonic_ns()
        if self._file is None or not self._pending:
            return
        data = "".join(self._pending).encode("utf-8", "backslashreplace")
        self._pending.clear()
        self._pending_bytes = 0
        view = memoryview(data)
        try:
            while view:
                view = view[self._file.write(view) or 0 :]
        except OSError as error:
            # Whole lines stay, the torn one goes: a half row would read as wrong numbers.
            with contextlib.suppress(OSError):
                torn = data[: len(data) - len(view)].rfind(b"\n") + 1
                os.ftruncate(self._file.fileno(), self._size + torn)
            self._file.close()
            self._file = None
            raise cannot_write(self.path, error) from error
        self._size += len(data)
        if identity_of(self.path) != self._known_as:
            self._file.close()
            self._file = None
            raise gone(self.path)

    def close(self) -> None:
        """Flush and close. Idempotent."""
        self.flush()
        if self._file is not None:
            file, self._file = self._file, None
            try:
                file.close()
            except OSError as error:
                raise cannot_write(self.path, error) from error


def csv_field(text: str) -> str:
    """Quote `text` as a CSV field where it needs it; nothing stays nothing."""
    if text.isalnum():
        return text  # the usual case, met at frame rate
    if not text:
        return ""
    line = io.StringIO()
    csv.writer(line, lineterminator="\r\n").writerow([text])
    return line.getvalue()[:-2]


def identity_of(file: Path | int) -> tuple[int, int] | None:
    """Return what tells a file from every other, whatever its name; None where there is none.

    An open file and its path differ once it was removed or its disk was pulled.
    """
    try:
        status = os.stat(file)  # noqa: PTH116  (a path or an open file)
    except OSError:
        return None
    return status.st_dev, status.st_ino


def gone(path: Path) -> OutputError:
    """Return the error of a file that was taken away while it was written."""
    return OutputError(
        f"output file {path}",
        got="a file or folder that was removed or moved while it was written",
        expected="a file that stays",
        hint="Results from here on are lost. Is the disk still there? Choose a folder with --out.",
    )


def cannot_write(path: Path, error: OSError) -> OutputError:
    """Return the error of a file that the system would not write."""
    return OutputError(
        f"output file {path}",
        got=error.strerror or str(error),
        expected="a file that can be written",
        hint="What was written so far is kept. Free some space or choose another folder (--out).",
    )
