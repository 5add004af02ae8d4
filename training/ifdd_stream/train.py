"""Train the lifting of IFDD-Stream on clips, behind a backbone that stands still.

    python -m training.ifdd_stream.train --views FOLDER --frames RUN --ferplus PACK --lfw PACK \
        --stills FOLDER --out FOLDER [--epochs 4] [--seed 1]

Begins with what ``frames`` learned. Backbone, tokens and the head of single moments are held, so
that clips cost still images nothing; their tokens are made once, of ``views``. What learns is the
lifting with its head, and how much the newest moment counts. A step sees

- still images as clips that stand still, or that pass from one view into another;
- talking clips: still images whose mouths move as in speech (``mouth``), which mean what the still
  means at every moment, and whose probabilities shall keep still too;
- rendered sequences, and smile onsets of the Face Research Lab London Set (persons 001 to 035),
  with a decision at each of their moments.

Last, the biases of the lifting's head are fitted to all of it with rare expressions weighed up: the
talking clips, half of them neutral, had drawn everything to neutral.

Goes on from the last checkpoint in ``--out``. The schedule is fixed and the last epoch is taken.
About three CPU minutes.
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
from training.checkpoints import Run, decay_groups
from training.ifdd.recipe import soft_cross_entropy
from training.ifdd_stream.cuts import add_data, lfw_part, read_cuts
from training.ifdd_stream.frames import load_mean, score
from training.ifdd_stream.network import (
    PLACES,
    SLOT_HZ,
    SLOTS,
    SPLITS,
    WIDTH,
    Split,
    StreamNetwork,
    windows,
)
from training.ifdd_stream.sequences import (
    COMES,
    GOES,
    SCENES,
    SLOTS_FILMED,
    Sequences,
)
from training.ifdd_stream.views import read_views, talking_clips
from training.metrics import confusion, uar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from numpy.typing import NDArray

STILLS: Final = 48  # clips of a step
TALKING: Final = 3  # talking clips of a step,
FILMED: Final = 4  # rendered sequences, and one smile onset more
STEPS: Final = 100  # of an epoch
RATE: Final = 1e-3
WEIGHT_DECAY: Final = 0.05
DECOUPLING: Final = 0.1
STEADY: Final = 2.0
"""Weight of how much probabilities change between moments of a talking clip, squared."""

NEUTRAL_POWER: Final = 0.4
"""A moment of a sequence weighs as much as its expression's frequency to minus this power says:
most moments are neutral."""

BALANCED: Final = 8000  # still faces that biases are fitted on
BALANCE_POWER: Final = 0.5
_NEUTRAL: Final = EXPRESSIONS.index("neutral")


@dataclass(frozen=True, slots=True)
class Lessons:
    """What clips are made of, as tokens (..., 9, 96) float16.

    Attributes
    ----------
    stills : (2, n, 9, 96)
        Two views of each face.
    votes : (n, 8) float32
    talking : (m, 24, 9, 96)
    said : (m, 8) float32
        What the talking faces show.
    filmed : (v, k, 24, 9, 96)
    shown : (k, 24, 8) float32
    onsets : (2, p, 16, 9, 96)
        From neutral to smile.
    """

    stills: NDArray[np.float16]
    votes: NDArray[np.float32]
    talking: NDArray[np.float16]
    said: NDArray[np.float32]
    filmed: NDArray[np.float16]
    shown: NDArray[np.float32]
    onsets: NDArray[np.float16]


class StillNetwork(nn.Module):
    """Decide on stills (n, 48, 48) as on clips that stand still: logits (n, 8)."""

    def __init__(self, network: StreamNetwork) -> None:
        super().__init__()
        self.network = network

    def forward(self, pictures: Tensor) -> Tensor:
        """Decide."""
        tokens = self.network.slots(pictures)
        return self.network.decide(tokens[:, None].expand(-1, SLOTS, -1, -1))[0]


@torch.no_grad()
def look(network: StreamNetwork, features: NDArray[np.float16]) -> NDArray[np.float16]:
    """Return tokens (..., 9, 96) of what the early blocks saw (..., 128, 6, 6)."""
    network.eval()
    flat = features.reshape(-1, *features.shape[-3:])
    parts = [
        network.slots_late(_tensor(flat[k : k + 256])).numpy().astype(np.float16)
        for k in range(0, len(flat), 256)
    ]
    return np.concatenate(parts).reshape(*features.shape[:-3], PLACES, WIDTH)


def read_lessons(network: StreamNetwork, folder: Path) -> Lessons:
    """Look at everything that ``views`` made, once."""
    stills, votes = [], []
    for kind in ("ferplus", "lfw"):
        features, shares = read_views(folder, kind)
        stills.append(look(network, features[:2]))
        votes.append(shares)
    talking, said = read_views(folder, "talking")
    filmed, shown = read_views(folder, "sequences")
    onsets, _ = read_views(folder, "onsets")
    return Lessons(
        np.concatenate(stills, 1), np.concatenate(votes), look(network, talking[0]), said[:, 0],
        look(network, filmed), shown, look(network, onsets),
    )  # fmt: skip


def draw_onset(
    onset: NDArray[Any], rng: np.random.Generator
) -> tuple[NDArray[Any], NDArray[np.float32]]:
    """Play a smile onset (16, ...) at some speed, forwards, backwards or not at all.

    Returns
    -------
    moments : (24, ...)
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
    shown[:, _NEUTRAL] = 1 - share
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
    progress: Callable[[list[Any]], Iterable[Any]] = iter,
) -> NDArray[np.float64]:  # fmt: skip
    """Train for STEPS steps; return the mean losses of stills, talking and sequences."""
    generator = torch.Generator().manual_seed(seed)
    rng = np.random.default_rng(seed)
    network.train()
    network.backbone.eval()
    weights = class_weights(lessons.shown)
    totals = np.zeros(3)
    for _ in progress(list(range(STEPS))):
        chosen = rng.integers(len(lessons.votes), size=STILLS)
        first, second = (_tensor(view[chosen]) for view in lessons.stills)
        talkers = rng.integers(len(lessons.said), size=TALKING)
        rows = rng.integers(len(lessons.shown), size=FILMED)
        person, view = rng.integers(lessons.onsets.shape[1]), rng.integers(len(lessons.onsets))
        onset, smile = draw_onset(lessons.onsets[view, person], rng)
        moving = np.concatenate(
            [
                lessons.talking[talkers],
                lessons.filmed[rng.integers(len(lessons.filmed), size=FILMED), rows],
                onset[None],
            ]
        )
        clips = torch.cat([
            still_clips(first, second[STILLS // 2 :], generator),
            windows(_tensor(moving)).flatten(0, 1),
        ])  # fmt: skip
        logits, lost = network.decide(clips)
        still, said, film = logits.split(
            [STILLS, TALKING * SLOTS_FILMED, (FILMED + 1) * SLOTS_FILMED]
        )
        votes = torch.from_numpy(lessons.votes[chosen])
        wanted = torch.from_numpy(lessons.said[talkers]).repeat_interleave(SLOTS_FILMED, 0)
        shown = torch.from_numpy(np.concatenate([lessons.shown[rows], smile[None]]))
        still_loss = soft_cross_entropy(still, votes)
        said_loss = soft_cross_entropy(said, wanted)
        film_loss = soft_cross_entropy(film, shown.flatten(0, 1) * weights)
        course = said.softmax(1).unflatten(0, (TALKING, SLOTS_FILMED))
        restless = course.diff(dim=1).square().sum(2).mean()
        apart = nn.functional.smooth_l1_loss(lost, torch.zeros_like(lost))
        optimiser.zero_grad()
        loss = still_loss + said_loss + film_loss + STEADY * restless + DECOUPLING * apart
        loss.backward()
        nn.utils.clip_grad_norm_(network.parameters(), 5.0)
        optimiser.step()
        schedule.step()
        totals += still_loss.item(), said_loss.item(), film_loss.item()
    return totals / STEPS


def balance(network: StreamNetwork, lessons: Lessons) -> Tensor:
    """Fit the biases (8,) of the lifting's head with rare expressions weighed up; return them.

    On still faces, the ends of smile onsets, and rendered moments whose expression is clear, a
    third of the weight each; within each, an expression weighs as its frequency to minus
    BALANCE_POWER. The optimum does not depend on where the biases are.
    """
    rng = np.random.default_rng(3)
    rows = rng.choice(len(lessons.votes), min(BALANCED, len(lessons.votes)), replace=False)
    standing = _tensor(lessons.stills[0][rows])[:, None].expand(-1, SLOTS, -1, -1)
    onsets = _tensor(lessons.onsets[0])
    smiles = torch.zeros(len(onsets), 2, len(EXPRESSIONS))
    smiles[:, 0, _NEUTRAL] = smiles[:, 1, EXPRESSIONS.index("happiness")] = 1
    ends = torch.stack([onsets[:, 0], onsets[:, -1]], 1).flatten(0, 1)
    some = rng.choice(len(lessons.shown), min(BALANCED // 200, len(lessons.shown)), replace=False)
    clear = (lessons.shown[some].max(2) > 0.8) & (np.arange(SLOTS_FILMED) >= SLOTS - 1)
    moving = windows(_tensor(lessons.filmed[0][some]))[torch.from_numpy(clear)]
    parts = [
        (standing, torch.from_numpy(lessons.votes[rows])),
        (ends[:, None].expand(-1, SLOTS, -1, -1), smiles.flatten(0, 1)),
        (moving, torch.from_numpy(lessons.shown[some][clear])),
    ]
    network.eval()
    logits, weighed = [], []
    with torch.no_grad():
        for clips, votes in parts:
            logits.extend(network.decide(part)[0] for part in clips.split(256))
            frequency = votes.sum(0) / votes.sum()
            targets = votes * frequency.clamp(min=1e-3) ** -BALANCE_POWER
            weighed.append(targets / targets.sum())
    everything, targets = torch.cat(logits), torch.cat(weighed)
    offset = torch.zeros(len(EXPRESSIONS), requires_grad=True)
    optimiser = torch.optim.LBFGS([offset], max_iter=100)

    def loss() -> Tensor:
        optimiser.zero_grad()
        value = -(targets * (everything + offset).log_softmax(1)).sum()
        value.backward()
        return value

    optimiser.step(loss)
    with torch.no_grad():
        network.head[1].bias.add_(offset - offset.mean())
    return network.head[1].bias.detach()


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


def changes_a_minute(logits: NDArray[np.float32]) -> float:
    """Return how often the likeliest expression changes, a minute, in sequences (n, t, 8)."""
    likeliest = logits.argmax(2)
    changes = (likeliest[:, 1:] != likeliest[:, :-1]).mean()
    return float(changes * SLOT_HZ * 60)


def hold(network: StreamNetwork) -> None:
    """Keep what single moments show as it is."""
    for part in (network.backbone, network.tokens, network.still):
        part.requires_grad_(requires_grad=False)


def begin_with(frames: Path, split: Split) -> StreamNetwork:
    """Return the network of a run of ``frames``, its lifting adding nothing yet."""
    network = StreamNetwork(split)
    before = load_mean(frames, StreamNetwork("none")).state_dict()
    network.load_state_dict(before, strict=False)  # splits differ in their own weights alone
    nn.init.zeros_(network.head[1].weight)
    nn.init.zeros_(network.head[1].bias)
    return network


def split_of(run: Path) -> Split:
    """Return the split that the network of a run's folder has."""
    split: Split = json.loads((run / "about.json").read_text("utf-8"))["split"]
    return split


def about(lessons: Lessons, options: argparse.Namespace) -> dict[str, Any]:
    """Say what a run learned from."""
    digest = hashlib.sha256()
    for path in [options.frames / "checkpoint.pt", *sorted(options.views.glob("*.npz"))]:
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    counts = {kind: len(read_views(options.views, kind)[1]) for kind in ("ferplus", "lfw")}
    before = json.loads((options.frames / "about.json").read_text("utf-8"))
    return before | {
        "seed": options.seed, "epochs": options.epochs, "split": options.split,
        "data_sha256": digest.hexdigest(), "stills": counts["ferplus"], "lfw": counts["lfw"],
        "people": len(lessons.shown) // SCENES, "sequences": len(lessons.shown),
        "talking": len(lessons.said),
        "onsets": lessons.onsets.shape[1],
    }  # fmt: skip


def _tensor(array: NDArray[Any]) -> Tensor:
    return torch.from_numpy(array.astype(np.float32))


def main() -> None:
    """Run from the command line."""
    from rich.progress import track

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add_data(parser)
    parser.add_argument("--views", type=Path, required=True, help="folder of views")
    parser.add_argument("--frames", type=Path, required=True, help="folder of frames' checkpoint")
    parser.add_argument("--out", type=Path, required=True, help="folder for the checkpoint")
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--split", choices=SPLITS, default="learned")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--threads", type=int, default=0, help="0 = as many as there are cores")
    options = parser.parse_args()
    if options.threads:
        torch.set_num_threads(options.threads)
    torch.manual_seed(options.seed)
    options.out.mkdir(parents=True, exist_ok=True)
    network = begin_with(options.frames, options.split).to(memory_format=torch.channels_last)
    hold(network)
    lessons = read_lessons(network, options.views)
    learning = [parameter for parameter in network.parameters() if parameter.requires_grad]
    optimiser = torch.optim.AdamW(decay_groups(learning, WEIGHT_DECAY), RATE)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, RATE, options.epochs * STEPS, pct_start=0.15
    )
    run = Run(options.out, network, optimiser, schedule)
    (options.out / "about.json").write_text(
        json.dumps(about(lessons, options), indent=1) + "\n", "utf-8"
    )
    lfw = read_cuts(options.stills, options.lfw, "lfw")
    unseen = lfw.take(np.flatnonzero(lfw_part(lfw.person) == "validation"))
    # Faces of validation persons that talk: what is asked of real videos, on other data.
    spoken, _ = talking_clips(unseen, 60)
    for epoch in range(run.epochs, options.epochs):
        losses = train_epoch(
            network, lessons, optimiser, schedule, options.seed * 1000 + epoch,
            lambda steps, e=epoch: track(steps, f"epoch {e + 1} of {options.epochs}"),
        )  # fmt: skip
        still = score(StillNetwork(network), unseen.cut, unseen.majority)
        restless = changes_a_minute(decide_all(network, spoken))
        print(
            f"epoch {epoch + 1}: losses {', '.join(f'{loss:.4f}' for loss in losses)}; LFW "
            f"validation accuracy {still['accuracy']:.4f}, changes a minute while talking "
            f"{restless:.1f}", flush=True,
        )  # fmt: skip
        run.keep()
    balance(network, lessons)
    run.keep()


if __name__ == "__main__":
    main()
