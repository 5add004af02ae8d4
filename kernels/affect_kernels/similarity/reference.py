"""Horn's closed form in NumPy, for many targets at once.

B. K. P. Horn, "Closed-form solution of absolute orientation using unit quaternions", JOSA A 4(4),
1987, section 4. Against the equal answer by singular values (Umeyama, 1991) it needs no branch
for reflections, and a handful of array calls for any number of targets.
"""

from __future__ import annotations

from typing import Final, NamedTuple

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


def _quaternion_products() -> Float64:
    """Return (4, 4, 3, 3): rotation[i, j] = sum over a, b of q[a] q[b] products[a, b, i, j].

    For a unit quaternion (w, x, y, z) and the rotation v -> q v q*.
    """
    products = np.zeros((4, 4, 3, 3))
    for i in range(3):
        j, k = (i + 1) % 3, (i + 2) % 3
        a, b, c = i + 1, j + 1, k + 1
        products[0, 0, i, i] = products[a, a, i, i] = 1.0
        products[b, b, i, i] = products[c, c, i, i] = -1.0
        for one, other, sign in ((j, i, 1.0), (i, j, -1.0)):
            products[0, c, one, other] += sign
            products[c, 0, one, other] += sign
            products[a, b, one, other] += 1.0
            products[b, a, one, other] += 1.0
    return products


_PRODUCTS: Final = _quaternion_products()
TO_ROTATION: Final = _PRODUCTS.reshape(16, 9)
"""Row 4 a + b, column 3 i + j: what q[a] q[b] gives to rotation[i, j]."""

_FROM_COVARIANCE: Final = np.ascontiguousarray(TO_ROTATION.T)  # trace(R^T M) = q^T N(M) q


def fit_similarity(
    source: NDArray[np.floating],
    targets: NDArray[np.floating],
    rows: NDArray[np.int64] | None = None,
) -> Similarity:
    """Find the similarities that map `source` onto each target with the least squared error.

    Parameters
    ----------
    source : (k, 3) float
        k >= 3, not all on one line.
    targets : (n, k, 3) float
        Corresponding points of each target; with `rows`, (n, j, 3) with them among others.
    rows : (k,) int64, optional
        Which of each target's points correspond.

    Returns
    -------
    Similarity
        Always proper rotations: a mirrored target is fitted as well as a rotation can.
    """
    targets = targets if rows is None else targets[:, rows]
    k = len(source)
    mean_source = source.sum(axis=0, dtype=np.float64) / k
    mean_target = targets.sum(axis=1, dtype=np.float64) / k
    centred = source - mean_source
    # Centring the source alone suffices: its rows add up to zero.
    covariance = targets.swapaxes(1, 2) @ centred
    forms = (covariance.reshape(-1, 9) @ _FROM_COVARIANCE).reshape(-1, 4, 4)
    values, vectors = np.linalg.eigh(forms)
    quaternions = vectors[:, :, 3]  # of the largest eigenvalue: greatest trace(R^T M)
    pairs = quaternions[:, :, None] * quaternions[:, None, :]
    rotation = (pairs.reshape(-1, 16) @ TO_ROTATION).reshape(-1, 3, 3)
    scale = values[:, 3] / np.vdot(centred, centred)
    translation = mean_target - scale[:, None] * (rotation @ mean_source)
    return Similarity(scale, rotation, translation)
