"""What an analysis has to do: every input once, each with files that are nobody else's."""

from __future__ import annotations

import dataclasses
import itertools
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from realtime_affect.capture import find_inputs
from realtime_affect.errors import InputError, UsageError
from realtime_affect.outputs.folder import source_id
from realtime_affect.outputs.recording import OutputFiles
from realtime_affect.outputs.summary import InputSummary
from realtime_affect.redact import redact, redact_source

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    from realtime_affect.outputs.folder import RunFolder

_IMAGES: Final = "images"
_MAX_STEM_BYTES: Final = 200  # file systems allow 255, of which an ending and a number need some


class Wanted(NamedTuple):
    """Which files are written beside the rows and events of a video."""

    video: bool
    timeline: bool
    episodes: bool
    windows: bool


@dataclass(frozen=True, slots=True)
class Task:
    """One input: what to open and where its results go, or why it cannot be opened."""

    name: str
    source: str | Path | None = None
    stills: tuple[Path, ...] = ()  # instead of a source: images that share one table
    files: OutputFiles | None = None
    error: InputError | None = None
    source_id: str = ""

    def planned(self) -> InputSummary:
        """Return what the record says of it before it is analysed."""
        files = self.files.named() if self.files is not None else {}
        return InputSummary(
            redact_source(self.name), outcome="running", files=files, source_id=self.source_id
        )


def plan_tasks(
    paths: Sequence[str | Path],
    folder: RunFolder,
    left_out: list[str],
    wanted: Wanted,
) -> list[Task]:
    """Expand folders and give every input its output files, by the order of `paths` alone.

    What is met beside the inputs is added to `left_out`.

    Raises
    ------
    UsageError
        A result would replace an input.
    """
    tasks: list[Task] = []
    stills: list[Path] = []
    met: dict[str | Path, str | Path] = {}
    for given in paths:
        try:
            found = find_inputs([given], left_out)
        except InputError as error:
            tasks.append(Task(str(given), error=error))
            continue
        except Exception as error:  # noqa: BLE001  (one boundary an input, here too)
            refused = InputError(
                thing=f"input {redact_source(str(given))}", got=repr(error),
                expected="a file or folder", hint="Look whether it can be read.",
            )  # fmt: skip
            tasks.append(Task(str(given), error=refused))
            continue
        for item in found:
            key = item.path.resolve() if isinstance(item.path, Path) else item.path
            if key in met:
                if str(met[key]) != str(item.path):
                    left_out.append(f"{item.path}, the same file as {met[key]}")
                continue
            met[key] = item.path
            if item.kind == "still":
                stills.append(Path(item.path))
            else:
                tasks.append(Task(str(item.path), item.path, source_id=source_id(item.path)))
    namer = _Namer(folder, met)
    namer.reserve(_IMAGES)

    def files_of(stem: str) -> OutputFiles:
        return OutputFiles(
            rows=folder.path / f"{stem}.csv",
            events=folder.path / f"{stem}.events.csv",
            video=folder.path / f"{stem}.annotated.mp4" if wanted.video else None,
            timeline=folder.path / f"{stem}.timeline.png" if wanted.timeline else None,
            episodes=folder.path / f"{stem}.episodes.json" if wanted.episodes else None,
            report=folder.path / f"{stem}.report.html" if wanted.episodes else None,
            windows=folder.path / f"{stem}.windows.csv" if wanted.windows else None,
        )

    tasks = [
        task
        if task.source is None
        else dataclasses.replace(
            task, files=namer.files(_stem(str(task.source)), task.source_id, files_of)
        )
        for task in tasks
    ]
    if stills:
        known_as = source_id(stills)
        files = namer.files(
            _IMAGES, known_as, lambda stem: OutputFiles(folder.path / f"{stem}.csv"), own=True
        )
        tasks.append(Task(_IMAGES, stills=tuple(stills), files=files, source_id=known_as))
    return tasks


class _Namer:
    """Give every input file names that are nobody else's.

    Parameters
    ----------
    folder : RunFolder
    inputs : collection of Path or str
        No result may be written over one of these.
    """

    def __init__(self, folder: RunFolder, inputs: Collection[str | Path]) -> None:
        self._inputs = inputs
        self._taken: set[str] = set()  # in small letters: some file systems see no other
        self._reserved: set[str] = set()
        self._own: dict[str, str] = {}  # file names of earlier runs, and which input they are of
        for entry in folder.earlier():
            files = entry.get("files")
            for path in files.values() if isinstance(files, Mapping) else ():
                self._own[Path(str(path)).name] = str(entry.get("source_id", ""))

    def reserve(self, stem: str) -> None:
        """Keep `stem` for whoever asks for it as its own."""
        self._reserved.add(stem)

    def files(
        self,
        stem: str,
        known_as: str,
        of: Callable[[str], OutputFiles],
        *,
        own: bool = False,
    ) -> OutputFiles:
        """Return the files `of` the stem, numbered where any of them is another's.

        Raises
        ------
        UsageError
            A result would replace an input.
        """
        for number in itertools.count(1):
            name = stem if number == 1 else f"{stem}-{number}"
            files = of(name)
            paths = list(files.named().values())
            for path in paths:
                if path.resolve() in self._inputs:
                    raise UsageError(
                        thing=f"output file {path}",
                        got="a path that is also an input",
                        expected="results apart from their inputs",
                        hint="Choose another folder with --out.",
                    )
            if (own or name.lower() not in self._reserved) and all(
                self._is_free(path, known_as) for path in paths
            ):
                break
        self._taken |= {path.name.lower() for path in paths}
        return files

    def _is_free(self, path: Path, known_as: str) -> bool:
        """Whether `path` is no file of this run's others, nor one that is not this input's own."""
        if path.name.lower() in self._taken:
            return False
        return self._own.get(path.name) == known_as or not os.path.lexists(path)


def _stem(source: str) -> str:
    """Return a name for the files of `source`: a path's stem, or what of a URL can be a name."""
    if "://" not in source:
        stem = Path(source).stem
    else:
        shown = re.split(r"[?#]", redact(source))[0]
        stem = re.sub(r"[^\w.-]+", "_", Path(shown).stem)
    while len(os.fsencode(stem)) > _MAX_STEM_BYTES:
        stem = stem[:-1]
    return stem
