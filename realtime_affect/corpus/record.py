"""``corpus.json``: what came of each input, from the begin of a corpus to its end."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any, Final

from realtime_affect.errors import InputError, InputMissingError
from realtime_affect.outputs.manifest import jsonable, now, versions, write_record
from realtime_affect.redact import redact, redact_source, redact_values

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from realtime_affect.config import Config
    from realtime_affect.outputs.summary import Outcome

NAME: Final = "corpus.json"
"""Of the file, in the corpus's folder."""

VERSION: Final = 1
"""Of its keys."""

FULL_HINT: Final = "What is complete is kept; free some space, then run again with --resume."
"""What to do where nothing can be written."""

_EVERY_S: Final = 2.0
_SHARE: Final = 0.05  # of the time, at most, goes into writing: of many inputs, it is seldom


class CorpusRecord:
    """The record of one corpus; only its owner may read it (0600). Every write replaces it whole.

    Parameters
    ----------
    folder : Path
        Must exist.
    config : Config
    sources : iterable of str
    entries : sequence of dict
        What is known of each input, in their order.
    left_out : iterable of str
    options : mapping
        How it is done: workers, memory, files.

    Raises
    ------
    OutputError
        From any method: it cannot be written.
    """

    def __init__(  # noqa: PLR0913  (what of, with what, beside what)
        self,
        folder: Path,
        config: Config,
        sources: Iterable[str],
        entries: Sequence[dict[str, Any]],
        left_out: Iterable[str],
        options: Mapping[str, Any],
    ) -> None:
        self.path = folder / NAME
        self._places = {entry["input"]: n for n, entry in enumerate(entries)}
        self._content: dict[str, Any] = {
            "version": VERSION,
            "outcome": "running",
            "begun": now(),
            "finished": None,
            "sources": [redact_source(source) for source in sources],
            "options": jsonable(options),
            "workers": [],
            "inputs": [_safe(entry) for entry in entries],
            "left_out": [redact(text) for text in left_out],
            "config": redact_values(jsonable(config.as_dict())),
            "versions": versions(),
        }
        self._write()

    @property
    def entries(self) -> Sequence[Mapping[str, Any]]:
        """What is known of each input."""
        return tuple(self._content["inputs"])

    def note(self, entry: Mapping[str, Any]) -> None:
        """Take in what came of one input; it is on the disk about two seconds later."""
        self._content["inputs"][self._places[entry["input"]]] = _safe(entry)
        if time.monotonic() - self._written_s > max(_EVERY_S, self._took_s / _SHARE):
            self._write()

    def note_worker(self, about: Mapping[str, Any]) -> None:
        """Take in that a worker was started, or what became of it."""
        known = self._content["workers"]
        for n, worker in enumerate(known):
            if worker["number"] == about["number"]:
                known[n] = dict(about)
                return
        known.append(dict(about))

    def finish(self, outcome: Outcome) -> None:
        """Complete it."""
        self._content |= {"outcome": outcome, "finished": now()}
        self._write()

    def _write(self) -> None:
        began_s = time.monotonic()
        write_record(self.path, self._content, FULL_HINT)
        self._written_s = time.monotonic()
        self._took_s = self._written_s - began_s


def read_record(folder: Path) -> dict[str, Any]:
    """Return what a corpus's record says.

    Raises
    ------
    InputMissingError
        There is none.
    InputError
        It is damaged.
    """
    path = folder / NAME
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(content["inputs"], list):
            raise TypeError
    except FileNotFoundError as error:
        raise InputMissingError(
            thing=f"folder {folder}",
            got=f"no {NAME}",
            expected="the folder of a corpus",
            hint="Give what --out named.",
        ) from error
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise InputError(
            thing=f"record {path}",
            got=str(error) or "other content",
            expected="the record of a corpus",
            hint="Run the corpus again with --resume: what is complete is kept.",
        ) from error
    return dict(content)


def _safe(entry: Mapping[str, Any]) -> dict[str, Any]:
    plain: dict[str, Any] = jsonable(entry)
    return plain | {"error": redact(str(entry["error"]))}
