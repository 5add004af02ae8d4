"""Checkpoint -> ONNX, in the form the product runs.

    python -m training.action_units.export --out FOLDER --onnx action_units.onnx

The pictures come as uint8, intensities leave as 0 to 5, batch norms are folded away by the
exporter, and the file is checked against the network before it is kept. One pass gives the units
against the rest that is fed, the units against the population's, by which a face is taken for a
resting one, and the features that a rest is the mean of.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Final

import numpy as np
import torch
from torch import Tensor, nn

from training.action_units.network import OUTPUTS, ActionUnitNetwork, intensity
from training.checkpoints import load_weights
from training.onnx_file import export_checked

INPUTS: Final = ("points", "crops", "angles", "rest", "calibration")
TRACES: Final = "trace.json"
"""Beside a checkpoint: evidence from which each unit is there, by name."""

PRODUCTS: Final = ("units", "population_units", "features")


class Product(nn.Module):
    """The network between what the product measures and what it reports."""

    def __init__(self, network: ActionUnitNetwork) -> None:
        super().__init__()
        self.network = network

    def forward(
        self, points: Tensor, crops: Tensor, angles: Tensor, rest: Tensor, calibration: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """As ``ActionUnitNetwork.forward``, pictures uint8; see PRODUCTS for what is returned."""
        network = self.network
        features = network.embed(points, crops.to(torch.float32), angles)
        n = calibration.shape[0]
        both = network.compare(
            torch.cat([features, features]), torch.cat([rest, rest]),
            torch.cat([calibration, torch.zeros_like(calibration)]),
        )  # fmt: skip
        units = intensity(both)
        return units[:n], units[n:], features


def load_network(folder: Path) -> ActionUnitNetwork:
    """Read the checkpoint of ``train`` in `folder` and what ``thresholds`` chose, if it has."""
    about = json.loads((folder / "about.json").read_text("utf-8"))
    network = load_weights(folder, ActionUnitNetwork(picture=about["picture"]))
    path = folder / TRACES
    if path.exists():
        chosen = json.loads(path.read_text("utf-8"))
        network.trace.copy_(torch.tensor([chosen[name] for name in OUTPUTS]))
    return network


def example(n: int, seed: int) -> tuple[Tensor, ...]:
    """Make plausible inputs for n faces."""
    rng = np.random.default_rng(seed)
    network = ActionUnitNetwork()
    noise = torch.from_numpy(rng.normal(0, 2, (n, 468, 3)).astype(np.float32))
    crops = torch.from_numpy(rng.integers(0, 256, (n, 96, 96), dtype=np.uint8))
    angles = torch.from_numpy(rng.normal(0, 0.2, (n, 3)).astype(np.float32))
    rest = torch.from_numpy(rng.normal(0, 1, (n, network.n_features)).astype(np.float32))
    share = torch.from_numpy(rng.uniform(0, 1, (n, 1)).astype(np.float32))
    return network.population.view(1, 468, 3) + noise, crops, angles, rest, share


def export(network: ActionUnitNetwork) -> bytes:
    """Return the ONNX file of a network; see :func:`training.onnx_file.export_checked`."""
    return export_checked(Product(network), lambda n: example(n, n), INPUTS, PRODUCTS)


def main() -> None:
    """Run from the command line."""
    import hashlib

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True, help="folder of the checkpoint")
    parser.add_argument("--onnx", type=Path, required=True)
    options = parser.parse_args()
    content = export(load_network(options.out))
    options.onnx.write_bytes(content)
    print(f"{len(content) / 1e6:.2f} MB, SHA-256 {hashlib.sha256(content).hexdigest()}")


if __name__ == "__main__":
    main()
