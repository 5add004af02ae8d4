import os
import shutil
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from realtime_affect.capture import gst
from realtime_affect.capture.source import CaptureConfig
from realtime_affect.capture.state import SourceState
from realtime_affect.errors import DependencyError, InputError, UsageError

WIDTH, HEIGHT = 64, 48
CONFIG = CaptureConfig(
    width=WIDTH,
    height=HEIGHT,
    fps=30.0,
    offline_after_s=0.5,
    open_timeout_s=5.0,
    reconnect_first_s=0.05,
    reconnect_max_s=0.2,
)

# A child that writes numbered images, and does what its third argument says.
CHILD = """
import os, sys, time
fd, size, what = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
print("Setting pipeline to PLAYING", flush=True)
n = 3 if what in ("die", "tear", "end", "hang") else 10**9
i = 0
while i < n:
    view = memoryview(bytes([i % 251]) * size)
    while view:
        view = view[os.write(fd, view):]
    i += 1
    time.sleep(0.0 if what == "fast" else 0.01)
if what == "hang":
    time.sleep(600)
if what == "tear":
    os.write(fd, b"x" * (size // 2))
if what == "die":
    print("ERROR: the sensor is gone", file=sys.stderr, flush=True)
    sys.exit(3)
"""


def command(what):
    size = WIDTH * HEIGHT * 4
    return lambda fd: [sys.executable, "-S", "-c", CHILD, str(fd), str(size), what]


def device(what, config=CONFIG):
    return gst.LaunchDevice(command(what), (WIDTH, HEIGHT), config, "fake")


def values(opened, n):
    return [int(opened.read()[0, 0, 0]) for _ in range(n)]


def gone(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False


def test_pictures_are_cut_out_of_the_pipe_and_messages_are_not_among_them():
    opened = device("end")
    try:
        first = opened.read()
        assert first.shape == (HEIGHT, WIDTH, 3)
        assert first.dtype == np.uint8
        second = opened.read()
        assert np.unique(first).tolist() == [0]  # not overwritten by the next
        assert np.unique(second).tolist() == [1]
        assert values(opened, 1) == [2]
        assert opened.read() is None
    finally:
        opened.close()


@pytest.mark.parametrize(
    ("what", "words"),
    [
        ("die", "exit code 3: .*the sensor is gone"),
        ("tear", "in the middle of an image"),
        ("hang", "no image within 0.45 s"),
    ],
)
def test_a_child_that_fails_says_how(what, words):
    opened = device(what)
    try:
        assert values(opened, 3) == [0, 1, 2]
        with pytest.raises(InputError, match=words):
            opened.read()
    finally:
        opened.close()


@pytest.mark.parametrize("what", ["on", "hang"])
def test_close_leaves_no_child_behind(what):
    opened = device(what)
    opened.read()
    opened.close()
    opened.close()
    assert gone(opened.pid)


def test_a_child_that_ignores_the_polite_signal_is_killed(monkeypatch):
    monkeypatch.setattr(gst, "_END_WAIT_S", 0.2)
    deaf = f"import signal; signal.signal(signal.SIGINT, signal.SIG_IGN)\n{CHILD}"
    size = str(WIDTH * HEIGHT * 4)
    opened = gst.LaunchDevice(
        lambda fd: [sys.executable, "-S", "-c", deaf, str(fd), size, "on"],
        (WIDTH, HEIGHT),
        CONFIG,
        "deaf",
    )
    opened.read()
    opened.close()
    assert gone(opened.pid)


def descriptors():
    return len(list(Path("/proc/self/fd").iterdir()))


def test_a_command_that_is_not_there_is_an_input_error_and_leaks_no_descriptor():
    before = descriptors()
    with pytest.raises(InputError, match="No such file"):
        gst.LaunchDevice(lambda fd: ["/nowhere/gst"], (4, 4), CONFIG, "x")
    assert descriptors() == before


@pytest.fixture
def fake_launch(monkeypatch):
    """Let our child stand in for gst-launch; returns what it shall do next."""
    plan = {"what": "on", "started": 0}

    def launch(pipeline, fd):
        if fd:
            plan["started"] += 1
        return command(plan["what"])(fd)

    monkeypatch.setattr(gst, "launch_command", launch)
    monkeypatch.setattr(gst.shutil, "which", lambda name: f"/usr/bin/{name}")
    return plan


def wait_until(true, seconds=60.0):
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.01)


def test_a_child_that_dies_is_a_state_and_a_new_one_is_started(fake_launch):
    fake_launch["what"] = "die"
    source = gst.open_csi(0, CONFIG)
    try:
        assert source.info.kind == "camera"
        assert (source.info.width, source.info.height) == (WIDTH, HEIGHT)
        index = source.read(60.0).index
        wait_until(lambda: any("the sensor is gone" in told for told in source.warnings))
        fake_launch["what"] = "on"
        wait_until(lambda: source.state is SourceState.ONLINE)
        wait_until(lambda: source.read(60.0).index > index + 6)
        assert fake_launch["started"] >= 2
    finally:
        source.close()


def test_a_slow_reader_gets_the_newest_picture(fake_launch):
    fake_launch["what"] = "fast"
    source = gst.open_launch("videotestsrc", CONFIG)
    try:
        first, before = source.read(60.0), source.dropped
        wait_until(lambda: source.dropped >= before + 10)
        dropped = source.dropped - before
        assert source.read(60.0).index > first.index + dropped, "all that were dropped are older"
    finally:
        source.close()


def test_a_camera_that_never_gives_a_picture_says_why(fake_launch, monkeypatch):
    child = [sys.executable, "-S", "-c", "import sys; sys.exit('no cameras available')"]
    monkeypatch.setattr(gst, "launch_command", lambda pipeline, fd: child)
    with pytest.raises(InputError, match="no cameras available"):
        gst.open_csi(0, CONFIG)


def test_the_csi_pipeline_converts_outside_the_cpu_and_ends_in_its_own_descriptor():
    line = gst.launch_command(gst.csi_pipeline(1, CONFIG, flip=2), 7)
    text = " ".join(line)
    assert line[:2] == ["gst-launch-1.0", "-q"]
    assert "nvarguscamerasrc sensor-id=1 ! video/x-raw(memory:NVMM)" in text
    assert "framerate=30/1" in text
    assert "nvvidconv flip-method=2" in text
    assert f"format=BGRx,width={WIDTH},height={HEIGHT} ! fdsink fd=7" in text


def test_a_quotation_left_open_is_a_usage_error(monkeypatch):
    monkeypatch.setattr(gst.shutil, "which", lambda name: name)
    with pytest.raises(UsageError, match="quotation"):
        gst.open_launch('videotestsrc pattern="ball', CONFIG)


def test_without_gstreamer_the_package_to_install_is_named(monkeypatch):
    monkeypatch.setattr(gst.shutil, "which", lambda name: None)
    with pytest.raises(DependencyError, match=r"apt-get install gstreamer1\.0-tools"):
        gst.open_csi(0, CONFIG)


@pytest.mark.skipif(
    shutil.which(gst.LAUNCH) is None, reason="gst-launch-1.0 is not on this machine"
)
def test_real_gstreamer_gives_the_colours_it_was_asked_for_and_ends_with_its_pipe():
    source = gst.open_launch("videotestsrc is-live=true pattern=red", CONFIG)
    try:
        frame = source.read(60.0)
        assert frame.image.shape == (HEIGHT, WIDTH, 3)
        blue, green, red = frame.image.reshape(-1, 3).mean(0)
        assert red > 200
        assert max(blue, green) < 40
    finally:
        source.close()
