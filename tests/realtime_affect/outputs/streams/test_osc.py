"""OSC, received by python-osc's own server."""

import time
from dataclasses import replace

import pytest
from pythonosc.osc_bundle import OscBundle
from pythonosc.osc_server import BlockingOSCUDPServer

from realtime_affect.errors import OutputError
from realtime_affect.markers import Marker
from realtime_affect.outputs.streams.config import OscConfig
from realtime_affect.outputs.streams.osc import OscSink
from realtime_affect.types import Frame, Scene
from tests.realtime_affect.micro_world import facial_event, with_micro
from tests.realtime_affect.outputs.test_csv_rows import reading


class Receiver:
    """A server that keeps the datagrams, and what its dispatcher is told."""

    def __init__(self):
        from pythonosc.dispatcher import Dispatcher

        self.told, self.datagrams = {}, []
        dispatcher = Dispatcher()
        dispatcher.set_default_handler(lambda path, *values: self.told.update({path: values}))
        self.server = BlockingOSCUDPServer(("127.0.0.1", 0), dispatcher)
        self.server.timeout = 60
        original = self.server.verify_request

        def keep(request, client):
            self.datagrams.append(request[0])
            return original(request, client)

        self.server.verify_request = keep
        self.port = self.server.server_address[1]

    def take(self, n):
        for _ in range(n):
            self.server.handle_request()


@pytest.fixture
def receiver():
    made = Receiver()
    yield made
    made.server.server_close()


def sink_to(receiver, **values):
    return OscSink(OscConfig(enabled=True, port=receiver.port, **values))


def send(sink, one):
    before = sink.counts["datagrams"]
    sink.write(one)
    return sink.counts["datagrams"] - before


def test_a_reading_is_a_bundle_with_the_documented_addresses(receiver):
    sink = sink_to(receiver, datagram_bytes=65_000)
    now_ns = time.monotonic_ns()
    scene = reading(6, 70).scene
    taken = Frame(6, 70, now_ns - 50_000_000, scene.frame.image)
    at_s = time.time() - 0.05  # noqa: TID251  (what the receiver's clock says)
    shown = replace(reading(6, 70), scene=Scene(taken, scene.tracks))
    assert send(sink, replace(shown, markers=(Marker(1, 0, "begin"),))) == 1
    receiver.take(1)
    assert OscBundle(receiver.datagrams[0]).timestamp == pytest.approx(at_s, abs=30)
    told = receiver.told
    assert told["/affect/frame"] == (7,)
    assert told["/affect/faces"] == (1,)
    assert told["/affect/age_ms"][0] >= 50
    assert told["/affect/marker"] == ("begin",)
    assert told["/affect/face/1/id"] == (1,)
    assert told["/affect/face/1/expression/sadness"][0] == pytest.approx(0.7)
    assert told["/affect/face/1/expression/expression"] == ("sadness",)
    assert told["/affect/face/1/action_units/AU02_r"] == (0.25,)
    assert told["/affect/face/1/face/success"] == (1,)
    assert told["/affect/face/1/head_pose/pose_Tz"] == (600.0,)
    assert "/affect/face/1/action_units/AU05_r" not in told  # not known
    sink.shut_down()


def test_a_reading_too_long_for_a_datagram_takes_several_with_one_time(receiver):
    sink = sink_to(receiver, datagram_bytes=600, faces=2)
    n = send(sink, reading(0, faces=(1, 2, 3)))
    receiver.take(n)
    assert n > 2
    assert max(map(len, receiver.datagrams)) <= 600
    assert len({OscBundle(datagram).timestamp for datagram in receiver.datagrams}) == 1
    assert "/affect/face/2/id" in receiver.told
    assert not [path for path in receiver.told if path.startswith("/affect/face/3")]
    sink.shut_down()


def test_groups_and_prefix_are_those_asked_for(receiver):
    sink = sink_to(receiver, groups=["expression"], prefix="/me/1")
    receiver.take(send(sink, reading()))
    paths = {path.rsplit("/", 1)[0] for path in receiver.told}
    assert paths == {"/me/1", "/me/1/face/1", "/me/1/face/1/expression"}
    sink.shut_down()


def test_events_go_out_once_and_whatever_the_rate(receiver):
    sink = sink_to(receiver, rate_hz=0.001, groups=["frame"])
    events = {1: [facial_event(1000)]}
    for n in range(3):
        receiver.take(send(sink, with_micro(reading(n, 1_600_000_000), events)))
    assert receiver.told["/affect/event/micro"][0] == 1
    assert receiver.told["/affect/frame"] == (1,)
    assert sink.counts["rate_limited"] == 2
    assert sink.counts["sent"] == 1
    sink.shut_down()


def test_a_receiver_that_is_gone_holds_up_nothing(receiver):
    sink = sink_to(receiver, rate_hz=1000)
    receiver.server.server_close()
    for n in range(50):
        sink.write(reading(n))
    assert sink.counts["sent"] + sink.counts["rate_limited"] == 50
    sink.shut_down()


def test_what_the_network_does_not_take_is_counted(receiver):
    sink = sink_to(receiver)
    sink.shut_down()
    sink.write(reading())
    assert sink.counts["refused"] > 0


def test_a_host_that_is_not_known_says_so():
    with pytest.raises(OutputError, match=r"a host that is known.*osc\.host"):
        OscSink(OscConfig(enabled=True, host="no-such-host.invalid", allow_remote=True))
