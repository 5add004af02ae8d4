"""The launch of ``adaptive_split.cu``: a value, for a device or for the harness of the tests."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from affect_kernels._launch import Launch, Reads, Writes
from affect_kernels.adaptive_split.reference import SplitWeights, check
from affect_kernels.errors import UsageError

if TYPE_CHECKING:
    from numpy.typing import NDArray

SOURCE: Final = "adaptive_split/adaptive_split.cu"
THREADS: Final = 512
PARTS: Final = 7
"""Blocks a clip: each compares all slots and samples a part, so more of them shorten only that."""

_KINDS: Final = {np.dtype(np.float32): "f32", np.dtype(np.float16): "f16"}


def adaptive_split(
    x: NDArray[np.floating[Any]], weights: SplitWeights, *, parts: int = PARTS
) -> Launch:
    """Return the launch that does ``reference.adaptive_split``.

    Parameters
    ----------
    x : (n, T, N, C) float32 or float16
        T of 2 to 8, T * N of 392 at most, C of 768 at most and a multiple of 8.
    weights : SplitWeights
        Seven looks; taken as float32.
    parts : int
        Blocks a clip.

    Returns
    -------
    Launch
        Writes ``approx``, ``detail``, ``times`` as ``reference.Bands`` has them; times are float32.

    Raises
    ------
    UsageError
        Clips or weights that the kernel has no room for.
    """
    check(x, weights)
    n, slots, tokens, channels = x.shape
    kind = _KINDS.get(x.dtype)
    fits = slots <= 8 and slots * tokens <= 392 and channels <= 768 and channels % 8 == 0
    if kind is None or not fits or len(weights.look) != 7:
        raise UsageError(
            thing="clips to split on a GPU",
            got=f"{x.shape} {x.dtype}, {len(weights.look)} looks",
            expected="T to 8, T * N to 392, C to 768 and a multiple of 8, float32 or float16, "
            "7 looks",
            hint="These are the sizes of IFDD; others run in the reference.",
        )
    n_approx = (slots + 1) // 2
    arrays = {
        field: Reads(np.ascontiguousarray(getattr(weights, field), np.float32))
        for field in SplitWeights.__slots__
    }
    return Launch(
        SOURCE, f"adaptive_split_{kind}", (parts, n, 1), THREADS,
        {
            "x": Reads(x), **arrays,
            "approx": Writes((n, n_approx, tokens, channels), x.dtype),
            "detail": Writes((n, slots - n_approx, tokens, channels), x.dtype),
            "times": Writes((n, slots), np.dtype(np.float32)),
            "slots": np.int32(slots), "tokens": np.int32(tokens),
            "channels": np.int32(channels), "parts": np.int32(parts),
        },
    )  # fmt: skip
