"""Checkpoint -> ONNX, in the form the product runs.

    python -m training.action_units.export --out FOLDER --onnx action_units.onnx

The pictures come as uint8, the intensities leave clipped to 0 to 5, batch norms are folded away by
the exporter, and the file is checked against the network before it is kept.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Final

import numpy as np
import torch
from torch import Tensor, nn

from training.action_units.network import ActionUnitNetwork
from training.checkpoints import load_weights
from training.onnx_file import export_checked

INPUTS: Final = ("points", "crops", "angles", "rest", "rest_crops", "calibration")


class Product(nn.Module):
    """The network between what the product measures and what it reports."""

    def __init__(self, network: ActionUnitNetwork) -> None:
        super().__init__()
        self.network = network

    def forward(
        self, points: Tensor, crops: Tensor, angles: Tensor, rest: Tensor, rest_crops: Tensor,
        calibration: Tensor,
    ) -> Tensor:  # fmt: skip
        """As ``ActionUnitNetwork.forward``, pictures uint8, intensities clipped."""
        pictures, at_rest = crops.to(torch.float32), rest_crops.to(torch.float32)
        units = self.network(points, pictures, angles, rest, at_rest, calibration)
        return units.clamp(0.0, 5.0)  # type: ignore[no-any-return]


def load_network(folder: Path) -> ActionUnitNetwork:
    """Read the checkpoint of ``train`` in `folder`, ready to infer."""
    about = json.loads((folder / "about.json").read_text("utf-8"))
    return load_weights(folder, ActionUnitNetwork(picture=about["picture"]))


def example(n: int, seed: int) -> tuple[Tensor, ...]:
    """Make plausible inputs for n faces."""
    rng = np.random.default_rng(seed)
    face = ActionUnitNetwork().population.view(1, 468, 3)
    noise = torch.from_numpy(rng.normal(0, 2, (2, n, 468, 3)).astype(np.float32))
    crops = torch.from_numpy(rng.integers(0, 256, (2, n, 96, 96), dtype=np.uint8))
    angles = torch.from_numpy(rng.normal(0, 0.2, (n, 3)).astype(np.float32))
    share = torch.from_numpy(rng.uniform(0, 1, (n, 1)).astype(np.float32))
    return face + noise[0], crops[0], angles, face + noise[1], crops[1], share


def export(network: ActionUnitNetwork) -> bytes:
    """Return the ONNX file of a network; see :func:`training.onnx_file.export_checked`."""
    return export_checked(Product(network), lambda n: example(n, n), INPUTS, ["units"])


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
