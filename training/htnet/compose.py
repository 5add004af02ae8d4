"""The published input: four 14x14 crops of a 28x28 flow image, put together anew.

Quirks are kept, because weights trained with them need them: landmarks come as (x, y) and are used
as (row, column), so that the upper right of the result shows the face's lower left; coordinates are
kept within 7 to 21, and cut off instead of rounded.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

SIDE: Final = 28
_HALF: Final = 7
_CORNERS: Final = (0, 1, 3, 4)  # left eye, right eye, left and right mouth corner; not the nose
FALLBACK: Final = (
    (9.528073, 11.062551), (21.396168, 10.919773), (15.380184, 17.380562), (10.255435, 22.121233),
    (20.583706, 22.25584),
)  # fmt: skip
"""Landmarks (x, y) where no face was found, as in the released code."""


def centres(landmarks: NDArray[np.floating]) -> NDArray[np.int64]:
    """Return where the crops are centred, (5, 2), for landmarks (5, 2) of a 28x28 face."""
    return np.clip(landmarks, _HALF, SIDE - _HALF).astype(np.int64)


def compose(image: NDArray[Any], at: NDArray[np.int64]) -> NDArray[Any]:
    """Put a flow image (28, 28, c) together from the crops around `at` (5, 2)."""
    crops = [
        image[row - _HALF : row + _HALF, column - _HALF : column + _HALF]
        for row, column in at[list(_CORNERS)].tolist()
    ]
    return np.vstack([np.hstack(crops[:2]), np.hstack(crops[2:])])
