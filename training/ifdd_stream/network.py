"""IFDD-Stream: what IFDD does to a whole clip, so that each moment is looked at once.

In the published network every token depends on every frame after the first block, so nothing can
be kept from one clip to the next. Here a backbone looks at each moment alone and leaves three
tokens; a decision takes the tokens of the last twelve moments through the lifting scheme of the
paper (a split, ISSM or a simpler one, then LADM; see ``training.ifdd.lifting``) at an eighth of its
width.

Plain 3x3 residual blocks: on CPUs and small GPUs they train and run faster than depthwise ones of
fewer operations. Shapes are spelled out as numbers: traced for ONNX, sizes that are asked for at
run time would become a hundred small nodes, a fifth of a decision's time.
"""

from __future__ import annotations

from typing import Final, Literal, get_args

import torch
from torch import Tensor, nn

from realtime_affect.names import EXPRESSIONS

SIDE: Final = 48
SLOT_HZ: Final = 12.0
"""Moments a second that a clip is made of."""

SLOTS: Final = 12
"""Moments of a clip."""

CHANNELS: Final = 192
PLACES: Final = 3
"""Rows of a face that leave a token each: brows and eyes, nose and cheeks, mouth and chin."""

WIDTH: Final = 96
_HEADS: Final = 4
_TOKENS: Final = SLOTS // 2 * PLACES
_LOOK: Final = 8  # channels in which slots are compared
_REACH: Final = 2.0  # slots by which a sample may leave its anchor
_DROPOUT: Final = 0.3

Split = Literal["learned", "haar", "cdf53", "none"]
SPLITS: Final[tuple[Split, ...]] = get_args(Split)
"""How the static and the dynamic part come about: IFDD's ISSM, a classic wavelet, or in turns.

The first is shipped: it is the paper's idea, and no other is better (``ablation``)."""


def _convolution(inward: int, outward: int, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inward, outward, 3, stride, 1, bias=False), nn.BatchNorm2d(outward)
    )


class ResidualBlock(nn.Module):
    """He et al., "Deep residual learning for image recognition", 2016."""

    def __init__(self, inward: int, outward: int, stride: int = 1) -> None:
        super().__init__()
        self.first = _convolution(inward, outward, stride)
        self.second = _convolution(outward, outward)
        self.shortcut = nn.Identity()
        if stride != 1 or inward != outward:
            self.shortcut = nn.Sequential(
                nn.Conv2d(inward, outward, 1, stride, bias=False), nn.BatchNorm2d(outward)
            )

    def forward(self, x: Tensor) -> Tensor:
        """Transform (n, c, h, w)."""
        y = self.second(torch.relu(self.first(x)))
        return torch.relu(y + self.shortcut(x))


class SlotBackbone(nn.Module):
    """A face of one moment -> features (n, 192, 3, 3); 1.26 M parameters, 54 MMAC."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(_convolution(1, 32), nn.ReLU(), nn.MaxPool2d(2))
        self.blocks = nn.Sequential(
            ResidualBlock(32, 32),
            ResidualBlock(32, 64, 2), ResidualBlock(64, 64),
            ResidualBlock(64, 128, 2), ResidualBlock(128, 128), ResidualBlock(128, CHANNELS, 2),
        )  # fmt: skip

    def forward(self, pictures: Tensor) -> Tensor:
        """Look at grey pictures (n, 48, 48), 0 to 255."""
        return self.late(self.early(pictures))

    def early(self, pictures: Tensor) -> Tensor:
        """Run all but the last block: features (n, 128, 6, 6)."""
        seen = self.stem(pictures[:, None] / 127.5 - 1)
        return self.blocks[:-1](seen)  # type: ignore[no-any-return]

    def late(self, features: Tensor) -> Tensor:
        """Run the last block: features (n, 192, 3, 3)."""
        return self.blocks[-1](features)  # type: ignore[no-any-return]


class AdaptiveSplit(nn.Module):
    """ISSM: twelve slots -> six that resemble the others and six that differ."""

    anchors: Tensor
    slots: Tensor

    def __init__(self) -> None:
        super().__init__()
        half = SLOTS // 2
        self.look = nn.Linear(WIDTH, _LOOK)
        self.static_offsets = nn.Linear(SLOTS**2, half, bias=False)
        self.dynamic_offsets = nn.Linear(SLOTS**2, half, bias=False)
        for layer in (self.look, self.static_offsets, self.dynamic_offsets):
            nn.init.trunc_normal_(layer.weight, std=0.03)
        self.register_buffer("anchors", torch.arange(0.0, SLOTS, 2), persistent=False)
        self.register_buffer("slots", torch.arange(float(SLOTS)), persistent=False)

    def times(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return the times (n, 6), in slots, at which each part is sampled."""
        look = nn.functional.gelu(self.look(x)).reshape(-1, SLOTS, PLACES * _LOOK)
        alike = look @ look.transpose(1, 2) / WIDTH
        static = self.static_offsets(alike.softmax(-1).reshape(-1, SLOTS**2))
        dynamic = self.dynamic_offsets((-alike).softmax(-1).reshape(-1, SLOTS**2))
        return (
            self.anchors + _REACH * torch.tanh(static),
            self.anchors + 1 + _REACH * torch.tanh(dynamic),
        )

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Split (n, 12, 3, c) into static and dynamic slots, each (n, 6, 3, c)."""
        static, dynamic = self.times(x)
        return self._sample(x, static), self._sample(x, dynamic)

    def _sample(self, x: Tensor, times: Tensor) -> Tensor:
        # Where the published network samples: see training.ifdd.lifting.
        at = (times * (SLOTS / (SLOTS - 1)) - 0.5).clamp(0, SLOTS - 1)
        hats = torch.relu(1 - (at[..., None] - self.slots).abs())
        sampled = hats @ x.reshape(-1, SLOTS, PLACES * WIDTH)
        return sampled.reshape(-1, SLOTS // 2, PLACES, WIDTH)


def classic_split(x: Tensor, split: Split) -> tuple[Tensor, Tensor]:
    """Split (n, 12, 3, c) by the steps of a classic wavelet; "none" only takes them in turns.

    The same steps as ``affect_kernels.lifting``, in its scale.
    """
    even, odd = x[:, 0::2], x[:, 1::2]
    if split == "none":
        return even, odd
    if split == "haar":
        detail = odd - even
        approx = even + 0.5 * detail
    else:
        following = torch.cat([even[:, 1:], even[:, -1:]], 1)
        detail = odd - 0.5 * (even + following)
        before = torch.cat([detail[:, :1], detail[:, :-1]], 1)
        approx = even + 0.25 * (before + detail)
    return approx * 2**0.5, detail * 0.5**0.5


def attend(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """Multi-head attention of clips' tokens (n * 18, 96), 4 heads of 24."""
    q, k, v = (
        part.reshape(-1, _TOKENS, _HEADS, WIDTH // _HEADS).transpose(1, 2) for part in (q, k, v)
    )
    weights = (q @ k.transpose(2, 3) * (WIDTH // _HEADS) ** -0.5).softmax(-1)
    return (weights @ v).transpose(1, 2).reshape(-1, WIDTH)


def in_parts(layer: nn.Linear, x: Tensor) -> tuple[Tensor, ...]:
    """Apply a layer and return its outputs in parts of 96, each a product of its own."""
    weights, biases = layer.weight.split(WIDTH), layer.bias.split(WIDTH)
    return tuple(nn.functional.linear(x, w, b) for w, b in zip(weights, biases, strict=True))


class StreamLifting(nn.Module):
    """LADM with its split: tokens (n, 12, 3, 96) -> feature (n, 96).

    Unlike in the released code, a token is told its time and place: with them attention can tell
    before from after.
    """

    order: Tensor

    def __init__(self, split: Split = "learned") -> None:
        super().__init__()
        self.kind = split
        self.register_buffer("order", torch.arange(SLOTS), persistent=False)
        self.time = nn.Parameter(torch.zeros(SLOTS, 1, WIDTH))
        self.place = nn.Parameter(torch.zeros(1, PLACES, WIDTH))
        nn.init.trunc_normal_(self.time, std=0.02)
        nn.init.trunc_normal_(self.place, std=0.02)
        self.split = AdaptiveSplit() if split == "learned" else None
        self.static_norm, self.dynamic_norm = nn.LayerNorm(WIDTH), nn.LayerNorm(WIDTH)
        self.static_query, self.dynamic_query = nn.Linear(WIDTH, WIDTH), nn.Linear(WIDTH, WIDTH)
        self.static_pair = nn.Linear(WIDTH, 2 * WIDTH)
        self.dynamic_pair = nn.Linear(WIDTH, 2 * WIDTH)
        self.update, self.predict = nn.Linear(WIDTH, WIDTH), nn.Linear(WIDTH, WIDTH)
        self.relate_norm, self.out_norm = nn.LayerNorm(WIDTH), nn.LayerNorm(WIDTH)
        self.relate, self.related = nn.Linear(WIDTH, 3 * WIDTH), nn.Linear(WIDTH, WIDTH)
        self.widen, self.narrow = nn.Linear(WIDTH, 4 * WIDTH), nn.Linear(4 * WIDTH, WIDTH)
        self.compress = nn.Parameter(torch.full((SLOTS // 2 * PLACES,), 2.0 / (SLOTS * PLACES)))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Lift.

        Returns
        -------
        feature : (n, 96)
        lost : (n, 3)
            What the static part lost against plain averages in time; the decoupling loss draws it
            to zero.
        """
        x = x + self.time + self.place
        parts = self.split(x) if self.split is not None else classic_split(x, self.kind)
        # All clips' tokens in one matrix: a layer with its bias is one product then.
        static = self.static_norm(parts[0].reshape(-1, WIDTH))
        dynamic = self.dynamic_norm(parts[1].reshape(-1, WIDTH))
        lifting = self.kind != "none"
        k, v = in_parts(self.dynamic_pair, dynamic)
        told = attend(self.static_query(static), k, v)
        static = static + self.update(told + v if lifting else told)
        k, v = in_parts(self.static_pair, static)
        told = attend(self.dynamic_query(dynamic), k, v)
        dynamic = dynamic - self.predict(told + v if lifting else told)
        q, k, v = in_parts(self.relate, self.relate_norm(dynamic))
        dynamic = dynamic + self.related(attend(q, k, v))
        hidden = nn.functional.gelu(self.widen(self.out_norm(dynamic)))
        hidden = hidden.reshape(-1, _TOKENS, 4 * WIDTH)
        # The last layer is linear: one row of it instead of 18, as in training.ifdd.deploy. A row
        # times a matrix: onnxruntime 1.32 gets a transposed matrix times a vector wrong.
        feature = (self.compress[None] @ hidden)[:, 0]
        feature = feature @ self.narrow.weight.T + self.narrow.bias * self.compress.sum()
        averages = x.reshape(-1, SLOTS // 2, 2, PLACES, WIDTH).mean(2)
        lost = (averages.reshape(-1, WIDTH) - static).mean(1)
        lost = lost.reshape(-1, SLOTS // 2, PLACES).mean(1)
        return feature, lost


class StreamNetwork(nn.Module):
    """Backbone, tokens, lifting and heads: 1.4 M parameters.

    Unlike in the paper a decision is the sum of two: what the moments show, the newest ones most,
    and what lifting adds by how they change. A face that stands still needs no more than the first.
    """

    def __init__(self, split: Split = "learned") -> None:
        super().__init__()
        self.backbone = SlotBackbone()
        self.tokens = nn.Sequential(nn.Linear(CHANNELS, WIDTH), nn.LayerNorm(WIDTH))
        self.lifting = StreamLifting(split)
        self.head = nn.Sequential(nn.Dropout(_DROPOUT), nn.Linear(WIDTH, len(EXPRESSIONS)))
        self.still = nn.Sequential(nn.Dropout(_DROPOUT), nn.Linear(WIDTH, len(EXPRESSIONS)))
        self.recency = nn.Parameter(torch.arange(-SLOTS + 1.0, 1.0) / 4)

    def slots(self, pictures: Tensor) -> Tensor:
        """Look at moments (n, 48, 48), 0 to 255, each alone: tokens (n, 3, 96)."""
        return self._tokens(self.backbone(pictures))

    def slots_late(self, features: Tensor) -> Tensor:
        """Do the same from what ``backbone.early`` found."""
        return self._tokens(self.backbone.late(features))

    def _tokens(self, features: Tensor) -> Tensor:
        rows = features.mean(3).transpose(1, 2).reshape(-1, CHANNELS)
        return self.tokens(rows).reshape(-1, PLACES, WIDTH)  # type: ignore[no-any-return]

    def shown(self, pictures: Tensor) -> Tensor:
        """Say what moments (n, 48, 48) show, each alone: logits (n, 8), without the lifting."""
        return self.shown_late(self.backbone.early(pictures))

    def shown_late(self, features: Tensor) -> Tensor:
        """Say the same from what ``backbone.early`` found."""
        return self.still(self.slots_late(features).mean(1))  # type: ignore[no-any-return]

    def decide(self, clips: Tensor) -> tuple[Tensor, Tensor]:
        """Decide on clips of tokens (n, 12, 3, 96): logits (n, 8), and the lifting's ``lost``."""
        feature, lost = self.lifting(clips)
        shares = self.recency.softmax(0).repeat_interleave(PLACES) / PLACES
        shown = (shares[None] @ clips.reshape(-1, SLOTS * PLACES, WIDTH))[:, 0]
        return self.head(feature) + self.still(shown), lost

    def forward(self, pictures: Tensor, memory: Tensor, missing: Tensor) -> tuple[Tensor, Tensor]:
        """Take in a new moment and decide, as at run time.

        Parameters
        ----------
        pictures : (n, 48, 48) float or uint8
            The newest moment of each face.
        memory : (n, 11, 3, 96) float
            Tokens of the moments before it, oldest first.
        missing : (n,) int64
            How many of them are not known yet: the oldest known one stands in for these.

        Returns
        -------
        logits : (n, 8)
        slot : (n, 3, 96)
            Tokens of the new moment, to be remembered.
        """
        slot = self.slots(pictures)
        known = memory.reshape(-1, SLOTS - 1, PLACES * WIDTH)
        newest = slot.reshape(-1, 1, PLACES * WIDTH)
        # Each row of a matrix with a single one in it takes a moment: cheaper than a gather.
        order = torch.maximum(self.lifting.order, missing[:, None])
        taken = (order[:, :, None] == self.lifting.order).to(memory.dtype)
        clips = taken @ torch.cat([known, newest], 1)
        logits, _ = self.decide(clips.reshape(-1, SLOTS, PLACES, WIDTH))
        return logits, slot


def windows(tokens: Tensor) -> Tensor:
    """Return the clip that ends at each moment of sequences (n, t, 3, 96): (n, t, 12, 3, 96).

    Before a clip is full its oldest moment stands in for those that are missing, as at run time.
    """
    t = tokens.shape[1]
    index = torch.arange(t)[:, None] + torch.arange(1 - SLOTS, 1)
    return tokens[:, index.clamp(min=0)]
