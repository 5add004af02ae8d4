"""Faces in a whole frame: BlazeFace, short and full range, by our own decode.

The decode follows MediaPipe 0.10.21's face detection graphs: letterboxed square input, anchors at
cell centres, clipped sigmoid, weighted non-maximum suppression.
"""

from __future__ import annotations

import contextlib
import math
from typing import TYPE_CHECKING, Annotated, ClassVar, Final, Literal

import cv2
import numpy as np
from pydantic import Field

from affect_engines import load_card, open_engine
from affect_engines.base import Closeable
from realtime_affect.settings import Section
from realtime_affect.types import Detections

if TYPE_CHECKING:
    from collections.abc import Sequence

    from affect_engines import Engine, ModelCard
    from realtime_affect.types import Float32, Image

SMALL_FACE_PX: Final = 40
"""The smallest face, in width, that a thorough search of a still looks for."""

_WARP = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
_FIND_FROM = 0.1  # width of a face, over the side of the input, from which full range finds it
_MAX_LEVEL_TILES = 10  # tiles are not smaller than this part of the longer side: 8K takes seconds
_SAME_FACE = 0.4  # part of the smaller box from which two boxes of different levels are one face
_SAME_BOX = 0.5  # intersection over union from which they are also the same box
_TINY = np.float32(1e-9)


class DetectConfig(Section):
    """How faces are found.

    Attributes
    ----------
    range : {"auto", "short", "full"}
        The network. ``"full"`` finds faces from 0.07 to 0.8 of the image's longer side,
        ``"short"`` from 0.15 to 1 at a third of the time (faces of 8 clips, scaled). ``"auto"``
        runs full, and short too where full finds nothing: one face that fills the image.
    min_score : float, optional
        Least detection confidence in (0, 1); None takes each card's.
    smallest_px : int, optional
        Width of the smallest faces to find in a video, in pixels, 20 at least: for crowds. Each
        search then also looks at overlapping tiles of ten times that side. In 1080p with 40 it
        costs 46 passes instead of one, some 0.3 s on a core. None: the whole image alone.

    Raises
    ------
    UsageError
        A value is none of these.
    """

    section: ClassVar[str] = "detect"
    hint: ClassVar[str] = "Leave it out for the networks' own."

    range: Literal["auto", "short", "full"] = "auto"
    min_score: Annotated[float, Field(gt=0.0, lt=1.0)] | None = None
    smallest_px: Annotated[int, Field(ge=20)] | None = None


class FaceDetector(Closeable):
    """BlazeFace on one thread.

    Raises
    ------
    ModelError
        A network's file is missing or damaged.
    """

    def __init__(self, config: DetectConfig | None = None) -> None:
        config = config or DetectConfig()
        self._smallest_px = config.smallest_px
        names = {"auto": ("full", "short"), "full": ("full",), "short": ("short",)}[config.range]
        self.cards = tuple(load_card(f"blazeface_{name}") for name in names)
        with contextlib.ExitStack() as opened:  # a constructor that fails leaves nothing open
            self._nets = tuple(
                opened.enter_context(contextlib.closing(_BlazeFace(card, config.min_score)))
                for card in self.cards
            )
            self._opened = opened.pop_all()

    def detect(self, image: Image, thorough: bool = False) -> Detections:
        """Find the faces of one image.

        Parameters
        ----------
        image : (H, W, 3) uint8
            BGR, any size from 1x1.
        thorough : bool
            For stills: search overlapping tiles too, ever smaller ones until faces of
            :data:`SMALL_FACE_PX` are found, or of a 100th of the longer side where that is more.
            A 1280x960 image costs 31 passes instead of one.

        Returns
        -------
        Detections
            Best first; boxes may reach beyond the border.
        """
        for net in self._nets:
            found = net.detect(image)
            if len(found):
                break
        if thorough:
            return _search_tiles(self._nets[0], image, found, _levels(image))
        if self._smallest_px is not None:
            side = math.ceil(self._smallest_px / _FIND_FROM)
            if side < max(image.shape[:2]):
                return _search_tiles(self._nets[0], image, found, [side])
        return found

    def close(self) -> None:
        """Free the networks. Idempotent."""
        self._opened.close()


class _BlazeFace:
    """One BlazeFace network: an image in, candidates after suppression out."""

    def __init__(
        self, card: ModelCard, min_score: float | None, engine: Engine | None = None
    ) -> None:
        decode = card.decode
        self._engine = open_engine(card) if engine is None else engine
        self._input = self._engine.inputs[0].name
        self._boxes: str = decode["boxes"]
        self._scores: str = decode["scores"]
        self._nms_iou: float = decode["nms_iou"]
        self._clip: float = decode["score_clip"]
        self._min_score: float = decode["min_score"] if min_score is None else min_score
        # Compared before the sigmoid: a logarithm once instead of an exponential an anchor.
        self._min_logit = math.log(self._min_score / (1.0 - self._min_score))
        self._side = card.input_px
        low, high = card.value_range
        self._scale, self._offset = np.float32((high - low) / 255.0), np.float32(low)
        self._anchors = _anchors(card.input_px, decode["strides"], decode["anchors_per_cell"])
        self._tensor = np.empty((1, self._side, self._side, 3), np.float32)

    def detect(self, image: Image) -> Detections:
        """Find faces in one letterboxed pass."""
        height, width = image.shape[:2]
        zoom = max(height, width) / self._side
        left, top = (width - zoom * self._side) / 2.0, (height - zoom * self._side) / 2.0
        # Input pixel (u, v) samples the image at (zoom u + left, zoom v + top), corner to
        # corner as in MediaPipe; half a pixel's difference moves the mesh by 0.7% of the face.
        warp = np.array(((zoom, 0.0, left), (0.0, zoom, top)))
        small = cv2.warpAffine(image, warp, (self._side, self._side), flags=_WARP)
        cv2.cvtColor(small, cv2.COLOR_BGR2RGB, dst=small)
        np.multiply(small, self._scale, out=self._tensor[0])
        self._tensor += self._offset
        outputs = self._engine.infer({self._input: self._tensor})
        logits = outputs[self._scores].reshape(-1)
        (index,) = np.nonzero(logits >= self._min_logit)
        score = 1.0 / (1.0 + np.exp(-np.clip(logits[index], -self._clip, self._clip)))
        values = outputs[self._boxes].reshape(len(logits), -1)[index]
        points = values.reshape(-1, values.shape[1] // 2, 2)  # centre, size, keypoints
        points[:, 0] += self._anchors[index]
        points[:, 2:] += self._anchors[index, None]
        half = points[:, 1] / 2.0
        points[:, 1] = points[:, 0] + half
        points[:, 0] -= half
        points, score = suppress_weighted(points, score, self._nms_iou)
        points = points * np.float32(zoom) + np.array((left, top), np.float32)
        return Detections(points[:, :2].reshape(-1, 4), score, points[:, 2:])

    def close(self) -> None:
        self._engine.close()


def _levels(image: Image) -> list[int]:
    """Return the sides of tiles for a thorough search: each half of the one before."""
    longer = max(image.shape[:2])
    smallest = math.ceil(max(SMALL_FACE_PX / _FIND_FROM, longer / _MAX_LEVEL_TILES))
    sides = [longer]
    while sides[-1] > smallest:
        sides.append(max(math.ceil(sides[-1] / 2), smallest))
    return sides[1:]


def _search_tiles(
    net: _BlazeFace, image: Image, found: Detections, sides: Sequence[int]
) -> Detections:
    """Add the faces that overlapping tiles show to those `found` in the whole image.

    `sides` are those of the tiles, one level each, coarser first; tiles overlap by half, so a face
    of up to half a tile lies whole in one of them. What lies in a face of a coarser level is
    dropped: finer levels see faces in parts of faces.
    """
    height, width = image.shape[:2]
    for side in sides:
        for top in _starts(height, side):
            for left in _starts(width, side):
                tile = image[top : top + side, left : left + side]
                new = _shift(net.detect(tile), left, top)
                new = _drop_cut(new, (left, top, left + side, top + side), (width, height))
                found = _add_apart(found, new)
    order = np.argsort(-found.score, kind="stable")
    return Detections(found.xyxy[order], found.score[order], found.keypoints[order])


def _starts(length: int, side: int) -> list[int]:
    """Return where tiles of `side` start along `length`, overlapping by at least a half."""
    if length <= side:
        return [0]
    n = math.ceil((length - side) / (side / 2)) + 1
    return [round(i * (length - side) / (n - 1)) for i in range(n)]


def _shift(found: Detections, left: int, top: int) -> Detections:
    """Return detections of a tile in the image's pixels."""
    by = np.array((left, top), np.float32)
    return Detections(found.xyxy + np.tile(by, 2), found.score, found.keypoints + by)


def _drop_cut(
    found: Detections, tile: tuple[int, int, int, int], size: tuple[int, int]
) -> Detections:
    """Drop boxes that reach beyond their tile where the image goes on."""
    (left, top, right, bottom), (width, height) = tile, size
    low = np.array((left if left > 0 else -np.inf, top if top > 0 else -np.inf))
    high = np.array((right if right < width else np.inf, bottom if bottom < height else np.inf))
    whole = np.all((found.xyxy[:, :2] >= low) & (found.xyxy[:, 2:] <= high), axis=1)
    return Detections(found.xyxy[whole], found.score[whole], found.keypoints[whole])


def _add_apart(found: Detections, new: Detections) -> Detections:
    """Append those of `new` that share less than `_SAME_FACE` with each of `found`.

    One that is the same box seen better, larger in its tile, takes the other's place.
    """
    xyxy, score, keypoints = list(found.xyxy), list(found.score), list(found.keypoints)
    for i in range(len(new)):
        box = new.xyxy[i]
        place = len(xyxy)
        if xyxy:
            known = np.stack(xyxy)
            same = overlap(box, known)
            nearest = int(same.argmax())
            if same[nearest] >= _SAME_BOX and new.score[i] > score[nearest]:
                place = nearest
            elif float(_covered(box, known).max()) >= _SAME_FACE:
                continue
        for values, value in ((xyxy, box), (score, new.score[i]), (keypoints, new.keypoints[i])):
            values[place : place + 1] = [value]
    return Detections(
        np.array(xyxy, np.float32).reshape(-1, 4),
        np.array(score, np.float32),
        np.array(keypoints, np.float32).reshape(-1, *new.keypoints.shape[1:]),
    )


def suppress_weighted(points: Float32, score: Float32, max_iou: float) -> tuple[Float32, Float32]:
    """Merge candidates of the same face: weighted non-maximum suppression.

    The best candidate left takes all those that overlap it; the result is their mean weighted by
    score, and keeps the best one's score (Bazarevsky et al. 2019, section 3.4).

    Parameters
    ----------
    points : (n, 2 + k, 2) float32
        Top-left corner, bottom-right corner, k keypoints.
    score : (n,) float32
    max_iou : float
        Candidates that overlap more than this are the same face.

    Returns
    -------
    points : (m, 2 + k, 2) float32
    score : (m,) float32
        Best first.
    """
    order = np.argsort(-score, kind="stable")
    points, score = points[order], score[order]
    merged: list[Float32] = []
    kept: list[float] = []
    while len(score):
        same = overlap(points[0, :2].reshape(4), points[:, :2].reshape(-1, 4)) > max_iou
        same[0] = True
        weight = score[same]
        merged.append(np.tensordot(weight / weight.sum(), points[same], axes=1))
        kept.append(float(score[0]))
        points, score = points[~same], score[~same]
    if not merged:
        return points, score
    return np.stack(merged).astype(np.float32), np.array(kept, np.float32)


def overlap(box: Float32, boxes: Float32) -> Float32:
    """Return the intersection over union of `box` (4,) with each of `boxes` (n, 4), xyxy."""
    shared, area, areas = _areas(box, boxes)
    return np.asarray(shared / np.maximum(area + areas - shared, _TINY), np.float32)


def _covered(box: Float32, boxes: Float32) -> Float32:
    """Return the intersection over the smaller of `box` (4,) and each of `boxes` (n, 4), xyxy."""
    shared, area, areas = _areas(box, boxes)
    return np.asarray(shared / np.maximum(np.minimum(areas, area), _TINY), np.float32)


def _areas(box: Float32, boxes: Float32) -> tuple[Float32, Float32, Float32]:
    """Return the areas of the intersections, of `box` and of each of `boxes`."""
    zero = np.float32(0.0)
    shared = np.minimum(box[2:], boxes[:, 2:]) - np.maximum(box[:2], boxes[:, :2])
    return (
        np.maximum(shared, zero).prod(axis=1),
        np.maximum(box[2:] - box[:2], zero).prod(),
        np.maximum(boxes[:, 2:] - boxes[:, :2], zero).prod(axis=1),
    )


def _anchors(side: int, strides: list[int], per_cell: list[int]) -> Float32:
    """Return the anchors' centres in input pixels, (n, 2): by stride, row, column, anchor."""
    grids = []
    for stride, n in zip(strides, per_cell, strict=True):
        cells = math.ceil(side / stride)
        y, x = np.mgrid[:cells, :cells]
        centers = (np.stack((x, y), axis=-1).reshape(-1, 2) + 0.5) * (side / cells)
        grids.append(np.repeat(centers, n, axis=0))
    return np.concatenate(grids).astype(np.float32)
