import itertools
import os
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field

import numpy as np
import pytest

from realtime_affect.capture import CaptureConfig, SourceState
from realtime_affect.capture.live import LiveSource
from realtime_affect.errors import InputError
from tests.realtime_affect.capture.media import wait_until

QUICK = CaptureConfig(
    offline_after_s=0.8, open_timeout_s=10.0, reconnect_first_s=0.05, reconnect_max_s=0.2
)


@dataclass
class FakeCamera:
    """A camera whose cable, driver and sensor a test can play with."""

    plugged: bool = True
    frozen: bool = False
    error: Exception | None = None
    eof: bool = False
    fps: float | None = 100.0
    opened: int = 0
    closed: int = 0
    count: int = 0
    go: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self):
        self.go.set()

    def open(self):
        if not self.plugged:
            raise InputError(thing="camera 0", got="no device", expected="one", hint="Plug it in.")
        self.opened += 1
        return FakeDevice(self)


class FakeDevice:
    def __init__(self, camera):
        self._camera = camera
        self.fps = camera.fps

    def read(self):
        camera = self._camera
        time.sleep(0.01)
        go = camera.go
        go.wait()
        if camera.error is not None:
            raise camera.error
        if camera.eof or not camera.plugged:
            return None
        if not camera.frozen:
            camera.count += 1
        image = np.zeros((4, 6, 3), np.uint8)
        image[:] = camera.count // 256, camera.count % 256, 0
        return image

    def close(self):
        self._camera.closed += 1


def number_of(frame):
    return int(frame.image[0, 0, 0]) * 256 + int(frame.image[0, 0, 1])


@pytest.fixture
def camera():
    made = FakeCamera()
    yield made
    made.go.set()  # lets a reader that a test has stuck leave


@pytest.fixture
def opened(camera):
    source = LiveSource(camera.open, "camera", "camera0", QUICK, check_freeze=True)
    yield source
    source.close()


def goes(source, state):
    return wait_until(lambda: source.state is state)


def collect(source, n):
    """Read `n` frames, waiting through any outage."""
    frames = []
    deadline = time.monotonic() + 60
    while len(frames) < n and time.monotonic() < deadline:
        try:
            frames.append(source.read(0.05))
        except TimeoutError:
            continue
    return frames


def assert_increasing(frames):
    for before, after in itertools.pairwise(frames):
        assert after.index > before.index
        assert after.t_ns > before.t_ns
        assert after.t_ns >= after.captured_ns


def test_a_camera_that_works_is_online_and_gives_frames(opened):
    assert opened.state is SourceState.ONLINE
    info = opened.info
    assert (info.kind, info.name, info.live) == ("camera", "camera0", True)
    assert (info.width, info.height, info.fps, info.n_frames) == (6, 4, 100.0, None)
    frames = collect(opened, 5)
    assert_increasing(frames)
    assert opened.warnings == ()


def test_a_frame_is_stamped_after_the_driver_has_returned(opened):
    before_ns = time.monotonic_ns()
    collect(opened, 1)  # may have been taken before
    frame = collect(opened, 1)[0]
    assert before_ns < frame.t_ns == frame.captured_ns <= time.monotonic_ns()


@pytest.mark.survival(17)
def test_a_slow_reader_sees_the_newest_frame_and_drops_are_counted(opened, camera):
    first = collect(opened, 1)[0]
    assert wait_until(lambda: camera.count > number_of(first) + 10)
    newest = camera.count
    frame = opened.read(60.0)
    assert number_of(frame) >= newest - 1
    assert opened.dropped >= 5


def test_reading_waits_no_longer_than_asked(opened, camera):
    camera.go.clear()
    assert goes(opened, SourceState.OFFLINE)
    collect(opened, 1)
    began = time.monotonic()
    with pytest.raises(TimeoutError):
        opened.read(0.05)
    assert time.monotonic() - began < 60  # far from for ever, and no measure of speed


@pytest.mark.survival(1, stand_in="a fake driver")
def test_a_blocked_read_goes_offline_and_comes_back_with_another_reader(opened, camera):
    collect(opened, 3)
    stuck = camera.go
    stuck.clear()
    assert goes(opened, SourceState.OFFLINE)
    camera.go = threading.Event()
    camera.go.set()
    assert goes(opened, SourceState.ONLINE)
    assert camera.opened >= 2
    assert opened.warnings == ("lost once; the last cause: no new image for 0.8 s",)
    stuck.set()


def test_frames_of_an_abandoned_reader_never_appear_again(camera):
    late = threading.Event()

    class Late(FakeDevice):
        """Hangs after its third image and delivers a marked one much later."""

        def __init__(self, camera):
            super().__init__(camera)
            self._n = 0

        def read(self):
            self._n += 1
            if self._n <= 3:
                return super().read()
            late.wait()
            return np.full((4, 6, 3), 255, np.uint8)

    devices = iter([Late(camera)])

    def open_next():
        return next(devices, None) or camera.open()

    source = LiveSource(open_next, "camera", "camera0", QUICK)
    try:
        assert goes(source, SourceState.OFFLINE)
        assert goes(source, SourceState.ONLINE)
        late.set()
        assert wait_until(lambda: camera.closed == 1)  # the late one has delivered and left
        frames = collect(source, 10)
        assert_increasing(frames)
        assert all(frame.image[0, 0, 2] == 0 for frame in frames)
    finally:
        late.set()
        source.close()


@pytest.mark.survival(3, stand_in="a fake driver")
def test_a_camera_that_repeats_its_last_picture_is_offline_until_it_moves(opened, camera):
    collect(opened, 3)
    camera.frozen = True
    assert goes(opened, SourceState.OFFLINE)
    assert wait_until(lambda: camera.opened >= 2)  # reopened, and still the same image
    for _ in range(20):
        assert opened.state is SourceState.OFFLINE
        time.sleep(0.01)
    camera.frozen = False
    assert goes(opened, SourceState.ONLINE)


def test_a_still_scene_stays_online_where_freezing_is_not_checked(camera):
    camera.frozen = True
    source = LiveSource(camera.open, "stream", "still", QUICK)
    frames = collect(source, 2)
    until_ns = frames[0].t_ns + 3 * QUICK.offline_after_s * 1e9
    while time.monotonic_ns() < until_ns:
        frames += collect(source, 1)
    assert source.warnings == ()
    source.close()


@pytest.mark.survival(1, 2, stand_in="a fake driver")
def test_an_unplugged_camera_goes_offline_and_comes_back_when_plugged_in(
    opened, camera, monkeypatch
):
    trims = []
    monkeypatch.setattr("realtime_affect.capture.live.memory.trim", lambda: trims.append(1))
    before = collect(opened, 3)
    camera.plugged = False
    assert goes(opened, SourceState.OFFLINE)
    assert wait_until(lambda: camera.closed == 1)
    camera.plugged = True
    assert goes(opened, SourceState.ONLINE)
    frames = before + collect(opened, 5)
    assert_increasing(frames)
    assert camera.opened == 2
    assert trims == [1], "what the lost one freed is given back, once"


@pytest.mark.parametrize("error", [OSError(5, "Input/output error"), RuntimeError("driver gone")])
def test_a_driver_that_raises_is_a_lost_camera_and_no_crash(opened, camera, error):
    camera.error = error
    assert goes(opened, SourceState.OFFLINE)
    assert wait_until(lambda: opened.warnings)
    assert opened.warnings[0].endswith(getattr(error, "strerror", None) or str(error))
    camera.error = None
    assert goes(opened, SourceState.ONLINE)


def test_a_session_that_ends_again_and_again_is_reopened_with_growing_pauses(camera):
    config = CaptureConfig(offline_after_s=0.4, reconnect_first_s=0.02, reconnect_max_s=0.08)
    times = []

    def open_once():
        times.append(time.monotonic())
        if len(times) > 1:
            raise InputError(thing="x", got="no", expected="yes", hint="Wait.")
        return camera.open()

    source = LiveSource(open_once, "camera", "camera0", config)
    camera.eof = True
    assert wait_until(lambda: len(times) >= 6)
    source.close()
    pauses = np.diff(times[1:6])
    assert (pauses >= [0.04, 0.08, 0.08, 0.08]).all()


def test_stuck_drivers_do_not_pile_up_without_end(camera):
    camera.go.clear()
    never = threading.Event()
    opened = []

    class Stuck(FakeDevice):
        def read(self):
            if len(opened) == 1 and not never.is_set():
                self._camera.count += 1
                if self._camera.count == 1:
                    return np.zeros((4, 6, 3), np.uint8)
            never.wait()
            return None

    def open_stuck():
        opened.append(Stuck(camera))
        return opened[-1]

    config = CaptureConfig(
        offline_after_s=0.05, open_timeout_s=0.05, reconnect_first_s=0.01, reconnect_max_s=0.01
    )
    source = LiveSource(open_stuck, "camera", "camera0", config)
    assert wait_until(lambda: len(opened) == 8)
    assert not wait_until(lambda: len(opened) > 8, within_s=0.5)
    never.set()
    assert wait_until(lambda: len(opened) > 8)
    source.close()


def test_a_camera_that_cannot_be_opened_at_first_is_an_error(camera):
    camera.plugged = False
    with pytest.raises(InputError, match="camera 0: got no device"):
        LiveSource(camera.open, "camera", "camera0", QUICK)


def test_a_camera_that_opens_and_gives_no_picture_is_an_error_with_a_hint(camera):
    camera.go.clear()
    config = CaptureConfig(open_timeout_s=0.1)
    with pytest.raises(InputError, match=r"no image within 0\.1 s.*Do something\."):
        LiveSource(camera.open, "camera", "camera0", config, hint="Do something.")


def test_a_camera_that_ends_before_its_first_picture_is_an_error(camera):
    camera.eof = True
    with pytest.raises(InputError, match="the session ended"):
        LiveSource(camera.open, "camera", "camera0", QUICK)


def test_an_opener_that_hangs_is_given_up():
    never = threading.Event()
    with pytest.raises(InputError, match="no image within"):
        LiveSource(never.wait, "camera", "camera0", CaptureConfig(open_timeout_s=0.1))
    never.set()


def test_closing_does_not_wait_for_a_driver_that_hangs(camera):
    source = LiveSource(camera.open, "camera", "camera0", QUICK)
    camera.go.clear()
    done = threading.Event()

    def close():
        source.close()
        source.close()
        done.set()

    threading.Thread(target=close, daemon=True).start()
    assert done.wait(60)
    assert source.state is SourceState.ENDED
    source.read(0.0)  # one may still lie in the slot
    assert source.read(0.0) is None


def test_closing_while_offline_ends_the_watchdog(opened, camera):
    camera.plugged = False
    assert goes(opened, SourceState.OFFLINE)
    opened.close()
    assert wait_until(
        lambda: not any(thread.name == "capture watchdog" for thread in threading.enumerate())
    )


def test_the_device_is_closed_by_the_thread_that_read_it(camera):
    threads = []

    class Recording(FakeDevice):
        def read(self):
            threads.append(threading.get_ident())
            return super().read()

        def close(self):
            threads.append(threading.get_ident())
            super().close()

    source = LiveSource(lambda: Recording(camera), "camera", "camera0", QUICK)
    source.close()
    assert wait_until(lambda: camera.closed == 1)
    assert len(set(threads)) == 1


def test_a_program_ends_although_its_driver_hangs():
    program = """
import threading, numpy as np
from realtime_affect.capture import CaptureConfig
from realtime_affect.capture.live import LiveSource

class Device:
    fps = None
    first = True
    def read(self):
        if not self.first:
            threading.Event().wait()
        self.first = False
        return np.zeros((4, 4, 3), np.uint8)
    def close(self):
        pass

source = LiveSource(Device, "camera", "x", CaptureConfig())
source.read(60.0)
"""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    done = subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, timeout=250
    )
    assert (done.returncode, done.stderr) == (0, b"")


@pytest.mark.survival(3)
def test_a_stream_that_repeats_one_image_is_offline_after_its_own_time(camera):
    config = QUICK.replace(offline_after_s=0.3)
    source = LiveSource(camera.open, "stream", "s", config, check_freeze=True, freeze_s=0.6)
    try:
        collect(source, 3)
        camera.frozen = True
        assert goes(source, SourceState.OFFLINE)
        assert wait_until(lambda: source.warnings)
        assert source.warnings == ("lost once; the last cause: the same image for 0.6 s",)
        assert wait_until(lambda: camera.opened >= 3), "it goes on trying"
        assert source.state is SourceState.OFFLINE, "the same image again is none"
        camera.frozen = False
        assert goes(source, SourceState.ONLINE)
    finally:
        source.close()


def test_what_failed_while_it_was_read_keeps_no_device_alive(camera):
    import gc
    import weakref

    devices = []

    def open_device():
        device = camera.open()
        devices.append(weakref.ref(device))
        return device

    source = LiveSource(open_device, "camera", "c", QUICK)
    gc.collect()
    gc.disable()
    try:
        for _ in range(5):
            n = len(devices)
            camera.error = RuntimeError("unplugged")
            assert wait_until(lambda n=n: len(devices) > n)
            camera.error = None
            assert goes(source, SourceState.ONLINE)
        held = sum(device() is not None for device in devices)
    finally:
        gc.enable()
        source.close()
    assert held <= 1
