"""Lines for browsers and other WebSocket clients, one page that shows them, markers back.

One event loop on a thread of its own serves everybody. As on TCP, each client has one line under
way and, of each kind, one waiting; a newer one replaces it, which is counted. Peers are not
trusted: sizes, numbers and times are limited before anything of theirs is looked at, and who
breaks a rule is closed. No image is ever sent.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hashlib
import hmac
import json
import logging
import re
import socket
import ssl
import time
from http import HTTPStatus
from importlib import resources
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qs, urlsplit

from realtime_affect.errors import UsageError
from realtime_affect.outputs.extra import import_extra
from realtime_affect.outputs.json_lines import VERSION, health_line, reading_line
from realtime_affect.outputs.stream_server import listen_tcp
from realtime_affect.outputs.streams.config import STREAMED
from realtime_affect.outputs.streams.rate import Allowance, RateLimit
from realtime_affect.outputs.streams.subscription import (
    MarkRequest,
    RequestError,
    Subscription,
    parse_request,
    schema_of,
)
from realtime_affect.schema import WITH_LANDMARKS
from realtime_affect.worker import Worker

if TYPE_CHECKING:
    from collections.abc import Callable

    from websockets.asyncio.server import Server, ServerConnection
    from websockets.http11 import Request, Response

    from realtime_affect.capture import SourceInfo
    from realtime_affect.outputs.streams.config import WebSocketConfig
    from realtime_affect.types import Reading

_LOG = logging.getLogger(__name__)

MAX_MESSAGE_BYTES: Final = 4096
"""Of a client's message; a larger one closes its connection before it is read."""

_MESSAGES_A_S: Final = 20.0  # of a client, on average
_BURST: Final = 40.0
_STRANGERS: Final = 32  # connections that have not (yet) become clients
_OPEN_S: Final = 5.0  # to send the request
_PING_S: Final = 15.0  # and as long again for the answer: who is gone without a word
_WRITE_BYTES: Final = 1 << 14
_SEND_BYTES: Final = 1 << 16
_CLOSE_S: Final = 2.0
_STREAM: Final = "/stream"
_PAGE_HEADERS: Final = {
    "Content-Type": "text/html; charset=utf-8",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}


class WebSocketServer:
    """Send every client what it subscribed to, the newest first; a sink that outlives runs.

    Any thread may call :meth:`write` and :meth:`tell`, which never wait for a client.

    Parameters
    ----------
    config : WebSocketConfig
    mark : callable, optional
        Takes the label of a client's marker and the monotonic time in nanoseconds of its moment;
        called on the server's thread, must not block.

    Raises
    ------
    DependencyError
        The extra ``streams`` is not installed.
    OutputError
        The address is taken.
    UsageError
        The certificate cannot be used.
    """

    def __init__(
        self, config: WebSocketConfig, mark: Callable[[str, int], None] | None = None
    ) -> None:
        import_extra("websockets", "the WebSocket stream", "streams")
        self.counts = dict.fromkeys(
            ("sent", "missed", "clients", "refused", "unread", "rejected", "markers"), 0
        )
        """Lines sent, and replaced by newer ones; clients now; connections that were one too many,
        read nothing, or broke a rule; markers taken."""
        self._config = config
        self._mark = mark if config.markers else None
        self._tls = None if config.certificate is None else _tls_of(config)
        self._listener = listen_tcp(config.host, config.port, "websocket")
        self.port: int = self._listener.getsockname()[1]
        """Where it listens."""
        self._clients: set[_Client] = set()  # the loop's thread alone changes these two
        self._transports: set[asyncio.Transport] = set()
        self._wanted: frozenset[Subscription] = frozenset()
        self._hello = _hello_line()
        self._page = resources.files(__package__).joinpath("live.html").read_bytes()
        self._page_headers = {**_PAGE_HEADERS, "Content-Security-Policy": _policy(self._page)}
        self._loop = asyncio.new_event_loop()
        self._closing = asyncio.Event()
        self._thread = Worker("websocket", self._run)
        self._thread.start()

    @property
    def connections(self) -> int:
        """Clients, and who has not become one yet."""
        return len(self._transports)

    @property
    def url(self) -> str:
        """Of the page."""
        scheme = "http" if self._tls is None else "https"
        host = self._config.host
        return f"{scheme}://{f'[{host}]' if ':' in host else host}:{self.port}/"

    def open(self, info: SourceInfo) -> None:
        """Do nothing: clients come when they like."""

    def write(self, reading: Reading) -> None:
        """Offer one reading to every client."""
        now_ns = time.monotonic_ns()
        lines = {
            groups: _text(reading_line(reading, now_ns, schema_of(groups)))
            for groups in {wanted.groups for wanted in self._wanted}
        }
        if lines:
            self._call(self._offer_reading, lines)

    def close(self) -> None:
        """Do nothing: the server goes on to the next run."""

    def tell(self, health: dict[str, Any]) -> None:
        """Offer every client a line of health."""
        self._call(self._offer, "health", _text(health_line(health)))

    def shut_down(self) -> None:
        """Say goodbye to every client and stop listening. Idempotent."""
        self._call(self._closing.set)
        self._thread.wait(2 * _CLOSE_S)

    def _call(self, what: Any, *arguments: object) -> None:
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody is there
            self._loop.call_soon_threadsafe(what, *arguments)

    def _offer_reading(self, lines: dict[frozenset[Any], str]) -> None:
        now_s = self._loop.time()
        for client in self._clients:
            line = lines.get(client.subscription.groups)
            if line is not None and client.rate.allows(now_s):
                client.offer("reading", line)

    def _offer(self, kind: str, line: str) -> None:
        for client in self._clients:
            client.offer(kind, line)

    def _run(self) -> None:
        try:
            self._loop.run_until_complete(self._serve())
        finally:
            self._listener.close()
            with contextlib.suppress(Exception):
                self._loop.run_until_complete(self._loop.shutdown_asyncgens())
            self._loop.close()

    async def _serve(self) -> None:
        from websockets.asyncio.server import serve
        from websockets.typing import Origin

        names = {"127.0.0.1", "localhost", "[::1]", urlsplit(self.url).hostname or ""}
        scheme = urlsplit(self.url).scheme
        ours = [f"{scheme}://{name}:{self.port}" for name in sorted(names - {""})]
        tls: dict[str, Any] = {} if self._tls is None else {"ssl_handshake_timeout": _OPEN_S}
        quiet = logging.Logger("websockets", logging.CRITICAL + 1)  # strangers write no log
        server: Server = await serve(
            self._follow, sock=self._listener, ssl=self._tls,
            # A program sends no origin; a page of someone else's does, and is not let in.
            origins=[None, *map(Origin, (*ours, *self._config.origins))],
            compression=None, process_request=self._answer, server_header=None,
            open_timeout=_OPEN_S, close_timeout=_CLOSE_S, ping_interval=_PING_S,
            ping_timeout=_PING_S,
            max_size=MAX_MESSAGE_BYTES, max_queue=4, write_limit=_WRITE_BYTES, logger=quiet,
            create_connection=self._connection_class(),
            **tls,
        )  # fmt: skip
        await self._closing.wait()
        server.close()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(server.wait_closed(), _CLOSE_S)
        for transport in list(self._transports):
            transport.abort()
        left = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)
        while self._transports:  # aborted ones are let go of in the loop's next rounds
            await asyncio.sleep(0)

    def _connection_class(self) -> type[ServerConnection]:
        """Return connections that are closed at once where there are too many."""
        from websockets.asyncio.server import ServerConnection

        owner, most = self, self._config.max_clients + _STRANGERS

        class Counted(ServerConnection):
            def connection_made(self, transport: Any) -> None:
                self._counted = transport
                owner._transports.add(transport)
                super().connection_made(transport)
                if len(owner._transports) > most:
                    owner.counts["refused"] += 1
                    transport.abort()

            def connection_lost(self, exc: Exception | None) -> None:
                owner._transports.discard(self._counted)
                super().connection_lost(exc)

        return Counted

    def _answer(self, connection: ServerConnection, request: Request) -> Response | None:
        """Answer a request, or let it become a connection (None)."""
        address = urlsplit(request.path)
        if address.path == "/" and "Upgrade" not in request.headers:
            return self._page_response(connection)
        if address.path != _STREAM:
            return connection.respond(HTTPStatus.NOT_FOUND, "/ is the page, /stream the stream\n")
        if not self._knows_token(request, address.query):
            self.counts["rejected"] += 1
            return connection.respond(HTTPStatus.UNAUTHORIZED, "a token is needed\n")
        if len(self._clients) >= self._config.max_clients:
            self.counts["refused"] += 1
            return connection.respond(HTTPStatus.SERVICE_UNAVAILABLE, "too many clients\n")
        return None

    def _page_response(self, connection: ServerConnection) -> Response:
        response = connection.respond(HTTPStatus.OK, "")
        response.body = self._page
        for name in ("Content-Length", "Content-Type"):
            del response.headers[name]
        response.headers["Content-Length"] = str(len(self._page))
        response.headers.update(self._page_headers)
        return response

    def _knows_token(self, request: Request, query: str) -> bool:
        if self._config.token is None:
            return True
        header = ", ".join(request.headers.get_all("Authorization"))
        shown = header.removeprefix("Bearer ") or parse_qs(query).get("token", [""])[0]
        return hmac.compare_digest(shown.encode(), self._config.token.encode())

    async def _follow(self, connection: ServerConnection) -> None:
        """Serve one client until it leaves."""
        from websockets.exceptions import ConnectionClosed

        if len(self._clients) >= self._config.max_clients:  # it came while others did
            self.counts["refused"] += 1
            await connection.close(1013, "too many clients")
            return
        client = _Client(self, connection)
        self._clients.add(client)
        self._count()
        client.offer("hello", self._hello)
        sending = asyncio.create_task(client.send_all(self._config.unread_s))
        try:
            async for message in connection:
                if not await self._take(client, message):
                    return
        except ConnectionClosed:
            pass
        finally:
            sending.cancel()
            self._clients.discard(client)
            self._count()

    async def _take(self, client: _Client, message: str | bytes) -> bool:
        """Do what a client asks for; return whether it may go on."""
        if not client.messages.take(self._loop.time()):
            self.counts["rejected"] += 1
            await client.connection.close(1008, f"more than {_MESSAGES_A_S:g} messages a second")
            return False
        try:
            request = parse_request(message)
            if isinstance(request, Subscription):
                client.subscribe(request)
                self._count()
            else:
                self._set_marker(request)
        except RequestError as error:
            client.offer("error", json.dumps({"v": VERSION, "kind": "error", "error": str(error)}))
        return True

    def _set_marker(self, request: MarkRequest) -> None:
        if self._mark is None:
            message = "markers are not taken here (websocket.markers)"
            raise RequestError(message)
        self._mark(request.marker, time.monotonic_ns() - int(request.ago_ms * 1e6))
        self.counts["markers"] += 1

    def _count(self) -> None:
        self.counts["clients"] = len(self._clients)
        self._wanted = frozenset(client.subscription for client in self._clients)

    def note_unread(self) -> None:
        """Learn that a client was hung up on; the loop's thread calls."""
        self.counts["unread"] += 1
        _LOG.warning("hung up on a client that read nothing for %g s", self._config.unread_s)


class _Client:
    """One connection: what waits for it, by kind, and what it asked for."""

    def __init__(self, server: WebSocketServer, connection: ServerConnection) -> None:
        self.connection = connection
        self.subscribe(Subscription())
        self._server = server
        self._waiting: dict[str, str] = {}
        self._changed = asyncio.Event()
        self.messages = Allowance(_MESSAGES_A_S, _BURST)
        """What it may still send."""
        with contextlib.suppress(OSError, AttributeError):
            opened = connection.transport.get_extra_info("socket")
            opened.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SEND_BYTES)

    def subscribe(self, subscription: Subscription) -> None:
        """Send this from now on."""
        self.subscription, self.rate = subscription, RateLimit(subscription.rate_hz)

    def offer(self, kind: str, line: str) -> None:
        """Let `line` wait in the place of an older one of its kind."""
        self._server.counts["missed"] += kind in self._waiting
        self._waiting[kind] = line
        self._changed.set()

    async def send_all(self, unread_s: float) -> None:
        """Send what waits, as fast as the client takes it."""
        from websockets.exceptions import ConnectionClosed

        try:
            while True:
                await self._changed.wait()
                self._changed.clear()
                while self._waiting:
                    line = self._waiting.pop(next(iter(self._waiting)))
                    await asyncio.wait_for(self.connection.send(line), unread_s)
                    self._server.counts["sent"] += 1
        except TimeoutError:
            self._server.note_unread()
            self.hang_up()
        except ConnectionClosed:
            pass

    def hang_up(self) -> None:
        self.connection.transport.abort()


def _text(line: bytes) -> str:
    return line.decode().rstrip("\n")


def _hello_line() -> str:
    """Return the first line of each client: what there is to subscribe to, and its names."""
    measures = [
        {
            "name": measure.name, "group": measure.group, "unit": measure.unit,
            "trust": measure.trust, "parts": dict(zip(measure.parts, measure.labels, strict=True)),
            "trusts": {part: measure.trust_in(part) for part in measure.parts if measure.card},
        }
        for measure in WITH_LANDMARKS.measures if measure.key
    ]  # fmt: skip
    hello = {"v": VERSION, "kind": "hello", "groups": list(STREAMED), "measures": measures}
    return json.dumps(hello, separators=(",", ":"))


def _policy(page: bytes) -> str:
    """Return the page's Content-Security-Policy: its own style and script run, nothing else."""
    allowed = {}
    for kind in ("style", "script"):
        found = re.search(rf"<{kind}>(.*?)</{kind}>".encode(), page, re.DOTALL)
        assert found is not None
        digest = base64.b64encode(hashlib.sha256(found[1]).digest()).decode()
        allowed[kind] = f"{kind}-src 'sha256-{digest}'"
    return (
        f"default-src 'none'; {allowed['style']}; {allowed['script']}; connect-src 'self'; "
        "img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )


def _tls_of(config: WebSocketConfig) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_cert_chain(config.certificate or "", config.key)
    except (OSError, ValueError) as error:
        raise UsageError(
            thing=f"config key 'websocket.certificate' {config.certificate}",
            got=getattr(error, "strerror", None) or str(error),
            expected="a PEM file with the certificate, and its private key in it or in"
            " websocket.key",
            hint="Both must be readable by whoever runs this; the key without a password.",
        ) from error
    return context
