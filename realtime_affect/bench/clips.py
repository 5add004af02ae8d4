"""A clip that plays for as long as a benchmark runs, as one source with one clock."""

from __future__ import annotations

import dataclasses
import gc
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from realtime_affect import memory
from realtime_affect.capture import CaptureConfig, Source, SourceInfo, SourceState, open_source
from realtime_affect.capture.paced import PacedSource

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from realtime_affect.types import Frame


class EndlessClip:
    """A file played again and again: indices and times go on; a :class:`Source`.

    Frames come as fast as they are read. Where the clip starts anew the faces jump back, as they
    would at a cut.

    Parameters
    ----------
    spec : str
        A file, or ``"demo"``.
    crowd : int, optional
        Show halves of the image, each with one face as in the demo, as often as this in one of the
        same size; None leaves it as it is.
    size_px : (int, int), optional
        Width and height to which images are scaled.
    fps : float, optional
        Instead of the clip's own: faces then move faster or slower.
    collect : bool
        Collect garbage, some 40 ms, where the clip starts anew, and give freed memory back. The
        first image of every file stays in a reference cycle, and decoders leave holes; who looks
        for growth must not take that for the loop's: a camera is not opened every few seconds.
    """

    def __init__(  # noqa: PLR0913  (what is played, and how)
        self,
        spec: str,
        config: CaptureConfig,
        *,
        crowd: int | None = None,
        size_px: tuple[int, int] | None = None,
        fps: float | None = None,
        collect: bool = False,
    ) -> None:
        self._spec, self._config, self._collect = spec, config, collect
        self._crowd, self._size_px, self._fps = crowd, size_px, fps
        self._clip = open_source(spec, config, live=False)
        self._period_ns = round(1e9 / (fps or self._clip.info.fps or 30.0))
        self._count = 0
        self._shift_ns: int | None = 0  # None: the next frame begins a turn
        self._last_ns = 0
        self._closed = False

    @property
    def info(self) -> SourceInfo:
        """That of what is played, without an end."""
        info = self._clip.info
        width, height = self._size_px or (info.width, info.height)
        return dataclasses.replace(
            info, n_frames=None, width=width, height=height, fps=self._fps or info.fps
        )

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
                memory.trim()
            self._shift_ns = None
            return self.read(timeout_s)
        if self._shift_ns is None:
            self._shift_ns = self._last_ns + self._period_ns - frame.t_ns
        self._last_ns = frame.t_ns + self._shift_ns
        t_ns = self._count * self._period_ns if self._fps else self._last_ns
        image = frame.image
        if self._size_px not in (None, image.shape[1::-1]):
            image = np.asarray(
                cv2.resize(image, self._size_px, interpolation=cv2.INTER_AREA), np.uint8
            )
        if self._crowd is not None:
            image = crowd_of(image, self._crowd)
        frame = dataclasses.replace(frame, index=self._count, t_ns=t_ns, image=image)
        self._count += 1
        return frame

    def close(self) -> None:
        """Let go of the file. Idempotent."""
        self._closed = True
        self._clip.close()


def crowd_of(image: NDArray[np.uint8], n: int) -> NDArray[np.uint8]:
    """Return an image (H, W, 3) that shows n halves of `image` (H, W, 3), as large as fit."""
    height, width = image.shape[:2]
    rows = next(r for r in range(1, height) if r * (width // (width // 2 // r)) >= n)
    cell = max(1, width // 2 // rows), max(1, height // rows)
    columns = width // cell[0]
    halves = [
        cv2.resize(half, cell, interpolation=cv2.INTER_AREA)
        for half in np.split(image[:, : width // 2 * 2], 2, axis=1)
    ]
    shown = np.zeros(image.shape, np.uint8)  # unlike zeros_like, nothing is written yet
    for i in range(n):
        row, column = divmod(i, columns)
        left, top = column * cell[0], row * cell[1]
        shown[top : top + cell[1], left : left + cell[0]] = halves[i % 2]
    return shown


def open_endless(spec: str, config: CaptureConfig, *, paced: bool = True, **shown: Any) -> Source:
    """Open `spec` to be played without end; cameras and streams as they are.

    Parameters
    ----------
    spec, config
        As ``open_source`` takes them.
    paced : bool
        At its own speed, not as fast as it is read.
    **shown
        What files are shown as; see :class:`EndlessClip`.
    """
    source = open_source(spec, config, live=True)
    if source.info.kind not in ("video", "demo"):
        return source
    source.close()
    # Reading and cutting happen while the frame before is due: they are no part of its age.
    endless = EndlessClip(spec, config, **shown)
    return PacedSource(endless) if paced else endless
