"""Hand the inputs of a corpus out, longest first; what happens to one stops no other."""

from __future__ import annotations

import contextlib
import logging
import os
import shutil
import time
from collections import deque
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import psutil

from realtime_affect.config import Config
from realtime_affect.cores import usable_cores
from realtime_affect.corpus.analyst import PARTIAL, Job, Started, entry_of
from realtime_affect.corpus.inputs import find_corpus
from realtime_affect.corpus.processes import Processes
from realtime_affect.corpus.record import NAME, CorpusRecord
from realtime_affect.corpus.workers import Lost
from realtime_affect.errors import AffectError, UsageError
from realtime_affect.outputs.folder import RunFolder
from realtime_affect.runtime.pipeline import WorkerError
from realtime_affect.worker import uninterrupted

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from realtime_affect.corpus.analyst import Finished
    from realtime_affect.corpus.cluster import RayActors
    from realtime_affect.corpus.inputs import CorpusInput
    from realtime_affect.corpus.workers import CorpusWorker, Workers
    from realtime_affect.outputs.summary import Outcome

TRIES: Final = 2
"""Workers that one input may end before it is given up."""

_LOG = logging.getLogger(__name__)
_LOOK_S: Final = 0.25
_SHARE_OF_MEMORY: Final = 0.8  # of the machine's, for all workers together
_WORN: Final = 0.8  # of what a worker may have: above, it is replaced before its next input
_LAST: Final = 3  # failures that progress shows


@dataclass(frozen=True, slots=True)
class Corpus:
    """What a corpus left behind.

    Attributes
    ----------
    out : Path
        Folder of all results, ``corpus.json`` among them.
    entries : tuple of mapping
        One for each input, as ``corpus.json`` holds it: ``input``, ``outcome``, ``error``,
        ``frames`` and more.
    outcome : {"complete", "failed", "interrupted"}
        "failed" where any input did.
    left_out : tuple of str
        What was met beside the inputs and is none, a sentence each.
    kept : int
        Inputs that were complete already.
    """

    out: Path
    entries: tuple[Mapping[str, Any], ...]
    outcome: Outcome
    left_out: tuple[str, ...] = ()
    kept: int = 0

    @property
    def failures(self) -> tuple[Mapping[str, Any], ...]:
        """The entries of inputs that failed."""
        return tuple(entry for entry in self.entries if entry["outcome"] == "failed")


class CorpusProgress(NamedTuple):
    """How far a corpus is.

    Attributes
    ----------
    done, inputs : int
        Inputs that are done, of all.
    frames, of_frames : int
        Frames done, and how many all files state to have.
    fps : float
        Frames analysed a second by all workers together, since the begin.
    failures : tuple of str
        The last ones, newest last.
    """

    done: int
    inputs: int
    frames: int
    of_frames: int
    fps: float
    failures: tuple[str, ...]


def analyze_corpus(  # noqa: PLR0913  (what the command line offers, all but two by name)
    sources: str | Path | Sequence[str | Path],
    out: str | Path,
    config: Config | None = None,
    *,
    workers: int | None = None,
    ray: str | None = None,
    resume: bool = False,
    parquet: bool | None = None,
    memory_mb: float | None = None,
    annotate: bool = False,
    timeline: bool = True,
    landmarks: bool = False,
    explain: bool = True,
    progress: Callable[[CorpusProgress], None] | None = None,
) -> Corpus:
    """Analyse many recordings, each once, by processes of this machine or of a Ray cluster.

    Each input has a folder of its own below `out`, at its place in the input's tree, with the files
    that :func:`realtime_affect.analyze` writes for it, equal to the byte; ``corpus.json`` says what
    came of each. Results are put in their place in one step: what is there is complete. Ctrl-C, a
    full disk and a kill keep what is complete.

    Programs that call this need ``if __name__ == "__main__":`` around what they do, as all that
    start processes.

    Parameters
    ----------
    sources : path or sequence of paths
        Videos, images, folders with all below them, patterns, lists (``.txt``), manifests (``.csv``
        with the column ``path``, whose other columns are kept in the results).
    out : path
        Folder for the results, created where it is missing.
    config : Config, optional
    workers : int, optional
        Processes; default one for each core that this process may use, or that the cluster has.
    ray : str, optional
        Instead of this machine's processes: the address of a Ray cluster whose machines see the
        inputs and `out` under the same paths and have this package, or ``"local"``: Ray is started
        here. Extra ``[batch]``.
    resume : bool
        Keep what is complete for the same input, networks and settings, by hash.
    parquet : bool, optional
        Also write the rows of all inputs into the data set ``corpus.parquet``, partitioned by
        input. Default: where pyarrow is installed.
    memory_mb : float, optional
        Resident memory that a worker may have, in MiB; one that needs more is ended, and its input
        marked. Default: its share of four fifths of this machine's.
    annotate, timeline, landmarks, explain : bool
        As in :func:`realtime_affect.analyze`.
    progress : callable, optional
        Called about four times a second.

    Returns
    -------
    Corpus
        An input that cannot be read, or that ended two workers, is reported there and does not stop
        the others.

    Raises
    ------
    OutputError
        Results cannot be written, or another run writes into `out`.
    UsageError
        `out` holds results and `resume` was not asked for, or :func:`~.inputs.find_corpus` refuses
        the sources.
    ModelError
        A model file is missing or is not what its card says.
    DependencyError
        A library is missing: pyarrow, Ray.
    DeviceError
        There is no Ray cluster at the address.
    """
    config = config or Config()
    if landmarks:
        config = config.with_values({"record.landmarks": True})
    if parquet is None:
        parquet = find_spec("pyarrow") is not None
    elif parquet:
        from realtime_affect.outputs.parquet import import_pyarrow

        import_pyarrow()
    folder = Path(os.path.abspath(out))  # noqa: PTH100  (links stay as they are named)
    listed = [sources] if isinstance(sources, str | Path) else list(sources)
    if (folder / NAME).exists() and not resume:
        raise UsageError(
            thing=f"output folder {folder}",
            got="the results of a corpus",
            expected="a new folder, or --resume",
            hint="--resume keeps what is complete and does the rest.",
        )
    files = {"annotate": annotate, "timeline": timeline, "explain": explain}
    job = Job(folder, config, resume, parquet, files)
    with RunFolder(folder, beside=False), contextlib.ExitStack() as opened:
        found = find_corpus(listed, folder)
        shutil.rmtree(folder / PARTIAL, ignore_errors=True)  # of a run that was killed
        opened.callback(shutil.rmtree, folder / PARTIAL, ignore_errors=True)
        source: RayActors | Processes
        if ray is None:
            source, cores = Processes(job), len(usable_cores())
        else:
            from realtime_affect.corpus.cluster import RayActors

            source = RayActors(job, ray, workers)
            cores = source.cores
        opened.callback(source.close)
        n = max(1, min(workers or cores, len(found.inputs)))
        memory_mb = memory_mb or _SHARE_OF_MEMORY * psutil.virtual_memory().total / 2**20 / n
        source.divide(n, memory_mb)
        options = {"workers": n, "memory_mb": round(memory_mb), "parquet": parquet, **files}
        waiting = [entry_of(one) for one in found.inputs]
        named = map(str, listed)
        record = CorpusRecord(folder, config, named, waiting, found.left_out, options)
        run = _Run(found.inputs, source, n, memory_mb, record, progress)
        outcome = run.to_the_end()
        with uninterrupted():
            record.finish(outcome)
    return Corpus(folder, tuple(record.entries), outcome, found.left_out, run.kept)


@dataclass(slots=True)
class _Place:
    """A place for a worker, who may be replaced; what it works on, and what is known of it."""

    number: int
    worker: CorpusWorker
    one: CorpusInput | None = None
    ready: bool = False
    about: dict[str, Any] = field(default_factory=dict)


class _Run:
    """One run through the inputs."""

    def __init__(  # noqa: PLR0913  (of one place)
        self,
        inputs: Sequence[CorpusInput],
        source: Workers,
        n: int,
        memory_mb: float,
        record: CorpusRecord,
        progress: Callable[[CorpusProgress], None] | None,
    ) -> None:
        self.kept = 0
        self._source, self._record, self._progress = source, record, progress
        self._memory_mb = memory_mb
        self._waiting = deque(sorted(inputs, key=lambda one: -one.frames))  # longest first
        self._n, self._numbers = n, 0
        self._ended: dict[str, list[str]] = {}  # what became of workers, by the input they had
        self._places: list[_Place] = []
        self._failures: deque[str] = deque(maxlen=_LAST)
        self._failed_at_start = 0
        self._done = self._frames = self._analysed = 0
        self._inputs, self._of_frames = len(inputs), sum(one.frames for one in inputs)
        self._began_s = time.monotonic()

    def to_the_end(self) -> Outcome:
        """Work until all is done or somebody interrupts; raise what ends it early."""
        try:
            for one in [one for one in self._waiting if one.error is not None]:
                self._waiting.remove(one)  # nobody need try
                self._settle(one, entry_of(one) | {"outcome": "failed", "error": str(one.error)})
            while self._waiting or any(place.one is not None for place in self._places):
                self._hand_out()
                self._source.wait([place.worker for place in self._places], _LOOK_S)
                for place in list(self._places):
                    self._hear(place)
                self._tell()
        except KeyboardInterrupt:
            self._end(now=True)
            return "interrupted"
        except BaseException as failure:
            self._end(now=True)
            with uninterrupted(), contextlib.suppress(AffectError):  # what ended it is what counts
                self._record.finish("failed" if isinstance(failure, Exception) else "interrupted")
            raise
        self._end()
        return (
            "failed" if any(e["outcome"] == "failed" for e in self._record.entries) else "complete"
        )

    def _hand_out(self) -> None:
        """Start the workers that are wanted, and give each that is free the next input."""
        wanted = min(self._n, len(self._waiting) + sum(p.one is not None for p in self._places))
        while len(self._places) < wanted:
            self._numbers += 1
            self._places.append(_Place(self._numbers, self._source.start()))
        for place in self._places:
            if place.ready and place.one is None and self._waiting:
                place.one = self._waiting.popleft()
                place.worker.give(place.one)

    def _hear(self, place: _Place) -> None:
        """Take in what one worker has to say."""
        answer = place.worker.take()
        if answer is None:
            return
        if isinstance(answer, Lost):
            self._bury(place, answer)
        elif isinstance(answer, Started):
            if answer.failure is not None:
                raise answer.failure
            place.ready, self._failed_at_start = True, 0
            place.about = {
                "number": place.number, "pid": answer.pid, "host": answer.host,
                "networks_s": answer.seconds, "networks_opened": 1, "inputs": 0, "rss_mb": None,
                "cpu_s": 0.0, "ended": "",
            }  # fmt: skip
            self._record.note_worker(place.about)
        else:
            self._take_in(place, answer)

    def _take_in(self, place: _Place, answer: Finished) -> None:
        one, place.one = place.one, None
        assert one is not None
        place.about |= {
            "networks_opened": answer.opened, "rss_mb": round(answer.rss_mb),
            "inputs": place.about["inputs"] + 1, "cpu_s": round(answer.cpu_s, 2),
        }  # fmt: skip
        self._record.note_worker(place.about)
        self.kept += answer.kept
        self._analysed += 0 if answer.kept else int(answer.entry["frames"] or 0)
        by = {"worker": place.number, "rss_mb": round(answer.rss_mb, 1)}
        self._settle(one, answer.entry | by)
        if answer.fatal is not None:
            raise answer.fatal
        if answer.rss_mb > _WORN * self._memory_mb:
            self._dismiss(place, f"replaced: it held {answer.rss_mb:.0f} MiB")
            place.worker.close()
        if not self._waiting:  # the cores of who is done are nobody's
            for busy in [other for other in self._places if other.one is not None]:
                busy.worker.spread()

    def _settle(self, one: CorpusInput, entry: dict[str, Any]) -> None:
        """Write down what came of an input."""
        ended = self._ended.get(one.name, [])
        entry |= {"tries": len(ended) + 1, "ended_workers": ended}
        self._done += 1
        self._frames += max(one.frames, int(entry["frames"] or 0))
        if entry["outcome"] == "failed":
            self._failures.append(f"{one.name}: {entry['error']}")
            _LOG.warning("input %s: %s", one.name, entry["error"])
        self._record.note(entry)

    def _bury(self, place: _Place, lost: Lost) -> None:
        """Go on without a worker: what it had is tried again, or given up."""
        _LOG.warning("worker %d: %s", place.number, lost.why)
        one = place.one
        self._dismiss(place, lost.why)
        place.worker.close(now=True)
        if one is None:
            if not place.ready:
                self._failed_at_start += 1
            if self._failed_at_start > self._n + TRIES:
                message = f"no worker can be started: {lost.why}"
                raise WorkerError(message)
            return
        ended = self._ended.setdefault(one.name, [])
        ended.append(lost.why)
        if lost.innocent or len(ended) < TRIES:
            self._waiting.appendleft(one)
            return
        error = f"input {one.name}: given up after {TRIES} tries: {'; '.join(ended)}"
        self._ended[one.name] = ended
        self._settle(one, entry_of(one) | {"outcome": "failed", "error": error})

    def _dismiss(self, place: _Place, why: str) -> None:
        self._places.remove(place)
        if place.about:
            place.about["ended"] = why
            self._record.note_worker(place.about)

    def _end(self, *, now: bool = False) -> None:
        for place in self._places:
            with uninterrupted():
                place.worker.close(now=now)
        self._places = []

    def _tell(self) -> None:
        if self._progress is None:
            return
        under_way = sum(place.worker.frames for place in self._places if place.one is not None)
        seconds = time.monotonic() - self._began_s
        self._progress(
            CorpusProgress(
                self._done, self._inputs, self._frames + under_way, self._of_frames,
                (self._analysed + under_way) / seconds if seconds else 0.0, tuple(self._failures),
            )
        )  # fmt: skip
