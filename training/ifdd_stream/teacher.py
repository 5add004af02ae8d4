"""Train the backbone whole on single images, with a deeper teacher on its own early blocks.

    python -m training.ifdd_stream.teacher --begin RUN --ferplus PACK --lfw PACK --stills FOLDER \
        --sequences FOLDER --out FOLDER [--epochs 7] [--without-lfw]

The teacher goes on from what the early blocks see with three residual blocks of its own, 2.5 M
parameters more, and learns from raters' votes; the network that ships learns from the votes and
from what the teacher makes of the same image, both at once (Zhang et al., "Be your own teacher",
2019): each rater's whim counts less, and the early blocks, nine tenths of its work, learn from
both.

Shown are FER+ with its votes, LFW with its one label where it is wanted, and moments of rendered
people and of smile onsets of the Face Research Lab London Set, so that these are not forgotten:
most real faces as the product cuts them, some as they came, so that both meet; some with their
mouth in the midst of a word, flipped, turned, scaled, lit, partly hidden. Every second step mixes
pairs (Zhang et al., "mixup", 2018). What is kept is the running mean of the weights. The stem is
held: it costs a fifth of a step and learns nothing new.

A tenth of FER+ ``train`` is kept out for choices, and so are LFW's persons for validation. Goes on
from the last checkpoint in ``--out``. The schedule is fixed and the last epoch is taken.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from realtime_affect.names import EXPRESSIONS
from training.checkpoints import Run, decay_groups, load_weights
from training.ifdd.recipe import soft_cross_entropy
from training.ifdd_stream.augmentation import augment
from training.ifdd_stream.cuts import Cuts, add_data, lfw_part, read_cuts
from training.ifdd_stream.mouth import draw_mouths
from training.ifdd_stream.network import ResidualBlock, StreamNetwork
from training.ifdd_stream.sequences import COMES, onset_shares, read_onset_file, read_sequences
from training.metrics import confusion, recalls, uar, war

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from numpy.typing import NDArray

Kind = Literal["ferplus", "lfw", "filmed"]

MIXED: Final[dict[Kind, int]] = {"ferplus": 84, "lfw": 30, "filmed": 14}
"""Images of a step."""

RARE_POWER: Final[dict[Kind, float]] = {"ferplus": 0.25, "lfw": 0.85, "filmed": 0.6}
"""An image is drawn as often as the frequency of its majority to minus this power says: nearly all
of LFW is neutral or happy, and most rendered moments are neutral."""

STEPS: Final = 300  # of an epoch
PEAK_RATE: Final = 1.5e-3
WEIGHT_DECAY: Final = 0.05
KEPT: Final = 0.997
"""Share of the running mean that each step keeps."""

MIXUP: Final = 0.2
SMILES: Final = 8
"""How often the few smile onsets are laid among the moments of rendered people."""

LABEL_TRUST: Final = 0.9
"""Share of a target that LFW's only rater has; the rest is spread over all expressions."""

AS_CUT: Final = 0.8  # of the real faces
TALKING: Final = 0.2
TURNED: Final = 0.7
"""Strength of augmentation: cut faces stand upright already."""

TAUGHT: Final = 0.5
"""Share of the student's target that is the teacher's; votes are the rest."""

VALIDATION: Final = 10
"""One face of so many of FER+ ``train`` is kept out for choices."""


class Teacher(nn.Module):
    """Features of the early blocks (n, 128, 6, 6) -> logits (n, 8); 2.5 M parameters."""

    def __init__(self) -> None:
        super().__init__()
        self.blocks = nn.Sequential(
            ResidualBlock(128, 128), ResidualBlock(128, 256, 2), ResidualBlock(256, 256)
        )
        self.head = nn.Sequential(nn.Dropout(0.3), nn.Linear(256, len(EXPRESSIONS)))

    def forward(self, features: Tensor) -> Tensor:
        """Classify."""
        return self.head(self.blocks(features).mean((2, 3)))  # type: ignore[no-any-return]


class Pair(nn.Module):
    """The network that ships and its teacher: logits (n, 8) of both for images (n, 48, 48)."""

    def __init__(self, network: StreamNetwork) -> None:
        super().__init__()
        self.network, self.teacher = network, Teacher()

    def forward(self, pictures: Tensor) -> tuple[Tensor, Tensor]:
        """Classify: student's logits, teacher's logits."""
        early = self.network.backbone.early(pictures)
        return self.network.shown_late(early), self.teacher(early)


class Learning(nn.Module):
    """A pair that learns, with the running mean of its weights."""

    def __init__(self, pair: Pair) -> None:
        super().__init__()
        self.pair = pair
        self.mean = AveragedModel(pair, multi_avg_fn=get_ema_multi_avg_fn(KEPT), use_buffers=True)


@dataclass(frozen=True, slots=True)
class Faces:
    """Images to learn from.

    Attributes
    ----------
    faces : Cuts, or (n, 48, 48) uint8
        Real ones, of which the form may vary, or rendered ones.
    votes : (n, 8) float32
    """

    faces: Cuts | NDArray[np.uint8]
    votes: NDArray[np.float32]

    def show(
        self, rows: NDArray[np.int64], rng: np.random.Generator
    ) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
        """Return pictures (k, 48, 48) and where their mouths are (k, 5, 2), NaN if unknown."""
        if isinstance(self.faces, np.ndarray):
            return self.faces[rows], np.full((len(rows), 5, 2), np.nan, np.float32)
        return draw_faces(self.faces.take(rows), rng)


def draw_faces(
    faces: Cuts, rng: np.random.Generator
) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """Show each face as cut or as it came: pictures (n, 48, 48) and mouths (n, 5, 2).

    A mouth is NaN where the face came plain.
    """
    as_cut = (rng.uniform(size=len(faces)) < AS_CUT)[:, None, None]
    mouths = np.where(as_cut, faces.mouth, np.float32(np.nan))
    return np.where(as_cut, faces.cut, faces.plain), mouths


def draw(
    votes: NDArray[np.float32], n: int, rng: np.random.Generator, power: float
) -> NDArray[np.int64]:
    """Draw n of the images with votes (m, 8), rare expressions more often than they occur.

    As often as the frequency of their majority to minus `power` says.
    """
    kind = votes.argmax(axis=1)
    counts = np.bincount(kind, minlength=len(EXPRESSIONS))
    chance = np.maximum(counts, 1.0)[kind] ** -power
    return rng.choice(len(kind), n, p=chance / chance.sum())


def load_pair(folder: Path) -> Pair:
    """Read the running mean of the network that ships and its teacher, ready to infer."""
    learning = load_weights(folder, Learning(Pair(StreamNetwork("none"))))
    return learning.mean.module.eval()  # type: ignore[no-any-return]


def kept_out(n: int) -> NDArray[np.bool_]:
    """Say which of FER+ ``train``'s n faces are for choices alone: the same at every call."""
    return np.random.default_rng(10).permutation(n) % VALIDATION == 0


def mix(
    pictures: Tensor, targets: Tensor, generator: torch.Generator, rng: np.random.Generator
) -> tuple[Tensor, Tensor]:
    """Lay each image over another, targets likewise; every second time nothing."""
    if rng.uniform() < 0.5:
        return pictures, targets
    share = rng.beta(MIXUP, MIXUP)
    other = torch.randperm(len(pictures), generator=generator)
    return (
        share * pictures + (1 - share) * pictures[other],
        share * targets + (1 - share) * targets[other],
    )


def train_epoch(
    learning: Learning, lessons: dict[Kind, Faces], optimiser: torch.optim.Optimizer,
    schedule: torch.optim.lr_scheduler.LRScheduler, seed: int,
    progress: Callable[[list[Any]], Iterable[Any]] = iter,
) -> NDArray[np.float64]:  # fmt: skip
    """Train for STEPS steps and return the mean losses of student and teacher."""
    generator = torch.Generator().manual_seed(seed)
    rng = np.random.default_rng(seed)
    pair = learning.pair
    pair.train()
    pair.network.backbone.stem.eval()
    orders = {
        kind: draw(faces.votes, STEPS * MIXED[kind], rng, RARE_POWER[kind])
        for kind, faces in lessons.items()
    }
    totals = np.zeros(2)
    for step in progress(list(range(STEPS))):
        shown, places, wanted = [], [], []
        for kind, faces in lessons.items():
            rows = orders[kind][step * MIXED[kind] : (step + 1) * MIXED[kind]]
            pictures, mouths = faces.show(rows, rng)
            shown.append(pictures)
            places.append(mouths)
            wanted.append(faces.votes[rows])
        moved = draw_mouths(np.concatenate(places), TALKING, generator)
        seen = torch.from_numpy(np.concatenate(shown).astype(np.float32))
        seen = augment(seen, generator, mouths=moved, strength=TURNED)
        seen, votes = mix(seen, torch.from_numpy(np.concatenate(wanted)), generator, rng)
        student, teacher = pair(seen)
        taught = TAUGHT * teacher.detach().softmax(1) + (1 - TAUGHT) * votes
        losses = soft_cross_entropy(student, taught), soft_cross_entropy(teacher, votes)
        optimiser.zero_grad()
        (losses[0] + losses[1]).backward()
        nn.utils.clip_grad_norm_(pair.parameters(), 5.0)
        optimiser.step()
        schedule.step()
        learning.mean.update_parameters(pair)
        totals += [loss.item() for loss in losses]
    return totals / STEPS


@torch.no_grad()
def read_all(
    network: nn.Module, pictures: NDArray[np.uint8], *, flipped: bool
) -> NDArray[np.float32]:
    """Return probabilities (n, 8), or (2, n, 8) of a pair, of images (n, 48, 48).

    `flipped` averages those of the mirrored pictures too.
    """
    network.eval()

    def read(part: Tensor) -> Tensor:
        logits = network(part)
        return (torch.stack(logits) if isinstance(logits, tuple) else logits).softmax(-1)

    found = []
    for k in range(0, len(pictures), 256):
        part = torch.from_numpy(pictures[k : k + 256].astype(np.float32))
        chances = 0.5 * (read(part) + read(part.flip(2))) if flipped else read(part)
        found.append(chances.numpy())
    return np.concatenate(found, axis=-2)


def score(read: NDArray[np.float32], majority: NDArray[np.int64]) -> dict[str, Any]:
    """Score probabilities (n, 8) where the majority (n,) is known: accuracy, UAR, recalls."""
    known = majority >= 0
    counts = confusion(majority[known], read[known].argmax(axis=1), len(EXPRESSIONS))
    return {
        "faces": int(known.sum()),
        "accuracy": war(counts),
        "uar": uar(counts),
        "recall": dict(zip(EXPRESSIONS, recalls(counts).tolist(), strict=True)),
        "confusion": counts.tolist(),
    }


def in_words(found: dict[str, Any]) -> str:
    """Put what :func:`score` returned in a line."""
    recall = ", ".join(f"{label} {value:.2f}" for label, value in found["recall"].items())
    return f"accuracy {found['accuracy']:.4f}, UAR {found['uar']:.4f} ({recall})"


def read_filmed(sequences: Path) -> Faces:
    """Gather moments of rendered people, and of smile onsets, as often as SMILES says."""
    filmed = read_sequences(sorted(sequences.glob("train_*.npz")))
    onsets = read_onset_file(sequences)
    shown = onset_shares(np.linspace(0, 1, onsets.shape[1]), COMES)
    parts = [(filmed.pictures, filmed.shown)] + SMILES * [(onsets, np.stack([shown] * len(onsets)))]
    pictures, votes = (np.concatenate([part[k].reshape(-1, *part[k].shape[2:]) for part in parts])
                       for k in (0, 1))  # fmt: skip
    return Faces(pictures, votes)


def read_faces(options: argparse.Namespace, *, choosing: bool) -> dict[Kind, Cuts]:
    """Return the real faces that are learned from, or those for choices alone."""
    ferplus = read_cuts(options.stills, options.ferplus, "ferplus_train")
    lfw = read_cuts(options.stills, options.lfw, "lfw")
    wanted = "validation" if choosing else "train"
    faces: dict[Kind, Cuts] = {
        "ferplus": ferplus.take(np.flatnonzero(kept_out(len(ferplus)) == choosing)),
        "lfw": lfw.take(np.flatnonzero(lfw_part(lfw.person) == wanted)),
    }
    if options.without_lfw and not choosing:
        del faces["lfw"]
    return faces


def read_lessons(faces: dict[Kind, Cuts], sequences: Path) -> dict[Kind, Faces]:
    """Gather what is learned from; of LFW's labels LABEL_TRUST is believed."""
    trust: dict[Kind, float] = {"ferplus": 1.0, "lfw": LABEL_TRUST}
    lessons: dict[Kind, Faces] = {"filmed": read_filmed(sequences)}
    for kind, cuts in faces.items():
        votes = trust[kind] * cuts.votes + (1 - trust[kind]) / len(EXPRESSIONS)
        lessons[kind] = Faces(cuts, votes.astype(np.float32))
    return lessons


def main() -> None:
    """Run from the command line."""
    from rich.progress import track

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add_data(parser)
    parser.add_argument("--begin", type=Path, required=True, help="folder of shipped's weights")
    parser.add_argument("--sequences", type=Path, required=True, help="folder of sequences")
    parser.add_argument("--out", type=Path, required=True, help="folder for the checkpoint")
    parser.add_argument("--rate", type=float, default=PEAK_RATE, help="peak of the schedule")
    parser.add_argument("--epochs", type=int, default=7)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--threads", type=int, default=0, help="0 = as many as there are cores")
    options = parser.parse_args()
    if options.threads:
        torch.set_num_threads(options.threads)
    torch.manual_seed(options.seed)
    options.out.mkdir(parents=True, exist_ok=True)
    faces = read_faces(options, choosing=False)
    lessons = read_lessons(faces, options.sequences)
    choosing = read_faces(options, choosing=True)
    network = load_weights(options.begin, StreamNetwork("none"))
    network.requires_grad_(requires_grad=True)
    for part in (network.backbone.stem, network.lifting, network.head):
        part.requires_grad_(requires_grad=False)
    network.recency.requires_grad_(requires_grad=False)
    learning = Learning(Pair(network).to(memory_format=torch.channels_last))
    parameters = [part for part in learning.pair.parameters() if part.requires_grad]
    optimiser = torch.optim.AdamW(decay_groups(parameters, WEIGHT_DECAY), options.rate)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, options.rate, options.epochs * STEPS, pct_start=0.15
    )
    run = Run(options.out, learning, optimiser, schedule)
    (options.out / "about.json").write_bytes((options.begin / "about.json").read_bytes())
    for epoch in range(run.epochs, options.epochs):
        losses = train_epoch(
            learning, lessons, optimiser, schedule, options.seed * 1000 + epoch,
            lambda steps, e=epoch: track(steps, f"epoch {e + 1} of {options.epochs}"),
        )  # fmt: skip
        print(f"epoch {epoch + 1}: losses {losses[0]:.4f}, {losses[1]:.4f}")
        for name, faces in choosing.items():
            read = read_all(learning.mean.module, faces.cut, flipped=False)
            for role, shares in zip(("student", "teacher"), read, strict=True):
                found = score(shares, faces.majority)
                print(f"  {name} {role}: {in_words(found)}", flush=True)
        run.keep()


if __name__ == "__main__":
    torch.set_flush_denormal(True)  # of the whole process, so not where others import this
    main()
