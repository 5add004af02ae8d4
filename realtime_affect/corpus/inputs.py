"""What a corpus is of: sources -> inputs, each with the one place where its results go."""

from __future__ import annotations

import csv
import glob
import itertools
import os
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from realtime_affect.capture import find_inputs, find_inputs_below, stated_frames
from realtime_affect.errors import InputError, UsageError
from realtime_affect.redact import redact_source
from realtime_affect.schema import EVERYTHING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from realtime_affect.capture import InputItem

LISTS: Final = frozenset({".txt", ".lst"})
"""Endings of files that list a path on each line."""

MANIFEST: Final = ".csv"
"""Ending of tables that name a path in each row, beside columns of what is known of it."""

OWN: Final = ("corpus.json", "corpus.parquet", "corpus.windows.parquet", "corpus.html")
"""Names of the corpus itself, in its folder."""

_PATH: Final = "path"
_STILLS: Final = "images"


@dataclass(frozen=True, slots=True)
class CorpusInput:
    """One input: a video, or the images of one folder.

    Attributes
    ----------
    name : str
        Where its results lie below the corpus's folder, ``/`` between folders; nobody else's.
    paths : tuple of Path or str
        The video or ``"demo"``, or the images.
    stills : bool
    metadata : mapping of str to str
        What the manifest says of it, by column.
    frames : int
        As far as files state them; 0 = unknown.
    error : InputError or None
        Why it cannot be read, where that is known already.
    """

    name: str
    paths: tuple[Path | str, ...] = ()
    stills: bool = False
    metadata: Mapping[str, str] = field(default_factory=dict)
    frames: int = 0
    error: InputError | None = None


class Found(NamedTuple):
    """All inputs of a corpus.

    Attributes
    ----------
    inputs : tuple of CorpusInput
    columns : tuple of str
        Of metadata, in the order of the manifests.
    left_out : tuple of str
        What was met and is no input, a sentence each.
    """

    inputs: tuple[CorpusInput, ...]
    columns: tuple[str, ...]
    left_out: tuple[str, ...]


class _Named(NamedTuple):
    """A path with what is known of it, or the reason why there is none."""

    text: str
    path: Path | str = ""
    still: bool = False
    metadata: Mapping[str, str] = {}
    error: InputError | None = None


def find_corpus(sources: Iterable[str | Path], out: Path) -> Found:
    """Expand sources to inputs.

    Folders are searched with all below them. Results mirror the tree below the deepest folder that
    holds all folders named and all files named: ``a/b/clip.mp4`` has a folder of that name for its
    own. An input that is met twice is kept once.

    Parameters
    ----------
    sources : iterable of str or Path
        Videos, images, folders, patterns (``*``, ``**``), lists of paths (:data:`LISTS`), manifests
        (:data:`MANIFEST`, with the column ``path``). Paths in a file count from its folder. Also
        ``"demo"``.
    out : Path
        The corpus's folder, which is not searched.

    Raises
    ------
    UsageError
        No source was given, a manifest has no such column or one that rows have already, or a
        result would replace an input.
    """
    listed = list(sources)
    if not listed:
        raise UsageError(
            thing="sources of the corpus",
            got="none",
            expected="at least one folder, file, pattern, list or manifest",
            hint="For example: realtime-affect corpus clips/ -o out.",
        )
    gathered = _Gathered(out)
    for source in listed:
        gathered.add(str(source), {})
    inputs = gathered.inputs()
    for one in inputs:
        if (out / one.name).is_file():
            raise UsageError(
                thing=f"output folder {out}",
                got=f"the folder of the input {one.name}",
                expected="results apart from their inputs",
                hint="Choose another folder with --out.",
            )
    return Found(tuple(inputs), tuple(gathered.columns), tuple(gathered.left_out))


class _Gathered:
    """Inputs as they are met."""

    def __init__(self, out: Path) -> None:
        self.columns: dict[str, None] = {}
        self.left_out: list[str] = []
        self._out = _absolute(out)
        self._named: list[_Named] = []
        self._met: dict[Path | str, Path | str] = {}
        self._anchors: list[str] = []  # results mirror what lies below all of them

    def add(self, text: str, metadata: Mapping[str, str], base: Path | None = None) -> None:
        """Take in one source; paths count from `base`."""
        if text == "demo":
            self._take(text, text, metadata=metadata)
            return
        path = Path(text).expanduser() if base is None else base / Path(text).expanduser()
        try:
            self._add_path(text, path, metadata)
        except UsageError:
            raise
        except InputError as error:
            self._named.append(_Named(text, metadata=metadata, error=error))
        except (OSError, ValueError) as error:
            self._named.append(_Named(text, metadata=metadata, error=_unreadable(text, error)))

    def inputs(self) -> list[CorpusInput]:
        """Return each input once, under a name that is nobody else's."""
        root = Path(os.path.commonpath(self._anchors)) if self._anchors else Path()
        names = _Names([_relative(one.path, root) for one in self._named if one.error is None])
        found: list[CorpusInput] = []
        stills: dict[tuple[Path, tuple[tuple[str, str], ...]], list[Path]] = {}
        for one in self._named:
            if one.error is not None:
                name = names.unique(redact_source(one.text).strip("/").replace("\0", "") or "input")
                found.append(CorpusInput(name, metadata=one.metadata, error=one.error))
            elif one.still:
                path = Path(one.path)
                about = tuple(one.metadata.items())
                stills.setdefault((path.parent, about), []).append(path)
            else:
                name = names.unique(_relative(one.path, root))
                frames = stated_frames(one.path) if isinstance(one.path, Path) else 0
                found.append(CorpusInput(name, (one.path,), False, one.metadata, frames))
        for (folder, about), paths in stills.items():
            name = names.unique((Path(_relative(folder, root)) / _STILLS).as_posix())
            found.append(CorpusInput(name, tuple(paths), True, dict(about), len(paths)))
        return [
            replace(one, metadata={name: one.metadata.get(name, "") for name in self.columns})
            for one in found
        ]

    def _add_path(self, text: str, path: Path, metadata: Mapping[str, str]) -> None:
        if not os.path.lexists(path) and glob.has_magic(text):
            self._add_pattern(path, metadata)
        elif path.is_dir():
            self._anchors.append(str(_absolute(path)))
            self._add_folder(path, metadata)
        elif path.suffix.lower() == MANIFEST and path.is_file():
            self._add_manifest(path, metadata)
        elif path.suffix.lower() in LISTS and path.is_file():
            for line in _text_of(path).splitlines():
                if line.strip():
                    self.add(line.strip(), metadata, path.parent)
        else:
            self._add_file(text, path, metadata)

    def _add_file(self, text: str, path: Path, metadata: Mapping[str, str]) -> None:
        item_of = find_inputs([text if "://" in text else path], self.left_out)
        for item in item_of:
            if not isinstance(item.path, Path):
                raise InputError(
                    thing=f"input {redact_source(text)}",
                    got="an address",
                    expected="a file that can be read again",
                    hint="Download it, or analyse it with `realtime-affect analyze`.",
                )
            self._anchors.append(str(_absolute(item.path.parent)))
            self._take(text, item.path, item, metadata)

    def _add_folder(self, folder: Path, metadata: Mapping[str, str]) -> None:
        found = find_inputs_below(_absolute(folder), self.left_out, self._out)
        if not found:
            raise InputError(
                thing=f"folder {folder}",
                got="no video and no image in it or below it",
                expected="files ending in .mp4, .mov, .avi, .mkv, .jpg, .png or the like",
                hint="Name another one.",
            )
        for item in found:
            self._take(str(item.path), item.path, item, metadata)

    def _add_pattern(self, pattern: Path, metadata: Mapping[str, str]) -> None:
        found = sorted(glob.glob(str(pattern), recursive=True))  # noqa: PTH207  (may be absolute)
        if not found:
            raise InputError(
                thing=f"pattern {pattern}",
                got="no such file or folder",
                expected="a pattern that something fits",
                hint="Put it in quotes, so that the shell leaves ** to this program.",
            )
        fixed = itertools.takewhile(lambda part: not glob.has_magic(part), pattern.parts[:-1])
        self._anchors.append(str(_absolute(Path(*fixed))))
        for path in map(Path, found):
            if path.is_dir():
                continue  # what it holds fits a pattern of files, or is not meant
            if not _absolute(path).is_relative_to(self._out):
                self._add_quietly(path, metadata)

    def _add_quietly(self, path: Path, metadata: Mapping[str, str]) -> None:
        """Take a file that a pattern fits; what is no input is left out, not an error."""
        try:
            for item in find_inputs([path], self.left_out):
                self._take(str(path), item.path, item, metadata)
        except InputError as error:
            self.left_out.append(f"{path}: {error.got}")

    def _add_manifest(self, path: Path, metadata: Mapping[str, str]) -> None:
        rows = csv.DictReader(_text_of(path).splitlines())
        columns = [name for name in rows.fieldnames or () if name != _PATH]
        if _PATH not in (rows.fieldnames or ()):
            raise UsageError(
                thing=f"manifest {path}",
                got="the columns " + (", ".join(rows.fieldnames or ()) or "of an empty file"),
                expected=f"a column {_PATH}",
                hint=f"Name the column of the files {_PATH}; all others are kept in the results.",
            )
        taken = {"input", "image", *EVERYTHING.columns} & set(columns)
        if taken or "" in columns or len(set(columns)) < len(columns):
            raise UsageError(
                thing=f"manifest {path}",
                got=f"the column {min(taken)}, which rows have already"
                if taken
                else "a column without a name, or two of one name",
                expected="names of its own for each column of metadata",
                hint="Rename it in the first line.",
            )
        self.columns |= dict.fromkeys(columns)
        for row in rows:
            about = {name: row[name] or "" for name in columns}
            self.add(row[_PATH] or "", {**metadata, **about}, path.parent)

    def _take(
        self,
        text: str,
        path: Path | str,
        item: InputItem | None = None,
        metadata: Mapping[str, str] | None = None,
    ) -> None:
        path = _absolute(path) if isinstance(path, Path) else path
        key = path.resolve() if isinstance(path, Path) else path
        if key in self._met:
            self.left_out.append(f"{path}, the same file as {self._met[key]}")
            return
        self._met[key] = path
        still = item is not None and item.kind == "still"
        self._named.append(_Named(text, path, still, metadata or {}))


class _Names:
    """Give each input a place; none is another's, nor a folder above another's.

    Parameters
    ----------
    wanted : sequence of str
        All places that are wanted, relative to the corpus's folder.
    """

    def __init__(self, wanted: list[str]) -> None:
        self._above = {parent for name in wanted for parent in _parents(name)}
        self._taken = {name.casefold() for name in OWN}  # as file systems without capitals see it

    def unique(self, name: str) -> str:
        """Return `name`, with a number where it is taken, or where a folder above it is."""
        first, slash, rest = name.partition("/")
        below = bool(self._taken & set(_parents(name)))
        numbers = itertools.count(2)
        candidate = name
        while candidate.casefold() in self._taken | self._above or self._taken & set(
            _parents(candidate)
        ):
            number = next(numbers)
            candidate = f"{first}-{number}{slash}{rest}" if below else f"{name}-{number}"
        self._taken.add(candidate.casefold())
        self._above |= set(_parents(candidate))
        return candidate


def _parents(name: str) -> list[str]:
    return [parent.as_posix().casefold() for parent in Path(name).parents][:-1]


def _relative(path: Path | str, root: Path) -> str:
    return Path(os.path.relpath(path, root)).as_posix() if isinstance(path, Path) else path


def _absolute(path: Path) -> Path:
    return Path(os.path.abspath(path))  # noqa: PTH100  (links stay as they are named)


def _text_of(path: Path) -> str:
    return path.read_text(encoding="utf-8-sig")


def _unreadable(text: str, error: Exception) -> InputError:
    return InputError(
        thing=f"input {redact_source(text)}",
        got=getattr(error, "strerror", None) or str(error),
        expected="a file or folder that can be read",
        hint="Look whether it can be opened; lists and manifests are UTF-8.",
    )
