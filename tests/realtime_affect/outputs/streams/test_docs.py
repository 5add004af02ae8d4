"""The examples of docs/streams.md run, each against its other side."""

import re
import socket
import sys
import threading
from contextlib import closing
from pathlib import Path

import pytest

from realtime_affect.config import Config
from realtime_affect.errors import OutputError
from realtime_affect.measure import GROUPS
from realtime_affect.outputs.streams.opened import OpenStreams
from realtime_affect.outputs.streams.osc import osc_channels
from realtime_affect.outputs.streams.pattern import pattern_pipeline

PAGE = (Path(__file__).parents[4] / "docs" / "streams.md").read_text("utf-8")
EXAMPLES = re.findall(r"^```python\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)


def example(word):
    (found,) = (code for code in EXAMPLES if word in code)
    return found


def free_udp_port():
    with closing(socket.socket(type=socket.SOCK_DGRAM)) as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def run(code):
    exec(compile(code, "example.py", "exec"), {"__name__": "example"})


def while_sending(values, code, capsys):
    """Run `code` while the pattern goes to what `values` switch on; return what it printed."""
    config = Config().with_values(values)
    with pattern_pipeline(1) as pipeline, OpenStreams(config) as streams:
        streams.attach(pipeline)
        pipeline.start()
        run(code(streams) if callable(code) else code)
    return capsys.readouterr().out


def test_the_client_of_the_lines_has_twenty_lines_and_prints_units(monkeypatch, capsys):
    code = example("makefile")
    assert len(code.splitlines()) <= 20
    streams = OpenStreams(Config().with_values({"serve.in_run": True, "serve.port": 0}))
    monkeypatch.setattr(sys, "argv", ["client.py", str(streams.lines[0].port)])
    with streams, pattern_pipeline(1) as pipeline:
        client = threading.Thread(target=run, args=(code,))
        client.start()
        while not streams.lines[0].clients:
            assert client.is_alive()
        streams.attach(pipeline)
        pipeline.start()
        told = ""
        while "face 1: AU" not in told:
            assert client.is_alive()
            told += capsys.readouterr().out
        streams.close()  # hangs up, and with that the client ends
        client.join(60)
    assert not client.is_alive()


def test_the_osc_example_prints_a_probability(capsys):
    port = free_udp_port()
    values = {"osc.enabled": True, "osc.port": port}
    code = example("BlockingOSCUDPServer").replace("9000", str(port))
    assert "/affect/face/1/expression/happiness 0." in while_sending(values, code, capsys)


def test_the_lsl_example_prints_a_unit(capsys):
    name = f"docs {free_udp_port()}"
    values = {"lsl.enabled": True, "lsl.name": name}
    code = example("pylsl").replace("realtime-affect face 1", f"{name} face 1")
    try:
        told = while_sending(values, code, capsys)
    except OutputError as error:
        pytest.skip(f"LSL cannot be kept to this machine here: {error.got}")
    captured_s, au12 = map(float, told.split())
    assert captured_s > 0
    assert 0 <= au12 <= 5


def test_the_example_in_python_prints_where_the_page_is(monkeypatch, capsys):
    monkeypatch.setattr("realtime_affect.Pipeline", lambda *_: pattern_pipeline(1), raising=False)
    run(example("OpenStreams"))
    assert capsys.readouterr().out.startswith("http://127.0.0.1:")


def test_every_address_that_the_page_names_is_one_that_is_sent():
    known = {f"/affect/face/1/{channel.address}" for channel in osc_channels(GROUPS)}
    known |= {"/affect/face/1/id", "/affect/face/1/..."}
    named = set(re.findall(r"/affect/face/1/[\w./]+", PAGE))
    assert "/affect/face/1/expression/happiness" in named
    assert named <= known
