"""The network shipped before, as the beginning of a training.

    python -m training.action_units.begin --data FOLDER --out FOLDER [--onnx OLD]

OLD is FILE of commit BEFORE, taken from the repository's history by default. It had no batch norms
and looked at 6 x 6 places where 3 x 3 are left: norms begin as what they do to training faces, so
that the convolutions answer as before, and weights of places that are pooled are summed.
"""

from __future__ import annotations

import argparse
import hashlib
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
import torch
from torch import Tensor, nn

from training.action_units.dataset import PRESENT, load_arrays
from training.action_units.network import N_PROJECTED, ActionUnitNetwork
from training.checkpoints import NAME

if TYPE_CHECKING:
    from collections.abc import Callable

BEFORE: Final = "3336f2f"
FILE: Final = "engines/affect_engines/weights/action_units.onnx"
SHA256: Final = "8f3686998bde6c2d8ba13008027a30bc6036789c579fa67055b0c325e6383fc9"
_EACH: Final = 20  # pictures of each file that norms begin with


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


@torch.no_grad()
def take_over(content: bytes, crops: Tensor) -> ActionUnitNetwork:
    """Return a network that begins with the weights of an old ONNX file.

    Parameters
    ----------
    content : bytes
    crops : (n, 96, 96) float
        Aligned pictures, 0 to 255, that norms begin with.
    """
    import onnx
    from onnx import numpy_helper

    stored = {
        array.name.removeprefix("network."): torch.from_numpy(numpy_helper.to_array(array).copy())
        for array in onnx.load_from_string(content).graph.initializer
    }
    network = ActionUnitNetwork()
    looker = network.looker
    blocks = [*looker.stem, looker.middle, looker.narrow, looker.top]
    names = ["stem.0", "stem.1", "stem.2", "middle", "top.0", "top.1"]
    hooks = []
    for block, name in zip(blocks, names, strict=True):
        convolution, norm, _ = block
        convolution.weight.copy_(stored[f"looker.{name}.0.weight"])
        bias = stored[f"looker.{name}.0.bias"]
        hooks.append(norm.register_forward_pre_hook(_begin_with(bias)))
    looker.eval()(crops)
    for hook in hooks:
        hook.remove()
    look = stored["looker.look.1.weight"]
    look = look.view(len(look), -1, 3, 2, 3, 2).sum(dim=(3, 5)).flatten(1)
    looker.look.weight.copy_(look)
    looker.look.bias.copy_(stored["looker.look.1.bias"])
    network.usual.copy_(stored["usual"])
    (lengths,) = (array for name, array in stored.items() if name.startswith("onnx::MatMul"))
    network.project.weight.copy_(lengths[:, -N_PROJECTED:].T)
    for layer, name in zip(network.head[::2], ("head.0", "head.3", "head.5"), strict=True):
        layer.weight.copy_(stored[f"{name}.weight"])
        layer.bias.copy_(stored[f"{name}.bias"])
    return network


def read_pictures(data: Path) -> Tensor:
    """Return a few aligned pictures of each training file in a folder, (n, 96, 96)."""
    rng = np.random.default_rng(1)
    chosen = []
    for path in sorted([*data.glob("train_*.npz"), *data.glob("stills_*.npz")]):
        stored = load_arrays(path)
        found = np.flatnonzero(stored["presence"] >= PRESENT)  # type: ignore[operator]
        chosen.append(stored["crops"][rng.choice(found, _EACH)])
    return torch.from_numpy(np.concatenate(chosen).astype(np.float32))


def _begin_with(bias: Tensor) -> Callable[[nn.BatchNorm2d, tuple[Tensor, ...]], None]:
    """Return a hook that has a norm add the bias of the convolution before it, and no more."""

    def hook(norm: nn.BatchNorm2d, inputs: tuple[Tensor, ...]) -> None:
        spread, mean = torch.var_mean(inputs[0], dim=(0, 2, 3), correction=0)
        norm.running_mean.copy_(mean)  # type: ignore[union-attr]
        norm.running_var.copy_(spread)  # type: ignore[union-attr]
        norm.weight.copy_((spread + norm.eps).sqrt())
        norm.bias.copy_(mean + bias)

    return hook


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder of faces to train on")
    parser.add_argument("--onnx", type=Path, help="the file itself, where there is no history")
    parser.add_argument("--out", type=Path, required=True, help="folder for the checkpoint")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    content = read_history() if options.onnx is None else options.onnx.read_bytes()
    network = take_over(content, read_pictures(options.data))
    torch.save({"network": network.state_dict()}, options.out / NAME)


if __name__ == "__main__":
    main()
