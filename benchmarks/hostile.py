"""Peers that mean no good, each in a process: ``hostile.py ACT TCP-PORT WEBSOCKET-PORT NAME``.

Each lowers its priority first and says "ready" when its first attempt is under way. It imports
nothing of ours, as starting must cost little.
"""

from __future__ import annotations

import contextlib
import os
import socket
import sys
import time

HANDSHAKE = (
    b"GET /stream HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)


def _connect(port: int) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), 5)


def _say_ready() -> None:
    print("ready", flush=True)


def never_reading(tcp: int, websocket: int, name: str) -> None:
    """Connect to everything, read nothing, and come back when hung up on."""
    import pylsl

    found = pylsl.resolve_byprop("name", f"{name} face 1", 1, 30)
    inlets = [pylsl.StreamInlet(info, max_buflen=1) for info in found]
    for inlet in inlets:
        inlet.open_stream(30)
    _say_ready()
    while True:
        held = []
        for _ in range(4):
            with contextlib.suppress(OSError):
                held.append(_connect(tcp))
                held.append(_connect(websocket))
                held[-1].sendall(HANDSHAKE)
        time.sleep(3)
        for one in held:
            one.close()


def flooding(tcp: int, websocket: int, _name: str) -> None:
    """Open two hundred connections at a time, say nothing or garbage, and close them."""
    garbage = os.urandom(50_000)
    _say_ready()
    while True:
        held = []
        for n in range(200):
            with contextlib.suppress(OSError):
                held.append(_connect(websocket if n % 2 else tcp))
                if n % 3:
                    held[-1].sendall(garbage)
        time.sleep(0.5)
        for one in held:
            one.close()


def talking(_tcp: int, websocket: int, _name: str) -> None:
    """Send messages and huge frames without an end, from handshake to being hung up on."""
    from websockets.exceptions import WebSocketException
    from websockets.sync.client import connect

    _say_ready()
    for n in range(10**9):
        with (
            contextlib.suppress(OSError, WebSocketException),
            connect(f"ws://127.0.0.1:{websocket}/stream", compression=None) as client,
        ):
            while True:
                client.send('{"subscribe": {"rate_hz": 1000}}' if n % 2 else "x" * 1_000_000)


ACTS = {act.__name__: act for act in (never_reading, flooding, talking)}


if __name__ == "__main__":
    os.nice(19)
    ACTS[sys.argv[1]](int(sys.argv[2]), int(sys.argv[3]), sys.argv[4])
