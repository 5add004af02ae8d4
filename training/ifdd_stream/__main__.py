"""Make the shipped expression network anew: film, cut, train, export, evaluate, write the card.

    make train-expression [ARGS="--shared FOLDER --work FOLDER"]

Each step is a command of its own, printed before it runs; what is there already is not made again,
so that a stopped run goes on where it was. It learns on from the network that is shipped. On one
core of 2026 (AVX2, about 3 GHz) that nobody else uses, in minutes: cutting FER+ and LFW 5, filming
172 people 8, the backbone with its teacher 45, looking at all images 4, the lifting 4, export and
evaluation 3; the comparison of splits 15, which ``--without-ablation`` leaves out. No face of LFW
is learned from; what it would bring, ``--with-lfw-too`` shows: backbone and teacher once more,
another 45.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Final

from training.ifdd_stream.views import KINDS
from training.steps import Step, check_folders, run_steps

PEOPLE: Final = {"train": "0:92", "test": "0:80"}
EPOCHS: Final = {"teacher": 7, "train": 3}
SPLIT: Final = "learned"  # that is shipped: the paper's, and no other is better (``ablation``)


def steps(
    shared: Path, work: Path, results: Path, why: str, *, ablation: bool, with_lfw: bool = False
) -> list[Step]:
    """List modules with their arguments, in the order in which they run."""
    sequences, london, stills = work / "sequences", shared / "london_faces", work / "stills"
    ferplus = ["--ferplus", str(shared / "ferplus" / "ferplus_train_valid.npz")]
    packs = [*ferplus, "--lfw", str(shared / "lfw_expressions" / "lfw_train.npz")]
    faces = shared / "synthetic_ict" / "ict_facekit_light.npz"
    data = [*packs, "--stills", str(stills)]
    filmed = ["--sequences", str(sequences)]
    onnx = ["--onnx", str(work / "onnx")]
    report = ["--report", str(results / "ifdd_stream.json")]
    films = [
        ("sequences", ["--faces", str(faces), "--out", str(sequences), "--split", split,
                       "--people", people])
        for split, people in PEOPLE.items()
    ]  # fmt: skip
    teach = ["--begin", str(work / "begin"), *data, *filmed, "--epochs", str(EPOCHS["teacher"])]
    teacher = ["--teacher", str(work / "teacher")]
    unseen = ["--without-lfw"]  # of whose people none was asked; what it brings is measured
    other = work / "teacher_with_lfw"
    shipped = ["--onnx", "engines/affect_engines/weights/ifdd_stream.onnx"]
    made = [
        ("cuts", [*packs, "--out", str(stills)]),
        *films,
        ("sequences", ["--london", str(london), "--out", str(sequences)]),
        ("shipped", [*shipped, *ferplus, "--stills", str(stills), "--out", str(work / "begin")]),
        ("teacher", [*teach, "--out", str(work / "teacher"), *unseen]),
        *(
            ("views", ["--kind", kind, *data, *filmed, *teacher, "--out", str(work / "views"),
                       *unseen])
            for kind in KINDS if kind != "lfw"
        ),
        ("train", [*data, "--views", str(work / "views"), *teacher, "--out", str(work / "run"),
                   "--epochs", str(EPOCHS["train"]), "--split", SPLIT, *unseen]),
        *([("teacher", [*teach, "--out", str(other)])] if with_lfw else []),
        ("export", ["--run", str(work / "run"), *filmed, *ferplus, "--stills", str(stills),
                    "--out", str(work / "onnx")]),
        ("evaluate", [*onnx, "--run", str(work / "run"), *filmed, *data, "--london", str(london),
                      *teacher, *(["--teacher-with-lfw", str(other)] if with_lfw else []),
                      "--why", why, "--report-persons", why, *report]),
        ("card", [*report, *onnx, "--out", "engines/affect_engines"]),
    ]  # fmt: skip
    if ablation:
        made.append(
            ("ablation", [*teacher, *filmed,
                          "--done", str(work / "ablation"),
                          "--report", str(results / "lifting_ablation.json")])
        )  # fmt: skip
    return made


def main() -> None:
    """Run from the command line, in the project's folder."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--shared", type=Path, default=Path("../shared/data"))
    parser.add_argument("--work", type=Path, default=Path("out/expression"))
    parser.add_argument("--results", type=Path, default=Path("benchmarks/results"))
    parser.add_argument("--why", default="make train-expression", help="for the log of looks")
    parser.add_argument("--without-ablation", action="store_true", help="do not compare splits")
    parser.add_argument("--with-lfw-too", action="store_true", help="to see what LFW brings")
    options = parser.parse_args()
    needed = ("synthetic_ict", "london_faces", "ferplus", "lfw_expressions")
    check_folders(parser, options.shared, needed)
    options.work.mkdir(parents=True, exist_ok=True)
    run_steps(
        "training.ifdd_stream",
        steps(
            options.shared, options.work, options.results, options.why,
            ablation=not options.without_ablation, with_lfw=options.with_lfw_too,
        ),
    )  # fmt: skip


if __name__ == "__main__":
    main()
