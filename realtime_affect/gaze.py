"""Where the eyes look, from the iris network and a ball for an eye.

The iris centre is found in a patch around each eye; the eyeball's centre is placed behind the
middle of the eye's corners, in the head's own frame, and turned with the head. The line from one
to the other is the gaze. Patches follow MediaPipe's iris graph: a square of 2.3 times the corners'
extent along the line between them, the left eye mirrored because the network knows right ones.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final, Self

import numpy as np

from affect_engines import load_card, open_engine
from realtime_affect.pose import load_neutral_face, rotation_matrix
from realtime_affect.region import Region, cut_patch

if TYPE_CHECKING:
    from types import TracebackType

    from affect_engines import Engine
    from realtime_affect.types import Face, Float32, Image

RIGHT_CORNERS: Final = (33, 133)
LEFT_CORNERS: Final = (362, 263)
"""Mesh points of each eye's corners, in the order of the image's x."""

EYE_RADIUS_MM: Final = 12.0
"""Radius of the eyeball, as in OpenFace's eye model (Wood et al. 2015)."""

EYE_CENTER_MM: Final = (0.0, 0.0, 5.5)
"""From the middle of an eye's corners to the eyeball's centre, in the head's frame."""

IRIS_MM: Final = 11.7
"""Diameter of the iris, nearly the same in all adults."""

_MIN_IRIS_PX = 6.0
_MIN_OPENNESS = 0.1  # eye aspect ratio under which the lids cover the iris's centre
_MIN_WIDTH_RATIO = 0.7  # an eye seen narrower than this beside the other is turned away
_MAX_OFFSET = 0.87  # of the radius: 60 degrees, more than eyes turn


class GazeEstimator:
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
        self._engine = open_engine(card) if engine is None else engine
        self._input = self._engine.inputs[0].name
        self._iris: str = card.decode["iris"]
        self._region_scale: float = card.decode["region_scale"]
        self._side = card.input_px
        low, high = card.value_range
        self._scale = np.float32((high - low) / 255.0)
        self._tensor = np.empty((1, self._side, self._side, 3), np.float32)
        corners = load_neutral_face().points[[RIGHT_CORNERS[0], LEFT_CORNERS[1]]]
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
        eyes = ((RIGHT_CORNERS, False), (LEFT_CORNERS, True))
        corners = face.mesh.points[[*RIGHT_CORNERS, *LEFT_CORNERS], :2].reshape(2, 2, 2)
        widths = np.linalg.norm(corners[:, 1] - corners[:, 0], axis=1)
        seen = (widths >= _MIN_WIDTH_RATIO * widths.max()) & (face.eye_openness >= _MIN_OPENNESS)
        center = rotation_matrix(face.pose.rotation_rad) @ EYE_CENTER_MM * px_per_mm
        offsets = []
        for eye, (_, mirrored) in enumerate(eyes):
            if seen[eye]:
                iris = self._find_iris(image, corners[eye], mirrored)
                if iris is not None:
                    offsets.append(iris - corners[eye].mean(axis=0) - center[:2])
        if not offsets:
            return nothing
        x, y = (np.mean(offsets, axis=0) / (px_per_mm * EYE_RADIUS_MM)).tolist()
        stretch = max(1.0, math.hypot(x, y) / _MAX_OFFSET)
        x, y = x / stretch, y / stretch
        depth = math.sqrt(1.0 - x * x - y * y)
        # The picture of a face shows angles against the line of sight to it, not against the
        # camera's axis: someone at the left border who looks into the camera looks right.
        to_x, to_y, to_z = face.pose.translation_mm.tolist()
        return np.array(
            [
                math.atan2(x, depth) - math.atan2(to_x, to_z),
                math.atan2(y, depth) - math.atan2(to_y, to_z),
            ],
            np.float32,
        )

    def _find_iris(self, image: Image, corners: Float32, mirrored: bool) -> Float32 | None:
        """Return the iris centre of one eye in frame pixels, (2,); None outside the frame."""
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
        u, v = outputs[self._iris].reshape(-1)[:2].tolist()
        if mirrored:
            u = self._side - u
        c, s, left, top = region.to_frame(self._side)
        return np.array((c * u - s * v + left, s * u + c * v + top), np.float32)

    def close(self) -> None:
        """Free the network. Idempotent."""
        self._engine.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
