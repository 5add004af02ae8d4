"""Faces in a whole frame: BlazeFace, short and full range, by our own decode.

The decode follows MediaPipe 0.10.21's face detection graphs: letterboxed square input, anchors at
cell centres, clipped sigmoid, weighted non-maximum suppression.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Self

import cv2
import numpy as np

from affect_engines import load_card, open_engine
from realtime_affect.types import Detections

if TYPE_CHECKING:
    from types import TracebackType

    from affect_engines import Engine, ModelCard
    from realtime_affect.types import Float32, Image

_MAX_SIDE_PX = 8192
_N_KEYPOINTS = 6


@dataclass(frozen=True, slots=True)
class DetectConfig:
    """How faces are found.

    Attributes
    ----------
    range : {"auto", "short", "full"}
        The network.
    min_score : float, optional
        Least detection confidence in (0, 1); None takes the card's.
    """

    range: Literal["auto", "short", "full"] = "auto"
    min_score: float | None = None


class FaceDetector:
    """BlazeFace on one thread.

    Raises
    ------
    ModelError
        A network's file is missing or damaged.
    """

    def __init__(self, config: DetectConfig | None = None) -> None:
        self._config = config or DetectConfig()
        name = "short" if self._config.range == "short" else "full"
        self._net = _BlazeFace(load_card(f"blazeface_{name}"), self._config.min_score)

    def detect(self, image: Image, thorough: bool = False) -> Detections:
        """Find all faces.

        Parameters
        ----------
        image : (H, W, 3) uint8
            BGR, any size from 1x1.
        """
        return self._net.detect(image)

    def close(self) -> None:
        """Free the networks. Idempotent."""
        self._net.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


class _BlazeFace:
    """One BlazeFace network: a picture in, candidates after suppression out."""

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
        side = self._side
        height, width = image.shape[:2]
        scale = side / max(height, width)
        new_w, new_h = max(1, round(width * scale)), max(1, round(height * scale))
        small = cv2.resize(image, (new_w, new_h), interpolation=cv2.INTER_LINEAR)
        cv2.cvtColor(small, cv2.COLOR_BGR2RGB, dst=small)
        left, top = (side - new_w) // 2, (side - new_h) // 2
        tensor = self._tensor[0]
        tensor.fill(self._offset)
        inside = tensor[top : top + new_h, left : left + new_w]
        np.multiply(small, self._scale, out=inside)
        inside += self._offset
        outputs = self._engine.infer({self._input: self._tensor})
        logits = outputs[self._scores].reshape(-1)
        (index,) = np.nonzero(logits >= self._min_logit)
        values = outputs[self._boxes].reshape(len(logits), -1)[index]
        score = 1.0 / (1.0 + np.exp(-np.clip(logits[index], -self._clip, self._clip)))
        # (n, 8, 2): box centre, box size, six keypoints
        points = values[:, : 4 + 2 * _N_KEYPOINTS].reshape(-1, 2 + _N_KEYPOINTS, 2).copy()
        points[:, 0] += self._anchors[index]
        points[:, 2:] += self._anchors[index, None]
        half = points[:, 1] / 2.0
        points[:, 1] = points[:, 0] + half
        points[:, 0] -= half
        merged, score = suppress_weighted(points, score.astype(np.float32), self._nms_iou)
        # resize samples at pixel centres
        merged = (merged - np.array((left, top), np.float32)) * np.array(
            (width / new_w, height / new_h), np.float32
        )
        return Detections(merged[:, :2].reshape(-1, 4), score, merged[:, 2:])

    def close(self) -> None:
        self._engine.close()


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
    low = np.maximum(box[:2], boxes[:, :2])
    high = np.minimum(box[2:], boxes[:, 2:])
    shared = np.prod(np.maximum(high - low, 0.0), axis=1)
    area = np.prod(np.maximum(box[2:] - box[:2], 0.0))
    areas = np.prod(np.maximum(boxes[:, 2:] - boxes[:, :2], 0.0), axis=1)
    result: Float32 = shared / np.maximum(area + areas - shared, np.float32(1e-9))
    return result


def _anchors(side: int, strides: list[int], per_cell: list[int]) -> Float32:
    """Return the anchors' centres in input pixels, (n, 2): by stride, row, column, anchor."""
    grids = []
    for stride, n in zip(strides, per_cell, strict=True):
        cells = math.ceil(side / stride)
        y, x = np.mgrid[:cells, :cells]
        centers = (np.stack((x, y), axis=-1).reshape(-1, 2) + 0.5) * (side / cells)
        grids.append(np.repeat(centers, n, axis=0))
    return np.concatenate(grids).astype(np.float32)
