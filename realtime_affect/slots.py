"""Where two threads meet: one slot between a writer and a reader.

``LatestSlot`` is for live work: ``put`` never waits, an unread value is replaced and counted as a
drop, so a slow reader sees the newest value and never an old one. ``BacklogSlot`` is for a live
reader that wants every value and may fall behind for seconds: ``put`` never waits, what comes when
the oldest has waited too long is refused and counted. ``LosslessSlot`` is for offline work and
replay: ``put`` waits for the reader, so nothing is dropped and rows are deterministic. Same
interface, one writer, one reader; a second reader gets its own slot.

All keep ``puts = gets + drops + pending`` at every instant, with ``pending`` 0 or 1 but in a
backlog.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")


class SlotClosed(Exception):  # noqa: N818  (an end mark, not an error: every slot ends like this)
    """Raised by ``get`` when the slot is closed and empty, by ``put`` when it is closed."""


@dataclass(frozen=True, slots=True)
class SlotCounters:
    """What passed through a slot; ``puts == gets + drops + pending``."""

    puts: int
    gets: int
    drops: int
    pending: int


class LatestSlot(Generic[T]):
    """Hold the newest value; ``put`` never blocks.

    Any thread may call any method.
    """

    def __init__(self) -> None:
        self._changed = threading.Condition(threading.Lock())
        self._items: deque[T] = deque()
        self._puts = 0
        self._gets = 0
        self._drops = 0
        self._closed = False

    def put(self, item: T) -> None:
        """Publish `item`, replacing (and counting) a value nobody has read.

        Raises
        ------
        SlotClosed
            After ``close``.
        """
        with self._changed:
            self._make_room()
            self._puts += 1
            self._items.append(item)
            self._changed.notify_all()

    def get(self, timeout_s: float | None = None) -> T:
        """Take the value out, waiting for one if need be.

        Parameters
        ----------
        timeout_s : float, optional
            Longest wait in seconds; None waits until a value or ``close`` comes.

        Raises
        ------
        SlotClosed
            The slot is closed and empty: nothing will come any more.
        TimeoutError
            Nothing came within `timeout_s`.
        """
        with self._changed:
            if not self._changed.wait_for(lambda: self._items or self._closed, timeout_s):
                msg = f"no value within {timeout_s} s"
                raise TimeoutError(msg)
            if not self._items:
                raise SlotClosed
            self._gets += 1
            item = self._take()
            self._changed.notify_all()
            return item

    def close(self) -> None:
        """End the slot: a pending value can still be taken, then ``get`` raises. Idempotent."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    @property
    def closed(self) -> bool:
        """Whether ``close`` was called."""
        with self._changed:
            return self._closed

    @property
    def ready(self) -> bool:
        """Whether ``get`` would not wait; for who asks often, it takes no lock."""
        return bool(self._items) or self._closed

    @property
    def counters(self) -> SlotCounters:
        """A consistent snapshot of the counters."""
        with self._changed:
            return SlotCounters(self._puts, self._gets, self._drops, len(self._items))

    def _take(self) -> T:
        """Take the next value out; called with the lock held."""
        return self._items.popleft()

    def _make_room(self) -> None:
        """Empty the place before a put; called with the lock held."""
        if self._closed:
            raise SlotClosed
        if self._items:
            self._items.clear()
            self._drops += 1


class LosslessSlot(LatestSlot[T]):
    """Hold one value; ``put`` waits until the last one was read. ``drops`` stays 0."""

    def _make_room(self) -> None:
        self._changed.wait_for(lambda: not self._items or self._closed)
        if self._closed:
            raise SlotClosed


class BacklogSlot(LatestSlot[T]):
    """Hold every value, in order, for a reader that may fall behind; ``put`` never blocks.

    Parameters
    ----------
    depth_s : float
        How long the oldest value may wait, in seconds. While it waits longer, what is put is
        refused and counted as a drop.
    lost : callable, optional
        Called with each refused value, and whether it is the first since one was accepted. On the
        writer's thread, with the slot locked: it must be quick and must not call the slot.
    clock : callable, optional
        Returns nanoseconds; default the monotonic clock.
    """

    def __init__(
        self,
        depth_s: float,
        lost: Callable[[T, bool], None] | None = None,
        clock: Callable[[], int] | None = None,
    ) -> None:
        super().__init__()
        self._depth_ns = depth_s * 1e9
        self._lost, self._clock = lost, clock or time.monotonic_ns
        self._since_ns: deque[int] = deque()
        self._refusing = False

    def put(self, item: T) -> None:
        """Append `item`, or refuse and count it.

        Raises
        ------
        SlotClosed
            After ``close``.
        """
        with self._changed:
            if self._closed:
                raise SlotClosed
            now_ns = self._clock()
            self._puts += 1
            if self._since_ns and now_ns - self._since_ns[0] > self._depth_ns:
                self._drops += 1
                begins, self._refusing = not self._refusing, True
                if self._lost is not None:
                    self._lost(item, begins)
                return
            self._refusing = False
            self._items.append(item)
            self._since_ns.append(now_ns)
            self._changed.notify_all()

    def _take(self) -> T:
        self._since_ns.popleft()
        return super()._take()
