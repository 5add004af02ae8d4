"""Train the lifting of IFDD-Stream on clips, behind a backbone that stands still.

    python -m training.ifdd_stream.train --views FOLDER --teacher RUN --ferplus PACK --lfw PACK \
        --stills FOLDER --out FOLDER [--epochs 3] [--seed 1]

Begins with what ``teacher`` brought up. Backbone, tokens and the head of single moments are held,
so that clips cost still images nothing; their tokens are made once, by ``views``. What learns is
the lifting with its head, and how much the newest moment counts. A step sees

- still images as clips that stand still, or that pass from one view into another;
- talking clips: still images whose mouths move as in speech (``mouth``), which mean what the still
  means at every moment, and whose probabilities shall keep still too;
- rendered sequences, and smile onsets of the Face Research Lab London Set (persons 001 to 035),
  with a decision at each of their moments; some of these smiles are held throughout.

Of real faces the target is half the raters' votes and half what the teacher sees. (Biases fitted
afterwards, with rare expressions weighed up, cost a point on faces for choices, and are left out.)

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
from training.ifdd_stream.cuts import Cuts, add_data
from training.ifdd_stream.network import (
    SLOT_HZ,
    SLOTS,
    SPLITS,
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
    onset_shares,
)
from training.ifdd_stream.teacher import in_words, load_pair, read_all, read_faces, score
from training.ifdd_stream.views import Kind, read_views, talking_clips
from training.metrics import confusion, uar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from numpy.typing import NDArray

STILLS: Final = 96  # clips of a step
TALKING: Final = 6  # talking clips of a step,
FILMED: Final = 4  # rendered sequences,
ONSETS: Final = 2  # and smile onsets,
STANDING: Final = 0.15  # of which so many smile throughout, and as many not at all
STEPS: Final = 250  # of an epoch
RATE: Final = 1e-3
WEIGHT_DECAY: Final = 0.05
DECOUPLING: Final = 0.1
STEADY: Final = 2.0
"""Weight of how much probabilities change between moments of a talking clip, squared."""

NEUTRAL_POWER: Final = 0.4
"""A moment of a sequence weighs as much as its expression's frequency to minus this power says:
most moments are neutral."""

_NEUTRAL: Final = EXPRESSIONS.index("neutral")


@dataclass(frozen=True, slots=True)
class Lessons:
    """What clips are made of, as tokens (..., 3, 96) float16, and what they show.

    Attributes
    ----------
    stills : (2, n, 3, 96)
        Two views of each face.
    votes : (2, n, 8) float32
    talking : (m, 24, 3, 96)
    said : (m, 8) float32
        What the talking faces show.
    filmed : (v, k, 24, 3, 96)
    shown : (k, 24, 8) float32
    onsets : (w, p, 16, 3, 96)
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


def read_lessons(folder: Path, kinds: Iterable[Kind]) -> Lessons:
    """Read everything that ``views`` made; `kinds` are those of real faces."""
    faces = [read_views(folder, kind) for kind in kinds]
    stills, votes = (np.concatenate([part[k] for part in faces], 1) for k in (0, 1))
    talking, said = read_views(folder, "talking")
    filmed, shown = read_views(folder, "sequences")
    onsets, _ = read_views(folder, "onsets")
    return Lessons(stills, votes, talking[0], said[0, :, 0], filmed, shown[0], onsets)


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
    counts = COMES
    if way < 2 * STANDING:
        level[:] = way < STANDING
    elif way < 0.5 + STANDING:
        level = 1 - level
        counts = GOES if level[0] > level[-1] else COMES
    return onset[np.rint(15 * level).astype(int)], onset_shares(level, counts)


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
        chosen = rng.integers(lessons.votes.shape[1], size=STILLS)
        first, second = (_tensor(view[chosen]) for view in lessons.stills)
        talkers = rng.integers(len(lessons.said), size=TALKING)
        rows = rng.integers(len(lessons.shown), size=FILMED)
        onsets, smiles = zip(
            *(
                draw_onset(lessons.onsets[tuple(rng.integers(lessons.onsets.shape[:2]))], rng)
                for _ in range(ONSETS)
            ),
            strict=True,
        )
        moving = np.concatenate(
            [
                lessons.talking[talkers],
                lessons.filmed[rng.integers(len(lessons.filmed), size=FILMED), rows],
                np.stack(onsets),
            ]
        )
        clips = torch.cat([
            still_clips(first, second[STILLS // 2 :], generator),
            windows(_tensor(moving)).flatten(0, 1),
        ])  # fmt: skip
        logits, lost = network.decide(clips)
        still, said, film = logits.split(
            [STILLS, TALKING * SLOTS_FILMED, (FILMED + ONSETS) * SLOTS_FILMED]
        )
        votes = torch.from_numpy(lessons.votes[0, chosen])
        wanted = torch.from_numpy(lessons.said[talkers]).repeat_interleave(SLOTS_FILMED, 0)
        shown = torch.from_numpy(np.concatenate([lessons.shown[rows], np.stack(smiles)]))
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


def begin_with(teacher: Path, split: Split) -> StreamNetwork:
    """Return the network of a run of ``teacher``, its lifting adding nothing yet."""
    network = StreamNetwork(split)
    before = load_pair(teacher).network.state_dict()
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
    for path in [options.teacher / "checkpoint.pt", *sorted(options.views.glob("*.npz"))]:
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    faces = read_faces(options, choosing=False)
    before = json.loads((options.teacher / "about.json").read_text("utf-8"))
    return before | {
        "seed": options.seed, "epochs": options.epochs, "split": options.split,
        "data_sha256": digest.hexdigest(),
        "stills": len(faces["ferplus"]), "lfw": len(faces.get("lfw", ())),
        "people": len(lessons.shown) // SCENES, "sequences": len(lessons.shown),
        "talking": len(lessons.said),
        "onsets": lessons.onsets.shape[1],
    }  # fmt: skip


def print_score(
    network: StreamNetwork, choosing: dict[str, Cuts], spoken: NDArray[np.uint8]
) -> None:
    """Print figures of faces for choices, and of faces (n, 24, 48, 48) that talk."""
    for name, faces in choosing.items():
        read = read_all(StillNetwork(network), faces.cut, flipped=False)
        print(f"  {name}: {in_words(score(read, faces.majority))}")
    logits = decide_all(network, spoken)
    print(
        f"  talking: {changes_a_minute(logits):.1f} changes a minute, not neutral "
        f"{(logits.argmax(2) != _NEUTRAL).mean():.3f}", flush=True,
    )  # fmt: skip


def _tensor(array: NDArray[Any]) -> Tensor:
    return torch.from_numpy(array.astype(np.float32))


def main() -> None:
    """Run from the command line."""
    from rich.progress import track

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add_data(parser)
    parser.add_argument("--views", type=Path, required=True, help="folder of views")
    parser.add_argument("--teacher", type=Path, required=True, help="folder of its checkpoint")
    parser.add_argument("--out", type=Path, required=True, help="folder for the checkpoint")
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--split", choices=SPLITS, default="learned")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--threads", type=int, default=0, help="0 = as many as there are cores")
    options = parser.parse_args()
    if options.threads:
        torch.set_num_threads(options.threads)
    torch.manual_seed(options.seed)
    options.out.mkdir(parents=True, exist_ok=True)
    network = begin_with(options.teacher, options.split).to(memory_format=torch.channels_last)
    hold(network)
    lessons = read_lessons(options.views, read_faces(options, choosing=False))
    learning = [parameter for parameter in network.parameters() if parameter.requires_grad]
    optimiser = torch.optim.AdamW(decay_groups(learning, WEIGHT_DECAY), RATE)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, RATE, options.epochs * STEPS, pct_start=0.15
    )
    run = Run(options.out, network, optimiser, schedule)
    (options.out / "about.json").write_text(
        json.dumps(about(lessons, options), indent=1) + "\n", "utf-8"
    )
    choosing = read_faces(options, choosing=True)
    # Faces of validation persons that talk: what is asked of real videos, on other data.
    spoken, _ = talking_clips(choosing["lfw"], 60)
    for epoch in range(run.epochs, options.epochs):
        losses = train_epoch(
            network, lessons, optimiser, schedule, options.seed * 1000 + epoch,
            lambda steps, e=epoch: track(steps, f"epoch {e + 1} of {options.epochs}"),
        )  # fmt: skip
        print(f"epoch {epoch + 1}: losses {', '.join(f'{loss:.4f}' for loss in losses)}")
        print_score(network, choosing, spoken)
        run.keep()


if __name__ == "__main__":
    main()
