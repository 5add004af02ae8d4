"""IFDD's backbone: ten MViTv2 blocks over space and time.

Li et al., "MViTv2: Improved Multiscale Vision Transformers for Classification and Detection", 2022,
with depths 1/2/5/2. Tokens are (n, 1 + T*H*W, c): the class token first, then patches with time
slowest. Every head has 96 channels.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import Final

import torch
from torch import Tensor, nn

Grid = tuple[int, int, int]
"""Time slots, rows, columns."""

HEAD: Final = 96
EPS: Final = 1e-6  # the LADM uses PyTorch's 1e-5
SLOTS: Final = 8
SIDE: Final = 224  # pixels of a clip's frames; a patch has four


@dataclass(frozen=True, slots=True)
class BlockShape:
    """Shape of one block: channels in and out, grid in, strides of queries and of keys."""

    inward: int
    outward: int
    grid: Grid
    stride_q: int
    stride_kv: int
    drop_path: float

    @property
    def heads(self) -> int:
        """Number of heads."""
        return self.outward // HEAD

    @property
    def grid_q(self) -> Grid:
        """Grid of the queries, and of what leaves the block."""
        return _pooled(self.grid, self.stride_q)

    @property
    def grid_kv(self) -> Grid:
        """Grid of keys and values."""
        return _pooled(self.grid, self.stride_kv)


def _pooled(grid: Grid, stride: int) -> Grid:
    return grid[0], grid[1] // stride, grid[2] // stride


def block_shapes(side: int = SIDE) -> tuple[BlockShape, ...]:
    """Return the shapes of the ten blocks for frames of `side` pixels, a multiple of 32."""
    rows = (  # channels out, stride of queries, of keys and values
        (96, 1, 8), (192, 2, 4), (192, 1, 4), (384, 2, 2), (384, 1, 2), (384, 1, 2), (384, 1, 2),
        (384, 1, 2), (768, 2, 1), (768, 1, 1),
    )  # fmt: skip
    shapes, inward, grid = [], 96, (SLOTS, side // 4, side // 4)
    for k, (outward, stride_q, stride_kv) in enumerate(rows):
        shape = BlockShape(inward, outward, grid, stride_q, stride_kv, 0.2 * k / (len(rows) - 1))
        shapes.append(shape)
        inward, grid = outward, shape.grid_q
    return tuple(shapes)


BLOCKS: Final = block_shapes()
STAGE2_BLOCK: Final = 7
"""The block whose output joins the last one's in the pyramid."""


def relative_index(queries: int, keys: int) -> Tensor:
    """Return (queries, keys): which row of a relative position table belongs to a pair."""
    i = torch.arange(queries)[:, None] * max(keys // queries, 1)
    j = (keys - 1 - torch.arange(keys)[None]) * max(queries // keys, 1)
    return i + j


def drop_path(branch: Tensor, share: float, training: bool) -> Tensor:
    """Stochastic depth: leave the branch of a sample out, or scale it up."""
    if not training or share == 0:
        return branch
    kept = branch.new_empty((len(branch), *([1] * (branch.ndim - 1)))).bernoulli_(1 - share)
    return branch * kept / (1 - share)


class Pool(nn.Module):
    """Depthwise 3x3x3 convolution of the patches of every head; the class token passes by."""

    def __init__(self, stride: int) -> None:
        super().__init__()
        self.pool = nn.Conv3d(HEAD, HEAD, 3, (1, stride, stride), 1, groups=HEAD, bias=False)
        self.norm_act = nn.Sequential(nn.LayerNorm(HEAD, EPS))

    def forward(self, x: Tensor, grid: Grid) -> Tensor:
        """Pool (n, heads, 1 + T*H*W, 96)."""
        n, heads = x.shape[:2]
        token, patches = x.tensor_split((1,), dim=2)
        volume = patches.reshape(n * heads, *grid, HEAD).permute(0, 4, 1, 2, 3)
        pooled = self.pool(volume).flatten(2).transpose(1, 2).reshape(n, heads, -1, HEAD)
        return self.norm_act(torch.cat([token, pooled], 2))  # type: ignore[no-any-return]


class Attention(nn.Module):
    """Pooled attention with decomposed relative positions and a pooled query shortcut."""

    def __init__(self, shape: BlockShape) -> None:
        super().__init__()
        self.shape = shape
        self.qkv = nn.Linear(shape.inward, 3 * shape.outward)
        self.project = nn.Sequential(nn.Linear(shape.outward, shape.outward))
        self.pool_q = Pool(shape.stride_q)
        self.pool_k = Pool(shape.stride_kv)
        self.pool_v = Pool(shape.stride_kv)
        for name, q, k in zip("thw", shape.grid_q, shape.grid_kv, strict=True):
            table = nn.Parameter(torch.zeros(2 * max(q, k) - 1, HEAD))
            nn.init.trunc_normal_(table, std=0.02)
            setattr(self, f"rel_pos_{name}", table)
            self.register_buffer(f"index_{name}", relative_index(q, k), persistent=False)

    def positions(self, axis: str) -> Tensor:
        """Return the vectors (queries, keys, 96) of an axis, one a pair of places."""
        table: Tensor = getattr(self, f"rel_pos_{axis}")
        return table[getattr(self, f"index_{axis}")]

    def queries_keys_values(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return what is attended with and to, each (n, heads, tokens, 96)."""
        n, tokens = x.shape[:2]
        parts = self.qkv(x).reshape(n, tokens, 3, self.shape.heads, HEAD).permute(2, 0, 3, 1, 4)
        q, k, v = parts.unbind(0)
        grid = self.shape.grid
        return self.pool_q(q, grid), self.pool_k(k, grid), self.pool_v(v, grid)

    def forward(self, x: Tensor) -> Tensor:
        """Attend: (n, 1 + patches, c_in) -> (n, 1 + pooled patches, c_out)."""
        q, k, v = self.queries_keys_values(x)
        n, heads = q.shape[:2]
        logits = q @ k.transpose(2, 3) * HEAD**-0.5
        patches = q[:, :, 1:].reshape(n, heads, *self.shape.grid_q, HEAD)
        by_time = torch.einsum("nathwc,tkc->nathwk", patches, self.positions("t"))
        by_row = torch.einsum("nathwc,hkc->nathwk", patches, self.positions("h"))
        by_column = torch.einsum("nathwc,wkc->nathwk", patches, self.positions("w"))
        bias = (
            by_time[..., :, None, None] + by_row[..., None, :, None] + by_column[..., None, None, :]
        )
        logits[:, :, 1:, 1:] += bias.reshape(n, heads, q.shape[2] - 1, k.shape[2] - 1)
        out = logits.softmax(-1) @ v
        out[:, :, 1:] += q[:, :, 1:]
        return self.project(out.transpose(1, 2).flatten(2))  # type: ignore[no-any-return]


class Block(nn.Module):
    """Attention and perceptron, each beside a shortcut."""

    def __init__(self, shape: BlockShape) -> None:
        super().__init__()
        self.shape = shape
        self.norm1 = nn.LayerNorm(shape.inward, EPS)
        self.norm2 = nn.LayerNorm(shape.outward, EPS)
        self.attn = Attention(shape)
        self.mlp = perceptron(shape.outward)
        if shape.inward != shape.outward:
            self.project = nn.Linear(shape.inward, shape.outward)

    def shortcut(self, x: Tensor, normed: Tensor) -> Tensor:
        """Return what bypasses the attention: projected from the normed input, max-pooled."""
        around = self.project(normed) if self.shape.inward != self.shape.outward else x
        if self.shape.stride_q == 1:
            return around  # type: ignore[no-any-return]
        token, patches = around.tensor_split((1,), dim=1)
        volume = patches.reshape(len(x), *self.shape.grid, -1).permute(0, 4, 1, 2, 3)
        pooled = nn.functional.max_pool3d(volume, (1, 3, 3), (1, 2, 2), (0, 1, 1))
        return torch.cat([token, pooled.flatten(2).transpose(1, 2)], 1)

    def forward(self, x: Tensor) -> Tensor:
        """Transform tokens."""
        normed = self.norm1(x)
        share = self.shape.drop_path
        y = self.shortcut(x, normed) + drop_path(self.attn(normed), share, self.training)
        return y + drop_path(self.mlp(self.norm2(y)), share, self.training)


def perceptron(channels: int) -> nn.Sequential:
    """Two linear layers, four times as wide between; GELU by erf."""
    return nn.Sequential(
        nn.Linear(channels, 4 * channels), nn.GELU(), nn.Dropout(0.0),
        nn.Linear(4 * channels, channels),
    )  # fmt: skip


class PositionEncoding(nn.Module):
    """The class token; there are no absolute positions."""

    def __init__(self) -> None:
        super().__init__()
        self.class_token = nn.Parameter(torch.zeros(HEAD))
        nn.init.trunc_normal_(self.class_token, std=0.02)

    def forward(self, patches: Tensor) -> Tensor:
        """Put the class token before patches (n, m, 96)."""
        return torch.cat([self.class_token.expand(patches.shape[0], 1, -1), patches], 1)


class MViT(nn.Module):
    """Embedded clip, of frames of `side` pixels -> tokens of the middle and of the last stage."""

    def __init__(self, side: int = SIDE) -> None:
        super().__init__()
        self.pos_encoding = PositionEncoding()
        self.shapes = block_shapes(side)
        self.blocks = nn.ModuleList(Block(shape) for shape in self.shapes)
        self.norm = nn.LayerNorm(self.shapes[-1].outward, EPS)
        self.apply(_initialise)

    def forward(self, embedded: Tensor) -> tuple[Tensor, Tensor]:
        """Take (n, 96, 8, 56, 56), return (n, 1569, 384) and (n, 393, 768); of 224 pixels."""
        tokens = self.shapes[0].grid
        if embedded.shape[2:] != tokens:
            side = 4 * tokens[1]
            message = (
                f"got a grid of {tuple(embedded.shape[2:])}, expected {tokens}: {side}x{side}, T 16"
            )
            raise ValueError(message)
        x = self.pos_encoding(embedded.flatten(2).transpose(1, 2))
        middle = x
        for k, block in enumerate(self.blocks):
            x = block(x)
            if k == STAGE2_BLOCK:
                middle = x
        return middle, self.norm(x)


def patches_of(tokens: Tensor, grid: Grid) -> Tensor:
    """Return patch tokens (n, 1 + T*H*W, c) as pictures (n * T, c, H, W)."""
    n, m, c = tokens.shape
    if m != 1 + prod(grid):
        message = f"got {m} tokens, expected 1 + {grid}"
        raise ValueError(message)
    pictures = tokens[:, 1:].reshape(n * grid[0], grid[1], grid[2], c)
    return pictures.permute(0, 3, 1, 2)


def _initialise(module: nn.Module) -> None:
    if isinstance(module, nn.Linear):
        nn.init.trunc_normal_(module.weight, std=0.02)
        nn.init.zeros_(module.bias)
