"""Changes that the user can take back."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PyQt6.QtGui import QUndoCommand

if TYPE_CHECKING:
    from collections.abc import Callable


class Change(QUndoCommand):
    """A change for Qt's stack of changes; `do` is called when it is pushed.

    Parameters
    ----------
    name : str
    do, undo : callable
    once : bool
        Once taken back, it cannot be made again: a neutral face is of its moment.
    """

    def __init__(
        self, name: str, do: Callable[[], None], undo: Callable[[], None], *, once: bool = False
    ) -> None:
        super().__init__(name)
        self._do, self._undo, self._once = do, undo, once

    def redo(self) -> None:
        """Make the change, again."""
        self._do()

    def undo(self) -> None:
        """Take it back."""
        self._undo()
        if self._once:
            self.setObsolete(True)
