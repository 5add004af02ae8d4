"""468 points of one face from a rotated square of the frame.

Regions follow MediaPipe 0.10.21's face landmark graph (``face_landmark_front_cpu``): fresh faces
from a detection's box and eyes, followed faces from the previous mesh.
"""

from __future__ import annotations

import math
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Final

import numpy as np

from affect_engines import load_card, open_engine
from affect_engines.base import Closeable, Shareable
from realtime_affect.cores import usable_cores
from realtime_affect.face.region import Region, cut_patch
from realtime_affect.landmarks import OUTER_EYE_CORNERS
from realtime_affect.types import N_MESH_POINTS, FaceMesh

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from affect_engines import Engine
    from realtime_affect.types import Float32, Float64, Image

__all__ = ["MeshEstimator", "Region", "region_from_keypoints", "region_from_mesh"]

_REGION_SCALE: Final = 1.5  # the graph's, for detections and meshes alike
_MOST_THREADS: Final = 4  # as many faces as are measured at once; a frame seldom has more


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
    """Face Mesh; keeps its buffers, returns new arrays. Belongs to one thread.

    Several faces are measured at once where the engine can be shared and there are cores: it is
    what a frame waits for longest. A face's mesh is the same on whichever thread it is measured.

    Parameters
    ----------
    engine : Engine, optional
        The network of the card ``face_mesh``; None opens it. Closed with the estimator.
    threads : int, optional
        How many faces are measured at once; None: as many as there are usable cores, up to four.

    Raises
    ------
    ModelError
        The network's file is missing or damaged.
    """

    def __init__(self, engine: Engine | None = None, *, threads: int | None = None) -> None:
        card = load_card("face_mesh")
        self.cards = (card,)
        engine = open_engine(card) if engine is None else engine
        if threads is None:
            threads = min(_MOST_THREADS, len(usable_cores()))
        self._engines = [engine]
        self._helpers: ThreadPoolExecutor | None = None
        if threads > 1 and isinstance(engine, Shareable):
            self._engines += [engine.share() for _ in range(threads - 1)]
            self._helpers = ThreadPoolExecutor(threads - 1, thread_name_prefix="mesh")
        self._input = engine.inputs[0].name
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
        return self._estimate(self._engines[0], image, region)

    def estimate_all(
        self, image: Image, regions: Sequence[Region], meanwhile: Callable[[], None] | None = None
    ) -> list[tuple[FaceMesh, Image]]:
        """Do what :meth:`estimate` does in each of several regions of one image.

        The calling thread and its helpers take one region after another, so a helper that the
        system runs late, or not at all, holds nothing up.

        Parameters
        ----------
        image, regions
            As there.
        meanwhile : callable, optional
            What the calling thread does first, while its helpers begin.
        """
        found: dict[int, tuple[FaceMesh, Image]] = {}
        left = iter(enumerate(regions))

        def work(engine: Engine) -> None:
            for i, region in left:
                found[i] = self._estimate(engine, image, region)

        helping = [
            self._helpers.submit(work, engine)
            for engine in self._engines[1 : len(regions) + (meanwhile is not None)]
            if self._helpers is not None
        ]
        try:
            if meanwhile is not None:
                meanwhile()
            work(self._engines[0])
        finally:
            for helper in helping:
                if not helper.cancel():
                    helper.result()
        return [found[i] for i in range(len(regions))]

    def _estimate(self, engine: Engine, image: Image, region: Region) -> tuple[FaceMesh, Image]:
        side = self._side
        if not region.touches(image):
            nothing = np.full((N_MESH_POINTS, 3), np.nan, np.float32)
            return FaceMesh(nothing, 0.0), np.zeros((side, side, 3), np.uint8)
        crop = cut_patch(image, region, side)
        outputs = engine.infer(
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
        if self._helpers is not None:
            self._helpers.shutdown()
        for engine in self._engines:
            engine.close()
