"""The backbone that every time slot passes once.

Plain 3x3 residual blocks: on CPUs and small GPUs they train and run faster than depthwise ones of
fewer operations.
"""

from __future__ import annotations

from typing import Final

import torch
from torch import Tensor, nn

from training.ifdd_stream.stills import EXPRESSIONS

SIDE: Final = 48
CHANNELS: Final = 192


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
        return self.blocks(self.stem(pictures[:, None] / 127.5 - 1))  # type: ignore[no-any-return]


class FrameClassifier(nn.Module):
    """The backbone with a head on its own: what one frame shows."""

    def __init__(self) -> None:
        super().__init__()
        self.backbone = SlotBackbone()
        self.head = nn.Sequential(nn.Dropout(0.4), nn.Linear(CHANNELS, len(EXPRESSIONS)))

    def forward(self, pictures: Tensor) -> Tensor:
        """Classify grey pictures (n, 48, 48): logits (n, 8)."""
        return self.head(self.backbone(pictures).mean((2, 3)))  # type: ignore[no-any-return]
