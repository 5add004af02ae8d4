"""How old readings are when clients of the streams have them, and how far LSL's times are off.

    python benchmarks/streams.py [--seconds 60] [--source demo] [--record]

One live pipeline feeds every stream at once; real clients of each run in a process of their own,
as they would. "age" is from the capture of a frame to the client having decoded its reading, on the
machine's monotonic clock. "missed" are frames between the first and the last that a client got,
which were analysed and did not reach it. The time of an LSL sample is brought onto the client's
monotonic clock by its own means (pylsl's time correction, an offset measured there) and compared
with the frame's moment of capture, which is on the same clock.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import socket
import time
from typing import TYPE_CHECKING, Any

import numpy as np
import records

from realtime_affect.bench.clips import open_endless
from realtime_affect.config import Config
from realtime_affect.outputs.streams.clock import measure_offset
from realtime_affect.outputs.streams.opened import OpenStreams
from realtime_affect.runtime.pipeline import Pipeline

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from realtime_affect.types import Reading

NAME = "realtime-affect benchmark"
CODE = (*records.PRODUCT, "realtime_affect/outputs")
_PATIENCE_S = 60.0

Got = tuple[int, int, int]  # frame, when it was there, and when it was captured as LSL says


class Captured:
    """A sink that notes when each frame was captured."""

    def __init__(self) -> None:
        self.ns: dict[int, int] = {}

    def open(self, info: object) -> None:
        """Do nothing."""

    def write(self, reading: Reading) -> None:
        """Note one reading."""
        frame = reading.scene.frame
        self.ns[frame.index + 1] = frame.captured_ns

    def close(self) -> None:
        """Do nothing."""


def from_tcp(port: int) -> Iterator[Got]:
    """Yield what comes by TCP."""
    with socket.create_connection(("127.0.0.1", port), _PATIENCE_S) as connection:
        for text in connection.makefile("rb"):
            yield from _of_line(text)


def from_websocket(port: int) -> Iterator[Got]:
    """Yield what comes by WebSocket."""
    from websockets.sync.client import connect

    with connect(f"ws://127.0.0.1:{port}/stream", compression=None, max_size=None) as client:
        for text in client:
            yield from _of_line(text)


def from_osc(port: int) -> Iterator[Got]:
    """Yield what comes by OSC, decoded by python-osc."""
    from pythonosc.osc_bundle import OscBundle

    with socket.socket(type=socket.SOCK_DGRAM) as receiver:
        receiver.bind(("127.0.0.1", port))
        receiver.settimeout(_PATIENCE_S)
        while True:
            for message in OscBundle(receiver.recv(1 << 16)):
                if message.address == "/affect/frame":
                    yield int(message.params[0]), time.monotonic_ns(), 0


def from_lsl(_port: int) -> Iterator[Got]:
    """Yield what comes by LSL."""
    import pylsl

    found = pylsl.resolve_byprop("name", f"{NAME} face 1", 1, _PATIENCE_S)
    inlet = pylsl.StreamInlet(found[0], max_buflen=60)
    correction_s = inlet.time_correction(_PATIENCE_S)
    clock = measure_offset(pylsl.local_clock)
    while True:
        sample, stamp_s = inlet.pull_sample(_PATIENCE_S)
        yield int(sample[0]), time.monotonic_ns(), clock.monotonic_ns(stamp_s + correction_s)


def _of_line(text: str | bytes) -> Iterator[Got]:
    line = json.loads(text)
    if line["kind"] == "reading":
        yield line["frame"], time.monotonic_ns(), 0


def receive(take: Callable[[int], Iterator[Got]], port: int, pipe: Any) -> None:
    """Receive until told to stop; say when the first reading is there. In a process of its own."""
    got: list[Got] = []
    try:
        for one in take(port):
            if not got:
                pipe.send("begun")
            got.append(one)
            if pipe.poll():
                break
    except (OSError, EOFError):
        pass
    pipe.send(got)


def run(source: str, seconds: float) -> dict[str, Any]:
    """Play `source` and return the figures."""
    with socket.socket(type=socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        osc_port = probe.getsockname()[1]
    config = Config().with_values(
        {
            "serve.in_run": True, "serve.port": 0, "websocket.enabled": True, "websocket.port": 0,
            "osc.enabled": True, "osc.port": osc_port, "osc.rate_hz": 1000.0, "lsl.enabled": True,
            "lsl.name": NAME,
        }
    )  # fmt: skip
    captured = Captured()
    spawn = multiprocessing.get_context("spawn")
    with (
        Pipeline(open_endless(source, config.capture), config) as pipeline,
        OpenStreams(config) as streams,
    ):
        pipeline.attach(captured, depth_s=3600, images=False)
        streams.attach(pipeline)
        pipeline.start()
        assert streams.websocket is not None
        tcp_port = getattr(streams.lines[0], "port", 0)
        wanted = {
            "TCP": (from_tcp, tcp_port), "WebSocket": (from_websocket, streams.websocket.port),
            "OSC": (from_osc, osc_port), "LSL": (from_lsl, 0),
        }  # fmt: skip
        pipes, clients = {}, []
        for name, (take, port) in wanted.items():
            pipes[name], theirs = spawn.Pipe()
            clients.append(spawn.Process(target=receive, args=(take, port, theirs), daemon=True))
            clients[-1].start()
        for pipe in pipes.values():
            assert pipe.poll(_PATIENCE_S), "a client got nothing"
            pipe.recv()
        began = time.monotonic()
        time.sleep(seconds)
        for pipe in pipes.values():
            pipe.send("stop")
        got = {name: pipe.recv() for name, pipe in pipes.items()}
        for client in clients:
            client.join(_PATIENCE_S)
        elapsed_s = time.monotonic() - began
        pipeline.raise_failure()
        stats, counts = pipeline.stats(), streams.stats()
    lsl = counts["lsl"]
    errors = [told - captured.ns[frame] for frame, _, told in got["LSL"] if frame in captured.ns]
    return {
        "age_ms": {name: ages(some, captured.ns) for name, some in got.items()},
        "lsl": {
            "offset_us": lsl["clock_offset_us"],
            "uncertainty_us": lsl["clock_uncertainty_us"],
            "error_p50_ms": float(np.percentile(np.abs(errors), 50) / 1e6),
            "largest_error_ms": float(np.abs(errors).max() / 1e6),
        },
        "frames_analysed": stats.frames_analysed,
        "frames_dropped": stats.drops,
        "fps": stats.frames_analysed / stats.elapsed_s,
        "elapsed_s": elapsed_s,
        "streams": counts,
    }


def ages(got: list[Got], captured_ns: dict[int, int]) -> dict[str, Any]:
    """Return percentiles of what a client got, and how many frames it missed."""
    ms = np.array([(at - captured_ns[f]) / 1e6 for f, at, _ in got if f in captured_ns])
    frames = {frame for frame, _, _ in got}
    between = [f for f in captured_ns if min(frames) <= f <= max(frames)]
    p50, p95, p99 = np.percentile(ms, [50, 95, 99])
    return {
        "n": len(ms), "p50": p50, "p95": p95, "p99": p99, "max": ms.max(),
        "missed": len(set(between) - frames),
    }  # fmt: skip


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--source", default="demo")
    parser.add_argument("--record", action="store_true")
    options = parser.parse_args()
    code = records.code_state(*CODE)
    figures = run(options.source, options.seconds)
    for name, age in figures["age_ms"].items():
        cells = "  ".join(f"{key} {age[key]:7.2f}" for key in ("p50", "p95", "p99", "max"))
        print(f"{name:<10} {cells}  ms  ({age['n']} readings, {age['missed']} missed)")
    lsl = figures["lsl"]
    print(
        f"LSL's clock: offset {lsl['offset_us']:.2f} us, known to {lsl['uncertainty_us']:.2f} us; "
        f"largest error of a sample {lsl['largest_error_ms']:.4f} ms\n"
        f"{figures['frames_analysed']} frames analysed, {figures['frames_dropped']} dropped"
    )
    if options.record:
        chosen = {"source": options.source, "seconds": options.seconds}
        print("recorded in", records.append(records.new_record("streams", chosen, figures, code)))


if __name__ == "__main__":
    main()
