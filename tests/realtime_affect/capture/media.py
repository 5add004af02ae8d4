"""Small videos and streams, made on the spot."""

import socket
import struct
import subprocess
import sys
import time
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

SENDER = Path(__file__).with_name("sender.py")


def picture(i, width=64, height=48):
    """Grey rising by 5 a frame, top left quarter red (BGR)."""
    image = np.full((height, width, 3), (i * 5) % 200, np.uint8)
    image[: max(1, height // 2), : max(1, width // 2)] = (0, 0, 255)
    return image


def write_video(
    path,
    n=30,
    size=(64, 48),
    codec="libx264",
    pix_fmt="yuv420p",
    pts=None,
    rate=30,
    sound=False,
    movflags="",
):
    """Write `n` images; `pts` in milliseconds where they are not even."""
    width, height = size
    options = {"movflags": movflags} if movflags else {}
    with av.open(str(path), "w", options=options) as container:
        stream = container.add_stream(codec, rate=rate)
        stream.width, stream.height, stream.pix_fmt = width, height, pix_fmt
        if codec in ("libx264", "mpeg2video", "mpeg4"):
            stream.codec_context.gop_size = 10
            stream.codec_context.max_b_frames = 0
        if pts is not None:
            stream.codec_context.time_base = stream.time_base = Fraction(1, 1000)
        audio = container.add_stream("aac", rate=16000) if sound else None
        for i in range(n):
            frame = av.VideoFrame.from_ndarray(picture(i, width, height), format="bgr24")
            frame.pts = i if pts is None else pts[i]
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
        if audio:
            silence = np.zeros((1, 16000 * 5), np.float32)
            chunk = av.AudioFrame.from_ndarray(silence, format="fltp", layout="mono")
            chunk.rate = 16000
            container.mux(audio.encode(chunk))
            container.mux(audio.encode())
    return path


def write_sound(path):
    with av.open(str(path), "w") as container:
        audio = container.add_stream("aac", rate=16000)
        chunk = av.AudioFrame.from_ndarray(
            np.zeros((1, 16000), np.float32), format="fltp", layout="mono"
        )
        chunk.rate = 16000
        container.mux(audio.encode(chunk))
        container.mux(audio.encode())
    return path


def set_display_matrix(path, a, b, c, d):
    """Write a rotation into the track header of an MP4."""
    data = bytearray(path.read_bytes())
    # tkhd, version 0: 4 type, 4 version and flags, 20 times and id, 16 reserved and volume
    at = data.index(b"tkhd") + 4 + 4 + 20 + 16
    one = 0x10000
    values = (a * one, b * one, 0, c * one, d * one, 0, 0, 0, 0x40000000)
    data[at : at + 36] = struct.pack(">9i", *values)
    path.write_bytes(data)
    return path


def read_all(source):
    frames = []
    while (frame := source.read(60.0)) is not None:
        frames.append(frame)
    return frames


def free_port(kind=socket.SOCK_DGRAM):
    with socket.socket(socket.AF_INET, kind) as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Sender:
    """A process that sends frames to a URL until it is ended."""

    def __init__(self, url, container):
        self._process = subprocess.Popen(
            [sys.executable, str(SENDER), url, container], stderr=subprocess.DEVNULL
        )

    def stop(self):
        self._process.kill()
        self._process.wait(60)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()


def wait_until(happened, within_s=60.0):
    """Wait for a condition; whether it came."""
    deadline = time.monotonic() + within_s
    while time.monotonic() < deadline:
        if happened():
            return True
        time.sleep(0.01)
    return False
