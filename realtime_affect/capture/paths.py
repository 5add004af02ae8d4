"""Whether a path can be read, and what to say where it cannot."""

from __future__ import annotations

import os
import re
import stat
from typing import TYPE_CHECKING

from realtime_affect.errors import InputError, InputMissingError
from realtime_affect.redact import redact

if TYPE_CHECKING:
    from pathlib import Path

_PATTERN = re.compile(r"[*?]|\[.+\]|%0?\d*d")  # of a shell, of FFmpeg


def check_path(path: Path) -> None:
    """Raise where `path` is not a file or folder that we may read.

    Raises
    ------
    InputMissingError
        Nothing is there.
    InputError
        It may not be read, or is a pipe, a socket or a device.
    """
    try:
        mode = path.stat().st_mode
    except PermissionError as error:
        raise denied(path) from error
    except (OSError, ValueError) as error:  # ValueError: a NUL inside the name
        raise InputMissingError(
            thing=f"input {redact(str(path))}",  # maybe a URL without its scheme
            got="no such file or folder",
            expected="a video, an image, a folder of them, a camera number, a URL or demo",
            hint=_nearby(path),
        ) from error
    if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
        raise InputError(
            thing=f"input {path}",
            got="neither a file nor a folder",
            expected="a video, an image or a folder",
            hint="Pipes and sockets cannot be read; send a stream to udp:// instead.",
        )
    if not os.access(path, os.R_OK | (os.X_OK if stat.S_ISDIR(mode) else 0)):
        raise denied(path)


def denied(path: Path) -> InputError:
    """Return the error for what may not be read."""
    return InputError(
        thing=f"input {path}",
        got="permission denied",
        expected="a file or folder that you may read",
        hint=f"Check `ls -l {path}`; chmod or copy it.",
    )


def _nearby(path: Path) -> str:
    """Return a hint: what of the same stem lies beside a missing file."""
    if _PATTERN.search(path.name):
        return "Patterns are not expanded here: name the folder, or leave the quotes away."
    try:
        if path.parent.is_dir():
            beside = sorted(p.name for p in path.parent.iterdir() if p.stem == path.stem)
            if beside:
                return f"In that folder there is {', '.join(beside[:3])}."
            return f"Its folder {path.parent} exists; check the name."
    except (OSError, ValueError):
        pass
    return "Check the path; relative ones start at the working directory."
