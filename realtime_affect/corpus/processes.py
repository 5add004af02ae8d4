"""Workers of this machine: an executor of one process for each.

One process an executor: its death is known to be that of one input, and stops no other.
"""

from __future__ import annotations

import contextlib
import logging
import multiprocessing
import signal
import time
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from typing import TYPE_CHECKING, Any, Final

from realtime_affect.cores import usable_cores
from realtime_affect.corpus.analyst import Analyst, Finished, Started
from realtime_affect.corpus.workers import (
    TOO_LARGE,
    Lost,
    end_with_parent_or_above,
    environment,
    keep_to,
    shares_of,
)
from realtime_affect.worker import ENDING_SIGNALS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from realtime_affect.corpus.analyst import Job
    from realtime_affect.corpus.inputs import CorpusInput
    from realtime_affect.corpus.workers import CorpusWorker

_LOG = logging.getLogger(__name__)
_SPAWN: Final = multiprocessing.get_context("spawn")  # threads and networks do not bear a fork
_ONE_THREAD: Final = {"OPENBLAS_NUM_THREADS": "1"}  # read when NumPy loads: our products are small
_END_S: Final = 5.0
_LOOK_S: Final = 0.01

# Of a worker's process.
_analyst: Analyst | None = None
_frames: Any = None


class Processes:
    """Start processes, each on cores of its own.

    Parameters
    ----------
    job : Job
    """

    def __init__(self, job: Job) -> None:
        self._job = job
        self._memory_mb = float("inf")
        self._cores = usable_cores()
        self._free = [self._cores]  # shares of cores that no worker has

    def divide(self, n: int, memory_mb: float) -> None:
        """Prepare for `n` workers: deal out cores and memory."""
        self._memory_mb = memory_mb
        self._free = shares_of(self._cores, n)

    def start(self) -> CorpusWorker:
        """Start one."""
        return _Process(self._job, self._memory_mb, self._cores, self._free)

    def wait(self, workers: Sequence[CorpusWorker], timeout_s: float) -> None:
        """Wait until one has an answer."""
        futures = [w.future for w in workers if isinstance(w, _Process) and w.future is not None]
        wait(futures, timeout_s, FIRST_COMPLETED)

    def close(self) -> None:
        """Do nothing: processes share nothing."""


class _Process:
    """One process in an executor of its own, on one of the shares of cores that are free."""

    def __init__(
        self, job: Job, memory_mb: float, cores: Sequence[int], free: list[tuple[int, ...]]
    ) -> None:
        self._memory_mb, self._cores, self._free = memory_mb, cores, free
        self._counter = _SPAWN.Value("q", 0)
        before = set(multiprocessing.active_children())
        self._executor = ProcessPoolExecutor(
            1, _SPAWN, initializer=_begin, initargs=(job, memory_mb, self._counter)
        )
        with environment(_ONE_THREAD):
            self.future: Future[Started | Finished] | None = self._executor.submit(_start)
        (self._process,) = set(multiprocessing.active_children()) - before
        assert self._process.pid is not None
        self._pid: int = self._process.pid
        self._share: tuple[int, ...] | None = free.pop(0)
        keep_to(self._share, self._pid)

    @property
    def frames(self) -> int:
        """Frames of the present input that are done."""
        return int(self._counter.value)

    def give(self, one: CorpusInput) -> None:
        """Let it analyse an input."""
        self._counter.value = 0
        try:
            self.future = self._executor.submit(_analyse, one)
        except BrokenProcessPool as error:  # it was ended while it waited
            self.future = Future()
            self.future.set_exception(error)

    def take(self) -> Started | Finished | Lost | None:
        """Return what it has done; None while it works."""
        if self.future is None or not self.future.done():
            return None
        future, self.future = self.future, None
        try:
            return future.result()
        except BrokenProcessPool:
            return Lost(self._why())

    def spread(self) -> None:
        """Let it use the cores of others, too."""
        keep_to(self._cores, self._pid)

    def close(self, *, now: bool = False) -> None:
        """End it: after what it does, or `now`."""
        if now:
            self._process.kill()
        self._executor.shutdown(wait=True, cancel_futures=True)
        if self._share is not None:
            self._free.append(self._share)
            self._share = None

    def _why(self) -> str:
        until_s = time.monotonic() + _END_S
        # The executor's thread waits for it too: who comes second learns the code a moment later.
        while (code := self._process.exitcode) is None and time.monotonic() < until_s:
            time.sleep(_LOOK_S)
        if code == TOO_LARGE:
            return f"it needed more than {self._memory_mb:.0f} MiB of memory"
        if code is not None and code < 0:
            with contextlib.suppress(ValueError):
                return f"its process was ended by {signal.Signals(-code).name}"
        return f"its process ended with exit code {code}"


def _begin(job: Job, memory_mb: float, counter: Any) -> None:
    """Prepare a worker's process: its parent decides when it ends."""
    global _analyst, _frames
    for number in ENDING_SIGNALS:  # sent to all processes of a terminal; the parent answers
        signal.signal(number, signal.SIG_IGN)
    end_with_parent_or_above(memory_mb)
    _analyst, _frames = Analyst(job), counter


def _start() -> Started:
    assert _analyst is not None
    return _analyst.start()


def _analyse(one: CorpusInput) -> Finished:
    assert _analyst is not None

    def note(frames: int) -> None:
        _frames.value = frames

    return _analyst.analyse(one, note)
