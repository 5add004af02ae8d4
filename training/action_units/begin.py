"""The network shipped before, as the beginning of a training.

    python -m training.action_units.begin --out FOLDER [--onnx OLD]

OLD is FILE of commit BEFORE, taken from the repository's history by default: it learned from
76,951 rendered images of 700 people and from bounds of real faces, with the resting image as a
second channel. What looks at the present image, its measures and its head are taken over; the
answers against the population's rest are the same to the last digits.
"""

from __future__ import annotations

import argparse
import hashlib
import subprocess
from pathlib import Path
from typing import Final

import torch

from training.action_units.measures import MEASURES
from training.action_units.network import N_LOOK, N_PROJECTED, ActionUnitNetwork
from training.checkpoints import NAME

BEFORE: Final = "f345220"
FILE: Final = "engines/affect_engines/weights/action_units.onnx"
SHA256: Final = "eb30a4ff4667eb18d508a14f64ca614bfc551fdd50f887cc1c8528e05264a07c"


def read_history() -> bytes:
    """Return the file as git remembers it.

    Raises
    ------
    RuntimeError
        There is no history, or it holds another file.
    """
    show = ["git", "show", f"{BEFORE}:{FILE}"]
    content = subprocess.run(show, check=False, capture_output=True).stdout
    if hashlib.sha256(content).hexdigest() != SHA256:
        message = f"{' '.join(show)}: not the file with SHA-256 {SHA256}; name it: --onnx OLD"
        raise RuntimeError(message)
    return content


def take_over(content: bytes) -> ActionUnitNetwork:
    """Return a network that begins with the weights of an old ONNX file."""
    import onnx
    from onnx import numpy_helper

    arrays = {
        array.name: torch.from_numpy(numpy_helper.to_array(array).copy())
        for array in onnx.load_from_string(content).graph.initializer
    }
    convolutions = sorted(
        (int(name.rpartition("_")[2]), array)
        for name, array in arrays.items()
        if name.startswith("onnx::Conv")
    )
    network = ActionUnitNetwork()
    looker = network.looker
    blocks = [*looker.stem, looker.middle, *looker.top]
    with torch.no_grad():
        for k, block in enumerate(blocks):
            weight, bias = convolutions[2 * k][1], convolutions[2 * k + 1][1]
            block[0].weight.copy_(weight[:, :1] if k == 0 else weight)
            block[0].bias.copy_(bias)
        looker.look[1].weight.copy_(arrays["network.looker.look.1.weight"])
        looker.look[1].bias.copy_(arrays["network.looker.look.1.bias"])
        (project,) = (array for name, array in arrays.items() if name.startswith("onnx::MatMul"))
        network.project.weight.copy_(project.T)
        network.head[0].weight.copy_(_head(arrays["network.head.0.weight"], network.n_features))
        network.head[0].bias.copy_(arrays["network.head.0.bias"])
        for k in (3, 5):
            network.head[k].weight.copy_(arrays[f"network.head.{k}.weight"])
            network.head[k].bias.copy_(arrays[f"network.head.{k}.bias"])
    return network


def _head(old: torch.Tensor, n_features: int) -> torch.Tensor:
    """Order the columns of the first layer anew: what moved, what is foreign, calibration."""
    parts = torch.split(old, [len(MEASURES), len(MEASURES), N_PROJECTED, 3, 1, N_LOOK], dim=1)
    moved, foreign, projected, angles, calibration, look = parts
    new = torch.zeros(len(old), 2 * n_features + 1)
    new[:, :n_features] = torch.cat([moved, projected, angles, look], 1)
    # Angles and look were not compared with the rest: both shares of them count the same.
    new[:, n_features:-1] = torch.cat([foreign, 0 * projected, angles, look], 1)
    new[:, -1:] = calibration
    return new


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--onnx", type=Path, help="the file itself, where there is no history")
    parser.add_argument("--out", type=Path, required=True, help="folder for the checkpoint")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    content = read_history() if options.onnx is None else options.onnx.read_bytes()
    torch.save({"network": take_over(content).state_dict()}, options.out / NAME)


if __name__ == "__main__":
    main()
