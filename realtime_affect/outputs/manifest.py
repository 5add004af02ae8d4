"""One record of a run: begun, finished or not, of what, with which networks and settings.

``summary.json`` is written when a run begins, with the outcome "running", and completed at its
end. One that still says "running" is of a run that was killed, or of one that goes on.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import math
import platform
import threading
from collections.abc import Mapping
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self

from affect_kernels.atomic import PRIVATE, write_atomically
from realtime_affect.errors import OutputError
from realtime_affect.redact import redact, redact_source, redact_values
from realtime_affect.worker import call_within, uninterrupted

if TYPE_CHECKING:
    from collections.abc import Iterable
    from types import TracebackType

    from realtime_affect.config import Config
    from realtime_affect.outputs.summary import InputSummary, Outcome

NAME: Final = "summary.json"
"""Of the file, in the run's folder."""

_WAIT_S: Final = 10.0  # for a disk that hangs; the record then says "running"


class Manifest:
    """The record of one run, in the run's folder; only its owner may read it (0600).

    Every write replaces the file whole. Any thread may call.

    Parameters
    ----------
    folder : Path
        Must exist.
    command : str
        "run", "analyze", "serve".
    config : Config
        All settings; what looks like a password is hidden.
    inputs : iterable of str
        What the run is of, as the user named it.
    models : mapping of str to str
        SHA-256 of the networks, by card.
    left_out : iterable of str
        What was met beside the inputs and is none.
    name : str
        Of the file.
    more : mapping
        What else it says, by key.

    Raises
    ------
    OutputError
        From any method: it cannot be written.
    """

    def __init__(  # noqa: PLR0913  (what of, with what, beside what)
        self,
        folder: Path,
        command: str,
        config: Config,
        inputs: Iterable[str],
        models: Mapping[str, str] | None = None,
        left_out: Iterable[str] = (),
        *,
        name: str = NAME,
        more: Mapping[str, Any] | None = None,
    ) -> None:
        self.path = folder / name
        self._lock = threading.Lock()
        waiting = [{"input": redact_source(one), "outcome": "running"} for one in inputs]
        self._content: dict[str, Any] = {
            "command": command,
            "outcome": "running",
            "begun": now(),
            "finished": None,
            "inputs": waiting,
            "left_out": [redact(text) for text in left_out],
            "models": dict(models or {}),
            "config": redact_values(jsonable(config.as_dict())),
            "versions": versions(),
            **jsonable(more or {}),
        }
        self._write()

    @property
    def finished(self) -> bool:
        """Whether it is complete."""
        return self._content["finished"] is not None

    def update(
        self,
        inputs: Iterable[InputSummary] | None = None,
        models: Mapping[str, str] | None = None,
    ) -> None:
        """Write what is known by now; nothing once it is finished."""
        with self._lock:
            if self.finished:
                return
            if inputs is not None:
                self._content["inputs"] = [entry_of(summary) for summary in inputs]
            if models is not None:
                self._content["models"] = dict(models)
            self._write()

    def finish(
        self,
        outcome: Outcome,
        inputs: Iterable[InputSummary] | None = None,
        streams: Mapping[str, Any] | None = None,
    ) -> None:
        """Complete it; without `inputs` as they are known, with what `streams` counted."""
        with self._lock:
            self._content |= {"outcome": outcome, "finished": now()}
            if inputs is not None:
                self._content["inputs"] = [entry_of(summary) for summary in inputs]
            if streams:
                self._content["streams"] = jsonable(streams)
            self._write()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Complete the record of a run that something ended before it could."""
        if error is not None and not self.finished:
            outcome: Outcome = "failed" if isinstance(error, Exception) else "interrupted"
            with uninterrupted(), contextlib.suppress(OutputError):  # what ended it is what counts
                call_within(_WAIT_S, "manifest", lambda: self.finish(outcome))

    def _write(self) -> None:
        hint = "Free some space or choose another folder (--out)."
        write_record(self.path, self._content, hint)


def write_record(path: Path, content: Mapping[str, Any], hint: str) -> None:
    """Put a record at `path`, whole or not at all, for its owner alone.

    Parameters
    ----------
    path : Path
    content : mapping
        In JSON's own types.
    hint : str
        What to do where it cannot be written.

    Raises
    ------
    OutputError
        It cannot be written; what was there stays.
    """
    text = json.dumps(content, indent=2, ensure_ascii=False) + "\n"
    try:
        # Names that are not Unicode become escapes, which JSON reads back as they were.
        write_atomically(path, text.encode("utf-8", "backslashreplace"), mode=PRIVATE)
    except OSError as error:
        raise OutputError(
            thing=f"output file {path}",
            got=error.strerror or str(error),
            expected="a file that can be written",
            hint=hint,
        ) from error


def versions() -> dict[str, str]:
    """Return the versions of this project and of what its numbers depend on."""
    found = {"python": platform.python_version(), "platform": platform.platform()}
    names = (
        "realtime-affect", "numpy", "opencv-contrib-python-headless", "av", "ai-edge-litert",
        "onnxruntime",
    )  # fmt: skip
    for name in names:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            found[name] = "not installed"
    return found


def entry_of(summary: InputSummary) -> dict[str, Any]:
    """Return an input's summary as the manifest holds it."""
    plain: dict[str, Any] = jsonable(summary)
    said = {"error": redact(summary.error), "warnings": [redact(w) for w in summary.warnings]}
    return plain | said


def now() -> str:
    """Return the time as records hold it, UTC to the millisecond."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def jsonable(value: Any) -> Any:
    """Return `value` in JSON's own types; not-a-number becomes null."""
    if isinstance(value, float):
        return round(value, 4) if math.isfinite(value) else None
    if dataclasses.is_dataclass(value):
        return {f.name: jsonable(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(key): jsonable(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [jsonable(item) for item in value]
    return str(value) if isinstance(value, Path) else value
