"""The action unit network: one face and frame in, features out; features against those at rest.

    mesh, head angles -- measures, learned projections --+
    aligned picture ------ convolutions -----------------+-- features
    features, features at rest -- comparison -- perceptron -- evidence -- intensities 0 to 5

The rest enters as features alone, so that what depends on it is computed once a person: the mean of
the features of resting frames, each of which was computed for its own frame anyway. With
`calibration` 0 the rest is a learned population's; with 1 the person's own. One file serves both,
and everything between.
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
MM: Final = 5.0
"""Movements are of this size."""

_POINTS: Final = 468


def intensity(evidence: Tensor) -> Tensor:
    """Turn evidence into intensities: the same from 1 (FACS A) on, its square below, at most 5.

    Evidence under 1 is where a face stands among faces that do not show a unit: it keeps their
    order, and the square keeps what is shown of it small.
    """
    below = evidence.clamp(0.0, 1.0)
    return below * below + (evidence - 1.0).clamp(0.0, 4.0)


def _block(inward: int, outward: int, stride: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inward, outward, 3, stride, 1, bias=False), nn.BatchNorm2d(outward), nn.ReLU()
    )


class Looker(nn.Module):
    """Aligned picture -> look, (n, 96)."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(_block(1, 16, 2), _block(16, 32, 2), _block(32, 48, 2))
        self.middle = _block(48, 48, 1)
        self.narrow = _block(48, 64, 2)
        self.top = _block(64, 64, 1)
        side = ALIGNED_PX // 32
        self.look = nn.Linear(64 * side * side, N_LOOK)

    def forward(self, crops: Tensor) -> Tensor:
        """Look at pictures (n, 96, 96), 0 to 255; light and contrast are taken off first."""
        x = self.stem(standardised(crops[:, None]))
        x = self.narrow(x + self.middle(x))
        x = nn.functional.avg_pool2d(self.top(x), 2)
        return self.look(x.flatten(1))  # type: ignore[no-any-return]


def standardised(crops: Tensor) -> Tensor:
    """Take light and contrast off pictures (n, 1, 96, 96)."""
    centred = crops - crops.mean(dim=(2, 3), keepdim=True)
    spread = torch.linalg.vector_norm(centred, dim=(2, 3), keepdim=True) / ALIGNED_PX
    return centred / (spread + 4.0)


class ActionUnitNetwork(nn.Module):
    """See the module.

    Parameters
    ----------
    picture : bool
        Use the aligned pictures; without them for the ablation table.
    """

    population: Tensor
    measures: Tensor
    trace: Tensor
    """Evidence (21,) from which each unit counts as present; see ``thresholds``."""

    def __init__(self, *, picture: bool = True) -> None:
        super().__init__()
        self.picture = picture
        face = load_neutral_face().points.astype(np.float32)
        self.register_buffer("population", torch.from_numpy(face.reshape(-1)))
        self.register_buffer("measures", torch.from_numpy(measure_matrix().astype(np.float32)).T)
        self.register_buffer("trace", torch.ones(len(OUTPUTS)), persistent=False)
        n_measures = self.measures.shape[1]
        self.looker = Looker()
        self.project = nn.Linear(3 * _POINTS, N_PROJECTED, bias=False)
        nn.init.normal_(self.project.weight, std=0.02)
        self.n_features = n_measures + N_PROJECTED + 3 + N_LOOK
        self.usual = nn.Parameter(torch.zeros(self.n_features))
        """Features of the population at rest."""
        self.head = nn.Sequential(
            nn.Linear(2 * self.n_features + 1, 128), nn.ReLU(),
            nn.Linear(128, 96), nn.ReLU(), nn.Linear(96, len(OUTPUTS)),
        )  # fmt: skip

    def embed(self, points: Tensor, crops: Tensor, angles: Tensor) -> Tensor:
        """Return the features (n, F) of faces.

        Parameters
        ----------
        points : (n, 468, 3) float
            Turned to the front, millimetres.
        crops : (n, 96, 96) float
            Aligned pictures, 0 to 255.
        angles : (n, 3) float
            Head rotation, radians.
        """
        moved = (points.flatten(1) - self.population) / MM
        look = self.looker(crops) if self.picture else points.new_zeros(len(points), N_LOOK)
        lengths = moved @ torch.cat([self.measures, self.project.weight.T], 1)
        return torch.cat([lengths, angles, look], 1)

    def compare(self, features: Tensor, rest: Tensor, calibration: Tensor) -> Tensor:
        """Return evidence (n, 21) in the order of OUTPUTS; see :func:`intensity`.

        What `trace` says is stretched to 1, what lies above to the rest up to 5: FACS A, a trace,
        is where a unit is there at all.

        Parameters
        ----------
        features : (n, F) float
            From :meth:`embed`.
        rest : (n, F) float
            Their mean over the person's resting frames; ignored where `calibration` is 0.
        calibration : (n, 1) float
            0 = the rest is the population's, 1 = the person's.
        """
        foreign = calibration * (rest - self.usual)
        moved = features - self.usual - foreign
        evidence = self.head(torch.cat([moved, foreign, calibration], 1))
        above = (evidence - self.trace).clamp_min(0.0) * (4.0 / (5.0 - self.trace))
        return torch.minimum(evidence / self.trace, torch.ones_like(evidence)) + above

    def forward(
        self, points: Tensor, crops: Tensor, angles: Tensor, rest: Tensor, calibration: Tensor
    ) -> Tensor:
        """Return evidence (n, 21) of faces against the features of their rest."""
        return self.compare(self.embed(points, crops, angles), rest, calibration)


def count_parameters(network: nn.Module) -> int:
    """Return how many numbers are learned."""
    return sum(parameter.numel() for parameter in network.parameters())
