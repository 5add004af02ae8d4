"""What makes an array safe to publish: of one type and shape, C-contiguous, read-only."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from realtime_affect.errors import UsageError

if TYPE_CHECKING:
    from numpy.typing import NDArray


def frozen_array(
    values: Any, dtype: Any, shape: tuple[int | None, ...], thing: str
) -> NDArray[Any]:
    """Return `values` as a C-contiguous read-only array of `dtype`, checked against `shape`.

    A writable array of the right type is not copied: its producer hands it over and stops writing.

    Parameters
    ----------
    values : array_like
    dtype : numpy dtype
    shape : tuple
        Expected shape; None stands for any length.
    thing : str
        Name used in the error.

    Raises
    ------
    UsageError
        The shape differs.
    """
    array = np.ascontiguousarray(values, dtype=dtype)
    # Equality first: the usual case, met thousands of times a second.
    if array.shape != shape and (
        array.ndim != len(shape)
        or any(want not in (None, have) for have, want in zip(array.shape, shape, strict=True))
    ):
        raise UsageError(
            thing,
            got=f"shape {array.shape}",
            expected="(" + ", ".join("n" if n is None else str(n) for n in shape) + ")",
            hint="Shapes are stated in realtime_affect.types.",
        )
    array.flags.writeable = False
    return array
