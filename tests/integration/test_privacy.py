"""Nothing leaves this machine and nothing is written but where the docs say.

The commands run as a user runs them, for thirty seconds and more (onnxruntime reports home some ten
seconds after its import), with a home of their own, in a network without a way out where this
system allows one, and watched: by strace, which sees every call to the kernel, or where that cannot
be had by a library that is loaded before all others; Python's own calls by an audit hook as well.
"""

import os
import re
import shutil
import signal
import subprocess
import sys
from contextlib import suppress
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import cv2
import numpy as np
import pytest

import affect_kernels
from affect_engines.store import ENVIRONMENT, models_folder

ALIVE_S = 30  # after onnxruntime was imported
PATIENCE_S = 240  # for a busy machine to get there
ASKED_FOR = re.compile(r'AF_UNIX.*"/var/run/nscd/socket"')  # glibc's cache of user names
# Folders of a home that docs/privacy.md names; fonts are listed for the timeline by matplotlib.
HOME = {
    Path(".cache/realtime-affect"), Path(".cache/matplotlib"), Path(".config/realtime-affect"),
    Path(".local/state/realtime-affect"),
}  # fmt: skip

# What is run: PROGRAM ARGUMENTS. Ends when it is done, and not before ALIVE_S have passed since
# onnxruntime was imported.
PROGRAM = f"""
import fcntl, os, signal, socket, struct, sys, threading, time
if os.environ.get("WATCH_LOOPBACK"):  # in a new network it is down
    with socket.socket() as any_socket:
        fcntl.ioctl(any_socket, 0x8914, struct.pack("16sh14x", b"lo", 0x41))  # SIOCSIFFLAGS, UP
log = os.open(os.environ["WATCH_LOG"] + ".python", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
def hook(event, its):
    if event in ("socket.connect", "socket.sendto", "socket.sendmsg"):
        os.write(log, f"{{event}} sa_family={{its[0].family.name}} {{its[1]}}\\n".encode())
sys.addaudithook(hook)
returned, over = threading.Event(), threading.Event()
def end():
    while "onnxruntime" not in sys.modules:
        if returned.wait(0.1):  # refused before any work
            return over.set()
    time.sleep({ALIVE_S})
    over.set()
    if sys.argv[1] == "serve" and not returned.is_set():  # the others end by themselves
        os.kill(os.getpid(), signal.SIGTERM)
threading.Thread(target=end, daemon=True).start()
from realtime_affect.cli.main import main
try:
    main()
except SystemExit as done:
    code = done.code
returned.set()
while not over.wait(1):
    pass
sys.exit(code)
"""

# What must be seen if the watch is to count: native code that asks for an address. Nothing is sent.
ASKING = """
import ctypes, os, socket, struct
address = struct.pack("=H2s4s8x", socket.AF_INET, b"\\0\\x50", bytes([192, 0, 2, 1]))
with socket.socket(type=socket.SOCK_DGRAM) as asking:
    ctypes.CDLL(None).connect(asking.fileno(), address, len(address))
open("/dev/shm/realtime-affect-watched", "w").close()
os.unlink("/dev/shm/realtime-affect-watched")
"""

KERNELS = Path(affect_kernels.__file__).parent  # keeps what numba compiled, as the page says
COMMANDS = {
    "window": ["run", "demo", "--record", "--seconds", "3", "--out", "out"],
    "run": ["run", "demo", "--record", "--headless", "--out", "out"],
    "analyze": ["analyze", "demo", "--out", "out"],
    "serve": [
        "serve", "--source", "demo", "--set", "serve.port=0", "--set", "serve.fps=5",
        "--set", "serve.health_file=out/health.json", "--set", "serve.out=out",
    ],
}  # fmt: skip


def succeeds(*command):
    with suppress(OSError):
        return subprocess.run(command, capture_output=True, check=False).returncode == 0
    return False


@cache
def without_network():
    """Return what puts a command into a network without a way out; nothing where that fails."""
    for command in (["unshare", "--net"], ["unshare", "--net", "--map-root-user"]):
        if succeeds(*command, "true"):
            return command
    return []


@cache
def can_trace():
    return succeeds("strace", "-f", "-e", "trace=connect", "-o", "/dev/null", "true")


@pytest.fixture(scope="module", params=["strace", "preload"])
def watch(request, tmp_path_factory):
    """Return (kind, command in front, environment) of one way to watch a process."""
    if request.param == "strace":
        if not can_trace():
            pytest.skip("strace is not installed, or may not trace here")
        calls = "connect,sendto,sendmsg,sendmmsg,open,openat,creat,mkdir,mkdirat"
        return "strace", ["strace", "-f", "-qq", "-s", "200", "-e", f"trace={calls}"], {}
    if shutil.which("cc") is None:
        pytest.skip("no C compiler (cc) to make the preloaded library with")
    library = tmp_path_factory.mktemp("watch") / "sockets.so"
    source = Path(__file__).with_name("sockets.c")
    subprocess.run(["cc", "-shared", "-fPIC", "-o", library, source, "-ldl"], check=True)
    return "preload", [], {"LD_PRELOAD": str(library)}


class Watched:
    """A Python program in a home and a working folder of its own, and what it did."""

    def __init__(self, folder, watch, program, arguments=()):
        kind, front, more = watch
        self.folder, self.log = folder, folder / "log"
        for name in ("home", "work", "tmp"):
            (folder / name).mkdir()
        environment = {  # no variable of the tester's: in CI some libraries keep quieter
            "PATH": os.environ["PATH"], "HOME": str(folder / "home"),
            "TMPDIR": str(folder / "tmp"), "PYTHONPATH": os.pathsep.join(sys.path),
            "PYTHONDONTWRITEBYTECODE": "1", "QT_QPA_PLATFORM": "offscreen",
            ENVIRONMENT: str(models_folder()), "WATCH_LOG": str(self.log), **more,
        }  # fmt: skip
        if without_network():
            environment["WATCH_LOOPBACK"] = "1"
        front = [*front, "-o", str(self.log)] if kind == "strace" else []
        with (folder / "said").open("wb") as said:
            self.process = subprocess.Popen(
                [*without_network(), *front, sys.executable, "-c", program, *arguments],
                env=environment, cwd=folder / "work", stdin=subprocess.DEVNULL, stdout=said,
                stderr=subprocess.STDOUT, start_new_session=True,
            )  # fmt: skip

    def finish(self, timeout=PATIENCE_S):
        try:
            return self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
            return f"not over after {timeout} s, {self.process.wait()}"

    def said(self):
        return (self.folder / "said").read_text(errors="replace")

    def calls(self):
        logs = [self.log, self.log.with_name("log.python")]
        return [line for log in logs if log.exists() for line in log.read_text().splitlines()]

    def asked(self):
        """Return every call that names an address which is not the kernel's own."""
        named = (line for line in self.calls() if re.search(r"sa_family=AF_(INET|UNIX)", line))
        return [line for line in named if not ASKED_FOR.search(line)]

    def wrote(self):
        """Return what was opened for writing or made outside its folders; strace alone sees it."""
        found = []
        for line in self.calls():
            made = re.search(r'(?:open(?:at)?|creat|mkdir(?:at)?)\((?:AT_FDCWD, )?"([^"]+)"', line)
            writes = "mkdir" in line or re.search(r"O_(WRONLY|RDWR|CREAT)", line)
            if made and writes and not re.search(r"= -1 E", line):
                path = Path(os.path.normpath(self.folder / "work" / made[1]))
                compiled = path.is_relative_to(KERNELS) and "__pycache__" in path.parts
                if not (path.is_relative_to(self.folder) or compiled or path == Path("/dev/null")):
                    found.append(line)
        return found

    def left(self, name):
        """Return the files in one of its folders."""
        folder = self.folder / name
        return [path.relative_to(folder) for path in folder.rglob("*") if path.is_file()]


def test_the_watch_sees_what_native_code_asks_for(watch, tmp_path):
    watched = Watched(tmp_path, watch, ASKING)
    assert watched.finish() == 0, watched.said()
    assert any("192.0.2.1" in line for line in watched.asked()), watched.calls()
    if watch[0] == "strace":
        assert any("realtime-affect-watched" in line for line in watched.wrote())


def test_the_docs_name_every_folder_that_is_written():
    page = (Path(__file__).parents[2] / "docs" / "privacy.md").read_text("utf-8")
    assert not [folder for folder in HOME if f"`~/{folder}`" not in page]


@pytest.mark.slow
@pytest.mark.timeout(2 * PATIENCE_S)
@pytest.mark.usefixtures("models")
@pytest.mark.survival(29)
def test_no_command_asks_for_an_address_or_writes_where_the_docs_do_not_say(watch, tmp_path):
    """All at once: they are waited for, and that takes the time of one."""
    if watch[0] == "preload" and can_trace():
        pytest.skip("strace watches them, and sees more")
    running = {}
    for name, arguments in COMMANDS.items():
        (tmp_path / name).mkdir()
        running[name] = Watched(tmp_path / name, watch, PROGRAM, arguments)
    codes = {name: watched.finish() for name, watched in running.items()}
    for name, watched in running.items():
        assert codes[name] == 0, f"{name}: {watched.said()}"
        assert "No window" not in watched.said()
        assert watched.asked() == [], name
        assert watched.wrote() == [], name
        elsewhere = [path for path in watched.left("home") if not HOME & set(path.parents)]
        assert elsewhere == [], name
        assert watched.left("tmp") == [], name
        assert {path.parts[0] for path in watched.left("work")} == {"out"}, name


@pytest.mark.slow
@pytest.mark.timeout(2 * PATIENCE_S)
@pytest.mark.usefixtures("models")
@pytest.mark.skipif(find_spec("ray") is None, reason="the extra batch (Ray) is not installed")
def test_ray_on_this_machine_talks_to_this_machine_alone(watch, tmp_path):
    if watch[0] == "preload" and can_trace():
        pytest.skip("strace watches it, and sees more")
    assert cv2.imwrite(str(tmp_path / "grey.png"), np.full((64, 64, 3), 99, np.uint8))
    arguments = ["corpus", str(tmp_path / "grey.png"), "-o", "out", "--ray", "local"]
    watched = Watched(tmp_path, watch, PROGRAM, [*arguments, "--format", "csv"])
    assert watched.finish() == 0, watched.said()
    asked = watched.asked()
    assert any("127.0.0.1" in line for line in asked)  # Ray's processes do talk
    here = re.compile(r"127\.0\.0\.1|::1\b|AF_UNIX|0\.0\.0\.0")
    assert [line for line in asked if not here.search(line)] == []
    assert watched.left("home") == []
    assert watched.left("tmp") == []
    assert (tmp_path / "work" / "out" / "images" / "images.csv").exists()
