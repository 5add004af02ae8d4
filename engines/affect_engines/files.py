"""Read a file that will be run: once, whole, of a stated size at most, from a place that is safe.

What is checked afterwards is what was read, and what is used is what was checked: nobody goes back
to the path, where another file may lie by then, or the same one cut short.
"""

from __future__ import annotations

import errno
import os
import stat
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pathlib import Path

MOST_BYTES: Final = (1 << 31) - 1
"""Largest network file or plan that is read: no ONNX file can be larger (protobuf's limit)."""

_KINDS: Final = (
    (stat.S_ISDIR, "a folder"),
    (stat.S_ISFIFO, "a FIFO"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
    (stat.S_ISSOCK, "a socket"),
)
_OTHERS_WRITE: Final = stat.S_IWGRP | stat.S_IWOTH


def read_file(path: Path, most_bytes: int = MOST_BYTES) -> bytes:
    """Return what is in a regular file.

    Parameters
    ----------
    path : Path
        A link to a file is followed.
    most_bytes : int

    Raises
    ------
    FileNotFoundError
        There is none.
    OSError
        It cannot be read, is no regular file or larger than `most_bytes`: told before a byte is
        read, and ``strerror`` says what it is.
    """
    _check(path.stat(), path, most_bytes)  # opening a device may already do something
    handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    with os.fdopen(handle, "rb") as stream:
        status = os.fstat(handle)
        _check(status, path, most_bytes)
        return stream.read(status.st_size)


def exposure(path: Path) -> str | None:
    """Return why others could have written `path`, or None where only its owner or root could.

    It must belong to this user or root, and neither its group nor others may write it.

    Raises
    ------
    OSError
        There is nothing at `path`.
    """
    status = path.stat()
    if status.st_uid not in (os.geteuid(), 0):
        return f"owned by user {status.st_uid}"
    if status.st_mode & _OTHERS_WRITE:
        return f"writable by others (mode {stat.S_IMODE(status.st_mode):04o})"
    return None


def folder_exposure(folder: Path) -> str | None:
    """Return why others could put files into `folder`, or None; an absent one is safe so far.

    As :func:`exposure`. Of the folders above it, each of which could be renamed with all in it,
    none may be another user's or writable by everybody, but for those with the sticky bit.
    """
    try:
        place = folder.resolve(strict=True)
    except FileNotFoundError:
        return None
    why = exposure(place)
    if why is not None:
        return why
    for above in place.parents:
        status = above.stat()
        everybody = status.st_mode & stat.S_IWOTH and not status.st_mode & stat.S_ISVTX
        if status.st_uid not in (os.geteuid(), 0) or everybody:
            return f"in {above}, which others may change"
    return None


def _check(status: os.stat_result, path: Path, most_bytes: int) -> None:
    if not stat.S_ISREG(status.st_mode):
        kind = next((name for is_kind, name in _KINDS if is_kind(status.st_mode)), "no file")
        raise OSError(errno.EINVAL, f"{kind}, not a file", str(path))
    if status.st_size > most_bytes:
        size = f"{status.st_size / 1e6:.0f} MB, more than the {most_bytes / 1e6:.0f} MB allowed"
        raise OSError(errno.EFBIG, size, str(path))
