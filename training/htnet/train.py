"""Train HTNet-Live, or its stretched sibling, on the studio's flow.

    python -m training.htnet.train live --flows FOLDER --out FOLDER
    python -m training.htnet.train stretched --flows FOLDER --out FOLDER

Fixed settings, the last epoch is what is kept. A run that was stopped goes on after its last whole
epoch. The live network is mirrored, moved and scaled a little and made noisy while it learns; the
sibling's faces are cut anew every time (``flows.cut``), as the databases cut them differently.
"""

from __future__ import annotations

import argparse
import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import torch
from torch import Tensor, nn

from affect_kernels.flow_features.cpu import flow_features
from realtime_affect.names import MICRO_CLASSES
from training.checkpoints import Run, load_weights
from training.htnet.flows import Flows, Framing, cut, flip, read_flows, stretch
from training.htnet.live import LiveHTNet, StretchedHTNet
from training.metrics import confusion, uar, uf1

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from realtime_affect.types import Float32

KINDS: Final = ("live", "stretched")
WIDE: Final = Framing(side=(0.6, 1.0), shift=0.08, shape=0.1, rigid=0.6, noise=0.25)
"""What the second attempt at the sibling cut faces with: more differently than the first."""

_NONE: Final = MICRO_CLASSES.index("none")


@dataclass(frozen=True, slots=True)
class Settings:
    """How a network learns."""

    epochs: int = 10
    batch: int = 32
    rate: float = 2e-3
    decay: float = 0.05
    smoothing: float = 0.05
    seed: int = 1


def make_network(kind: str) -> LiveHTNet | StretchedHTNet:
    """Make the network of a kind, not trained."""
    return LiveHTNet() if kind == "live" else StretchedHTNet()


def live_lesson(maps: Float32, rng: np.random.Generator) -> Float32:
    """Vary flow maps (n, 56, 56, 3) as other faces, places and cameras would; new array."""
    n, side = maps.shape[:2]
    flow = maps[..., :2].copy()
    mirrored = rng.uniform(size=n) < 0.5
    flow[mirrored] = flip(flow[mirrored])
    for i in range(n):
        flow[i] = np.roll(flow[i], tuple(rng.integers(-2, 3, 2)), axis=(0, 1))
    flow *= rng.uniform(0.8, 1.25, (n, 1, 1, 1)).astype(np.float32)
    rough = rng.normal(0, 1, (n, side // 4, side // 4, 2)).astype(np.float32)
    amount = rng.uniform(0, 0.0015, (n, 1, 1, 1)).astype(np.float32)
    flow += amount * rough.repeat(4, axis=1).repeat(4, axis=2)
    return flow_features(flow)


def stretched_lesson(maps: Float32, framing: Framing, rng: np.random.Generator) -> Tensor:
    """Cut and stretch flow maps (n, 56, 56, 3): images (n, 28, 28, 3) uint8."""
    flow = maps[..., :2].copy()
    mirrored = rng.uniform(size=len(flow)) < 0.5
    flow[mirrored] = flip(flow[mirrored])
    return torch.from_numpy(stretch(cut(flow, framing, rng)))


def lesson(
    kind: str, maps: Float32, rng: np.random.Generator, framing: Framing | None = None
) -> Tensor:
    """Return what a network of a kind is shown of flow maps."""
    if kind == "live":
        return torch.from_numpy(live_lesson(maps, rng))
    return stretched_lesson(maps, framing or Framing(), rng)


def taught(flows: Flows, kind: str) -> Flows:
    """Return what a kind learns from: the sibling has no class for non-events."""
    return flows if kind == "live" else flows.of(flows.label != _NONE)


def train(
    flows: Flows, kind: str, settings: Settings, out: Path, framing: Framing | None = None
) -> nn.Module:
    """Train, go on where a run in `out` stopped, and leave ``checkpoint.pt`` there."""
    torch.manual_seed(settings.seed)
    network = make_network(kind)
    network.train()
    optimizer = torch.optim.AdamW(
        network.parameters(), lr=settings.rate, weight_decay=settings.decay
    )
    steps = -(-len(flows) // settings.batch)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, settings.rate, total_steps=steps * settings.epochs, pct_start=0.2
    )
    run = Run(out, network, optimizer, schedule)
    loss_of = nn.CrossEntropyLoss(label_smoothing=settings.smoothing)
    for epoch in range(run.epochs, settings.epochs):
        rng = np.random.default_rng([settings.seed, epoch])
        total = 0.0
        for some in np.array_split(rng.permutation(len(flows)), steps):
            images = lesson(kind, flows.maps[some].astype(np.float32), rng, framing)
            loss = loss_of(network(images), torch.from_numpy(flows.label[some]))
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(network.parameters(), 1.0)
            optimizer.step()
            schedule.step()
            total += loss.item() * len(some)
        print(f"epoch {epoch + 1}: loss {total / len(flows):.3f}", flush=True)
        run.keep()
    return network.eval()


def load_network(folder: Path, kind: str) -> nn.Module:
    """Read the checkpoint of :func:`train` in `folder`, ready to infer."""
    return load_weights(folder, make_network(kind))


def logits_of(network: nn.Module, images: NDArray[Any]) -> Float32:
    """Run a network over images (n, ...), some at a time."""
    with torch.no_grad():
        parts = [
            network(torch.from_numpy(images[k : k + 128])).numpy()
            for k in range(0, len(images), 128)
        ]
    return np.concatenate(parts)


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("kind", choices=KINDS)
    parser.add_argument("--flows", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--epochs", type=int, default=Settings().epochs)
    parser.add_argument("--seed", type=int, default=Settings().seed)
    parser.add_argument("--wide", action="store_true", help="sibling: cut faces as WIDE says")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(1)
    framing = WIDE if options.wide else Framing()
    settings = Settings(epochs=options.epochs, seed=options.seed)
    flows = taught(read_flows(options.flows, "train"), options.kind)
    about = {
        "kind": options.kind, "pairs": len(flows), "people": len(np.unique(flows.person)),
        "data_sha256": hashlib.sha256(flows.maps.tobytes()).hexdigest(), **asdict(settings),
    }  # fmt: skip
    if options.kind == "stretched":
        about["framing"] = asdict(framing)
    (options.out / "about.json").write_text(json.dumps(about, indent=2), "utf-8")
    network = train(flows, options.kind, settings, options.out, framing)
    held = taught(read_flows(options.flows, "validation"), options.kind)
    maps = held.maps.astype(np.float32)
    if options.kind == "stretched":
        maps = stretched_lesson(maps, Framing(), np.random.default_rng(0)).numpy()
    classes = len(np.unique(held.label))
    counts = confusion(held.label, logits_of(network, maps).argmax(axis=1), classes)
    print(f"validation: UF1 {uf1(counts):.3f}, UAR {uar(counts):.3f}\n{counts}")


if __name__ == "__main__":
    main()
