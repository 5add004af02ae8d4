"""The launch of ``face_crops.cu``: a value, for a device or for the harness of the tests."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from affect_kernels._launch import Launch, Reads, Writes, blocks
from affect_kernels.errors import UsageError
from affect_kernels.face_crops.reference import COLOURS, Colour, Image, Scaling, check, size_of

if TYPE_CHECKING:
    from numpy.typing import DTypeLike, NDArray

SOURCE: Final = "face_crops/face_crops.cu"
THREADS: Final = 256
MAX_SIDE: Final = 4096
_KINDS: Final = {np.dtype(np.float32): "f32", np.dtype(np.float16): "f16"}


def crop_faces(  # noqa: PLR0913  (as the reference, and what comes out)
    frame: Image,
    to_frame: NDArray[np.floating[Any]],
    side: int,
    scaling: Scaling | None = None,
    colour: Colour | None = None,
    *,
    dtype: DTypeLike = np.float32,
) -> Launch:
    """Return the launch that does ``reference.crop_faces``; it writes ``crops``.

    Parameters
    ----------
    frame, to_frame, side, scaling, colour
        As in the reference, one face at least; maps are taken as float32.
    dtype : float32 or float16
        Of the crops. All arithmetic is in float32.

    Raises
    ------
    UsageError
        As the reference, or a dtype or side that the kernel does not have.
    """
    height, width = size_of(frame)
    check(to_frame, side)
    kind = _KINDS.get(np.dtype(dtype))
    if kind is None or side > MAX_SIDE or not len(to_frame):
        raise UsageError(
            thing="face crops on a GPU", got=f"{len(to_frame)} of {side} px, {np.dtype(dtype)}",
            expected=f"one or more, side to {MAX_SIDE}, float32 or float16",
            hint="Without a face there is nothing to launch.",
        )  # fmt: skip
    scaling, colour = scaling or Scaling(), colour or COLOURS["bt601"]
    numbers = {f"gain{k}": gain for k, gain in enumerate(scaling.gain)}
    numbers |= {f"bias{k}": bias for k, bias in enumerate(scaling.bias)}
    numbers |= {name: getattr(colour, name) for name in Colour.__slots__}
    return Launch(
        SOURCE, f"face_crops_{kind}", (blocks(side * side, THREADS), len(to_frame), 1), THREADS,
        {
            "frame": Reads(frame),
            "to_frame": Reads(np.ascontiguousarray(to_frame, np.float32)),
            "crops": Writes((len(to_frame), 3, side, side), np.dtype(dtype)),
            "width": np.int32(width), "height": np.int32(height), "side": np.int32(side),
            "nv12": np.int32(frame.ndim == 2),
            **{name: np.float32(number) for name, number in numbers.items()},
        },
    )  # fmt: skip
