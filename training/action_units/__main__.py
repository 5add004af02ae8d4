"""Make the shipped action unit network anew: film, train, export, evaluate, write the card.

    make train-action-units [ARGS="--shared FOLDER --work FOLDER --epochs N"]

Each step is a command of its own, printed before it runs; what is there already is not made again,
so that a stopped run goes on where it was. Some 45 minutes on four cores.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Final

from training.steps import Step, check_folders, run_steps

PEOPLE: Final = {"train": "0:700", "validation": "0:40", "test": "0:60"}
EPOCHS: Final = 14


def steps(shared: Path, work: Path, epochs: int, report: Path, why: str) -> list[Step]:
    """List modules with their arguments, in the order in which they run."""
    data, london = work / "data", shared / "london_faces"
    ferplus = shared / "ferplus" / "ferplus_train_valid.npz"
    faces = shared / "synthetic_ict" / "ict_facekit_light.npz"
    onnx = work / "action_units.onnx"
    real = ["--london", str(london), "--ferplus", str(ferplus)]
    films = [
        ("dataset", [
            "--faces", str(faces), "--skins", str(london / "images"), "--out", str(data),
            "--split", split, "--people", people,
        ])
        for split, people in PEOPLE.items()
    ]  # fmt: skip
    return [
        *films,
        ("anchors", [*real, "--out", str(data)]),
        ("train", ["--data", str(data), "--out", str(work / "run"), "--epochs", str(epochs)]),
        ("train", [
            "--data", str(data), "--out", str(work / "without_picture"), "--no-picture",
            "--epochs", str(epochs),
        ]),
        ("export", ["--out", str(work / "run"), "--onnx", str(onnx)]),
        ("evaluate", [
            "--data", str(data), *real, "--run", str(work / "run"), "--onnx", str(onnx),
            "--without-picture", str(work / "without_picture"),
            "--report", str(report), "--report-persons", why,
        ]),
        ("card", ["--report", str(report), "--onnx", str(onnx), "--out", "engines/affect_engines"]),
    ]  # fmt: skip


def main() -> None:
    """Run from the command line, in the project's folder."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--shared", type=Path, default=Path("../shared/data"))
    parser.add_argument("--work", type=Path, default=Path("out/action_units"))
    parser.add_argument("--epochs", type=int, default=EPOCHS)
    parser.add_argument("--report", type=Path, default=Path("benchmarks/results/action_units.json"))
    parser.add_argument("--why", default="make train-action-units", help="for the log of looks")
    options = parser.parse_args()
    check_folders(parser, options.shared, ("synthetic_ict", "london_faces", "ferplus"))
    options.work.mkdir(parents=True, exist_ok=True)
    run_steps(
        "training.action_units",
        steps(options.shared, options.work, options.epochs, options.report, options.why),
    )


if __name__ == "__main__":
    main()
