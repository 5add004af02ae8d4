"""Robust least squares of a head's small motions, seen in an image, in NumPy.

Similarity of the plane and turns out of it, the latter as far as flow changes with depth. Weights
are Geman and McClure's (S. Geman, D. E. McClure, "Statistical methods for tomographic image
reconstruction", Bull. ISI 52, 1987), their scale twice the median square.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

Float64 = NDArray[np.float64]

FIT_ROUNDS: Final = 3
"""The first with equal weights."""

FIT_FLOOR_PX: Final = 0.05
"""Noise of flow: points off by less than this all count alike."""


def rigid_basis(places: Float64, depths: Float64) -> Float64:
    """Return what unit rigid motions do at points.

    Parameters
    ----------
    places : (m, 2) float64
        x and y from the middle of the image, pixels.
    depths : (m,) float64
        Pixels, away from the camera.

    Returns
    -------
    (m, 2, 6) float64
        Flow of a shift in x, in y, growth, turn, and turns about the vertical and the level axis,
        each as far as it changes with depth.
    """
    x, y = places.T
    basis = np.zeros((len(places), 2, 6))
    basis[:, 0, 0] = basis[:, 1, 1] = 1.0
    basis[:, :, 2] = places
    basis[:, 0, 3], basis[:, 1, 3] = -y, x
    basis[:, 0, 4] = basis[:, 1, 5] = depths
    return basis


def fit_rigid(moves: NDArray[np.floating], basis: Float64) -> Float64:
    """Fit the rigid motion that most points follow.

    Parameters
    ----------
    moves : (m, 2) floating
        Flow at each point.
    basis : (m, 2, 6) float64
        From :func:`rigid_basis`.

    Returns
    -------
    (6,) float64
        Points that move by themselves count little.
    """
    flat, wanted = basis.reshape(-1, 6), moves.reshape(-1).astype(np.float64)
    columns = np.ascontiguousarray(flat.T)
    fitted = np.linalg.solve(columns @ flat, columns @ wanted)
    middle = len(moves) // 2
    for _ in range(FIT_ROUNDS - 1):
        off = np.square(wanted - flat @ fitted)
        off = off[::2] + off[1::2]
        scale = max(FIT_FLOOR_PX**2, 2.0 * float(np.partition(off, middle)[middle]))
        weighted = columns / np.repeat(np.square(1.0 + off / scale), 2)
        fitted = np.linalg.solve(weighted @ flat, weighted @ wanted)
    return np.asarray(fitted, np.float64)


def take_off_rigid(
    moves: NDArray[np.floating], basis: Float64, stiff: int
) -> tuple[Float64, Float64, float]:
    """Take the rigid motion of the first points off the motion of all.

    Parameters
    ----------
    moves : (n, 2) floating
    basis : (n, 2, 6) float64
    stiff : int
        How many points, from the first, the motion is fitted to.

    Returns
    -------
    left : (n, 2) float64
    rigid : (6,) float64
    misfit : float
        Median absolute coordinate of what is left of the first points.
    """
    rigid = fit_rigid(moves[:stiff], basis[:stiff])
    left = moves - basis @ rigid
    misfit = float(np.partition(np.abs(left[:stiff]).ravel(), stiff)[stiff])
    return left, rigid, misfit
