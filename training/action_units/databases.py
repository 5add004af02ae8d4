"""Databases with FACS coders' labels, in the folders their publishers hand out.

=========  =======================================================================================
DISFA      ``Videos_LeftCamera/LeftVideoSN001_comp.avi``,
           ``ActionUnit_Labels/SN001/SN001_au1.txt``: lines ``frame,intensity``, frames from 1
DISFA+     ``Images/SN001/A1_AU1_TrailNo_1/000.jpg``,
           ``Labels/SN001/A1_AU1_TrailNo_1/AU1.txt``: lines ``000.jpg intensity``
BP4D       ``Sequences/F001/T1/0001.jpg`` (also ``2D+3D/``),
           ``AUCoding/AU_OCC/F001_T1.csv``: a head line of unit numbers, then a line a frame,
           ``AUCoding/AU_INT/AU06/F001_T1_AU06.csv``: lines ``frame,intensity``; 9 = not coded
=========  =======================================================================================

Mavadati et al., "DISFA", 2013; Mavadati et al., "Extended DISFA", 2016; Zhang et al., "BP4D-
Spontaneous", 2014. Whoever wants them signs their licences; nothing of them is in this project.
"""

from __future__ import annotations

import contextlib
import csv
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import cv2
import numpy as np

from realtime_affect.capture import open_source
from realtime_affect.errors import InputError, InputMissingError, UsageError
from realtime_affect.names import AU_OCCURRENCES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from numpy.typing import NDArray

    from realtime_affect.types import Image

Labels = dict[str, dict[int, float]]
"""Unit -> frame number of the database -> label."""

PRESENT_AT: Final = 2.0
"""Intensity (FACS B) from which DISFA's users count a unit as present."""
_NOT_CODED: Final = 9.0
_PICTURES: Final = {".jpg", ".jpeg", ".png", ".bmp"}


@dataclass(frozen=True, slots=True)
class Recording:
    """One labelled clip of one person.

    Attributes
    ----------
    subject, name : str
    media : Path or dict of int to Path
        A video, whose frames are numbered from `first`, or its pictures by number.
    intensity, occurrence : Labels
        0 to 5; 0 or 1. What is not coded is not in them.
    first : int
    """

    subject: str
    name: str
    media: Path | dict[int, Path]
    intensity: Labels
    occurrence: Labels
    first: int = 0

    def frames(self) -> Iterator[tuple[int, Image]]:
        """Yield number and BGR picture, in order.

        Raises
        ------
        InputError
            A file cannot be read.
        """
        if isinstance(self.media, dict):
            for number, path in sorted(self.media.items()):
                image = cv2.imread(str(path))
                if image is None:
                    raise InputError(
                        thing=str(path), got="no picture", expected="JPEG, PNG or BMP",
                        hint="Unpack the database again.",
                    )  # fmt: skip
                yield number, image  # type: ignore[misc]
            return
        with contextlib.closing(open_source(self.media, live=False)) as source:
            while (frame := source.read(10.0)) is not None:
                yield self.first + frame.index, frame.image

    def table(self, labels: Labels, numbers: list[int]) -> NDArray[np.float64]:
        """Return `labels` of frames as (n, 18), NaN where a unit is not coded."""
        table = np.full((len(numbers), len(AU_OCCURRENCES)), np.nan)
        for unit, values in labels.items():
            column = AU_OCCURRENCES.index(unit)
            table[:, column] = [values.get(number, np.nan) for number in numbers]
        return table


def read_disfa(root: Path) -> list[Recording]:
    """List DISFA's recordings by the left camera; see the module's head."""
    recordings = []
    for video in sorted((root / "Videos_LeftCamera").glob("LeftVideo*_comp.*")):
        subject = video.name.removeprefix("LeftVideo").partition("_")[0]
        intensity: Labels = {}
        for path in (root / "ActionUnit_Labels" / subject).glob(f"{subject}_au*.txt"):
            unit = _unit(path.stem.rpartition("au")[2])
            if unit:
                intensity[unit] = {int(row[0]): float(row[1]) for row in _rows(path)}
        if intensity:
            present = _present(intensity)
            recordings.append(Recording(subject, video.stem, video, intensity, present, first=1))
    return recordings


def read_disfaplus(root: Path) -> list[Recording]:
    """List DISFA+'s trials; see the module's head."""
    recordings = []
    for folder in sorted((root / "Images").glob("*/*/")):
        pictures = _pictures(folder)
        intensity: Labels = {}
        for path in (root / "Labels" / folder.parent.name / folder.name).glob("AU*.txt"):
            unit = _unit(path.stem.removeprefix("AU"))
            if unit:
                intensity[unit] = {
                    _number(row[0]): float(row[1]) for row in _rows(path) if "." in row[0]
                }
        if pictures and intensity:
            recordings.append(
                Recording(folder.parent.name, folder.name, pictures, intensity, _present(intensity))
            )
    return recordings


def read_bp4d(root: Path) -> list[Recording]:
    """List BP4D's tasks; see the module's head."""
    recordings = []
    coding = root / "AUCoding"
    for path in sorted((coding / "AU_OCC").glob("*.csv")):
        subject, _, task = path.stem.partition("_")
        folders = [root / name / subject / task for name in ("Sequences", "2D+3D")]
        pictures = next((found for folder in folders if (found := _pictures(folder))), {})
        head, *rows = list(csv.reader(path.read_text("utf-8").splitlines()))
        occurrence: Labels = {}
        for column, number in enumerate(head[1:], 1):
            unit = _unit(number)
            if unit:
                occurrence[unit] = _coded((row[0], row[column]) for row in rows if row)
        intensity: Labels = {}
        for labels in coding.glob(f"AU_INT/AU*/{path.stem}_AU*.csv"):
            unit = _unit(labels.stem.rpartition("AU")[2])
            if unit:
                intensity[unit] = _coded((row[0], row[1]) for row in _rows(labels))
        if pictures:
            recordings.append(Recording(subject, path.stem, pictures, intensity, occurrence))
    return recordings


READERS: Final[dict[str, Callable[[Path], list[Recording]]]] = {
    "disfa": read_disfa,
    "disfaplus": read_disfaplus,
    "bp4d": read_bp4d,
}


def read_database(name: str, root: Path) -> list[Recording]:
    """List the labelled recordings of a database.

    Parameters
    ----------
    name : {"disfa", "disfaplus", "bp4d"}
    root : Path
        Folder that holds the database's own folders.

    Raises
    ------
    InputMissingError
        There is no such folder, or nothing labelled in it.
    UsageError
        Unknown database, or a label that is no number.
    """
    if name not in READERS:
        raise UsageError(
            thing="database", got=repr(name), expected=", ".join(READERS), hint="Name one of them."
        )
    try:
        recordings = READERS[name](root)
    except (ValueError, IndexError) as error:
        raise UsageError(
            thing=f"labels of {name} under {root}", got=str(error), expected="numbers",
            hint="Unpack the labels again, unchanged.",
        ) from error  # fmt: skip
    if not recordings:
        raise InputMissingError(
            thing=f"{name} under {root}",
            got="no labelled recording",
            expected="the publisher's folders, unpacked",
            hint="Their names stand in training/action_units/databases.py.",
        )
    return recordings


def _unit(number: str) -> str | None:
    """Return our name of a unit, None for one we do not read."""
    name = f"AU{int(number):02}" if number.strip().isdigit() else ""
    return name if name in AU_OCCURRENCES else None


def _number(file_name: str) -> int:
    """Return the number a picture's name ends with."""
    return int(re.findall(r"\d+", file_name.rpartition(".")[0])[-1])


def _pictures(folder: Path) -> dict[int, Path]:
    """Return the pictures of a folder by number; nothing where there is no such folder."""
    if not folder.is_dir():
        return {}
    paths = (path for path in folder.iterdir() if path.suffix.lower() in _PICTURES)
    return {_number(path.name): path for path in paths}


def _rows(path: Path) -> list[list[str]]:
    """Return the lines of a label file, split at commas or blanks; lines of words are left out."""
    lines = (re.split(r"[,;\s]+", line.strip()) for line in path.read_text("utf-8").splitlines())
    return [row for row in lines if len(row) > 1 and row[0][:1].isdigit()]


def _coded(pairs: Iterator[tuple[str, str]]) -> dict[int, float]:
    """Return label by frame, without what was not coded."""
    values = {int(number): float(label) for number, label in pairs}
    return {number: label for number, label in values.items() if label != _NOT_CODED}


def _present(intensity: Labels) -> Labels:
    return {
        unit: {number: float(value >= PRESENT_AT) for number, value in values.items()}
        for unit, values in intensity.items()
    }
