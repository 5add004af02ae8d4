"""Half an hour of the service on a stream that breaks, with files and a churn of clients.

    python benchmarks/soak_service.py [--minutes 30] [--fps 5] [--record]

The demo clip comes by UDP and stays away again and again, so the service loses its stream and
reconnects; clients come, read or read nothing, and go. Every few seconds the service's memory,
threads, open files and the age of its readings are noted. Slopes are Theil and Sen's over what
comes after the warm-up, with 95 % intervals: flat is a slope whose interval holds zero, or that
is below what is stated as harmless.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import records
from scipy.stats import theilslopes

HARMLESS = {"memory_mib": 0.2, "threads": 0.02, "files": 0.02, "age_ms": 1.0}
"""A minute: 0.2 MiB are 300 MiB a day; what a month's service can bear between two restarts."""

_PATHS = [str(records.REPOSITORY / part) for part in ("", "engines", "kernels", "gui")]
_SERVE = "from realtime_affect.cli.main import main; main()"
_UP_S, _DOWN_S = 20.0, 4.0  # of the stream, in turn: longer down than the service waits
_SAMPLE_S = 5.0
_LEAST = 5  # samples for a slope
_BEGIN_S = 300.0  # for the first reading, on a machine that is busy


class Sender:
    """The demo clip over and over by UDP, small and at a low rate, from a thread; on and off."""

    def __init__(self, url: str, fps: float) -> None:
        self._url, self._fps = url, fps
        self._packets = self._encode()
        self._up = threading.Event()
        threading.Thread(target=self._send, daemon=True).start()

    def switch(self, *, on: bool) -> None:
        """Begin a new session, or end the one under way."""
        (self._up.set if on else self._up.clear)()

    def _encode(self) -> list[bytes]:
        import av
        import cv2

        from realtime_affect.capture import open_source

        clip = open_source("demo", live=False)
        step = max(1, round((clip.info.fps or 25.0) / self._fps))
        packets: list[bytes] = []
        with av.open(os.devnull, "w", format="mpegts") as container:
            stream = self._stream(container)
            while (frame := clip.read(1.0)) is not None:
                if frame.index % step == 0:
                    small = cv2.resize(frame.image, (640, 360))
                    picture = av.VideoFrame.from_ndarray(small, format="bgr24")
                    packets += [bytes(packet) for packet in stream.encode(picture)]
            packets += [bytes(packet) for packet in stream.encode()]
        clip.close()
        return packets

    def _stream(self, container: Any) -> Any:
        options = {"preset": "ultrafast", "tune": "zerolatency"}
        stream = container.add_stream("libx264", rate=round(self._fps), options=options)
        stream.width, stream.height, stream.pix_fmt = 640, 360, "yuv420p"
        stream.codec_context.gop_size = round(self._fps)
        return stream

    def _send(self) -> None:
        import av

        while self._up.wait():
            with av.open(self._url, "w", format="mpegts") as container:
                stream, began_s, n = self._stream(container), time.monotonic(), 0
                while self._up.is_set():
                    packet = av.Packet(self._packets[n % len(self._packets)])
                    packet.stream, packet.pts, packet.dts = stream, n, n
                    packet.time_base = Fraction(1, round(self._fps))
                    container.mux(packet)
                    n += 1
                    time.sleep(max(0.0, began_s + n / self._fps - time.monotonic()))


def churn(port: int, ended: threading.Event, counts: dict[str, int]) -> None:
    """Let clients come and go: most read for a while, one of four reads nothing."""
    held: list[socket.socket] = []
    n = 0
    while not ended.wait(1.0):
        n += 1
        try:
            client = socket.create_connection(("127.0.0.1", port), 5.0)
        except OSError:
            continue
        counts["clients"] += 1
        if n % 4 == 0:
            held.append(client)
            while len(held) > 10:
                held.pop(0).close()
            continue
        client.settimeout(1.0)
        try:
            with client, client.makefile("rb") as lines:
                for _ in range(3):
                    counts["lines"] += bool(json.loads(lines.readline() or b"{}"))
        except OSError:
            pass  # the stream is down: nothing to read


def run(minutes: float, fps: float) -> dict[str, Any]:
    """Serve for some minutes; return samples and slopes."""
    environment = {**os.environ, "PYTHONPATH": ":".join(_PATHS)}
    counts = {"clients": 0, "lines": 0, "outages": 0}
    ended = threading.Event()
    with tempfile.TemporaryDirectory() as folder, socket.socket(type=socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        url = f"udp://127.0.0.1:{probe.getsockname()[1]}"
        probe.close()
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        health = Path(folder) / "health.json"
        values = {
            "port": port, "fps": fps, "min_fps": min(fps, 2.0), "out": f"{folder}/out",
            "health_file": health, "unread_s": 5.0, "retry_max_s": 2.0,
        }  # fmt: skip
        options = [
            word for key, value in values.items() for word in ("--set", f"serve.{key}={value}")
        ]
        options += ["--set", "capture.reconnect_max_s=2.0", "-q"]
        sender = Sender(url, fps)
        service = subprocess.Popen(
            [sys.executable, "-c", _SERVE, "serve", "--source", url, *options], env=environment
        )
        clients = threading.Thread(target=churn, args=(port, ended, counts), daemon=True)
        clients.start()
        try:
            samples = _watch(service, health, minutes, sender, counts)
        finally:
            ended.set()
            service.send_signal(signal.SIGTERM)
            code = service.wait(60)
        rows = sum(
            path.read_text(encoding="utf-8").count("\n") - 1
            for path in Path(folder).glob("out/*/*.csv")
            if "events" not in path.name
        )
    return {**samples, **counts, "rows": rows, "exit_code": code}


def _watch(
    service: subprocess.Popen[bytes],
    health: Path,
    minutes: float,
    sender: Sender,
    counts: dict[str, int],
) -> dict[str, Any]:
    """Break the stream again and again, and sample."""
    up = True
    sender.switch(on=up)
    process = psutil.Process(service.pid)
    until_s = time.monotonic() + _BEGIN_S
    while not health.exists() or json.loads(health.read_text())["state"] != "online":
        if service.poll() is not None or time.monotonic() > until_s:
            message = "the service gives no reading"
            raise RuntimeError(message)
        time.sleep(0.5)
    began_s = time.monotonic()
    turn_s, next_s = began_s + _UP_S, began_s + _SAMPLE_S
    rows: list[tuple[float, ...]] = []
    states: dict[str, int] = {}
    while (now_s := time.monotonic()) - began_s < minutes * 60:
        if service.poll() is not None:
            message = f"the service ended with {service.returncode}"
            raise RuntimeError(message)
        if now_s >= turn_s:
            up = not up
            sender.switch(on=up)
            turn_s = now_s + (_UP_S if up else _DOWN_S)
            counts["outages"] += not up
        if now_s >= next_s:
            next_s += _SAMPLE_S
            told = json.loads(health.read_text()) if health.exists() else {}
            states[told.get("state", "none")] = states.get(told.get("state", "none"), 0) + 1
            rows.append((
                (now_s - began_s) / 60,
                process.memory_info().rss / 2**20,
                process.num_threads(),
                process.num_fds(),
                told.get("age_p50_ms") or float("nan"),
                told.get("frames", 0),
            ))  # fmt: skip
        time.sleep(0.1)
    return summarise(np.array(rows), states)


def summarise(rows: np.ndarray, states: dict[str, int]) -> dict[str, Any]:
    """Return samples (n, 6) and their slopes a minute over what comes after the warm-up."""
    at = rows[:, 0]
    settled = at >= min(5.0, at[-1] / 3)
    slopes = {}
    for name, values in zip(HARMLESS, rows[:, 1:5].T, strict=True):
        good = settled & np.isfinite(values)
        if good.sum() < _LEAST:
            message = f"{good.sum()} samples of {name}: too few for a slope; run it for longer"
            raise RuntimeError(message)
        slope, _, low, high = theilslopes(values[good], at[good], 0.95)
        flat = low <= 0.0 or slope <= HARMLESS[name]
        slopes[name] = {"slope": slope, "low": low, "high": high, "flat": bool(flat)}
    return {
        "minutes": at.round(3).tolist(),
        **{name: rows[:, n + 1].round(2).tolist() for n, name in enumerate(HARMLESS)},
        "frames": int(rows[-1, 5]),
        "states": states,
        "slopes_per_min": slopes,
    }


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--fps", type=float, default=5.0)
    parser.add_argument("--record", action="store_true")
    options = parser.parse_args()
    sys.path[:0] = _PATHS
    code = records.code_state(*records.PRODUCT, "realtime_affect/outputs", "realtime_affect/serve")
    figures = run(options.minutes, options.fps)
    for name, slope in figures["slopes_per_min"].items():
        print(
            f"{name}: {slope['slope']:+.4f} a minute, 95 % from {slope['low']:+.4f} to "
            f"{slope['high']:+.4f}: {'flat' if slope['flat'] else 'RISING'}"
        )
    print({k: figures[k] for k in ("frames", "rows", "outages", "clients", "lines", "states")})
    if options.record:
        config = {"source": "udp, demo", "minutes": options.minutes, "fps": options.fps}
        print(
            "recorded in", records.append(records.new_record("soak_service", config, figures, code))
        )


if __name__ == "__main__":
    main()
