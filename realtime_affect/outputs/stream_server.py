"""Whoever connects gets the newest line; nobody who is slow holds up anybody.

One thread serves all clients. Each has at most one line under way and, of each kind, one line
waiting; a newer line replaces a waiting one, which is counted. A line under way is finished first,
so a client never sees a torn one.
"""

from __future__ import annotations

import contextlib
import os
import selectors
import socket
import stat
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from realtime_affect.errors import OutputError

if TYPE_CHECKING:
    from collections.abc import Iterable

_SEND_BYTES: Final = 1 << 16  # of the kernel for each client: what waits there is not the newest
_CLOSE_WAIT_S: Final = 2.0
_ACCEPT_PAUSE_S: Final = 0.02


class _Client:
    """One connection: what is under way to it and what waits, by kind."""

    def __init__(self, connection: socket.socket) -> None:
        self.connection = connection
        self.under_way = memoryview(b"")
        self.waiting: dict[str, bytes] = {}
        self.silent = False  # it has closed its own half; it may still listen

    @property
    def wants(self) -> bool:
        return bool(self.under_way or self.waiting)

    def offer(self, kind: str, line: bytes) -> bool:
        """Let `line` wait; return whether one that waited is lost by that."""
        replaced = kind in self.waiting
        self.waiting[kind] = line
        return replaced

    def push(self) -> None:
        """Send as much as the kernel takes now."""
        while self.wants:
            if not self.under_way:
                kind = next(iter(self.waiting))
                self.under_way = memoryview(self.waiting.pop(kind))
            try:
                sent = self.connection.send(self.under_way)
            except BlockingIOError:
                return
            self.under_way = self.under_way[sent:]


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

    Raises
    ------
    OutputError
        The address is taken or may not be used.
    """

    def __init__(
        self, host: str, port: int | None, path: str | None = None, max_clients: int = 8
    ) -> None:
        self.drops = 0
        """Lines replaced by newer ones before a client took them, over all clients."""
        self.refused = 0
        """Connections closed at once, because there were too many."""
        self.port: int | None = None
        """The TCP port, or None."""
        self._max_clients = max_clients
        self._path = path
        self._clients: dict[int, _Client] = {}
        self._lock = threading.Lock()  # guards the clients' waiting lines and the counters
        self._closing = False
        self._selector = selectors.DefaultSelector()
        self._woken, self._waker = socket.socketpair()
        for end in (self._woken, self._waker):
            end.setblocking(False)
        self._selector.register(self._woken, selectors.EVENT_READ, None)
        self._listeners: list[socket.socket] = []
        try:
            if port is not None:
                listener = _listen_tcp(host, port)
                self.port = listener.getsockname()[1]
                self._add_listener(listener)
            if path is not None:
                self._add_listener(_listen_unix(path))
        except OutputError:
            self._release()
            raise
        self._thread = threading.Thread(target=self._serve, name="stream", daemon=True)
        self._thread.start()

    @property
    def clients(self) -> int:
        """Connections at this moment."""
        with self._lock:
            return len(self._clients)

    def publish(self, kind: str, line: bytes) -> None:
        """Offer `line` to every client; of each `kind` only the newest waits."""
        with self._lock:
            for client in self._clients.values():
                self.drops += client.offer(kind, line)
        self._wake()

    def close(self) -> None:
        """Finish the lines under way as far as clients take them at once, and hang up."""
        self._closing = True
        self._wake()
        self._thread.join(_CLOSE_WAIT_S)

    def _add_listener(self, listener: socket.socket) -> None:
        listener.setblocking(False)
        self._listeners.append(listener)
        self._selector.register(listener, selectors.EVENT_READ, listener)

    def _wake(self) -> None:
        with contextlib.suppress(OSError):  # full: it is awake already; closed: nobody is there
            self._waker.send(b"\0")

    def _serve(self) -> None:
        try:
            while not self._closing:
                for key, _ in self._selector.select():
                    if key.data is None:
                        with contextlib.suppress(BlockingIOError):
                            self._woken.recv(4096)
                    elif isinstance(key.data, _Client):
                        self._hear(key.data)
                    else:
                        self._accept(key.data)
                self._push_all()
            self._push_all()
        finally:
            self._release()

    def _accept(self, listener: socket.socket) -> None:
        try:
            connection, _ = listener.accept()
        except OSError:
            # It has left again, or there are no descriptors; it would be asked again at once.
            time.sleep(_ACCEPT_PAUSE_S)
            return
        if len(self._clients) >= self._max_clients:
            self.refused += 1
            connection.close()
            return
        connection.setblocking(False)
        with contextlib.suppress(OSError):
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SEND_BYTES)
            if connection.family != socket.AF_UNIX:
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        client = _Client(connection)
        with self._lock:
            self._clients[connection.fileno()] = client
        self._selector.register(connection, selectors.EVENT_READ, client)

    def _hear(self, client: _Client) -> None:
        """Throw away what a client says; learn that it has closed its half."""
        if client.silent:
            return
        try:
            client.silent = not client.connection.recv(4096)
        except BlockingIOError:
            return
        except OSError:
            self._drop(client)

    def _push_all(self) -> None:
        for client in list(self._clients.values()):
            try:
                with self._lock:
                    client.push()
            except OSError:
                self._drop(client)
                continue
            # Asked to be told of room only while something waits, or it would be told for ever.
            events = 0 if client.silent else selectors.EVENT_READ
            if client.wants:
                events |= selectors.EVENT_WRITE
            self._watch(client, events)

    def _watch(self, client: _Client, events: int) -> None:
        try:
            if events:
                self._selector.modify(client.connection, events, client)
            else:
                self._selector.unregister(client.connection)
        except KeyError:
            if events:
                self._selector.register(client.connection, events, client)

    def _drop(self, client: _Client) -> None:
        with self._lock:
            self._clients.pop(client.connection.fileno(), None)
        with contextlib.suppress(KeyError):
            self._selector.unregister(client.connection)
        client.connection.close()

    def _release(self) -> None:
        for client in list(self._clients.values()):
            self._drop(client)
        for listener in self._listeners:
            with contextlib.suppress(KeyError):
                self._selector.unregister(listener)
            listener.close()
        if self._path is not None and any(s.family == socket.AF_UNIX for s in self._listeners):
            Path(self._path).unlink(missing_ok=True)
        self._selector.close()
        self._woken.close()
        self._waker.close()


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
        self._thread = threading.Thread(target=self._write, name="stdout stream", daemon=True)
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
        self._thread.join(_CLOSE_WAIT_S)

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


def publish_all(streams: Iterable[Any], kind: str, line: bytes) -> None:
    """Offer one line to every stream."""
    for stream in streams:
        stream.publish(kind, line)


def _listen_tcp(host: str, port: int) -> socket.socket:
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        listener = socket.create_server((host, port), family=family)
    except OSError as error:
        hint = "Another service may run; --set serve.port=0 takes a free port."
        raise _taken(error, f"stream {host}:{port}", hint) from error
    return listener


def _listen_unix(path: str) -> socket.socket:
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
    """Remove a socket that a killed service left; one that answers stays, and binding fails."""
    try:
        if not stat.S_ISSOCK(Path(path).stat().st_mode):
            return
    except OSError:
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        try:
            probe.connect(path)
        except OSError:
            Path(path).unlink(missing_ok=True)


def _taken(error: OSError, thing: str, hint: str) -> OutputError:
    return OutputError(
        thing, got=error.strerror or str(error), expected="a free address", hint=hint
    )
