"""The shipped network as a checkpoint to learn on from: its ONNX file -> weights.

    python -m training.ifdd_stream.shipped --onnx ifdd_stream.onnx --ferplus PACK --stills FOLDER \
        --out FOLDER

Batch norms were folded into the convolutions before them when it was exported. Here they are given
back: each norm gets the statistics that its convolution has on real faces, and the scale and bias
that undo them, so that the network answers as it did and can learn on.
"""

from __future__ import annotations

import argparse
import hashlib
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import torch
from torch import Tensor, nn

from training.checkpoints import NAME
from training.ifdd_stream.cuts import read_cuts
from training.ifdd_stream.network import SLOTS, WIDTH, StreamNetwork

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


STATISTICS: Final = 2048  # faces that tell them


def read_onnx(path: Path) -> tuple[dict[str, Tensor], list[tuple[Tensor, Tensor]]]:
    """Return weights by their names in the network, and those of its convolutions in their order.

    The exporter turns the matrices of linear layers of more than two axes and names them after
    their nodes.
    """
    import onnx

    graph = onnx.load(str(path)).graph
    constants = {
        item.name: torch.tensor(onnx.numpy_helper.to_array(item)) for item in graph.initializer
    }
    known = {name.removeprefix("network."): array for name, array in constants.items()}
    for node in graph.node:
        if node.op_type == "MatMul" and node.input[1] in constants:
            place = node.name.split("/")[2:-1]  # "/network/tokens/tokens.0/MatMul"
            inner = place[-1] if len(place) > 1 and "." in place[-1] else ".".join(place)
            known[f"{inner}.weight"] = constants[node.input[1]].T
    # Two that are not linear layers of their own in the graph.
    (shares,) = [array for array in constants.values() if array.shape == (SLOTS, 1)]
    known["recency"] = shares[:, 0].log()
    (narrow,) = [
        array
        for name, array in constants.items()
        if array.shape == (4 * WIDTH, WIDTH) and not name.startswith("network.")
    ]
    known["lifting.narrow.weight"] = narrow.T
    folded = [
        (constants[node.input[1]], constants[node.input[2]])
        for node in graph.node
        if node.op_type == "Conv"
    ]
    return known, folded


def pairs(network: StreamNetwork) -> list[tuple[nn.Conv2d, nn.BatchNorm2d]]:
    """Return each convolution with its norm, in the order in which they run."""
    modules = list(network.backbone.modules())
    convolutions = [module for module in modules if isinstance(module, nn.Conv2d)]
    norms = [module for module in modules if isinstance(module, nn.BatchNorm2d)]
    return list(zip(convolutions, norms, strict=True))


@torch.no_grad()
def load_shipped(network: StreamNetwork, path: Path, faces: NDArray[np.uint8]) -> StreamNetwork:
    """Give `network` the weights of an exported file; `faces` (n, 48, 48) tell its statistics.

    Raises
    ------
    ValueError
        The file is of another network.
    """
    known, folded = read_onnx(path)
    state = network.state_dict()
    for name in state.keys() - known.keys():
        if not name.startswith("backbone."):
            message = f"{path.name} has no {name}"
            raise ValueError(message)
    kept = {name: array for name, array in state.items() if name.startswith("backbone.")}
    network.load_state_dict(kept | {name: known[name] for name in state.keys() - kept.keys()})
    for (convolution, norm), (weight, bias) in zip(pairs(network), folded, strict=True):
        convolution.weight.copy_(weight)
        norm.running_mean.zero_()
        norm.running_var.fill_(1 - norm.eps)
        norm.weight.fill_(1)
        norm.bias.copy_(bias)
    sums: list[tuple[Tensor, Tensor]] = []

    def note(_module: nn.Module, _inputs: Any, output: Tensor) -> None:
        sums.append((output.mean((0, 2, 3)), output.var((0, 2, 3))))

    hooks = [convolution.register_forward_hook(note) for convolution, _ in pairs(network)]
    network.eval()
    network.backbone(torch.from_numpy(faces).float())
    for hook in hooks:
        hook.remove()
    for (_, norm), (mean, var) in zip(pairs(network), sums, strict=True):
        norm.running_mean.copy_(mean)
        norm.running_var.copy_(var)
        norm.weight.copy_((var + norm.eps).sqrt())
        norm.bias.add_(mean)
    return network


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--onnx", type=Path, required=True, help="ifdd_stream.onnx")
    parser.add_argument("--ferplus", type=Path, required=True, help="ferplus_train_valid.npz")
    parser.add_argument("--stills", type=Path, required=True, help="folder of cuts")
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    faces = read_cuts(options.stills, options.ferplus, "ferplus_train").cut[:STATISTICS]
    network = load_shipped(StreamNetwork("none"), options.onnx, faces)
    torch.save({"network": network.state_dict(), "epoch": 0}, options.out / NAME)
    digest = hashlib.sha256(options.onnx.read_bytes()).hexdigest()
    about = {"begun_with": digest}
    (options.out / "about.json").write_text(json.dumps(about, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    main()
