"""Eye aspect ratios compiled by numba: a pass over the few points, no array between.

Any number of threads may call at the same time.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from affect_kernels.compiled import compiled, writable

if TYPE_CHECKING:
    from affect_kernels.eye_openness.reference import Float32, Int64


@compiled("void(float32[:, :, ::1], int64[:, :, ::1], int64[:, ::1], float32[:, ::1])")
def _open(points: Float32, lids: Int64, corners: Int64, out: Float32) -> None:
    pairs = np.float32(lids.shape[2])
    for m in range(len(points)):
        for eye in range(len(lids)):
            lower, upper = np.float32(0.0), np.float32(0.0)
            for k in range(lids.shape[2]):
                lower += points[m, lids[eye, 0, k], 1]
                upper += points[m, lids[eye, 1, k], 1]
            gap = lower / pairs - upper / pairs
            width = abs(points[m, corners[eye, 0], 0] - points[m, corners[eye, 1], 0])
            # What is no number stays so: a comparison with it is false.
            gap = np.float32(0.0) if gap < 0.0 else gap
            out[m, eye] = gap / (np.float32(1.0) if width < 1.0 else width)


def eye_openness(points: Float32, lids: Int64, corners: Int64) -> Float32:
    """As ``reference.eye_openness``."""
    out = np.empty((len(points), len(lids)), np.float32)
    lids, corners = writable(lids, np.int64), writable(corners, np.int64)
    _open(writable(points, np.float32), lids, corners, out)
    return out
