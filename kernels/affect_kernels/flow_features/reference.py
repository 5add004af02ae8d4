"""Optical strain and composed crops in NumPy.

Shreve et al., "Macro- and micro-expression spotting in long videos using spatio-temporal strain",
FG 2011: the strain of a flow (u, v) is the symmetric part of its gradient,

    e = [[u_x, (u_y + v_x) / 2], [(u_y + v_x) / 2, v_y]],

and its magnitude is the root of the summed squares of e's four entries,
``sqrt(u_x^2 + v_y^2 + (u_y + v_x)^2 / 2)``. Moving and turning a stiff face strains nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from affect_kernels.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

Array = NDArray[np.floating[Any]]


def check_flow(flow: Array) -> None:
    """Raise UsageError where an array is no batch of flows."""
    if flow.ndim != 4 or flow.shape[3] != 2 or min(flow.shape[1:3]) < 2:
        raise UsageError(
            thing="flow to strain", got=str(flow.shape),
            expected="(n, H, W, 2) with H, W of 2 or more",
            hint="Put one flow into a batch of one.",
        )  # fmt: skip


def optical_strain(flow: Array) -> Array:
    """Return the magnitude of the strain of flows.

    Parameters
    ----------
    flow : (n, H, W, 2) floating
        u to the right and v down, in pixels or any other length; H, W >= 2.

    Returns
    -------
    (n, H, W) floating
        Per pixel, in the flow's unit; of its dtype. Differences are central inside and one-sided
        along the border.

    Raises
    ------
    UsageError
        Another shape.
    """
    check_flow(flow)
    down, right = (np.gradient(flow, axis=axis) for axis in (1, 2))
    stretch = right[..., 0] ** 2 + down[..., 1] ** 2
    shear = down[..., 0] + right[..., 1]
    half = flow.dtype.type(0.5)
    return np.sqrt(stretch + half * shear * shear)


def flow_features(flow: Array) -> Array:
    """Return (n, H, W, 3): u, v and their optical strain, of flows (n, H, W, 2)."""
    return np.concatenate([flow, optical_strain(flow)[..., None]], axis=3)


def check_corners(
    images: NDArray[Any], corners: NDArray[np.integer[Any]] | Sequence[Any]
) -> NDArray[np.integer[Any]]:
    """Return the corners as an array; raise UsageError where they do not fit the images."""
    at = np.asarray(corners)
    n, side = images.shape[:2]
    reach = side // 4
    fits = images.ndim == 4 and images.shape[2] == side and side % 4 == 0
    if not fits or at.shape != (n, 4, 2) or at.min() < reach or at.max() > side - reach:
        raise UsageError(
            thing="crops to compose",
            got=f"images {images.shape}, corners {at.shape} from {at.min()} to {at.max()}",
            expected=f"(n, S, S, c) with S a multiple of 4, and (n, 4, 2) in {reach} to "
            f"{side - reach}",
            hint="Keep a quarter of the side between a centre and the border.",
        )
    return at


def compose(
    images: NDArray[Any], corners: NDArray[np.integer[Any]] | Sequence[Any]
) -> NDArray[Any]:
    """Put each square image together anew from four crops of half its side, as HTNet's input.

    Parameters
    ----------
    images : (n, S, S, c)
        S even.
    corners : (n, 4, 2) integer
        Row and column of each crop's centre: of those that become the result's upper left, upper
        right, lower left, lower right. A crop reaches from S/4 before its centre to S/4 after it
        and must lie inside. (HTNet's released code puts a landmark's x for the row and its y for
        the column; weights trained so need it so, and get it by what is handed in here.)

    Returns
    -------
    (n, S, S, c)
        New, of the images' dtype.

    Raises
    ------
    UsageError
        Images are not square or of odd quarters, corners do not fit them, or a crop sticks out.
    """
    at = check_corners(images, corners)
    n, side = images.shape[:2]
    reach = side // 4
    out = np.empty_like(images)
    half = side // 2
    for i in range(n):
        for k, (row, column) in enumerate(at[i].tolist()):
            top, left = half * (k // 2), half * (k % 2)
            out[i, top : top + half, left : left + half] = images[
                i, row - reach : row + reach, column - reach : column + reach
            ]
    return out


def composed_features(flow: Array, corners: NDArray[np.integer[Any]] | Sequence[Any]) -> Array:
    """Return HTNet's input (n, S, S, 3): features of flows (n, S, S, 2), composed at corners.

    Strain is that of the whole flow: a crop's border is none of the flow's.
    """
    return compose(flow_features(flow), corners)
