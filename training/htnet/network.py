"""HTNet: the class of a micro-expression from the optical flow between its onset and its apex.

Wang, Zhang, Luo, Kang & Wang, "HTNet for micro-expression recognition", 2023 (arXiv 2307.14637),
with the names of its released code. It is a nested transformer (Zhang et al., "Nested hierarchical
transformer", 2022) over a 4x4 grid of patches: attention inside blocks, a convolution and a
max-pool between the levels.

At the published size a block is one patch, so attention has one token to attend to and does
nothing: softmax over a single number is one (see ``deploy``).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import torch
from torch import Tensor, nn

CLASSES: Final = ("negative", "positive", "surprise")
_EPS: Final = 1e-5


@dataclass(frozen=True, slots=True)
class HTNetConfig:
    """Sizes; the defaults are the published ones.

    Attributes
    ----------
    image_px, patch_px : int
        Sides of the flow image and of a patch.
    channels : int
        Of the image.
    width : int
        Channels at the lowest level; doubled at each further one.
    heads : int
        At the lowest level; doubled at each further one.
    blocks : tuple of int
        Transformer blocks of each level.
    widening : int
        Of the perceptrons.
    classes : int
    """

    image_px: int = 28
    patch_px: int = 7
    channels: int = 3
    width: int = 256
    heads: int = 3
    blocks: tuple[int, ...] = (2, 2, 10)
    widening: int = 4
    classes: int = len(CLASSES)

    @property
    def tokens_a_block(self) -> int:
        """How many patches attend to each other, at every level."""
        side = self.image_px // self.patch_px // 2 ** (len(self.blocks) - 1)
        return side * side


class ChannelNorm(nn.Module):
    """Normalise each place over its channels."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.g = nn.Parameter(torch.ones(1, channels, 1, 1))
        self.b = nn.Parameter(torch.zeros(1, channels, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        """Normalise (n, c, h, w)."""
        last = x.permute(0, 2, 3, 1)
        shape = last.shape[3:]
        last = nn.functional.layer_norm(last, shape, self.g.flatten(), self.b.flatten(), _EPS)
        return last.permute(0, 3, 1, 2)


class _Residual(nn.Module):
    """Norm, then a function."""

    def __init__(self, channels: int, fn: nn.Module) -> None:
        super().__init__()
        self.norm = ChannelNorm(channels)
        self.fn = fn

    def forward(self, x: Tensor) -> Tensor:
        return x + self.fn(self.norm(x))  # type: ignore[no-any-return]


class Attention(nn.Module):
    """Attention between the places of a block."""

    def __init__(self, channels: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        inner = channels // heads * heads
        self.scale = (channels // heads) ** -0.5
        self.to_qkv = nn.Conv2d(channels, 3 * inner, 1, bias=False)
        self.to_out = nn.Sequential(nn.Conv2d(inner, channels, 1), nn.Dropout(0.0))

    def forward(self, x: Tensor) -> Tensor:
        """Attend in each of (n, c, h, w)."""
        h, w = x.shape[2:]
        q, k, v = (
            part.unflatten(1, (self.heads, -1)).flatten(3) for part in self.to_qkv(x).chunk(3, 1)
        )
        weights = (q.transpose(2, 3) @ k * self.scale).softmax(-1)
        out = (v @ weights.transpose(2, 3)).flatten(1, 2).unflatten(2, (h, w))
        return self.to_out(out)  # type: ignore[no-any-return]


class Perceptron(nn.Module):
    """Two layers, at each place."""

    def __init__(self, channels: int, widening: int) -> None:
        super().__init__()
        self.net = nn.Sequential(
            nn.Conv2d(channels, widening * channels, 1), nn.GELU(), nn.Dropout(0.0),
            nn.Conv2d(widening * channels, channels, 1), nn.Dropout(0.0),
        )  # fmt: skip

    def forward(self, x: Tensor) -> Tensor:
        """Transform (n, c, h, w)."""
        return self.net(x)  # type: ignore[no-any-return]


class Stage(nn.Module):
    """The transformer blocks of one level, on blocks of patches folded into the batch."""

    def __init__(self, config: HTNetConfig, level: int) -> None:
        super().__init__()
        channels, heads = config.width << level, config.heads << level
        self.pos_emb = nn.Parameter(torch.randn(config.tokens_a_block))
        self.layers = nn.ModuleList(
            nn.ModuleList([
                _Residual(channels, Attention(channels, heads)),
                _Residual(channels, Perceptron(channels, config.widening)),
            ])
            for _ in range(config.blocks[level])
        )  # fmt: skip

    def forward(self, x: Tensor) -> Tensor:
        """Transform (n, c, h, w)."""
        x = x + self.pos_emb.view(1, 1, *x.shape[2:])
        for attention, perceptron in self.layers:  # type: ignore[misc]
            x = perceptron(attention(x))
        return x


class Patches(nn.Module):
    """Cut an image into patches, each a vector: rows, columns, channels, the last fastest."""

    def __init__(self, side: int) -> None:
        super().__init__()
        self.side = side

    def forward(self, images: Tensor) -> Tensor:
        """Cut (n, c, h, w)."""
        p = self.side
        cut = images.unflatten(2, (-1, p)).unflatten(4, (-1, p))  # n, c, rows, p, columns, p
        return cut.permute(0, 3, 5, 1, 2, 4).flatten(1, 3)


class HTNet(nn.Module):
    """Flow images (n, 3, 28, 28), 0 to 255, as strain, v, u -> logits (n, 3) of CLASSES.

    139,582,982 parameters and 214 MMAC at the published size.
    """

    def __init__(self, config: HTNetConfig | None = None) -> None:
        super().__init__()
        config = config or HTNetConfig()
        self.config = config
        self.to_patch_embedding = nn.Sequential(
            Patches(config.patch_px),
            nn.Conv2d(config.channels * config.patch_px**2, config.width, 1),
        )
        levels = len(config.blocks)
        self.layers = nn.ModuleList(
            nn.ModuleList([
                Stage(config, level),
                aggregation(config.width << level) if level < levels - 1 else nn.Identity(),
            ])
            for level in range(levels)
        )  # fmt: skip
        top = config.width << (levels - 1)
        self.mlp_head = nn.Sequential(
            ChannelNorm(top), _SpatialMean(), nn.Linear(top, config.classes)
        )

    def forward(self, images: Tensor) -> Tensor:
        """Classify."""
        x = self.to_patch_embedding(images)
        for level, (stage, aggregate) in enumerate(self.layers):  # type: ignore[misc, arg-type]
            side = 1 << (len(self.layers) - 1 - level)
            x = aggregate(unfold(stage(fold(x, side)), side))
        return self.mlp_head(x)  # type: ignore[no-any-return]


class _SpatialMean(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x.mean((2, 3))


def aggregation(channels: int) -> nn.Sequential:
    """Return what joins four neighbouring blocks: the only step that mixes places of blocks."""
    return nn.Sequential(
        nn.Conv2d(channels, 2 * channels, 3, padding=1), ChannelNorm(2 * channels),
        nn.MaxPool2d(3, 2, 1),
    )  # fmt: skip


def fold(x: Tensor, side: int) -> Tensor:
    """Put the side x side blocks of (n, c, h, w) into the batch, row by row."""
    _, c, h, w = x.shape
    cut = x.reshape(-1, c, side, h // side, side, w // side)
    return cut.permute(0, 2, 4, 1, 3, 5).reshape(-1, c, h // side, w // side)


def unfold(x: Tensor, side: int) -> Tensor:
    """Invert :func:`fold`."""
    _, c, h, w = x.shape
    cut = x.reshape(-1, side, side, c, h, w)
    return cut.permute(0, 3, 1, 4, 2, 5).reshape(-1, c, side * h, side * w)
