"""Where the eyes look, from the iris network and a ball for an eye.

Iris centre and eye corners are found in a patch around each eye; the eyeball's centre is placed
behind the middle of the corners, in the head's own frame, and turned with the head. The line from
the one centre to the other is the gaze. Patches follow MediaPipe's iris graph: a square of 2.3
times the corners' extent along the line between them, the left eye mirrored because the network
knows right ones only.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

import numpy as np

from affect_engines import load_card, open_engine
from affect_engines.base import Closeable
from realtime_affect.face.pose import load_neutral_face, rotation_matrix
from realtime_affect.face.region import Region, cut_patch
from realtime_affect.landmarks import LEFT_EYE_CORNERS, OUTER_EYE_CORNERS, RIGHT_EYE_CORNERS

if TYPE_CHECKING:
    from affect_engines import Engine
    from realtime_affect.types import Face, Float32, Image

EYE_RADIUS_MM: Final = 12.0
"""Radius of the eyeball, as in OpenFace's eye model (Wood et al. 2015)."""

EYE_CENTER_MM: Final = (1.3, -1.1, 4.3)
"""From the middle of an eye's corners to the eyeball's centre, in the head's frame, as x towards
the temple, y down, z into the head: fitted to 20 faces that look into the camera (median
residual 0.7 mm or 3.3 degrees an eye, on those same faces)."""

IRIS_MM: Final = 11.7
"""Diameter of the iris, nearly the same in all adults."""

_MIN_IRIS_PX = 6.0
_MIN_OPENNESS = 0.1  # eye aspect ratio under which the lids cover the iris's centre
_MIN_WIDTH_RATIO = 0.7  # an eye seen narrower than this beside the other is turned away
_MAX_OFFSET = 0.87  # of the radius: 60 degrees, more than eyes turn


class GazeEstimator(Closeable):
    """The iris network and the eye model, on one thread.

    Parameters
    ----------
    engine : Engine, optional
        The network of the card ``iris``; None opens it. Closed with the estimator.

    Raises
    ------
    ModelError
        The network's file is missing or damaged.
    """

    def __init__(self, engine: Engine | None = None) -> None:
        card = load_card("iris")
        self.cards = (card,)
        self._engine = open_engine(card) if engine is None else engine
        self._input = self._engine.inputs[0].name
        self._iris: str = card.decode["iris"]
        self._eye: str = card.decode["eye"]
        self._corners: list[int] = card.decode["eye_corners"]
        self._region_scale: float = card.decode["region_scale"]
        self._side = card.input_px
        low, high = card.value_range
        self._scale = np.float32((high - low) / 255.0)
        self._tensor = np.empty((1, self._side, self._side, 3), np.float32)
        corners = load_neutral_face().points[list(OUTER_EYE_CORNERS)]
        self._outer_mm = float(np.linalg.norm(corners[1] - corners[0]))

    def estimate(self, image: Image, face: Face) -> Float32:
        """Measure the gaze of one face.

        Parameters
        ----------
        image : (H, W, 3) uint8
            BGR, the frame the face was measured in.
        face : Face
            Its mesh gives the eyes' corners, its pose the head's rotation and the line of sight,
            its quality the scale, its openness whether there is an iris to see.

        Returns
        -------
        (2,) float32
            ``gaze_angle_x, gaze_angle_y`` in radians in camera space, mean of the eyes that can
            be seen: x grows towards the image's right, y downwards; both 0 = along the camera's
            axis, towards it. NaN where both eyes are shut, or irises are under 6 pixels.
        """
        nothing = np.full(2, np.nan, np.float32)
        px_per_mm = face.quality.size_px / self._outer_mm
        if not px_per_mm * IRIS_MM >= _MIN_IRIS_PX:
            return nothing
        corners = face.mesh.points[[*RIGHT_EYE_CORNERS, *LEFT_EYE_CORNERS], :2].reshape(2, 2, 2)
        widths = np.linalg.norm(corners[:, 1] - corners[:, 0], axis=1)
        seen = (widths >= _MIN_WIDTH_RATIO * widths.max()) & (face.eye_openness >= _MIN_OPENNESS)
        rotation = rotation_matrix(face.pose.rotation_rad)
        offsets = []
        for eye, outward in enumerate((-1.0, 1.0)):
            points = self._find_points(image, corners[eye], outward > 0) if seen[eye] else None
            if points is not None:
                iris, outer, inner = points
                temple, down, deep = EYE_CENTER_MM
                center = rotation[:2] @ (outward * temple, down, deep)
                offsets.append((iris - (outer + inner) / 2.0) / px_per_mm - center)
        if not offsets:
            return nothing
        x, y = (np.mean(offsets, axis=0) / EYE_RADIUS_MM).tolist()
        stretch = max(1.0, math.hypot(x, y) / _MAX_OFFSET)
        x, y = x / stretch, y / stretch
        depth = math.sqrt(1.0 - x * x - y * y)
        # The image of a face shows angles against the line of sight to it, not against the
        # camera's axis: someone at the left border who looks into the camera looks right.
        to_x, to_y, to_z = face.pose.translation_mm.tolist()
        return np.array(
            [
                math.atan2(x, depth) - math.atan2(to_x, to_z),
                math.atan2(y, depth) - math.atan2(to_y, to_z),
            ],
            np.float32,
        )

    def _find_points(self, image: Image, corners: Float32, mirrored: bool) -> Float32 | None:
        """Return iris centre, outer and inner corner of one eye in frame pixels, (3, 2).

        The network's own corners, which fit its iris better than the mesh's. None where the
        region is outside the frame.
        """
        (x0, y0), (x1, y1) = corners.tolist()
        region = Region(
            center=((x0 + x1) / 2.0, (y0 + y1) / 2.0),
            size_px=self._region_scale * max(abs(x1 - x0), abs(y1 - y0)),
            angle_rad=math.atan2(y1 - y0, x1 - x0),
        )
        if not region.touches(image):
            return None
        patch = cut_patch(image, region, self._side)
        np.multiply(patch[:, ::-1] if mirrored else patch, self._scale, out=self._tensor[0])
        outputs = self._engine.infer({self._input: self._tensor})
        iris, eye = outputs[self._iris].reshape(-1, 3), outputs[self._eye].reshape(-1, 3)
        points = np.stack((iris[0, :2], *eye[self._corners, :2]))
        if mirrored:
            points[:, 0] = self._side - points[:, 0]
        c, s, left, top = region.to_frame(self._side)
        turn = np.array(((c, s), (-s, c)), np.float32)
        return np.asarray(points @ turn + np.array((left, top), np.float32), np.float32)

    def close(self) -> None:
        """Free the network. Idempotent."""
        self._engine.close()
