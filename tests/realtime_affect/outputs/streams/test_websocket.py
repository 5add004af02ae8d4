"""The WebSocket stream, by real clients of the same library and by plain sockets."""

import contextlib
import json
import re
import socket
import ssl
import subprocess
import time
import urllib.error
import urllib.request
from contextlib import closing, contextmanager
from dataclasses import replace

import pytest
from websockets.exceptions import ConnectionClosed, InvalidMessage, InvalidStatus
from websockets.sync.client import connect

from realtime_affect.errors import OutputError, UsageError
from realtime_affect.markers import Marker
from realtime_affect.outputs.json_lines import VERSION
from realtime_affect.outputs.streams import websocket as module
from realtime_affect.outputs.streams.config import WebSocketConfig
from realtime_affect.outputs.streams.websocket import MAX_MESSAGE_BYTES, WebSocketServer
from tests.realtime_affect.outputs.test_csv_rows import reading

LIMIT_S = 60.0  # ends what hangs; nothing is measured by it
TOKEN = "0123456789abcdef-and-more"
HANDSHAKE = (
    b"GET /stream HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)


def wait_until(true):
    end = time.monotonic() + LIMIT_S
    while not true():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.005)


@contextmanager
def serving(mark=None, **values):
    config = WebSocketConfig(enabled=True, port=0, **values)
    server = WebSocketServer(config, mark)
    try:
        yield server
    finally:
        server.shut_down()


def address(server, query=""):
    return f"ws://127.0.0.1:{server.port}/stream{query}"


@contextmanager
def client_of(server, query="", **options):
    """A client whose first line is read: the server knows it by then."""
    options = {"compression": None, "max_size": None, "open_timeout": LIMIT_S} | options
    with connect(address(server, query), **options) as client:
        client.hello = told(client)
        yield client


def told(client):
    return json.loads(client.recv(LIMIT_S))


def ask(client, **request):
    client.send(json.dumps(request))


@pytest.fixture(scope="module")
def shared():
    """One server for the tests that leave it as it was."""
    marks = []
    with serving(lambda label, at_ns: marks.append((label, at_ns))) as server:
        server.marks = marks
        yield server


def test_the_first_line_says_what_there_is_and_readings_follow(shared):
    with client_of(shared) as client:
        assert (client.hello["kind"], client.hello["v"]) == ("hello", VERSION)
        units = next(m for m in client.hello["measures"] if m["name"] == "action_unit_intensity")
        assert units["parts"]["AU12"] == "lip corner puller"
        assert units["trusts"]["AU12"] == "high"
        marked = replace(reading(3), markers=(Marker(1, 5, "begin"),))
        shared.write(marked)
        line = told(client)
    assert (line["kind"], line["frame"], line["markers"][0]["label"]) == ("reading", 4, "begin")
    assert line["faces"][0]["expression"]["name"] == "sadness"
    assert "landmarks" not in json.dumps(line)


def test_a_client_gets_the_groups_that_it_asks_for(shared):
    with client_of(shared) as client, client_of(shared) as other:
        ask(client, subscribe={"groups": ["expression"], "rate_hz": 1000})
        wait_until(lambda: len({s.groups for s in shared._wanted}) == 2)
        shared.write(reading())
        shared.tell({"state": "online"})
        first, health = told(client), told(client)
        assert "units" in told(other)["faces"][0]
        face = first["faces"][0]
        assert set(face) == {"id", "box", "confidence", "measured", "quality", "expression"}
        assert "markers" not in first
        assert health == {"v": VERSION, "kind": "health", "state": "online"}
        assert told(other)["kind"] == "health"


@pytest.mark.parametrize(
    ("request_text", "why"),
    [
        ("[" * 4000, "JSON"),
        ("\udcff".encode("utf-8", "surrogateescape") + b"{}", "JSON"),
        (json.dumps({"subscribe": {"groups": ["souls"]}}), "subscribe.groups"),
        (json.dumps({"subscribe": {"rate_hz": 1e9}}), "1000"),
        (json.dumps({"subscribe": {"rate_hz": "fast"}}), "number"),
        (json.dumps({"marker": ""}), "1 character"),
        (json.dumps({"marker": "x" * 201}), "200 characters"),
        (json.dumps({"marker": "x", "ago_ms": -1}), "greater than or equal to 0"),
        (json.dumps({"exec": "rm"}), "expected"),
        ("7", "expected"),
    ],
)
def test_a_message_that_is_none_of_ours_is_answered_with_what_was_expected(
    shared, request_text, why
):
    with client_of(shared) as client:
        client.send(request_text)
        answer = told(client)
        assert answer["kind"] == "error"
        assert why in answer["error"]
        assert "subscribe" in answer["error"]


def test_a_client_marks_a_moment_and_says_how_long_ago_it_was(shared):
    with client_of(shared) as client:
        before_ns = time.monotonic_ns()
        ask(client, marker="stimulus 3")
        ask(client, marker="earlier", ago_ms=5000)
        wait_until(lambda: len(shared.marks) == 2)
    (one, at_ns), (two, earlier_ns) = shared.marks
    assert (one, two) == ("stimulus 3", "earlier")
    assert at_ns >= before_ns
    assert earlier_ns < before_ns < time.monotonic_ns()
    assert shared.counts["markers"] == 2


def test_markers_can_be_switched_off():
    with serving(lambda label, at_ns: None, markers=False) as server, client_of(server) as client:
        ask(client, marker="x")
        assert "websocket.markers" in told(client)["error"]


def test_the_page_stands_beside_the_stream_and_needs_nothing_from_elsewhere(shared):
    with urllib.request.urlopen(shared.url, timeout=LIMIT_S) as answer:
        page, headers = answer.read().decode(), answer.headers
    assert headers["Content-Type"] == "text/html; charset=utf-8"
    policy = headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert re.findall(r"(?:src|href)=\"([^\"]*)\"", page) == ["data:,"]
    assert not re.search(r"https?://(?!\")|@import|url\(", page.replace("ws://", ""))
    for path in ("/stream", "/../etc/passwd", "/x"):
        with pytest.raises(urllib.error.HTTPError):
            urllib.request.urlopen(shared.url.rstrip("/") + path, timeout=LIMIT_S)


@pytest.mark.parametrize("origin", ["http://evil.example", "http://127.0.0.1:1", "null"])
def test_a_page_of_someone_else_is_not_let_in(shared, origin):
    with pytest.raises(InvalidStatus, match="403"):
        connect(address(shared), origin=origin)


def test_our_own_page_and_those_named_are_let_in():
    with serving(origins=["https://lab.example"]) as server:
        ours = f"http://localhost:{server.port}"
        for origin in (ours, "https://lab.example"):
            with client_of(server, origin=origin):
                pass
            wait_until(lambda: server.counts["clients"] == 0)


def test_a_token_is_asked_for_and_may_come_as_header_or_in_the_address():
    with serving(token=TOKEN) as server:
        for query in ("", "?token=wrong", "?token=" + TOKEN[:-1], "?token=%00%ff"):
            with pytest.raises(InvalidStatus, match="401"):
                connect(address(server, query))
        assert server.counts["rejected"] == 4
        with client_of(server, "?token=" + TOKEN):
            pass
        wait_until(lambda: server.counts["clients"] == 0)
        with client_of(server, additional_headers={"Authorization": f"Bearer {TOKEN}"}):
            pass


def test_one_client_too_many_is_told_so_and_one_that_leaves_makes_room():
    with serving(max_clients=1) as server:
        with client_of(server):
            with pytest.raises(InvalidStatus, match="503"):
                connect(address(server))
            assert server.counts["refused"] == 1
        wait_until(lambda: server.counts["clients"] == 0)
        with client_of(server):
            pass


def test_a_huge_message_closes_its_connection_and_nobody_else_s(shared):
    with client_of(shared) as bad, client_of(shared) as good:
        with contextlib.suppress(ConnectionClosed, OSError):  # closed while it was sending
            bad.send("x" * (MAX_MESSAGE_BYTES + 1))
        with pytest.raises(ConnectionClosed, match="1009"):
            bad.recv(LIMIT_S)
        shared.write(reading(8))
        assert told(good)["frame"] == 9


def test_a_client_that_floods_is_hung_up_on(shared):
    with client_of(shared) as client:
        with contextlib.suppress(ConnectionClosed, OSError):
            for _ in range(3000):
                client.send('{"marker": ""}')
        with pytest.raises(ConnectionClosed, match="1008"):
            list(iter(lambda: client.recv(LIMIT_S), None))


class Deaf:
    """A client that shook hands and then reads nothing."""

    def __init__(self, server):
        self.socket = socket.socket()
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        self.socket.settimeout(LIMIT_S)
        self.socket.connect(("127.0.0.1", server.port))
        self.socket.sendall(HANDSHAKE)

    def close(self):
        self.socket.close()


def test_for_a_client_that_does_not_read_the_newest_wins_and_what_it_missed_is_counted():
    with serving(unread_s=LIMIT_S) as server, closing(Deaf(server)) as deaf:
        wait_until(lambda: server.counts["clients"] == 1)
        crowd = reading(0, faces=tuple(range(1, 30)))
        with client_of(server) as good:
            for n in range(60):
                server.write(
                    replace(crowd, scene=replace(crowd.scene, frame=reading(n).scene.frame))
                )
                assert told(good)["frame"] == n + 1
        assert server.counts["missed"] > 0
        got = b""
        while b'"frame":60,' not in got:
            got += deaf.socket.recv(1 << 16)
        assert got.count(b'"kind":"reading"') < 60


def test_a_client_that_reads_nothing_in_time_makes_room_for_the_next():
    with serving(unread_s=0.3, max_clients=1) as server, closing(Deaf(server)):
        wait_until(lambda: server.counts["clients"] == 1)
        crowd = reading(0, faces=tuple(range(1, 30)))

        def unread():
            server.write(crowd)
            return server.counts["unread"] == 1

        wait_until(unread)
        wait_until(lambda: server.counts["clients"] == 0)
        with client_of(server):
            pass


GARBAGE = [
    b"", b"\r\n" * 100, b"\x00\xff" * 2000, b"GET / HTTP/1.1\r\n" + b"X: " + b"y" * 100_000,
    b"GET /stream HTTP/9.9\r\n\r\n", b"POST / HTTP/1.1\r\nContent-Length: 99999999\r\n\r\nabc",
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x00" * 64,
    b"GET /%00%2e%2e/ HTTP/1.1\r\n\r\n", HANDSHAKE + b"\xff" * 500,
]  # fmt: skip


def test_garbage_half_open_and_two_hundred_connections_cost_nobody_a_line(monkeypatch):
    monkeypatch.setattr(module, "_OPEN_S", 1.0)
    with (
        serving(max_clients=4) as server,
        client_of(server) as good,
        contextlib.ExitStack() as held,
    ):
        for n in range(200):
            stranger = held.enter_context(socket.create_connection(("127.0.0.1", server.port)))
            with contextlib.suppress(OSError):
                stranger.sendall(GARBAGE[n % len(GARBAGE)])
            if n % 20 == 0:
                server.write(reading(n))
                assert told(good)["frame"] == n + 1
        # Those that are one too many are let go of a round of the loop after they came.
        wait_until(lambda: server.connections <= 4 + module._STRANGERS)
        wait_until(lambda: server.connections == 1)  # those that said nothing were closed too
        assert server.counts["refused"] > 0
        server.write(reading(300))
        assert told(good)["frame"] == 301
        assert server.counts["missed"] == 0


def test_closing_says_goodbye_and_ends_the_thread():
    with serving() as server, client_of(server) as client:
        server.shut_down()
        with pytest.raises(ConnectionClosed, match="1001"):
            client.recv(LIMIT_S)
        wait_until(lambda: not server._thread._thread.is_alive())
        server.write(reading())
        server.shut_down()


def test_a_port_that_is_taken_says_so(shared):
    config = WebSocketConfig(enabled=True, port=shared.port)
    with pytest.raises(OutputError, match=r"in use.*websocket\.port=0"):
        WebSocketServer(config)


def test_with_a_certificate_it_is_https_and_wss_alone(tmp_path):
    certificate, key = tmp_path / "c.pem", tmp_path / "k.pem"
    made = [
        "openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1",
        "-nodes", "-keyout", key, "-out", certificate, "-days", "2", "-subj", "/CN=localhost",
        "-addext", "subjectAltName=IP:127.0.0.1",
    ]  # fmt: skip
    try:
        subprocess.run(made, check=True, capture_output=True)
    except FileNotFoundError:
        pytest.skip("openssl is not installed, to make a certificate with")
    with serving(certificate=str(certificate), key=str(key)) as server:
        trust = ssl.create_default_context(cafile=str(certificate))
        with connect(f"wss://127.0.0.1:{server.port}/stream", ssl=trust) as client:
            assert told(client)["kind"] == "hello"
        with urllib.request.urlopen(server.url, context=trust, timeout=LIMIT_S) as answer:
            assert answer.status == 200
        with pytest.raises((InvalidMessage, OSError)):
            connect(address(server), open_timeout=LIMIT_S)
    certificate.write_text("no certificate")
    with pytest.raises(UsageError, match=r"websocket\.certificate.*PEM"):
        WebSocketServer(WebSocketConfig(enabled=True, port=0, certificate=str(certificate)))
