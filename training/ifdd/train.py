"""Train IFDD as published, and score it by the published protocol.

    python -m training.ifdd.train --dataset dfew|ferv39k|mafw --root DIR --fold 1 --out FOLDER

Goes on from the last checkpoint in ``--out``. A hundred epochs on a GPU; on a CPU only a trial.
Nothing was pre-trained here: the published code loads no weights either.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from affect_kernels.atomic import replacing
from training.ifdd.backbone import SIDE
from training.ifdd.databases import CLASSES, FRAMES, STRIDES, random_window, read_clips, windows
from training.ifdd.network import IFDD
from training.ifdd.recipe import (
    BATCH,
    EPOCHS,
    augment,
    decoupling_loss,
    learning_rate,
    make_optimiser,
    mix,
    soft_cross_entropy,
)
from training.metrics import confusion, recalls, uar, war

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

    from training.ifdd.databases import Clip


def as_input(frames: NDArray[np.uint8]) -> Tensor:
    """Turn (T, H, W, 3) RGB into (3, T, 224, 224), 0 to 1: bicubic where the size differs."""
    clip = torch.from_numpy(np.ascontiguousarray(frames.transpose(0, 3, 1, 2))).float() / 255
    if clip.shape[2:] != (SIDE, SIDE):
        clip = nn.functional.interpolate(clip, (SIDE, SIDE), mode="bicubic").clamp(0, 1)
    return clip.transpose(0, 1)


@torch.no_grad()
def read_clip(network: nn.Module, clip: Clip, length: int, stride: int) -> NDArray[np.float32]:
    """Return the logits of a clip, averaged over its non-overlapping windows.

    Raises
    ------
    ValueError
        It has no whole window.
    """
    frames = clip.frames()
    views = windows(len(frames), length, stride) or windows(len(frames), length)
    if not views:
        message = f"{clip.name} has {len(frames)} frames, a window {length}"
        raise ValueError(message)
    device = next(network.parameters()).device
    logits = [network(as_input(frames[view])[None].to(device))[0] for view in views]
    return torch.stack(logits).mean(0).cpu().numpy()  # type: ignore[no-any-return]


def evaluate(network: nn.Module, clips: Iterable[Clip], dataset: str) -> dict[str, Any]:
    """Score a network on clips: WAR, UAR, recall of each expression and the confusion matrix."""
    names = CLASSES[dataset]
    network.eval()
    truth, read = [], []
    for clip in clips:
        truth.append(clip.label)
        read.append(int(read_clip(network, clip, FRAMES[dataset], STRIDES[dataset]).argmax()))
    counts = confusion(np.array(truth, int), np.array(read, int), len(names))
    each = recalls(counts)
    return {
        "clips": len(truth),
        "war": war(counts),
        "uar": uar(counts),
        "recall": {
            name: None if np.isnan(value) else value
            for name, value in zip(names, each.tolist(), strict=True)
        },
        "confusion": counts.tolist(),
    }


def train_epoch(
    network: IFDD, clips: Sequence[Clip], dataset: str, optimiser: torch.optim.Optimizer,
    epoch: int, seed: int = 0, batch: int = BATCH,
) -> float:  # fmt: skip
    """Train over all clips once and return the mean loss."""
    rng = np.random.default_rng([seed, epoch])
    device = next(network.parameters()).device
    for group in optimiser.param_groups:
        group["lr"] = learning_rate(epoch)
    network.train()
    order = rng.permutation(len(clips))
    total, steps = 0.0, 0
    for first in range(0, len(order) - batch + 1, batch):
        chosen = [clips[i] for i in order[first : first + batch].tolist()]
        views = []
        for clip in chosen:
            frames = clip.frames()
            window = random_window(len(frames), FRAMES[dataset], STRIDES[dataset], rng)
            views.append(augment(frames[np.minimum(window, len(frames) - 1)], rng))
        labels = torch.tensor([clip.label for clip in chosen])
        mixed, targets = mix(torch.stack(views), labels, len(CLASSES[dataset]), rng)
        logits, lost, _ = network(mixed.to(device))
        loss = soft_cross_entropy(logits, targets.to(device)) + decoupling_loss(lost)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        total, steps = total + loss.item(), steps + 1
    return total / max(steps, 1)


def main() -> None:
    """Run from the command line."""
    from rich.progress import track

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--dataset", choices=tuple(CLASSES), required=True)
    parser.add_argument("--root", type=Path, required=True, help="folder of the unpacked database")
    parser.add_argument("--fold", type=int, default=1)
    parser.add_argument("--out", type=Path, required=True, help="folder for the checkpoint")
    parser.add_argument("--epochs", type=int, default=EPOCHS)
    parser.add_argument("--batch", type=int, default=BATCH)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    options = parser.parse_args()
    torch.manual_seed(options.seed)
    options.out.mkdir(parents=True, exist_ok=True)
    dataset = options.dataset
    train = read_clips(dataset, options.root, "train", options.fold)
    test = read_clips(dataset, options.root, "test", options.fold)
    network = IFDD(len(CLASSES[dataset]), FRAMES[dataset]).to(options.device)
    optimiser = make_optimiser(network)
    checkpoint, first = options.out / "checkpoint.pt", 0
    if checkpoint.exists():
        stored = torch.load(checkpoint, map_location=options.device, weights_only=True)
        network.load_state_dict(stored["model"])
        optimiser.load_state_dict(stored["optimizer"])
        first = stored["start_epoch"]
    for epoch in track(range(first, options.epochs), "epochs"):
        loss = train_epoch(network, train, dataset, optimiser, epoch, options.seed, options.batch)
        print(f"epoch {epoch + 1}: loss {loss:.4f}", flush=True)
        state = {
            "start_epoch": epoch + 1, "model": network.state_dict(),
            "optimizer": optimiser.state_dict(),
        }  # fmt: skip
        with replacing(checkpoint) as temporary:
            torch.save(state, temporary)
    report = {"dataset": dataset, "fold": options.fold, "epochs": options.epochs}
    report |= evaluate(network, track(test, "reading the test split"), dataset)
    (options.out / "report.json").write_text(json.dumps(report, indent=1) + "\n", "utf-8")
    print(f"WAR {report['war']:.4f}, UAR {report['uar']:.4f} -> {options.out / 'report.json'}")


if __name__ == "__main__":
    main()
