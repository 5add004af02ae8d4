"""Train the action unit network on studio data.

    python -m training.action_units.train --data FOLDER --out FOLDER [--epochs 20] [--seed 1]

Goes on from the last checkpoint in ``--out`` where there is one. The schedule is fixed and the last
epoch is taken, so there is no epoch to choose; validation is printed to be looked at.
"""

from __future__ import annotations

import argparse
import hashlib
import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from realtime_affect.face.pose import load_neutral_face
from training.action_units.dataset import PRESENT, load_arrays, load_samples
from training.action_units.network import OUTPUTS, ActionUnitNetwork, count_parameters
from training.checkpoints import Run, decay_groups
from training.metrics import icc_3_1
from training.synthetic.studio import TRUTH_UNITS

if TYPE_CHECKING:
    from collections.abc import Sequence

Progress = Callable[[list[NDArray[np.int64]]], Iterable[NDArray[np.int64]]]

BATCH: Final = 96
PEAK_RATE: Final = 2e-3
WEIGHT_DECAY: Final = 0.02
POINT_NOISE_MM: Final = 0.25
REPORTED: Final = (
    "AU01", "AU02", "AU04", "AU05", "AU06", "AU07", "AU09", "AU10", "AU12", "AU15", "AU17", "AU20",
    "AU25", "AU26", "AU45",
)  # fmt: skip
"""Units over which figures are averaged."""

SHARES: Final = {"anchors_london": 0.05, "anchors_ferplus": 0.18}
"""How much of an epoch is real faces: photographs are shown again and again, or by turns."""


def true_outputs(units: NDArray[np.floating]) -> NDArray[np.float32]:
    """Turn studio truth (n, 19, 2), 0 to 1, into what the network tells (n, 21), 0 to 5.

    A unit counts by its stronger side.
    """
    index = [TRUTH_UNITS.index(name.split("_")[0]) for name in OUTPUTS]
    both = units.max(axis=2)[:, index].astype(np.float32)
    for k, name in enumerate(OUTPUTS):
        if "_" in name:
            both[:, k] = units[:, index[k], 0 if name.endswith("right") else 1]
    return 5.0 * both


def mirror_partners() -> NDArray[np.int64]:
    """Return (468,): the point that lies where each one would in a mirror."""
    points = load_neutral_face().points
    gaps = np.linalg.norm((points * [-1, 1, 1])[:, None] - points[None], axis=2)
    return gaps.argmin(axis=1)


class Sampler:
    """Batches of samples, each with some resting pictures of the same person.

    Parameters
    ----------
    samples : mapping
        From ``dataset.load_samples``.
    anchors : sequence of (mapping, float)
        Real faces of ``anchors.write_anchors``, and their share of an epoch.

    Attributes
    ----------
    low, high : (n, 21) float32
        Bounds of the intensities; both are the truth where it is known.
    """

    def __init__(
        self,
        samples: dict[str, NDArray[np.generic]],
        anchors: Sequence[tuple[dict[str, NDArray[np.generic]], float]] = (),
    ) -> None:
        truth = true_outputs(samples["units"])
        parts = [{**samples, "low": truth, "high": truth}, *(part for part, _ in anchors)]
        names = ("points", "crops", "angles_rad", "presence", "scene", "reference", "person")
        self._samples = {
            name: np.concatenate([part[name] for part in parts]) for name in (*names, "low", "high")
        }
        self.low, self.high = self._samples["low"], self._samples["high"]
        present = self._samples["presence"] >= PRESENT
        reference = self._samples["reference"].astype(bool)
        source = np.repeat(np.arange(len(parts)), [len(part["low"]) for part in parts])
        self.wanted = np.flatnonzero(present & (source == 0))
        self.tested = np.flatnonzero(present & (source == 0) & ~reference)
        self._anchors = [
            (np.flatnonzero(present & (source == k)), share)
            for k, (_, share) in enumerate(anchors, 1)
        ]
        resting = np.flatnonzero(present & reference)
        self._rest: dict[tuple[int, int], NDArray[np.int64]] = {}
        keys = np.column_stack([self._samples["person"], self._samples["scene"]])
        for i in resting.tolist():
            for key in ((keys[i, 0], keys[i, 1]), (keys[i, 0], -1)):
                self._rest[key] = np.append(self._rest.get(key, np.array([], np.int64)), i)
        self._keys = keys

    def epoch(self, rng: np.random.Generator) -> NDArray[np.int64]:
        """Return what one epoch shows, shuffled: each studio picture once, and real faces."""
        shown = [self.wanted]
        for faces, share in self._anchors:
            n = round(share * len(self.wanted))
            rounds = [rng.permutation(faces) for _ in range(-(-n // len(faces)))]
            shown.append(np.concatenate(rounds)[:n])
        return rng.permutation(np.concatenate(shown))

    def batches(self) -> int:
        """Return how many full batches an epoch has."""
        return len(self.epoch(np.random.default_rng(0))) // BATCH

    def resting(self, i: int, rng: np.random.Generator) -> NDArray[np.int64]:
        """Return one to three other pictures of the person at rest, usually in the same light."""
        person, scene = self._keys[i].tolist()
        for key in ((person, scene), (person, -1)) if rng.uniform() < 0.8 else ((person, -1),):
            others = self._rest.get(key, np.array([], np.int64))
            others = others[others != i]
            if len(others):
                return rng.choice(others, min(len(others), int(rng.integers(1, 4))), replace=False)
        return np.array([], np.int64)

    def rest(
        self, indices: NDArray[np.int64], rng: np.random.Generator
    ) -> tuple[Tensor, Tensor, NDArray[np.bool_]]:
        """Return mean meshes (n, 468, 3) and pictures (n, 96, 96) at rest, and which are known."""
        points = np.zeros((len(indices), 468, 3), np.float32)
        crops = np.zeros((len(indices), *self._samples["crops"].shape[1:]), np.float32)
        known = np.zeros(len(indices), bool)
        for k, i in enumerate(indices.tolist()):
            others = self.resting(i, rng)
            if len(others):
                known[k] = True
                points[k] = self._samples["points"][others].mean(axis=0, dtype=np.float32) / 100
                crops[k] = self._samples["crops"][others].mean(axis=0, dtype=np.float32)
        return torch.from_numpy(points), torch.from_numpy(crops), known

    def crops(self, indices: NDArray[np.int64]) -> Tensor:
        """Return aligned pictures (n, 96, 96) float."""
        return torch.from_numpy(self._samples["crops"][indices].astype(np.float32))

    def points(self, indices: NDArray[np.int64]) -> Tensor:
        """Return meshes (n, 468, 3) float, millimetres."""
        return torch.from_numpy(self._samples["points"][indices].astype(np.float32) / 100)

    def angles(self, indices: NDArray[np.int64]) -> Tensor:
        """Return measured head rotations (n, 3)."""
        return torch.from_numpy(self._samples["angles_rad"][indices].astype(np.float32))


def augment(crops: Tensor, generator: torch.Generator) -> Tensor:
    """Shift by up to two pixels, add noise, hide a square in a tenth of the pictures.

    A third of the pictures lose detail, as small, distant or compressed faces have.
    """
    n = len(crops)
    coarse = torch.rand(n, generator=generator) < 1 / 3
    if coarse.any():
        small = nn.functional.avg_pool2d(crops[coarse][:, None], 3, 2, 1)
        size = crops.shape[1:]
        crops = crops.clone()
        crops[coarse] = nn.functional.interpolate(small, size, mode="bilinear")[:, 0]
    dy, dx = torch.randint(-2, 3, (2,), generator=generator).tolist()
    crops = torch.roll(crops, (dy, dx), (1, 2))
    spread = torch.rand((n, 1, 1), generator=generator) * 8
    crops = crops + spread * torch.randn(crops.shape, generator=generator)
    for i in torch.nonzero(torch.rand(n, generator=generator) < 0.1).flatten().tolist():
        y, x, side = torch.randint(8, 80, (3,), generator=generator).tolist()
        side = side // 3
        crops[i, y : y + side, x : x + side] = crops[i].mean()
    return crops


def train_epoch(
    network: ActionUnitNetwork, sampler: Sampler, optimiser: torch.optim.Optimizer,
    schedule: torch.optim.lr_scheduler.LRScheduler, seed: int, progress: Progress = iter,
) -> float:  # fmt: skip
    """Train over all samples once and return the mean loss."""
    rng = np.random.default_rng(seed)
    generator = torch.Generator().manual_seed(seed)
    partners = torch.from_numpy(mirror_partners())
    mirrored_output = torch.tensor([OUTPUTS.index(_mirrored(name)) for name in OUTPUTS])
    flip = torch.tensor([-1.0, 1.0, 1.0])
    scale = torch.tensor([1.0, -1.0, -1.0])
    order = sampler.epoch(rng)
    total = 0.0
    network.train()
    batches = [order[k : k + BATCH] for k in range(0, len(order) - BATCH + 1, BATCH)]
    for indices in progress(batches):
        rest, rest_crops, known = sampler.rest(indices, rng)
        calibration = torch.from_numpy(_draw_calibration(known, rng))
        crops, points = sampler.crops(indices), sampler.points(indices)
        angles = sampler.angles(indices)
        low, high = (torch.from_numpy(bound[indices]) for bound in (sampler.low, sampler.high))
        if rng.uniform() < 0.5:
            crops, rest_crops = crops.flip(2), rest_crops.flip(2)
            points, rest = points[:, partners] * flip, rest[:, partners] * flip
            angles = angles * scale
            low, high = low[:, mirrored_output], high[:, mirrored_output]
        crops, rest_crops = augment(crops, generator), augment(rest_crops, generator)
        points = points + POINT_NOISE_MM * torch.randn(points.shape, generator=generator)
        share = calibration[:, :, None]
        rest = share * rest + (1 - share) * network.population.view(1, -1, 3)
        units = network(points, crops, angles, rest, rest_crops, calibration)
        # Squares, not absolutes: units are rare, and the median of a rare unit is nothing at all.
        loss = (units - torch.maximum(torch.minimum(units, high), low)).square().mean()
        optimiser.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(network.parameters(), 5.0)
        optimiser.step()
        schedule.step()
        total += loss.item()
    return total / len(batches)


@torch.no_grad()
def predict(
    network: ActionUnitNetwork, sampler: Sampler, indices: NDArray[np.int64], *, calibrated: bool,
    seed: int = 0,
) -> NDArray[np.float32]:  # fmt: skip
    """Read samples as the product would: (n, 21), clipped to 0 to 5.

    With `calibrated`, the rest comes from another picture of the person than the one read.
    """
    rng = np.random.default_rng(seed)
    network.eval()
    read = []
    for k in range(0, len(indices), 512):
        part = indices[k : k + 512]
        rest, rest_crops, known = sampler.rest(part, rng)
        own = torch.from_numpy(known & calibrated)
        population = network.population.view(1, -1, 3)
        rest = torch.where(own[:, None, None], rest, population)
        units = network(
            sampler.points(part), sampler.crops(part), sampler.angles(part), rest, rest_crops,
            own[:, None].float(),
        )  # fmt: skip
        read.append(units.numpy())
    return np.clip(np.concatenate(read), 0, 5)


def mean_icc(truth: NDArray[np.floating], read: NDArray[np.floating]) -> float:
    """Return the mean ICC(3,1) over the reported units."""
    columns = [OUTPUTS.index(name) for name in REPORTED]
    return float(np.mean([icc_3_1(truth[:, k], read[:, k]) for k in columns]))


def hash_data(paths: Sequence[Path]) -> str:
    """Return the SHA-256 of the meshes, pictures and truth in files, in the order of names."""
    digest = hashlib.sha256()
    for path in sorted(paths, key=lambda path: path.name):
        with np.load(path, allow_pickle=False) as stored:
            for name in ("points", "crops", "units", "low", "high"):
                if name in stored.files:
                    digest.update(np.ascontiguousarray(stored[name]).tobytes())
    return digest.hexdigest()


def _draw_calibration(known: NDArray[np.bool_], rng: np.random.Generator) -> NDArray[np.float32]:
    """Not calibrated in two of five samples, wholly in two, partly in one."""
    kind, share = rng.uniform(size=len(known)), rng.uniform(size=len(known))
    calibration = np.where(kind < 0.4, 0.0, np.where(kind < 0.8, 1.0, share))
    return np.where(known, calibration, 0.0).astype(np.float32)[:, None]


def _mirrored(name: str) -> str:
    unit, _, side = name.partition("_")
    return f"{unit}_{'left' if side == 'right' else 'right'}" if side else unit


def main() -> None:
    """Run from the command line."""
    from rich.progress import track

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder of the studio's files")
    parser.add_argument("--out", type=Path, required=True, help="folder for the checkpoint")
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--threads", type=int, default=0, help="0 = as many as there are cores")
    parser.add_argument("--no-picture", action="store_true", help="ablation: mesh only")
    parser.add_argument(
        "--skins", choices=("painted", "photographs"), help="ablation: people in such skins alone"
    )
    options = parser.parse_args()
    if options.threads:
        torch.set_num_threads(options.threads)
    torch.manual_seed(options.seed)
    options.out.mkdir(parents=True, exist_ok=True)
    paths = sorted(options.data.glob("train_*.npz"))
    anchors = [options.data / f"{name}.npz" for name in SHARES]
    anchors = [path for path in anchors if path.exists()]
    samples = load_samples(paths)
    if options.skins is not None:
        worn = samples["photograph"].astype(bool) == (options.skins == "photographs")
        samples = {name: array[worn] for name, array in samples.items()}
    sampler = Sampler(samples, [(load_arrays(path), SHARES[path.stem]) for path in anchors])
    held_out = Sampler(load_samples(sorted(options.data.glob("validation_*.npz"))))
    network = ActionUnitNetwork(picture=not options.no_picture)
    network = network.to(memory_format=torch.channels_last)  # twice as fast on a CPU
    optimiser = torch.optim.AdamW(decay_groups(network.parameters(), WEIGHT_DECAY), PEAK_RATE)
    steps = options.epochs * sampler.batches()
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, PEAK_RATE, steps, pct_start=0.15)
    run = Run(options.out, network, optimiser, schedule)
    print(
        f"{count_parameters(network)} parameters, "
        f"{len(sampler.wanted)} samples of {len(paths)} people"
    )
    truth = held_out.low[held_out.tested]
    for epoch in range(run.epochs, options.epochs):
        loss = train_epoch(
            network, sampler, optimiser, schedule, options.seed * 1000 + epoch,
            lambda batches, e=epoch: track(batches, f"epoch {e + 1} of {options.epochs}"),
        )  # fmt: skip
        scores = [
            mean_icc(truth, predict(network, held_out, held_out.tested, calibrated=calibrated))
            for calibrated in (False, True)
        ]
        text = (
            f"epoch {epoch + 1}: loss {loss:.4f}, ICC {scores[0]:.3f}, calibrated {scores[1]:.3f}"
        )
        print(text, flush=True)
        run.keep()
    about = {
        "seed": options.seed, "epochs": options.epochs, "people": len(paths),
        "samples": len(sampler.wanted), "data_sha256": hash_data([*paths, *anchors]),
        "real_faces": {path.stem: len(load_arrays(path)["low"]) for path in anchors},
        "picture": network.picture,
    }  # fmt: skip
    (options.out / "about.json").write_text(json.dumps(about, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    main()
