"""Readings of a session in one SQLite file: whole after every half second, whatever ends the run.

SQLite's write-ahead log keeps what was committed when the process is killed, and what was not is
left out on opening. The rest of a session (rows, events) can be made anew from it.
"""

from __future__ import annotations

import bisect
import contextlib
import sqlite3
import time
from typing import TYPE_CHECKING, Final

from realtime_affect.errors import InputError, OutputError
from realtime_affect.sessions.codec import decode, encode

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from realtime_affect.types import Reading

_COMMIT_NS: Final = 400_000_000
_VERSION: Final = 1


class LogWriter:
    """Append readings; belongs to one thread after its creation.

    Parameters
    ----------
    path : Path
        Must not exist.

    Raises
    ------
    OutputError
        From any method: it cannot be written.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.written = 0
        self._committed_ns = time.monotonic_ns()
        with self._reporting():
            # Made on the thread that attaches the sink, used on the sink's own, never by both.
            self._db = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
            self._db.execute("PRAGMA journal_mode = WAL")
            self._db.execute("PRAGMA synchronous = FULL")
            self._db.execute(f"PRAGMA user_version = {_VERSION}")
            self._db.execute(
                "CREATE TABLE readings (n INTEGER PRIMARY KEY, t_ns INTEGER, data BLOB)"
            )
            self._db.execute("BEGIN")

    def write(self, reading: Reading) -> None:
        """Append one reading, without its pixels; on the disk within half a second."""
        with self._reporting():
            values = (self.written, reading.scene.frame.t_ns, encode(reading))
            self._db.execute("INSERT INTO readings VALUES (?, ?, ?)", values)
            self.written += 1
            if time.monotonic_ns() - self._committed_ns > _COMMIT_NS:
                self.flush()

    def flush(self) -> None:
        """Hand what was written to the disk."""
        with self._reporting():
            if not self.path.exists():
                message = "the session's folder is gone"
                raise OSError(message)
            if self._db.in_transaction:
                self._db.execute("COMMIT")
            self._db.execute("BEGIN")
            self._committed_ns = time.monotonic_ns()

    def close(self) -> None:
        """Commit, fold the write-ahead log into the file, close. Idempotent."""
        with contextlib.suppress(sqlite3.ProgrammingError), self._reporting():
            if self._db.in_transaction:
                self._db.execute("COMMIT")
            self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            self._db.close()

    @contextlib.contextmanager
    def _reporting(self) -> Iterator[None]:
        try:
            yield
        except (sqlite3.OperationalError, sqlite3.DatabaseError, OSError) as error:
            if isinstance(error, sqlite3.ProgrammingError):
                raise
            raise OutputError(
                thing=f"session file {self.path}",
                got=str(error),
                expected="a file that can be written",
                hint="What was written so far is kept. Free some space, or choose another folder.",
            ) from error


class LogReader:
    """Readings of a recorded session, by number; belongs to one thread.

    Parameters
    ----------
    path : Path

    Attributes
    ----------
    times_ns : list of int
        Source times of all readings, in their order.

    Raises
    ------
    InputError
        It cannot be read, or was made by a later version.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self._db = sqlite3.connect(path.resolve().as_uri() + "?mode=rw", uri=True)
            (version,) = self._db.execute("PRAGMA user_version").fetchone()
            if version > _VERSION:
                message = f"version {version} of the format, newer than this program's"
                raise _unreadable(path, message)
            rows = self._db.execute("SELECT t_ns FROM readings ORDER BY n")
            self.times_ns: list[int] = [t_ns for (t_ns,) in rows]
        except sqlite3.Error as error:
            raise _unreadable(path, str(error)) from error

    def __len__(self) -> int:
        """Return how many readings there are."""
        return len(self.times_ns)

    def place_of(self, t_ns: int) -> int:
        """Return the number of the last reading at or before a source time; the first, before."""
        return max(0, bisect.bisect_right(self.times_ns, t_ns) - 1)

    def read(self, n: int) -> Reading:
        """Return reading `n`, without its image."""
        try:
            found = self._db.execute("SELECT data FROM readings WHERE n = ?", (n,)).fetchone()
        except sqlite3.Error as error:
            raise _unreadable(self.path, str(error)) from error
        if found is None:
            raise _unreadable(self.path, f"no reading {n}")
        return decode(found[0])

    def close(self) -> None:
        """Close the file. Idempotent."""
        self._db.close()


def _unreadable(path: Path, got: str) -> InputError:
    return InputError(
        thing=f"session file {path}",
        got=got,
        expected="readings of a session",
        hint="The session's rows and video can be read without it.",
    )
