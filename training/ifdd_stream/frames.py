"""Train the backbone's last block on single images: what one moment of a face shows.

    python -m training.ifdd_stream.frames --views FOLDER --begin RUN --lfw PACK --stills FOLDER \
        --out FOLDER [--epochs 5] [--without-lfw]

Learns from what the blocks before it see (``views``): FER+ by its raters' votes, LFW by its one
label, and moments of rendered people, so that these are not forgotten. Every second step mixes
pairs (Verma et al., "Manifold mixup", 2019), and some channels are hidden. What is kept is the
running mean of the weights.

Goes on from the last checkpoint in ``--out``. The schedule is fixed and the last epoch is taken;
what is printed is of LFW's persons kept for validation. About a CPU minute an epoch.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from realtime_affect.names import EXPRESSIONS
from training.checkpoints import Run, decay_groups, load_weights
from training.ifdd.recipe import soft_cross_entropy
from training.ifdd_stream.cuts import lfw_part, read_cuts
from training.ifdd_stream.network import StreamNetwork
from training.ifdd_stream.views import Kind, draw, read_views
from training.metrics import confusion, recalls, uar, war

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from numpy.typing import NDArray

MIXED: Final[dict[Kind, int]] = {"ferplus": 88, "lfw": 40, "filmed": 16}
"""Images of a step."""

RARE_POWER: Final[dict[Kind, float]] = {"ferplus": 0.2, "lfw": 0.85, "filmed": 0.6}
"""An image is drawn as often as the frequency of its majority to minus this power says: nearly all
of LFW is neutral or happy, and most rendered moments are neutral."""

STEPS: Final = 300  # of an epoch
PEAK_RATE: Final = 1.5e-3
WEIGHT_DECAY: Final = 0.05
KEPT: Final = 0.997
"""Share of the running mean that each step keeps."""

HIDDEN: Final = 0.1  # of the channels
MIXUP: Final = 0.4
LABEL_TRUST: Final = 0.9
"""Share of a target that LFW's only rater has; the rest is spread over all expressions."""


@dataclass(frozen=True, slots=True)
class Lessons:
    """Views of one kind of images: features (v, n, 128, 6, 6) and what they show (n, 8)."""

    features: NDArray[np.float16]
    votes: NDArray[np.float32]


class Moments(nn.Module):
    """A network that learns, with the running mean of its weights."""

    def __init__(self, network: StreamNetwork) -> None:
        super().__init__()
        self.network = network
        self.mean = AveragedModel(
            network, multi_avg_fn=get_ema_multi_avg_fn(KEPT), use_buffers=True
        )


class Shown(nn.Module):
    """What single images (n, 48, 48) show: logits (n, 8)."""

    def __init__(self, network: StreamNetwork) -> None:
        super().__init__()
        self.network = network

    def forward(self, pictures: Tensor) -> Tensor:
        """Classify."""
        return self.network.shown(pictures)


def load_mean(folder: Path, network: StreamNetwork) -> StreamNetwork:
    """Read the running mean that a run in `folder` has kept into `network`; ready to infer."""
    kept = load_weights(folder, Moments(network)).mean.module
    network.load_state_dict(kept.state_dict())
    return network.eval()


def mix(
    features: Tensor, targets: Tensor, generator: torch.Generator, rng: np.random.Generator
) -> tuple[Tensor, Tensor]:
    """Lay each image's features over another's, targets likewise; every second time nothing."""
    if rng.uniform() < 0.5:
        return features, targets
    share = rng.beta(MIXUP, MIXUP)
    other = torch.randperm(len(features), generator=generator)
    return (
        share * features + (1 - share) * features[other],
        share * targets + (1 - share) * targets[other],
    )


def train_epoch(
    moments: Moments, lessons: dict[Kind, Lessons], optimiser: torch.optim.Optimizer,
    schedule: torch.optim.lr_scheduler.LRScheduler, seed: int,
    progress: Callable[[list[Any]], Iterable[Any]] = iter,
) -> float:  # fmt: skip
    """Train for STEPS steps and return the mean loss."""
    generator = torch.Generator().manual_seed(seed)
    rng = np.random.default_rng(seed)
    network = moments.network
    network.train()
    orders = {
        kind: draw(part.votes, STEPS * MIXED[kind], rng, RARE_POWER[kind])
        for kind, part in lessons.items()
    }
    total = 0.0
    for step in progress(list(range(STEPS))):
        seen, wanted = [], []
        for kind, part in lessons.items():
            rows = orders[kind][step * MIXED[kind] : (step + 1) * MIXED[kind]]
            views = rng.integers(len(part.features), size=len(rows))
            seen.append(part.features[views, rows])
            wanted.append(part.votes[rows])
        features = torch.from_numpy(np.concatenate(seen).astype(np.float32))
        features = nn.functional.dropout2d(features, HIDDEN)
        features, targets = mix(features, torch.from_numpy(np.concatenate(wanted)), generator, rng)
        loss = soft_cross_entropy(network.shown_late(features), targets)
        optimiser.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(network.parameters(), 5.0)
        optimiser.step()
        schedule.step()
        moments.mean.update_parameters(network)
        total += loss.item()
    return total / STEPS


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


def score(
    network: nn.Module, pictures: NDArray[np.uint8], majority: NDArray[np.int64]
) -> dict[str, Any]:
    """Score images (n, 48, 48) whose majority (n,) is known: accuracy, UAR, recalls, confusion."""
    known = majority >= 0
    read = read_all(network, pictures[known], flipped=False).argmax(axis=1)
    counts = confusion(majority[known], read, len(EXPRESSIONS))
    return {
        "faces": int(known.sum()),
        "accuracy": war(counts),
        "uar": uar(counts),
        "recall": dict(zip(EXPRESSIONS, recalls(counts).tolist(), strict=True)),
        "confusion": counts.tolist(),
    }


def read_lessons(folder: Path) -> dict[Kind, Lessons]:
    """Read all views; of LFW's labels LABEL_TRUST is believed."""
    lessons = {kind: Lessons(*read_views(folder, kind)) for kind in MIXED}
    lfw = lessons["lfw"]
    votes = LABEL_TRUST * lfw.votes + (1 - LABEL_TRUST) / len(EXPRESSIONS)
    lessons["lfw"] = Lessons(lfw.features, votes.astype(np.float32))
    return lessons


def hold_early(network: StreamNetwork) -> None:
    """Let only the last block, the tokens and the head of single moments learn."""
    network.requires_grad_(requires_grad=False)
    for part in (network.backbone.blocks[-1], network.tokens, network.still):
        part.requires_grad_(requires_grad=True)


def main() -> None:
    """Run from the command line."""
    from rich.progress import track

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--views", type=Path, required=True, help="folder of views")
    parser.add_argument("--begin", type=Path, required=True, help="folder of shipped's weights")
    parser.add_argument("--lfw", type=Path, required=True, help="lfw_train.npz")
    parser.add_argument("--stills", type=Path, required=True, help="folder of cuts")
    parser.add_argument("--out", type=Path, required=True, help="folder for the checkpoint")
    parser.add_argument("--rate", type=float, default=PEAK_RATE, help="peak of the schedule")
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--without-lfw", action="store_true", help="to see what LFW brings")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--threads", type=int, default=0, help="0 = as many as there are cores")
    options = parser.parse_args()
    if options.threads:
        torch.set_num_threads(options.threads)
    torch.manual_seed(options.seed)
    options.out.mkdir(parents=True, exist_ok=True)
    lessons = read_lessons(options.views)
    if options.without_lfw:
        del lessons["lfw"]
    lfw = read_cuts(options.stills, options.lfw, "lfw")
    unseen = lfw.take(np.flatnonzero(lfw_part(lfw.person) == "validation"))
    begin = load_weights(options.begin, StreamNetwork("none"))
    hold_early(begin)
    moments = Moments(begin.to(memory_format=torch.channels_last))
    learning = [parameter for parameter in begin.parameters() if parameter.requires_grad]
    optimiser = torch.optim.AdamW(decay_groups(learning, WEIGHT_DECAY), options.rate)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, options.rate, options.epochs * STEPS, pct_start=0.2
    )
    run = Run(options.out, moments, optimiser, schedule)
    (options.out / "about.json").write_bytes((options.begin / "about.json").read_bytes())
    for epoch in range(run.epochs, options.epochs):
        loss = train_epoch(
            moments, lessons, optimiser, schedule, options.seed * 1000 + epoch,
            lambda steps, e=epoch: track(steps, f"epoch {e + 1} of {options.epochs}"),
        )  # fmt: skip
        found = score(Shown(moments.mean.module), unseen.cut, unseen.majority)
        recall = ", ".join(f"{name} {value:.2f}" for name, value in found["recall"].items())
        print(
            f"epoch {epoch + 1}: loss {loss:.4f}; LFW validation: accuracy {found['accuracy']:.4f}"
            f", {recall}", flush=True,
        )  # fmt: skip
        run.keep()


if __name__ == "__main__":
    main()
