"""The eye network: where each iris is beside the middle of its eye, from patches of both eyes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import torch
from torch import nn

from realtime_affect.affect.eyes import PATCH_PX
from training.onnx_file import export_checked

if TYPE_CHECKING:
    from torch import Tensor

NAME: Final = "eye_live.onnx"
_CHANNELS: Final = (16, 32, 48, 64)


class EyeLive(nn.Module):
    """A few convolutions an eye, the same for both; then both eyes are judged together.

    Eyes move together, so what one eye shows tells of the other.
    """

    def __init__(self) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        before = 1
        for channels in _CHANNELS:
            layers += [
                nn.Conv2d(before, channels, 3, stride=2, padding=1, bias=False),
                nn.BatchNorm2d(channels),
                nn.ReLU(inplace=True),
            ]
            before = channels
        self.eye = nn.Sequential(*layers)
        width, height = PATCH_PX
        each = before * (width >> len(_CHANNELS)) * (height >> len(_CHANNELS))
        self.both = nn.Sequential(nn.Linear(2 * each, 64), nn.ReLU(inplace=True), nn.Dropout(0.1))
        self.offsets = nn.Linear(64, 4)

    def forward(self, eyes: Tensor) -> Tensor:
        """Return offsets (n, 2, 2) in patch pixels of eyes (n, 2, H, W) uint8, the left mirrored.

        An eye that is not seen is black.
        """
        n, _, height, width = eyes.shape
        grey = eyes.to(torch.float32).reshape(-1, 1, height, width)
        # Light and camera differ; each eye is seen by its own mean and contrast.
        mean = grey.mean((2, 3), keepdim=True)
        spread = torch.sqrt(((grey - mean) ** 2).mean((2, 3), keepdim=True)) + 4.0
        found = self.eye((grey - mean) / spread).reshape(n, -1)
        return self.offsets(self.both(found)).reshape(n, 2, 2)


def export(network: nn.Module) -> bytes:
    """Return the ONNX file of a network."""

    def example(n: int) -> tuple[Tensor]:
        width, height = PATCH_PX
        return (torch.randint(0, 256, (n, 2, height, width)).to(torch.uint8),)

    return export_checked(network, example, ["eyes"], ["offsets"])
