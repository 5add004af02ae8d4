"""What a corpus asks of whoever works for it: processes of this machine, or of a cluster."""

from __future__ import annotations

import contextlib
import itertools
import os
import threading
from multiprocessing import connection, parent_process
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

import psutil

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from realtime_affect.corpus.analyst import Finished, Started
    from realtime_affect.corpus.inputs import CorpusInput

TOO_LARGE: Final = 86
"""Exit code of a process that needed more memory than it may have."""

_LOOK_S: Final = 0.2
_ORPHANED: Final = 87


class Lost(NamedTuple):
    """A worker that ended without an answer.

    Attributes
    ----------
    why : str
    innocent : bool
        Whether what it worked on cannot be what ended it: its machine is gone.
    """

    why: str
    innocent: bool = False


class CorpusWorker(Protocol):
    """One process with its networks; it has one thing to do at a time, first to start."""

    def give(self, one: CorpusInput) -> None:
        """Let it analyse an input."""

    def take(self) -> Started | Finished | Lost | None:
        """Return what it has done; None while it works."""

    @property
    def frames(self) -> int:
        """Frames of the present input that are done, as far as it says."""

    def spread(self) -> None:
        """Let it use the cores of others, too, which have nothing left to do."""

    def close(self, *, now: bool = False) -> None:
        """End it: after what it does, or `now`. Idempotent."""


class Workers(Protocol):
    """Where workers come from."""

    def divide(self, n: int, memory_mb: float) -> None:
        """Prepare for `n` at a time, each with resident memory of `memory_mb` MiB at most."""

    def start(self) -> CorpusWorker:
        """Start one; its first answer is :class:`Started`."""

    def wait(self, workers: Sequence[CorpusWorker], timeout_s: float) -> None:
        """Wait until one of them has an answer."""

    def close(self) -> None:
        """Let go of what all workers share. Idempotent."""


def shares_of(cores: Sequence[int], n: int) -> list[tuple[int, ...]]:
    """Deal `cores` out to `n` workers, no core twice; all to everybody where there are too few."""
    if n > len(cores):
        return [tuple(cores)] * n
    ends = [k * len(cores) // n for k in range(n + 1)]
    return [tuple(cores[begin:end]) for begin, end in itertools.pairwise(ends)]


def keep_to(cores: Sequence[int], pid: int) -> None:
    """Let a process run on `cores` alone, where the system can (Linux).

    Threads that hand frames to each other are quicker on one core than across two, and libraries
    that start a thread for each core then start no more than there is room for.

    Parameters
    ----------
    cores : sequence of int
    pid : int
        One that has ended is passed over.
    """
    if not hasattr(os, "sched_setaffinity"):
        return
    with contextlib.suppress(psutil.Error):
        for thread in psutil.Process(pid).threads():  # those that they start inherit it
            with contextlib.suppress(OSError):
                os.sched_setaffinity(thread.id, cores)


@contextlib.contextmanager
def environment(values: Mapping[str, str]) -> Iterator[None]:
    """Set variables for the processes that are started inside."""
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def end_with_parent_or_above(memory_mb: float) -> None:
    """Watch this process: end it with its parent, or when it needs too much memory.

    Parameters
    ----------
    memory_mb : float
        Resident memory it may have, in MiB.
    """
    process, parent = psutil.Process(), parent_process()
    sentinels = [] if parent is None else [parent.sentinel]

    def watch() -> None:
        while not connection.wait(sentinels, _LOOK_S) if sentinels else not _sleep():
            if process.memory_info().rss > memory_mb * 2**20:
                os._exit(TOO_LARGE)
        os._exit(_ORPHANED)

    threading.Thread(target=watch, name="memory", daemon=True).start()


def _sleep() -> bool:
    threading.Event().wait(_LOOK_S)
    return False
