"""The action unit network: mesh and picture against the same person at rest.

    mesh - mesh at rest ---- measures, learned projections --+-- perceptron -- intensities 0 to 5
    picture, picture at rest ------ convolutions ------------'

With `calibration` 0 the rest is the population's average mesh and no picture; with 1 the person's
own. One file serves both, and everything between.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import torch
from torch import Tensor, nn

from realtime_affect.face.align import ALIGNED_PX
from realtime_affect.face.pose import load_neutral_face
from training.action_units.measures import measure_matrix

OUTPUTS: Final = (
    "AU01", "AU02", "AU04", "AU05", "AU06", "AU07", "AU09", "AU10", "AU12", "AU14", "AU15", "AU17",
    "AU20", "AU25", "AU26", "AU28", "AU45", "AU12_right", "AU12_left", "AU14_right", "AU14_left",
)  # fmt: skip
"""What the network tells, in order; sides are the person's own."""

N_LOOK: Final = 96
N_PROJECTED: Final = 64
_MM: Final = 5.0  # movements are of this size
_POINTS: Final = 468


def _block(inward: int, outward: int, stride: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inward, outward, 3, stride, 1, bias=False), nn.BatchNorm2d(outward), nn.ReLU()
    )


class Looker(nn.Module):
    """Aligned picture beside the one at rest -> look, (n, 96)."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(_block(2, 16, 2), _block(16, 32, 2), _block(32, 48, 2))
        self.middle = _block(48, 48, 1)
        self.top = nn.Sequential(_block(48, 64, 2), _block(64, 64, 1))
        side = ALIGNED_PX // 16
        self.look = nn.Sequential(nn.Dropout(0.1), nn.Linear(64 * side * side, N_LOOK))

    def forward(self, crops: Tensor, rest_crops: Tensor, calibration: Tensor) -> Tensor:
        """Look at pictures (n, 96, 96), 0 to 255; light and contrast are taken off first."""
        at_rest = calibration[:, :, None] * _standardised(rest_crops)
        x = self.stem(torch.stack([_standardised(crops), at_rest], 1))
        x = x + self.middle(x)
        return self.look(self.top(x).flatten(1))  # type: ignore[no-any-return]


def _standardised(crops: Tensor) -> Tensor:
    mean = crops.mean(dim=(1, 2), keepdim=True)
    spread = (crops - mean).pow(2).mean(dim=(1, 2), keepdim=True).sqrt()
    return (crops - mean) / (spread + 4.0)


class ActionUnitNetwork(nn.Module):
    """See the module.

    Parameters
    ----------
    picture : bool
        Use the aligned pictures; without them for the ablation table.
    """

    population: Tensor
    measures: Tensor

    def __init__(self, *, picture: bool = True) -> None:
        super().__init__()
        self.picture = picture
        face = load_neutral_face().points.astype(np.float32)
        self.register_buffer("population", torch.from_numpy(face.reshape(-1)))
        self.register_buffer("measures", torch.from_numpy(measure_matrix().astype(np.float32)).T)
        n_measures = self.measures.shape[1]
        self.looker = Looker()
        self.project = nn.Linear(3 * _POINTS, N_PROJECTED, bias=False)
        nn.init.normal_(self.project.weight, std=0.02)
        width = 2 * n_measures + N_PROJECTED + 4 + N_LOOK
        self.head = nn.Sequential(
            nn.Linear(width, 128), nn.ReLU(), nn.Dropout(0.1), nn.Linear(128, 96), nn.ReLU(),
            nn.Linear(96, len(OUTPUTS)),
        )  # fmt: skip

    def forward(
        self, points: Tensor, crops: Tensor, angles: Tensor, rest: Tensor, rest_crops: Tensor,
        calibration: Tensor,
    ) -> Tensor:  # fmt: skip
        """Read faces.

        Parameters
        ----------
        points : (n, 468, 3) float
            Turned to the front, millimetres.
        crops : (n, 96, 96) float
            Aligned pictures, 0 to 255.
        angles : (n, 3) float
            Head rotation, radians.
        rest : (n, 468, 3) float
            Mesh at rest, as far as it is known.
        rest_crops : (n, 96, 96) float
            Aligned picture at rest, 0 to 255; ignored where `calibration` is 0.
        calibration : (n, 1) float
            0 = the rest is the population's, 1 = the person's.

        Returns
        -------
        (n, 21) float
            Intensities in the order of OUTPUTS, not clipped.
        """
        at_rest = rest.flatten(1)
        moved = (points.flatten(1) - at_rest) / _MM
        foreign = (at_rest - self.population) / _MM
        seen = [
            moved @ self.measures,
            foreign @ self.measures,
            self.project(moved),
            angles,
            calibration,
        ]
        if self.picture:
            seen.append(self.looker(crops, rest_crops, calibration))
        else:
            seen.append(points.new_zeros(len(points), N_LOOK))
        return self.head(torch.cat(seen, 1))  # type: ignore[no-any-return]


def count_parameters(network: nn.Module) -> int:
    """Return how many numbers are learned."""
    return sum(parameter.numel() for parameter in network.parameters())
