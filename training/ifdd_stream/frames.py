"""Train the slot backbone on single pictures before the lifting scheme is trained on sequences.

    python -m training.ifdd_stream.frames --ferplus ferplus_train_valid.npz --out FOLDER \
        [--sequences FOLDER] [--begin FOLDER] [--rate 0.004] [--epochs 36] [--seed 1]

FER+ stills, and with ``--sequences`` a third of each step moments of the studio's people, each on
its own: a backbone that never saw a rendered face tells little about one. Begins anew, or where
another ``--out`` ended (``--begin``). Goes on from the last checkpoint in ``--out``. The schedule
is fixed and the last epoch is taken.
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
from training.checkpoints import Run, decay_groups, load_weights
from training.ifdd.recipe import soft_cross_entropy
from training.ifdd_stream.augmentation import augment
from training.ifdd_stream.network import FrameClassifier
from training.ifdd_stream.sequences import Sequences, read_sequences
from training.ifdd_stream.stills import Stills, read_stills
from training.metrics import confusion, recalls, uar, war

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from numpy.typing import NDArray

BATCH: Final = 128
MIXED: Final = 96, 48  # stills and rendered moments of a step, where there are both
PEAK_RATE: Final = 4e-3
WEIGHT_DECAY: Final = 0.02
RARE_POWER: Final = 0.3
"""A picture is drawn as often as the frequency of its majority to minus this power says."""

RENDERED_POWER: Final = 0.6  # most moments of a sequence are neutral


def draw_epoch(
    votes: NDArray[np.float32], rng: np.random.Generator, power: float = RARE_POWER
) -> NDArray[np.int64]:
    """Return as many indices as there are rows of votes (n, 8), rare expressions more often."""
    kind = votes.argmax(axis=1)
    counts = np.bincount(kind, minlength=len(EXPRESSIONS))
    chance = np.maximum(counts, 1.0)[kind] ** -power
    return rng.choice(len(kind), len(kind), p=chance / chance.sum())


def train_epoch(
    network: FrameClassifier, stills: Stills, filmed: Sequences | None,
    optimiser: torch.optim.Optimizer, schedule: torch.optim.lr_scheduler.LRScheduler, seed: int,
    progress: Callable[[list[Any]], Iterable[Any]] = iter,
) -> float:  # fmt: skip
    """Train over as many stills as there are and return the mean loss."""
    generator = torch.Generator().manual_seed(seed)
    rng = np.random.default_rng(seed)
    pictures_of, votes_of = [stills.pictures], [stills.votes]
    orders, shares = [draw_epoch(stills.votes, rng)], (BATCH,)
    if filmed is not None:
        pictures_of.append(filmed.pictures.reshape(-1, *filmed.pictures.shape[2:]))
        votes_of.append(filmed.shown.reshape(-1, len(EXPRESSIONS)))
        orders.append(draw_epoch(votes_of[1], rng, RENDERED_POWER))
        shares = MIXED
    network.train()
    steps = list(range(len(stills.pictures) // shares[0]))
    total = 0.0
    for step in progress(steps):
        rows = [order[step * n : (step + 1) * n] for order, n in zip(orders, shares, strict=True)]
        seen = np.concatenate([p[i] for p, i in zip(pictures_of, rows, strict=True)])
        pictures = torch.from_numpy(seen.astype(np.float32))
        targets = torch.from_numpy(
            np.concatenate([v[i] for v, i in zip(votes_of, rows, strict=True)])
        )
        loss = soft_cross_entropy(network(augment(pictures, generator)), targets)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
        total += loss.item()
    return total / len(steps)


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


def rendered_uar(network: nn.Module, filmed: Sequences) -> float:
    """UAR over single moments whose expression is clear: more than 0.8 of one class."""
    clear = filmed.shown.max(2) > 0.8
    read = read_all(network, filmed.pictures[clear], flipped=False).argmax(1)
    return uar(confusion(filmed.shown[clear].argmax(1), read, len(EXPRESSIONS)))


def main() -> None:
    """Run from the command line."""
    from rich.progress import track

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--ferplus", type=Path, required=True, help="ferplus_train_valid.npz")
    parser.add_argument("--out", type=Path, required=True, help="folder for the checkpoint")
    parser.add_argument("--sequences", type=Path, help="folder of sequences, to see them too")
    parser.add_argument("--begin", type=Path, metavar="FOLDER", help="learn on from another --out")
    parser.add_argument("--rate", type=float, default=PEAK_RATE, help="peak of the schedule")
    parser.add_argument("--epochs", type=int, default=36)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--threads", type=int, default=0, help="0 = as many as there are cores")
    options = parser.parse_args()
    if options.threads:
        torch.set_num_threads(options.threads)
    torch.manual_seed(options.seed)
    options.out.mkdir(parents=True, exist_ok=True)
    train, valid = (read_stills(options.ferplus, split) for split in ("train", "valid"))
    filmed = unseen = None
    if options.sequences is not None:
        filmed, unseen = (
            read_sequences(sorted(options.sequences.glob(f"{split}_*.npz")))
            for split in ("train", "validation")
        )
    network = FrameClassifier()
    if options.begin is not None:
        load_weights(options.begin, network)
    network = network.to(memory_format=torch.channels_last)
    groups = decay_groups(network.parameters(), WEIGHT_DECAY)
    optimiser = torch.optim.AdamW(groups, options.rate)
    steps = options.epochs * (len(train.pictures) // (BATCH if filmed is None else MIXED[0]))
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, options.rate, steps)
    run = Run(options.out, network, optimiser, schedule)
    for epoch in range(run.epochs, options.epochs):
        loss = train_epoch(
            network, train, filmed, optimiser, schedule, options.seed * 1000 + epoch,
            lambda steps, e=epoch: track(steps, f"epoch {e + 1} of {options.epochs}"),
        )  # fmt: skip
        found = score(network, valid, flipped=False)
        text = f"epoch {epoch + 1}: loss {loss:.4f}, accuracy {found['accuracy']:.4f}"
        text += f", UAR {found['uar']:.4f}"
        if unseen is not None:
            text += f"; studio UAR {rendered_uar(network, unseen):.4f}"
        print(text, flush=True)
        run.keep()
    report = {
        "seed": options.seed, "epochs": options.epochs, "faces": len(train.pictures),
        "rendered": 0 if filmed is None else len(filmed.pictures),
        "plain": score(network, valid, flipped=False),
        "flip averaged": score(network, valid, flipped=True),
    }  # fmt: skip
    (options.out / "report.json").write_text(json.dumps(report, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    main()
