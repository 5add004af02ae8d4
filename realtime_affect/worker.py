"""Every thread of ours: named, watched, and waited for.

A worker that raises ends with its traceback in the log, tells its owner once, and lets those who
wait for it know that nothing more will come. What then ends or is started again, the owner
decides: the pipeline ends a run, the service starts a new one, a source opens its device again.
"""

from __future__ import annotations

import contextlib
import logging
import signal
import threading
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ENDING_SIGNALS: Final = tuple(
    getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)
)
"""Signals that ask a run to end: it drains, and its files are complete."""

_LOG = logging.getLogger(__name__)


class Worker:
    """One supervised daemon thread.

    Parameters
    ----------
    name : str
        What the log, the exception's note and the operating system call it.
    work : callable
        Returns when there is nothing left to do.
    end : callable, optional
        Called on the worker's thread when `work` has returned or raised; must not raise.
    failed : callable, optional
        Called on the worker's thread, before `end`, with what `work` raised. Whoever takes a
        failure also reports it to the user; without one the log does, as an error.
    """

    def __init__(
        self,
        name: str,
        work: Callable[[], None],
        *,
        end: Callable[[], None] | None = None,
        failed: Callable[[BaseException], None] | None = None,
    ) -> None:
        self.name = name
        self.failure: BaseException | None = None
        """What ended it early, or None."""
        self._work, self._end, self._failed = work, end, failed
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        # Not Thread.join: interrupted by Ctrl-C it may take a running thread for one that has
        # ended (seen on Python 3.11); an event cannot.
        self._left = threading.Event()

    def start(self) -> None:
        """Start it; once."""
        self._thread.start()

    def wait(self, timeout_s: float | None = None) -> bool:
        """Wait until it has left, or at once if it was never started; return whether it has."""
        return self._thread.ident is None or self._left.wait(timeout_s)

    @property
    def working(self) -> bool:
        """Whether it was started and has not left."""
        return self._thread.ident is not None and not self._left.is_set()

    def _run(self) -> None:
        try:
            self._work()
        except BaseException as failure:  # noqa: BLE001  (a thread has nobody to raise it to)
            failure.add_note(f"in the {self.name} worker")
            self.failure = failure
            # What an owner raises again is reported there; here it leaves its traceback.
            level = logging.ERROR if self._failed is None else logging.INFO
            _LOG.log(level, "the %s worker failed: %s", self.name, failure, exc_info=failure)
            if self._failed is not None:
                self._failed(failure)
        finally:
            if self._end is not None:
                self._end()
            self._left.set()


class Supervisor:
    """The threads of one run: start them, keep the first failure, wait for the end of all.

    Any thread may call any method.

    Parameters
    ----------
    ended_by : callable
        Called once for each failure that must end the run, on the failing worker's thread, with
        the worker's name.
    """

    def __init__(self, ended_by: Callable[[str], None]) -> None:
        self._ended_by = ended_by
        self._failure: BaseException | None = None
        self._lock = threading.Lock()

    @property
    def failure(self) -> BaseException | None:
        """What ended the run: the first failure, as later ones may follow from it."""
        return self._failure

    def worker(
        self, name: str, work: Callable[[], None], end: Callable[[], None] | None = None
    ) -> Worker:
        """Return a worker, not started, whose failure ends the run."""

        def failed(failure: BaseException) -> None:
            self.note(name, failure)

        return Worker(name, work, end=end, failed=failed)

    def note(self, name: str, failure: BaseException) -> None:
        """Take `failure` of the part `name` as an end of the run."""
        with self._lock:
            self._failure = self._failure or failure
        self._ended_by(name)


@contextlib.contextmanager
def uninterrupted() -> Iterator[None]:
    """Hold signals that ask to end back until the body is done; on other threads, do nothing.

    For the last steps of a run, which are short: Ctrl-C twice must not leave a record half true.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    came: list[tuple[int, Any]] = []
    before = {
        number: signal.signal(number, lambda number, frame: came.append((number, frame)))
        for number in ENDING_SIGNALS
    }
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        for number, frame in came[:1]:
            handler = before[signal.Signals(number)]
            if callable(handler):
                handler(number, frame)
            elif handler == signal.SIG_DFL:
                signal.raise_signal(number)


def call_within(timeout_s: float, name: str, work: Callable[[], None]) -> bool:
    """Call `work` on a thread; return whether it ended within `timeout_s`, raise what it raised."""
    raised: list[BaseException] = []
    worker = Worker(name, work, failed=raised.append)
    worker.start()
    ended = worker.wait(timeout_s)
    if raised:
        raise raised[0]
    return ended
