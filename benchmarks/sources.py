"""A clip that plays for as long as a benchmark runs, as one source with one clock."""

from __future__ import annotations

import dataclasses
import gc
from typing import TYPE_CHECKING

import cv2
import numpy as np

from realtime_affect.capture import CaptureConfig, Source, SourceInfo, SourceState, open_source
from realtime_affect.capture.paced import PacedSource

if TYPE_CHECKING:
    from realtime_affect.types import Frame


class EndlessClip:
    """A file played again and again: indices and times go on; a :class:`Source`.

    Frames come as fast as they are read. Where the clip starts anew the faces jump back, as they
    would at a cut.

    Parameters
    ----------
    spec : str
        A file, or ``"demo"``.
    tiles : int
        Show the image `tiles` x `tiles` times in one of the same size: more and smaller faces.
    collect : bool
        Collect garbage, some 40 ms, where the clip starts anew. The first image of every file
        stays in a reference cycle; who looks for growth must not take that for the loop's: a camera
        is not opened every few seconds.
    """

    def __init__(
        self, spec: str, config: CaptureConfig, tiles: int = 1, *, collect: bool = False
    ) -> None:
        self._spec, self._config, self._tiles, self._collect = spec, config, tiles, collect
        self._clip = open_source(spec, config, live=False)
        self._period_ns = round(1e9 / (self._clip.info.fps or 30.0))
        self._count = 0
        self._shift_ns: int | None = 0  # None: the next frame begins a turn
        self._last_ns = 0
        self._closed = False

    @property
    def info(self) -> SourceInfo:
        """That of the clip, without an end."""
        return dataclasses.replace(self._clip.info, n_frames=None)

    @property
    def state(self) -> SourceState:
        """ONLINE until closed."""
        return SourceState.ENDED if self._closed else SourceState.ONLINE

    @property
    def warnings(self) -> tuple[str, ...]:
        """Those of the present turn."""
        return self._clip.warnings

    def read(self, timeout_s: float) -> Frame | None:
        """Return the next frame; None only after :meth:`close`."""
        if self._closed:
            return None
        frame = self._clip.read(timeout_s)
        if frame is None:
            if self._count == 0 or self._shift_ns is None:
                return None  # closed meanwhile, or a file without frames: no endless reopening
            self._clip.close()
            self._clip = open_source(self._spec, self._config, live=False)
            if self._collect:
                gc.collect()
            self._shift_ns = None
            return self.read(timeout_s)
        if self._shift_ns is None:
            self._shift_ns = self._last_ns + self._period_ns - frame.t_ns
        self._last_ns = frame.t_ns + self._shift_ns
        image = frame.image if self._tiles == 1 else tiled(frame.image, self._tiles)
        frame = dataclasses.replace(frame, index=self._count, t_ns=self._last_ns, image=image)
        self._count += 1
        return frame

    def close(self) -> None:
        """Let go of the file. Idempotent."""
        self._closed = True
        self._clip.close()


def tiled(image: np.ndarray, tiles: int) -> np.ndarray:
    """Return (H, W, 3) holding `image` (H, W, 3) `tiles` x `tiles` times."""
    height, width = image.shape[:2]
    small = cv2.resize(image, (width // tiles, height // tiles), interpolation=cv2.INTER_AREA)
    picture = np.zeros_like(image)
    picture[: small.shape[0] * tiles, : small.shape[1] * tiles] = np.tile(small, (tiles, tiles, 1))
    return picture


def open_endless(
    spec: str, config: CaptureConfig, tiles: int = 1, *, collect: bool = False
) -> Source:
    """Open `spec` to be played at its own speed without end; cameras and streams as they are."""
    source = open_source(spec, config, live=True)
    if source.info.kind not in ("video", "demo"):
        return source
    source.close()
    # Reading and tiling happen while the frame before is due: they are no part of its age.
    return PacedSource(EndlessClip(spec, config, tiles, collect=collect))
