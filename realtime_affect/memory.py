"""Memory of a long run: what was freed goes back to the system, what stays is not gone through.

A stream that is opened anew leaves its decoder's buffers freed but scattered over the C library's
arenas, one for each thread that ever asked; glibc gives back only what lies at an arena's end.
Over days of reconnecting that reads as a leak, and a container's limit counts it as one.

Python's collector of garbage goes through every object, some two hundred thousand of them once
libraries and networks are loaded, and holds every thread for 0.1 s, twice a minute.
"""

from __future__ import annotations

import ctypes
import functools
import gc
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


def trim() -> bool:
    """Give freed memory back to the system; takes milliseconds and may hold up other threads.

    Returns
    -------
    bool
        Whether anything was given back. False too where the C library is not glibc.
    """
    call = _malloc_trim()
    return call is not None and bool(call(0))


def spare_loaded() -> None:
    """Take everything that is loaded out of the collector's rounds, before a live run begins.

    For programs, not for libraries: what of it becomes garbage in cycles is freed at the next call.
    Takes 0.1 s and holds up other threads.
    """
    gc.unfreeze()
    gc.collect()
    gc.freeze()


@functools.cache
def _malloc_trim() -> Callable[[int], int] | None:
    """Return glibc's ``malloc_trim``, or None where there is none."""
    if not sys.platform.startswith("linux"):
        return None
    call = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if call is None:
        return None
    call.argtypes, call.restype = [ctypes.c_size_t], ctypes.c_int
    return call  # type: ignore[no-any-return]
