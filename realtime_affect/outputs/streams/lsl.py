"""Readings as Lab Streaming Layer streams: an outlet a face, and one for events and markers.

A sample's time is the moment of capture on LSL's clock. How that clock stands to ours is measured
anew every ten seconds; the offset and its uncertainty stand in each stream's description and in
the run's record. liblsl sends from threads of its own and never makes us wait; for a receiver that
is too slow it drops the oldest after :data:`BUFFERED_S`.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Final

from realtime_affect.errors import OutputError
from realtime_affect.markers import NewMarkers
from realtime_affect.outputs.csv_events import NewEvents
from realtime_affect.outputs.streams.channels import FaceRows, channels_of
from realtime_affect.outputs.streams.clock import measure_offset
from realtime_affect.outputs.streams.liblsl import keep_to_this_machine, load_liblsl

if TYPE_CHECKING:
    from realtime_affect.capture import SourceInfo
    from realtime_affect.outputs.csv_table import Value
    from realtime_affect.outputs.streams.channels import Channel
    from realtime_affect.outputs.streams.config import LslConfig
    from realtime_affect.types import Reading

BUFFERED_S: Final = 60
"""Of samples kept for each receiver; for irregular rates liblsl counts a hundred a second."""

_MEASURE_EVERY_NS: Final = 10_000_000_000


class LslSink:
    """Push readings into LSL outlets; a sink that outlives runs.

    Parameters
    ----------
    config : LslConfig

    Raises
    ------
    DependencyError
        The extra ``streams`` is not installed.
    OutputError
        The outlets cannot be opened, or not kept to this machine where they should be.
    """

    def __init__(self, config: LslConfig) -> None:
        self._lsl = load_liblsl(allow_remote=config.allow_remote)
        self._config = config
        self._channels = [c for c in channels_of(config.groups) if not c.is_text]
        self.clock = measure_offset(self._lsl.local_clock)
        """How LSL's clock stands to the monotonic one."""
        self.counts: dict[str, float] = dict.fromkeys(("sent", "events", "markers"), 0)
        """Readings, events and markers pushed; the clock's offset and its uncertainty."""
        self._faces: list[Any] = []
        self._events: Any = None
        try:
            for place in range(1, config.faces + 1):
                self._faces.append(self._outlet(self._face_info(place)))
            self._events = self._outlet(self._events_info())
            if not config.allow_remote:
                keep_to_this_machine()
        except BaseException:
            self.shut_down()
            raise
        self._begin()

    def open(self, info: SourceInfo) -> None:  # noqa: ARG002  (a sink is told)
        """Begin with another source: its faces and times are new."""
        self._begin()

    def write(self, reading: Reading) -> None:
        """Push one sample into each face's outlet, and what is new into that of events."""
        frame = reading.scene.frame
        if frame.captured_ns - self._measured_ns > _MEASURE_EVERY_NS:
            self._measure()
        at_s = self.clock.seconds(frame.captured_ns)
        rows = dict(self._rows.of(reading))
        for place, outlet in enumerate(self._faces, start=1):
            row = rows.get(place) or self._rows.nobody(reading)
            outlet.push_sample(self._sample(row), at_s)
        self.counts["sent"] += 1
        # Source times run beside the monotonic clock, at the distance of this frame.
        behind_ns = frame.captured_ns - frame.t_ns
        for track_id, event in self._new_events.take(reading):
            place_of = self._rows.place_of(track_id)
            text = f"{event.kind} face {place_of}" if place_of else event.kind
            self._events.push_sample([text], self.clock.seconds(event.onset_ns + behind_ns))
            self.counts["events"] += 1
        for marker in self._new_markers.take(reading.markers):
            self._events.push_sample([marker.label], self.clock.seconds(marker.t_ns + behind_ns))
            self.counts["markers"] += 1

    def close(self) -> None:
        """Do nothing: the outlets go on to the next run."""

    def shut_down(self) -> None:
        """Close the outlets: receivers see the streams end. Idempotent."""
        self._faces, self._events = [], None  # pylsl closes an outlet that nobody holds

    def _outlet(self, info: Any) -> Any:
        try:
            return self._lsl.StreamOutlet(info, 1, BUFFERED_S)
        except RuntimeError as error:
            raise OutputError(
                thing=f"LSL stream {info.name()!r}",
                got=str(error),
                expected="a free port",
                hint="Other programs hold too many streams on this machine.",
            ) from error

    def _begin(self) -> None:
        self._rows = FaceRows(self._config.faces)
        self._new_events, self._new_markers = NewEvents(), NewMarkers()
        self._measure()

    def _measure(self) -> None:
        self.clock = measure_offset(self._lsl.local_clock)
        self._measured_ns = time.monotonic_ns()
        self.counts["clock_offset_us"] = self.clock.offset_ns / 1e3
        self.counts["clock_uncertainty_us"] = self.clock.uncertainty_ns / 1e3

    def _sample(self, row: list[Value]) -> list[float]:
        return [float(row[channel.column]) for channel in self._channels]

    def _face_info(self, place: int) -> Any:
        config = self._config
        info = self._lsl.StreamInfo(
            f"{config.name} face {place}", "FacialAffect", len(self._channels), config.rate_hz,
            "double64", f"{config.name}/face/{place}",
        )  # fmt: skip
        described = info.desc().append_child("channels")
        for channel in self._channels:
            _describe(described.append_child("channel"), channel)
        self._describe_clock(info)
        return info

    def _events_info(self) -> Any:
        name = self._config.name
        info = self._lsl.StreamInfo(f"{name} events", "Markers", 1, 0, "string", f"{name}/events")
        self._describe_clock(info)
        return info

    def _describe_clock(self, info: Any) -> None:
        made = info.desc()
        made.append_child_value("manufacturer", "realtime-affect")
        clock = made.append_child("clock")
        clock.append_child_value("time_stamps", "capture of the frame; events: onset")
        clock.append_child_value("lsl_minus_monotonic_s", f"{self.clock.offset_ns / 1e9:.9f}")
        clock.append_child_value("uncertainty_s", f"{self.clock.uncertainty_ns / 1e9:.9f}")


def _describe(described: Any, channel: Channel) -> None:
    for name, value in (
        ("label", channel.name), ("description", channel.label), ("unit", channel.measure.unit),
        ("type", channel.measure.group), ("trust", channel.trust),
    ):  # fmt: skip
        described.append_child_value(name, value)
