"""Make the shipped classifier of brief movements anew: film, train, export, evaluate, its card.

    make train-micro [ARGS="--shared FOLDER --work FOLDER"]

Each step is a command of its own, printed before it runs; what is there already is not made again,
so that a stopped run goes on where it was. About an hour on one core, a third of it filming.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Final

from training.steps import Step, check_folders, run_steps

PEOPLE: Final = {"train": "0:120", "validation": "0:30", "test": "0:50"}


def steps(shared: Path, work: Path, results: Path, why: str) -> list[Step]:
    """List modules with their arguments, in the order in which they run."""
    faces = shared / "synthetic_ict" / "ict_facekit_light.npz"
    pack = ["--pack", str(shared / "htnet_flow" / "htnet_pack.npz")]
    pairs, flows = str(work / "pairs"), str(work / "flows")
    run, sibling, onnx = str(work / "live"), str(work / "stretched"), str(work / "onnx")
    live, zero_shot, loso = (
        str(results / f"htnet_{name}.json") for name in ("live", "zero_shot", "loso")
    )
    made: list[Step] = []
    for split, people in PEOPLE.items():
        made += [
            ("pairs", ["--faces", str(faces), "--out", pairs, "--split", split,
                       "--people", people]),
            ("flows", ["--pairs", pairs, "--out", flows, "--split", split]),
        ]  # fmt: skip
    folds = [*pack, "--work", str(work / "loso"), "--report", loso]
    return [
        *made,
        ("train", ["live", "--flows", flows, "--out", run, "--epochs", "10"]),
        ("train", ["stretched", "--flows", flows, "--out", sibling, "--epochs", "12"]),
        ("zero_shot", ["--run", sibling, *pack, "--why", why, "--name", "anew",
                       "--report", zero_shot]),
        ("loso", ["linear", *folds]),
        ("loso", ["reduced", *folds]),
        ("loso", ["tuned", "--pretrained", sibling, *folds]),
        ("loso", ["whole", "--pretrained", sibling, *folds]),
        ("loso", ["readout", "--pretrained", sibling, *folds]),
        ("loso", ["joined", "--pretrained", sibling, *folds]),
        ("export", ["--run", run, "--out", onnx]),
        ("evaluate", ["--onnx", onnx, "--run", run, "--flows", flows, "--report", live]),
        ("card", ["--live", live, "--zero-shot", zero_shot, "--loso", loso, "--onnx", onnx,
                  "--out", "engines/affect_engines"]),
    ]  # fmt: skip


def main() -> None:
    """Run from the command line, in the project's folder."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--shared", type=Path, default=Path("../shared/data"))
    parser.add_argument("--work", type=Path, default=Path("out/htnet"))
    parser.add_argument("--results", type=Path, default=Path("benchmarks/results"))
    parser.add_argument("--why", default="make train-micro", help="for the log of looks")
    options = parser.parse_args()
    check_folders(parser, options.shared, ("synthetic_ict", "htnet_flow"))
    options.work.mkdir(parents=True, exist_ok=True)
    run_steps("training.htnet", steps(options.shared, options.work, options.results, options.why))


if __name__ == "__main__":
    main()
