"""What lifting buys: the same tokens, attention and training with four ways to split a clip.

    python -m training.ifdd_stream.ablation --teacher FOLDER --sequences FOLDER --done FOLDER \
        --report report.json

The backbone is the one of ``teacher``, which saw single images only and favours none of them; it
stands still. What is trained is what follows: tokens, lifting, heads, on the studio's training
sequences. They are judged on moments of people nobody learned from that say little on their own
(``evaluate.ambiguous_moments``), five seeds each; ``one moment`` sees the last moment of each clip
only. 25 runs of about half a CPU minute. Differences to the learned split are of the same
moments, with 95 % bootstrap intervals over sequences.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import torch
from torch import Tensor, nn

from affect_kernels.atomic import replacing
from benchmarks.records import code_state
from realtime_affect.names import EXPRESSIONS
from training.action_units.network import count_parameters
from training.ifdd.recipe import soft_cross_entropy
from training.ifdd_stream.evaluate import ambiguous_moments, clear_moments
from training.ifdd_stream.network import (
    SLOTS,
    SPLITS,
    SlotBackbone,
    Split,
    StreamNetwork,
    windows,
)
from training.ifdd_stream.sequences import SLOTS_FILMED, Sequences, read_sequences
from training.ifdd_stream.teacher import load_pair
from training.metrics import confusion, uar

if TYPE_CHECKING:
    from numpy.typing import NDArray

SEEDS: Final = (1, 2, 3, 4, 5)
STEPS: Final = 450
CLIPS: Final = 32  # of a step
ENDS: Final = 4  # decisions of each
RATE: Final = 2e-3
WEIGHT_DECAY: Final = 0.05
ONE_MOMENT: Final = "one moment"


class Follower(nn.Module):
    """What follows the backbone: tokens, lifting, heads."""

    def __init__(self, split: Split, *, one_moment: bool = False) -> None:
        super().__init__()
        self.network = StreamNetwork(split)
        self.network.backbone = nn.Identity()  # type: ignore[assignment]
        self.one_moment = one_moment

    def forward(self, features: Tensor, ends: Tensor) -> Tensor:
        """Decide at moments `ends` (n, k) of features (n, 24, 3, 192): logits (n, k, 8)."""
        tokens = self.network.tokens(features)
        rows = torch.arange(len(features))[:, None]
        if self.one_moment:
            clips = tokens[rows, ends][:, :, None].expand(-1, -1, SLOTS, -1, -1)
        else:
            clips = windows(tokens)[rows, ends]
        return self.network.decide(clips.flatten(0, 1))[0].unflatten(0, ends.shape)


@torch.no_grad()
def look(backbone: SlotBackbone, pictures: NDArray[np.uint8]) -> NDArray[np.float16]:
    """Return the features (n, 24, 3, 192) of rows of sequences (n, 24, 48, 48)."""
    backbone.eval()
    found = []
    for part in np.array_split(pictures, max(1, len(pictures) // 8)):
        seen = backbone(torch.from_numpy(part.reshape(-1, *part.shape[2:]).astype(np.float32)))
        tokens = seen.mean(3).transpose(1, 2).unflatten(0, part.shape[:2])
        found.append(tokens.numpy().astype(np.float16))
    return np.concatenate(found)


def train_follower(
    features: NDArray[np.float16], shown: NDArray[np.float32], follower: Follower, seed: int
) -> None:
    """Train on features (v, n, 24, 3, 192) of v views and what is shown then (n, 24, 8)."""
    rng = np.random.default_rng(seed)
    optimiser = torch.optim.AdamW(follower.parameters(), RATE, weight_decay=WEIGHT_DECAY)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, RATE, STEPS, pct_start=0.15)
    follower.train()
    for _ in range(STEPS):
        rows = rng.integers(0, len(shown), CLIPS)
        ends = rng.integers(SLOTS // 2, SLOTS_FILMED, (CLIPS, ENDS))
        views = rng.integers(0, len(features), CLIPS)
        seen = torch.from_numpy(features[views, rows].astype(np.float32))
        seen = seen * (1 + 0.1 * torch.randn_like(seen))
        logits = follower(seen, torch.from_numpy(ends))
        targets = torch.from_numpy(shown[rows[:, None], ends])
        loss = soft_cross_entropy(logits.flatten(0, 1), targets.flatten(0, 1))
        optimiser.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(follower.parameters(), 5.0)
        optimiser.step()
        schedule.step()


@torch.no_grad()
def read_follower(follower: Follower, features: NDArray[np.float16]) -> NDArray[np.int64]:
    """Return the likeliest expression at every moment, (n, 24)."""
    follower.eval()
    ends = torch.arange(SLOTS_FILMED)
    read = []
    for k in range(0, len(features), 16):
        part = torch.from_numpy(features[k : k + 16].astype(np.float32))
        read.append(follower(part, ends.expand(len(part), -1)).argmax(2).numpy())
    return np.concatenate(read)


def judge(read: NDArray[np.int64], sequences: Sequences) -> dict[str, Any]:
    """Score ambiguous moments, each kind and all together, and all clear ones."""
    kinds = ambiguous_moments(sequences)
    right = {
        name: read[moments.sequence, moments.slot] == moments.truth
        for name, moments in kinds.items()
    }
    clear = clear_moments(sequences)
    counts = confusion(clear.truth, read[clear.sequence, clear.slot], len(EXPRESSIONS))
    return {
        "ambiguous": float(np.concatenate(list(right.values())).mean()),
        **{name: float(hits.mean()) for name, hits in right.items() if len(hits)},
        "clear_uar": uar(counts),
    }


def differences(
    reads: dict[str, list[NDArray[np.int64]]], sequences: Sequences
) -> dict[str, dict[str, float]]:
    """Return how much better the learned split is on ambiguous moments, with its interval."""
    kinds = ambiguous_moments(sequences).values()
    rows = np.concatenate([moments.sequence for moments in kinds])
    slots = np.concatenate([moments.slot for moments in kinds])
    truth = np.concatenate([moments.truth for moments in kinds])

    def right(name: str) -> NDArray[np.float64]:
        return np.mean([read[rows, slots] == truth for read in reads[name]], axis=0)

    rng = np.random.default_rng(95)
    found = {}
    for name in reads:
        if name == "learned":
            continue
        gain = right("learned") - right(name)
        sums = np.bincount(rows, gain, minlength=len(sequences))
        counts = np.bincount(rows, minlength=len(sequences))
        drawn = rng.integers(0, len(sequences), (2000, len(sequences)))
        means = sums[drawn].sum(1) / np.maximum(counts[drawn].sum(1), 1)
        low, high = np.percentile(means, [2.5, 97.5]).tolist()
        found[name] = {"gain": float(gain.mean()), "low": low, "high": high}
    return found


def compare(
    train: tuple[NDArray[np.float16], NDArray[np.float32]],
    test: tuple[NDArray[np.float16], Sequences],
    done: Path,
) -> dict[str, Any]:
    """Train and judge every kind of split with every seed; what is in `done` is not run again."""
    done.mkdir(parents=True, exist_ok=True)
    kinds = (*SPLITS, ONE_MOMENT)
    figures: dict[str, list[dict[str, Any]]] = {name: [] for name in kinds}
    reads: dict[str, list[NDArray[np.int64]]] = {name: [] for name in kinds}
    parameters = {}
    for seed in SEEDS:
        for name in kinds:
            torch.manual_seed(seed)
            split: Split = "none" if name == ONE_MOMENT else name  # type: ignore[assignment]
            follower = Follower(split, one_moment=name == ONE_MOMENT)
            parameters[name] = count_parameters(follower)
            path = done / f"{name.replace(' ', '_')}_{seed}.npy"
            if not path.exists():
                train_follower(*train, follower, seed)
                with replacing(path) as part, part.open("wb") as file:
                    np.save(file, read_follower(follower, test[0]))
            reads[name].append(np.load(path))
            figures[name].append(judge(reads[name][-1], test[1]))
            print(name, seed, figures[name][-1], flush=True)
    return {
        "seeds": len(SEEDS), "steps": STEPS, "training_sequences": len(train[1]),
        "moments": {name: len(m.truth) for name, m in ambiguous_moments(test[1]).items()},
        "parameters": parameters, "runs": figures,
        "mean": {
            name: {key: float(np.mean([run[key] for run in runs])) for key in runs[0]}
            for name, runs in figures.items()
        },
        "learned_against": differences(reads, test[1]),
    }  # fmt: skip


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--teacher", type=Path, required=True, help="folder of its checkpoint")
    parser.add_argument("--sequences", type=Path, required=True)
    parser.add_argument("--done", type=Path, required=True, help="folder of runs that are done")
    parser.add_argument("--report", type=Path, required=True, help="JSON to write")
    parser.add_argument("--threads", type=int, default=0, help="0 = as many as there are cores")
    options = parser.parse_args()
    code = code_state("training/ifdd_stream")
    if options.threads:
        torch.set_num_threads(options.threads)
    backbone = load_pair(options.teacher).network.backbone.to(memory_format=torch.channels_last)
    taught, unseen = (
        read_sequences(sorted(options.sequences.glob(f"{split}_*.npz")))
        for split in ("train", "test")
    )
    mirrored = np.ascontiguousarray(taught.pictures[..., ::-1])
    features = np.stack([look(backbone, taught.pictures), look(backbone, mirrored)])
    seen = look(backbone, unseen.pictures)
    report = compare((features, taught.shown), (seen, unseen), options.done)
    report["made"] = code
    options.report.write_text(json.dumps(report, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    main()
