"""How skin moved between two stabilized crops of a face: what HTNet looks at.

Flow between two stabilized crops (:mod:`realtime_affect.face.stabilize`) still holds what the
filter left over, and what a turning head does to a face with depth; :func:`remove_rigid` takes
both away.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import cv2
import numpy as np

from affect_kernels.flow_features import flow_features
from affect_kernels.rigid_motion.cpu import fit_rigid, rigid_basis
from realtime_affect.face.pose import load_neutral_face
from realtime_affect.face.stabilize import CENTRE_MM, CROP_PX, IOD_PX, MM_PER_PX
from realtime_affect.landmarks import STIFF_POINTS

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from realtime_affect.types import Float32, Float64, Image

FLOW_MAP_PX: Final = 56
"""Side of what HTNet-Live looks at."""


class _StiffPlaces(NamedTuple):
    """Where stiff points lie in the crop, and what rigid motion does there and everywhere.

    Attributes
    ----------
    rows, columns : (m,) int64
    basis : (m, 2, 6) float64
        Flow of unit shifts in x and y, growth, turn, and turns out of the plane (yaw, pitch).
    everywhere : (6, 128 * 128 * 2) float32
    """

    rows: Any
    columns: Any
    basis: Float64
    everywhere: Float32


@cache
def stiff_places() -> _StiffPlaces:
    """Return where the average face is stiff; made at the first call, in some 20 ms."""
    points = load_neutral_face().points
    half = (CROP_PX - 1) / 2
    places = (points[:, :2] - CENTRE_MM) / MM_PER_PX
    depths = (points[:, 2] - points[STIFF_POINTS, 2].mean()) / MM_PER_PX
    columns, rows = np.rint(places[STIFF_POINTS] + half).astype(np.int64).T
    steps = np.arange(CROP_PX) - half
    grid = np.stack(np.meshgrid(steps, steps), axis=-1).reshape(-1, 2)
    return _StiffPlaces(
        rows, columns, rigid_basis(places[STIFF_POINTS], depths[STIFF_POINTS]),
        np.ascontiguousarray(
            rigid_basis(grid, _depth_on(steps, places, depths)).reshape(-1, 6).T, np.float32
        ),
    )  # fmt: skip


def _depth_on(steps: NDArray[np.floating], places: Float64, depths: Float64) -> Float64:
    """Spread the depths of the mesh's points over the pixels (n * n,) of a grid with n `steps`.

    A smooth mean of the near ones.
    """
    rows = []
    across = (steps[:, None] - places[:, 0]) ** 2
    for down in (steps[:, None] - places[:, 1]) ** 2:
        nearness = 1.0 / (across + down + 9.0) ** 2
        rows.append(nearness @ depths / nearness.sum(axis=1))
    return np.concatenate(rows)


def remove_rigid(flow: Float32) -> Float32:
    """Take the motion of the whole head out of a flow (128, 128, 2) between two stabilized crops.

    Similarity and the two turns out of the plane, at the average face's depth, are fitted where
    faces are stiff.
    """
    stiff = stiff_places()
    smooth = cv2.blur(flow, (5, 5))
    fitted = fit_rigid(smooth[stiff.rows, stiff.columns], stiff.basis)
    rigid = fitted.astype(np.float32) @ stiff.everywhere
    return flow - rigid.reshape(flow.shape)


def flow_map(onset_crop: Image, apex_crop: Image) -> Float32:
    """Return how a face moved between two moments, without its head's motion.

    Parameters
    ----------
    onset_crop, apex_crop : (128, 128) uint8
        Grey, from :func:`stabilized_crop` with places from one :class:`Stabilizer`.

    Returns
    -------
    (56, 56, 3) float32
        u to the image's right, v down, in inter-ocular distances, and their optical strain, in
        inter-ocular distances a pixel of the map; not stretched. It shows what the crops show.
    """
    # Once an event, not once a frame, so it may cost the better preset's two milliseconds.
    dense = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    fresh = np.zeros((CROP_PX, CROP_PX, 2), np.float32)
    flow = remove_rigid(dense.calc(onset_crop, apex_crop, fresh))  # type: ignore[arg-type]
    side = FLOW_MAP_PX
    small = cv2.resize(flow, (side, side), interpolation=cv2.INTER_AREA) / np.float32(IOD_PX)
    features: Float32 = flow_features(small[None])[0].astype(np.float32)
    return features
