"""Train IFDD-Stream: backbone, lifting and head together, on stills and on sequences.

    python -m training.ifdd_stream.train --ferplus ferplus_train_valid.npz --frames FOLDER \
        --sequences FOLDER --out FOLDER [--epochs 8] [--seed 1]

Begins with the backbone that ``frames`` trained, which stands still for an epoch and then learns
at a low rate, or with ``--begin RUN`` of its own, which learns on at a part of the rates
(``--slower``), for another ``--split`` of the clip if asked. A step sees

- FER+ stills, a half of them as clips that stand still, a half as pseudo-clips: two views of the
  still, one passing into the other, which mean the same all the time;
- sequences of the studio, and of the smile onsets of the Face Research Lab London Set (persons 001
  to 035), with a decision at each of their moments.

Goes on from the last checkpoint in ``--out``. The schedule is fixed and the last epoch is taken.
"""

from __future__ import annotations

import argparse
import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import torch
from torch import Tensor, nn

from realtime_affect.names import EXPRESSIONS
from training.action_units.dataset import load_arrays
from training.checkpoints import Run, decay_groups, load_weights
from training.ifdd.recipe import soft_cross_entropy
from training.ifdd_stream.augmentation import augment, shake
from training.ifdd_stream.frames import draw_epoch, score
from training.ifdd_stream.network import (
    SLOTS,
    SPLITS,
    FrameClassifier,
    Split,
    StreamNetwork,
    windows,
)
from training.ifdd_stream.sequences import (
    COMES,
    GOES,
    SLOTS_FILMED,
    Sequences,
    read_sequences,
)
from training.ifdd_stream.stills import read_stills
from training.metrics import confusion, uar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from numpy.typing import NDArray

    from training.ifdd_stream.stills import Stills

STILLS: Final = 96  # of a step
FILMED: Final = 5  # sequences of a step, and one smile onset more
BACKBONE_RATE: Final = 3e-4
RATE: Final = 2e-3
WEIGHT_DECAY: Final = 0.02
DECOUPLING: Final = 0.1
RARE_POWER: Final = 0.15  # as frames.RARE_POWER: rare ones are known by now, common ones decide
NEUTRAL_POWER: Final = 0.4
"""A moment of a sequence weighs as much as its expression's frequency to minus this power says:
most moments are neutral."""

ALIGNED: Final = 0.4  # share of stills seen as the product would cut them
TAUGHT_PERSONS: Final = range(1, 36)


@dataclass(frozen=True, slots=True)
class Lessons:
    """What is learned from.

    Attributes
    ----------
    stills : Stills
    aligned : (n, 48, 48) uint8
        The same stills as the product would cut them, where it finds a face; else as they are.
    filmed : Sequences
    onsets : (n, 16, 48, 48) uint8
        From neutral to smile.
    """

    stills: Stills
    aligned: NDArray[np.uint8]
    filmed: Sequences
    onsets: NDArray[np.uint8]


class StillNetwork(nn.Module):
    """Decide on stills (n, 48, 48) as on clips that stand still: logits (n, 8)."""

    def __init__(self, network: StreamNetwork) -> None:
        super().__init__()
        self.network = network

    def forward(self, pictures: Tensor) -> Tensor:
        """Decide."""
        tokens = self.network.slots(pictures)
        return self.network.decide(tokens[:, None].expand(-1, SLOTS, -1, -1))[0]


def read_lessons(ferplus: Path, folder: Path) -> Lessons:
    """Read FER+ and what ``sequences`` wrote to `folder`."""
    stills = read_stills(ferplus, "train")
    found = load_arrays(folder / "stills_train.npz")
    aligned = np.where((found["presence"] > 0.5)[:, None, None], found["pictures"], stills.pictures)
    onsets = load_arrays(folder / "onsets.npz")
    taught = np.isin(onsets["person"], TAUGHT_PERSONS)
    filmed = read_sequences(sorted(folder.glob("train_*.npz")))
    return Lessons(stills, aligned, filmed, onsets["pictures"][taught])


def draw_onset(
    onset: NDArray[np.uint8], rng: np.random.Generator
) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """Play a smile onset (16, 48, 48) at some speed, forwards, backwards or not at all.

    Returns
    -------
    pictures : (24, 48, 48)
    shown : (24, 8)
    """
    t = np.arange(SLOTS_FILMED)
    begin, length = rng.uniform(-4, 18), rng.uniform(2, 12)
    level = np.clip((t - begin) / length, 0, 1)
    way = rng.uniform()
    low, high = COMES
    if way < 0.15:
        level[:] = 0
    elif way < 0.45:
        level = 1 - level
        low, high = GOES if level[0] > level[-1] else COMES
    share = np.clip((level - low) / (high - low), 0, 1)
    shown = np.zeros((SLOTS_FILMED, len(EXPRESSIONS)), np.float32)
    shown[:, EXPRESSIONS.index("happiness")] = share
    shown[:, EXPRESSIONS.index("neutral")] = 1 - share
    return onset[np.rint(15 * level).astype(int)], shown


def still_clips(tokens: Tensor, others: Tensor, generator: torch.Generator) -> Tensor:
    """Make clips (n, 12, 9, c) of stills' tokens; the last m pass into other views of theirs.

    Parameters
    ----------
    tokens : (n, 9, c)
    others : (m, 9, c)
        Of another view of each of the last m.
    generator : torch.Generator
    """
    m = len(others)
    begin = torch.rand(m, 1, generator=generator) * SLOTS
    length = 1 + torch.rand(m, 1, generator=generator) * SLOTS / 2
    share = ((torch.arange(SLOTS) - begin) / length).clamp(0, 1)[:, :, None, None]
    passing = tokens[-m:, None] * (1 - share) + others[:, None] * share
    standing = tokens[:-m, None].expand(-1, SLOTS, -1, -1)
    return torch.cat([standing, passing])


def class_weights(shown: NDArray[np.float32]) -> Tensor:
    """Weigh classes by how often sequences (n, t, 8) show them; 1 for the mean moment."""
    frequency = shown.mean((0, 1))
    weights = np.maximum(frequency, 1e-3) ** -NEUTRAL_POWER
    return torch.from_numpy((weights / (frequency * weights).sum()).astype(np.float32))


def train_epoch(
    network: StreamNetwork, lessons: Lessons, optimiser: torch.optim.Optimizer,
    schedule: torch.optim.lr_scheduler.LRScheduler, seed: int,
    progress: Callable[[list[Any]], Iterable[Any]] = iter, *, held: bool = False,
) -> tuple[float, float]:  # fmt: skip
    """Train over as many stills as there are; return the mean losses of stills and sequences.

    The backbone's batch norms keep the statistics that ``frames`` found; with `held` all of it
    stands still.
    """
    generator = torch.Generator().manual_seed(seed)
    rng = np.random.default_rng(seed)
    order = draw_epoch(lessons.stills.votes, rng, RARE_POWER)
    film_order = np.concatenate([rng.permutation(len(lessons.filmed)) for _ in range(9)])
    network.train()
    network.backbone.eval()
    network.backbone.requires_grad_(not held)
    weights = class_weights(lessons.filmed.shown)
    steps = list(range(len(order) // STILLS))
    totals = np.zeros(2)
    for step in progress(steps):
        chosen = order[step * STILLS : (step + 1) * STILLS]
        as_cut = (rng.uniform(size=STILLS) < ALIGNED)[:, None, None]
        views = np.where(as_cut, lessons.aligned[chosen], lessons.stills.pictures[chosen])
        seen = augment(_tensor(views), generator)
        again = shake(seen[STILLS // 2 :], generator)
        rows = film_order[np.arange(step * FILMED, (step + 1) * FILMED) % len(film_order)]
        onset, smile = draw_onset(lessons.onsets[rng.integers(len(lessons.onsets))], rng)
        filmed = np.concatenate([lessons.filmed.pictures[rows], onset[None]])
        shown = np.concatenate([lessons.filmed.shown[rows], smile[None]]).reshape(-1, 8)
        moving = augment(_tensor(filmed.reshape(-1, *onset.shape[1:])), generator, SLOTS_FILMED)
        tokens = network.slots(torch.cat([seen, again, moving]))
        first, second, third = tokens.split([len(seen), len(again), len(moving)])
        sequences = windows(third.unflatten(0, (-1, SLOTS_FILMED))).flatten(0, 1)
        clips = torch.cat([still_clips(first, second, generator), sequences])
        logits, lost = network.decide(clips)
        votes = torch.from_numpy(lessons.stills.votes[chosen])
        still_loss = soft_cross_entropy(logits[:STILLS], votes)
        film_loss = soft_cross_entropy(logits[STILLS:], torch.from_numpy(shown) * weights)
        apart = nn.functional.smooth_l1_loss(lost, torch.zeros_like(lost))
        optimiser.zero_grad()
        (still_loss + film_loss + DECOUPLING * apart).backward()
        nn.utils.clip_grad_norm_(network.parameters(), 5.0)
        optimiser.step()
        schedule.step()
        totals += still_loss.item(), film_loss.item()
    return tuple((totals / len(steps)).tolist())


@torch.no_grad()
def decide_all(network: StreamNetwork, pictures: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return the logits (n, t, 8) at every moment of sequences (n, t, 48, 48)."""
    network.eval()
    logits = []
    for k in range(0, len(pictures), 8):
        part = _tensor(pictures[k : k + 8])
        tokens = network.slots(part.flatten(0, 1)).unflatten(0, part.shape[:2])
        clips = windows(tokens)
        decided, _ = network.decide(clips.flatten(0, 1))
        logits.append(decided.unflatten(0, clips.shape[:2]).numpy())
    return np.concatenate(logits)


def moment_uar(sequences: Sequences, logits: NDArray[np.float32]) -> float:
    """UAR over all moments whose expression is clear: more than 0.8 of one class."""
    clear = sequences.shown.max(2) > 0.8
    truth, read = sequences.shown.argmax(2)[clear], logits.argmax(2)[clear]
    return uar(confusion(truth, read, len(EXPRESSIONS)))


def make_optimiser(
    network: StreamNetwork, steps: int, slower: float = 1.0
) -> tuple[torch.optim.Optimizer, torch.optim.lr_scheduler.LRScheduler]:
    """Return AdamW and its schedule; the backbone, which knows much already, learns slower."""
    backbone = list(network.backbone.parameters())
    inside = {id(parameter) for parameter in backbone}
    others = [parameter for parameter in network.parameters() if id(parameter) not in inside]
    groups = [
        *decay_groups(backbone, WEIGHT_DECAY, lr=slower * BACKBONE_RATE),
        *decay_groups(others, WEIGHT_DECAY, lr=slower * RATE),
    ]
    optimiser = torch.optim.AdamW(groups)
    rates = [group["lr"] for group in groups]
    return optimiser, torch.optim.lr_scheduler.OneCycleLR(optimiser, rates, steps, pct_start=0.15)


def split_of(run: Path) -> Split:
    """Return the split that the network of a run's folder has."""
    split: Split = json.loads((run / "about.json").read_text("utf-8"))["split"]
    return split


def about(lessons: Lessons, options: argparse.Namespace) -> dict[str, Any]:
    """Say what a run learned from."""
    files = [options.ferplus, options.frames / "checkpoint.pt", options.sequences / "onsets.npz"]
    digest = hashlib.sha256()
    for path in [*files, *sorted(options.sequences.glob("train_*.npz"))]:
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    before = 0
    if options.begin is not None:
        before = json.loads((options.begin / "about.json").read_text("utf-8"))["epochs"]
    return {
        "seed": options.seed, "epochs": before + options.epochs, "split": options.split,
        "data_sha256": digest.hexdigest(),
        "stills": len(lessons.stills.pictures),
        "votes": dict(zip(EXPRESSIONS, np.bincount(
            lessons.stills.votes.argmax(1), minlength=len(EXPRESSIONS)).tolist(), strict=True)),
        "people": len(set(lessons.filmed.person.tolist())), "sequences": len(lessons.filmed),
        "onsets": len(lessons.onsets),
    }  # fmt: skip


def _tensor(pictures: NDArray[np.uint8]) -> Tensor:
    return torch.from_numpy(pictures.astype(np.float32))


def main() -> None:
    """Run from the command line."""
    from rich.progress import track

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--ferplus", type=Path, required=True, help="ferplus_train_valid.npz")
    parser.add_argument("--frames", type=Path, required=True, help="folder of frames' checkpoint")
    parser.add_argument("--sequences", type=Path, required=True, help="folder of sequences")
    parser.add_argument("--out", type=Path, required=True, help="folder for the checkpoint")
    parser.add_argument("--epochs", type=int, default=8)
    parser.add_argument("--begin", type=Path, metavar="RUN", help="learn on from another --out")
    parser.add_argument("--slower", type=float, default=1.0, help="multiplies the rates")
    parser.add_argument("--held", type=int, default=1, help="epochs in which the backbone is still")
    parser.add_argument("--split", choices=SPLITS, default="learned")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--threads", type=int, default=0, help="0 = as many as there are cores")
    options = parser.parse_args()
    if options.threads:
        torch.set_num_threads(options.threads)
    torch.manual_seed(options.seed)
    options.out.mkdir(parents=True, exist_ok=True)
    lessons = read_lessons(options.ferplus, options.sequences)
    valid = read_stills(options.ferplus, "valid")
    unseen = read_sequences(sorted(options.sequences.glob("validation_*.npz")))
    network = StreamNetwork(options.split)
    if options.begin is not None:
        # Splits differ in their own weights alone.
        begun = load_weights(options.begin, StreamNetwork(split_of(options.begin)))
        network.load_state_dict(begun.state_dict(), strict=False)
    else:
        network.backbone.load_state_dict(
            load_weights(options.frames, FrameClassifier()).backbone.state_dict()
        )
    network = network.to(memory_format=torch.channels_last)
    optimiser, schedule = make_optimiser(
        network, options.epochs * (len(lessons.stills.pictures) // STILLS), options.slower
    )
    run = Run(options.out, network, optimiser, schedule)
    (options.out / "about.json").write_text(
        json.dumps(about(lessons, options), indent=1) + "\n", "utf-8"
    )
    for epoch in range(run.epochs, options.epochs):
        stills, filmed = train_epoch(
            network, lessons, optimiser, schedule, options.seed * 1000 + epoch,
            lambda steps, e=epoch: track(steps, f"epoch {e + 1} of {options.epochs}"),
            held=epoch < options.held,
        )  # fmt: skip
        found = score(StillNetwork(network), valid, flipped=False)
        moving = moment_uar(unseen, decide_all(network, unseen.pictures))
        print(
            f"epoch {epoch + 1}: losses {stills:.4f}, {filmed:.4f}; FER+ valid accuracy "
            f"{found['accuracy']:.4f}, UAR {found['uar']:.4f}; studio UAR {moving:.4f}",
            flush=True,
        )
        run.keep()


if __name__ == "__main__":
    main()
