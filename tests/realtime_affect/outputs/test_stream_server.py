import json
import os
import socket
import time
from contextlib import closing

import pytest

from realtime_affect.errors import OutputError, UsageError
from realtime_affect.outputs.stream_server import StdoutStream, StreamServer

LIMIT_S = 60.0  # ends what hangs; nothing is measured by it


def wait_until(true):
    end = time.monotonic() + LIMIT_S
    while not true():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.005)


def line(n, size=0):
    return json.dumps({"n": n, "rest": "x" * size}).encode() + b"\n"


@pytest.fixture
def server():
    with closing(StreamServer("127.0.0.1", 0, max_clients=2)) as opened:
        yield opened


def join(server):
    before = server.clients
    client = socket.create_connection(("127.0.0.1", server.port), LIMIT_S)
    wait_until(lambda: server.clients == before + 1)
    return client


def numbers(stream, n):
    return [json.loads(stream.readline())["n"] for _ in range(n)]


@pytest.mark.survival(24)
def test_every_client_gets_the_lines_from_when_it_came(server):
    server.publish("reading", line(0))  # nobody is there
    with join(server) as one, one.makefile("rb") as first:
        server.publish("reading", line(1))
        assert numbers(first, 1) == [1]
        with join(server) as two, two.makefile("rb") as second:
            server.publish("reading", line(2))
            assert numbers(first, 1) == numbers(second, 1) == [2]
    assert server.drops == 0


@pytest.mark.survival(24)
def test_a_client_that_never_reads_costs_the_others_nothing_and_gets_the_newest_at_last(server):
    big = 200_000
    with join(server) as lazy, join(server) as busy, busy.makefile("rb") as stream:
        for n in range(24):
            server.publish("reading", line(n, big))
            assert numbers(stream, 1) == [n]
        assert server.drops > 0
        with lazy.makefile("rb") as late:
            told = [json.loads(late.readline())["n"]]
            while told[-1] != 23:
                told.append(json.loads(late.readline())["n"])  # whole lines, or this raises
        assert told == sorted(set(told))
        assert server.drops == 24 - len(told)


def test_a_newer_line_replaces_only_one_of_its_own_kind(server):
    with join(server) as lazy:
        for n in range(12):
            server.publish("reading", line(n, 200_000))
        server.publish("health", b'{"n": "health"}\n')
        with lazy.makefile("rb") as stream:
            told = []
            while len(told) < 2 or not {"health", 11} <= set(told):
                told += numbers(stream, 1)
        assert told.count("health") == 1


def test_one_client_too_many_is_hung_up_on_and_counted(server):
    with join(server), join(server):
        with socket.create_connection(("127.0.0.1", server.port), LIMIT_S) as third:
            assert third.recv(10) == b""
        assert (server.clients, server.refused) == (2, 1)


@pytest.mark.survival(24)
def test_a_client_that_leaves_makes_room(server):
    join(server).close()
    end = time.monotonic() + LIMIT_S
    while server.clients:
        server.publish("reading", line(0))
        assert time.monotonic() < end
        time.sleep(0.01)
    with join(server) as next_one, next_one.makefile("rb") as stream:
        server.publish("reading", line(5))
        assert numbers(stream, 1) == [5]


def test_a_client_that_only_closed_its_own_half_still_hears(server):
    with join(server) as client, client.makefile("rb") as stream:
        client.sendall(b"hello\n")
        client.shutdown(socket.SHUT_WR)
        time.sleep(0.05)
        server.publish("reading", line(1))
        assert numbers(stream, 1) == [1]


def test_close_hangs_up_after_the_last_line(server):
    with join(server) as client, client.makefile("rb") as stream:
        server.publish("reading", line(7))
        server.close()
        assert numbers(stream, 1) == [7]
        assert stream.readline() == b""


def test_a_unix_socket_gives_the_same_and_goes_with_the_service(tmp_path):
    path = tmp_path / "stream"
    with closing(StreamServer("127.0.0.1", None, str(path))) as server:
        assert server.port is None
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(LIMIT_S)
            client.connect(str(path))
            wait_until(lambda: server.clients == 1)
            server.publish("reading", line(3))
            with client.makefile("rb") as stream:
                assert numbers(stream, 1) == [3]
        with pytest.raises(OutputError, match="in use"):
            StreamServer("127.0.0.1", None, str(path))
    assert not path.exists()


def test_the_socket_of_a_killed_service_is_replaced(tmp_path):
    path = tmp_path / "stream"
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    with closing(StreamServer("127.0.0.1", None, str(path))) as server:
        assert server.clients == 0


def test_a_file_in_the_socket_s_place_is_left_alone(tmp_path):
    path = tmp_path / "notes.txt"
    path.write_text("mine")
    with pytest.raises(OutputError):
        StreamServer("127.0.0.1", None, str(path))
    assert path.read_text() == "mine"


def test_a_port_that_is_taken_says_so(server):
    with pytest.raises(OutputError, match=r"127\.0\.0\.1.*in use.*serve\.port=0"):
        StreamServer("127.0.0.1", server.port)


@pytest.mark.parametrize("path", ["", "\0name", "a\0b"])
def test_a_socket_without_a_path_is_refused(path):
    with pytest.raises(UsageError, match=r"serve\.socket"):
        StreamServer("127.0.0.1", None, path)


def test_a_client_that_reads_nothing_in_time_makes_room_for_the_next():
    server = StreamServer("127.0.0.1", 0, max_clients=1, unread_s=0.3)
    with closing(server), join(server):
        for n in range(12):
            server.publish("reading", line(n, 400_000))
        wait_until(lambda: server.unread == 1 and server.clients == 0)
        with join(server) as next_one, next_one.makefile("rb") as stream:
            server.publish("reading", line(5))
            assert numbers(stream, 1) == [5]
        assert server.refused == 0


def test_a_client_that_only_has_nothing_to_read_keeps_its_place():
    with closing(StreamServer("127.0.0.1", 0, unread_s=0.05)) as server:
        with join(server) as client, client.makefile("rb") as stream:
            time.sleep(0.3)
            server.publish("reading", line(1))
            assert numbers(stream, 1) == [1]
        assert server.unread == 0


def test_a_socket_that_may_not_be_asked_is_not_taken_for_dead(tmp_path, monkeypatch):
    path = tmp_path / "stream"
    with socket.socket(socket.AF_UNIX) as other:
        other.bind(str(path))
        other.listen()

        def refuse(self, address):
            raise PermissionError

        monkeypatch.setattr(socket.socket, "connect", refuse)
        with pytest.raises(OutputError, match="in use"):
            StreamServer("127.0.0.1", None, str(path))
    assert path.is_socket()


def test_after_close_a_line_is_nobody_s_and_no_error(server):
    server.close()
    server.publish("reading", line(1))
    server.close()


def test_a_pipe_nobody_reads_holds_up_nothing():
    reader, writer = os.pipe()
    stream = StdoutStream(writer)
    os.close(writer)
    for n in range(30):
        stream.publish("reading", line(n, 60_000))
    assert stream.drops > 0
    os.close(reader)  # and one that goes away ends it quietly
    stream.close()


def test_standard_output_gets_whole_lines_and_the_last_one():
    reader, writer = os.pipe()
    stream = StdoutStream(writer)
    os.close(writer)
    stream.publish("reading", line(1))
    stream.close()
    with os.fdopen(reader, "rb") as lines:
        assert [json.loads(text)["n"] for text in lines] == [1]


def test_a_flood_of_connections_is_not_one_of_the_log(caplog):
    with closing(StreamServer("127.0.0.1", 0, max_clients=1)) as server, join(server):
        for _ in range(30):
            with socket.create_connection(("127.0.0.1", server.port), LIMIT_S) as stranger:
                assert stranger.recv(10) == b""
        assert server.refused == 30
    assert [r.levelname for r in caplog.records if "refused" in r.message] == ["WARNING"]


@pytest.mark.survival(24)
def test_one_that_comes_gets_the_place_of_one_that_reads_nothing():
    server = StreamServer("127.0.0.1", 0, max_clients=2, unread_s=600.0)
    with closing(server), join(server), join(server) as busy, busy.makefile("rb") as reading:
        for n in range(16):
            server.publish("reading", line(n, 400_000))
            assert numbers(reading, 1) == [n]

        def takes_its_place():
            with socket.create_connection(("127.0.0.1", server.port), LIMIT_S) as third:
                third.settimeout(0.1)
                for _ in range(20):  # taken in a moment after it has connected
                    server.publish("reading", line(99))
                    try:
                        return bool(third.recv(1))
                    except TimeoutError:
                        continue
                    except OSError:
                        return False
            return False

        wait_until(takes_its_place)
        assert server.unread >= 1
