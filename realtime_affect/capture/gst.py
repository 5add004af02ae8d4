"""Images out of a ``gst-launch-1.0`` child process: CSI cameras, which no OpenCV wheel can read.

The child writes raw images of a size we asked for into a pipe of its own; its standard output is
kept apart, because the camera stack of a Jetson chats there. A child that dies, hangs or writes
half an image ends the session; :class:`~realtime_affect.capture.live.LiveSource` makes that a
state, waits longer after each failure and starts a new child.
"""

from __future__ import annotations

import contextlib
import os
import select
import shlex
import shutil
import signal
import subprocess
import time
from collections import deque
from typing import TYPE_CHECKING, Final

import cv2
import numpy as np

from realtime_affect.capture.live import LiveSource
from realtime_affect.errors import DependencyError, InputError, UsageError
from realtime_affect.redact import redact
from realtime_affect.worker import Worker

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from realtime_affect.capture.source import CaptureConfig, Source
    from realtime_affect.types import Image

LAUNCH: Final = "gst-launch-1.0"
_CHANNELS: Final = 4  # BGRx: its rows carry no padding at any width, unlike NV12's and BGR's
_DEFAULT_SIZE: Final = (1280, 720)
_SAID_LINES: Final = 12
_END_WAIT_S: Final = 1.0
_F_SETPIPE_SZ: Final = 1031  # linux/fcntl.h
_PIPE_BYTES: Final = 1 << 20  # what an unprivileged process may ask for


def csi_pipeline(sensor: int, config: CaptureConfig, flip: int = 0) -> str:
    """Return the pipeline of a Jetson's CSI camera, without its sink.

    Parameters
    ----------
    sensor : int
        ``sensor-id`` of the camera, from 0.
    config : CaptureConfig
        Size and rate.
    flip : int
        ``flip-method`` of nvvidconv: 0 none, 2 turned by 180 degrees.
    """
    width, height = _size(config)
    rate = f",framerate={round(config.fps)}/1" if config.fps else ""
    # The image processor scales and converts, so no core of the CPU does.
    return (
        f"nvarguscamerasrc sensor-id={sensor} "
        f"! video/x-raw(memory:NVMM),format=NV12{rate} "
        f"! nvvidconv flip-method={flip} "
        f"! video/x-raw,format=BGRx,width={width},height={height}"
    )


def open_csi(sensor: int, config: CaptureConfig, flip: int = 0) -> Source:
    """Open a CSI camera of a Jetson.

    Raises
    ------
    DependencyError
        There is no ``gst-launch-1.0``.
    InputError
        It gives no image.
    """
    hint = "Is nvargus-daemon running, and /tmp/argus_socket mounted in the container?"
    return _open(csi_pipeline(sensor, config, flip), config, f"csi{sensor}", "camera", hint)


def open_launch(pipeline: str, config: CaptureConfig) -> Source:
    """Open a pipeline in gst-launch's own words, without a sink: ``videotestsrc is-live=true``.

    What it gives is converted and scaled to the size the configuration asks for.

    Raises
    ------
    DependencyError
        There is no ``gst-launch-1.0``.
    InputError
        The pipeline does not start, or gives no image.
    """
    width, height = _size(config)
    whole = (
        f"{pipeline.strip().rstrip('!').strip()} ! videoconvert ! videoscale "
        f"! video/x-raw,format=BGRx,width={width},height={height}"
    )
    hint = f"Try it with {LAUNCH}, with fakesink at its end."
    return _open(whole, config, "gstreamer", "gstreamer", hint)


def launch_command(pipeline: str, descriptor: int) -> list[str]:
    """Return the child's command line; images go to file `descriptor`, messages elsewhere.

    Raises
    ------
    UsageError
        A quotation in `pipeline` is not closed.
    """
    try:
        words = shlex.split(pipeline)
    except ValueError as error:
        raise UsageError(
            thing=f"GStreamer pipeline {redact(pipeline)!r}",
            got=str(error),
            expected="elements with ' ! ' between them",
            hint="Quote as in a shell.",
        ) from error
    # sync=false: an image goes out when it is there; we want the newest, not an even pace.
    return [LAUNCH, "-q", *words, "!", "fdsink", f"fd={descriptor}", "sync=false"]


def _open(pipeline: str, config: CaptureConfig, name: str, kind: str, hint: str) -> Source:
    if shutil.which(LAUNCH) is None:
        raise DependencyError(
            thing=f"source {name}",
            got=f"no {LAUNCH}",
            expected="GStreamer's command line tools",
            hint="sudo apt-get install gstreamer1.0-tools gstreamer1.0-plugins-base.",
        )
    launch_command(pipeline, 0)  # a bad quotation is told now, not retried for ever

    def open_device() -> LaunchDevice:
        return LaunchDevice(lambda fd: launch_command(pipeline, fd), _size(config), config, name)

    return LiveSource(
        open_device,
        "camera" if kind == "camera" else "gstreamer",
        name,
        config,
        check_freeze=config.freeze_check,
        hint=hint,
    )


class LaunchDevice:
    """A child that writes raw BGRx images; a :class:`~realtime_affect.capture.live.Device`.

    Parameters
    ----------
    command : callable
        Takes the file descriptor that images go to and returns the child's command line.
    size : (int, int)
        Width and height of every image, in pixels.
    config : CaptureConfig
        How long a first and a next image may take.
    name : str
        For messages.

    Raises
    ------
    InputError
        The child cannot be started.
    """

    def __init__(
        self,
        command: Callable[[int], Sequence[str]],
        size: tuple[int, int],
        config: CaptureConfig,
        name: str,
    ) -> None:
        self.fps = config.fps
        self._name = name
        # A little less than the watchdog's patience, so that the camera is free again in time.
        self._waits_s = (0.9 * config.open_timeout_s, 0.9 * config.offline_after_s)
        self._bytes = bytearray(size[0] * size[1] * _CHANNELS)
        self._picture = np.frombuffer(self._bytes, np.uint8).reshape(size[1], size[0], _CHANNELS)
        self._said: deque[str] = deque(maxlen=_SAID_LINES)
        self._first = True
        self._pipe, child_end = os.pipe()
        try:
            self._child = subprocess.Popen(
                list(command(child_end)),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                pass_fds=(child_end,),
                start_new_session=True,  # Ctrl-C is for us; we end the child ourselves
            )
        except (OSError, ValueError) as error:  # ValueError: a NUL inside an argument
            os.close(self._pipe)
            raise InputError(
                thing=f"source {name}",
                got=getattr(error, "strerror", None) or str(error),
                expected="a child process that starts",
                hint="Install GStreamer's command line tools.",
            ) from error
        finally:
            os.close(child_end)
        self._widen()
        os.set_blocking(self._pipe, False)
        self._listener = Worker("gst messages", self._listen)
        self._listener.start()

    @property
    def pid(self) -> int:
        """The child's process id."""
        return self._child.pid

    def read(self) -> Image | None:
        """Wait for the next image; None when the child has closed its end.

        Raises
        ------
        InputError
            The child died, or nothing came in time; the message holds its last words.
        """
        flat = memoryview(self._bytes)
        filled = 0
        until_s = time.monotonic() + self._waits_s[0 if self._first else 1]
        while filled < len(flat):
            left_s = until_s - time.monotonic()
            if left_s <= 0 or not select.select([self._pipe], [], [], left_s)[0]:
                raise self._silent()
            got = os.readv(self._pipe, [flat[filled:]])
            if got == 0:
                self._check_end(filled)
                return None
            filled += got
        self._first = False
        bgr = cv2.cvtColor(self._picture, cv2.COLOR_BGRA2BGR)  # a new array, never ours to reuse
        return np.asarray(bgr, np.uint8)

    def close(self) -> None:
        """End the child: ask it, then kill it; the camera is free when this returns. Idempotent."""
        if self._pipe < 0:
            return
        # On SIGINT gst-launch stops the pipeline, which lets go of the camera.
        for number in (signal.SIGINT, signal.SIGKILL):
            if self._child.poll() is not None:
                break
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._child.pid, number)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._child.wait(_END_WAIT_S)
        os.close(self._pipe)
        self._pipe = -1
        self._listener.wait(_END_WAIT_S)
        if self._child.stdout is not None and not self._listener.working:
            self._child.stdout.close()

    def _check_end(self, filled: int) -> None:
        """Raise where the child failed or tore an image."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._child.wait(_END_WAIT_S)
        self._listener.wait(_END_WAIT_S)
        code = self._child.poll()
        if code == 0 and not filled:
            return
        half = " in the middle of an image" if filled else ""
        what = f"a child that ended with {_told(code)}{half}"
        raise self._error(what)

    def _silent(self) -> InputError:
        return self._error(f"no image within {self._waits_s[0 if self._first else 1]:g} s")

    def _error(self, got: str) -> InputError:
        words = "; ".join(self._said)
        return InputError(
            thing=f"source {self._name}",
            got=f"{got}: {words}" if words else got,
            expected="raw images",
            hint=f"Try the pipeline with {LAUNCH}, with fakesink at its end.",
        )

    def _listen(self) -> None:
        """Keep the child's last words; reading them also keeps it from waiting for us."""
        stream = self._child.stdout
        assert stream is not None
        with contextlib.suppress(ValueError, OSError):
            for line in stream:
                text = line.decode("utf-8", "replace").strip()
                if text:
                    self._said.append(redact(text))

    def _widen(self) -> None:
        """Let the pipe hold more than 64 KiB: fewer turns of the scheduler for each image."""
        import fcntl

        with contextlib.suppress(OSError):
            fcntl.fcntl(self._pipe, _F_SETPIPE_SZ, _PIPE_BYTES)


def _size(config: CaptureConfig) -> tuple[int, int]:
    """Return the size of raw images: it must be known to cut them out of the pipe."""
    return config.width or _DEFAULT_SIZE[0], config.height or _DEFAULT_SIZE[1]


def _told(code: int | None) -> str:
    if code is None:
        return "its output closed"
    return f"exit code {code}" if code >= 0 else f"signal {-code}"
