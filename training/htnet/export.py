"""Checkpoint of HTNet-Live -> ONNX (fp32), checked against the network.

    python -m training.htnet.export --run FOLDER --out FOLDER

writes ``htnet_live.onnx``.
"""

from __future__ import annotations

import argparse
import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Final

import torch

from realtime_affect.micro.flow import FLOW_MAP_PX
from training.htnet.train import load_network
from training.onnx_file import export_checked

if TYPE_CHECKING:
    from torch import Tensor, nn

NAME: Final = "htnet_live.onnx"


def example(n: int) -> Tensor:
    """Make flow maps of n events, about as strong as real ones."""
    generator = torch.Generator().manual_seed(n)
    return 0.02 * torch.randn(n, FLOW_MAP_PX, FLOW_MAP_PX, 3, generator=generator)


def export(network: nn.Module) -> bytes:
    """Return the file of a live network; see :func:`training.onnx_file.export_checked`."""
    return export_checked(network, lambda n: (example(n),), ["maps"], ["logits"])


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--run", type=Path, required=True, help="folder of the checkpoint")
    parser.add_argument("--out", type=Path, required=True, help="folder of the ONNX file")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    content = export(load_network(options.run, "live"))
    (options.out / NAME).write_bytes(content)
    digest = hashlib.sha256(content).hexdigest()
    print(f"{NAME}: {len(content) / 1e6:.2f} MB, SHA-256 {digest}")


if __name__ == "__main__":
    main()
