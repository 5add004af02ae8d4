"""The images of a session's video by their source times."""

from __future__ import annotations

import contextlib
from fractions import Fraction
from typing import TYPE_CHECKING, Final

import numpy as np

from realtime_affect.outputs.video import origin_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import av

    from realtime_affect.types import Image

_AHEAD_S: Final = 1.5  # so far ahead it is quicker to decode than to look for a key image
_MOST_APART_S: Final = 0.5  # an image older than this is not of that moment
_SLACK_S: Final = 0.0005  # of rounding to the video's clock


class VideoReader:
    """Find the image of a moment; belongs to one thread.

    Parameters
    ----------
    path : Path
        As :class:`~realtime_affect.outputs.video.VideoRecorder` writes it; may be cut off.
    """

    def __init__(self, path: Path) -> None:
        import av

        self._container: av.container.InputContainer | None = None
        self._origin_ns = 0
        self._frames: Iterator[av.VideoFrame] = iter(())
        self._now: av.VideoFrame | None = None
        self._next: av.VideoFrame | None = None
        self._image: tuple[av.VideoFrame, Image] | None = None
        # Cut off before its first whole fragment: there is no image.
        with contextlib.suppress(OSError, IndexError):
            self._container = av.open(str(path))
            self._stream = self._container.streams.video[0]
            self._stream.thread_type = "AUTO"
            self._origin_ns = origin_of(self._container.metadata)
            self._begin()

    def image_at(self, t_ns: int, size: tuple[int, int]) -> Image | None:
        """Return the image (H, W, 3) BGR at a source time, or None where there is none near it.

        Parameters
        ----------
        t_ns : int
        size : (int, int)
            Width and height of the source's image; the video's is even.
        """
        if self._container is None or self._now is None:
            return None
        wanted_s = (t_ns - self._origin_ns) / 1e9 + _SLACK_S
        now_s = _time_s(self._now)
        if now_s is None or wanted_s < now_s or wanted_s > now_s + _AHEAD_S:
            self._seek(wanted_s)
        while (after := _time_s(self._next)) is not None and after <= wanted_s:
            self._advance()
        now_s = _time_s(self._now)
        if self._now is None or now_s is None or abs(wanted_s - now_s) > _MOST_APART_S:
            return None
        width, height = size
        if self._image is None or self._image[0] is not self._now:
            pixels = np.asarray(self._now.to_ndarray(format="bgr24"), np.uint8)
            self._image = (self._now, pixels)
        _, pixels = self._image
        top, left = (max(0, pixels.shape[0] - height)) // 2, max(0, pixels.shape[1] - width) // 2
        part = pixels[top : top + height, left : left + width]
        if part.shape[:2] != (height, width):
            import cv2

            part = np.asarray(cv2.resize(part, (width, height)), np.uint8)
        return np.ascontiguousarray(part)

    @property
    def time_ns(self) -> int | None:
        """Source time of the image that was found last."""
        now_s = _time_s(self._now)
        return None if now_s is None else self._origin_ns + round(now_s * 1e9)

    def close(self) -> None:
        """Close the file. Idempotent."""
        if self._container is not None:
            self._container.close()
            self._container = None

    def _begin(self) -> None:
        assert self._container is not None
        self._frames = self._decode()
        self._now = next(self._frames, None)
        self._next = next(self._frames, None)

    def _decode(self) -> Iterator[av.VideoFrame]:
        assert self._container is not None
        # The end of a file that was cut off: what was whole has come.
        with contextlib.suppress(OSError):
            yield from self._container.decode(self._stream)

    def _advance(self) -> None:
        self._now, self._next = self._next, next(self._frames, None)

    def _seek(self, wanted_s: float) -> None:
        """Go to the key image before a moment."""
        assert self._container is not None
        base = self._stream.time_base or Fraction(1, 90_000)
        with contextlib.suppress(OSError):
            self._container.seek(max(0, int(wanted_s / base)), stream=self._stream, backward=True)
        self._begin()


def _time_s(frame: av.VideoFrame | None) -> float | None:
    return None if frame is None else frame.time
