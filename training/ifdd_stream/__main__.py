"""Make the shipped expression network anew: film, train, export, evaluate, write the card.

    make train-expression [ARGS="--shared FOLDER --work FOLDER"]

Each step is a command of its own, printed before it runs; what is there already is not made again,
so that a stopped run goes on where it was. Some three hours on two cores.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Final

from training.steps import Step, check_folders, run_steps

PEOPLE: Final = {"train": "0:720", "validation": "0:40", "test": "0:80"}
EPOCHS: Final = {"stills": 24, "frames": 9, "train": 6, "settle": 2}
FRAMES_RATE: Final = 0.002  # of stills and rendered moments, after stills alone
SLOWER: Final = 0.3  # the rate at which it settles, of that at which it was trained
SPLIT: Final = "none"  # that is shipped: the simplest that is as good (``ablation``)


def steps(shared: Path, work: Path, results: Path, why: str) -> list[Step]:
    """List modules with their arguments, in the order in which they run."""
    sequences, london = work / "sequences", shared / "london_faces"
    ferplus = shared / "ferplus" / "ferplus_train_valid.npz"
    faces = shared / "synthetic_ict" / "ict_facekit_light.npz"
    stills = ["--ferplus", str(ferplus)]
    filmed = ["--sequences", str(sequences)]
    learn = [*stills, "--frames", str(work / "frames"), *filmed]
    onnx = ["--onnx", str(work / "onnx")]
    report = ["--report", str(results / "ifdd_stream.json")]
    films = [
        ("sequences", ["--faces", str(faces), "--out", str(sequences), "--split", split,
                       "--people", people])
        for split, people in PEOPLE.items()
    ]  # fmt: skip
    return [
        *films,
        ("sequences", ["--london", str(london), *stills, "--out", str(sequences)]),
        ("frames", [*stills, "--out", str(work / "stills"), "--epochs", str(EPOCHS["stills"])]),
        ("frames", [*stills, *filmed, "--out", str(work / "frames"), "--begin",
                    str(work / "stills"), "--rate", str(FRAMES_RATE), "--epochs",
                    str(EPOCHS["frames"])]),
        ("train", [*learn, "--out", str(work / "first"), "--epochs", str(EPOCHS["train"])]),
        ("train", [*learn, "--out", str(work / "run"), "--epochs", str(EPOCHS["settle"]),
                   "--begin", str(work / "first"), "--slower", str(SLOWER), "--held", "0",
                   "--split", SPLIT]),
        ("export", ["--run", str(work / "run"), *filmed, *stills, "--out", str(work / "onnx")]),
        ("evaluate", [*onnx, "--run", str(work / "run"), *filmed, *stills, "--london", str(london),
                      "--report-persons", why, *report]),
        ("ablation", ["--frames", str(work / "frames"), *filmed,
                      "--report", str(results / "lifting_ablation.json")]),
        ("card", [*report, *onnx, "--out", "engines/affect_engines"]),
    ]  # fmt: skip


def main() -> None:
    """Run from the command line, in the project's folder."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--shared", type=Path, default=Path("../shared/data"))
    parser.add_argument("--work", type=Path, default=Path("out/expression"))
    parser.add_argument("--results", type=Path, default=Path("benchmarks/results"))
    parser.add_argument("--why", default="make train-expression", help="for the log of looks")
    options = parser.parse_args()
    check_folders(parser, options.shared, ("synthetic_ict", "london_faces", "ferplus"))
    options.work.mkdir(parents=True, exist_ok=True)
    run_steps(
        "training.ifdd_stream",
        steps(options.shared, options.work, options.results, options.why),
    )


if __name__ == "__main__":
    main()
