"""Whoever connects gets the newest line; nobody who is slow holds up anybody.

One event loop on a thread of its own serves all clients. Each has at most one line under way and,
of each kind, one line waiting; a newer line replaces a waiting one, which is counted. A line under
way is finished first, so a client never sees a torn one.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import socket
import stat
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from realtime_affect.errors import OutputError, UsageError
from realtime_affect.worker import Worker

if TYPE_CHECKING:
    from collections.abc import Iterable

    from realtime_affect.config import Config

_LOG = logging.getLogger(__name__)
_SEND_BYTES: Final = 1 << 16  # of the kernel for each client: what waits there is not the newest
_CLOSE_WAIT_S: Final = 2.0
_WORD_EVERY_S: Final = 60.0  # of the log, about refused clients
_STUCK_S: Final = 1.0  # without reading, after which a client yields to one that comes
_LAST_LINE_S: Final = 0.2  # for clients that are reading to take the last line


class StreamServer:
    """Listen on TCP, a Unix socket or both, and send every client the newest lines.

    Any thread may call :meth:`publish`, which never waits for a client.

    Parameters
    ----------
    host : str
    port : int or None
        0 takes a free one (:attr:`port` tells which); None opens none.
    path : str or None
        Of the Unix socket; a socket that nobody listens on any more is replaced.
    max_clients : int
        Further connections are closed at once, unless a client has read nothing for a second: that
        one makes room.
    unread_s : float
        A client that has taken nothing for so long, while something waited for it, is hung up on:
        it would keep others from its place.

    Raises
    ------
    OutputError
        The address is taken or may not be used.
    UsageError
        An empty `path`.
    """

    def __init__(
        self,
        host: str,
        port: int | None,
        path: str | None = None,
        max_clients: int = 8,
        unread_s: float = 10.0,
    ) -> None:
        self.drops = 0
        """Lines replaced by newer ones before a client took them, over all clients."""
        self.refused = 0
        """Connections closed at once, because there were too many."""
        self.unread = 0
        """Connections closed because the client took nothing for `unread_s`."""
        self.port: int | None = None
        """The TCP port, or None."""
        self.unread_s, self._max_clients, self._path = unread_s, max_clients, path
        self._clients: set[_Client] = set()  # the loop's thread alone changes it
        self._listeners: list[socket.socket] = []
        try:
            if port is not None:
                self._listeners.append(listen_tcp(host, port, "serve"))
                self.port = self._listeners[0].getsockname()[1]
            if path is not None:
                self._listeners.append(_listen_unix(path))
        except BaseException:
            self._release()
            raise
        self._loop = asyncio.new_event_loop()
        self._next_word_s = 0.0
        self._closing = asyncio.Event()
        self._thread = Worker("stream", self._run)
        self._thread.start()

    @property
    def clients(self) -> int:
        """Connections at this moment."""
        return len(self._clients)

    def publish(self, kind: str, line: bytes) -> None:
        """Offer `line` to every client; of each `kind` only the newest waits."""
        self._call(self._offer, kind, line)

    def close(self) -> None:
        """Finish the lines under way as far as clients take them at once, and hang up."""
        self._call(self._closing.set)
        self._thread.wait(_CLOSE_WAIT_S)

    def _call(self, what: Any, *arguments: object) -> None:
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody is there
            self._loop.call_soon_threadsafe(what, *arguments)

    def _offer(self, kind: str, line: bytes) -> None:
        for client in self._clients:
            self.drops += client.offer(kind, line)

    def _run(self) -> None:
        try:
            self._loop.run_until_complete(self._serve())
        finally:
            self._release()
            self._loop.close()

    async def _serve(self) -> None:
        for listener in self._listeners:
            unix = listener.family == socket.AF_UNIX
            create = self._loop.create_unix_server if unix else self._loop.create_server
            await create(lambda: _Client(self), sock=listener)
        await self._closing.wait()
        for client in list(self._clients):
            client.transport.close()  # once it has taken the line under way
        until_s = self._loop.time() + _LAST_LINE_S
        while self._clients and self._loop.time() < until_s:
            await asyncio.sleep(_LAST_LINE_S / 20)
        for client in list(self._clients):
            client.transport.abort()
        await asyncio.sleep(0)

    def _release(self) -> None:
        bound = any(listener.family == socket.AF_UNIX for listener in self._listeners)
        for listener in self._listeners:
            listener.close()
        if self._path is not None and bound:
            Path(self._path).unlink(missing_ok=True)

    def admit(self, client: _Client) -> bool:
        """Take a client in where there is room; the loop's thread calls."""
        if len(self._clients) >= self._max_clients:
            self._hang_up_on_stuck()
        if len(self._clients) >= self._max_clients:
            self.refused += 1
            if self._loop.time() >= self._next_word_s:  # a flood of connections is none of words
                self._next_word_s = self._loop.time() + _WORD_EVERY_S
                said = "refused a client: %d are connected; %d refused so far"
                _LOG.warning(said, len(self._clients), self.refused)
            return False
        self._clients.add(client)
        return True

    def _hang_up_on_stuck(self) -> None:
        """Let the client go that has read nothing for longest: who comes now may read."""
        now_s = self._loop.time()
        stuck = [c for c in self._clients if c.stuck_since_s is not None]
        longest = min(stuck, key=lambda c: c.stuck_since_s or 0.0, default=None)
        if longest is None or now_s - (longest.stuck_since_s or 0.0) < min(_STUCK_S, self.unread_s):
            return
        self.unread += 1
        _LOG.warning("hung up on a client that reads nothing, for one that came")
        self._clients.discard(longest)
        longest.transport.abort()

    def forget(self, client: _Client) -> None:
        """Learn that a client has gone; the loop's thread calls."""
        self._clients.discard(client)


class _Client(asyncio.Protocol):
    """One connection: a line under way to it and what waits, by kind."""

    transport: asyncio.Transport

    def __init__(self, server: StreamServer) -> None:
        self._server = server
        self._waiting: dict[str, bytes] = {}
        self._full = False  # a line is under way that the kernel does not take whole
        self.stuck_since_s: float | None = None
        """Loop time since when the client has taken nothing of it."""
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        if not self._server.admit(self):
            transport.abort()
            return
        transport.set_write_buffer_limits(high=0)  # tell at once when a line is under way
        with contextlib.suppress(OSError):
            connection = transport.get_extra_info("socket")
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SEND_BYTES)

    def offer(self, kind: str, line: bytes) -> bool:
        """Send `line` or let it wait; return whether one that waited is lost by that."""
        replaced = kind in self._waiting
        self._waiting[kind] = line
        self._push()
        return replaced

    def pause_writing(self) -> None:
        self._full = True
        self.stuck_since_s = asyncio.get_running_loop().time()
        self._watch(self.transport.get_write_buffer_size())

    def resume_writing(self) -> None:
        self._full = False
        self.stuck_since_s = None
        self._stop_timer()
        self._push()

    def eof_received(self) -> bool:
        return True  # it has closed its own half; it may still listen

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002
        self._stop_timer()
        self._waiting.clear()
        self._server.forget(self)

    def _push(self) -> None:
        while self._waiting and not self._full and not self.transport.is_closing():
            self.transport.write(self._waiting.pop(next(iter(self._waiting))))

    def _watch(self, left: int) -> None:
        """Hang up unless the client takes something of the `left` bytes in time."""
        loop = asyncio.get_running_loop()
        self._timer = loop.call_later(self._server.unread_s, self._judge, left)

    def _judge(self, left: int) -> None:
        now = self.transport.get_write_buffer_size()
        if now < left:
            self.stuck_since_s = asyncio.get_running_loop().time()
            self._watch(now)
            return
        self._server.unread += 1
        _LOG.warning("hung up on a client that read nothing for %g s", self._server.unread_s)
        self.transport.abort()

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


class StdoutStream:
    """The same lines on a file descriptor; a reader that is slow or gone holds up nothing.

    Parameters
    ----------
    descriptor : int
        Duplicated; written by a thread of its own.
    """

    def __init__(self, descriptor: int = 1) -> None:
        self.drops = 0
        self._descriptor = os.dup(descriptor)
        self._changed = threading.Condition()
        self._waiting: dict[str, bytes] = {}
        self._closing = False
        self._thread = Worker("stdout stream", self._write)
        self._thread.start()

    def publish(self, kind: str, line: bytes) -> None:
        """Offer a line; of each `kind` only the newest waits."""
        with self._changed:
            self.drops += kind in self._waiting
            self._waiting[kind] = line
            self._changed.notify_all()

    def close(self) -> None:
        """Write what waits, if the reader takes it, and end."""
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        self._thread.wait(_CLOSE_WAIT_S)

    def _write(self) -> None:
        try:
            while True:
                with self._changed:
                    self._changed.wait_for(lambda: self._waiting or self._closing)
                    if not self._waiting:
                        return
                    line = memoryview(self._waiting.pop(next(iter(self._waiting))))
                while line:
                    line = line[os.write(self._descriptor, line) :]
        except OSError:
            pass  # nobody reads any more; the service has other readers
        finally:
            os.close(self._descriptor)


def open_lines(config: Config) -> list[StreamServer | StdoutStream]:
    """Open what ``[serve]`` says that lines go to.

    Raises
    ------
    OutputError
        An address is taken.
    """
    settings = config.serve
    opened: list[StreamServer | StdoutStream] = []
    if settings.port is not None or settings.socket is not None:
        server = StreamServer(
            settings.host, settings.port, settings.socket, settings.max_clients, settings.unread_s
        )
        opened.append(server)
    if settings.stdout:
        opened.append(StdoutStream())
    return opened


def publish_all(streams: Iterable[Any], kind: str, line: bytes) -> None:
    """Offer one line to every stream."""
    for stream in streams:
        stream.publish(kind, line)


def listen_tcp(host: str, port: int, section: str) -> socket.socket:
    """Return a socket that listens.

    Raises
    ------
    OutputError
        The address is taken or may not be used; `section` of the settings can name another.
    """
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        listener = socket.create_server((host, port), family=family)
    except OSError as error:
        hint = f"Another service may run; --set {section}.port=0 takes a free port."
        raise _taken(error, f"stream {host}:{port}", hint) from error
    return listener


def _listen_unix(path: str) -> socket.socket:
    if not path or "\0" in path:  # Linux would take it for a name that no permission guards
        raise UsageError(
            thing="config key 'serve.socket'", got=repr(path), expected="the path of a file",
            hint="Leave it away for no Unix socket.",
        )  # fmt: skip
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        _remove_dead(path)
        listener.bind(path)
        listener.listen()
    except OSError as error:
        listener.close()
        raise _taken(error, f"stream {path}", "Name another path: serve.socket.") from error
    return listener


def _remove_dead(path: str) -> None:
    """Remove a socket that a killed service left; anything else stays, and binding fails."""
    try:
        if not stat.S_ISSOCK(Path(path).stat().st_mode):
            return
    except OSError:
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        try:
            probe.connect(path)
        except ConnectionRefusedError:  # nobody listens; other errors say nothing of that
            Path(path).unlink(missing_ok=True)
        except OSError:
            pass


def _taken(error: OSError, thing: str, hint: str) -> OutputError:
    return OutputError(
        thing, got=error.strerror or str(error), expected="a free address", hint=hint
    )
