"""Folders of numbered pictures, as databases are handed out."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

import cv2

from realtime_affect.errors import InputError

if TYPE_CHECKING:
    from pathlib import Path

    from realtime_affect.types import Image

SUFFIXES: Final = frozenset({".jpg", ".jpeg", ".png", ".bmp"})
"""Of the files that are taken for pictures."""


def numbered_pictures(folder: Path) -> dict[int, Path]:
    """Return a folder's pictures by the number their names end with, in its order.

    Names without a number are left out; where there is no such folder, there is nothing.
    """
    if not folder.is_dir():
        return {}
    paths = [path for path in folder.iterdir() if path.suffix.lower() in SUFFIXES]
    numbered = {int(digits): path for path in paths if (digits := last_digits(path.stem))}
    return dict(sorted(numbered.items()))


def last_digits(text: str) -> str:
    """Return the last run of digits, empty where there is none."""
    return (re.findall(r"\d+", text) or [""])[-1]


def read_picture(path: Path) -> Image:
    """Read a picture, (H, W, 3) BGR uint8.

    Raises
    ------
    InputError
        The file cannot be read.
    """
    image = cv2.imread(str(path))
    if image is None:
        raise InputError(
            thing=str(path), got="no picture", expected="JPEG, PNG or BMP",
            hint="Unpack the database again.",
        )  # fmt: skip
    return image  # type: ignore[return-value]
