"""Eye corners -> where each iris lies beside the middle of its eye.

The iris network (card ``iris``, MediaPipe's) finds iris and corners in a square along the line
between an eye's corners, 2.3 times as wide as these are apart; the left eye is mirrored, because
the network knows right ones only.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Protocol

import numpy as np

from affect_engines import load_card, open_engine
from affect_engines.base import Closeable
from realtime_affect.face.region import Region, cut_patch

if TYPE_CHECKING:
    from collections.abc import Sequence

    from affect_engines import Engine, ModelCard
    from realtime_affect.types import Float32, Image


Eyes = tuple["Float32 | None", "Float32 | None"]
"""Of a face the corners (2, 2) of the right and of the left eye in frame pixels, in the order of
the image's x of a face that looks at the camera; None for an eye that is not to be looked at."""


class EyeFinder(Protocol):
    """What :class:`~realtime_affect.affect.gaze.GazeEstimator` needs of a network."""

    @property
    def cards(self) -> tuple[ModelCard, ...]:
        """Cards of the network in use."""

    def find(self, image: Image, eyes: Sequence[Eyes]) -> Float32:
        """Find irises.

        Parameters
        ----------
        image : (H, W, 3) uint8
            BGR.
        eyes : sequence of n Eyes
            Of each face.

        Returns
        -------
        (n, 2, 2) float32
            From the middle of each eye's corners to its iris's centre, x, y in frame pixels; NaN
            where no corners were given or the eye lies outside the image.
        """

    def close(self) -> None:
        """Free the network. Idempotent."""


def eye_region(corners: Float32, scale: float) -> Region:
    """Return the square along an eye's corners (2, 2), `scale` times as wide as they are apart."""
    (x0, y0), (x1, y1) = corners.tolist()
    return Region(
        center=((x0 + x1) / 2.0, (y0 + y1) / 2.0),
        size_px=scale * max(abs(x1 - x0), abs(y1 - y0)),
        angle_rad=math.atan2(y1 - y0, x1 - x0),
    )


class IrisFinder(Closeable):
    """The iris network on one thread, one run an eye; see :class:`EyeFinder`.

    Parameters
    ----------
    engine : Engine, optional
        The network of the card ``iris``; None opens it. Closed with the finder.

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

    def find(self, image: Image, eyes: Sequence[Eyes]) -> Float32:
        """As :meth:`EyeFinder.find`."""
        found = np.full((len(eyes), 2, 2), np.nan, np.float32)
        for i, pair in enumerate(eyes):
            for eye, corners in enumerate(pair):
                if corners is not None:
                    region = eye_region(corners, self._region_scale)
                    if region.touches(image):
                        found[i, eye] = self.offset(image, region, mirrored=eye == 1)
        return found

    def offset(self, image: Image, region: Region, *, mirrored: bool) -> Float32:
        """Return what :meth:`find` does of one eye, (2,), seen in a region that touches the image.

        Against the network's own corners, which fit its iris better than the mesh's.
        """
        patch = cut_patch(image, region, self._side)
        np.multiply(patch[:, ::-1] if mirrored else patch, self._scale, out=self._tensor[0])
        outputs = self._engine.infer({self._input: self._tensor})
        iris, eye = outputs[self._iris].reshape(-1, 3), outputs[self._eye].reshape(-1, 3)
        x, y = (iris[0, :2] - eye[self._corners, :2].mean(axis=0)).tolist()
        c, s, _, _ = region.to_frame(self._side)
        x = -x if mirrored else x
        return np.array((c * x - s * y, s * x + c * y), np.float32)

    def close(self) -> None:
        """Free the network. Idempotent."""
        self._engine.close()
