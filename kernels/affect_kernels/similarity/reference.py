"""Umeyama's closed form in NumPy, for many targets at once.

S. Umeyama, "Least-squares estimation of transformation parameters between two point patterns",
IEEE TPAMI 13(4), 1991, equations 38 to 43.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Float64 = NDArray[np.float64]


class Similarity(NamedTuple):
    """The maps ``y = scale * rotation @ x + translation``, one for each of n targets.

    Attributes
    ----------
    scale : (n,) float64
        Positive; units of the target per unit of the source.
    rotation : (n, 3, 3) float64
        Proper: determinant +1.
    translation : (n, 3) float64
        In units of the target.
    """

    scale: Float64
    rotation: Float64
    translation: Float64

    def invert(self, points: NDArray[np.floating]) -> Float64:
        """Map target points (n, k, 3) back to the source's frame."""
        back = self.rotation / self.scale[:, None, None]
        inverse: Float64 = (points - self.translation[:, None]) @ back
        return inverse


def fit_similarity(source: NDArray[np.floating], targets: NDArray[np.floating]) -> Similarity:
    """Find the similarities that map `source` onto each target with the least squared error.

    Parameters
    ----------
    source : (k, 3) float
        k >= 3, not all on one line.
    targets : (n, k, 3) float
        Corresponding points of each target.

    Returns
    -------
    Similarity
        Always proper rotations: a mirrored target is fitted as well as a rotation can.
    """
    k = len(source)
    mean_source = source.sum(axis=0, dtype=np.float64) / k
    mean_target = targets.sum(axis=1, dtype=np.float64) / k
    centred = source - mean_source
    covariance = (targets - mean_target[:, None]).swapaxes(1, 2) @ centred  # k times eq. 38
    u, d, vt = np.linalg.svd(covariance)
    mirrored = np.linalg.det(u @ vt) < 0  # a reflection, which eq. 39 and 43 forbid
    u[mirrored, :, 2] *= -1.0
    d[mirrored, 2] *= -1.0
    rotation = u @ vt
    scale = d.sum(axis=1) / np.vdot(centred, centred)  # eq. 42
    translation = mean_target - scale[:, None] * (rotation @ mean_source)
    return Similarity(scale, rotation, translation)
