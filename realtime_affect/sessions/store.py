"""Where sessions lie, what a session's folder holds, and what is known of one.

20261129-143012-camera0/
    session.json     begun, finished or not, of what, with which networks, settings and clock;
                     participant, names, notes, markers
    readings.sqlite  every reading, exactly
    rows.csv         the same as rows, and events.csv
    video.mp4        what the source showed, nothing painted on it; not in results-only sessions
    again/           what analysing that video later gave, and how far both are apart
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

import psutil

from realtime_affect.errors import InputError, InputMissingError, OutputError
from realtime_affect.outputs.manifest import write_record

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

RECORD: Final = "session.json"
READINGS: Final = "readings.sqlite"
ROWS: Final = "rows.csv"
EVENTS: Final = "events.csv"
VIDEO: Final = "video.mp4"
AGAIN: Final = "again"
"""Folder of what came of analysing a session's video again, inside the session's."""
ENVIRONMENT: Final = "REALTIME_AFFECT_SESSIONS"
_DOOMED: Final = ".deleted-"

Mode = Literal["full", "blurred", "results"]
"""With clean video; with every face in it made unrecognisable; without video."""


def sessions_folder() -> Path:
    """Return where sessions go: ``REALTIME_AFFECT_SESSIONS``, or a folder in the documents."""
    named = os.environ.get(ENVIRONMENT)
    if named:
        return Path(named).expanduser()
    from platformdirs import user_documents_path

    return user_documents_path() / "realtime-affect"


@dataclass(frozen=True, slots=True)
class SessionMarker:
    """A moment that the user marked: source time, and words that may be empty."""

    t_ns: int
    text: str = ""


class Session:
    """One recorded session's folder and its record. Any thread may call.

    Parameters
    ----------
    folder : Path

    Raises
    ------
    InputMissingError
        There is no such session.
    InputError
        Its record is damaged.
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        self._lock = threading.Lock()
        path = self.folder / RECORD
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
            content["session"]["format"]
        except FileNotFoundError as error:
            raise InputMissingError(
                thing=f"folder {self.folder}",
                got=f"no {RECORD}",
                expected="the folder of a session",
                hint="Sessions are recorded by the window's Record.",
            ) from error
        except (OSError, ValueError, TypeError, KeyError) as error:
            raise InputError(
                thing=f"record {path}",
                got=str(error),
                expected="the record of a session",
                hint="Rows and video beside it can be read without it.",
            ) from error
        self._content: dict[str, Any] = content

    @property
    def content(self) -> Mapping[str, Any]:
        """All that the record says."""
        return self._content

    @property
    def about(self) -> Mapping[str, Any]:
        """What the record says of the session itself."""
        return dict(self._content["session"])

    @property
    def name(self) -> str:
        """Of the folder."""
        return self.folder.name

    @property
    def participant(self) -> str:
        """Who was recorded, as the user calls them; may be empty."""
        return str(self.about.get("participant", ""))

    @property
    def notes(self) -> str:
        """The user's notes."""
        return str(self.about.get("notes", ""))

    @property
    def names(self) -> dict[int, str]:
        """What the user calls the faces, by id."""
        return {int(n): str(name) for n, name in self.about.get("names", {}).items()}

    @property
    def markers(self) -> tuple[SessionMarker, ...]:
        """By time."""
        return tuple(SessionMarker(int(t), str(text)) for t, text in self.about.get("markers", ()))

    @property
    def mode(self) -> Mode:
        """What was recorded besides the results."""
        mode: Mode = self.about.get("mode", "full")
        return mode

    @property
    def outcome(self) -> str:
        """One of "running", "complete", "interrupted", "failed"."""
        return str(self._content["outcome"])

    @property
    def in_use(self) -> bool:
        """Whether a program that is alive records it now."""
        if self.outcome != "running":
            return False
        process = self.about.get("process", {})
        try:
            started = psutil.Process(int(process["pid"])).create_time()
            return bool(abs(started - float(process["started"])) < 2.0)
        except (psutil.Error, KeyError, TypeError, ValueError):
            return False

    @property
    def unclean(self) -> bool:
        """Whether it was never finished: the program was killed, or the power went."""
        return self.outcome == "running" and not self.in_use

    def path(self, name: str) -> Path | None:
        """Return one of the session's files, or None where it is not there."""
        found = self.folder / name
        return found if found.is_file() else None

    def note(self, **changes: Any) -> None:
        """Change what the record says of the session: participant, names, notes, markers.

        Raises
        ------
        OutputError
            The record cannot be written.
        """
        with self._lock:
            self._content["session"] |= changes
            self._write()

    def record(self, **changes: Any) -> None:
        """Change the record itself: outcome, finished, inputs."""
        with self._lock:
            self._content |= changes
            self._write()

    def _write(self) -> None:
        hint = "Free some space, or see whether the folder is still there."
        write_record(self.folder / RECORD, self._content, hint)


class SessionStore:
    """All sessions of a folder.

    Parameters
    ----------
    root : Path, optional
        Default :func:`sessions_folder`. Need not exist.
    """

    def __init__(self, root: Path | None = None) -> None:
        self.root = sessions_folder() if root is None else root

    def __iter__(self) -> Iterator[Session]:
        """Yield the sessions, the newest first; what is none is passed over."""
        try:
            folders = sorted(self.root.iterdir(), reverse=True)
        except OSError:
            return
        for folder in folders:
            if not folder.name.startswith(_DOOMED) and (folder / RECORD).is_file():
                with contextlib.suppress(InputError):
                    yield Session(folder)

    def new_folder(self, name: str) -> Path:
        """Create the folder of a session that begins now; two of one second get two folders.

        Raises
        ------
        OutputError
            It cannot be created.
        """
        from datetime import datetime

        stamp = datetime.now().astimezone().strftime("%Y%m%d-%H%M%S")
        safe = "".join(c if c.isalnum() or c in "-_." else "-" for c in name)[:60] or "source"
        for n in range(1, 1000):
            folder = self.root / f"{stamp}-{safe}{'' if n == 1 else f'-{n}'}"
            try:
                self.root.mkdir(parents=True, exist_ok=True)
                folder.mkdir(mode=0o700)
            except FileExistsError:
                continue
            except OSError as error:
                raise self._uncreated(folder, error.strerror or str(error)) from error
            return folder
        raise self._uncreated(folder, "a thousand sessions of this second")

    def participants(self) -> dict[str, list[Session]]:
        """Return the sessions of each participant, by name; those of nobody under ""."""
        found: dict[str, list[Session]] = {}
        for session in self:
            found.setdefault(session.participant, []).append(session)
        return found

    def delete(self, session: Session) -> None:
        """Delete a session with everything that belongs to it, and what is left of earlier ones.

        Raises
        ------
        InputError
            It is being recorded, or does not lie here.
        OutputError
            Something of it cannot be deleted.
        """
        folder = session.folder
        inside = folder.parent.resolve() == self.root.resolve()
        if session.in_use or not inside or not (folder / RECORD).is_file():
            raise InputError(
                thing=f"session {session.name}",
                got="one that is being recorded"
                if session.in_use
                else f"a folder not in {self.root}",
                expected="a session that is finished, in the folder of sessions",
                hint="Stop the recording first.",
            )
        # Out of the list first: a deletion that is cut short leaves no half session in it.
        try:
            folder.rename(folder.with_name(f"{_DOOMED}{folder.name}"))
            for doomed in self.root.glob(f"{_DOOMED}*"):
                shutil.rmtree(doomed)
        except OSError as error:
            raise OutputError(
                thing=f"session {session.name}",
                got=error.strerror or str(error),
                expected="files that can be deleted",
                hint="Close what has them open, and delete the folder by hand.",
            ) from error

    def delete_participant(self, name: str) -> int:
        """Delete every session of a participant; return how many there were.

        Raises
        ------
        InputError
            One is being recorded; none is deleted.
        OutputError
            As :meth:`delete`.
        """
        sessions = self.participants().get(name, [])
        for session in sorted(sessions, key=lambda session: not session.in_use):
            self.delete(session)  # one that is in use first: it refuses before any is lost
        return len(sessions)

    @staticmethod
    def _uncreated(folder: Path, got: str) -> OutputError:
        return OutputError(
            thing=f"session folder {folder}",
            got=got,
            expected="a folder that can be created",
            hint=f"Free some space, or name another place by {ENVIRONMENT}.",
        )
