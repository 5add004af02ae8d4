"""Streams by network, through FFmpeg."""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING, Final

import av

from realtime_affect.capture.files import PLAYLISTS, VideoFile
from realtime_affect.capture.image import UprightConverter
from realtime_affect.capture.live import LiveSource
from realtime_affect.capture.paced import PacedSource
from realtime_affect.errors import InputError
from realtime_affect.redact import redact, safe_cause

if TYPE_CHECKING:
    from collections.abc import Generator

    from realtime_affect.capture.source import CaptureConfig, Source
    from realtime_affect.types import Image

_LOW_LATENCY: Final = {
    "fflags": "nobuffer",
    "flags": "low_delay",
    "probesize": "500000",  # bytes; FFmpeg would take ten times as much before the first image
    "analyzeduration": "1000000",  # microseconds
    "max_delay": "100000",  # microseconds of waiting for RTP packets out of order
}
_LATE_S: Final = 1.0
_HINT: Final = "Try the same URL in ffplay or VLC; check host, port and password."


def open_stream(url: str, config: CaptureConfig, *, live: bool) -> Source:
    """Open a URL: a live stream, or a file by network, which has a duration or a length.

    Parameters
    ----------
    url : str
    config : CaptureConfig
    live : bool
        Whether a file by network is played at its own speed, and a stream opened again when it
        ends. Otherwise every stream is read as a file is: to where its server ends it.

    Raises
    ------
    InputError
        Nothing answers, or what answers sends no video.
    """
    name = _name(url)
    if not live:
        return VideoFile(url, config, name=name, options=_options(url, config))
    if url.lower().startswith("http"):
        video = VideoFile(url, config, name=name, options=_options(url, config))
        if video.has_end:
            return PacedSource(video)
        video.close()
    return LiveSource(
        lambda: StreamDevice(url, config),
        "stream",
        name,
        config,
        check_freeze=config.freeze_check,
        freeze_s=config.stream_freeze_s,
        hint=_HINT,
    )


class StreamDevice:
    """A :class:`~realtime_affect.capture.live.Device` that FFmpeg reads.

    Parameters
    ----------
    url : str
    config : CaptureConfig

    Raises
    ------
    InputError
        It cannot be opened or has no video.
    """

    def __init__(self, url: str, config: CaptureConfig) -> None:
        # The read gives up a little before the watchdog does, so that the port is free again.
        self._url, self._wait_s = url, 0.9 * config.offline_after_s
        try:
            self._container = av.open(
                url,
                metadata_errors="replace",
                options=_options(url, config),
                timeout=(config.open_timeout_s, self._wait_s),
            )
        except (av.FFmpegError, OSError, ValueError) as error:
            raise _not_open(url, error, config.open_timeout_s) from safe_cause(error)
        video = self._container.streams.video
        known = [stream for stream in video if stream.codec_context is not None]
        if not known:
            self._container.close()
            got = "a codec that is not known here" if video else "no video"
            raise InputError(
                thing=f"stream {redact(url)}", got=got, expected="a video stream", hint=_HINT
            )
        stream = known[0]
        # Threads that work on whole frames would each hold one back.
        stream.thread_type = "SLICE" if config.low_latency else "AUTO"
        self._stream = stream
        self.fps = float(stream.average_rate) if stream.average_rate else None
        self._paced = self._container.format.name in PLAYLISTS
        self._begin_s: float | None = None
        self._converter = UprightConverter()
        self._decoded = self._decode()

    def read(self) -> Image | None:
        """Wait for the next image; None when the sender has ended.

        Raises
        ------
        InputError
            Nothing came in time.
        av.FFmpegError
            The connection broke.
        """
        try:
            picture = next(self._decoded, None)
        except av.error.ExitError as error:
            raise _silent(self._url, self._wait_s) from safe_cause(error)
        if picture is None:
            return None
        if self._paced and picture.time is not None:
            self._wait_until_due(picture.time)
        return self._converter.convert(picture, self._stream.sample_aspect_ratio)

    @property
    def stretch(self) -> tuple[float, float]:
        """Of the last image; see :class:`~realtime_affect.types.Frame`."""
        return self._converter.stretch

    def close(self) -> None:
        """Hang up, and free the decoder now.

        The generator holds this object and this object the generator: left to the garbage
        collector, decoder, threads and buffers of every session would outlive it.
        """
        self._decoded.close()
        self._container.close()

    def _decode(self) -> Generator[av.VideoFrame, None, None]:
        asked_s = time.monotonic()
        for packet in self._container.demux(self._stream):
            if time.monotonic() - asked_s >= self._wait_s:
                # What FFmpeg still held when it gave up waiting: old, and the last.
                raise _silent(self._url, self._wait_s)
            try:
                yield from self._stream.codec_context.decode(packet)
            except av.error.EOFError:
                return
            except av.FFmpegError:
                pass  # joined in the middle, or a packet was lost: the next one may do
            asked_s = time.monotonic()

    def _wait_until_due(self, time_s: float) -> None:
        """Spread images that arrived at once by their own timestamps."""
        now_s = time.monotonic()
        ahead_s = _LATE_S if self._begin_s is None else self._begin_s + time_s - now_s
        if abs(ahead_s) >= _LATE_S:  # the first, after a stall, or a jump of the timestamps
            self._begin_s, ahead_s = now_s - time_s, 0.0
        time.sleep(max(0.0, ahead_s))


def _options(url: str, config: CaptureConfig) -> dict[str, str]:
    """Return FFmpeg's options for a URL, the user's last."""
    scheme = url.partition("://")[0].lower()
    options: dict[str, str] = {}
    if config.low_latency and not scheme.startswith("http"):
        options |= _LOW_LATENCY
    if scheme in ("rtsp", "rtsps"):
        options["rtsp_transport"] = config.rtsp_transport
    if scheme == "udp":
        options["overrun_nonfatal"] = "1"  # a full buffer loses packets, not the session
    for option in config.stream_options:
        key, _, value = option.partition("=")
        options[key.strip()] = value.strip()
    return options


def _not_open(url: str, error: Exception, waited_s: float) -> InputError:
    if isinstance(error, av.error.ExitError):
        return _silent(url, waited_s)
    # FFmpeg's message repeats the URL, which may carry a password.
    got = getattr(error, "strerror", None) or type(error).__name__
    return InputError(
        thing=f"stream {redact(url)}", got=got, expected="a stream with video", hint=_HINT
    )


def _silent(url: str, waited_s: float) -> InputError:
    return InputError(
        thing=f"stream {redact(url)}",
        got=f"no data within {waited_s:g} s",
        expected="a stream with video",
        hint=_HINT,
    )


def _name(url: str) -> str:
    """Return host and path of a URL as a file name, without secrets."""
    place = re.sub(r"^[\w+.-]+://(\*\*\*@)?", "", redact(url)).partition("?")[0]
    return re.sub(r"[^A-Za-z0-9.]+", "-", place).strip("-.")[:80] or "stream"
