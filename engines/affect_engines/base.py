"""What every inference backend looks like from outside: arrays in, arrays out.

An engine belongs to one thread. It knows names, shapes and dtypes, never what the numbers mean.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, Self, runtime_checkable

from numpy.typing import NDArray

from affect_engines.errors import ModelError
from affect_kernels.closeable import Closeable as Closeable  # the same for engines
from affect_kernels.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from types import TracebackType

    import numpy as np


@dataclass(frozen=True, slots=True)
class TensorSpec:
    """One input or output of a network.

    Attributes
    ----------
    name : str
    shape : tuple of int or None
        None where any length is accepted.
    dtype : numpy dtype
    """

    name: str
    shape: tuple[int | None, ...]
    dtype: np.dtype[Any]

    def __str__(self) -> str:
        lengths = ", ".join("n" if n is None else str(n) for n in self.shape)
        return f"({lengths}) {self.dtype}"

    def fits(self, array: NDArray[Any]) -> bool:
        """Return whether `array` has this dtype and shape."""
        if array.shape == self.shape and array.dtype == self.dtype:
            return True
        return (
            array.dtype == self.dtype
            and len(array.shape) == len(self.shape)
            and all(
                want is None or want == have
                for want, have in zip(self.shape, array.shape, strict=True)
            )
        )


Feed = NDArray[Any] | Callable[[NDArray[Any]], None]
"""An input: its values, or a function that writes them into the engine's own buffer."""


@runtime_checkable
class Engine(Protocol):
    """A network ready to run, on one thread.

    Attributes
    ----------
    inputs, outputs : tuple of TensorSpec
        In the file's own order.
    backend : str
        What runs it now, as :func:`affect_engines.open_engine` calls it.
    """

    @property
    def backend(self) -> str: ...  # noqa: D102

    @property
    def inputs(self) -> tuple[TensorSpec, ...]: ...  # noqa: D102

    @property
    def outputs(self) -> tuple[TensorSpec, ...]: ...  # noqa: D102

    def infer(self, feeds: Mapping[str, Feed]) -> Mapping[str, NDArray[Any]]:
        """Run the network once; blocks until the outputs are there.

        Parameters
        ----------
        feeds : mapping of str to Feed
            Exactly the names of ``inputs``. An array of the input's shape and dtype is read, never
            kept. A function is called with the engine's own buffer of that shape and dtype and
            must fill it: it saves writing the input twice.

        Returns
        -------
        mapping of str to array
            The names of ``outputs``. Borrowed until the next ``infer``: copy what must live longer.

        Raises
        ------
        UsageError
            A name, shape or dtype differs from ``inputs``.
        ModelError
            The engine is closed, or the backend failed.
        """
        ...

    def warm_up(self) -> None:
        """Run once on zeros, so that the first real ``infer`` is not the slow one."""
        ...

    def close(self) -> None:
        """Free what the engine holds. Idempotent; ``infer`` raises ModelError afterwards."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None: ...


@runtime_checkable
class Shareable(Protocol):
    """An engine whose weights other threads may use as well."""

    def share(self) -> Engine:
        """Return an engine for another thread: the same weights in memory, closed by itself."""
        ...


def closed_error(model: str, what: str = "infer") -> ModelError:
    """Return the error of a network that was asked to do `what` after it was closed."""
    return ModelError(
        model, got=f"{what} after close", expected="an open engine", hint="Open it anew."
    )


def check_feeds(model: str, specs: Sequence[TensorSpec], feeds: Mapping[str, Feed]) -> None:
    """Compare `feeds` with the inputs a network asks for; what backends call before running.

    Parameters
    ----------
    model : str
        Name of the network, used in the error.
    specs : sequence of TensorSpec
    feeds : mapping of str to Feed

    Raises
    ------
    UsageError
        A name is missing or unknown, or a shape or dtype differs.
    """
    if len(feeds) != len(specs) or any(spec.name not in feeds for spec in specs):
        raise UsageError(
            thing=f"inputs of {model}",
            got=", ".join(sorted(feeds)) or "none",
            expected=", ".join(spec.name for spec in specs),
            hint="Feed every input by its name.",
        )
    for spec in specs:
        array = feeds[spec.name]
        if not callable(array) and not spec.fits(array):
            raise UsageError(
                thing=f'{model} input "{spec.name}"',
                got=f"{array.shape} {array.dtype}",
                expected=str(spec),
                hint="The card states the preprocessing.",
            )
