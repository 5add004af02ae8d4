"""Launches of ``flow_features.cu``: values, for a device or for the CPU harness of the tests."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from affect_kernels._launch import Launch, Reads, Writes, blocks
from affect_kernels.errors import UsageError
from affect_kernels.flow_features.reference import check_corners, check_flow

if TYPE_CHECKING:
    from collections.abc import Sequence

Array = NDArray[np.floating[Any]]

SOURCE: Final = "flow_features/flow_features.cu"
THREADS: Final = 128


def features(flow: Array) -> Launch:
    """Return the launch that does ``reference.flow_features``; it writes ``out``.

    Parameters
    ----------
    flow : (n, H, W, 2) float32 or float16

    Raises
    ------
    UsageError
        Another shape or dtype.
    """
    return _launch(flow, np.empty((0, 4, 2), np.int32))


def composed_features(flow: Array, corners: NDArray[np.integer[Any]] | Sequence[Any]) -> Launch:
    """Return the launch that does ``reference.composed_features``; it writes ``out``.

    Parameters and errors are those of :func:`features` and of the plain form.
    """
    check_flow(flow)
    return _launch(flow, np.ascontiguousarray(check_corners(flow, corners), np.int32))


def _launch(flow: Array, corners: NDArray[np.int32]) -> Launch:
    check_flow(flow)
    kind = {np.dtype(np.float32): "f32", np.dtype(np.float16): "f16"}.get(flow.dtype)
    if kind is None or not len(flow):
        raise UsageError(
            thing="flow on a GPU", got=f"{flow.shape} {flow.dtype}",
            expected="one or more flows, float32 or float16",
            hint="Use the reference or the compiled form.",
        )  # fmt: skip
    n, height, width, _ = flow.shape
    pixels = n * height * width
    return Launch(
        SOURCE, f"flow_features_{kind}", (blocks(pixels, THREADS), 1, 1), THREADS,
        {
            "flow": Reads(flow), "corners": Reads(corners),
            "out": Writes((n, height, width, 3), flow.dtype), "pixels": np.int64(pixels),
            "height": np.int32(height), "width": np.int32(width),
            "composed": np.int32(len(corners) > 0),
        },
    )  # fmt: skip
