"""Make the shipped expression network anew: film, cut, train, export, evaluate, write the card.

    make train-expression [ARGS="--shared FOLDER --work FOLDER"]

Each step is a command of its own, printed before it runs; what is there already is not made again,
so that a stopped run goes on where it was. It learns on from the network that is shipped. On one
core of 2026 (AVX2, about 3 GHz) that nobody else uses, in minutes: cutting FER+ and LFW 5, filming
125 people 12, looking at all images 4, the backbone's last block 3 with LFW and as long without,
the lifting 3, export and evaluation 4; the comparison of splits 15, which ``--without-ablation``
leaves out.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Final

from training.ifdd_stream.views import KINDS
from training.steps import Step, check_folders, run_steps

PEOPLE: Final = {"train": "0:45", "test": "0:80"}
EPOCHS: Final = {"frames": 5, "train": 3}
SPLIT: Final = "none"  # that is shipped: the simplest that is as good (``ablation``)


def steps(shared: Path, work: Path, results: Path, why: str, *, ablation: bool) -> list[Step]:
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
    frames = ["--views", str(work / "views"), "--begin", str(work / "begin"), *data[2:],
              "--epochs", str(EPOCHS["frames"])]  # fmt: skip
    shipped = ["--onnx", "engines/affect_engines/weights/ifdd_stream.onnx"]
    made = [
        ("cuts", [*packs, "--out", str(stills)]),
        *films,
        ("sequences", ["--london", str(london), "--out", str(sequences)]),
        ("shipped", [*shipped, *ferplus, "--stills", str(stills), "--out", str(work / "begin")]),
        *(
            ("views", ["--kind", kind, *data, *filmed, "--begin", str(work / "begin"), "--out",
                       str(work / "views")])
            for kind in KINDS
        ),
        ("frames", [*frames, "--out", str(work / "frames")]),
        ("frames", [*frames, "--out", str(work / "frames_without_lfw"), "--without-lfw"]),
        ("train", [*data, "--views", str(work / "views"), "--frames", str(work / "frames"),
                   "--out", str(work / "run"), "--epochs", str(EPOCHS["train"]), "--split", SPLIT]),
        ("export", ["--run", str(work / "run"), *filmed, *ferplus, "--stills", str(stills),
                    "--out", str(work / "onnx")]),
        ("evaluate", [*onnx, "--run", str(work / "run"), *filmed, *data, "--london", str(london),
                      "--frames", str(work / "frames"), "--frames-without-lfw",
                      str(work / "frames_without_lfw"), "--why", why, "--report-persons", why,
                      *report]),
        ("card", [*report, *onnx, "--out", "engines/affect_engines"]),
    ]  # fmt: skip
    if ablation:
        made.append(
            ("ablation", ["--frames", str(work / "frames"), *filmed,
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
    options = parser.parse_args()
    needed = ("synthetic_ict", "london_faces", "ferplus", "lfw_expressions")
    check_folders(parser, options.shared, needed)
    options.work.mkdir(parents=True, exist_ok=True)
    run_steps(
        "training.ifdd_stream",
        steps(
            options.shared, options.work, options.results, options.why,
            ablation=not options.without_ablation,
        ),
    )  # fmt: skip


if __name__ == "__main__":
    main()
