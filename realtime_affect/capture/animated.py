"""Animated WebP images as videos: FFmpeg reads none of them, Pillow does."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

import numpy as np

from realtime_affect.capture.paths import check_path
from realtime_affect.capture.source import SourceInfo
from realtime_affect.capture.state import SourceState
from realtime_affect.errors import InputError
from realtime_affect.types import Frame

if TYPE_CHECKING:
    from pathlib import Path

_UNTIMED_MS: Final = 100  # how long browsers show a frame that states no time


class AnimatedImage:
    """Frames of an animated image, once through; a :class:`~.source.Source`.

    Transparency is dropped, as of stills.

    Parameters
    ----------
    path : Path

    Raises
    ------
    InputMissingError
        The file does not exist.
    InputError
        It cannot be read, or its first frame cannot be decoded.
    """

    def __init__(self, path: Path) -> None:
        from PIL import Image

        check_path(path)
        self._path = path
        self._index = 0
        self._next_ms = 0.0
        self._cut = ""
        try:
            self._image = Image.open(path, formats=("WEBP",))
        except Exception as error:
            raise self._bad(error) from error
        self._count = int(getattr(self._image, "n_frames", 1))
        self._state = SourceState.ONLINE
        self._next = self._load()
        if self._next is None:
            self._image.close()
            raise self._bad(self._cut)
        height, width = self._next.image.shape[:2]
        fps = 1000.0 / self._next_ms
        self._info = SourceInfo("video", path.stem, width, height, fps, self._count, live=False)

    @property
    def info(self) -> SourceInfo:
        """What is known of the source; `fps` by the first frame."""
        return self._info

    @property
    def state(self) -> SourceState:
        """ONLINE until :meth:`read` has returned None."""
        return self._state

    @property
    def warnings(self) -> tuple[str, ...]:
        """Where the file could not be read on."""
        return (f"truncated after frame {self._index - 1}: {self._cut}",) if self._cut else ()

    def read(self, timeout_s: float) -> Frame | None:  # noqa: ARG002  (the protocol's)
        """Return the next frame, or None at the end."""
        frame = self._next
        if frame is None or self._state is SourceState.ENDED:
            self._state = SourceState.ENDED
            return None
        self._next = self._load()
        return frame

    def close(self) -> None:
        """Free the file. Idempotent."""
        self._state, self._next = SourceState.ENDED, None
        self._image.close()

    def _load(self) -> Frame | None:
        if self._index >= self._count:
            return None
        try:
            self._image.seek(self._index)
            rgb = np.asarray(self._image.convert("RGB"))
        except Exception as error:  # noqa: BLE001  (whatever the library makes of a damaged file)
            self._cut = str(error) or repr(error)
            return None
        t_ns = round(self._next_ms * 1e6)
        self._next_ms += self._image.info.get("duration") or _UNTIMED_MS
        frame = Frame(self._index, t_ns, time.monotonic_ns(), np.ascontiguousarray(rgb[..., ::-1]))
        self._index += 1
        return frame

    def _bad(self, error: object) -> InputError:
        return InputError(
            thing=f"animated image {self._path}",
            got=str(error) or repr(error),
            expected="an animated WebP",
            hint="Open it in a browser to see whether it is whole.",
        )
