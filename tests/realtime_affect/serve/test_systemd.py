import os
import socket

import pytest

from realtime_affect.serve.systemd import Supervisor


@pytest.fixture(params=["file", "abstract"])
def manager(request, tmp_path):
    """A service manager's end of the socket, and its address as the environment has it."""
    name = str(tmp_path / "notify") if request.param == "file" else f"@affect-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as end:
        end.bind(name.replace("@", "\0", 1))
        end.settimeout(5.0)
        yield end, name


def test_it_says_ready_alive_and_stopping(manager):
    end, name = manager
    supervisor = Supervisor({"NOTIFY_SOCKET": name})
    assert supervisor.there
    supervisor.ready("online")
    assert end.recv(4096) == b"READY=1\nSTATUS=online"
    supervisor.alive("two\nlines")
    assert end.recv(4096) == b"WATCHDOG=1\nSTATUS=two lines"
    supervisor.status("stalled")
    assert end.recv(4096) == b"STATUS=stalled"
    supervisor.stopping()
    assert end.recv(4096) == b"STOPPING=1"


def test_without_systemd_nothing_happens():
    supervisor = Supervisor({})
    supervisor.ready("online")
    assert not supervisor.there
    assert supervisor.watchdog_s is None


def test_a_manager_that_has_gone_does_not_end_the_service(tmp_path):
    Supervisor({"NOTIFY_SOCKET": str(tmp_path / "nobody")}).alive("online")


@pytest.mark.parametrize(
    ("environment", "seconds"),
    [
        ({"WATCHDOG_USEC": "30000000"}, 30.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": str(os.getpid())}, 30.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "1"}, None),
        ({"WATCHDOG_USEC": "0"}, None),
        ({"WATCHDOG_USEC": "soon"}, None),
    ],
)
def test_the_watchdog_s_time_is_read_where_it_is_meant_for_us(environment, seconds):
    assert Supervisor(environment).watchdog_s == seconds
