"""Work off Qt's thread, its outcome back on it."""

from __future__ import annotations

import logging
import threading
from typing import TYPE_CHECKING, Any

from PyQt6.QtCore import QObject, QRunnable, QThreadPool, pyqtSignal

if TYPE_CHECKING:
    from collections.abc import Callable

_LOG = logging.getLogger(__name__)


class Task(QObject):
    """One piece of work."""

    done = pyqtSignal(object)
    """What the work returned."""
    failed = pyqtSignal(object)
    """What the work raised."""
    progressed = pyqtSignal(object)
    """What the work told on its way."""

    def __init__(self, work: Callable[..., Any], *, reports: bool) -> None:
        super().__init__()
        self._work, self._reports = work, reports
        self._left = threading.Event()

    def run(self) -> None:
        """Do the work; on a thread of the pool."""
        try:
            result = self._work(self.progressed.emit) if self._reports else self._work()
        except Exception as failure:  # noqa: BLE001  (a thread has nobody to raise it to)
            _LOG.info("a task failed: %s", failure, exc_info=failure)
            self.failed.emit(failure)
        else:
            self.done.emit(result)
        finally:
            self._left.set()

    def wait(self, timeout_s: float) -> bool:
        """Wait until the work has ended; return whether it has, within `timeout_s`."""
        return self._left.wait(timeout_s)


class Tasks(QObject):
    """The work under way of one window; what is finished is forgotten."""

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._pool = QThreadPool(self)
        self._pool.setMaxThreadCount(8)  # a disk that hangs must not hold up the others
        self._running: set[Task] = set()
        self._closed = False

    def run(
        self,
        work: Callable[..., Any],
        done: Callable[[Any], None] | None = None,
        failed: Callable[[Any], None] | None = None,
        progressed: Callable[[Any], None] | None = None,
    ) -> None:
        """Do something elsewhere, and call back on Qt's thread.

        Parameters
        ----------
        work : callable
            Takes nothing, or, where `progressed` is given, a function that takes progress.
        done, failed, progressed : callable, optional
            Take what the work returned, raised, told.
        """
        task = Task(work, reports=progressed is not None)
        self._running.add(task)
        for signal, then in (
            (task.done, done), (task.failed, failed), (task.progressed, progressed),
        ):  # fmt: skip
            if then is not None:
                signal.connect(lambda told, then=then: None if self._closed else then(told))
        for signal in (task.done, task.failed):
            signal.connect(lambda _: self._running.discard(task))
        self._pool.start(_Run(task))

    def finish(self, timeout_s: float = 15.0) -> None:
        """Wait for everything under way; what hangs longer is left behind."""
        for task in list(self._running):
            task.wait(timeout_s)

    def close(self) -> None:
        """Finish, and call nobody back any more: the window goes."""
        self.finish()
        self._closed = True


class _Run(QRunnable):
    def __init__(self, task: Task) -> None:
        super().__init__()
        self._task = task

    def run(self) -> None:
        self._task.run()
