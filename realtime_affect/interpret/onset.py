"""Faces before a unit was noticed -> the last one in which its part of the face was at rest.

The action unit network tells small intensities late: its scale is flat near zero. The skin moves
before. So the points that a unit moves are traced back from the face in which the unit left its
rest, along the direction in which they have moved until then, to the last one in which they were
within the noise of their rest: mean and standard deviation of the first faces, as onsets of muscle
activity are found (Hodges & Bui, "A comparison of computer-based methods for the determination of
onset of muscle contraction using electromyography", 1996).
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Final

import numpy as np

from realtime_affect.face.align import turn_to_front
from realtime_affect.face.pose import fit_heads
from realtime_affect.landmarks import SKIN_REGIONS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from realtime_affect.types import Face

_PARTS: Final = {
    "AU01": ("inner brow",), "AU02": ("outer brow",), "AU04": ("inner brow", "middle brow"),
    "AU06": ("cheek",), "AU09": ("nose wing", "upper lip"), "AU10": ("upper lip", "nose wing"),
    "AU12": ("mouth corner",), "AU14": ("mouth corner",), "AU15": ("mouth corner",),
    "AU17": ("chin", "lower lip"), "AU20": ("mouth corner",), "AU25": ("upper lip", "lower lip"),
    "AU26": ("chin",),
}  # fmt: skip
"""Regions of the skin that a unit moves. Lids are too quick, and move too often, to be traced."""

TRACED: Final = frozenset(_PARTS)
"""Units whose onset can be traced."""

_REST_SHARE: Final = 2 / 3  # of the faces, the first ones: of the 0.6 s that a job reaches back
_LEAST_REST: Final = 4  # faces that tell what noise is
_NOISES: Final = 4.0  # standard deviations
_LEAST_MM: Final = 0.1  # less moves nothing that anybody could see


def last_at_rest(places: NDArray[np.floating]) -> int | None:
    """Return the index of the last moment at rest before a movement that goes on at the end.

    Parameters
    ----------
    places : (k, m) float
        Coordinates of points over time, millimetres.

    Returns
    -------
    int or None
        None: too few moments, or they have not moved clearly.
    """
    n = max(_LEAST_REST, int(_REST_SHARE * len(places)))
    if len(places) <= n:
        return None
    moved = places - np.add.reduce(places[:n]) / n
    way = moved[-1]
    far = float(way @ way) ** 0.5
    if not far > _LEAST_MM:  # NaN, too
        return None
    along = moved @ (way / far)
    noise = float(along[:n] @ along[:n] / n) ** 0.5  # their mean is 0
    still = np.flatnonzero(along <= max(_LEAST_MM, _NOISES * noise))
    return int(still[-1]) if len(still) and still[-1] < len(along) - 1 else None


def movement_before(faces: Sequence[Face], units: Sequence[str]) -> list[int | None]:
    """Return for each unit the index of the last face in which what it moves was at rest.

    Parameters
    ----------
    faces : sequence of Face
        One person's, in order; each unit has left its rest in the last one.
    units : sequence of str
        Of TRACED.

    Returns
    -------
    list of int or None
        None where that is not known; see :func:`last_at_rest`.
    """
    meshes = np.array([face.mesh.points for face in faces])
    heads = fit_heads(meshes)
    if not (heads.scale > 0).all():
        return [None] * len(units)
    found = []
    for unit in units:
        places = turn_to_front(meshes[:, _points(unit)], heads)[..., :2]
        found.append(last_at_rest(places.reshape(len(faces), -1)))
    return found


@cache
def _points(unit: str) -> NDArray[np.intp]:
    """Return the points of the mesh that a unit moves."""
    return np.unique(np.array([SKIN_REGIONS[part] for part in _PARTS[unit]]).ravel())
