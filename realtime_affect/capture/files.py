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
from realtime_affect.capture.timestamps import Timestamps
from realtime_affect.errors import AffectError, InputError
from realtime_affect.redact import redact, safe_cause
from realtime_affect.types import Frame

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping
    from pathlib import Path

    from av.container import InputContainer

    from realtime_affect.capture.source import CaptureConfig, SourceKind

_DEFAULT_RATE: Final = 25.0
_DEMUX_ATTEMPTS: Final = 8  # errors in a row, without a packet between, that end the file
_CLOSE_WAIT_S: Final = 2.0
PLAYLISTS: Final = ("hls", "dash")
"""Formats that name other files; those of several seconds each arrive at once."""

_PICTURE_FORMATS: Final = ("tty", "ansi")  # text files rendered as video by FFmpeg


class VideoFile:
    """Frames of a video file, as fast as they are read; a :class:`~.source.Source`.

    Timestamps are the container's, ``pts * time_base``, so variable frame rate is right.
    Rotation, mirroring and the shape of pixels stated by the container are applied. Damaged packets
    are skipped; what could not be read is told in :attr:`warnings`.

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
        self._packets = self._damaged = self._corrupt = self._index = self._interlaced = 0
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
        except BaseException as error:
            self._container.close()
            if isinstance(error, AffectError) or not isinstance(error, Exception):
                raise
            # Whatever a library makes of a damaged file: it is the file that is wrong.
            got = f"a file that cannot be decoded: {error!r}"
            raise self._bad(got) from safe_cause(error)

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
        # PyAV gives no decoder where its FFmpeg knows none, as of codecs newer than itself.
        known = [stream for stream in streams if stream.codec_context is not None]
        if not known:
            raise self._bad(got="a codec that is not known here")
        best = self._container.streams.best("video")
        self._stream = best if best in known else known[0]
        self._stream.thread_type = "AUTO"
        rate = self._stream.average_rate or self._stream.guessed_rate
        fps = float(rate) if rate else None
        self._times = Timestamps(fps or _DEFAULT_RATE)
        self._converter = UprightConverter()
        self._decoded = self._decode()
        self._next = self._take()
        if self._next is None:
            raise self._bad(got="no frame that can be decoded")
        shape, (across, down) = self._next.image.shape, self._next.stretch
        height, width = round(shape[0] / down), round(shape[1] / across)
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
        """Whether the container states a duration, or the server a length; a live stream has none.

        The length of a playlist says nothing of what it lists.
        """
        if self._duration_s() is not None:
            return True
        return self._container.format.name not in PLAYLISTS and self._container.size > 0

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
        if self._interlaced:
            said.append(f"{self._interlaced} frames are interlaced: moving edges are combed")
        said.extend(self._converter.warnings)
        return (*said, *self._times.warnings)

    def read(self, timeout_s: float) -> Frame | None:  # noqa: ARG002  (decoding takes its time)
        """Return the next frame, or None at the end."""
        with self._lock:
            if self._state is SourceState.ENDED:
                return None
            frame, self._next = self._next, None
            try:
                frame = frame or self._take()
            except (AffectError, MemoryError):
                raise
            except Exception as error:  # noqa: BLE001  (as in opening)
                self._state = SourceState.ENDED
                got = f"a frame after {self._index} that cannot be decoded: {error!r}"
                raise self._bad(got) from safe_cause(error)
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
        self._interlaced += picture.interlaced_frame
        t_ns = self._times.follow(picture.pts, picture.time_base)
        image = self._converter.convert(picture, self._stream.sample_aspect_ratio)
        stretch = self._converter.stretch
        frame = Frame(self._index, t_ns, time.monotonic_ns(), image, stretch=stretch)
        self._index += 1
        return frame

    def _decode(self) -> Generator[av.VideoFrame, None, None]:
        """Yield images, skipping what is damaged."""
        failures = 0
        while failures < _DEMUX_ATTEMPTS:
            try:
                for packet in self._whole_packets():
                    failures = 0
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

    def _whole_packets(self) -> Generator[av.Packet[av.VideoStream], None, None]:
        """Yield the stream's packets, but not the half one where a file was cut off.

        Where two recordings were joined a packet is marked as damaged, too, and may be whole: only
        the last one of a file can be a half.
        """
        doubtful = None
        for packet in self._container.demux(self._stream):
            if doubtful is not None and packet.size:
                self._corrupt += 1
                yield doubtful
            elif doubtful is not None:
                self._damaged += 1
            doubtful = packet if packet.is_corrupt else None
            if doubtful is None:
                yield packet

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
        # A container's duration may be that of its sound, and its count of frames counts those
        # that are only repeated: where both are known, both must say so.
        own = self._stream.duration or len(self._container.streams) == 1
        whole_s = self._duration_s() if own else None
        if self._stream.frames:
            fewer = self._packets < self._stream.frames
            return fewer and (whole_s is None or self._times.covered_s < whole_s - 0.2)
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


def stated_frames(path: Path) -> int:
    """Return how many frames a video says it has, without decoding any; 0 where it does not say."""
    try:
        with av.open(f"file:{path}", metadata_errors="replace") as container:
            stream = container.streams.best("video")
            if stream is None:
                return 0
            rate = stream.average_rate or stream.guessed_rate
            seconds = container.duration / av.time_base if container.duration else 0.0
            return max(0, stream.frames or round(seconds * float(rate or 0)))
    except (av.FFmpegError, OSError, ValueError, OverflowError):
        return 0  # whoever opens it to read it says why it cannot be read
