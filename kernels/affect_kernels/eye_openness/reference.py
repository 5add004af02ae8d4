"""Eye aspect ratios in NumPy.

Soukupova & Cech, "Real-time eye blink detection using facial landmarks", 2016, on meshes turned to
the front and with any number of pairs of lid points instead of two.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Float32 = NDArray[np.float32]
Int64 = NDArray[np.int64]


def eye_openness(points: Float32, lids: Int64, corners: Int64) -> Float32:
    """Return the lids' gap over the width of each eye.

    Parameters
    ----------
    points : (n, k, 3) float32
        Meshes turned to the front: x to the right, y down.
    lids : (e, 2, p) int64
        Of each of e eyes the points of its lower and of its upper lid.
    corners : (e, 2) int64
        Of each eye its corners.

    Returns
    -------
    (n, e) float32
        0 where lids cross. Eyes under 1 wide count as 1 wide.
    """
    gaps = points[:, lids, 1].mean(axis=3)
    x = points[:, corners, 0]
    width = np.abs(x[..., 0] - x[..., 1])
    openness = np.maximum(gaps[..., 0] - gaps[..., 1], 0.0) / np.maximum(width, 1.0)
    return openness.astype(np.float32)  # type: ignore[no-any-return]
