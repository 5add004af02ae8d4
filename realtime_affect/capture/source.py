"""What a source is: its settings, its description, its states and its methods."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal, Protocol, runtime_checkable

from pydantic import PositiveFloat, PositiveInt, field_validator

from realtime_affect.settings import Section, Texts

if TYPE_CHECKING:
    from realtime_affect.capture.state import SourceState
    from realtime_affect.types import Frame

SourceKind = Literal["camera", "video", "stream", "stills", "demo", "gstreamer"]


@dataclass(frozen=True, slots=True)
class SourceInfo:
    """What is known of a source when it is open.

    Attributes
    ----------
    kind : {"camera", "video", "stream", "stills", "demo", "gstreamer"}
        A file read by network that has an end is a ``"video"``.
    name : str
        Short, fit for a file name: the stem of a file, ``"camera0"``, host and path of a URL.
    width, height : int
        Of the first image, upright, in the source's own pixels; 0 = not known yet. Later ones may
        differ.
    fps : float or None
        Mean rate as the container or driver states it.
    n_frames : int or None
        How many frames will come; an estimate, for progress.
    live : bool
        Whether frames come at their own pace and not as fast as they are read.
    """

    kind: SourceKind
    name: str
    width: int
    height: int
    fps: float | None
    n_frames: int | None
    live: bool


@runtime_checkable
class Source(Protocol):
    """A stream of frames. One thread reads; any thread may ask for the rest or close."""

    @property
    def info(self) -> SourceInfo:
        """What is known of the source."""

    @property
    def state(self) -> SourceState:
        """Whether frames flow."""

    @property
    def warnings(self) -> tuple[str, ...]:
        """What was wrong so far and did not end the source, each a short sentence."""

    def read(self, timeout_s: float) -> Frame | None:
        """Return the next frame, or None when the source has ended.

        Raises
        ------
        TimeoutError
            Nothing came within `timeout_s` seconds; call again.
        """

    def close(self) -> None:
        """Let go of file or device; never hangs, may be called twice."""


class CaptureConfig(Section):
    """How cameras, streams and files are read.

    Attributes
    ----------
    width, height : int or None
        Image size asked of a camera, pixels; it answers with the nearest it has. None keeps the
        driver's default.
    fps : float or None
        Rate asked of a camera.
    fourcc : str or None
        Pixel format asked of a camera. Most USB cameras reach 30 fps at 720p only as MJPG.
    offline_after_s : float
        A camera or stream without a new image for so long is offline; 0.2 s later everybody knows.
    open_timeout_s : float
        Longest time to open a camera or stream.
    reconnect_first_s, reconnect_max_s : float
        Wait before the first attempt to reopen; doubled after each failure up to the maximum.
    freeze_check : bool
        Whether a camera that repeats byte-identical images for `offline_after_s`, or a stream that
        does so for `stream_freeze_s`, is offline. Off for sources that may stand still exactly,
        such as test patterns.
    stream_freeze_s : float
        Longer than a compressed image of a still room stays the same.
    rtsp_transport : {"tcp", "udp", "udp_multicast", "http"}
        How RTSP images travel.
    low_latency : bool
        Open streams with small probes and without reordering buffers.
    stream_options : tuple of str
        FFmpeg options for streams and files by network, each ``"name=value"``; they override ours.
    still_s : float
        How long each still lasts when stills are played live.

    Raises
    ------
    UsageError
        A value is out of range.
    """

    section: ClassVar[str] = "capture"
    hint: ClassVar[str] = "Sizes are pixels, times are seconds."

    width: PositiveInt | None = 1280
    height: PositiveInt | None = 720
    fps: PositiveFloat | None = 30.0
    fourcc: str | None = "MJPG"
    offline_after_s: PositiveFloat = 1.6
    open_timeout_s: PositiveFloat = 10.0
    reconnect_first_s: PositiveFloat = 0.5
    reconnect_max_s: PositiveFloat = 8.0
    freeze_check: bool = True
    stream_freeze_s: PositiveFloat = 10.0
    rtsp_transport: Literal["tcp", "udp", "udp_multicast", "http"] = "tcp"
    low_latency: bool = True
    stream_options: Texts = ()
    still_s: PositiveFloat = 1.0

    @field_validator("fourcc")
    @classmethod
    def _four_letters(cls, fourcc: str | None) -> str | None:
        if fourcc is not None and (len(fourcc) != 4 or not fourcc.isascii()):
            raise cls.refuse(
                key="fourcc", value=fourcc, expected="four letters, or none",
                hint="For example MJPG or YUYV; v4l2-ctl --list-formats lists a camera's.",
            )  # fmt: skip
        return fourcc

    @field_validator("stream_options")
    @classmethod
    def _named(cls, options: tuple[str, ...]) -> tuple[str, ...]:
        for option in options:
            if not option.partition("=")[0] or "=" not in option:
                raise cls.refuse(
                    key="stream_options", value=option, expected='"name=value"',
                    hint='For example stream_options = ["listen_timeout=10"].',
                )  # fmt: skip
        return options
