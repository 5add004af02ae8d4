"""The folder of a run: claimed by one run at a time, and nothing of an earlier one overwritten."""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from affect_engines.base import Closeable
from realtime_affect.errors import OutputError
from realtime_affect.outputs.manifest import NAME
from realtime_affect.outputs.summary import make_folder
from realtime_affect.redact import redact

if TYPE_CHECKING:
    from collections.abc import Iterable

_LOG = logging.getLogger(__name__)
_MAX_TRIES: Final = 10_000
_MAX_MANIFEST: Final = 64 << 20


class RunFolder(Closeable):
    """A folder that one run writes into; others stay out until it is closed or its process ends.

    Parameters
    ----------
    out : str or Path
        Created where it is missing. Where another run writes into it, ``NAME-2`` beside it is
        taken, or the next that is free; the log says so.
    fresh : bool
        Whether a folder that holds the results of an earlier run is passed over, too: a camera's
        cannot be had again.
    beside : bool
        Whether another folder may be taken; if not, one that is taken is an error.

    Raises
    ------
    OutputError
        It cannot be created or written.
    """

    def __init__(self, out: str | Path, *, fresh: bool = False, beside: bool = True) -> None:
        named = Path(out)
        self.path, self._lock = named, -1
        for number in range(1, _MAX_TRIES):
            self.path = named if number == 1 else _beside(named, number)
            why = self._claim(fresh=fresh)
            if not why:
                break
            if not beside:
                raise OutputError(
                    thing=f"output folder {named}",
                    got=f"one that {why}",
                    expected="a folder of this run's own",
                    hint="Wait until that run has ended, or name another one with --out.",
                )
            if number == 1:
                first = why
        else:
            raise OutputError(
                thing=f"output folder {named}",
                got=f"{_MAX_TRIES} folders of earlier runs beside it",
                expected="a new folder",
                hint="Name another one with --out.",
            )
        if number > 1:
            _LOG.warning("%s %s: writing to %s", named, first, self.path)

    def close(self) -> None:
        """Let others in. Idempotent."""
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1

    def earlier(self) -> list[Mapping[str, Any]]:
        """Return what earlier runs in this folder say of their inputs; nothing that is damaged."""
        found: list[Mapping[str, Any]] = []
        for path in self._manifests():
            content = _read(path)
            inputs = content.get("inputs")
            if isinstance(inputs, list):
                found += [entry for entry in inputs if isinstance(entry, Mapping)]
        return found

    def keep_record(self, source_ids: Iterable[str]) -> None:
        """Set an earlier run's record aside, as ``summary-1.json``, unless all of it is done anew.

        Parameters
        ----------
        source_ids : iterable of str
            Of the inputs that are analysed now.

        Raises
        ------
        OutputError
            It cannot be moved.
        """
        record = self.path / NAME
        inputs = _read(record).get("inputs")
        done = {entry.get("source_id") for entry in inputs or () if isinstance(entry, Mapping)}
        if not record.exists() or (done and done <= set(source_ids)):
            return
        names = (f"{record.stem}-{number}{record.suffix}" for number in range(1, _MAX_TRIES))
        kept = next(self.path / name for name in names if not (self.path / name).exists())
        try:
            record.rename(kept)
        except OSError as error:
            raise OutputError(
                thing=f"output file {record}",
                got=error.strerror or str(error),
                expected="a file that can be moved",
                hint="Name another folder with --out.",
            ) from error
        _LOG.warning("%s holds results of another run; its record is %s now", self.path, kept.name)

    def _claim(self, *, fresh: bool) -> str:
        """Take the folder; return why not where it belongs to another run."""
        make_folder(self.path)
        lock = os.open(self.path, os.O_RDONLY)
        try:
            if not _locked(lock):
                return "is written by another run"
            if fresh and self._holds_results():
                return "holds the results of another run"
            self._lock, lock = lock, -1
            return ""
        finally:
            if lock >= 0:
                os.close(lock)

    def _holds_results(self) -> bool:
        return bool(self._manifests()) or any(self.path.glob("*.csv"))

    def _manifests(self) -> list[Path]:
        stem, suffix = NAME.split(".")
        return sorted(self.path.glob(f"{stem}*.{suffix}"))


def source_id(source: str | Path | Iterable[Path]) -> str:
    """Return what a source is known by in records: a hash of its path, URL or list of paths.

    Of a URL without its secrets: a hash can be tried.
    """
    if isinstance(source, Path):
        text = os.path.realpath(source)
    elif isinstance(source, str):
        text = redact(source)
    else:
        text = "\n".join(os.path.realpath(path) for path in source)
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()[:16]


def _beside(folder: Path, number: int) -> Path:
    whole = Path(os.path.abspath(folder)) if folder.name in ("", "..") else folder  # noqa: PTH100
    return whole.with_name(f"{whole.name}-{number}")


def _locked(descriptor: int) -> bool:
    """Lock an open folder for this process, and the kernel unlocks it whatever ends that."""
    try:
        import fcntl
    except ImportError:  # not a POSIX system: there is no such lock
        return True
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:  # a file system without locks
        return True
    return True


def _read(path: Path) -> Mapping[str, Any]:
    with contextlib.suppress(OSError, ValueError, RecursionError):
        if path.stat().st_size <= _MAX_MANIFEST:
            content = json.loads(path.read_text(encoding="utf-8"))
            return content if isinstance(content, Mapping) else {}
    return {}
