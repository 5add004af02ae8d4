"""What peers that mean no good cost the analysis: the same run with and without them, by turns.

    python benchmarks/hostile_peers.py [--seconds 20] [--rounds 3] [--source demo] [--record]

One live pipeline feeds TCP, WebSocket, OSC and LSL; one well-behaved WebSocket client listens all
the time. In every other period there are also: clients that never read (TCP, WebSocket, LSL),
floods of connections, garbage, huge messages, messages without an end, and connections that say
nothing. They run at the lowest priority (``hostile.py``): what is measured is what the streams cost
the loop, not processor time that any program could take. "dropped" are frames captured and never
analysed.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import hostile
import records
from soak import resident_mib

from realtime_affect.bench.clips import open_endless
from realtime_affect.config import Config
from realtime_affect.outputs.streams.opened import OpenStreams
from realtime_affect.runtime.pipeline import Pipeline
from realtime_affect.worker import Worker

if TYPE_CHECKING:
    from collections.abc import Iterator

NAME = "realtime-affect hostile"
_SETTLE_S = 5.0


class Listener:
    """A client that behaves, on a thread of its own."""

    def __init__(self, port: int) -> None:
        self._port = port
        self.frames: list[int] = []
        self.stopped = False
        self._worker = Worker("listener", self._listen)
        self._worker.start()

    def _listen(self) -> None:
        from websockets.sync.client import connect

        address = f"ws://127.0.0.1:{self._port}/stream"
        with connect(address, compression=None, max_size=None) as client:
            while not self.stopped:
                line = json.loads(client.recv(60))
                if line["kind"] == "reading":
                    self.frames.append(line["frame"])

    def stop(self) -> None:
        """Leave."""
        self.stopped = True
        self._worker.wait(60)


def run(source: str, seconds: float, rounds: int) -> dict[str, Any]:
    """Run quiet and hostile periods by turns and return what each cost."""
    config = Config().with_values(
        {
            "serve.in_run": True, "serve.port": 0, "websocket.enabled": True, "websocket.port": 0,
            "osc.enabled": True, "lsl.enabled": True, "lsl.name": NAME, "lsl.faces": 2,
        }
    )  # fmt: skip
    periods: dict[str, list[dict[str, float]]] = {"alone": [], "with hostile peers": []}
    with (
        Pipeline(open_endless(source, config.capture), config) as pipeline,
        OpenStreams(config) as streams,
    ):
        streams.attach(pipeline)
        pipeline.start()
        assert streams.websocket is not None
        ports = {"tcp": getattr(streams.lines[0], "port", 0), "websocket": streams.websocket.port}
        listener = Listener(ports["websocket"])
        time.sleep(seconds / 2)  # caches are filled
        for _ in range(rounds):
            periods["alone"].append(period(pipeline, listener, seconds))
            with hostile_peers(ports):
                periods["with hostile peers"].append(period(pipeline, listener, seconds))
            time.sleep(_SETTLE_S)
        listener.stop()
        pipeline.raise_failure()
        counts = streams.stats()
    return {"periods": periods, "streams": counts}


@contextlib.contextmanager
def hostile_peers(ports: dict[str, int]) -> Iterator[None]:
    """Have all of them at work inside."""
    script = str(Path(__file__).with_name("hostile.py"))
    where = [str(ports["tcp"]), str(ports["websocket"]), NAME]
    peers = [
        subprocess.Popen([sys.executable, script, act, *where], stdout=subprocess.PIPE)
        for act in hostile.ACTS
    ]
    try:
        for peer in peers:
            assert peer.stdout is not None
            if not peer.stdout.readline():
                message = "a hostile peer did not start"
                raise SystemExit(message)
        yield
    finally:
        for peer in peers:
            peer.kill()
            peer.wait()


def period(pipeline: Pipeline, listener: Listener, seconds: float) -> dict[str, float]:
    """Return what one period was like."""
    before, got = pipeline.stats(), len(listener.frames)
    time.sleep(seconds)
    after = pipeline.stats()
    frames = listener.frames[got:]
    return {
        "analysed": after.frames_analysed - before.frames_analysed,
        "dropped": after.drops - before.drops,
        "listener_got": len(frames),
        "resident_mib": resident_mib(),
    }


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=20.0, help="of each period")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--source", default="demo")
    parser.add_argument("--record", action="store_true")
    options = parser.parse_args()
    code = records.code_state(*records.PRODUCT, "realtime_affect/outputs")
    figures = run(options.source, options.seconds, options.rounds)
    for name, some in figures["periods"].items():
        for one in some:
            print(f"{name:<20}", "  ".join(f"{key} {value:g}" for key, value in one.items()))
    print(figures["streams"])
    if options.record:
        chosen = {
            "source": options.source, "seconds": options.seconds, "rounds": options.rounds
        }  # fmt: skip
        record = records.new_record("hostile_peers", chosen, figures, code)
        print("recorded in", records.append(record))


if __name__ == "__main__":
    main()
