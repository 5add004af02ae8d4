"""HTNet-Live: HTNet's hierarchy where attention has something to attend to.

Patches, blocks, four facial areas and aggregations are HTNet's (``network``). Other than in the
published size, every block has four tokens at every level, and each patch knows its place on the
face: the published network shares one scalar a token between all blocks, which the norms that
follow take away again.

Two inputs exist. The shipped network looks at flow in inter-ocular distances, as the product
measures it: a small movement stays a small one. Its stretched sibling looks at images as the
composite databases are given, each channel from 0 to 255, and has no class ``none``, for noise
stretched to 255 looks like a movement.
"""

from __future__ import annotations

from typing import Final

import torch
from torch import Tensor, nn

from realtime_affect.micro.flow import FLOW_MAP_PX
from realtime_affect.names import MICRO_CLASSES
from training.htnet.network import CLASSES, HTNet, HTNetConfig, fold, unfold

LIVE: Final = HTNetConfig(
    image_px=FLOW_MAP_PX, width=24, heads=2, blocks=(1, 1, 1), classes=len(MICRO_CLASSES)
)
STRETCHED: Final = HTNetConfig(
    image_px=FLOW_MAP_PX, width=24, heads=2, blocks=(1, 1, 1), classes=len(CLASSES)
)
GAINS: Final = (80.0, 80.0, 400.0)
"""What u, v and strain are multiplied by: about 1 where a weak movement is."""


class Placed(nn.Module):
    """Patch embedding that adds what is learned about each place of the face."""

    def __init__(self, config: HTNetConfig, embedding: nn.Module) -> None:
        super().__init__()
        side = config.image_px // config.patch_px
        self.embedding = embedding
        self.place = nn.Parameter(0.02 * torch.randn(1, config.width, side, side))

    def forward(self, images: Tensor) -> Tensor:
        """Embed (n, c, h, w)."""
        return self.embedding(images) + self.place  # type: ignore[no-any-return]


def placed_htnet(config: HTNetConfig) -> HTNet:
    """Make an HTNet whose patches know their place."""
    network = HTNet(config)
    embedding = network.to_patch_embedding
    network.to_patch_embedding = Placed(config, embedding)  # type: ignore[assignment]
    return network


class LiveHTNet(nn.Module):
    """Flow maps (n, 56, 56, 3) in inter-ocular distances -> logits (n, 4) of MICRO_CLASSES."""

    def __init__(self, config: HTNetConfig = LIVE) -> None:
        super().__init__()
        self.network = placed_htnet(config)
        self.register_buffer("gains", torch.tensor(GAINS))

    def forward(self, maps: Tensor) -> Tensor:
        """Classify. Strong movements are compressed, so that they do not drown weak ones."""
        scaled = (maps * self.gains).permute(0, 3, 1, 2)
        return self.network(scaled.sign() * torch.log1p(scaled.abs()))  # type: ignore[no-any-return]


class StretchedHTNet(nn.Module):
    """Stretched images (n, 28, 28, 3), 0 to 255, u, v, strain -> logits (n, 3) of CLASSES."""

    def __init__(self, config: HTNetConfig = STRETCHED) -> None:
        super().__init__()
        self.network = placed_htnet(config)
        self.side = config.image_px

    def forward(self, images: Tensor) -> Tensor:
        """Classify."""
        return self.above(self.below(images))

    def below(self, images: Tensor) -> Tensor:
        """Return what the highest level is given: (n, 4 width, 2, 2)."""
        x = (images.float() / 127.5 - 1).permute(0, 3, 1, 2)
        x = nn.functional.interpolate(x, (self.side, self.side), mode="bilinear")
        x = self.network.to_patch_embedding(x)
        levels = list(self.network.layers)[:-1]
        for level, (stage, aggregate) in enumerate(levels):  # type: ignore[misc, arg-type]
            side = 1 << (len(levels) - level)
            x = aggregate(unfold(stage(fold(x, side)), side))
        return x  # type: ignore[no-any-return]

    def features(self, images: Tensor) -> Tensor:
        """Return what the last layer is given: (n, 4 width)."""
        stage, _ = self.network.layers[-1]  # type: ignore[misc]
        return self.network.mlp_head[:2](stage(self.below(images)))  # type: ignore[no-any-return]

    def above(self, x: Tensor) -> Tensor:
        """Classify what :meth:`below` returned."""
        stage, _ = self.network.layers[-1]  # type: ignore[misc]
        return self.network.mlp_head(stage(x))  # type: ignore[no-any-return]
