"""How the service runs."""

from __future__ import annotations

import ipaddress
import math
from dataclasses import dataclass
from typing import Final

from realtime_affect.errors import UsageError

_PORTS: Final = 65_535


@dataclass(frozen=True, slots=True)
class ServeConfig:
    """What ``realtime-affect serve`` reads, where results go, and when it gives up.

    Attributes
    ----------
    source : str
        As ``run`` takes it; also ``csi://0`` (a Jetson's CSI camera) and a GStreamer pipeline
        without its sink, both read through gst-launch-1.0.
    flip : int
        ``flip-method`` of a CSI camera: 2 turns the image by 180 degrees.
    port : int or None
        TCP port of the stream of results; 0 takes a free one; None opens none.
    host : str
        Address it listens on.
    allow_remote : bool
        Whether `host` may be an address that others can reach: the stream has no password.
    socket : str or None
        Path of a Unix socket that gives the same stream.
    stdout : bool
        Whether the same stream goes to the standard output.
    max_clients : int
        Connections at one time; further ones are closed at once.
    health_file : str or None
        File that is replaced every second with how the service is, as JSON.
    out : str or None
        Folder for CSV and video, a new folder in it for each start; None writes none.
    fps : float
        Frames a second to analyse at most.
    decisions_hz : float
        Decisions of the slower networks a second at most.
    min_fps, min_decisions_hz : float
        What heat and load may lower these to.
    hot_c : float
        From this temperature on, less is done.
    stall_s : float
        The service counts as hung when a camera is online and no reading has come for so long.
    max_restarts : int
        Failures within `restart_window_s` after which the service ends with exit code 1.
    restart_window_s : float
    retry_first_s, retry_max_s : float
        Wait before a source is opened again, or the pipeline restarted; doubled up to the maximum.

    Raises
    ------
    UsageError
        A value is out of range, or `host` is reachable for others and that was not asked for.
    """

    source: str = "0"
    flip: int = 0
    port: int | None = 8765
    host: str = "127.0.0.1"
    allow_remote: bool = False
    socket: str | None = None
    stdout: bool = False
    max_clients: int = 8
    health_file: str | None = None
    out: str | None = None
    fps: float = 30.0
    decisions_hz: float = 30.0
    min_fps: float = 5.0
    min_decisions_hz: float = 2.0
    hot_c: float = 85.0
    stall_s: float = 10.0
    max_restarts: int = 5
    restart_window_s: float = 60.0
    retry_first_s: float = 1.0
    retry_max_s: float = 30.0

    def __post_init__(self) -> None:
        for name in (
            "fps", "decisions_hz", "min_fps", "min_decisions_hz", "hot_c", "stall_s",
            "restart_window_s", "retry_first_s", "retry_max_s", "max_clients",
        ):  # fmt: skip
            value = getattr(self, name)
            if not (math.isfinite(value) and value > 0):
                raise _out_of_range(name, value, "a number above 0")
        for name, most, unit in (
            ("port", _PORTS, ""), ("flip", 7, ", a flip-method of nvvidconv"),
            ("max_restarts", 1_000, ""),
        ):  # fmt: skip
            value = getattr(self, name)
            if value is not None and not 0 <= value <= most:
                raise _out_of_range(name, value, f"0 to {most}{unit}")
        for low, high in (("min_fps", "fps"), ("min_decisions_hz", "decisions_hz")):
            if getattr(self, low) > getattr(self, high):
                raise _out_of_range(low, getattr(self, low), f"not more than serve.{high}")
        if not self.allow_remote and not _is_loopback(self.host):
            raise UsageError(
                thing="config key 'serve.host'",
                got=f"{self.host!r}, which other machines may reach",
                expected="127.0.0.1 or ::1",
                hint="The stream has no password. Set serve.allow_remote = true if that is meant.",
            )


def _is_loopback(host: str) -> bool:
    """Whether only this machine can reach `host`."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _out_of_range(name: str, value: object, expected: str) -> UsageError:
    return UsageError(
        thing=f"config key 'serve.{name}'",
        got=repr(value),
        expected=expected,
        hint="Rates are a second, times are seconds, temperatures are degrees Celsius.",
    )
