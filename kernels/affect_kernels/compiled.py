"""How ``*/cpu.py`` compile: once a machine, kept beside the code or in the user's cache.

Where neither can be written, or what was kept is damaged, functions are compiled in each process.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, TypeVar

import numba
import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    Function = TypeVar("Function", bound=Callable[..., Any])

_LOG = logging.getLogger(__name__)


def compiled(
    *signatures: Any, inline: bool = False, reassociate: bool = False
) -> Callable[[Function], Function]:
    """Return a decorator that compiles a function of arrays and numbers.

    Parameters
    ----------
    *signatures : str or numba signature
        Such as ``"void(float32[:, ::1])"``: compiled, or read from the cache, when the
        module is imported, so that no call ever waits for it. Without any, the first call of each
        combination of types compiles.
    inline : bool
        Whether callers take its body in.
    reassociate : bool
        Whether sums may be added up in any order, which lets the compiler use vectors: the same on
        each run, in the last digits not the same on each kind of processor.
    """
    options: dict[str, Any] = {"nogil": True, "error_model": "numpy"}
    if inline:
        options["inline"] = "always"
    if reassociate:
        options["fastmath"] = {"reassoc", "contract", "nsz"}
    wanted = [list(signatures)] if signatures else []

    def decorate(function: Function) -> Function:
        compile_by: Any = numba.njit
        try:
            made: Function = compile_by(*wanted, cache=True, **options)(function)
        except (RuntimeError, OSError, EOFError, ValueError) as error:
            _LOG.info("%s is compiled for this process alone: %s", function.__qualname__, error)
            made = compile_by(*wanted, **options)(function)
        return made

    return decorate


def writable(values: Any, dtype: Any) -> NDArray[Any]:
    """Return `values` as a C-contiguous array of `dtype` that may be written to.

    The types of compiled functions allow for no other. Copied only where it must be.
    """
    if isinstance(values, np.ndarray) and values.dtype == dtype:
        flags = values.flags  # np.require takes ten times as long to find that nothing is to do
        if flags.c_contiguous and flags.writeable:
            return values
    return np.require(values, dtype, ("C", "W"))
