import errno
import os
import struct
from pathlib import Path

import cv2
import numpy as np
import pytest

from realtime_affect.capture import CaptureConfig, SourceState, cameras, open_source
from realtime_affect.capture.cameras import CameraDevice, check_camera, check_free
from realtime_affect.errors import InputError, InputMissingError

QUICK = CaptureConfig(open_timeout_s=5.0)


class FakeCapture:
    """Stands in for cv2.VideoCapture."""

    def __init__(self, opened=True, failing_reads=0, image=None):
        self.asked = {}
        self.released = False
        self._opened = opened
        self._failing = failing_reads
        self._image = np.full((4, 6, 3), 7, np.uint8) if image is None else image

    def isOpened(self):  # noqa: N802  (OpenCV's)
        return self._opened

    def read(self):
        if self._failing > 0:
            self._failing -= 1
            return False, None
        self._image = self._image + np.uint8(1)
        return True, self._image

    def get(self, prop):
        return 30.0 if prop == cv2.CAP_PROP_FPS else 0.0

    def set(self, prop, value):
        self.asked[prop] = value
        return True

    def release(self):
        self.released = True


@pytest.fixture
def no_node_checks(monkeypatch):
    """Skip what needs a device node."""
    monkeypatch.setattr(cameras, "check_camera", lambda node, thing: None)
    monkeypatch.setattr(cameras, "check_free", lambda node, thing: None)


def fail_with(number):
    def fail(*_):
        raise OSError(number, os.strerror(number))

    return fail


def test_a_camera_is_asked_for_format_size_and_rate(monkeypatch, no_node_checks):
    capture = FakeCapture()
    monkeypatch.setattr(cv2, "VideoCapture", lambda *_: capture)
    source = open_source(0, QUICK, live=True)
    assert source.state is SourceState.ONLINE
    assert (source.info.kind, source.info.name, source.info.fps) == ("camera", "camera0", 30.0)
    assert source.read(60.0).image.shape == (4, 6, 3)
    source.close()
    assert capture.asked[cv2.CAP_PROP_FRAME_WIDTH] == 1280
    assert capture.asked[cv2.CAP_PROP_FRAME_HEIGHT] == 720
    assert capture.asked[cv2.CAP_PROP_FOURCC] == cv2.VideoWriter.fourcc(*"MJPG")
    assert next(iter(capture.asked)) == cv2.CAP_PROP_FOURCC


def test_a_camera_left_at_its_own_settings_is_asked_for_nothing(monkeypatch, no_node_checks):
    capture = FakeCapture()
    monkeypatch.setattr(cv2, "VideoCapture", lambda *_: capture)
    config = CaptureConfig(width=None, height=None, fps=None, fourcc=None)
    open_source("0", config, live=True).close()
    assert capture.asked == {}


@pytest.mark.survival(4, stand_in="a fake driver")
def test_failed_first_reads_are_forgiven():
    assert CameraDevice(FakeCapture(failing_reads=2)).read() is not None


def test_reads_that_fail_for_good_end_the_session():
    capture = FakeCapture(failing_reads=10_000)
    device = CameraDevice(capture)
    assert device.read() is None
    device.close()
    assert capture.released


def test_a_grey_camera_gives_bgr():
    assert CameraDevice(FakeCapture(image=np.zeros((4, 6), np.uint8))).read().shape == (4, 6, 3)


@pytest.mark.survival(5)
def test_no_camera_is_an_input_that_is_missing():
    with pytest.raises(InputMissingError, match="camera 63: got no device /dev/video63"):
        open_source(63, QUICK, live=True)


@pytest.mark.parametrize("node", ["/dev/null", "/dev/zero"])
def test_a_device_that_is_no_camera_is_refused(node):
    with pytest.raises(InputError, match="gives no images"):
        open_source(node, QUICK, live=True)


def test_a_file_is_no_camera(tmp_path):
    path = tmp_path / "video0"
    path.write_bytes(b"")
    with pytest.raises(InputError, match="gives no images"):
        check_camera(path, "camera 0")


@pytest.mark.parametrize(
    ("number", "said"),
    [
        (errno.EACCES, "permission denied on /dev/null.*usermod -aG video"),
        (errno.EBUSY, "in use by another program.*fuser -v /dev/null"),
        (errno.ENODEV, "no device /dev/null"),
        (errno.EIO, os.strerror(errno.EIO)),
    ],
)
@pytest.mark.survival(5, stand_in="a fake driver")
def test_a_device_that_cannot_be_opened_says_why_and_what_to_do(monkeypatch, number, said):
    monkeypatch.setattr(os, "open", fail_with(number))
    with pytest.raises(InputError, match=said):
        check_camera(Path("/dev/null"), "camera 0")


@pytest.mark.parametrize(
    ("whole", "own", "fits"),
    [(0x80000001, 0x04200001, True), (0x80000001, 0x00800000, False), (0x1, 0, True)],
)
def test_a_metadata_node_is_told_from_a_camera(monkeypatch, whole, own, fits):
    import fcntl

    def answer(device, request, buffer):
        struct.pack_into("=II", buffer, 84, whole, own)
        return 0

    monkeypatch.setattr(fcntl, "ioctl", answer)
    if fits:
        check_camera(Path("/dev/null"), "camera 0")
    else:
        with pytest.raises(InputError, match="gives no images"):
            check_camera(Path("/dev/null"), "camera 0")


@pytest.mark.survival(5, stand_in="a fake driver")
def test_a_camera_whose_format_is_held_by_another_program_is_busy(monkeypatch):
    import fcntl

    monkeypatch.setattr(fcntl, "ioctl", fail_with(errno.EBUSY))
    with pytest.raises(InputError, match="in use by another program"):
        check_free(Path("/dev/null"), "camera 0")


def test_a_camera_that_opencv_cannot_open_is_refused(monkeypatch, no_node_checks):
    monkeypatch.setattr(cv2, "VideoCapture", lambda *_: FakeCapture(opened=False))
    with pytest.raises(InputError, match="cannot open"):
        open_source(0, QUICK, live=True)


def test_a_pipeline_without_gstreamer_says_what_to_use_instead(monkeypatch):
    monkeypatch.setattr(cv2.videoio_registry, "hasBackend", lambda _: False)
    with pytest.raises(InputError, match=r"without GStreamer.*no wheel.*rtsp://"):
        open_source("videotestsrc ! videoconvert ! appsink", QUICK, live=True)


def test_a_pipeline_is_read_where_opencv_has_gstreamer(monkeypatch):
    monkeypatch.setattr(cv2.videoio_registry, "hasBackend", lambda _: True)
    asked = []

    def capture(*given):
        asked.append(given)
        return FakeCapture()

    monkeypatch.setattr(cv2, "VideoCapture", capture)
    source = open_source("videotestsrc ! appsink", QUICK, live=True)
    assert source.info.kind == "gstreamer"
    source.close()
    assert asked[0] == ("videotestsrc ! appsink", cv2.CAP_GSTREAMER)


def test_a_pipeline_that_does_not_start_is_refused(monkeypatch):
    monkeypatch.setattr(cv2.videoio_registry, "hasBackend", lambda _: True)
    monkeypatch.setattr(cv2, "VideoCapture", lambda *_: FakeCapture(opened=False))
    with pytest.raises(InputError, match=r"does not start.*gst-launch"):
        open_source("videotestsrc ! nonsense", QUICK, live=True)
