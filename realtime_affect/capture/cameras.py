"""Cameras and GStreamer pipelines, through OpenCV."""

from __future__ import annotations

import errno
import os
import stat
import struct
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

import cv2

from realtime_affect.capture.image import as_bgr
from realtime_affect.capture.live import LiveSource
from realtime_affect.errors import InputError, InputMissingError
from realtime_affect.redact import redact

if TYPE_CHECKING:
    from realtime_affect.capture.source import CaptureConfig, Source
    from realtime_affect.types import Image

# OpenCV sometimes reports a failed first read of a camera that works (opencv issue 9795 and
# others); a camera that is gone fails at once and for ever.
_FALSE_READS: Final = 20
_FALSE_READ_WAIT_S: Final = 0.02

# linux/videodev2.h: VIDIOC_QUERYCAP = _IOR('V', 0, 104), VIDIOC_G_FMT and S_FMT = _IOWR('V', 4 and
# 5, 208), the latter on 64 bit.
_QUERYCAP: Final = 0x80685600
_G_FMT: Final = 0xC0D05604
_S_FMT: Final = 0xC0D05605
_CAN_CAPTURE: Final = 0x1 | 0x1000  # single- and multi-planar
_HAS_DEVICE_CAPS: Final = 0x80000000


def open_camera(camera: str, config: CaptureConfig) -> Source:
    """Open a camera and wait for its first image.

    Parameters
    ----------
    camera : str
        Number, or device node such as ``/dev/video0``.
    config : CaptureConfig

    Raises
    ------
    InputMissingError
        There is no such camera.
    InputError
        It is busy, may not be used, is no camera, or gives no image.
    """
    node = Path(f"/dev/video{camera}" if camera.isdigit() else camera)
    thing = f"camera {camera}"
    number: int | str = int(camera) if camera.isdigit() else camera
    linux = sys.platform.startswith("linux")

    def open_device() -> CameraDevice:
        if linux:
            check_camera(node, thing)
        capture = cv2.VideoCapture(number, cv2.CAP_V4L2 if linux else cv2.CAP_ANY)
        if not capture.isOpened():
            if linux:
                check_free(node, thing)
            raise InputError(
                thing=thing,
                got="a device that OpenCV cannot open",
                expected="a camera",
                hint="Close other programs that use it (`fuser -v /dev/video*` names them).",
            )
        _request(capture, config)
        return CameraDevice(capture)

    name = f"camera{camera}" if camera.isdigit() else node.name
    hint = "Another program may be using it (`fuser -v /dev/video*` names it); plug it in again."
    return LiveSource(
        open_device, "camera", name, config, check_freeze=config.freeze_check, hint=hint
    )


def open_gstreamer(pipeline: str, config: CaptureConfig) -> Source:
    """Open a GStreamer pipeline that ends in ``appsink``.

    Raises
    ------
    InputError
        This OpenCV has no GStreamer, or the pipeline gives no image.
    """
    if not cv2.videoio_registry.hasBackend(cv2.CAP_GSTREAMER):
        raise InputError(
            thing=f"GStreamer pipeline {redact(pipeline)!r}",
            got=f"OpenCV {cv2.__version__} without GStreamer",
            expected="an OpenCV built with WITH_GSTREAMER=ON; no wheel on PyPI is",
            hint="Name the camera or an rtsp:// or udp:// URL instead, which FFmpeg reads, "
            "or install an OpenCV of your own build in place of the wheel.",
        )

    def open_device() -> CameraDevice:
        capture = cv2.VideoCapture(pipeline, cv2.CAP_GSTREAMER)
        if not capture.isOpened():
            raise InputError(
                thing=f"GStreamer pipeline {redact(pipeline)!r}",
                got="a pipeline that does not start",
                expected="one that ends in `videoconvert ! video/x-raw,format=BGR ! appsink`",
                hint="Try it with gst-launch-1.0, with autovideosink in place of appsink.",
            )
        return CameraDevice(capture)

    hint = "Try it with gst-launch-1.0, with autovideosink in place of appsink."
    return LiveSource(
        open_device, "gstreamer", "gstreamer", config, check_freeze=config.freeze_check, hint=hint
    )


class CameraDevice:
    """A :class:`~realtime_affect.capture.live.Device` that OpenCV reads.

    Parameters
    ----------
    capture : cv2.VideoCapture
        Opened; owned from now on.
    """

    def __init__(self, capture: cv2.VideoCapture) -> None:
        self._capture = capture
        fps = capture.get(cv2.CAP_PROP_FPS)
        self.fps = fps if fps > 0 else None

    def read(self) -> Image | None:
        """Wait for the next image; None when the driver keeps failing."""
        for _ in range(_FALSE_READS):
            ok, image = self._capture.read()
            if ok and image is not None and image.size:
                return as_bgr(image)
            time.sleep(_FALSE_READ_WAIT_S)
        return None

    def close(self) -> None:
        """Release the driver."""
        self._capture.release()


def check_camera(node: Path, thing: str) -> None:
    """Raise, with the reason, where a device node is no camera we may use (Linux).

    Raises
    ------
    InputMissingError, InputError
    """
    try:
        mode = node.stat().st_mode
        device = os.open(node, os.O_RDWR | os.O_NONBLOCK) if stat.S_ISCHR(mode) else None
    except ValueError as error:  # a NUL inside the name
        raise _why(OSError(errno.ENOENT, ""), node, thing) from error
    except OSError as error:
        raise _why(error, node, thing) from error
    try:
        if device is None or not _can_capture(device):
            raise InputError(
                thing=thing,
                got=f"{node}, which gives no images",
                expected="a video capture device",
                hint=_present("Cameras often have a second node for metadata. "),
            )
    finally:
        if device is not None:
            os.close(device)


def check_free(node: Path, thing: str) -> None:
    """Raise where another program holds the camera (Linux): its format cannot be set then.

    Raises
    ------
    InputError
    """
    import fcntl

    if struct.calcsize("P") != 8:
        return
    try:
        device = os.open(node, os.O_RDWR | os.O_NONBLOCK)
        try:
            layout = bytearray(208)
            layout[:4] = struct.pack("=I", 1)  # V4L2_BUF_TYPE_VIDEO_CAPTURE
            fcntl.ioctl(device, _G_FMT, layout)
            fcntl.ioctl(device, _S_FMT, layout)
        finally:
            os.close(device)
    except OSError as error:
        if error.errno == errno.EBUSY:
            raise _why(error, node, thing) from error


def _can_capture(device: int) -> bool:
    """Whether an open device node is a video capture device."""
    import fcntl

    answer = bytearray(104)
    try:
        fcntl.ioctl(device, _QUERYCAP, answer)
    except OSError:
        return False
    whole, own = struct.unpack_from("=II", answer, 84)
    return bool((own if whole & _HAS_DEVICE_CAPS else whole) & _CAN_CAPTURE)


def _why(error: OSError, node: Path, thing: str) -> InputError:
    """Return the error for a device node that cannot be opened."""
    if error.errno in (errno.ENOENT, errno.ENODEV, errno.ENXIO):
        return InputMissingError(
            thing=thing,
            got=f"no device {node}",
            expected="a connected camera",
            hint=_present("Plug it in. "),
        )
    if error.errno in (errno.EACCES, errno.EPERM):
        return InputError(
            thing=thing,
            got=f"permission denied on {node}",
            expected="a camera that you may use",
            hint="Join the group video: `sudo usermod -aG video $USER`, then log in again.",
        )
    if error.errno == errno.EBUSY:
        return InputError(
            thing=thing,
            got="a camera in use by another program",
            expected="a free camera",
            hint=f"Close that program; `fuser -v {node}` names it.",
        )
    return InputError(
        thing=thing, got=os.strerror(error.errno or 0), expected="a camera", hint=_present("")
    )


def _present(advice: str) -> str:
    """Return `advice` and which video devices there are."""
    nodes = sorted(str(node) for node in Path("/dev").glob("video*"))
    here = f"Video devices here: {', '.join(nodes)}." if nodes else "There is no /dev/video* here."
    return advice + here


def _request(capture: cv2.VideoCapture, config: CaptureConfig) -> None:
    """Ask for format, size and rate; a camera that has not got them answers with the nearest."""
    if config.fourcc is not None:
        # The format first: the driver offers other sizes for each.
        capture.set(cv2.CAP_PROP_FOURCC, cv2.VideoWriter.fourcc(*config.fourcc))
    wanted = (
        (cv2.CAP_PROP_FRAME_WIDTH, config.width),
        (cv2.CAP_PROP_FRAME_HEIGHT, config.height),
        (cv2.CAP_PROP_FPS, config.fps),
    )
    for prop, value in wanted:
        if value is not None:
            capture.set(prop, value)
