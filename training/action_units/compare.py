"""Lay real faces beside rendered ones that show the same units, to see what the studio lacks.

    python -m training.action_units.compare --faces ict_facekit_light.npz --data FOLDER \
        --teacher FOLDER --lfw lfw_train.npz --ferplus ferplus_train_valid.npz --out FOLDER

For each unit the faces of training that show it most and least, by the teacher's ranks (Labeled
Faces in the Wild) or by raters' votes (FER+: units that nobody teaches), as the network sees them.
Under each, a person of the studio who does what the teacher says of that face, with the head held
alike. ``AU06.png`` shows pairs, and at the left what distinguishes the two ends on average: real,
rendered. How alike these averages are, with skin in relief and with painted lines, is printed and
recorded. Sheets show real people: ``--out`` lies outside of the project.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import cv2
import numpy as np
import torch

from benchmarks.records import code_state
from training.action_units.dataset import PRESENT, Observer, region_from_landmarks
from training.action_units.faces import EXPRESSIONS, lfw_curves, lfw_split, select, stills_part
from training.action_units.network import OUTPUTS, intensity
from training.action_units.real_faces import EVIDENCE, TAUGHT
from training.synthetic.faces import FaceModel
from training.synthetic.motion import UNITS, posed
from training.synthetic.studio import draw_frame, draw_scene, make_subject

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from training.action_units.faces import Part
    from training.synthetic.people import Person

    Crops = NDArray[np.uint8]

REPORT: Final = Path("benchmarks/results/studio_likeness.json")
RATED: Final = ("AU05", "AU09")
"""Units that the teacher does not rank; raters' votes of EVIDENCE stand for them."""

PAIRS: Final = 48  # of each end that averages are over
_SHOWN: Final = 8  # of each end on a sheet
_PEOPLE: Final = 24  # of the studio, one after the other
_FRONTAL_RAD: Final = 0.25
_RATED_AT: Final = 0.6  # of a unit that a face shows by raters' votes
_SIDE_PX: Final = 240
_GAP_PX: Final = 6


class Ends(NamedTuple):
    """Faces that show a unit most and least: crops (n, 96, 96), units (n, 18, 2), angles (n, 3)."""

    most: tuple[Crops, NDArray[np.float32], NDArray[np.float32]]
    least: tuple[Crops, NDArray[np.float32], NDArray[np.float32]]


def units_of(evidence: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return what the studio is to do, (n, 18, 2), 0 to 1, for a teacher's evidence (n, 21)."""
    told = intensity(torch.from_numpy(np.nan_to_num(evidence))).numpy() / 5
    units = np.zeros((len(evidence), len(UNITS), 2), np.float32)
    for k, name in enumerate(OUTPUTS):
        unit, _, side = name.partition("_")
        if unit in UNITS:
            sides = {"right": [0], "left": [1]}.get(side, [0, 1])
            units[:, UNITS.index(unit), sides] = told[:, k, None]
    return units


def choose_ends(lfw: Part, ferplus: Part, unit: str, n: int) -> Ends:
    """Choose the n faces that show a unit most, and the n that show it least; both look ahead."""
    part = ferplus if unit in RATED else lfw
    ahead = (part["presence"] >= PRESENT) & (np.abs(part["angles_rad"]).max(axis=1) < _FRONTAL_RAD)
    taught = part["taught"]
    ahead &= np.isfinite(taught[:, 0])
    if unit in RATED:
        order = np.random.default_rng(5).permutation(len(ahead))
        ends = [
            order[(ahead & (part["expression"] == EXPRESSIONS[name]))[order]][:n]
            for name in (EVIDENCE[unit], "neutral")
        ]
    else:
        order = np.argsort(taught[:, OUTPUTS.index(unit)])
        order = order[ahead[order]]
        ends = [order[::-1][:n], order[:n]]
    found = []
    for rows, shown in zip(ends, (_RATED_AT, 0.0), strict=True):
        units = units_of(taught[rows])
        if unit in RATED:
            units[:, UNITS.index(unit)] = shown
        found.append((part["crops"][rows], units, part["angles_rad"][rows]))
    return Ends(*found)


def render(
    people: Sequence[Person], units: NDArray[np.float32], angles_rad: NDArray[np.float32],
    observer: Observer,
) -> Crops:  # fmt: skip
    """Have people do `units` (n, 18, 2), one after the other, and return crops (n, 96, 96)."""
    crops = []
    for i in range(len(units)):
        rng = np.random.default_rng([7, i])
        motion = posed(i, 1)
        motion.units[0], motion.extras[0], motion.look[0] = units[i], 0, 0
        motion.angles_rad[0] = angles_rad[i]
        scene = replace(draw_scene([3, i], _SIDE_PX), occluder=-1)
        picture = scene.room.copy()
        truth = draw_frame(picture, people[i % len(people)], motion, 0, scene, supersample=1)
        image = scene.camera.take(picture, rng)
        crops.append(observer.observe(image, region_from_landmarks(truth.landmarks, rng))[1])
    return np.array(crops)


def difference(most: Crops, least: Crops) -> NDArray[np.float64]:
    """Return what distinguishes the averages (96, 96) of two ends, light and contrast taken off."""
    means = []
    for crops in (most, least):
        flat = crops.astype(np.float64)
        flat -= flat.mean(axis=(1, 2), keepdims=True)
        means.append((flat / (flat.std(axis=(1, 2), keepdims=True) + 4)).mean(axis=0))
    gap: NDArray[np.float64] = means[0] - means[1]
    return cv2.GaussianBlur(gap, (0, 0), 2.0)  # type: ignore[return-value]


def alike(one: NDArray[np.float64], other: NDArray[np.float64], unit: str) -> float:
    """Return the correlation of two differences, in the half of the face where a unit acts."""
    half = len(one) // 2
    rows = slice(0, half + 6) if unit in _UPPER else slice(half - 6, None)
    inner = slice(12, -12)
    return float(np.corrcoef(one[rows, inner].ravel(), other[rows, inner].ravel())[0, 1])


_UPPER: Final = ("AU01", "AU02", "AU04", "AU05", "AU06", "AU07", "AU09", "AU45")


def sheet_of(ends: Ends, rendered: Sequence[Crops]) -> Crops:
    """Lay out pairs, real above rendered: those that show most, then least; averages at the left.

    `rendered` are the crops of both ends.
    """
    real = (ends.most[0], ends.least[0])
    rows = []
    for end in (0, 1):
        for crops in (real[end], rendered[end]):
            rows += [np.hstack([*crops[:_SHOWN]])]
        rows.append(np.zeros((_GAP_PX, rows[0].shape[1]), np.uint8))
    pairs = np.vstack(rows[:-1])
    gaps = [difference(*real), difference(rendered[0], rendered[1])]
    told = [np.clip(128 + 110 * gap / np.abs(gap).max(), 0, 255).astype(np.uint8) for gap in gaps]
    left = np.zeros((len(pairs), told[0].shape[1] + _GAP_PX), np.uint8)
    for k, image in enumerate(told):
        left[k * len(image) : (k + 1) * len(image), : image.shape[1]] = image
    return cv2.resize(np.hstack([left, pairs]), None, fx=2, fy=2, interpolation=cv2.INTER_CUBIC)  # type: ignore[return-value]


def main() -> None:
    """Run from the command line."""
    from rich.progress import track

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--faces", type=Path, required=True, help="ict_facekit_light.npz")
    parser.add_argument("--data", type=Path, required=True, help="folder of stills")
    parser.add_argument("--teacher", type=Path, required=True, help="folder of teacher's answers")
    parser.add_argument("--lfw", type=Path, required=True, help="lfw_train.npz")
    parser.add_argument("--ferplus", type=Path, required=True, help="ferplus_train_valid.npz")
    parser.add_argument("--out", type=Path, required=True, help="folder for the sheets")
    parser.add_argument("--pairs", type=int, default=PAIRS)
    parser.add_argument(
        "--units", nargs="+", default=[*RATED, *(u for u in TAUGHT if "_" not in u)]
    )
    parser.add_argument("--report", type=Path, default=REPORT)
    options = parser.parse_args()
    code = code_state("training/action_units/compare.py", "training/synthetic")
    options.out.mkdir(parents=True, exist_ok=True)
    curves = lfw_curves(options.teacher, options.lfw)
    lfw = stills_part(options.data, options.teacher, "lfw", options.lfw, curves)
    lfw = select(lfw, lfw_split(options.lfw, "train")[: len(lfw["presence"])])
    ferplus = stills_part(options.data, options.teacher, "ferplus", options.ferplus, curves, 0)
    model, observer = FaceModel(options.faces), Observer()
    skins = {
        name: [make_subject(model, "train", k, relief=name == "relief") for k in range(_PEOPLE)]
        for name in ("relief", "painted")
    }
    figures: dict[str, Any] = {}
    for unit in track(sorted(options.units), "rendering"):
        ends = choose_ends(lfw, ferplus, unit, options.pairs)
        wanted = difference(ends.most[0], ends.least[0])
        figures[unit] = {"faces": len(ends.most[0])}
        for name, people in skins.items():
            both = [render(people, units, angles, observer) for _, units, angles in ends]
            figures[unit][name] = alike(wanted, difference(*both), unit)
            if name == "relief":
                cv2.imwrite(str(options.out / f"{unit}.png"), sheet_of(ends, both))
    report = {"people": _PEOPLE, "pairs": options.pairs, "units": figures, "made": code}
    options.report.write_text(json.dumps(report, indent=1) + "\n", "utf-8")
    for unit, found in figures.items():
        print(f"{unit}: relief {found['relief']:.2f}, painted {found['painted']:.2f}")


if __name__ == "__main__":
    main()
