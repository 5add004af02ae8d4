"""Libraries of the extras: imported where they are used, missed with a clear word."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

from realtime_affect.errors import DependencyError

if TYPE_CHECKING:
    from types import ModuleType


def import_extra(module: str, what: str, extra: str) -> ModuleType:
    """Import a library of an extra of this project.

    Parameters
    ----------
    module, what, extra : str
        The library's module, what needs it, and the extra that brings it.

    Raises
    ------
    DependencyError
        It is not installed, or cannot be loaded here.
    """
    try:
        return importlib.import_module(module)
    except (ImportError, RuntimeError, OSError) as error:  # pylsl without its library: any of them
        raise DependencyError(
            thing=what,
            got=str(error),
            expected=f"the library {module}",
            hint=f"pip install 'realtime-affect[{extra}]'",
        ) from error
