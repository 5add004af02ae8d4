"""Checkpoint of HTNet-Live -> ONNX (fp32), checked against the network.

    python -m training.htnet.export --run FOLDER --out FOLDER

writes ``htnet_live.onnx``.
"""

from __future__ import annotations

import argparse
import hashlib
import io
from pathlib import Path
from typing import TYPE_CHECKING, Final

import torch

from realtime_affect.flow import FLOW_MAP_PX
from training.htnet.train import load_network

if TYPE_CHECKING:
    from torch import Tensor, nn

NAME: Final = "htnet_live.onnx"
TOLERANCE: Final = 1e-4


def example(n: int) -> Tensor:
    """Make flow maps of n events, about as strong as real ones."""
    generator = torch.Generator().manual_seed(n)
    return 0.02 * torch.randn(n, FLOW_MAP_PX, FLOW_MAP_PX, 3, generator=generator)


def export(network: nn.Module) -> bytes:
    """Return the ONNX file (opset 17) of a live network, for any number of events.

    Raises
    ------
    RuntimeError
        onnxruntime's answer differs from the network's.
    """
    import onnx
    import onnxruntime

    network = network.eval()
    buffer = io.BytesIO()
    torch.onnx.export(
        network, (example(2),), buffer, dynamo=False, opset_version=17, input_names=["maps"],
        output_names=["logits"], dynamic_axes={"maps": {0: "n"}, "logits": {0: "n"}},
    )  # fmt: skip
    proto = onnx.load_from_string(buffer.getvalue())
    proto.ClearField("producer_version")
    proto.doc_string = ""
    content: bytes = proto.SerializeToString()
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    for n in (1, 3):
        maps = example(n)
        with torch.no_grad():
            wanted = network(maps)
        got = torch.from_numpy(session.run(None, {"maps": maps.numpy()})[0])
        worst = float((got - wanted).abs().max())
        if worst > TOLERANCE:
            message = f"onnxruntime differs from the network by {worst:.2g}"
            raise RuntimeError(message)
    return content


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
