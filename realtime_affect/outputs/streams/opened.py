"""The streams that are configured, open: one set for a process, whatever runs come and go."""

from __future__ import annotations

import contextlib
import logging
import threading
import weakref
from typing import TYPE_CHECKING, Any, Final

from affect_engines.base import Closeable
from realtime_affect.outputs.json_lines import health_line
from realtime_affect.outputs.sinks import StreamSink
from realtime_affect.outputs.stream_server import open_lines, publish_all
from realtime_affect.worker import Worker

if TYPE_CHECKING:
    from collections.abc import Mapping

    from realtime_affect.config import Config
    from realtime_affect.outputs.stream_server import StdoutStream, StreamServer
    from realtime_affect.outputs.streams.websocket import WebSocketServer
    from realtime_affect.runtime.reading_source import ReadingSource
    from realtime_affect.runtime.sink import Sink, SinkThread

_LOG = logging.getLogger(__name__)
_TELL_S: Final = 1.0
_CLOSE_S: Final = 5.0


class OpenStreams(Closeable):
    """Open what the settings ask for; nothing, where they ask for nothing.

    Parameters
    ----------
    config : Config
    lines : bool
        With those of ``[serve]``, where ``serve.in_run`` says so; a service has them anyway.

    Raises
    ------
    DependencyError
        A stream's library is not installed.
    OutputError
        An address is taken.
    UsageError
        A certificate cannot be used.

    Examples
    --------
    >>> from realtime_affect import Config, Pipeline
    >>> config = Config().with_values({"websocket.enabled": True, "websocket.port": 0})
    >>> with Pipeline("demo", config) as pipeline, OpenStreams(config) as streams:
    ...     streams.attach(pipeline)
    ...     pipeline.start()
    ...     pipeline.stop()
    """

    def __init__(self, config: Config, *, lines: bool = True) -> None:
        self.websocket: WebSocketServer | None = None
        """The server, where there is one."""
        self.lines: list[StreamServer | StdoutStream] = []
        """Where lines go beside it."""
        self._sinks: dict[str, Sink] = {}
        self._counts: dict[str, Mapping[str, Any]] = {}
        self._threads: dict[str, SinkThread] = {}
        self._source: weakref.ref[ReadingSource] | None = None
        self._closing = threading.Event()
        self._teller = Worker("streams' health", self._tell_each_second)
        with contextlib.ExitStack() as opened:
            if lines and config.serve.in_run:
                self.lines = open_lines(config)
                for stream in self.lines:
                    opened.callback(stream.close)
                self._add("lines", StreamSink(self.lines), {})
            if config.websocket.enabled:
                from realtime_affect.outputs.streams.websocket import WebSocketServer

                server = WebSocketServer(config.websocket, self._mark_from("websocket"))
                opened.callback(server.shut_down)
                self.websocket = server
                self._add("websocket", server, server.counts)
                _LOG.info("WebSocket stream and page: %s", server.url)
            if config.osc.enabled:
                from realtime_affect.outputs.streams.osc import OscSink

                osc = OscSink(config.osc)
                opened.callback(osc.shut_down)
                self._add("osc", osc, osc.counts)
                _LOG.info("OSC stream: to %s:%d", config.osc.host, config.osc.port)
            if config.lsl.enabled:
                from realtime_affect.outputs.streams.lsl import LslSink

                lsl = LslSink(config.lsl)
                opened.callback(lsl.shut_down)
                self._add("lsl", lsl, lsl.counts)
                _LOG.info("LSL streams: %s, %d faces", config.lsl.name, config.lsl.faces)
            if config.lsl.markers_from is not None:
                from realtime_affect.outputs.streams.lsl_markers import LslMarkers

                name = config.lsl.markers_from
                markers = LslMarkers(config.lsl, self._mark_from(f"lsl {name}"))
                opened.callback(markers.shut_down)
                self._counts["lsl markers"] = markers.counts
            self._opened = opened.pop_all()

    @property
    def names(self) -> tuple[str, ...]:
        """Of the streams that are open."""
        return tuple(self._sinks)

    def attach(self, source: ReadingSource, *, health: bool = True) -> None:
        """Feed every stream from `source` from now on, and mark it when markers come.

        Parameters
        ----------
        source : ReadingSource
            Not started yet, or the first readings are missed.
        health : bool
            Tell clients each second how `source` is. A service tells more, by :meth:`tell`.
        """
        self._source = weakref.ref(source)
        for name, sink in self._sinks.items():
            thread = source.attach(sink, name=name, images=False, required=False)
            self._threads[name] = thread
        if health and self._sinks and not self._teller.working:
            self._teller.start()

    def tell(self, health: dict[str, Any]) -> None:
        """Send a line of health to who gets lines."""
        publish_all(self.lines, "health", health_line(health))
        if self.websocket is not None:
            self.websocket.tell(health)

    def stats(self) -> dict[str, dict[str, Any]]:
        """Return what each stream counted so far, by its name.

        ``offered`` and ``drops`` are those of the source attached last: its readings, and how many
        of them were replaced by newer ones before the stream was ready for them.
        """
        told = {name: dict(counts) for name, counts in self._counts.items()}
        if self.lines:
            told["lines"] = {"missed": sum(stream.drops for stream in self.lines)}
        for name, thread in self._threads.items():
            stats = thread.stats()
            told[name] |= {"offered": stats.offered, "drops": stats.drops}
            if stats.error:
                told[name]["error"] = stats.error
        return told

    def close(self) -> None:
        """Close every stream. Idempotent."""
        self._closing.set()
        self._teller.wait()
        for thread in self._threads.values():  # a source that goes on writes into none closed
            thread.close()
            thread.wait(_CLOSE_S)
        self._opened.close()

    def _add(self, name: str, sink: Sink, counts: Mapping[str, Any]) -> None:
        self._sinks[name], self._counts[name] = sink, counts

    def _mark_from(self, origin: str) -> Any:
        """Return what marks a moment of the source that is attached, if there is one."""

        def mark(label: str, at_ns: int, uncertainty_ms: float = float("nan")) -> None:
            source = None if self._source is None else self._source()
            if source is not None:
                source.mark(label, origin=origin, at_ns=at_ns, uncertainty_ms=uncertainty_ms)

        return mark

    def _tell_each_second(self) -> None:
        while not self._closing.wait(_TELL_S):
            source = None if self._source is None else self._source()
            if source is None:
                continue
            stats = source.stats()
            self.tell(
                {
                    "state": stats.source_state.value,
                    "fps": round(stats.fps, 2),
                    "frames": stats.frames_analysed,
                    "drops": {"frames": stats.drops},
                }
            )
