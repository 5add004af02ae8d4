"""All streams of one run at once, by their own clients; and what a run's record says of them."""

import contextlib
import json
import socket
import threading
import time
from contextlib import closing

import pytest
from websockets.sync.client import connect

from realtime_affect.config import Config
from realtime_affect.errors import OutputError
from realtime_affect.outputs.manifest import Manifest
from realtime_affect.outputs.recording import OutputFiles, Recording, conclude_run
from realtime_affect.outputs.streams import pattern
from realtime_affect.outputs.streams.opened import OpenStreams
from realtime_affect.outputs.streams.pattern import pattern_pipeline, shown_at
from realtime_affect.runtime.pipeline import Pipeline
from tests.realtime_affect.outputs.streams.test_websocket import Deaf
from tests.realtime_affect.runtime.test_pipeline import PacedSource

LIMIT_S = 60.0
ALL = {
    "websocket.enabled": True, "websocket.port": 0, "osc.enabled": True, "serve.in_run": True,
    "serve.port": 0,
}  # fmt: skip


def test_nothing_is_open_unless_it_is_configured():
    with OpenStreams(Config()) as streams:
        assert streams.names == ()
        assert streams.stats() == {}
        with pattern_pipeline(1, frames=1) as pipeline:
            streams.attach(pipeline)
            assert pipeline.stats().sinks == {}


def test_every_stream_tells_the_same_and_the_record_what_each_missed(tmp_path):
    with closing(socket.socket(type=socket.SOCK_DGRAM)) as osc:
        osc.bind(("127.0.0.1", 0))
        osc.settimeout(LIMIT_S)
        config = Config().with_values(ALL | {"osc.port": osc.getsockname()[1]})
        with pattern_pipeline(2) as pipeline, OpenStreams(config) as streams:
            streams.attach(pipeline)
            manifest = Manifest(tmp_path, "run", config, ["pattern"])
            with Recording(pipeline, OutputFiles(tmp_path / "a.csv"), config, "p", manifest) as run:
                address = f"ws://127.0.0.1:{streams.websocket.port}/stream"
                with (
                    connect(address, compression=None) as web,
                    closing(socket.create_connection(("127.0.0.1", streams.lines[0].port))) as tcp,
                    tcp.makefile("rb") as lines,
                ):
                    pipeline.start()
                    assert osc.recv(2000).startswith(b"#bundle\0")
                    kinds, marked = set(), []
                    web.send('{"marker": "begin"}')
                    end = time.monotonic() + LIMIT_S
                    while not (marked and {"hello", "reading", "health"} <= kinds):
                        assert time.monotonic() < end, (kinds, marked)
                        line = json.loads(web.recv(LIMIT_S))
                        kinds.add(line["kind"])
                        marked = line.get("markers", marked)
                    line = json.loads(lines.readline())
                    face = line["faces"][0]
                    shown = shown_at(line["t_ns"], face["id"])
                    assert face["units"][shown.unit] == pytest.approx(shown.intensity, abs=2e-3)
                pipeline.stop()
                summary = run.finish()
            conclude_run(manifest, summary, run.failure, streams.stats())
    assert [(m["label"], m["origin"]) for m in marked] == [("begin", "websocket")]
    told = json.loads(manifest.path.read_text())["streams"]
    assert set(told) == {"websocket", "osc", "lines"}
    assert told["websocket"]["markers"] == 1
    assert told["lines"]["missed"] >= 0
    assert told["osc"]["sent"] > 0
    for counts in told.values():
        assert counts["offered"] > counts["drops"] >= 0
    assert "begin" in (tmp_path / "a.csv").read_text()


def test_a_stream_that_cannot_be_opened_leaves_none_open():
    with closing(socket.create_server(("127.0.0.1", 0))) as taken:
        values = ALL | {"serve.port": 0, "websocket.port": taken.getsockname()[1]}
        with pytest.raises(OSError, match="in use"):
            OpenStreams(Config().with_values(values))


def test_streams_that_close_first_break_nothing(caplog):
    values = {name: value for name, value in ALL.items() if "serve" not in name}
    try:
        streams = OpenStreams(Config().with_values(values | {"lsl.enabled": True}))
    except OutputError as error:
        pytest.skip(f"LSL cannot be kept to this machine here: {error.got}")
    with pattern_pipeline(1, fps=200) as pipeline:
        streams.attach(pipeline)
        pipeline.start()
        while not streams.stats()["lsl"]["sent"]:
            assert pipeline.running
        streams.close()
        slot = pipeline.subscribe()
        for _ in range(5):
            slot.get(LIMIT_S)
    assert [record for record in caplog.records if record.levelname in ("WARNING", "ERROR")] == []
    assert streams.stats()["osc"]["refused"] == 0


def test_peers_that_are_deaf_dead_or_flooding_cost_no_frame():
    """Each frame comes when the one before it was analysed: none is lost, however slow this is."""
    values = ALL | {"osc.port": 9, "serve.max_clients": 2, "websocket.max_clients": 2}
    over = threading.Event()
    with OpenStreams(Config().with_values(values)) as streams, contextlib.ExitStack() as held:
        ports = streams.lines[0].port, streams.websocket.port

        def wait(index):
            while pipeline.stats().frames_analysed < index:
                time.sleep(0.001)

        parts = {"vision": pattern._Vision(4), "affect": pattern._Affect()}
        pipeline = held.enter_context(Pipeline(PacedSource(100, wait), live=True, **parts))
        streams.attach(pipeline)
        deaf = held.enter_context(closing(Deaf(streams.websocket)))
        held.enter_context(closing(socket.create_connection(("127.0.0.1", ports[0]))))

        floods = []

        def flood():
            while not over.is_set():
                for port in ports:
                    with (
                        contextlib.suppress(OSError),
                        socket.create_connection(("127.0.0.1", port)) as one,
                    ):
                        one.sendall(b"\xff" * 5000)
                        floods.append(port)

        flooding = threading.Thread(target=flood, daemon=True)
        flooding.start()
        while len(floods) < 2:
            time.sleep(0.001)
        pipeline.start()
        ended = pipeline.join(LIMIT_S)
        over.set()
        flooding.join()
        assert deaf.socket.recv(12) == b"HTTP/1.1 101"
    stats = pipeline.stats()
    assert ended
    assert (stats.frames_analysed, stats.drops) == (100, 0)
    assert len(floods) > 1
