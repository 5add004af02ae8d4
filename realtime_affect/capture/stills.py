"""Still images, each a frame of its own."""

from __future__ import annotations

import dataclasses
import time
from typing import TYPE_CHECKING

import cv2
import numpy as np

from realtime_affect.capture.content import still_format
from realtime_affect.capture.source import SourceInfo
from realtime_affect.capture.state import SourceState
from realtime_affect.errors import InputError
from realtime_affect.types import Frame

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from realtime_affect.types import Image

_HEAD_BYTES = 4096
_NAMED = 3  # unreadable files named one by one in the warnings; the rest are counted


def read_image(path: Path) -> Image:
    """Read a still as upright (H, W, 3) uint8 BGR.

    Grey becomes BGR, transparency is dropped, 16 bit keep their upper 8, EXIF and AVIF orientation
    are applied, tiles are put together. Any file name the system allows will do.

    Raises
    ------
    InputError
        The file cannot be read or is not an image.
    """
    try:
        # cv2.imread cannot open names outside the code page on every platform.
        data = np.fromfile(path, np.uint8)
        form = still_format(data[:_HEAD_BYTES].tobytes())
        if form == "AVIF":  # OpenCV and FFmpeg show it as it lies, or a tile of it
            return _read_by_pillow(path)
        image = cv2.imdecode(data, cv2.IMREAD_COLOR) if data.size else None
    except OSError as error:
        raise _not_a_picture(path, error.strerror or str(error)) from error
    except MemoryError as error:
        raise _not_a_picture(path, "an image too large for the memory") from error
    except Exception as error:  # whatever a library makes of a damaged file
        raise _not_a_picture(path, getattr(error, "err", "") or "a damaged image") from error
    if image is None:
        raise _not_a_picture(path, _why_none(form, data.size))
    return np.ascontiguousarray(image, np.uint8)


def _why_none(form: str, size: int) -> str:
    """Say why a file of some bytes gave no image."""
    if form == "HEIC":
        return "a HEIC image, which cannot be read here"
    if form:
        return f"a damaged or truncated {form} image"
    return "no image inside" if size else "an empty file"


def _read_by_pillow(path: Path) -> Image:
    from PIL import Image as Pillow
    from PIL import ImageOps

    with Pillow.open(path, formats=("AVIF",)) as image:
        upright = ImageOps.exif_transpose(image).convert("RGB")
        return np.ascontiguousarray(np.asarray(upright)[..., ::-1])


def _more_pages(path: Path) -> int:
    """Return how many pages a TIFF has after its first."""
    from PIL import Image as Pillow

    if path.suffix.lower() not in (".tif", ".tiff"):
        return 0
    try:
        with Pillow.open(path, formats=("TIFF",)) as image:
            return int(getattr(image, "n_frames", 1)) - 1
    except Exception:  # noqa: BLE001  (a count less, not an image less)
        return 0


class StillImages:
    """Images in the order given; a :class:`~realtime_affect.capture.Source`.

    ``Frame.t_ns`` is the index, which only says the order: stills have no time between them.
    ``Frame.name`` is the file name. Files that cannot be read are skipped and named in
    ``warnings``; a skipped file takes no index.

    Parameters
    ----------
    paths : sequence of Path
        At least one.
    name : str, optional
        Name of the source; default the stem of the first.

    Raises
    ------
    InputError
        None of them can be read.
    """

    def __init__(self, paths: Sequence[Path], *, name: str = "") -> None:
        self._paths = list(paths)
        self._place = 0
        self._index = 0
        self._closed = False
        self._pages = 0
        self._unreadable: list[str] = []
        self._next = self._load()
        height, width = self._next.image.shape[:2] if self._next else (0, 0)
        self._info = SourceInfo(
            "stills", name or self._paths[0].stem, width, height, None, len(self._paths), live=False
        )

    @property
    def info(self) -> SourceInfo:
        """What is known of the source."""
        return self._info

    @property
    def state(self) -> SourceState:
        """ONLINE until the last one was read."""
        return SourceState.ENDED if self._closed or not self._next else SourceState.ONLINE

    @property
    def warnings(self) -> tuple[str, ...]:
        """Files that were skipped, and pages of files."""
        more = len(self._unreadable) - _NAMED
        named = tuple(self._unreadable[:_NAMED])
        named = (*named, f"{more} more unreadable images skipped") if more > 0 else named
        if self._pages:
            named = (*named, f"only the first page of {self._pages} TIFF files was read")
        return named

    def read(self, timeout_s: float) -> Frame | None:  # noqa: ARG002  (the protocol's)
        """Return the next image, or None after the last."""
        frame = self._next
        if self._closed or frame is None:
            return None
        self._next = self._load()
        return dataclasses.replace(frame, captured_ns=time.monotonic_ns())

    def close(self) -> None:
        """End the source."""
        self._closed = True
        self._next = None

    def _load(self) -> Frame | None:
        """Read on to the next image that can be read."""
        while self._place < len(self._paths):
            path = self._paths[self._place]
            self._place += 1
            try:
                image = read_image(path)
            except InputError as error:
                last = self._place == len(self._paths)
                if last and self._index == 0:
                    raise
                self._unreadable.append(f"{path.name} skipped: {error.got}")
                continue
            self._pages += _more_pages(path) > 0
            frame = Frame(self._index, self._index, time.monotonic_ns(), image, path.name)
            self._index += 1
            return frame
        return None


def _not_a_picture(path: Path, got: str) -> InputError:
    return InputError(
        thing=f"image {path}",
        got=got,
        expected="an image that OpenCV reads: jpg, png, webp, tif, bmp",
        hint="Open it in a viewer; HEIC and raw photographs must be converted first.",
    )
