"""Databases of labelled clips, in the folders their publishers hand out.

=======  =========================================================================================
DFEW     ``Clip/clip_224x224_16f/00001/*.jpg``,
         ``EmoLabel_DataSplit/{train,test}(single-labeled)/set_1.csv`` (also ``_single-labeled``):
         a head line, then lines that end in ``id,label`` with labels from 1; five folds
FERV39k  ``2_ClipsforFaceCrop/Action/Happy/0267/*.jpg``,
         ``4_setups/All_scenes/{train,test}_All.csv`` (also ``All_scenes/``): lines
         ``Action/Happy/0267 Happy``
MAFW     ``data/frames/00001/*.png`` or ``data/clips/00001.mp4``,
         ``Train & Test Set/single/no_caption/set_1/{train,test}.txt``: lines ``00001.mp4 anger``;
         five folds
=======  =========================================================================================

Jiang et al., "DFEW", 2020; Wang et al., "FERV39k", 2022; Liu et al., "MAFW", 2022. Whoever wants
them signs their licences; nothing of them is in this project.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from realtime_affect.capture import open_source
from realtime_affect.errors import InputMissingError, UsageError
from training.ifdd.network import EXPRESSIONS
from training.pictures import SUFFIXES, numbered_pictures, read_picture

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from numpy.typing import NDArray

MAFW_EXPRESSIONS: Final = (
    "anger", "disgust", "fear", "happiness", "neutral", "sadness", "surprise", "contempt",
    "anxiety", "helplessness", "disappointment",
)  # fmt: skip
CLASSES: Final = {"dfew": EXPRESSIONS, "ferv39k": EXPRESSIONS, "mafw": MAFW_EXPRESSIONS}
FRAMES: Final = {"dfew": 16, "ferv39k": 16, "mafw": 32}
STRIDES: Final = {"dfew": 1, "ferv39k": 1, "mafw": 2}
FOLDS: Final = {"dfew": 5, "ferv39k": 1, "mafw": 5}
_FERV39K: Final = ("Happy", "Sad", "Neutral", "Angry", "Surprise", "Disgust", "Fear")


@dataclass(frozen=True, slots=True)
class Clip:
    """A labelled clip.

    Attributes
    ----------
    name : str
    media : tuple of Path
        Its pictures in order, or one video.
    label : int
        Index into the database's ``CLASSES``.
    """

    name: str
    media: tuple[Path, ...]
    label: int

    def frames(self) -> NDArray[np.uint8]:
        """Read all frames, (T, H, W, 3) RGB.

        Raises
        ------
        InputError
            A file cannot be read.
        """
        if len(self.media) == 1 and self.media[0].suffix.lower() not in SUFFIXES:
            images = []
            with contextlib.closing(open_source(self.media[0], live=False)) as source:
                while (frame := source.read(10.0)) is not None:
                    images.append(frame.image)
        else:
            images = [read_picture(path) for path in self.media]
        return np.ascontiguousarray(np.stack(images)[..., ::-1])


def windows(n: int, length: int, stride: int = 1) -> list[NDArray[np.int64]]:
    """Return the non-overlapping windows of n frames; a short tail is dropped.

    A window is `length` frames, `stride` apart.
    """
    reach = length * stride
    return [first + np.arange(0, reach, stride) for first in range(0, n - reach + 1, reach)]


def random_window(n: int, length: int, stride: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Return `length` frames, `stride` apart, from a random place."""
    reach = (length - 1) * stride + 1
    return int(rng.integers(max(1, n - reach + 1))) + np.arange(0, length * stride, stride)


def read_dfew(root: Path, split: str, fold: int) -> list[Clip]:
    """List a split of DFEW; see the module's head."""
    clips = []
    names = (f"{split}(single-labeled)", f"{split}_single-labeled", split)
    table = _first(root / "EmoLabel_DataSplit" / name / f"set_{fold}.csv" for name in names)
    for row in _rows(table, ",")[1:]:
        folder = root / "Clip" / "clip_224x224_16f" / f"{int(row[-2]):05}"
        clips.append(Clip(folder.name, _pictures(folder), int(row[-1]) - 1))
    return clips


def read_ferv39k(root: Path, split: str, fold: int) -> list[Clip]:
    """List a split of FERV39k; see the module's head. There are no folds."""
    del fold
    places = (root / "4_setups" / "All_scenes", root / "All_scenes")
    clips = []
    for name, expression in _rows(_first(p / f"{split}_All.csv" for p in places), " "):
        pictures = _pictures(root / "2_ClipsforFaceCrop" / name)
        clips.append(Clip(name, pictures, _FERV39K.index(expression)))
    return clips


def read_mafw(root: Path, split: str, fold: int) -> list[Clip]:
    """List a split of MAFW; see the module's head."""
    folder = root / "Train & Test Set" / "single" / "no_caption" / f"set_{fold}"
    clips = []
    for name, expression in _rows(_first(iter([folder / f"{split}.txt"])), " "):
        stem = name.partition(".")[0]
        video = root / "data" / "clips" / name
        pictures = _pictures(root / "data" / "frames" / stem)
        media = pictures or ((video,) if video.is_file() else ())
        clips.append(Clip(stem, media, MAFW_EXPRESSIONS.index(expression)))
    return clips


_READERS: Final[dict[str, Callable[[Path, str, int], list[Clip]]]] = {
    "dfew": read_dfew,
    "ferv39k": read_ferv39k,
    "mafw": read_mafw,
}


def read_clips(name: str, root: Path, split: str, fold: int = 1) -> list[Clip]:
    """List the clips of a database that are long enough for a window.

    Parameters
    ----------
    name : {"dfew", "ferv39k", "mafw"}
    root : Path
    split : {"train", "test"}
    fold : int
        From 1.

    Raises
    ------
    UsageError
        Unknown database or fold, or a line that is no label.
    InputMissingError
        The label file is not there, or none of its clips is.
    """
    if name not in _READERS or not 1 <= fold <= FOLDS[name]:
        known = ", ".join(f"{key} (folds 1 to {FOLDS[key]})" for key in _READERS)
        raise UsageError(
            thing="database", got=f"{name!r}, fold {fold}", expected=known, hint="Name one of them."
        )
    try:
        clips = _READERS[name](root, split, fold)
    except (ValueError, IndexError) as error:
        raise UsageError(
            thing=f"labels of {name} under {root}", got=str(error), expected="clips with labels",
            hint="Unpack the labels again, unchanged.",
        ) from error  # fmt: skip
    # As published: pictures of a clip too short for one window are left out.
    usable = [
        clip for clip in clips
        if (len(clip.media) == 1 and clip.media[0].suffix.lower() not in SUFFIXES)
        or len(clip.media) >= FRAMES[name]
    ]  # fmt: skip
    if not usable:
        raise InputMissingError(
            thing=f"{name} under {root}",
            got=f"none of {len(clips)} labelled clips",
            expected=f"clips of at least {FRAMES[name]} frames",
            hint="The folders' names stand in training/ifdd/databases.py.",
        )
    return usable


def _first(paths: object) -> Path:
    """Return the first of some paths that is a file."""
    tried = list(paths)  # type: ignore[call-overload]
    for path in tried:
        if path.is_file():
            return path  # type: ignore[no-any-return]
    raise InputMissingError(
        thing=str(tried[0]), got="no file", expected="the publisher's labels",
        hint="The folders' names stand in training/ifdd/databases.py.",
    )  # fmt: skip


def _rows(path: Path, separator: str) -> list[list[str]]:
    lines = path.read_text("utf-8-sig").splitlines()
    return [[cell.strip() for cell in line.split(separator)] for line in lines if line.strip()]


def _pictures(folder: Path) -> tuple[Path, ...]:
    """Return the pictures of a folder by the number in their names."""
    return tuple(numbered_pictures(folder).values())
