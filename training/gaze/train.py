"""Train the eye network on the iris network's answers.

    python -m training.gaze.train --data FOLDER --out FOLDER

Patches are moved, turned, scaled, blurred and lit anew each time, as other meshes and cameras would
show them, and now and then one eye is black, as one that is not seen. Fixed settings; the last
epoch is what is kept. Persons of LFW that ``training.persons`` keeps out are left out.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import math
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import cv2
import numpy as np
import torch

from realtime_affect.affect.eyes import PATCH_PX
from training.action_units.dataset import load_arrays
from training.checkpoints import Run, decay_groups, load_weights
from training.gaze.dataset import WIDE_PX
from training.gaze.network import EyeLive
from training.persons import split_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray
    from torch import nn

    from realtime_affect.types import Float32
    from training.persons import Split

_IRIS_PX: Final = 11.7 / 0.75  # about its size in a patch
_LEAST_IRIS_PX: Final = 6.0  # in the image: below, the product tells no gaze
_ONE_EYE: Final = 0.1
_HUBER_PX: Final = 1.0


@dataclass(frozen=True, slots=True)
class Settings:
    """How the network learns."""

    epochs: int = 40
    batch: int = 64
    rate: float = 3e-3
    decay: float = 0.02
    seed: int = 1


@dataclass(frozen=True, slots=True)
class Looks:
    """Patches and answers of n faces; see ``dataset.look``."""

    eyes: NDArray[np.uint8]
    offsets: Float32
    spread: Float32
    mm_per_px: Float32
    iris_px: Float32

    def __len__(self) -> int:
        return len(self.eyes)


def read_looks(folder: Path, split: Split) -> dict[str, Looks]:
    """Return what ``dataset`` wrote of a split, by kind: ``stills``, and in training ``studio``."""
    stills = _joined(sorted(folder.glob("stills_*.npz")))
    of_split = np.array([split_of(str(person)) == split for person in stills.pop("person")])
    found = {"stills": Looks(**{name: array[of_split] for name, array in stills.items()})}
    studio = _joined(sorted(folder.glob(f"{split}_*.npz")))
    if studio:
        studio.pop("look")
        found["studio"] = Looks(**studio)
    return found


def _joined(paths: Iterable[Path]) -> dict[str, NDArray[np.generic]]:
    parts = [arrays for path in paths if (arrays := load_arrays(path))]
    return (
        {name: np.concatenate([part[name] for part in parts]) for name in parts[0]} if parts else {}
    )


def lesson(
    looks: Looks, some: NDArray[np.intp], rng: np.random.Generator
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return what the network is shown of some faces, and where their irises are then."""
    width, height = PATCH_PX
    patches = np.zeros((len(some), 2, height, width), np.uint8)
    offsets = np.zeros((len(some), 2, 2), np.float32)
    for row, i in enumerate(some.tolist()):
        mirror = rng.uniform() < 0.5  # a mirrored face: both eyes are seen as right ones
        for eye in range(2):
            of = 1 - eye if mirror else eye
            patch, turn = vary(looks.eyes[i, of], float(looks.iris_px[i]), rng)
            patches[row, eye], offsets[row, eye] = patch, turn @ looks.offsets[i, of]
        if rng.uniform() < _ONE_EYE:
            patches[row, rng.integers(2)] = 0
    return torch.from_numpy(patches), torch.from_numpy(offsets)


def vary(
    wide: NDArray[np.uint8], iris_px: float, rng: np.random.Generator
) -> tuple[NDArray[np.uint8], NDArray[np.float64]]:
    """Cut a patch out of a wide one, as another mesh and camera would; also how offsets turn."""
    width, height = PATCH_PX
    angle, scale = rng.normal(0, 0.06), math.exp(rng.normal(0, 0.06))
    c, s = math.cos(angle) / scale, math.sin(angle) / scale
    middle = (np.array(WIDE_PX) - 1) / 2 + rng.normal(0, 1.6, 2)
    half = np.array(((width - 1) / 2, (height - 1) / 2))
    turn = np.array(((c, -s), (s, c)))  # from the patch to the wide one
    warp = np.column_stack((turn, middle - turn @ half))
    least = max(_LEAST_IRIS_PX, 0.4 * min(iris_px, _IRIS_PX))
    seen_px = math.exp(rng.uniform(math.log(least), math.log(2 * _IRIS_PX)))
    if seen_px < min(iris_px, _IRIS_PX):
        small = seen_px / min(iris_px, _IRIS_PX)
        size = max(8, round(WIDE_PX[0] * small)), max(6, round(WIDE_PX[1] * small))
        wide = cv2.resize(cv2.resize(wide, size, interpolation=cv2.INTER_AREA), WIDE_PX)
    patch = cv2.warpAffine(
        wide, warp, PATCH_PX, flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_REPLICATE,
    ).astype(np.float32)  # fmt: skip
    gamma, gain, noise = math.exp(rng.normal(0, 0.2)), rng.uniform(0.6, 1.3), rng.uniform(0, 5)
    ramp = np.linspace(-1, 1, width)[None] * rng.normal(0, 0.15) + 1.0
    patch = 255 * (patch / 255) ** gamma * gain * ramp + rng.normal(0, noise, patch.shape)
    return np.clip(patch, 0, 255).astype(np.uint8), np.linalg.inv(turn)


def train(looks: Looks, settings: Settings, out: Path) -> nn.Module:
    """Train, go on where a run in `out` stopped, and leave ``checkpoint.pt`` there."""
    torch.manual_seed(settings.seed)
    network = EyeLive()
    network.train()
    optimizer = torch.optim.AdamW(
        decay_groups(network.parameters(), settings.decay), lr=settings.rate
    )
    steps = len(looks) // settings.batch
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, settings.rate, total_steps=steps * settings.epochs, pct_start=0.2
    )
    run = Run(out, network, optimizer, schedule)
    loss_of = torch.nn.HuberLoss(delta=_HUBER_PX)
    for epoch in range(run.epochs, settings.epochs):
        rng = np.random.default_rng([settings.seed, epoch])
        total = 0.0
        for some in np.array_split(rng.permutation(len(looks)), steps):
            eyes, offsets = lesson(looks, some, rng)
            seen = (eyes.amax((2, 3)) > 0)[..., None]
            loss = loss_of(network(eyes) * seen, offsets * seen)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
            total += loss.item() / steps
        print(f"epoch {epoch + 1}: loss {total:.4f}", flush=True)
        run.keep()
    return network.eval()


def load_network(folder: Path) -> EyeLive:
    """Read the checkpoint of :func:`train` in `folder`, ready to infer."""
    return load_weights(folder, EyeLive())


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--epochs", type=int, default=Settings().epochs)
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    settings = Settings(epochs=options.epochs)
    kinds = read_looks(options.data, "train")
    looks = Looks(
        *(np.concatenate([getattr(k, name) for k in kinds.values()]) for name in Looks.__slots__)
    )
    about = {
        "faces": {name: len(kind) for name, kind in kinds.items()},
        "data_sha256": hashlib.sha256(looks.eyes.tobytes()).hexdigest(), **asdict(settings),
    }  # fmt: skip
    (options.out / "about.json").write_text(json.dumps(about, indent=2), "utf-8")
    train(looks, settings, options.out)


if __name__ == "__main__":
    main()
