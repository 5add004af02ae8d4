"""Checkpoint -> ONNX in fp32 and int8, in the form the product runs.

    python -m training.action_units.export --run FOLDER --data FOLDER --out FOLDER

The pictures come as uint8, intensities leave as 0 to 5, batch norms are folded away by the
exporter, and the fp32 file is checked against the network before it is kept. The int8 form
(``training.onnx_file.quantise``) has its convolutions quantised but the first: with one channel to
read that is slower so. Lengths of the mesh stay in fp32: in eight bits they would be coarser than a
millimetre.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import torch
from torch import Tensor, nn

from training.action_units.dataset import PRESENT, load_arrays
from training.action_units.network import MM, OUTPUTS, ActionUnitNetwork
from training.checkpoints import load_weights
from training.onnx_file import export_checked, quantise

if TYPE_CHECKING:
    from numpy.typing import NDArray

INPUTS: Final = ("points", "crops", "angles", "rest", "calibration")
NAMES: Final = {"fp32": "action_units.onnx", "int8": "action_units.int8.onnx"}
TRACES: Final = "trace.json"
"""Beside a checkpoint: evidence from which each unit is there, by name."""

PRODUCTS: Final = ("units", "features")
N_FEATURES: Final = 128
"""What a rest is the mean of: the first layer of the comparison, its share of the rest."""

_FILES, _EACH = 8, 8  # of a kind, and faces of each, that ranges are taken from


class Product(nn.Module):
    """The network between what the product measures and what it reports.

    Up to its first rectifier the comparison is linear in what is seen of a face and in what is
    known of its rest. So the share of the rest is a vector that each frame gives for itself, that
    resting frames are averaged of, and that is added: nothing of it is computed twice. Scales and
    thresholds of intensities are folded into the last layer.
    """

    def __init__(self, network: ActionUnitNetwork) -> None:
        super().__init__()
        self.looker = network.looker
        n = network.n_features
        first, second, last = network.head[::2]
        with torch.no_grad():
            lengths = torch.cat([network.measures, network.project.weight.T], 1).T / MM
            self.lengths = _linear(lengths, -lengths @ network.population)
            now, foreign, calibration = torch.split(first.weight, [n, n, 1], dim=1)
            self.now = _linear(now, first.bias - now @ network.usual)
            rest = foreign - now
            self.rest = _linear(rest, calibration[:, 0] - rest @ network.usual)
            self.second = second
            # Evidence over its trace, and what is above it on the way to 5.
            trace = network.trace[:, None]
            low, high = last.weight / trace, last.weight * (4.0 / (5.0 - trace))
            offset = last.bias - network.trace
            self.last = _linear(
                torch.cat([low, high]),
                torch.cat([last.bias / network.trace, offset * (4.0 / (5.0 - network.trace))]),
            )

    def forward(
        self, points: Tensor, crops: Tensor, angles: Tensor, rest: Tensor, calibration: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Return intensities (n, 2, 21) and what a rest is the mean of, (n, 128).

        Intensities against the rest that is fed, and against the population's, by which a face is
        taken for a resting one.
        """
        look = self.looker(crops.to(torch.float32))
        seen = torch.cat([self.lengths(points.flatten(1)), angles, look], 1)
        now = self.now(seen)
        both = torch.stack([now + calibration * rest, now], 1)
        both = self.second(both.clamp_min(0.0)).clamp_min(0.0)
        low, high = self.last(both).split(len(OUTPUTS), dim=2)
        low = low.clamp(0.0, 1.0)
        return low * low + high.clamp(0.0, 4.0), self.rest(seen)


def _linear(weight: Tensor, bias: Tensor) -> nn.Linear:
    layer = nn.Linear(weight.shape[1], weight.shape[0])
    layer.weight.data, layer.bias.data = weight.contiguous(), bias
    return layer


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
    rest = torch.from_numpy(rng.normal(0, 1, (n, N_FEATURES)).astype(np.float32))
    share = torch.from_numpy(rng.uniform(0, 1, (n, 1)).astype(np.float32))
    return network.population.view(1, 468, 3) + noise, crops, angles, rest, share


def export(network: ActionUnitNetwork) -> bytes:
    """Return the ONNX file of a network; see :func:`training.onnx_file.export_checked`."""
    return export_checked(Product(network), lambda n: example(n, n), INPUTS, PRODUCTS)


def calibration_feeds(data: Path) -> list[dict[str, NDArray[Any]]]:
    """Return faces of training, of each kind there is in a folder: what int8's ranges are of."""
    rng = np.random.default_rng(8)
    feeds = []
    for kind in ("train_*", "stills_lfw_*", "stills_ferplus_*", "london"):
        for path in sorted(data.glob(f"{kind}.npz"))[:_FILES]:
            stored = load_arrays(path)
            found = np.flatnonzero(stored["presence"] >= PRESENT)  # type: ignore[operator]
            rows = rng.choice(found, _EACH)
            nothing = {"rest": np.zeros((_EACH, N_FEATURES)), "calibration": np.zeros((_EACH, 1))}
            feeds.append({
                "points": stored["points"][rows].astype(np.float32) / 100,
                "crops": stored["crops"][rows], "angles": stored["angles_rad"][rows],
                **{name: array.astype(np.float32) for name, array in nothing.items()},
            })  # fmt: skip
    return feeds


def quantised(content: bytes, feeds: list[dict[str, NDArray[Any]]]) -> bytes:
    """Return the int8 form of an exported file, its ranges as they are on `feeds`."""
    import onnx

    nodes = onnx.load_from_string(content).graph.node
    first = next(node.name for node in nodes if node.op_type == "Conv")
    return quantise(content, feeds, ("Conv", "Relu"), (first,))


def main() -> None:
    """Run from the command line."""
    import hashlib

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--run", type=Path, required=True, help="folder of the checkpoint")
    parser.add_argument("--data", type=Path, required=True, help="folder of faces of training")
    parser.add_argument("--out", type=Path, required=True, help="folder of the ONNX files")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    content = export(load_network(options.run))
    small = quantised(content, calibration_feeds(options.data))
    for precision, file in (("fp32", content), ("int8", small)):
        (options.out / NAMES[precision]).write_bytes(file)
        print(f"{precision}: {len(file) / 1e6:.2f} MB, SHA-256 {hashlib.sha256(file).hexdigest()}")


if __name__ == "__main__":
    main()
