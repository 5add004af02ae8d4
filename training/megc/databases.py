"""Databases of brief facial movements, in the folders their publishers hand out.

=========  =======================================================================================
CAS(ME)^2  ``rawpic/s15/15_0101disgustingteeth/img1.jpg``; ``*code_final*.xlsx`` of three sheets:
           a line an expression (subject, ``disgust1_1``, onset, apex, offset, units, emotion,
           ``micro-expression``), the subjects' and the videos' codes; or these sheets as
           ``*code_final*.csv``, ``naming_rule1.csv``, ``naming_rule2.csv``; 30 frames a second
SAMM-LV    ``SAMM_longvideos/006_1/006_1_0001.jpg``; ``SAMM_LongVideos_*.xlsx`` or ``.csv``; the
           emotions from ``SAMM_Micro_FACS_Codes*`` where that lies beside; 200 frames a second
CAS(ME)^3  part A: ``data/part_A/spNO.1/a/color/1.jpg`` (also ``data/spNO.1``, ``part_A/spNO.1``);
           ``*part_A_ME_label*`` and ``*part_A_MaE_label*``; 30 frames a second
CASME II   ``CASME2_RAW_selected/sub01/EP02_01f/img46.jpg`` (also ``CASME2-RAW/``, ``Cropped/``);
           ``CASME2-coding*.xlsx`` or ``.csv``; 200 frames a second
SMIC       ``HS/s1/micro/negative/s1_ne_01/image235128.jpg`` (also ``SMIC_all_raw/HS`` and
           ``SMIC_all_cropped/HS``): the class is the folder's, there is no apex; 100 frames a
           second
SAMM       ``006/006_1_2/006_05562.jpg`` (also ``SAMM/``); ``SAMM_Micro_FACS_Codes*``; 200 frames
           a second
=========  =======================================================================================

Qu et al., "CAS(ME)^2", 2018; Yap et al., "SAMM Long Videos", 2020; Li et al., "CAS(ME)^3", 2022;
Yan et al., "CASME II", 2014; Li et al., "SMIC", 2013; Davison et al., "SAMM", 2018. Emotions become
the three classes of MEGC2019 (See et al., 2019); the others have none. Whoever wants the databases
signs their licences; nothing of them is in this project.
"""

from __future__ import annotations

import contextlib
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal, TypeVar

from realtime_affect.errors import AffectError, InputError, InputMissingError, UsageError
from training.megc.sheets import find_file, find_files, read_sheets, records, whole
from training.megc.spotting import CLASSES, Interval
from training.pictures import last_digits, numbered_pictures

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

_T = TypeVar("_T")
_VIDEOS: Final = {".avi", ".mp4", ".mov", ".mkv"}
_NAMES: Final = "The folders' names stand in training/megc/databases.py."
_CLASS_OF: Final = {
    **dict.fromkeys(("happiness", "happy", "positive"), "positive"),
    **dict.fromkeys(("surprise",), "surprise"),
    **dict.fromkeys(
        ("anger", "contempt", "disgust", "fear", "sadness", "sad", "repression", "negative"),
        "negative",
    ),
}
"""MEGC2019's class of an emotion."""
_LEFT_OUT: Final = {"casme2": ("sadness", "fear")}
"""What MEGC2019 did not take of a database: too few to tell."""

_COLUMNS: Final = {
    "subject": ("Subject", "sub"),
    "clip": ("Filename", "clip", "seq"),
    "onset": ("Onset", "Onset Frame"),
    "apex": ("Apex", "Apex Frame"),
    "offset": ("Offset", "Offset Frame"),
}
_EMOTION: Final = {"emotion": ("Estimated Emotion", "emotion")}


@dataclass(frozen=True, slots=True)
class Film:
    """A long video with the movements that coders found in it.

    Attributes
    ----------
    subject, name : str
    media : Path or dict of int to Path
        A video, whose frames are numbered from 1, or its pictures by number.
    fps : float
        Frames a second; a video's own times count for it.
    truth : tuple of Interval
        In frame numbers.
    """

    subject: str
    name: str
    media: Path | dict[int, Path]
    fps: float
    truth: tuple[Interval, ...]


@dataclass(frozen=True, slots=True)
class Clip:
    """One brief movement with its class.

    Attributes
    ----------
    subject, name : str
    pictures : dict of int to Path
        By frame number, in order.
    onset, offset : int
    apex : int or None
        None where the database does not say.
    label : str
        One of ``spotting.CLASSES``.
    fps : float
    """

    subject: str
    name: str
    pictures: dict[int, Path]
    onset: int
    apex: int | None
    offset: int
    label: str
    fps: float


def class_of(emotion: str, database: str = "") -> str:
    """Return MEGC2019's class of an emotion, empty for those it left out."""
    name = emotion.strip().lower()
    return "" if name in _LEFT_OUT.get(database, ()) else _CLASS_OF.get(name, "")


def read_casme2sq(root: Path) -> list[Film]:
    """List CAS(ME)^2's long videos; see the module's head."""
    path = find_file(root, "*code_final*.xlsx", "*code_final*.csv", hint=_NAMES)
    sheets = read_sheets(path)
    if len(sheets) < 3:
        naming = [find_file(path.parent, f"naming_rule{n}.csv", hint=_NAMES) for n in (1, 2)]
        sheets = [sheets[0], *(read_sheets(one)[0] for one in naming)]
    codes, people, videos = sheets[:3]
    subject_of = {whole(row[2]): whole(last_digits(row[1])) for row in people if _filled(row, 3)}
    code_of = {row[1].lower(): row[0].zfill(4) for row in videos if _filled(row, 2)}
    truth: dict[tuple[int | None, str], list[Interval]] = {}
    for row in codes:
        person = whole(row[0]) if _filled(row, 8) else None
        if person is None:
            continue  # a heading
        key = (subject_of[person], code_of[row[1].partition("_")[0].lower()])
        found = _interval(row[7], row[2], row[3], row[4], class_of(row[6]))
        truth.setdefault(key, []).extend(found)
    films = []
    for name, media in _media(root, "rawpic/*/*", "rawvideo/*/*"):
        parts = re.match(r"s?(\d+)_(\d{4})", name)
        if parts:
            key = (int(parts[1]), parts[2])
            films.append(Film(f"s{parts[1]}", name, media, 30.0, tuple(truth.pop(key, ()))))
    return films


def read_sammlv(root: Path) -> list[Film]:
    """List SAMM Long Videos; see the module's head."""
    path = find_file(root, "SAMM_LongVideos*.xlsx", "SAMM_LongVideos*.csv", hint=_NAMES)
    rows = records(read_sheets(path)[0], {**_COLUMNS, "type": ("Type",)}, path)
    emotions: dict[str, str] = {}
    for codes in find_files(root, "SAMM_*Micro_FACS_Codes*.[xc]*"):
        known = records(read_sheets(codes)[0], {**_COLUMNS, **_EMOTION}, codes)
        emotions |= {row["clip"]: class_of(row["emotion"]) for row in known}
    truth: dict[str, list[Interval]] = {}
    for row in rows:
        video = "_".join(row["clip"].split("_")[:2])
        label = emotions.get(row["clip"], "")
        found = _interval(row["type"], row["onset"], row["apex"], row["offset"], label)
        truth.setdefault(video, []).extend(found)
    return [
        Film(name.partition("_")[0], name, media, 200.0, tuple(truth.get(name, ())))
        for name, media in _media(root, "SAMM_longvideos/*", "SAMM_LongVideos/*")
    ]


def read_casme3(root: Path) -> list[Film]:
    """List the videos of CAS(ME)^3's part A; see the module's head."""
    truth: dict[tuple[str, str], list[Interval]] = {}
    # The letters' case tells the two apart, and not every file system minds it.
    for kind, pattern in (("micro", r"_me_label"), ("macro", r"_mae_label")):
        files = [
            path
            for path in find_files(root, "*part_[Aa]*label*")
            if re.search(pattern, path.name, re.IGNORECASE) and path.suffix in (".xlsx", ".csv")
        ]
        if not files and kind == "micro":
            raise InputMissingError(
                thing=f"labels under {root}", got="none", hint=_NAMES,
                expected="cas(me)3_part_A_ME_label*.xlsx or .csv",
            )  # fmt: skip
        for row in _labels(files[-1]) if files else ():
            label = class_of(row["emotion"])
            found = _interval(kind, row["onset"], row["apex"], row["offset"], label)
            truth.setdefault((row["subject"].lower(), row["clip"].lower()), []).extend(found)
    films = []
    folders = ("data/part_A", "part_A/data/part_A", "part_A/data", "part_A", "data", ".")
    for base in folders:
        for people in sorted((root / base).glob("sp[Nn][Oo].*")):
            for folder in sorted(people.iterdir()):
                media = numbered_pictures(folder / "color")
                if media:
                    key = (people.name.lower(), folder.name.lower())
                    name = f"{people.name}_{folder.name}"
                    films.append(Film(people.name, name, media, 30.0, tuple(truth.get(key, ()))))
        if films:
            break
    return films


def read_casme2(root: Path) -> list[Clip]:
    """List CASME II's clips; see the module's head."""
    path = find_file(root, "CASME2-coding*.xlsx", "CASME2-coding*.csv", hint=_NAMES)
    bases = ("CASME2_RAW_selected", "CASME2-RAW", "Cropped", "CASME2_RAW_selected/*", "*")
    return _clips("casme2", root, path, lambda row: f"sub{int(row['subject']):02}", bases)


def read_samm(root: Path) -> list[Clip]:
    """List SAMM's clips; see the module's head."""
    name = "SAMM_*Micro_FACS_Codes*"
    path = find_file(root, f"{name}.xlsx", f"{name}.csv", hint=_NAMES)
    return _clips("samm", root, path, lambda row: f"{int(row['subject']):03}", (".", "SAMM", "*"))


def read_smic(root: Path) -> list[Clip]:
    """List SMIC's high-speed clips; see the module's head."""
    clips = []
    for base in ("HS", "SMIC_all_raw/HS", "SMIC_all_cropped/HS", "SMIC/HS", "."):
        for folder in sorted((root / base).glob("s*/micro/*/*/")):
            pictures = numbered_pictures(folder)
            label = class_of(folder.parent.name)
            if pictures and label:
                subject = folder.parents[2].name
                first, last = min(pictures), max(pictures)
                clips.append(Clip(subject, folder.name, pictures, first, None, last, label, 100.0))
        if clips:
            break
    return clips


FILMS: Final[dict[str, Callable[[Path], list[Film]]]] = {
    "casme2sq": read_casme2sq,
    "sammlv": read_sammlv,
    "casme3": read_casme3,
}
"""Databases of long videos, for spotting."""

CLIPS: Final[dict[str, Callable[[Path], list[Clip]]]] = {
    "casme2": read_casme2,
    "smic": read_smic,
    "samm": read_samm,
}
"""Databases of cut clips, for recognition."""


def read_films(name: str, root: Path) -> list[Film]:
    """List the long videos of a database.

    Parameters
    ----------
    name : {"casme2sq", "sammlv", "casme3"}
    root : Path
        Folder that holds the database's own folders and its labels.

    Raises
    ------
    InputMissingError
        The labels or the videos are not there.
    UsageError
        Unknown database, or a label that means nothing.
    """
    films = _read(FILMS, name, root)
    if not any(film.truth for film in films):
        raise _nothing(name, root, f"{len(films)} videos, none of them labelled")
    return films


def read_clips(name: str, root: Path) -> list[Clip]:
    """List the clips of a database that have one of the three classes.

    Parameters
    ----------
    name : {"casme2", "smic", "samm"}
    root : Path

    Raises
    ------
    InputMissingError, UsageError
        As :func:`read_films`.
    """
    clips = _read(CLIPS, name, root)
    if not clips:
        raise _nothing(name, root, "no labelled clip")
    return clips


def _read(readers: dict[str, Callable[[Path], list[_T]]], name: str, root: Path) -> list[_T]:
    if name not in readers:
        raise UsageError(
            thing="database", got=repr(name), expected=", ".join(readers), hint="Name one of them."
        )
    try:
        return readers[name](root)
    except AffectError:
        raise
    except (ValueError, KeyError, IndexError) as error:
        raise UsageError(
            thing=f"labels of {name} under {root}", got=repr(error), expected="labelled movements",
            hint="Unpack the labels again, unchanged.",
        ) from error  # fmt: skip


def _nothing(name: str, root: Path, got: str) -> InputMissingError:
    return InputMissingError(
        thing=f"{name} under {root}", got=got, expected="the publisher's folders, unpacked",
        hint=_NAMES,
    )  # fmt: skip


def _clips(
    database: str,
    root: Path,
    path: Path,
    folder_of: Callable[[dict[str, str]], str],
    bases: tuple[str, ...],
) -> list[Clip]:
    """List the clips of a table; those without one of the classes or without pictures are not."""
    names = {**_COLUMNS, **_EMOTION}
    clips = []
    for row in records(read_sheets(path)[0], names, path):
        label = class_of(row["emotion"], database)
        onset, apex, offset = (whole(row[name]) for name in ("onset", "apex", "offset"))
        if not label or whole(row["subject"]) is None or onset is None:
            continue
        below = f"{folder_of(row)}/{row['clip']}"
        folders = [found for base in bases for found in sorted(root.glob(f"{base}/{below}"))]
        pictures = next((found for folder in folders if (found := numbered_pictures(folder))), {})
        if not pictures:
            continue
        offset = max(pictures) if offset is None or offset < onset else offset
        inside = apex is not None and onset < apex <= offset
        clips.append(
            Clip(folder_of(row), row["clip"], pictures, onset, apex if inside else None, offset,
                 label, 200.0)
        )  # fmt: skip
    return clips


def _labels(path: Path) -> list[dict[str, str]]:
    """Read a table of CAS(ME)^3 from the sheet that has it; of macro-expressions it may be bare."""
    sheets = read_sheets(path)
    for sheet in sheets[:-1]:
        with contextlib.suppress(InputError):
            return records(sheet, _COLUMNS, path, _EMOTION)
    return records(sheets[-1], _COLUMNS, path, _EMOTION)


def _interval(kind: str, onset: str, apex: str, offset: str, label: str) -> list[Interval]:
    """Return an interval, or none of a movement whose beginning or end was not seen."""
    first, last = whole(onset), whole(offset)
    if not last or last < 0:
        last = whole(apex)  # as everybody scores CAS(ME)^2, whose offset is 0 where it is unknown
    if first is None or last is None or first < 1 or last < first:
        return []
    name = kind.strip().lower()
    which: Literal["micro", "macro"] = "micro" if name.startswith("micro") else "macro"
    if not name.startswith(("micro", "macro")):
        message = f"an expression of the kind {kind!r}"
        raise ValueError(message)
    return [Interval(which, first, last, label if label in CLASSES else "")]


def _media(root: Path, *patterns: str) -> list[tuple[str, Path | dict[int, Path]]]:
    """Return name and pictures, or video, of all that match the first pattern that finds any."""
    for pattern in patterns:
        found: list[tuple[str, Path | dict[int, Path]]] = []
        for path in sorted(root.glob(pattern)):
            if path.suffix.lower() in _VIDEOS:
                found.append((path.stem, path))
            elif pictures := numbered_pictures(path):
                found.append((path.name, pictures))
        if found:
            return found
    return []


def _filled(row: list[str], n: int) -> bool:
    return len(row) >= n and bool(row[0] or row[1])
