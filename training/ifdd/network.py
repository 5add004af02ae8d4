"""IFDD as published, with its key names: a clip of 16 frames -> 7 expressions.

Zhang et al., "Lifting Scheme-Based Implicit Disentanglement of Emotion-Related Facial Dynamics in
the Wild", AAAI 2025. Written from a specification; for training and export only. What runs is the
exported form of ``deploy``.
"""

from __future__ import annotations

from math import prod
from typing import Final

import torch
from torch import Tensor, nn

from training.ifdd.backbone import HEAD, SIDE, STAGE2_BLOCK, MViT, patches_of
from training.ifdd.lifting import CHANNELS, SLOTS, Lifting

EXPRESSIONS: Final = ("happiness", "sadness", "neutral", "anger", "surprise", "disgust", "fear")
"""In DFEW's order: its annotations count from 1."""

FRAMES: Final = 16


class Embedding(nn.Module):
    """Patches of 3 frames and 7x7 pixels -> tokens of 96 channels, in eight time slots."""

    def __init__(self, frames: int) -> None:
        super().__init__()
        self.conv_proj = nn.Conv3d(3, HEAD, (3, 7, 7), (2, 4, 4), (1, 3, 3))
        self._slots = frames // 2 // SLOTS  # averaged to one

    def forward(self, clip: Tensor) -> Tensor:
        """Embed (n, 3, T, 224, 224) as (n, 96, 8, 56, 56)."""
        embedded = self.conv_proj(clip)
        if self._slots > 1:
            embedded = nn.functional.avg_pool3d(embedded, (self._slots, 1, 1))
        return embedded  # type: ignore[no-any-return]


class Pyramid(nn.Module):
    """Backbone, the fusion of its last two stages, and the lifting scheme on it."""

    def __init__(self, side: int) -> None:
        super().__init__()
        self.backbone = MViT(side)
        self.grids = tuple(self.backbone.shapes[k].grid_q for k in (STAGE2_BLOCK, -1))
        middle, last = (self.backbone.shapes[k].outward for k in (STAGE2_BLOCK, -1))
        self.PANLayer = nn.Sequential(nn.Conv2d(middle, middle, 3, 2, 2, dilation=2, bias=False))
        self.CatConv = nn.Conv2d(middle + last, CHANNELS, 1, bias=False)
        self.WaveLifts = Lifting(prod(self.grids[1][1:]))

    def fuse(self, middle: Tensor, last: Tensor) -> Tensor:
        """Fuse tokens of both stages to slots (n, 8, 49, 768); class tokens are dropped."""
        fine, coarse = (patches_of(*part) for part in zip((middle, last), self.grids, strict=True))
        fused = self.CatConv(torch.cat([self.PANLayer(fine), coarse], 1))
        return fused.flatten(2).transpose(1, 2).unflatten(0, (-1, SLOTS))  # type: ignore[no-any-return]

    def forward(self, embedded: Tensor) -> tuple[Tensor, Tensor]:
        """Return the feature (n, 768) and ``pool_a`` (n, 7, 7) of an embedded clip."""
        return self.WaveLifts(self.fuse(*self.backbone(embedded)))  # type: ignore[no-any-return]


class Head(nn.Module):
    """Feature -> logits."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.head = nn.Sequential(nn.Dropout(0.5), nn.Linear(CHANNELS, classes))
        nn.init.trunc_normal_(self.head[1].weight, std=0.01)
        nn.init.zeros_(self.head[1].bias)

    def forward(self, feature: Tensor) -> Tensor:
        """Classify (n, 768)."""
        return self.head(feature)  # type: ignore[no-any-return]


class IFDD(nn.Module):
    """The published network; its state dict is the official one.

    Parameters
    ----------
    classes : int
        Expressions: 7 for DFEW and FERV39k, 11 for MAFW.
    frames : int
        Of a clip: 16, for MAFW 32.
    side : int
        Of a frame, pixels, a multiple of 32; the published weights are for 224.
    """

    def __init__(
        self, classes: int = len(EXPRESSIONS), frames: int = FRAMES, side: int = SIDE
    ) -> None:
        super().__init__()
        self.side = side
        self.embed = Embedding(frames)
        self.backbone = Pyramid(side)
        self.head = Head(classes)

    def forward(self, clip: Tensor) -> Tensor | tuple[Tensor, Tensor, Tensor]:
        """Read clips.

        Parameters
        ----------
        clip : (n, 3, frames, 224, 224) float
            RGB, 0 to 1, an aligned or cropped face; no mean is taken off.

        Returns
        -------
        (n, classes) float
            Logits, of DFEW in the order of EXPRESSIONS; in training also ``pool_a`` (n, 7, 7) and
            the feature (n, 768).
        """
        feature, lost = self.backbone(self.embed(clip))
        logits = self.head(feature)
        return (logits, lost, feature) if self.training else logits
