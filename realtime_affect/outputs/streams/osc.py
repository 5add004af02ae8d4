"""Readings as OSC messages: a bundle a reading, its time tag the moment of capture.

OSC goes out by UDP to one receiver, which nobody waits for: what it does not take is lost, and
what the network refuses is counted. A number that is not known is not sent.
"""

from __future__ import annotations

import logging
import math
import socket
import struct
import time
from typing import TYPE_CHECKING, Any, Final

from realtime_affect.errors import OutputError
from realtime_affect.markers import NewMarkers
from realtime_affect.measure import GROUPS
from realtime_affect.outputs.csv_events import NewEvents
from realtime_affect.outputs.extra import import_extra
from realtime_affect.outputs.streams.channels import FaceRows, channels_of
from realtime_affect.outputs.streams.rate import RateLimit

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from realtime_affect.capture import SourceInfo
    from realtime_affect.measure import Group
    from realtime_affect.outputs.streams.channels import Channel
    from realtime_affect.outputs.streams.config import OscConfig
    from realtime_affect.types import Reading

_LOG = logging.getLogger(__name__)
_WHAT: Final = "the OSC stream"
_LENGTH: Final = struct.Struct(">i")
_NUMBERS: Final = {float: struct.Struct(">f"), int: struct.Struct(">i")}
_ELSEWHERE: Final = ("frame", "face_id")  # once a reading, and as id


class OscSink:
    """Send readings to one OSC receiver; a sink that outlives runs.

    Parameters
    ----------
    config : OscConfig

    Raises
    ------
    DependencyError
        The extra ``streams`` is not installed.
    OutputError
        The host is not known.
    """

    def __init__(self, config: OscConfig) -> None:
        self._build_message = import_extra(
            "pythonosc.osc_message_builder", _WHAT, "streams"
        ).build_msg
        self._time_tag = import_extra("pythonosc.parsing.ntp", _WHAT, "streams").system_time_to_ntp
        self.counts = dict.fromkeys(("sent", "datagrams", "rate_limited", "refused"), 0)
        """Readings and datagrams sent, readings left out by the rate, datagrams not taken."""
        self._config = config
        self._heads: dict[tuple[str, type], bytes] = {}  # of messages with one number
        try:
            found = socket.getaddrinfo(config.host, config.port, type=socket.SOCK_DGRAM)
            family, kind, protocol, _, address = found[0]
            self._socket, self._receiver = socket.socket(family, kind, protocol), address
        except OSError as error:
            raise OutputError(
                thing=f"OSC receiver {config.host}:{config.port}",
                got=error.strerror or str(error),
                expected="a host that is known",
                hint="osc.host is a name or an IP address.",
            ) from error
        self._socket.setblocking(False)
        self._addresses = [("id", _column("face_id"))] + [
            (channel.address, channel.column) for channel in osc_channels(config.groups)
        ]
        self._rows = FaceRows(config.faces)
        self._new_events, self._new_markers = NewEvents(), NewMarkers()
        self._rate = RateLimit(config.rate_hz)

    def open(self, info: SourceInfo) -> None:  # noqa: ARG002  (a sink is told)
        """Begin with another source: its faces and times are new."""
        self._rows = FaceRows(self._config.faces)
        self._new_events, self._new_markers = NewEvents(), NewMarkers()

    def write(self, reading: Reading) -> None:
        """Send one reading, unless the rate leaves it out."""
        events, markers = self._new_events.take(reading), self._new_markers.take(reading.markers)
        told: list[tuple[str, list[Any]]] = []
        for track_id, event in events:
            ms = (event.offset_ns - event.onset_ns) / 1e6
            told.append(
                (f"event/{event.kind}", [track_id, ms, event.score, ";".join(event.regions)])
            )
        told += [("marker", [marker.label]) for marker in markers]
        placed = self._rows.of(reading)
        if not self._rate.allows(time.monotonic()):
            self.counts["rate_limited"] += 1
        else:
            frame = reading.scene.frame
            told += [("frame", [frame.index + 1]), ("faces", [len(reading.scene.tracks)])]
            told.append(("age_ms", [(time.monotonic_ns() - frame.captured_ns) / 1e6]))
            for place, row in placed:
                told += [
                    (f"face/{place}/{address}", [_plain(row[column])])
                    for address, column in self._addresses if _is_known(row[column])
                ]  # fmt: skip
            self.counts["sent"] += 1
        if told:
            self._send(told, reading.scene.frame.captured_ns)

    def close(self) -> None:
        """Do nothing: the receiver is told by silence."""

    def shut_down(self) -> None:
        """Close the socket. Idempotent."""
        self._socket.close()

    def _send(self, told: list[tuple[str, list[Any]]], captured_ns: int) -> None:
        # The wall clock, as time tags are; asked each time, as it may be set.
        at_s = time.time_ns() / 1e9 - (time.monotonic_ns() - captured_ns) / 1e9
        for bundle in self._bundles(told, at_s):
            try:
                self._socket.sendto(bundle, self._receiver)
                self.counts["datagrams"] += 1
            except OSError as error:  # nobody listens, or the network is down: it may come back
                if not self.counts["refused"]:
                    _LOG.warning("OSC receiver %s: %s", self._config.host, error)
                self.counts["refused"] += 1

    def _bundles(self, told: list[tuple[str, list[Any]]], at_s: float) -> Iterator[bytes]:
        """Yield bundles of at most ``datagram_bytes``, one message at least in each.

        Put together here: the library reads each bundle that it builds, which takes several
        times as long. Messages are the library's, but for the number at the end of those with one.
        """
        head = b"#bundle\0" + self._time_tag(at_s)
        parts, size = [head], len(head)
        for address, values in told:
            message = self._message(address, values)
            if len(parts) > 1 and size + 4 + len(message) > self._config.datagram_bytes:
                yield b"".join(parts)
                parts, size = [head], len(head)
            parts += (_LENGTH.pack(len(message)), message)
            size += 4 + len(message)
        yield b"".join(parts)

    def _message(self, address: str, values: list[Any]) -> bytes:
        value = values[0]
        number = _NUMBERS.get(type(value)) if len(values) == 1 else None
        if number is None:
            return self._build(address, values)
        key = (address, type(value))
        if key not in self._heads:
            self._heads[key] = self._build(address, values)[: -number.size]
        return self._heads[key] + number.pack(value)

    def _build(self, address: str, values: list[Any]) -> bytes:
        dgram: bytes = self._build_message(f"{self._config.prefix}/{address}", values).dgram
        return dgram


def osc_channels(groups: Collection[Group]) -> list[Channel]:
    """Return what is sent of each face, beside its id: no source times, which OSC's floats blur."""
    return [
        channel
        for channel in channels_of(groups)
        if channel.name not in _ELSEWHERE and channel.measure.dtype != "time_ns"
    ]


def _column(name: str) -> int:
    return next(channel.column for channel in channels_of(GROUPS) if channel.name == name)


def _plain(value: float | str) -> float | str:
    """Return a value of one of OSC's own types; true and false as 1 and 0."""
    return int(value) if isinstance(value, bool) else value


def _is_known(value: float | str) -> bool:
    return value != "" if isinstance(value, str) else math.isfinite(value)
