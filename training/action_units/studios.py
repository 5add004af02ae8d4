"""Does skin in relief help? What ships, trained on with either studio and compared.

    python -m training.action_units.studios [--shared FOLDER] [--work FOLDER] [--run FOLDER]

After ``make train-action-units`` with the same ``--work``. Films the same people with skin that
folds in relief, trains the network of ``--run`` on twice, alike but for the studio, and compares on
persons who serve for choices: LFW's validation persons, FER+'s ``valid`` split, and the studio's
test split in both forms. Nothing that ships changes. Writes
``benchmarks/results/studio_relief.json``. Some 50 minutes of one core.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from benchmarks.records import code_state
from training.action_units.__main__ import PEOPLE
from training.action_units.evaluate import (
    ferplus_figures,
    mean_icc,
    ranks_figures,
    studio_figures,
)
from training.action_units.faces import Faces, join, lfw_persons, studio_part
from training.action_units.network import OUTPUTS, ActionUnitNetwork
from training.action_units.real_faces import TAUGHT
from training.action_units.thresholds import TRACE
from training.action_units.train import RANKED, predict
from training.checkpoints import load_weights
from training.metrics import spearman
from training.steps import Step, check_folders, run_steps

if TYPE_CHECKING:
    from numpy.typing import NDArray

REPORT: Final = Path("benchmarks/results/studio_relief.json")
STUDIOS: Final = ("painted", "relief")
ROUNDS: Final = 24
RATE: Final = 5e-4
SEED: Final = 5
FOREMOST: Final = ("AU04", "AU06", "AU09", "AU14")
"""Units whose shading the mesh has not."""

_RESAMPLED: Final = 300


def steps(shared: Path, work: Path, run: Path, rounds: int) -> list[Step]:
    """List modules with their arguments, in the order in which they run."""
    faces = shared / "synthetic_ict" / "ict_facekit_light.npz"
    films = [
        ("dataset", [
            "--faces", str(faces), "--skins", str(shared / "london_faces" / "images"),
            "--out", str(work / "relief"), "--split", split, "--people", people, "--relief",
        ])
        for split, people in PEOPLE.items()
    ]  # fmt: skip
    trains = [
        ("train", [
            "--data", str(work / "data"), "--studio", str(folder),
            "--teacher", str(work / "teacher"),
            "--lfw", str(shared / "lfw_expressions" / "lfw_train.npz"),
            "--ferplus", str(shared / "ferplus" / "ferplus_train_valid.npz"),
            "--start", str(run), "--rate", str(RATE), "--rounds", str(rounds),
            "--seed", str(SEED), "--threads", "1", "--out", str(work / "studios" / name),
        ])
        for name, folder in zip(STUDIOS, (work / "data", work / "relief"), strict=True)
    ]  # fmt: skip
    return [*films, *trains]


def figures_of(
    network: ActionUnitNetwork, persons: Faces, teacher_at: dict[str, float],
    tests: dict[str, Faces], rated: Path,
) -> dict[str, Any]:  # fmt: skip
    """Return what a network scores on persons who serve for choices; no thresholds are moved."""
    present_at = dict.fromkeys(OUTPUTS, TRACE)
    ranks = ranks_figures(network, persons, teacher_at, present_at)
    studio = {}
    for name, held_out in tests.items():
        found = studio_figures(network, held_out, calibrated=True, present_at=present_at)
        studio[name] = {
            "mean": mean_icc(found),
            "units": {unit: found[unit]["icc"] for unit in FOREMOST},
        }
    aucs = ferplus_figures(network, rated)["auc"]
    return {
        "lfw_validation": {
            "faces": ranks["faces"],
            "mean_spearman": ranks["mean_spearman"],
            "units": {name: unit["spearman"] for name, unit in ranks["units"].items()},
        },
        "studio_test_icc": studio,
        "ferplus_valid_auc": {
            "mean": float(np.mean([found["auc"] for found in aucs.values()])),
            "units": {unit: found["auc"] for unit, found in aucs.items()},
        },
    }


def gains(
    taught: NDArray[np.float32], before: NDArray[np.float32], after: NDArray[np.float32]
) -> dict[str, list[float]]:
    """Return how much rank agreement rises, with its 95 % interval by bootstrap over faces.

    Parameters
    ----------
    taught, before, after : (n, 21) float32
        The teacher's evidence, and the intensities of two networks.
    """
    rng = np.random.default_rng(1)
    n = len(taught)
    rows = [np.arange(n), *rng.integers(0, n, (_RESAMPLED, n))]
    told: dict[str, NDArray[np.float64]] = {}
    for name in {*RANKED, *FOREMOST} & set(TAUGHT):
        columns = [array[:, OUTPUTS.index(name)] for array in (taught, before, after)]
        told[name] = np.array([_gain(*(column[drawn] for column in columns)) for drawn in rows])
    shown = {"mean": np.mean([told[name] for name in RANKED], axis=0)}
    shown |= {name: told[name] for name in FOREMOST if name in told}
    return {
        name: [float(values[0]), *np.quantile(values[1:], [0.025, 0.975]).tolist()]
        for name, values in shown.items()
    }


def _gain(
    taught: NDArray[np.float32], before: NDArray[np.float32], after: NDArray[np.float32]
) -> float:
    return spearman(taught, after) - spearman(taught, before)


def main() -> None:
    """Run from the command line, in the project's folder."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--shared", type=Path, default=Path("../shared/data"))
    parser.add_argument("--work", type=Path, default=Path("out/action_units"))
    parser.add_argument("--run", type=Path, help="folder of the checkpoint; default WORK/run")
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--report", type=Path, default=REPORT)
    options = parser.parse_args()
    check_folders(
        parser, options.shared, ("synthetic_ict", "london_faces", "ferplus", "lfw_expressions")
    )
    run = options.run or options.work / "run"
    code = code_state("training/action_units", "training/synthetic")
    run_steps("training.action_units", steps(options.shared, options.work, run, options.rounds))
    data = options.work / "data"
    lfw = options.shared / "lfw_expressions" / "lfw_train.npz"
    persons, curves = lfw_persons(data, options.work / "teacher", lfw, "validation")
    tests = {
        name: join({"studio": studio_part(sorted(folder.glob("test_*.npz")))})
        for name, folder in zip(STUDIOS, (data, options.work / "relief"), strict=True)
    }
    folders = {"shipped": run, **{name: options.work / "studios" / name for name in STUDIOS}}
    networks = {name: load_weights(folder, ActionUnitNetwork()) for name, folder in folders.items()}
    report: dict[str, Any] = {
        "rounds": options.rounds,
        "rate": RATE,
        "seed": SEED,
        "about": json.loads((run / "about.json").read_text("utf-8")),
        "networks": {
            name: figures_of(network, persons, curves.threshold, tests, data / "rated_ferplus.npz")
            for name, network in networks.items()
        },
    }
    rows = persons.tested()
    reads = {name: predict(net, persons, rows, calibrated=False) for name, net in networks.items()}
    report["relief_against_painted"] = gains(
        persons.taught[rows], reads["painted"], reads["relief"]
    )
    report["made"] = code
    options.report.write_text(json.dumps(report, indent=1) + "\n", "utf-8")
    for name, found in report["networks"].items():
        ranks, icc = found["lfw_validation"], found["studio_test_icc"]
        print(
            f"{name}: Spearman {ranks['mean_spearman']:.3f}, AU06 {ranks['units']['AU06']:.3f}, "
            f"AU14 {ranks['units']['AU14']:.3f}; ICC painted {icc['painted']['mean']:.3f}, relief "
            f"{icc['relief']['mean']:.3f}; FER+ {found['ferplus_valid_auc']['mean']:.3f}"
        )
    print("relief against painted:", report["relief_against_painted"])


if __name__ == "__main__":
    main()
