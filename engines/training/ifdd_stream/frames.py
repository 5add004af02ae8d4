"""Train the slot backbone on stills before the lifting scheme is trained on sequences.

    python -m training.ifdd_stream.frames --ferplus ferplus_train_valid.npz --out FOLDER \
        [--epochs 36] [--seed 1]

Goes on from the last checkpoint in ``--out``. The schedule is fixed and the last epoch is taken.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import torch
from torch import nn

from realtime_affect.names import EXPRESSIONS
from training.ifdd.recipe import soft_cross_entropy
from training.ifdd_stream.augmentation import augment
from training.ifdd_stream.network import FrameClassifier
from training.ifdd_stream.stills import Stills, read_stills
from training.metrics import confusion, recalls, uar, war

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from numpy.typing import NDArray

BATCH: Final = 128
PEAK_RATE: Final = 4e-3
WEIGHT_DECAY: Final = 0.02
RARE_POWER: Final = 0.3
"""A picture is drawn as often as the frequency of its majority to minus this power says."""


def draw_epoch(
    stills: Stills, rng: np.random.Generator, power: float = RARE_POWER
) -> NDArray[np.int64]:
    """Return as many indices as there are pictures, rare expressions more often."""
    kind = stills.votes.argmax(axis=1)
    counts = np.bincount(kind, minlength=len(EXPRESSIONS))
    chance = np.maximum(counts, 1.0)[kind] ** -power
    return rng.choice(len(kind), len(kind), p=chance / chance.sum())


def train_epoch(
    network: FrameClassifier, stills: Stills, optimiser: torch.optim.Optimizer,
    schedule: torch.optim.lr_scheduler.LRScheduler, seed: int,
    progress: Callable[[list[Any]], Iterable[Any]] = iter,
) -> float:  # fmt: skip
    """Train over as many pictures as there are and return the mean loss."""
    generator = torch.Generator().manual_seed(seed)
    order = draw_epoch(stills, np.random.default_rng(seed))
    network.train()
    batches = [order[k : k + BATCH] for k in range(0, len(order) - BATCH + 1, BATCH)]
    total = 0.0
    for indices in progress(batches):
        pictures = torch.from_numpy(stills.pictures[indices].astype(np.float32))
        targets = torch.from_numpy(stills.votes[indices])
        loss = soft_cross_entropy(network(augment(pictures, generator)), targets)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
        total += loss.item()
    return total / len(batches)


@torch.no_grad()
def read_all(
    network: nn.Module, pictures: NDArray[np.uint8], *, flipped: bool
) -> NDArray[np.float32]:
    """Return probabilities (n, 8); `flipped` averages those of the mirrored pictures too."""
    network.eval()
    read = []
    for k in range(0, len(pictures), 256):
        part = torch.from_numpy(pictures[k : k + 256].astype(np.float32))
        chances = network(part).softmax(1)
        if flipped:
            chances = 0.5 * (chances + network(part.flip(2)).softmax(1))
        read.append(chances.numpy())
    return np.concatenate(read)


def score(network: nn.Module, stills: Stills, *, flipped: bool) -> dict[str, Any]:
    """Score the strict majorities: accuracy, UAR, recalls and the confusion matrix."""
    known = stills.majority >= 0
    read = read_all(network, stills.pictures[known], flipped=flipped).argmax(axis=1)
    counts = confusion(stills.majority[known], read, len(EXPRESSIONS))
    return {
        "faces": int(known.sum()),
        "accuracy": war(counts),
        "uar": uar(counts),
        "recall": dict(zip(EXPRESSIONS, recalls(counts).tolist(), strict=True)),
        "confusion": counts.tolist(),
    }


def main() -> None:
    """Run from the command line."""
    from rich.progress import track

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--ferplus", type=Path, required=True, help="ferplus_train_valid.npz")
    parser.add_argument("--out", type=Path, required=True, help="folder for the checkpoint")
    parser.add_argument("--epochs", type=int, default=36)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--threads", type=int, default=0, help="0 = as many as there are cores")
    options = parser.parse_args()
    if options.threads:
        torch.set_num_threads(options.threads)
    torch.manual_seed(options.seed)
    options.out.mkdir(parents=True, exist_ok=True)
    train, valid = (read_stills(options.ferplus, split) for split in ("train", "valid"))
    network = FrameClassifier().to(memory_format=torch.channels_last)
    decayed = [p for p in network.parameters() if p.ndim > 1]
    others = [p for p in network.parameters() if p.ndim <= 1]
    optimiser = torch.optim.AdamW(
        [
            {"params": decayed, "weight_decay": WEIGHT_DECAY},
            {"params": others, "weight_decay": 0.0},
        ],
        lr=PEAK_RATE,
    )
    steps = options.epochs * (len(train.pictures) // BATCH)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, PEAK_RATE, steps)
    checkpoint, first = options.out / "checkpoint.pt", 0
    if checkpoint.exists():
        stored = torch.load(checkpoint, weights_only=True)
        network.load_state_dict(stored["network"])
        optimiser.load_state_dict(stored["optimiser"])
        schedule.load_state_dict(stored["schedule"])
        first = stored["epoch"]
    for epoch in range(first, options.epochs):
        loss = train_epoch(
            network, train, optimiser, schedule, options.seed * 1000 + epoch,
            lambda batches, e=epoch: track(batches, f"epoch {e + 1} of {options.epochs}"),
        )  # fmt: skip
        found = score(network, valid, flipped=False)
        text = f"epoch {epoch + 1}: loss {loss:.4f}, accuracy {found['accuracy']:.4f}"
        print(f"{text}, UAR {found['uar']:.4f}", flush=True)
        state = {
            "network": network.state_dict(), "optimiser": optimiser.state_dict(),
            "schedule": schedule.state_dict(), "epoch": epoch + 1,
        }  # fmt: skip
        torch.save(state, checkpoint.with_suffix(".part"))
        checkpoint.with_suffix(".part").replace(checkpoint)
    report = {
        "seed": options.seed, "epochs": options.epochs, "faces": len(train.pictures),
        "plain": score(network, valid, flipped=False),
        "flip averaged": score(network, valid, flipped=True),
    }  # fmt: skip
    (options.out / "report.json").write_text(json.dumps(report, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    main()
