"""Checkpoint -> ONNX in fp32 and int8, in the form the product runs.

    python -m training.ifdd_stream.export --run FOLDER --sequences FOLDER \
        --ferplus ferplus_train_valid.npz --stills FOLDER --out FOLDER

writes ``ifdd_stream.onnx`` and ``ifdd_stream.int8.onnx``. The fp32 file is checked against the
network before it is kept; batch norms are folded away by the exporter. In the int8 form
(``training.onnx_file.quantise``) the backbone's convolutions are quantised, with the rectifiers
behind them so that no step is wasted on what is below zero, and ranges from sequences of the
training split. The lifting stays in fp32: it is small, and what its many little nodes gain in int8
is lost again in turning values from one form to the other.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import torch
from torch import Tensor, nn

from affect_engines.ort import import_onnxruntime
from training.checkpoints import load_weights
from training.ifdd_stream.cuts import read_cuts
from training.ifdd_stream.network import PLACES, SIDE, SLOTS, WIDTH, StreamNetwork
from training.ifdd_stream.sequences import SLOTS_FILMED, read_sequences
from training.ifdd_stream.train import split_of
from training.onnx_file import export_checked, quantise

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

INPUTS: Final = ("pictures", "memory", "missing")
OUTPUTS: Final = ("logits", "slot")
CALIBRATION_CLIPS: Final = 64
NAMES: Final = {"fp32": "ifdd_stream.onnx", "int8": "ifdd_stream.int8.onnx"}


class Product(nn.Module):
    """The network with pictures as uint8."""

    def __init__(self, network: StreamNetwork) -> None:
        super().__init__()
        self.network = network

    def forward(self, pictures: Tensor, memory: Tensor, missing: Tensor) -> tuple[Tensor, Tensor]:
        """As ``StreamNetwork.forward``."""
        return self.network(pictures.to(torch.float32), memory, missing)  # type: ignore[no-any-return]


def load_network(folder: Path) -> StreamNetwork:
    """Read the checkpoint of ``train`` in `folder`, ready to infer."""
    return load_weights(folder, StreamNetwork(split_of(folder)))


def example(n: int, seed: int) -> tuple[Tensor, Tensor, Tensor]:
    """Make inputs for n faces."""
    rng = np.random.default_rng(seed)
    pictures = torch.from_numpy(rng.integers(0, 256, (n, SIDE, SIDE), dtype=np.uint8))
    memory = torch.from_numpy(rng.normal(0, 1, (n, SLOTS - 1, PLACES, WIDTH)).astype(np.float32))
    return pictures, memory, torch.from_numpy(rng.integers(0, SLOTS, n))


def export(network: StreamNetwork) -> bytes:
    """Return the fp32 ONNX file of a network; see :func:`training.onnx_file.export_checked`."""
    return export_checked(Product(network), lambda n: example(n, n), INPUTS, OUTPUTS)


def play(session: Any, clips: NDArray[np.uint8]) -> Iterator[dict[str, NDArray[Any]]]:
    """Yield what the product would feed a session moment by moment over clips (n, t, 48, 48)."""
    n = len(clips)
    memory = np.zeros((n, SLOTS - 1, PLACES, WIDTH), np.float32)
    for t in range(clips.shape[1]):
        missing = np.full(n, max(0, SLOTS - 1 - t), np.int64)
        feeds = {"pictures": clips[:, t], "memory": memory, "missing": missing}
        yield feeds
        slot = session.run(["slot"], feeds)[0]
        memory = np.concatenate([memory[:, 1:], slot[:, None]], 1)


def quantised(content: bytes, clips: NDArray[np.uint8]) -> bytes:
    """Return the int8 form of an fp32 file, with ranges as they are on clips (n, t, 48, 48)."""
    import onnx

    onnxruntime = import_onnxruntime()
    nodes = onnx.load_from_string(content).graph.node
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    return quantise(
        content,
        [
            {name: value.copy() for name, value in feed.items()}
            for k in range(0, len(clips), 8)
            for feed in play(session, clips[k : k + 8])
        ],
        ("Conv", "Relu"),
        [node.name for node in nodes if "/backbone/" not in node.name],
    )


def calibration_clips(sequences: Path, stills: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Choose clips (n, 24, 48, 48) of the studio and of stills, both of the training split."""
    filmed = read_sequences(sorted(sequences.glob("train_*.npz"))[:60]).pictures
    rng = np.random.default_rng(8)
    some = rng.choice(len(filmed), CALIBRATION_CLIPS // 2, replace=False)
    others = rng.choice(len(stills), CALIBRATION_CLIPS // 2, replace=False)
    standing = np.repeat(stills[others][:, None], SLOTS_FILMED, 1)
    return np.concatenate([filmed[some], standing])


def main() -> None:
    """Run from the command line."""
    import hashlib

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--run", type=Path, required=True, help="folder of the checkpoint")
    parser.add_argument("--sequences", type=Path, required=True)
    parser.add_argument("--ferplus", type=Path, required=True, help="ferplus_train_valid.npz")
    parser.add_argument("--stills", type=Path, required=True, help="folder of cuts")
    parser.add_argument("--out", type=Path, required=True, help="folder of the ONNX files")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    content = export(load_network(options.run))
    faces = read_cuts(options.stills, options.ferplus, "ferplus_train").cut
    small = quantised(content, calibration_clips(options.sequences, faces))
    for precision, data in (("fp32", content), ("int8", small)):
        (options.out / NAMES[precision]).write_bytes(data)
        digest = hashlib.sha256(data).hexdigest()
        print(f"{precision}: {len(data) / 1e6:.2f} MB, SHA-256 {digest}")


if __name__ == "__main__":
    main()
