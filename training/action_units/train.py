"""Train the action unit network on studio data and on real faces together.

    python -m training.action_units.train --data FOLDER --out FOLDER --lfw lfw_train.npz \
        --ferplus ferplus.npz --teacher FOLDER [--rounds 66] [--seed 1] [--start FOLDER] \
        [--without-lfw] [--studio FOLDER]

Goes on from the last checkpoint in ``--out`` where there is one; one is kept after each round of
ROUND batches. The schedule is fixed and the last round is taken, so there is no round to choose;
what is printed of validation persons is to be looked at. A round takes some 25 seconds of one core.
"""

from __future__ import annotations

import argparse
import hashlib
import json
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
import torch
from torch import Tensor, nn

from realtime_affect.face.pose import load_neutral_face
from training.action_units.faces import (
    EXPRESSIONS,
    Faces,
    join,
    lfw_curves,
    lfw_split,
    london_part,
    select,
    stills_part,
    studio_part,
)
from training.action_units.network import OUTPUTS, ActionUnitNetwork, count_parameters, intensity
from training.action_units.real_faces import EVIDENCE
from training.checkpoints import Run, decay_groups, load_weights
from training.metrics import icc_3_1, spearman

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

ROUND: Final = 100
"""Batches between two checkpoints."""

LOOK: Final = 6
"""Rounds between two looks at validation persons."""

PEAK_RATE: Final = 3e-3
WEIGHT_DECAY: Final = 0.05
POINT_NOISE_MM: Final = 0.25
REPORTED: Final = (
    "AU01", "AU02", "AU04", "AU05", "AU06", "AU07", "AU09", "AU10", "AU12", "AU15", "AU17", "AU20",
    "AU25", "AU26", "AU45",
)  # fmt: skip
"""Units over which figures are averaged."""

RANKED: Final = ("AU01", "AU02", "AU04", "AU07", "AU10", "AU12", "AU15", "AU17", "AU20", "AU26",
                 "AU45")  # fmt: skip
"""Units over which the agreement with the teacher's ranks is averaged."""

SHARES: Final = {"studio": 26, "lfw": 46, "ferplus": 18, "london": 6}
"""Faces of each kind in a batch."""

_FLAT: Final = 0.15  # of an error above evidence 1 on real faces: ranks are what is learned there
_RENDERED: Final = 0.3  # weight of a rendered face: its errors are of intensities, and larger
_RATED: Final = 0.015  # weight of raters' pairs
_STEEP: Final = 4.0  # of evidence, that a pair must be apart to count little
_DECAY: Final = 0.65  # share of the rounds in which the rate falls to nothing
_WARM_UP: Final = 300  # batches


def mirror_partners() -> NDArray[np.int64]:
    """Return (468,): the point that lies where each one would in a mirror."""
    points = load_neutral_face().points
    gaps = np.linalg.norm((points * [-1, 1, 1])[:, None] - points[None], axis=2)
    return gaps.argmin(axis=1)


def augment(crops: Tensor, generator: torch.Generator) -> Tensor:
    """Move, turn and scale pictures (n, 96, 96) a little, change their light, hide a square.

    A quarter of the pictures lose detail, as small, distant or compressed faces have.
    """
    n = len(crops)

    def draw(*shape: int) -> Tensor:
        return torch.rand(shape, generator=generator)

    turn, scale = (draw(n) - 0.5) * 0.10, 1 + (draw(n) - 0.5) * 0.08
    shift = (draw(n, 2) - 0.5) * (5 / 48)
    cos, sin = torch.cos(turn) * scale, torch.sin(turn) * scale
    warp = torch.stack([cos, -sin, shift[:, 0], sin, cos, shift[:, 1]], 1).view(n, 2, 3)
    grid = nn.functional.affine_grid(warp, [n, 1, *crops.shape[1:]], align_corners=False)
    x = nn.functional.grid_sample(crops[:, None], grid, padding_mode="border", align_corners=False)
    coarse = draw(n) < 1 / 4
    if coarse.any():
        small = nn.functional.avg_pool2d(x[coarse], 3, 2, 1)
        x[coarse] = nn.functional.interpolate(small, x.shape[2:], mode="bilinear")
    x = x[:, 0]
    gamma = torch.exp((draw(n, 1, 1) - 0.5) * 0.8)
    x = 255 * (x.clamp(0, 255) / 255) ** gamma
    x = x + draw(n, 1, 1) * 8 * torch.randn(x.shape, generator=generator)
    for i in torch.nonzero(draw(n) < 0.15).flatten().tolist():
        top, left, side = torch.randint(8, 80, (3,), generator=generator).tolist()
        side = side // 3
        x[i, top : top + side, left : left + side] = x[i].mean()
    return x


class Mirror:
    """Turns faces and what is known of them about, left for right."""

    def __init__(self) -> None:
        self._partners = torch.from_numpy(mirror_partners())
        self.outputs = np.array([OUTPUTS.index(_mirrored(name)) for name in OUTPUTS])

    def __call__(
        self, points: Tensor, crops: Tensor, angles: Tensor, chosen: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Mirror the faces `chosen` (n,) bool; returns new tensors."""
        about = points[:, self._partners] * torch.tensor([-1.0, 1.0, 1.0])
        return (
            torch.where(chosen[:, None, None], about, points),
            torch.where(chosen[:, None, None], crops.flip(2), crops),
            torch.where(chosen[:, None], angles * torch.tensor([1.0, -1.0, -1.0]), angles),
        )


def train_round(
    network: ActionUnitNetwork, faces: Faces, optimiser: torch.optim.Optimizer,
    schedule: torch.optim.lr_scheduler.LRScheduler, seed: int, batches: Iterable[int],
) -> float:  # fmt: skip
    """Train on some batches and return the mean loss."""
    rng = np.random.default_rng(seed)
    generator = torch.Generator().manual_seed(seed)
    mirror = Mirror()
    total = count = 0
    network.train()
    for _ in batches:
        rows = faces.draw(SHARES, rng)
        rest = faces.rest_of(rows, rng)
        calibration = _draw_calibration(rest >= 0, rng)
        resting = np.flatnonzero(calibration > 0)
        low, high = faces.bounds(rows, rest, calibration)
        every = np.concatenate([rows, rest[resting]])
        flip = rng.uniform(size=len(rows)) < 0.5
        low, high = (np.where(flip[:, None], b[:, mirror.outputs], b) for b in (low, high))
        points, crops, angles = mirror(
            *faces.seen(every), torch.from_numpy(np.concatenate([flip, flip[resting]]))
        )
        points = points + POINT_NOISE_MM * torch.randn(points.shape, generator=generator)
        features = network.embed(points, augment(crops, generator), angles)
        own = network.usual.repeat(len(rows), 1)
        own[torch.from_numpy(resting)] = features[len(rows) :]
        share = torch.from_numpy(calibration[:, None])
        evidence = network.compare(features[: len(rows)], own, share)
        real = torch.from_numpy(faces.real[rows])[:, None]
        loss = _loss(evidence, torch.from_numpy(low), torch.from_numpy(high), real)
        loss = loss + _RATED * _rate_pairs(evidence, faces.expression[rows], faces.kind[rows])
        optimiser.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(network.parameters(), 5.0)
        optimiser.step()
        schedule.step()
        total += loss.item()
        count += 1
    return total / max(count, 1)


def _loss(evidence: Tensor, low: Tensor, high: Tensor, real: Tensor) -> Tensor:
    # Squares, not absolutes: units are rare, and the median of a rare unit is nothing at all.
    wanted = torch.maximum(torch.minimum(evidence, high), low)
    flat = torch.where(real, _FLAT, 1.0)
    weight = torch.where(real, 1.0, _RENDERED)
    return (weight * (_squeeze(evidence, flat) - _squeeze(wanted, flat)).square()).mean()


def _squeeze(evidence: Tensor, flat: Tensor | float) -> Tensor:
    return torch.where(evidence > 1, 1 + flat * (evidence - 1), evidence)


def _rate_pairs(
    evidence: Tensor, expression: NDArray[np.int8], kind: NDArray[np.int8]
) -> Tensor:  # fmt: skip
    """Return the logistic loss of pairs of an expression and a neutral face, by its units."""
    squeezed = _squeeze(evidence, _FLAT)
    losses = []
    neutral = expression == EXPRESSIONS["neutral"]
    for unit, name in EVIDENCE.items():
        shown = expression == EXPRESSIONS[name]
        pairs = shown[:, None] & neutral & (kind[:, None] == kind)
        if pairs.any():
            first, second = (torch.from_numpy(rows) for rows in np.nonzero(pairs))
            read = squeezed[:, OUTPUTS.index(unit)]
            losses.append(nn.functional.softplus(_STEEP * (read[second] - read[first])).mean())
    return torch.stack(losses).sum() / len(EVIDENCE) if losses else evidence.new_zeros(())


def rate_at(step: int, steps: int) -> float:
    """Return the share of the highest rate at a step: it rises, stands, and falls in a line."""
    return min(1.0, (step + 1) / _WARM_UP, max(0.0, (steps - step) / (_DECAY * steps)))


@torch.no_grad()
def embed_all(network: ActionUnitNetwork, faces: Faces, rows: NDArray[np.int64]) -> Tensor:
    """Return the features of some faces, (n, F)."""
    network.eval()
    parts = [network.embed(*faces.seen(rows[k : k + 256])) for k in range(0, len(rows), 256)]
    return torch.cat(parts)


@torch.no_grad()
def predict(
    network: ActionUnitNetwork, faces: Faces, rows: NDArray[np.int64], *, calibrated: bool,
    seed: int = 0,
) -> NDArray[np.float32]:  # fmt: skip
    """Read faces as the product would: intensities (n, 21).

    With `calibrated`, the rest is the mean over up to three other pictures of the person.
    """
    features = embed_all(network, faces, rows)
    rest = network.usual.repeat(len(rows), 1)
    known = np.zeros(len(rows), bool)
    if calibrated:
        rng = np.random.default_rng(seed)
        draws = np.stack([faces.rest_of(rows, rng) for _ in range(3)])
        known = draws[0] >= 0
        if known.any():
            parts = [embed_all(network, faces, draw[known]) for draw in draws]
            rest[torch.from_numpy(known)] = torch.stack(parts).mean(dim=0)
    share = torch.from_numpy(known.astype(np.float32))[:, None]
    return intensity(network.compare(features, rest, share)).numpy()


def mean_icc(truth: NDArray[np.floating], read: NDArray[np.floating]) -> float:
    """Return the mean ICC(3,1) over the reported units."""
    columns = [OUTPUTS.index(name) for name in REPORTED]
    return float(np.mean([icc_3_1(truth[:, k], read[:, k]) for k in columns]))


def rank_agreement(taught: NDArray[np.floating], read: NDArray[np.floating]) -> dict[str, float]:
    """Return Spearman's correlation of each taught unit, (n, 21) against (n, 21)."""
    return {
        name: spearman(taught[:, k], read[:, k])
        for k, name in enumerate(OUTPUTS)
        if np.isfinite(taught[:, k]).all()
    }


def hash_data(paths: Iterable[Path]) -> str:
    """Return the SHA-256 of the arrays in files, in the order of names."""
    digest = hashlib.sha256()
    for path in sorted(paths, key=lambda path: path.name):
        with np.load(path, allow_pickle=False) as stored:
            for name in ("points", "crops", "units", "bounds", "scores"):
                if name in stored.files:
                    digest.update(np.ascontiguousarray(stored[name]).tobytes())
    return digest.hexdigest()


def _draw_calibration(known: NDArray[np.bool_], rng: np.random.Generator) -> NDArray[np.float32]:
    """Not calibrated in two of five samples, wholly in two, partly in one."""
    kind, share = rng.uniform(size=len(known)), rng.uniform(size=len(known))
    calibration = np.where(kind < 0.4, 0.0, np.where(kind < 0.8, 1.0, share))
    return np.where(known, calibration, 0.0).astype(np.float32)


def _mirrored(name: str) -> str:
    unit, _, side = name.partition("_")
    return f"{unit}_{'left' if side == 'right' else 'right'}" if side else unit


def gather(options: argparse.Namespace, paths: list[Path]) -> tuple[Faces, Faces, Faces]:
    """Return the faces to learn from, the studio's validation split, LFW's validation persons."""
    curves = lfw_curves(options.teacher, options.lfw)
    lfw = stills_part(options.data, options.teacher, "lfw", options.lfw, curves)
    n = len(lfw["presence"])
    shown = {"studio": studio_part(paths)}
    if not options.without_lfw:
        shown["lfw"] = select(lfw, lfw_split(options.lfw, "train")[:n])
    if list(options.teacher.glob("teacher_ferplus_*.npz")):
        shown["ferplus"] = stills_part(
            options.data, options.teacher, "ferplus", options.ferplus, curves, 0
        )
    if (options.data / "london.npz").exists():
        shown["london"] = london_part(options.data / "london.npz")
    kept_out = studio_part(sorted((options.studio or options.data).glob("validation_*.npz")))
    persons = select(lfw, lfw_split(options.lfw, "validation")[:n])
    return join(shown), join({"studio": kept_out}), join({"lfw": persons})


def look(network: ActionUnitNetwork, validation: Faces, persons: Faces) -> str:
    """Return what validation persons of LFW and of the studio say of a network, to be looked at."""
    read = predict(network, persons, persons.tested(), calibrated=False)
    found = rank_agreement(persons.taught[persons.tested()], read)
    mean = np.mean([found[name] for name in RANKED])
    rows = validation.tested()
    iccs = [
        mean_icc(validation.truth[rows], predict(network, validation, rows, calibrated=own))
        for own in (False, True)
    ]
    return (
        f"; validation persons: Spearman {mean:.3f}, AU06 {found['AU06']:.3f}, AU14 "
        f"{found['AU14']:.3f}; studio: ICC {iccs[0]:.3f}, own rest {iccs[1]:.3f}"
    )


def main() -> None:
    """Run from the command line."""
    from rich.progress import track

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder of filmed faces")
    parser.add_argument("--studio", type=Path, help="folder of rendered faces, if another")
    parser.add_argument("--teacher", type=Path, required=True, help="folder of teacher's answers")
    parser.add_argument("--lfw", type=Path, required=True, help="lfw_train.npz")
    parser.add_argument("--ferplus", type=Path, required=True, help="ferplus_train_valid.npz")
    parser.add_argument("--out", type=Path, required=True, help="folder for the checkpoint")
    parser.add_argument("--rounds", type=int, default=66)
    parser.add_argument("--start", type=Path, help="folder of a checkpoint to begin with")
    parser.add_argument("--rate", type=float, default=PEAK_RATE, help="highest learning rate")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--threads", type=int, default=0, help="0 = as many as there are cores")
    parser.add_argument("--no-picture", action="store_true", help="ablation: mesh only")
    parser.add_argument(
        "--without-lfw", action="store_true", help="learn from no face of Labeled Faces in the Wild"
    )
    options = parser.parse_args()
    if options.threads:
        torch.set_num_threads(options.threads)
    torch.manual_seed(options.seed)
    options.out.mkdir(parents=True, exist_ok=True)
    paths = sorted((options.studio or options.data).glob("train_*.npz"))
    faces, validation, persons = gather(options, paths)
    network = ActionUnitNetwork(picture=not options.no_picture)
    if options.start is not None:
        network = load_weights(options.start, network)
    network = network.to(memory_format=torch.channels_last)  # twice as fast on a CPU
    optimiser = torch.optim.AdamW(decay_groups(network.parameters(), WEIGHT_DECAY), options.rate)
    steps = options.rounds * ROUND
    schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda step: rate_at(step, steps))
    run = Run(options.out, network, optimiser, schedule)
    counts = {kind: len(np.unique(rows)) for kind, rows in faces.kinds.items()}
    print(f"{count_parameters(network)} parameters, {counts} faces, {len(paths)} people filmed")
    for k in range(run.epochs, options.rounds):
        loss = train_round(
            network, faces, optimiser, schedule, options.seed * 1000 + k,
            track(range(ROUND), f"round {k + 1} of {options.rounds}"),
        )  # fmt: skip
        run.keep()
        told = (
            look(network, validation, persons)
            if (k + 1) % LOOK == 0 or k + 1 == options.rounds
            else ""
        )
        print(f"round {k + 1}: loss {loss:.4f}{told}", flush=True)
    files = [*paths, *options.data.glob("stills_*.npz"), *options.data.glob("london.npz"),
             *options.teacher.glob("teacher_*.npz")]  # fmt: skip
    about = {
        "seed": options.seed, "rounds": options.rounds, "people": len(paths), "faces": counts,
        "data_sha256": hash_data(files), "picture": network.picture,
        "teacher": "MediaPipe 0.10.21 face_landmarker.task",
    }  # fmt: skip
    (options.out / "about.json").write_text(json.dumps(about, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    main()
