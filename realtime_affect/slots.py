"""Where two threads meet: one slot that holds one value.

``LatestSlot`` is for live work: ``put`` never waits, an unread value is replaced and counted as a
drop, so a slow reader sees the newest value and never an old one. ``LosslessSlot`` is for offline
work and replay: ``put`` waits for the reader, so nothing is dropped and rows are deterministic.
Same interface, one writer, one reader; a second reader gets its own slot.

Both keep ``puts = gets + drops + pending`` with ``pending`` 0 or 1 at every instant.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import Generic, TypeVar

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
        self._item: list[T] = []
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
            self._item.append(item)
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
            if not self._changed.wait_for(lambda: self._item or self._closed, timeout_s):
                msg = f"no value within {timeout_s} s"
                raise TimeoutError(msg)
            if not self._item:
                raise SlotClosed
            self._gets += 1
            item = self._item.pop()
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
    def counters(self) -> SlotCounters:
        """A consistent snapshot of the counters."""
        with self._changed:
            return SlotCounters(self._puts, self._gets, self._drops, len(self._item))

    def _make_room(self) -> None:
        """Empty the place before a put; called with the lock held."""
        if self._closed:
            raise SlotClosed
        if self._item:
            self._item.clear()
            self._drops += 1


class LosslessSlot(LatestSlot[T]):
    """Hold one value; ``put`` waits until the last one was read. ``drops`` stays 0."""

    def _make_room(self) -> None:
        self._changed.wait_for(lambda: not self._item or self._closed)
        if self._closed:
            raise SlotClosed
