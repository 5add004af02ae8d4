"""What one worker does: open the networks once, and analyse one input after another.

An input's results are made in a folder of their own and put in their place in one step, with the
hash of what they are of: what is in its place is complete, and of this input, these networks and
these settings, or it is done anew.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import socket
import time
import urllib.parse
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import psutil

from realtime_affect.analysis import FATAL, Networks, analyze
from realtime_affect.capture.paths import check_path
from realtime_affect.corpus.record import FULL_HINT
from realtime_affect.corpus.record import NAME as RECORD
from realtime_affect.errors import AffectError, InputError, OutputError
from realtime_affect.outputs.manifest import NAME as SUMMARY
from realtime_affect.outputs.manifest import jsonable, versions, write_record

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from realtime_affect.config import Config
    from realtime_affect.corpus.inputs import CorpusInput

PARTIAL: Final = ".partial"
"""Folder of what is being made, in the corpus's; on its file system, so that it can be renamed."""

DATASET: Final = "corpus.parquet"
"""Folder of the data set, in the corpus's."""

_TAKEN_OVER: Final = (
    "kind", "outcome", "error", "frames", "frames_with_faces", "faces", "most_faces", "tracks",
    "rows", "events", "width", "height", "duration_s", "elapsed_s", "fps", "warnings",
)  # fmt: skip
_NOT_OF_ROWS: Final = ("overlay", "record", "serve", "websocket", "osc", "lsl")  # sections
_MAX_NAME_BYTES: Final = 200


@dataclass(frozen=True, slots=True)
class Job:
    """What is done with every input.

    Attributes
    ----------
    out : Path
        The corpus's folder.
    config : Config
    resume : bool
        Whether complete results of the same input, networks and settings are kept.
    parquet : bool
        Whether rows are written into the data set too.
    options : mapping of str to bool
        "annotate", "timeline" and "explain" of :func:`realtime_affect.analyze`.
    """

    out: Path
    config: Config
    resume: bool
    parquet: bool
    options: Mapping[str, bool]


class Started(NamedTuple):
    """A worker that has opened its networks, or why it could not.

    Attributes
    ----------
    pid : int
    host : str
    seconds : float
        It took to open the networks.
    models : mapping of str to str
        SHA-256 of the networks by card.
    failure : AffectError or None
    """

    pid: int
    host: str
    seconds: float = 0.0
    models: Mapping[str, str] = {}
    failure: AffectError | None = None


class Finished(NamedTuple):
    """What came of one input.

    Attributes
    ----------
    entry : dict
        As ``corpus.json`` holds it.
    kept : bool
        It was complete already.
    fatal : AffectError or None
        What would fail every other input too: a full disk, a missing library.
    rss_mb : float
        Resident memory of the worker, in MiB.
    opened : int
        How often the worker has opened its networks so far.
    cpu_s : float
        Seconds of a core that the worker has worked since its networks were open.
    """

    entry: dict[str, Any]
    kept: bool = False
    fatal: AffectError | None = None
    rss_mb: float = 0.0
    opened: int = 1
    cpu_s: float = 0.0


class Analyst:
    """Analyse inputs, one after the other, in one process.

    Parameters
    ----------
    job : Job
    """

    def __init__(self, job: Job) -> None:
        self._job = job
        self._networks = Networks(job.config)
        self._process = psutil.Process()
        self._began_s = 0.0

    def start(self) -> Started:
        """Open the networks."""
        began = time.perf_counter()
        who = os.getpid(), socket.gethostname()
        if not (self._job.out / RECORD).exists():
            failure = OutputError(
                thing=f"output folder {self._job.out}",
                got=f"no such folder on {who[1]}",
                expected="storage that all machines see under the same path",
                hint="Choose a folder on it with --out.",
            )
            return Started(*who, failure=failure)
        try:
            self._networks.open()
        except AffectError as failure:
            return Started(*who, failure=failure)
        self._began_s = time.process_time()
        return Started(*who, time.perf_counter() - began, dict(self._networks.models))

    def analyse(self, one: CorpusInput, progress: Callable[[int], None] | None = None) -> Finished:
        """Analyse one input and put its results in their place.

        Parameters
        ----------
        one : CorpusInput
        progress : callable, optional
            Takes the number of frames done.
        """
        fatal: AffectError | None = None
        kept = False
        entry = entry_of(one)
        scratch = self._job.out / PARTIAL / uuid.uuid4().hex
        try:
            kept = self._analyse(one, entry, scratch, progress)
        except FATAL as failure:
            fatal = failure
            entry |= {"outcome": "failed", "error": str(failure)}
        except Exception as failure:  # noqa: BLE001  (the one boundary of an input)
            entry |= {"outcome": "failed", "error": str(failure) or repr(failure)}
        finally:
            shutil.rmtree(scratch, ignore_errors=True)
        rss_mb = self._process.memory_info().rss / 2**20
        cpu_s = time.process_time() - self._began_s
        return Finished(entry, kept, fatal, rss_mb, self._networks.opened, cpu_s)

    def close(self) -> None:
        """Free the networks. Idempotent."""
        self._networks.close()

    def _analyse(
        self,
        one: CorpusInput,
        entry: dict[str, Any],
        scratch: Path,
        progress: Callable[[int], None] | None,
    ) -> bool:
        """Complete `entry`; return whether the results were there already."""
        if one.error is not None:
            raise one.error
        place = self._job.out / one.name
        self._networks.open()
        sha256 = _hash_of(one)
        key = self._key(sha256)
        known = {"sha256": sha256, "key": key, "models": dict(self._networks.models)}
        entry |= known
        earlier = read_place(place) if self._job.resume else None
        if earlier is not None and earlier["key"] == key and earlier["outcome"] == "complete":
            entry |= earlier
            self._put_rows(one, place)
            return True
        failure: Exception | None = None
        try:
            done = analyze(
                list(one.paths),
                scratch,
                self._job.config,
                annotate=self._job.options["annotate"],
                timeline=self._job.options["timeline"],
                explain=self._job.options["explain"],
                networks=self._networks,
                progress=None if progress is None else lambda now: progress(now.done),
            )
            failure = done.failures[0] if done.failures else None
        except FATAL:
            raise
        except Exception as error:  # noqa: BLE001  (what was written before is kept)
            failure = error
        if failure is not None and not (scratch / SUMMARY).exists():
            raise failure
        entry |= self._put(scratch, place, entry)
        if failure is not None:
            raise failure
        self._put_rows(one, place)
        return False

    def _key(self, sha256: str) -> str:
        """Return what results are known by: a hash of all that they depend on."""
        config = self._job.config.as_dict()
        settings = {k: v for k, v in config.items() if k not in _NOT_OF_ROWS}
        about = {
            "input": sha256,
            "models": dict(self._networks.models),
            "settings": settings | {"landmarks": config["record"]["landmarks"]},
            "painted": config["overlay"] if self._job.options["annotate"] else None,
            "options": dict(self._job.options),
            "version": versions()["realtime-affect"],
        }
        text = json.dumps(jsonable(about), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()

    def _put(self, scratch: Path, place: Path, entry: Mapping[str, Any]) -> dict[str, Any]:
        """Move results to their place, in one step; return what they say of themselves.

        Of an input of which nothing was written, an earlier result goes and nothing comes.
        """
        summary = json.loads((scratch / SUMMARY).read_text(encoding="utf-8"))
        (said,) = summary["inputs"]
        said["files"] = {kind: str(place / Path(path).name) for kind, path in said["files"].items()}
        summary["corpus"] = {name: entry[name] for name in ("input", "sha256", "key", "metadata")}
        write_record(scratch / SUMMARY, summary, FULL_HINT)
        try:
            self._remove(place)
            shutil.rmtree(self._part(entry["input"]), ignore_errors=True)
            if said["files"] or (scratch / "error.log").exists():
                place.parent.mkdir(parents=True, exist_ok=True)
                scratch.rename(place)
        except OSError as error:
            raise _cannot_put(place, error) from error
        return _said(summary)

    def _remove(self, place: Path) -> None:
        """Take earlier results away."""
        if not place.exists():
            return
        if any(path.is_dir() for path in place.iterdir()):
            raise OutputError(
                thing=f"output folder {place}",
                got="folders in it",
                expected="the results of one input",
                hint="Choose another folder with --out.",
            )
        old = self._job.out / PARTIAL / uuid.uuid4().hex
        place.rename(old)
        shutil.rmtree(old, ignore_errors=True)

    def _part(self, name: str) -> Path:
        return self._job.out / DATASET / partition_of(name)

    def _put_rows(self, one: CorpusInput, place: Path) -> None:
        """Write the rows of results in their place into the data set, unless they are there."""
        if not self._job.parquet:
            return
        from realtime_affect.outputs.parquet import read_metadata, write_parquet

        path = self._part(one.name) / "rows.parquet"
        summary = json.loads((place / SUMMARY).read_text(encoding="utf-8"))
        about = {"corpus": json.dumps({**summary["corpus"], "metadata": dict(one.metadata)})}
        if read_metadata(path).get("corpus") == about["corpus"]:
            return
        rows = place / Path(summary["inputs"][0]["files"]["rows"]).name
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise _cannot_put(path.parent, error) from error
        image = {} if one.stills else {"image": None}
        constants = {name: value or None for name, value in one.metadata.items()}
        write_parquet(
            rows, path, constants=constants | image, metadata=about, rename={"input": "image"}
        )


def entry_of(one: CorpusInput) -> dict[str, Any]:
    """Return what ``corpus.json`` says of an input before it is analysed."""
    return {
        "input": one.name,
        "paths": [str(path) for path in one.paths],
        "metadata": dict(one.metadata),
        "outcome": "waiting",
        "error": "",
        "frames": 0,
    }


def partition_of(name: str) -> str:
    """Return the folder of an input in the data set, as Hive and Spark name partitions."""
    quoted = urllib.parse.quote(name.encode("utf-8", "backslashreplace"), safe="")
    if len(quoted) > _MAX_NAME_BYTES:
        digest = hashlib.sha256(quoted.encode()).hexdigest()[:16]
        quoted = f"{quoted[:_MAX_NAME_BYTES].rpartition('%')[0]}...{digest}"
    return f"input={quoted}"


def read_place(place: Path) -> dict[str, Any] | None:
    """Return what results in their place say of themselves; None where there are none."""
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
        summary = json.loads((place / SUMMARY).read_text(encoding="utf-8"))
        return {"key": summary["corpus"]["key"], **_said(summary)}
    return None


def _said(summary: Mapping[str, Any]) -> dict[str, Any]:
    (said,) = summary["inputs"]
    files = {kind: Path(path).name for kind, path in said["files"].items()}
    taken = {name: said.get(name) for name in _TAKEN_OVER}
    return taken | {
        "files": files,
        "versions": summary["versions"],
        "finished": summary["finished"],
    }


def _hash_of(one: CorpusInput) -> str:
    """Return the SHA-256 of an input's bytes; of images with their names, which are in the rows."""
    digest = hashlib.sha256()
    for path in one.paths:
        if not isinstance(path, Path):
            digest.update(str(path).encode())
            continue
        check_path(path)
        try:
            with path.open("rb") as stream:
                content = hashlib.file_digest(stream, "sha256")
        except OSError as error:
            raise InputError(
                thing=f"input {path}",
                got=error.strerror or str(error),
                expected="a file that can be read",
                hint="Look whether its disk is still there.",
            ) from error
        if one.stills:
            digest.update(os.fsencode(path.name) + b"\0")
        digest.update(content.digest())
    return digest.hexdigest()


def _cannot_put(place: Path, error: OSError) -> OutputError:
    return OutputError(
        thing=f"output folder {place}",
        got=error.strerror or str(error),
        expected="a folder that can be written",
        hint=FULL_HINT,
    )
