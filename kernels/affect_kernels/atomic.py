"""Replace a file in one step: whoever reads it finds the old content or the new, never a half."""

from __future__ import annotations

import os
import uuid
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

PRIVATE: Final = 0o600
"""Mode of files for their owner alone."""
SHARED: Final = 0o644
"""Mode of files that others may read and only their owner may change."""


def write_atomically(
    path: str | Path, content: bytes | str, *, mode: int | None = None, durable: bool = False
) -> None:
    """Put `content` at `path`, whole or not at all.

    Parameters
    ----------
    path : str or Path
        Its folder must exist.
    content : bytes or str
        Text is written as UTF-8.
    mode, durable
        As of :func:`replacing`.

    Raises
    ------
    OSError
        It cannot be written; what was there before stays, and nothing is left beside it.
    """
    with replacing(path, mode=mode, durable=durable) as temporary:
        temporary.write_bytes(content.encode() if isinstance(content, str) else content)


@contextmanager
def replacing(
    path: str | Path, *, mode: int | None = None, durable: bool = False
) -> Iterator[Path]:
    """Yield an empty file beside `path` to be filled, which then takes its place.

    Where the body raises, `path` stays as it was and the file is removed.

    Parameters
    ----------
    path : str or Path
        Its folder must exist. The yielded name has the same extension, and a dot before it.
    mode : int, optional
        Of the new file, set before there is content; default what the umask leaves of 0666. What
        an older file at `path` had does not count.
    durable : bool
        Wait until the disk has it, so that it outlives a power cut too. By default only the end of
        this process is outlived: the file systems that we meet write a renamed file's data first,
        and a wait costs milliseconds and wears flash.

    Raises
    ------
    OSError
        As :func:`write_atomically`.
    """
    path = Path(path)
    temporary = path.with_name(f".{path.stem}-{uuid.uuid4().hex[:12]}{path.suffix}")
    os.close(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode or 0o666))
    try:
        if mode is not None:
            temporary.chmod(mode)  # whatever the umask
        yield temporary
        if durable:
            _wait_for_disk(temporary)
        temporary.replace(path)
        if durable:
            _wait_for_disk(path.parent)
    finally:
        temporary.unlink(missing_ok=True)


def _wait_for_disk(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
