"""Video files, through FFmpeg, by the stream's own timestamps."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Final

import av

from realtime_affect.capture.image import UprightConverter
from realtime_affect.capture.paths import check_path
from realtime_affect.capture.source import SourceInfo
from realtime_affect.capture.state import SourceState
from realtime_affect.errors import InputError
from realtime_affect.redact import redact, safe_cause
from realtime_affect.types import Frame

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping
    from fractions import Fraction
    from pathlib import Path

    from av.container import InputContainer

    from realtime_affect.capture.source import CaptureConfig, SourceKind

_NS: Final = 1_000_000_000
_STEP_NS: Final = 1_000_000  # between frames whose timestamps collide: 1 ms fits any container
_JUMP_NS: Final = _NS  # a timestamp that falls back further starts a new piece of time
_DEFAULT_RATE: Final = 25.0
_DEMUX_ATTEMPTS: Final = 8  # errors in a row, without a packet between, that end the file
_CLOSE_WAIT_S: Final = 2.0
_PICTURE_FORMATS: Final = ("tty", "ansi")  # text files rendered as video by FFmpeg


class VideoFile:
    """Frames of a video file, as fast as they are read; a :class:`~.source.Source`.

    Timestamps are the container's, ``pts * time_base``, so variable frame rate is right.
    Rotation and mirroring stated by the container are applied. Damaged packets are skipped; what
    could not be read is told in :attr:`warnings`.

    Parameters
    ----------
    path : Path or str
        File, or URL of one.
    config : CaptureConfig
    kind, name : str, optional
        As in ``SourceInfo``; the name's default is the file's stem.
    options : mapping of str, optional
        FFmpeg options for a URL.

    Raises
    ------
    InputMissingError
        The file does not exist.
    InputError
        It cannot be read, is no video, or has no frame that can be decoded.
    """

    def __init__(
        self,
        path: Path | str,
        config: CaptureConfig,
        *,
        kind: SourceKind = "video",
        name: str = "",
        options: Mapping[str, str] | None = None,
    ) -> None:
        self._thing = f"video {redact(path) if isinstance(path, str) else path}"
        address = path
        if not isinstance(path, str):
            check_path(path)
            name = name or path.stem
            address = f"file:{path}"  # or FFmpeg takes "10:30.mp4" for a URL of scheme 10
        self._lock = threading.Lock()  # FFmpeg's objects bear one thread at a time
        self._packets = self._damaged = self._corrupt = self._index = 0
        self._cut = False
        self._state = SourceState.ONLINE
        timeout = None if not isinstance(path, str) else (config.open_timeout_s,) * 2
        try:
            self._container: InputContainer = av.open(
                str(address),
                metadata_errors="replace",
                timeout=timeout,
                options=dict(options or {}),
            )
        except (av.FFmpegError, OSError, ValueError) as error:
            got = getattr(error, "strerror", None) or redact(str(error))
            raise self._bad(got) from safe_cause(error)
        try:
            self._begin(kind, name)
        except BaseException:
            self._container.close()
            raise

    def _begin(self, kind: SourceKind, name: str) -> None:
        """Choose the stream and decode its first frame."""
        streams = [
            stream
            for stream in self._container.streams.video
            if not stream.disposition & av.stream.Disposition.attached_pic
        ]
        if not streams or self._container.format.name in _PICTURE_FORMATS:
            sound = bool(self._container.streams.audio)
            raise self._bad("only sound" if sound else "no video stream")
        best = self._container.streams.best("video")
        self._stream = best if best in streams else streams[0]
        self._stream.thread_type = "AUTO"
        rate = self._stream.average_rate or self._stream.guessed_rate
        fps = float(rate) if rate else None
        self._times = Timestamps(fps or _DEFAULT_RATE)
        self._converter = UprightConverter()
        self._decoded = self._decode()
        self._next = self._take()
        if self._next is None:
            raise self._bad(got="no frame that can be decoded")
        height, width = self._next.image.shape[:2]
        duration_s = self._duration_s()
        estimate = self._stream.frames or (round(duration_s * fps) if duration_s and fps else 0)
        self._info = SourceInfo(kind, name, width, height, fps, estimate or None, live=False)

    @property
    def info(self) -> SourceInfo:
        """What is known of the source."""
        return self._info

    @property
    def state(self) -> SourceState:
        """ONLINE until :meth:`read` has returned None."""
        return self._state

    @property
    def has_end(self) -> bool:
        """Whether the container states a duration; a live stream has none."""
        return self._duration_s() is not None

    @property
    def warnings(self) -> tuple[str, ...]:
        """What could not be read so far, and timestamps that were put right."""
        said = []
        if self._damaged:
            said.append(f"{self._damaged} damaged packets skipped")
        if self._corrupt:
            said.append(f"{self._corrupt} frames decoded from damaged data")
        if self._cut:
            said.append(f"truncated after frame {self._index - 1}")
        return (*said, *self._times.warnings)

    def read(self, timeout_s: float) -> Frame | None:  # noqa: ARG002  (decoding takes its time)
        """Return the next frame, or None at the end."""
        with self._lock:
            if self._state is SourceState.ENDED:
                return None
            frame, self._next = self._next, None
            frame = frame or self._take()
            if frame is None:
                self._state = SourceState.ENDED
            return frame

    def close(self) -> None:
        """Free the file. A read that hangs on a dead disk or server is left behind."""
        self._state = SourceState.ENDED
        if self._lock.acquire(timeout=_CLOSE_WAIT_S):
            try:
                self._next = None
                # The generator holds this object and this object the generator: left to the
                # garbage collector, the decoder's buffers would outlive many files.
                self._decoded.close()
                self._container.close()
            finally:
                self._lock.release()

    def _take(self) -> Frame | None:
        """Convert the next decoded image."""
        picture = next(self._decoded, None)
        if picture is None:
            return None
        self._corrupt += picture.is_corrupt
        t_ns = self._times.follow(picture.pts, picture.time_base)
        image = self._converter.convert(picture)
        frame = Frame(self._index, t_ns, time.monotonic_ns(), image)
        self._index += 1
        return frame

    def _decode(self) -> Generator[av.VideoFrame, None, None]:
        """Yield images, skipping what is damaged."""
        failures = 0
        while failures < _DEMUX_ATTEMPTS:
            try:
                for packet in self._container.demux(self._stream):
                    failures = 0
                    if packet.is_corrupt:  # the half packet where a file was cut off
                        self._damaged += 1
                        continue
                    self._packets += packet.size > 0
                    yield from self._pictures(packet)
                break
            except av.FFmpegError as error:  # between packets; FFmpeg can often find the next one
                lost = isinstance(error, av.error.ExitError)  # the server did not answer in time
                failures = _DEMUX_ATTEMPTS if lost else failures + 1
                self._damaged += failures == 1
                self._cut = lost
        else:
            yield from self._pictures(None)
        self._cut = self._cut or self._was_cut()

    def _pictures(self, packet: av.Packet[av.VideoStream] | None) -> list[av.VideoFrame]:
        """Return the images a packet completes; None flushes the decoder."""
        try:
            return self._stream.codec_context.decode(packet)
        except av.error.EOFError:  # flushed twice
            return []
        except av.FFmpegError:
            self._damaged += 1
            return []

    def _was_cut(self) -> bool:
        """Whether the file ends before what its header states."""
        if self._stream.frames:
            return self._packets < self._stream.frames
        # A container's duration may be that of its sound.
        whole_s = self._duration_s() if len(self._container.streams) == 1 else None
        return whole_s is not None and self._times.covered_s < whole_s - 1.0

    def _duration_s(self) -> float | None:
        """Return the duration the container states, in seconds."""
        stream = self._stream
        if stream.duration and stream.time_base:
            return float(stream.duration * stream.time_base)
        return self._container.duration / av.time_base if self._container.duration else None

    def _bad(self, got: str) -> InputError:
        hint = "Play it with ffplay or VLC to see whether it is whole."
        if "Invalid data" in got:
            got = "not a video, or one whose index is missing (cut off while recording)"
        elif got == "only sound":
            hint = "Name a file with images."
        return InputError(
            self._thing, got=got, expected="a video with at least one frame", hint=hint
        )


class Timestamps:
    """Turn a stream's timestamps into strictly increasing nanoseconds.

    Parameters
    ----------
    fps : float
        Mean rate, for frames without a timestamp.
    """

    def __init__(self, fps: float) -> None:
        self._interval_ns = round(_NS / fps)
        self._first_ns: int | None = None
        self._last_ns = 0
        self._offset_ns = 0
        self._missing = self._collided = self._jumps = 0

    @property
    def warnings(self) -> tuple[str, ...]:
        """What had to be put right, one sentence for each sort."""
        counts = (
            (self._missing, "frames without a timestamp"),
            (self._collided, "frames whose timestamp did not increase"),
            (self._jumps, "jumps back of the timestamps"),
        )
        return tuple(f"{n} {what}" for n, what in counts if n)

    @property
    def covered_s(self) -> float:
        """Time from the first frame to the end of the last, in seconds."""
        if self._first_ns is None:
            return 0.0
        return (self._last_ns - self._first_ns + self._interval_ns) / _NS

    def follow(self, pts: int | None, time_base: Fraction | None) -> int:
        """Return the time of the next frame in nanoseconds.

        A frame without a timestamp follows the last by one mean interval; one that repeats the
        last timestamp or falls a little behind comes 1 ms after it; after a fall of more than a
        second all times are moved so that they go on.
        """
        if pts is None or time_base is None:
            self._missing += 1
            t_ns = 0 if self._first_ns is None else self._last_ns + self._interval_ns
        else:
            own_ns = pts * time_base.numerator * _NS // time_base.denominator
            t_ns = own_ns + self._offset_ns
            if self._first_ns is None:
                pass
            elif t_ns < self._last_ns - _JUMP_NS:
                self._jumps += 1
                t_ns = self._last_ns + self._interval_ns
                self._offset_ns = t_ns - own_ns
            elif t_ns <= self._last_ns:
                self._collided += 1
                t_ns = self._last_ns + _STEP_NS
        if self._first_ns is None:
            self._first_ns = t_ns
        self._last_ns = t_ns
        return t_ns
