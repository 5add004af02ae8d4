"""Damaged files and rude clients, from a seed: nothing may crash, hang, grow or be our defect.

    python benchmarks/fuzz.py [--seconds 600] [--seed 1] [--record]

Small files of every format that we read are made, then bytes in them flipped, cut, doubled and
zeroed. A child opens each as the product does; only errors of the user's kind
(:class:`~realtime_affect.errors.AffectError`) are right. The child tells what it is about to do, so
whoever watches it knows which case crashed it or took longer than ten seconds; each case is made
anew from seed, kind and number by ``--only KIND:NUMBER``.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import os
import random
import resource
import select
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import numpy as np
import records

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

HANG_S = 10.0
GROWTH_MIB = 64.0
"""Beyond what the first cases of a kind take; decoders keep buffers of a few MiB."""

_PATHS = [str(records.REPOSITORY / part) for part in ("", "engines", "kernels", "gui")]
_MEMORY = 6 << 30  # of the child's addresses: a header that asks for all of it must not get it
_START_S = 300.0
_WARM = 20  # cases of a kind before its memory is taken for the beginning
_LOOK = 20  # cases of a kind between two looks at it
_VIDEOS = {
    "mp4": ("libx264", "yuv420p"), "mkv": ("mpeg4", "yuv420p"), "avi": ("mjpeg", "yuvj420p"),
    "ts": ("mpeg2video", "yuv420p"), "webm": ("libvpx", "yuv420p"), "gif": ("gif", "rgb8"),
}  # fmt: skip
_IMAGES = {"jpg": "JPEG", "png": "PNG", "webp": "WEBP", "heic": "AVIF", "tif": "TIFF"}
_TOML = b"""
[capture]
width = 1280
stream_options = ["a=b", "c=d"]
[track]
max_faces = 4
reentry_ms = 2000.0
[serve]
source = "rtsp://me:secret@host/live"
port = none
"""


class Seeds:
    """What is damaged: a small file of each kind, by its extension."""

    def __init__(self, folder: Path) -> None:
        self.contents: dict[str, bytes] = {"toml": _TOML}
        for suffix, (codec, pix_fmt) in _VIDEOS.items():
            self.contents[suffix] = _video(folder / f"seed.{suffix}", codec, pix_fmt)
        self.contents |= {suffix: _image(form) for suffix, form in _IMAGES.items()}
        self.contents["anim.webp"] = _image("WEBP", moving=True)
        weights = Path(records.REPOSITORY / "engines/affect_engines/weights")
        self.contents["onnx"] = (weights / "htnet_live.onnx").read_bytes()
        self.contents["tflite"] = b"\x1c\0\0\0TFL3" + bytes(range(256)) * 64
        self.contents["client"] = b'{"hello": [1, 2, {"a": null}]}\n' * 8


def _video(path: Path, codec: str, pix_fmt: str) -> bytes:
    import av

    rng = np.random.default_rng(0)
    picture = rng.integers(0, 255, (48, 64, 3), np.uint8)
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, pix_fmt
        for n in range(12):
            frame = av.VideoFrame.from_ndarray(np.roll(picture, n, axis=1), format="bgr24")
            frame.pts = n
            container.mux(stream.encode(frame.reformat(format=pix_fmt)))
        container.mux(stream.encode())
    return path.read_bytes()


def _image(form: str, *, moving: bool = False) -> bytes:
    from PIL import Image

    rng = np.random.default_rng(0)
    frames = [Image.fromarray(rng.integers(0, 255, (48, 64, 3), np.uint8)) for _ in range(3)]
    exif = Image.Exif()
    exif[0x0112] = 6
    data = io.BytesIO()
    options: dict[str, Any] = {"save_all": True, "append_images": frames[1:]} if moving else {}
    frames[0].save(data, form, exif=exif, **options)
    return data.getvalue()


def damage(content: bytes, chance: random.Random) -> bytes:
    """Return `content` with one to four things wrong; half of them in its head."""
    data = bytearray(content)
    for _ in range(chance.randint(1, 4)):
        if not data:
            break
        reach = min(len(data), 512) if chance.random() < 0.5 else len(data)
        at = chance.randrange(reach)
        length = min(len(data) - at, 1 << chance.randrange(10))
        match chance.randrange(6):
            case 0:
                for _ in range(chance.randint(1, 16)):
                    data[chance.randrange(reach)] ^= 1 << chance.randrange(8)
            case 1:
                del data[at:]
            case 2:
                data[at : at + length] = bytes(length)
            case 3:
                data[at : at + length] = b"\xff" * length
            case 4:
                data[at:at] = data[at : at + length]
            case 5:
                data[at : at + length] = chance.randbytes(length)
    return bytes(data)


def open_as_video_or_image(path: Path) -> None:
    """Do what ``analyze`` does before and while it reads a file."""
    from realtime_affect.capture import find_inputs, open_source

    for item in find_inputs([path]):
        with contextlib.closing(open_source(item.path, live=False)) as source:
            for _ in range(200):
                if source.read(1.0) is None:
                    break
            tuple(source.warnings)


def open_as_config(path: Path) -> None:
    """Read settings."""
    from realtime_affect.config import load_config

    load_config(path)
    load_config(None, [f"track.max_faces={path.read_bytes()[:300].decode('latin-1')}"])


def open_as_onnx(path: Path) -> None:
    """Take a file for a network of the user's own, up to where a backend would build it."""
    from affect_engines.cards import card_of_file
    from affect_engines.external_data import has_external_data
    from affect_engines.files import read_file

    card_of_file(path)
    with contextlib.suppress(ValueError):  # no protobuf message, which whoever asks tells the user
        has_external_data(read_file(path))


def open_as_tflite(path: Path) -> None:
    """Put it where our networks lie: another than the card's is refused by its hash."""
    from affect_engines.cards import load_card
    from affect_engines.store import read_model

    card = load_card("face_mesh")
    named = path.with_name(card.file)
    path.rename(named)
    os.environ["REALTIME_AFFECT_MODELS"] = str(path.parent)
    read_model(card)


class _Server:
    """One server for all rude clients."""

    def __init__(self) -> None:
        from realtime_affect.outputs.stream_server import StreamServer

        self.server = StreamServer("127.0.0.1", 0, max_clients=4, unread_s=0.2)

    def __call__(self, path: Path) -> None:
        """Say something rude, read or not, leave somehow; then a good client must be served."""
        said = path.read_bytes()
        with socket.create_connection(("127.0.0.1", self.server.port or 0), HANG_S) as client:
            with contextlib.suppress(OSError):
                client.sendall(said)
            if len(said) % 3 == 0:
                client.shutdown(socket.SHUT_WR)
            elif len(said) % 3 == 1:  # a reset instead of a farewell
                client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            self.server.publish("reading", b"{}\n")
        until_s = time.monotonic() + HANG_S
        while time.monotonic() < until_s:
            with socket.create_connection(("127.0.0.1", self.server.port or 0), HANG_S) as good:
                good.settimeout(0.1)
                for _ in range(20):  # taken in a moment after it has connected
                    self.server.publish("reading", b'{"n": 1}\n')
                    with contextlib.suppress(TimeoutError, ConnectionError):
                        if good.recv(4):
                            return
        message = "a good client is not served any more"
        raise RuntimeError(message)


def _opener(kind: str) -> Callable[[Path], None]:
    known: dict[str, Callable[[Path], None]] = {
        "toml": open_as_config, "onnx": open_as_onnx, "tflite": open_as_tflite,
    }  # fmt: skip
    return _Server() if kind == "client" else known.get(kind, open_as_video_or_image)


def work(seed: int, begin: int, only: str) -> None:
    """Be the child: case after case until killed, told on standard output, a line of JSON each."""
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    import psutil

    import realtime_affect.capture.files
    import realtime_affect.config
    import realtime_affect.outputs.stream_server  # noqa: F401  (before the first case is timed)
    from affect_engines.store import verify_models  # noqa: F401
    from realtime_affect.errors import AffectError
    from realtime_affect.memory import trim

    process = psutil.Process()
    kept: dict[str, float] = {}
    first: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as folder:
        contents = Seeds(Path(folder)).contents
        openers = {kind: _opener(kind) for kind in contents}
        for n, kind, number in _cases(list(contents), begin, only):
            _tell(n=n, kind=kind, number=number)
            chance = random.Random(f"{seed}:{kind}:{number}")
            path = Path(folder) / f"{number}.{kind}"
            path.write_bytes(damage(contents[kind], chance))
            wrong = ""
            try:
                openers[kind](path)
            except AffectError:
                pass
            except BaseException as error:  # noqa: BLE001  (this is what is looked for)
                wrong = repr(error)
            for left in path.parent.iterdir():
                if left.is_file():
                    left.unlink()
            if number % _LOOK == 0:  # what is freed and kept by the C library is no growth
                trim()
                kept[kind] = process.memory_info().rss / 2**20
                if number >= _WARM:
                    first.setdefault(kind, kept[kind])
            growth = kept.get(kind, 0.0) - first.get(kind, kept.get(kind, 0.0))
            _tell(done=True, wrong=wrong, growth_mib=round(growth, 1))


def _cases(kinds: list[str], begin: int, only: str) -> Iterator[tuple[int, str, int]]:
    """Yield number, kind and number within the kind of each case, for ever."""
    if only:
        kind, _, number = only.partition(":")
        yield 0, kind, int(number)
        return
    n = begin
    while True:
        yield n, kinds[n % len(kinds)], n // len(kinds)
        n += 1


def _tell(**what: Any) -> None:
    sys.stdout.write(json.dumps(what) + "\n")
    sys.stdout.flush()


def run(seconds: float, seed: int, only: str = "") -> dict[str, Any]:
    """Watch children work for so long; return how many cases of each kind, and what went wrong."""
    cases: dict[str, int] = {}
    wrong: list[dict[str, Any]] = []
    growth: dict[str, float] = {}
    until_s = time.monotonic() + seconds
    begin = 0
    while time.monotonic() < until_s:
        command = [sys.executable, __file__, "--work", str(begin), "--seed", str(seed)]
        with (
            tempfile.TemporaryFile() as stderr,
            subprocess.Popen(
                [*command, "--only", only],
                stdout=subprocess.PIPE,
                stderr=stderr,
                env={**os.environ, "PYTHONPATH": ":".join(_PATHS)},
            ) as child,
        ):
            case: dict[str, Any] = {}
            first = True
            for line in _lines(child, until_s, _START_S):
                if not line:  # silent for too long, or dead
                    break
                told = json.loads(line)
                if not told.get("done"):
                    case, first = told, False
                    continue
                kind = case["kind"]
                cases[kind] = cases.get(kind, 0) + 1
                growth[kind] = max(growth.get(kind, 0.0), told["growth_mib"])
                if told["wrong"]:
                    wrong.append({**case, "what": told["wrong"]})
                case = {}
            ended = time.monotonic() >= until_s
            code = child.poll()
            child.kill()
            said = _last_line(stderr)
        if case and not ended:
            what = f"hung for {HANG_S:g} s" if code is None else f"ended with {code}: {said}"
            wrong.append({**case, "what": what})
            begin = case["n"] + 1
        elif first and not ended:
            message = f"the child did not begin: {code}: {said}"
            raise RuntimeError(message)
        else:
            break
    grew = {kind: mib for kind, mib in growth.items() if mib > GROWTH_MIB}
    return {"cases": cases, "wrong": wrong, "growth_mib": growth, "grew": grew}


def _last_line(stderr: IO[bytes]) -> str:
    """Return the last line that a child said there: of a traceback, its error."""
    stderr.seek(max(0, stderr.seek(0, os.SEEK_END) - 1000))
    return (stderr.read().decode("utf-8", "replace").strip().splitlines() or [""])[-1]


def _lines(child: subprocess.Popen[bytes], until_s: float, start_s: float) -> Iterator[bytes]:
    """Yield a child's lines until the time is over; an empty one where it hangs or has ended."""
    assert child.stdout is not None
    wait_s, data = start_s, b""
    while (left_s := until_s - time.monotonic()) > 0:
        if not select.select([child.stdout], [], [], min(wait_s, left_s))[0]:
            if time.monotonic() < until_s:
                yield b""
            return
        # On a machine that others use, too, a second is not a second.
        wait_s = HANG_S * max(1.0, os.getloadavg()[0] / (os.cpu_count() or 1))
        more = os.read(child.stdout.fileno(), 1 << 16)
        if not more:
            child.wait()
            yield b""
            return
        *lines, data = (data + more).split(b"\n")
        yield from lines


def main() -> None:
    """Run from the command line; exit code 1 where anything went wrong."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=600.0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", default="", help="KIND:NUMBER, one case")
    parser.add_argument("--work", type=int, help="be the child, from this case on")
    parser.add_argument("--record", action="store_true")
    options = parser.parse_args()
    if options.work is not None:
        work(options.seed, options.work, options.only)
        return
    code = records.code_state(
        *records.PRODUCT, "realtime_affect/outputs", "realtime_affect/config.py"
    )
    figures = run(options.seconds, options.seed, options.only)
    print(f"{sum(figures['cases'].values())} cases: {figures['cases']}")
    for case in figures["wrong"]:
        print(f"{case['kind']}:{case['number']} {case['what']}")
    for kind, mib in figures["grew"].items():
        print(f"{kind}: {mib} MiB more memory")
    if options.record:
        config = {"source": "made", "seconds": options.seconds, "seed": options.seed}
        print("recorded in", records.append(records.new_record("fuzz", config, figures, code)))
    sys.exit(bool(figures["wrong"] or figures["grew"]))


if __name__ == "__main__":
    main()
