"""Talk to systemd, in plain sockets: ready, alive, stopping. Without systemd, nothing happens."""

from __future__ import annotations

import contextlib
import os
import socket
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


class Supervisor:
    """The service manager that ``NOTIFY_SOCKET`` names, or nobody.

    Parameters
    ----------
    environment : mapping, optional
        Default ``os.environ``.
    """

    def __init__(self, environment: Mapping[str, str] | None = None) -> None:
        environment = os.environ if environment is None else environment
        self._address = environment.get("NOTIFY_SOCKET", "")
        if self._address.startswith("@"):  # an address without a file (sd_notify(3))
            self._address = "\0" + self._address[1:]
        self.watchdog_s = _watchdog_s(environment)
        """Within this time it wants to hear that we are alive; None where it does not watch."""

    @property
    def there(self) -> bool:
        """Whether somebody wants to be told."""
        return bool(self._address)

    def ready(self, status: str) -> None:
        """Tell that the service has started."""
        self._send(f"READY=1\nSTATUS={_one_line(status)}")

    def alive(self, status: str) -> None:
        """Tell that the service is well; not to call this for too long ends it."""
        self._send(f"WATCHDOG=1\nSTATUS={_one_line(status)}")

    def status(self, status: str) -> None:
        """Tell how the service is, without saying that it is well."""
        self._send(f"STATUS={_one_line(status)}")

    def stopping(self) -> None:
        """Tell that the service is ending."""
        self._send("STOPPING=1")

    def _send(self, message: str) -> None:
        if not self._address:
            return
        # A manager that does not listen must not end the service.
        with (
            contextlib.suppress(OSError),
            socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as end,
        ):
            end.setblocking(False)
            end.sendto(message.encode(), self._address)


def _watchdog_s(environment: Mapping[str, str]) -> float | None:
    """Return the watchdog's time, where it is meant for this process."""
    meant_for = environment.get("WATCHDOG_PID")
    micros = environment.get("WATCHDOG_USEC", "")
    if not micros.isdigit() or not int(micros) or meant_for not in (None, str(os.getpid())):
        return None
    return int(micros) / 1e6


def _one_line(text: str) -> str:
    return " ".join(text.split())
