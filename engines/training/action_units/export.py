"""Checkpoint -> ONNX, in the form the product runs.

    python -m training.action_units.export --out FOLDER --onnx action_units.onnx

The pictures come as uint8, the intensities leave clipped to 0 to 5, batch norms are folded away by
the exporter, and the file is checked against the network before it is kept.
"""

from __future__ import annotations

import argparse
import io
from pathlib import Path
from typing import Final

import numpy as np
import torch
from torch import Tensor, nn

from training.action_units.network import ActionUnitNetwork

INPUTS: Final = ("points", "crops", "angles", "rest", "rest_crops", "calibration")
TOLERANCE: Final = 1e-4


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
    import json

    about = json.loads((folder / "about.json").read_text("utf-8"))
    network = ActionUnitNetwork(picture=about["picture"])
    network.load_state_dict(torch.load(folder / "checkpoint.pt", weights_only=True)["network"])
    return network.eval()


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
    """Return the ONNX file of a network.

    Raises
    ------
    RuntimeError
        onnxruntime's answer differs from the network's.
    """
    import onnx
    import onnxruntime

    model = Product(network).eval()
    buffer = io.BytesIO()
    torch.onnx.export(
        model, example(2, 0), buffer, dynamo=False, opset_version=17, input_names=list(INPUTS),
        output_names=["units"],
        dynamic_axes={name: {0: "n"} for name in (*INPUTS, "units")},
    )  # fmt: skip
    proto = onnx.load_from_string(buffer.getvalue())
    proto.ClearField("producer_version")
    proto.doc_string = ""
    content: bytes = proto.SerializeToString()
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    for n in (1, 3):
        inputs = example(n, n)
        with torch.no_grad():
            wanted = model(*inputs).numpy()
        feeds = {name: tensor.numpy() for name, tensor in zip(INPUTS, inputs, strict=True)}
        worst = float(np.abs(session.run(None, feeds)[0] - wanted).max())
        if worst > TOLERANCE:
            message = f"onnxruntime differs from the network by {worst:.2g}"
            raise RuntimeError(message)
    return content


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
