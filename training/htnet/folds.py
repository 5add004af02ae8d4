"""What learns inside a fold of ``loso``: HTNet as published but smaller, and HTNet-Live.

Each model's settings are the defaults here and were written down before its first run. The models
came in this order: linear, reduced, tuned; then, with those results known, readout, joined, whole.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from training.htnet.deploy import pruned
from training.htnet.flows import flip
from training.htnet.linear import COMPONENTS, STRENGTH, LinearReader
from training.htnet.live import StretchedHTNet
from training.htnet.network import CLASSES, HTNet, HTNetConfig
from training.htnet.train import load_network

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from numpy.typing import NDArray

    from training.htnet.loso import Pack


@dataclass(frozen=True, slots=True)
class Lessons:
    """How a fold is learned; the last epoch counts."""

    epochs: int
    batch: int
    rate: float
    decay: float = 0.05
    smoothing: float = 0.0
    balanced: bool = False


@dataclass(frozen=True, slots=True)
class Reduced:
    """HTNet's published form and input, less wide and less deep, without the dead weights.

    The published size would take weeks of a processor; ``deploy`` tells what is dead in it.
    """

    config: HTNetConfig = field(default_factory=lambda: HTNetConfig(width=24, blocks=(1, 1, 1)))
    lessons: Lessons = field(default_factory=lambda: Lessons(epochs=15, batch=64, rate=2e-3))

    def about(self) -> dict[str, Any]:
        """Return the settings."""
        return {"network": asdict(self.config), **asdict(self.lessons)}

    def __call__(self, pack: Pack, taught: NDArray[np.bool_], seed: int) -> list[NDArray[np.int64]]:
        """Learn a fold; see ``loso.Learner``."""
        torch.manual_seed(seed)
        network = pruned(HTNet(self.config))
        # Official order of channels: strain, v, u.
        images = pack.composed[..., ::-1].transpose(0, 3, 1, 2) / np.float32(127.5) - 1
        shown = torch.from_numpy(np.ascontiguousarray(images, np.float32))
        held = shown[torch.from_numpy(~taught)]
        return [
            network(held).argmax(1).numpy()
            for _ in learn(
                network, self.lessons, seed, pack.label[taught],
                lambda some, _rng: shown[torch.from_numpy(np.flatnonzero(taught)[some])],
            )
        ]  # fmt: skip


class Tuned:
    """HTNet-Live that learned on stretched studio flow, tuned further in each fold.

    Only the highest level is tuned: those below stay as the studio taught them, and what they make
    of an image is computed once. Or, slower, the `whole` network. Images are mirrored and moved by
    a pixel while it learns; answers are the mean over image and mirror image.
    """

    def __init__(
        self, pretrained: Path, lessons: Lessons | None = None, *, whole: bool = False
    ) -> None:
        self.lessons = lessons or Lessons(
            epochs=8 if whole else 12, batch=32, rate=5e-4 if whole else 1e-3, smoothing=0.1,
            balanced=True,
        )  # fmt: skip
        self._pretrained = pretrained
        self._whole = whole
        self._seen: Tensor | None = None

    def about(self) -> dict[str, Any]:
        """Return the settings."""
        return {"whole": self._whole, **asdict(self.lessons)}

    def __call__(self, pack: Pack, taught: NDArray[np.bool_], seed: int) -> list[NDArray[np.int64]]:
        """Learn a fold; see ``loso.Learner``."""
        torch.manual_seed(seed)
        network = load_network(self._pretrained, "stretched")
        assert isinstance(network, StretchedHTNet)
        if self._seen is None:
            images = [torch.from_numpy(one) for one in variants(pack.flow)]
            with torch.no_grad():
                self._seen = torch.stack(
                    images if self._whole else [network.below(one) for one in images]
                )
        seen, rows = self._seen, np.flatnonzero(taught)
        held = seen[:2, torch.from_numpy(~taught)]

        def lesson(some: NDArray[np.int64], rng: np.random.Generator) -> Tensor:
            variant = rng.integers(0, len(seen), len(some))
            return seen[torch.from_numpy(variant), torch.from_numpy(rows[some])]

        tuned = network if self._whole else _Top(network)
        return [
            (tuned(held[0]).softmax(1) + tuned(held[1]).softmax(1)).argmax(1).numpy()
            for _ in learn(tuned, self.lessons, seed, pack.label[taught], lesson)
        ]


class Readout:
    """HTNet-Live that learned on stretched studio flow, only its last layer anew in each fold.

    The last layer is a logistic regression on what the network gives it, averaged over image,
    mirror image and both moved by a pixel. `joined`: answers are the mean of three probabilities,
    its own, those of the network as the studio left it, and those of the linear reader of pixels.
    """

    def __init__(self, pretrained: Path, *, joined: bool = False) -> None:
        self._joined = joined
        self._pretrained = pretrained
        self._seen: tuple[NDArray[np.float64], NDArray[np.float64]] | None = None

    def about(self) -> dict[str, Any]:
        """Return the settings."""
        return {"components": COMPONENTS, "c": STRENGTH, "joined": self._joined}

    def __call__(
        self, pack: Pack, taught: NDArray[np.bool_], _seed: int
    ) -> list[NDArray[np.int64]]:
        """Learn a fold; see ``loso.Learner``."""
        if self._seen is None:
            self._seen = self._look(pack)
        features, untuned = self._seen
        known = features[taught]
        scaled = (features - known.mean(axis=0)) / known.std()
        shares = _read_by_line(scaled, pack.label, taught)
        if self._joined:
            pixels = pack.flow.reshape(len(pack), -1) / 255.0
            shares = shares + untuned[~taught] + _read_by_line(pixels, pack.label, taught)
        return [shares.argmax(axis=1)]

    def _look(self, pack: Pack) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return features and probabilities, which need no fold: nothing of the pack is learned."""
        network = load_network(self._pretrained, "stretched")
        assert isinstance(network, StretchedHTNet)
        with torch.no_grad():
            features = [network.features(torch.from_numpy(image)) for image in variants(pack.flow)]
            shares = [network.network.mlp_head[2](one).softmax(1) for one in features]
        return (
            torch.stack(features).mean(0).double().numpy(),
            torch.stack(shares).mean(0).double().numpy(),
        )


def _read_by_line(
    samples: NDArray[np.float64], label: NDArray[np.int64], taught: NDArray[np.bool_]
) -> NDArray[np.float64]:
    reader = LinearReader.fit(samples[taught], label[taught], len(CLASSES))
    return reader.shares(samples[~taught])


class _Top(nn.Module):
    """The highest level and the head, as a network of their own."""

    def __init__(self, network: StretchedHTNet) -> None:
        super().__init__()
        self.stage = network.network.layers[-1]
        self.head = network.network.mlp_head
        self.classify = network.above

    def forward(self, x: Tensor) -> Tensor:
        return self.classify(x)


def variants(images: NDArray[np.uint8]) -> list[NDArray[np.uint8]]:
    """Return stretched images and their mirror images, then both moved by a pixel each way."""
    both = (images, mirror(images))
    made = list(both)
    side = images.shape[1]
    for y, x in ((0, 1), (2, 1), (1, 0), (1, 2)):
        made += [
            np.pad(one, ((0, 0), (1, 1), (1, 1), (0, 0)), mode="edge")[
                :, y : y + side, x : x + side
            ]
            for one in both
        ]
    return [np.ascontiguousarray(one) for one in made]


def mirror(images: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Mirror stretched images (n, h, w, 3): u changes its sign, which turns its scale around."""
    flipped = flip(images.astype(np.int16))
    flipped[..., 0] += 255
    return flipped.astype(np.uint8)


def learn(
    network: nn.Module, lessons: Lessons, seed: int, label: NDArray[np.int64],
    lesson: Callable[[NDArray[np.int64], np.random.Generator], Tensor],
) -> Iterator[int]:  # fmt: skip
    """Train a network, pausing in evaluation mode and without gradients after every epoch."""
    optimizer = torch.optim.AdamW(network.parameters(), lr=lessons.rate, weight_decay=lessons.decay)
    n = len(label)
    steps = -(-n // lessons.batch)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, lessons.rate, total_steps=steps * lessons.epochs
    )
    weight = None
    if lessons.balanced:
        share = np.bincount(label, minlength=len(CLASSES))
        weight = torch.from_numpy((n / (len(CLASSES) * np.maximum(share, 1))).astype(np.float32))
    loss_of = nn.CrossEntropyLoss(weight, label_smoothing=lessons.smoothing)
    truth = torch.from_numpy(label)
    for epoch in range(lessons.epochs):
        rng = np.random.default_rng([seed, epoch])
        network.train()
        for some in np.array_split(rng.permutation(n), steps):
            loss = loss_of(network(lesson(some, rng)), truth[torch.from_numpy(some)])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
        network.eval()
        with torch.no_grad():
            yield epoch
