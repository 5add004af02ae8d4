"""liblsl, kept to this machine unless told otherwise.

Left alone, liblsl answers discovery on every network and lets whoever knows a port receive, even
where discovery is off. Here discovery is limited to the loopback interface by liblsl's own
settings, and its sockets are bound to that interface; where that cannot be done, no stream is
opened.
"""

from __future__ import annotations

import contextlib
import ctypes
import logging
import os
import socket
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from realtime_affect.errors import DependencyError, OutputError
from realtime_affect.outputs.extra import import_extra

if TYPE_CHECKING:
    from collections.abc import Iterator

_LOG = logging.getLogger(__name__)

# Ports of our own, so that only liblsl's sockets are taken for liblsl's. Multicast stays on the
# loopback interface, where programs with settings of their own find it as well.
FIRST_PORT: Final = 16600
PORTS: Final = 64
_DISCOVERY_PORT: Final = 16571
_LOCAL: Final = f"""\
[multicast]
ResolveScope = site
Interfaces = {{127.0.0.1}}
TTLOverride = 0
[ports]
IPv6 = disable
BasePort = {FIRST_PORT}
PortRange = {PORTS}
AllowRandomPorts = 0
[log]
level = -3
"""
_set_for: list[bool] = []  # liblsl takes settings once a process


def load_liblsl(*, allow_remote: bool) -> Any:
    """Return pylsl, set up for this machine alone or, if remote is allowed, as its user set it up.

    Raises
    ------
    DependencyError
        It is not installed.
    OutputError
        It was set up otherwise before, in this process.
    """
    pylsl = import_extra("pylsl", "the LSL stream", "streams")
    if _set_for and _set_for[0] != allow_remote:
        raise OutputError(
            thing="Lab Streaming Layer", got="another setting of lsl.allow_remote before",
            expected="the same one for as long as this program runs", hint="Start it again.",
        )  # fmt: skip
    if not _set_for:
        if not allow_remote:
            _set_up(import_extra("pylsl.lib", "the LSL stream", "streams").lib, _LOCAL)
        _set_for.append(allow_remote)
    return pylsl


def _set_up(library: Any, settings: str) -> None:
    try:
        library.lsl_set_config_content.argtypes = [ctypes.c_char_p]
    except AttributeError as error:
        raise DependencyError(
            thing="Lab Streaming Layer", got=f"liblsl {library.lsl_library_version()}",
            expected="liblsl that takes settings from a program (1.17.7 or later)",
            hint="PYLSL_LIB names another library; docs/streams.md says where to get one.",
        ) from error  # fmt: skip
    library.lsl_set_config_content(settings.encode())


def keep_to_this_machine() -> None:
    """Bind the sockets that liblsl has open to the loopback interface.

    Raises
    ------
    OutputError
        That is not possible here; what was opened must be closed.
    """
    try:
        for opened in _sockets_of_liblsl():
            with opened:
                opened.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, b"lo")
    except (AttributeError, OSError) as error:
        raise OutputError(
            thing="Lab Streaming Layer",
            got=f"sockets that cannot be kept to this machine ({error})",
            expected="Linux 5.7 or later",
            hint="Set lsl.allow_remote = true if others may receive, and see to the firewall.",
        ) from error


def time_correction(inlet: Any, timeout_s: float) -> tuple[float, float]:
    """Return what to add to an inlet's times to have them on our clock, and its uncertainty.

    Both in seconds; the uncertainty is the round trip of the exchange that they come from.

    Raises
    ------
    RuntimeError
        The stream is lost, or gave no answer in time (pylsl's ``LostError``, ``TimeoutError``).
    """
    library = import_extra("pylsl.lib", "the LSL stream", "streams").lib
    library.lsl_time_correction_ex.restype = ctypes.c_double
    remote_s, uncertainty_s, code = ctypes.c_double(), ctypes.c_double(), ctypes.c_int()
    correction_s = library.lsl_time_correction_ex(
        inlet.obj, ctypes.byref(remote_s), ctypes.byref(uncertainty_s), ctypes.c_double(timeout_s),
        ctypes.byref(code),
    )  # fmt: skip
    import_extra("pylsl.util", "the LSL stream", "streams").handle_error(code)
    return float(correction_s), uncertainty_s.value


def _sockets_of_liblsl() -> Iterator[socket.socket]:
    """Yield a duplicate of each socket of this process that has one of liblsl's ports."""
    ports = {_DISCOVERY_PORT, *range(FIRST_PORT, FIRST_PORT + PORTS)}
    for entry in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(OSError):
            if not str(entry.readlink()).startswith("socket:"):
                continue
            found = socket.socket(fileno=os.dup(int(entry.name)))
            if found.family == socket.AF_INET and found.getsockname()[1] in ports:
                yield found
            else:
                found.close()
