"""Which of the mesh's 468 points mark what, each index once.

Right and left are the person's. Pairs of an eye's corners stand in the order of the image's x of a
face that looks at the camera: the right eye's outer corner first, the left eye's inner one.
"""

from __future__ import annotations

from typing import Final

import numpy as np

RIGHT_EYE_CORNERS: Final = (33, 133)
"""Outer and inner corner of the right eye."""

LEFT_EYE_CORNERS: Final = (362, 263)
"""Inner and outer corner of the left eye."""

OUTER_EYE_CORNERS: Final = (RIGHT_EYE_CORNERS[0], LEFT_EYE_CORNERS[1])
"""Of the right and of the left eye."""

OUTER_EYE_CORNERS_MM: Final = 88.9
"""Distance between these on the average face."""

EYE_LIDS: Final = (((144, 145, 153), (158, 159, 160)), ((373, 374, 380), (385, 386, 387)))
"""Points of the lower and of the upper lid, of the right and of the left eye."""

KEYPOINTS: Final = (RIGHT_EYE_CORNERS, LEFT_EYE_CORNERS, (1, 4), (13, 14))
"""In whose middle BlazeFace's first keypoints lie: right eye, left eye, nose tip, mouth."""

RIGID_POINTS: Final = np.array(
    [
        *(33, 133, 362, 263, 168, 6, 197, 195, 127, 356, 162, 389, 193, 417),
        *(122, 351, 139, 368, 34, 264, 143, 372, 35, 265, 128, 357, 188, 412),
    ]
)
"""Eye corners, bridge of the nose, temples, outer orbit, sides of the nose: the points that moved
least (< 0.6 mm) over rendered expressions; nothing that jaw, lips or brows carry along."""

STIFF_POINTS: Final = np.array(
    [
        *RIGID_POINTS.tolist(),
        *(5, 4, 1, 45, 275, 51, 281, 3, 248),
        *(10, 109, 338, 67, 297, 151, 108, 337, 9),
        *(50, 280, 117, 346, 116, 345, 123, 352, 101, 330, 118, 347),
    ]
)
"""Where a face moves with its head and little else: the points heads are fitted to, the ridge of
the nose, forehead, cheekbones. What moves by itself there, a robust fit leaves out."""

SKIN_REGIONS: Final = {
    "inner brow": ((55, 107), (285, 336)),
    "middle brow": ((52, 105), (282, 334)),
    "outer brow": ((46, 70), (276, 300)),
    "cheek": ((50, 101), (280, 330)),
    "nose wing": ((129, 129), (358, 358)),
    "mouth corner": ((61, 57), (291, 287)),
    "upper lip": ((37, 37), (267, 267)),
    "lower lip": ((84, 84), (314, 314)),
    "chin": ((208, 208), (428, 428)),
}
"""Points in whose middle a region of skin lies, on the right and on the left."""
