"""Eye corners -> where each iris lies beside the middle of its eye, by one of two networks.

The iris network (card ``iris``, MediaPipe's) finds iris and corners in a square around one eye: two
runs a face. The eye network (card ``eye_live``) learned from its answers to tell their difference
alone, in narrow patches of both eyes at once, at a twentieth of its cost (``training/gaze``).
Patches lie along the line between an eye's corners; the left eye is mirrored, because both
networks know right ones only.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final, Protocol

import numpy as np

from affect_engines import load_card, open_engine
from affect_engines.base import Closeable
from affect_kernels.affine_cut.cpu import cut_grey
from realtime_affect.face.region import Region, cut_patch

if TYPE_CHECKING:
    from collections.abc import Sequence

    from affect_engines import Engine, ModelCard
    from realtime_affect.types import Float32, Image

PATCH_PX: Final = (64, 32)
"""Width and height of what the eye network sees of one eye."""

PATCH_SCALE: Final = 1.6
"""Width of that patch over the distance of the eye's corners."""


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


class EyeNetFinder(Closeable):
    """The eye network on one thread, one run for all eyes of all faces; see :class:`EyeFinder`.

    Parameters
    ----------
    engine : Engine, optional
        The network of the card ``eye_live``; None opens it. Closed with the finder.

    Raises
    ------
    ModelError
        The network's file is missing or damaged.
    """

    def __init__(self, engine: Engine | None = None) -> None:
        card = load_card("eye_live")
        self.cards = (card,)
        self._engine = open_engine(card) if engine is None else engine

    def find(self, image: Image, eyes: Sequence[Eyes]) -> Float32:
        """As :meth:`EyeFinder.find`."""
        width, height = PATCH_PX
        patches = np.zeros((len(eyes), 2, height, width), np.uint8)
        turns = np.full((len(eyes), 2, 2, 2), np.nan, np.float32)
        for i, pair in enumerate(eyes):
            for eye, corners in enumerate(pair):
                if corners is None:
                    continue
                region = eye_region(corners, PATCH_SCALE)
                if region.touches(image):
                    patches[i, eye] = cut_eye(image, region, PATCH_PX, mirrored=eye == 1)
                    c, s, _, _ = region.to_frame(width)
                    flip = -1.0 if eye else 1.0
                    turns[i, eye] = ((c * flip, -s), (s * flip, c))
        if not np.isfinite(turns).any():
            return np.full((len(eyes), 2, 2), np.nan, np.float32)
        offsets = self._engine.infer({"eyes": patches})["offsets"]
        found: Float32 = np.einsum("neab,neb->nea", turns, offsets)
        return found

    def close(self) -> None:
        """Free the network. Idempotent."""
        self._engine.close()


def cut_eye(image: Image, region: Region, size_px: tuple[int, int], *, mirrored: bool) -> Image:
    """Cut the middle rows of a region around an eye, upright and grey.

    Parameters
    ----------
    image : (H, W, 3) uint8
        BGR.
    region : Region
        From :func:`eye_region`, one that touches the image.
    size_px : (int, int)
        Width, to which the region's side is scaled, and height of the patch.
    mirrored : bool
        Whether the patch is turned over, as the left eye's is.

    Returns
    -------
    (height, width) uint8
        New; border pixels of the image repeat beyond it.
    """
    width, height = size_px
    c, s, x0, y0 = region.to_frame(width)
    above = (width - height) / 2.0
    warp = np.array(((c, -s, x0 - s * above), (s, c, y0 + c * above)))
    if mirrored:
        warp[:, 2] += warp[:, 0] * (width - 1)
        warp[:, 0] = -warp[:, 0]
    return cut_grey(image, warp, size_px)
