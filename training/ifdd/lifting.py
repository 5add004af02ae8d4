"""IFDD's lifting scheme over eight time slots: an adaptive split, then update and predict.

Where a wavelet splits a signal into even and odd samples, the ISSM (inter-frame static-dynamic
splitting module) samples four slots that resemble the others and four that differ, at learned
fractional times; where the wavelet's steps are filters, the LADM (lifting-based aggregation-
disentanglement module) updates the static part by attention to the dynamic one, and predicts it
away from the dynamic one. Zhang et al., "Lifting Scheme-Based Implicit Disentanglement of
Emotion-Related Facial Dynamics in the Wild", AAAI 2025.
"""

from __future__ import annotations

from math import isqrt
from typing import Final

import torch
from torch import Tensor, nn

from training.ifdd.backbone import SLOTS, drop_path, perceptron

CHANNELS: Final = 768
HEADS: Final = 8
PLACES: Final = 49
_LOOK: Final = 7  # channels in which slots are compared
_REACH: Final = 2.0  # slots by which a sample may leave its anchor
_DROP_PATH: Final = 0.2


class AdaptiveSplit(nn.Module):
    """ISSM: eight slots -> four static and four dynamic ones."""

    index_even: Tensor
    index_odd: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.dim_project = nn.Sequential(nn.Conv2d(CHANNELS, _LOOK, 1), nn.GELU())
        # In the published weights, and used nowhere.
        self.time_project = nn.Sequential(nn.Linear(SLOTS, SLOTS), nn.GELU(), nn.Linear(SLOTS, 1))
        self.offset_project_approx = nn.Sequential(nn.Linear(SLOTS**2, SLOTS // 2, bias=False))
        self.offset_project_detail = nn.Sequential(nn.Linear(SLOTS**2, SLOTS // 2, bias=False))
        self.register_buffer("index_even", torch.arange(0, SLOTS, 2))
        self.register_buffer("index_odd", torch.arange(1, SLOTS, 2))
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.trunc_normal_(module.weight, std=0.03)

    def similarity(self, x: Tensor) -> Tensor:
        """Compare slots (n, 8, 49, 768) with each other: (n, 8, 8)."""
        n = len(x)
        side = isqrt(x.shape[2])
        pictures = x.reshape(n * SLOTS, side, side, CHANNELS).permute(0, 3, 1, 2)
        look = self.dim_project(pictures).reshape(n, SLOTS, -1)
        return look @ look.transpose(1, 2) / CHANNELS  # type: ignore[no-any-return]

    def indices(self, similarity: Tensor) -> tuple[Tensor, Tensor]:
        """Return the times (n, 4) at which the static and the dynamic part are sampled."""
        alike = similarity.softmax(-1).flatten(1)
        unlike = (-similarity).softmax(-1).flatten(1)
        static = self.index_even + _REACH * torch.tanh(self.offset_project_approx(alike))
        dynamic = self.index_odd + _REACH * torch.tanh(self.offset_project_detail(unlike))
        return static, dynamic

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Split (n, 8, 49, 768) into static and dynamic slots, each (n, 4, 49, 768)."""
        static, dynamic = self.indices(self.similarity(x))
        return _sample(x, static), _sample(x, dynamic)


def _sample(x: Tensor, index: Tensor) -> Tensor:
    """Sample slots at fractional times, as the published code does.

    The times are normalised as if the outermost ones lay on the first and last slot, and sampled as
    if they lay on their borders: time i is read at i * 8 / 7 - 1 / 2.
    """
    n, slots = x.shape[:2]
    column = x.reshape(n, slots, -1).transpose(1, 2)[..., None]
    height = 2.0 * index / (slots - 1) - 1.0
    grid = torch.stack([torch.zeros_like(height), height], -1)[:, :, None]
    sampled = nn.functional.grid_sample(
        column, grid, mode="bilinear", padding_mode="border", align_corners=False
    )
    return sampled[..., 0].transpose(1, 2).reshape(n, -1, *x.shape[2:])


def attend(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """Multi-head attention of (n, tokens, 768), 8 heads of 96."""
    q, k, v = (part.unflatten(2, (HEADS, -1)).transpose(1, 2) for part in (q, k, v))
    weights = (q @ k.transpose(2, 3) * q.shape[-1] ** -0.5).softmax(-1)
    return (weights @ v).transpose(1, 2).flatten(2)


class Lifting(nn.Module):
    """LADM with its ISSM: (n, 8, 49, 768) -> feature (n, 768).

    Parameters
    ----------
    places : int
        In which a slot is told apart, side by side in a square.
    """

    def __init__(self, places: int = PLACES) -> None:
        super().__init__()
        # In the published weights, and used nowhere.
        self.spatial_pos = nn.Parameter(torch.zeros(places, CHANNELS))
        self.temporal_pos = nn.Parameter(torch.zeros(SLOTS, CHANNELS))
        self.class_pos = nn.Parameter(torch.zeros(CHANNELS))
        self.adapt_split = AdaptiveSplit()
        for name in ("xa_norm", "xd_norm", "out_norm1", "out_norm2"):
            setattr(self, name, nn.LayerNorm(CHANNELS))
        self.q_a, self.q_d = nn.Linear(CHANNELS, CHANNELS), nn.Linear(CHANNELS, CHANNELS)
        self.kv_a, self.kv_d = nn.Linear(CHANNELS, 2 * CHANNELS), nn.Linear(CHANNELS, 2 * CHANNELS)
        self.project_a = nn.Sequential(nn.Linear(CHANNELS, CHANNELS))
        self.project_d = nn.Sequential(nn.Linear(CHANNELS, CHANNELS))
        self.qkv = nn.Linear(CHANNELS, 3 * CHANNELS)
        self.project = nn.Sequential(nn.Linear(CHANNELS, CHANNELS))
        self.mlp = perceptron(CHANNELS)
        self.project_compress = nn.Linear(SLOTS // 2 * places, 1, bias=False)

    def split(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return the normed static and dynamic tokens, each (n, 196, 768)."""
        static, dynamic = self.adapt_split(x)
        return self.xa_norm(static.flatten(1, 2)), self.xd_norm(dynamic.flatten(1, 2))

    def update(self, static: Tensor, dynamic: Tensor) -> Tensor:
        """Add to the static part what the dynamic one says of it."""
        k, v = self.kv_d(dynamic).chunk(2, -1)
        return static + self.project_a(attend(self.q_a(static), k, v) + v)  # type: ignore[no-any-return]

    def predict(self, static: Tensor, dynamic: Tensor) -> Tensor:
        """Take from the dynamic part what the updated static one predicts of it."""
        k, v = self.kv_a(static).chunk(2, -1)
        return dynamic - self.project_d(attend(self.q_d(dynamic), k, v) + v)  # type: ignore[no-any-return]

    def relate(self, dynamic: Tensor) -> Tensor:
        """Let the dynamic tokens attend to each other."""
        q, k, v = self.qkv(self.out_norm1(dynamic)).chunk(3, -1)
        return dynamic + drop_path(self.project(attend(q, k, v)), _DROP_PATH, self.training)

    def transform(self, dynamic: Tensor) -> Tensor:
        """Pass the dynamic tokens through the perceptron, which has no shortcut."""
        return drop_path(self.mlp(self.out_norm2(dynamic)), _DROP_PATH, self.training)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Lift.

        Returns
        -------
        feature : (n, 768)
        pool_a : (n, 7, 7)
            What the static part lost against plain averages in time; the decoupling loss draws it
            to zero.
        """
        static, dynamic = self.split(x)
        static = self.update(static, dynamic)
        dynamic = self.transform(self.relate(self.predict(static, dynamic)))
        feature = self.project_compress(dynamic.transpose(1, 2))[..., 0]
        averages = x.unflatten(1, (SLOTS // 2, 2)).mean(2).flatten(1, 2)
        side = isqrt(x.shape[2])
        lost = (averages - static).unflatten(1, (SLOTS // 2, side, side)).mean((1, 4))
        return feature, lost
