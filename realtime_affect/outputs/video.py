"""The painted images as video that survives being killed, and the sink that paints them.

Written in fragments of a second that play without an end. A full disk ends the file with an
:class:`OutputError` and everything written before it.
"""

from __future__ import annotations

import contextlib
import time
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Final

import cv2
import numpy as np

from realtime_affect.outputs.line_file import cannot_write, gone, identity_of
from realtime_affect.outputs.sinks import origin_ns

if TYPE_CHECKING:
    from collections.abc import Mapping

    import av
    from av.video.stream import VideoStream

    from realtime_affect.capture import SourceInfo
    from realtime_affect.overlay import OverlayConfig
    from realtime_affect.runtime.reading_source import ReadingSource
    from realtime_affect.types import Image, Reading

_ORIGIN: Final = "source time of the first image in ns: "
_STATUS_NS: Final = 500_000_000
_LATEST_NS: Final = 60_000_000_000


class VideoRecorder:
    """Write images as H.264 in fragmented MP4 with their own times (variable frame rate).

    The first image sets the size, rounded up to even; others are fitted into it with black
    borders. A file cut off anywhere plays up to the last whole second. An existing file is
    replaced. Belongs to one thread.

    Parameters
    ----------
    path : Path
        Its folder must exist; the file appears with the first image.
    fps_hint : float, optional
        About how many images a second to expect.
    crf : int
        x264's quality.
    origin_ns : int, optional
        Source time of the video's zero where the first image comes at most a minute later, so that
        video and rows have one clock. Otherwise, and by default, the first image's.
    key_s : float
        Seconds between two key images, and so between two fragments: what a cut-off file loses.

    Raises
    ------
    OutputError
        From any method: the file cannot be written.
    """

    _TICKS: Final = 90_000  # a second, the usual clock of video
    _STEP: Final = 6 * 3600 * _TICKS  # the longest between two images: MP4 counts in 32 bits
    _ONE_THREAD: Final = 1920 * 1088  # pixels: larger images get a thread for each core
    _MAX_REPEATS: Final = 1500  # a year; what claims to be longer is a damaged timestamp

    def __init__(
        self,
        path: str | Path,
        fps_hint: float | None = None,
        crf: int = 23,
        origin_ns: int | None = None,
        key_s: float = 1.0,
    ) -> None:
        self.path = Path(path)
        self.frames_written = 0
        self._fps = fps_hint or 30.0
        self._crf = crf
        self._container: av.container.OutputContainer | None = None
        self._stream: VideoStream | None = None
        self._closed = False
        self._size = (0, 0)
        self._origin_ns = origin_ns
        self._first_ns = 0
        self._known_as: tuple[int, int] | None = None
        self._image: Image | None = None
        self._last = -1
        self._key_ticks = round(key_s * self._TICKS)
        self._key = -self._key_ticks

    def write(self, image: Image, t_ns: int) -> None:
        """Append a BGR image (H, W, 3) seen at source time `t_ns`."""
        if self._closed:
            return
        try:
            if self._container is None or self._stream is None:
                self._first_ns = self._zero(t_ns)
                self._container, self._stream = self._open(image)
            ticks = round((t_ns - self._first_ns) * self._TICKS / 1e9)
            if self._image is None and ticks > 0:
                self._put(image, 0)  # a player would take the first image's time for its zero
            if self._image is not None and ticks - self._last > self._STEP:
                for _ in range(min((ticks - self._last - 1) // self._STEP, self._MAX_REPEATS)):
                    self._put(self._image, self._last + self._STEP)
            self._image = image
            is_key = self._put(image, min(max(ticks, self._last + 1), self._last + self._STEP))
        except OSError as error:  # av's errors of the system are OSError too
            self._abandon()
            raise cannot_write(self.path, error) from error
        if is_key:
            self._look()
        self.frames_written += 1

    def _look(self) -> None:
        """Raise where the file was taken away since it appeared, with the first image."""
        if self._known_as is None:
            self._known_as = identity_of(self.path)
        elif identity_of(self.path) != self._known_as:
            self._abandon()
            raise gone(self.path)

    def _put(self, image: Image, ticks: int) -> bool:
        """Encode an image at a time; return whether it is a key image."""
        import av

        assert self._container is not None
        assert self._stream is not None
        # OpenCV converts in half the time that libswscale takes, and nearer to the truth.
        planes = cv2.cvtColor(_fitted(image, self._size), cv2.COLOR_BGR2YUV_I420)
        frame = av.VideoFrame.from_ndarray(np.asarray(planes, np.uint8), format="yuv420p")
        frame.pts = self._last = ticks
        frame.time_base = Fraction(1, self._TICKS)
        is_key = ticks - self._key >= self._key_ticks
        if is_key:
            frame.pict_type = av.video.frame.PictureType.I
            self._key = ticks
        self._container.mux(self._stream.encode(frame))
        return is_key

    def _zero(self, t_ns: int) -> int:
        """Return the source time of the video's zero, by its first image's."""
        origin_ns = self._origin_ns
        return t_ns if origin_ns is None or not 0 <= t_ns - origin_ns <= _LATEST_NS else origin_ns

    def close(self) -> None:
        """Finish the file. Idempotent."""
        if self._closed:
            return
        self._closed = True
        if self._container is None or self._stream is None:
            return
        try:
            self._container.mux(self._stream.encode(None))
            self._container.close()
        except OSError as error:
            self._abandon()
            raise cannot_write(self.path, error) from error

    def _open(self, image: Image) -> tuple[av.container.OutputContainer, VideoStream]:
        import av

        height, width = image.shape[:2]
        self._size = (max(2, width + width % 2), max(2, height + height % 2))
        container = av.open(
            str(self.path),
            "w",
            format="mp4",
            options={
                "movflags": "frag_keyframe+empty_moov+default_base_moof",
                "flush_packets": "1",
            },
        )
        container.metadata["comment"] = f"{_ORIGIN}{self._first_ns}"
        # Key images are set by time; the encoder's own count (g) must not interfere.
        options = {"preset": "ultrafast", "tune": "zerolatency", "crf": f"{self._crf}"}
        options["g"] = "100000"
        rate = Fraction(self._fps).limit_denominator(1001)
        stream = container.add_stream("libx264", rate=rate, options=options)
        stream.width, stream.height = self._size
        stream.pix_fmt = "yuv420p"
        if width * height <= self._ONE_THREAD:
            stream.codec_context.thread_count = 1  # slices for more cost more than they save
        stream.codec_context.time_base = Fraction(1, self._TICKS)
        stream.codec_context.colorspace = 6  # BT.601, which the conversion from BGR uses
        return container, stream

    def _abandon(self) -> None:
        """Let go of a file that cannot be written any more; its whole fragments stay."""
        self._closed = True
        if self._container is not None:
            with contextlib.suppress(OSError):
                self._container.close()
        self._container = self._stream = None


class VideoSink:
    """Paint readings and write them as video.

    Parameters
    ----------
    path : Path
    source : ReadingSource
        Live, what the painted status is asked of, twice a second.
    overlay : OverlayConfig
    crf : int
        x264's quality.
    """

    def __init__(
        self, path: str | Path, source: ReadingSource, overlay: OverlayConfig, crf: int = 23
    ) -> None:
        from realtime_affect.overlay import OverlayStatus, PanelMemory

        self.path = Path(path)
        self._source, self._overlay, self._crf = source, overlay, crf
        # Offline there is no "now": speed and age would say nothing about the image.
        self._status = OverlayStatus(source_state="analysis", recording=True)
        self._status_ns = 0
        self._panels = PanelMemory()
        self._recorder: VideoRecorder | None = None

    def open(self, info: SourceInfo) -> None:
        """Expect images at the source's rate; the file appears with the first."""
        self._recorder = VideoRecorder(self.path, info.fps, self._crf, origin_ns(info))

    def write(self, reading: Reading) -> None:
        """Paint and append one reading."""
        from realtime_affect.overlay import OverlayStatus, paint

        assert self._recorder is not None
        frame, now_ns = reading.scene.frame, time.monotonic_ns()
        if self._source.live and now_ns - self._status_ns > _STATUS_NS:
            stats, self._status_ns = self._source.stats(), now_ns
            self._status = OverlayStatus(
                fps=stats.fps,
                age_ms=(now_ns - frame.captured_ns) / 1e6,
                drops=stats.drops,
                source_state=stats.source_state.value,
                recording=True,
            )
        image = paint(reading, self._overlay, self._status, memory=self._panels)
        self._recorder.write(image, frame.t_ns)

    def close(self) -> None:
        """Finish the file. Idempotent."""
        if self._recorder is not None:
            self._recorder.close()


def origin_of(metadata: Mapping[str, str]) -> int:
    """Return the source time of a recorded video's first image, by the file's metadata; else 0."""
    digits = metadata.get("comment", "").removeprefix(_ORIGIN)
    return int(digits) if digits.lstrip("-").isdigit() else 0


def _fitted(image: Image, size: tuple[int, int]) -> Image:
    """Return `image` in the middle of a black image of `size` (width, height), in proportion."""
    width, height = size
    if image.shape[:2] == (height, width):
        return image
    scale = min(width / image.shape[1], height / image.shape[0])
    if image.shape[0] in (height, height - 1) and image.shape[1] in (width, width - 1):
        scale = 1.0  # an odd size needs one more row or column, not another scale
    if scale != 1.0:
        inner = (max(1, round(image.shape[1] * scale)), max(1, round(image.shape[0] * scale)))
        image = np.asarray(cv2.resize(image, inner, interpolation=cv2.INTER_AREA), np.uint8)
    rows_left, columns_left = height - image.shape[0], width - image.shape[1]
    top, left = rows_left // 2, columns_left // 2
    padded = cv2.copyMakeBorder(
        image, top, rows_left - top, left, columns_left - left, cv2.BORDER_CONSTANT, value=(0, 0, 0)
    )
    return np.asarray(padded, np.uint8)
