"""468 points of one face from a rotated square of the frame.

Regions follow MediaPipe 0.10.21's face landmark graph (``face_landmark_front_cpu``): fresh faces
from a detection's box and eyes, followed faces from the previous mesh.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from affect_engines import load_card, open_engine
from affect_engines.base import Closeable
from realtime_affect.face.region import Region, cut_patch
from realtime_affect.landmarks import OUTER_EYE_CORNERS
from realtime_affect.types import N_MESH_POINTS, FaceMesh

if TYPE_CHECKING:
    from affect_engines import Engine
    from realtime_affect.types import Float32, Float64, Image

__all__ = ["MeshEstimator", "Region", "region_from_keypoints", "region_from_mesh"]

_REGION_SCALE = 1.5  # the graph's, for detections and meshes alike


def region_from_keypoints(keypoints: Float32, xyxy: Float32) -> Region:
    """Return where to look for the points of a freshly detected face.

    Parameters
    ----------
    keypoints : (6, 2) float32
        BlazeFace's points in frame pixels, the right and the left eye first: they give the roll.
    xyxy : (4,) float32
        The detection's box in frame pixels; its longer side times 1.5 is the square's side.

    Returns
    -------
    Region
        Degenerate input gives a degenerate region, on which :meth:`MeshEstimator.estimate` finds
        nothing.
    """
    (right_x, right_y), (left_x, left_y) = keypoints[:2].tolist()
    x0, y0, x1, y1 = xyxy.tolist()
    return Region(
        center=((x0 + x1) / 2.0, (y0 + y1) / 2.0),
        size_px=_REGION_SCALE * max(x1 - x0, y1 - y0),
        angle_rad=math.atan2(left_y - right_y, left_x - right_x),
    )


def region_from_mesh(points: Float32, xyxy: Float64 | None = None) -> Region:
    """Return where to look for the same face in the next frame.

    Parameters
    ----------
    points : (468, 3) or (468, 2) float32
        Mesh in frame pixels. The upright box around all points gives centre and side (1.5 times
        its longer one), the outer eye corners give the roll.
    xyxy : (4,) float, optional
        The box around the points, where the caller has it.

    Returns
    -------
    Region
        Degenerate for points that are not finite.
    """
    if xyxy is None:
        xyxy = np.concatenate([points[:, :2].min(axis=0), points[:, :2].max(axis=0)])
    x0, y0, x1, y1 = xyxy.tolist()
    right_x, right_y = points[OUTER_EYE_CORNERS[0], :2].tolist()
    left_x, left_y = points[OUTER_EYE_CORNERS[1], :2].tolist()
    return Region(
        center=((x0 + x1) / 2.0, (y0 + y1) / 2.0),
        size_px=_REGION_SCALE * max(x1 - x0, y1 - y0),
        angle_rad=math.atan2(left_y - right_y, left_x - right_x),
    )


class MeshEstimator(Closeable):
    """Face Mesh on one thread; keeps its buffers, returns new arrays.

    Parameters
    ----------
    engine : Engine, optional
        The network of the card ``face_mesh``; None opens it. Closed with the estimator.

    Raises
    ------
    ModelError
        The network's file is missing or damaged.
    """

    def __init__(self, engine: Engine | None = None) -> None:
        card = load_card("face_mesh")
        self.cards = (card,)
        self._engine = open_engine(card) if engine is None else engine
        self._input = self._engine.inputs[0].name
        self._points: str = card.decode["points"]
        self._presence: str = card.decode["presence"]
        self._side = card.input_px
        low, high = card.value_range
        self._scale = np.float32((high - low) / 255.0)

    def estimate(self, image: Image, region: Region) -> tuple[FaceMesh, Image]:
        """Find the points of the face in `region`.

        Parameters
        ----------
        image : (H, W, 3) uint8
            BGR.
        region : Region
            In pixels of `image`; may reach beyond its border, which is then repeated.

        Returns
        -------
        mesh : FaceMesh
            Points in frame pixels, z scaled like x and y; presence is the sigmoid of the
            network's face flag. Where the region is degenerate (not finite, under a pixel wide,
            wholly outside the frame) nothing is raised: presence is 0 and all points are NaN.
        crop : (192, 192, 3) uint8
            RGB, what the network saw, upright; black for a degenerate region.
        """
        side = self._side
        if not region.touches(image):
            nothing = np.full((N_MESH_POINTS, 3), np.nan, np.float32)
            return FaceMesh(nothing, 0.0), np.zeros((side, side, 3), np.uint8)
        crop = cut_patch(image, region, side)
        outputs = self._engine.infer(
            {self._input: lambda tensor: np.multiply(crop, self._scale, out=tensor[0])}
        )
        c, s, x0, y0 = region.to_frame(side)
        to_frame = np.array(
            ((c, s, 0.0), (-s, c, 0.0), (0.0, 0.0, region.size_px / side)), np.float32
        )
        points = outputs[self._points].reshape(N_MESH_POINTS, 3) @ to_frame
        points += np.array((x0, y0, 0.0), np.float32)
        flag = float(outputs[self._presence].item())
        return FaceMesh(points, 1.0 / (1.0 + math.exp(-max(flag, -80.0)))), crop

    def close(self) -> None:
        """Free the network. Idempotent."""
        self._engine.close()
