"""Make the shipped action unit network anew: film, ask, train, export, evaluate, write the card.

    make train-action-units [ARGS="--shared FOLDER --work FOLDER --rounds N"]

Each step is a command of its own, printed before it runs; what is there already is not made again,
so that a stopped run goes on where it was. The teacher runs in the environment of ``make peers``.
Some 55 minutes of one core: teacher 11, films 8, stills 6, training 28. The shipped run was steered
with an eye on validation persons (at rounds 9, 21, 24, 30 and 43: stills and people added, dropout
left out, weights and shares of kinds of faces, when the rate falls); this command trains with its
last settings throughout.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Final

from training.steps import Step, check_folders, run_steps

PEOPLE: Final = {"train": "0:149", "validation": "0:15", "test": "0:30"}
FERPLUS: Final = 27_000
"""Images of FER+ that are looked at, the first: its training split and a few of ``valid``."""

ROUNDS: Final = 66
RATE: Final = 2e-3
PEERS: Final = Path(".venv-peers/bin/python")


def steps(shared: Path, work: Path, rounds: int, report: Path, why: str) -> list[Step]:
    """List modules with their arguments, in the order in which they run."""
    data, answers, london = work / "data", work / "teacher", shared / "london_faces"
    lfw = shared / "lfw_expressions" / "lfw_train.npz"
    ferplus = shared / "ferplus" / "ferplus_train_valid.npz"
    faces = shared / "synthetic_ict" / "ict_facekit_light.npz"
    known = ["--data", str(data), "--teacher", str(answers), "--lfw", str(lfw)]
    train = [
        *known, "--ferplus", str(ferplus), "--start", str(work / "begun"), "--rate", str(RATE),
        "--rounds", str(rounds),
    ]  # fmt: skip
    films = [
        ("dataset", [
            "--faces", str(faces), "--skins", str(london / "images"), "--out", str(data),
            "--split", split, "--people", people,
        ])
        for split, people in PEOPLE.items()
    ]  # fmt: skip
    packs = [
        ("lfw", lfw, ["--views", "3"], []),
        ("ferplus", ferplus, ["--views", "1", "--limit", str(FERPLUS)],
         ["--rated", "--limit", str(FERPLUS)]),
    ]  # fmt: skip
    return [
        *films,
        ("real_faces", ["--london", str(london), "--out", str(data)]),
        *(
            ("stills", ["--name", name, "--pack", str(pack), "--out", str(data), *options])
            for name, pack, _, options in packs
        ),
        *(
            ("teacher", [
                "--task", str(shared / "teachers" / "face_landmarker.task"), "--name", name,
                "--pack", str(pack), "--out", str(answers), *options,
            ])
            for name, pack, options, _ in packs
        ),
        ("begin", ["--data", str(data), "--out", str(work / "begun")]),
        ("train", [*train, "--out", str(work / "run")]),
        ("thresholds", [*known, "--london", str(london), "--run", str(work / "run")]),
        ("export", [
            "--run", str(work / "run"), "--data", str(data), "--out", str(work / "onnx"),
        ]),
        ("evaluate", [
            *known, "--london", str(london), "--run", str(work / "run"),
            "--onnx", str(work / "onnx"), "--report", str(report), "--report-persons", why,
        ]),
        ("card", [
            "--report", str(report), "--onnx", str(work / "onnx"),
            "--out", "engines/affect_engines",
        ]),
    ]  # fmt: skip


def main() -> None:
    """Run from the command line, in the project's folder."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--shared", type=Path, default=Path("../shared/data"))
    parser.add_argument("--work", type=Path, default=Path("out/action_units"))
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--report", type=Path, default=Path("benchmarks/results/action_units.json"))
    parser.add_argument("--why", default="make train-action-units", help="for the log of looks")
    options = parser.parse_args()
    check_folders(
        parser,
        options.shared,
        ("synthetic_ict", "london_faces", "ferplus", "lfw_expressions", "teachers"),
    )
    if not PEERS.exists():
        parser.error(f"no {PEERS}; make it first: make peers")
    options.work.mkdir(parents=True, exist_ok=True)
    run_steps(
        "training.action_units",
        steps(options.shared, options.work, options.rounds, options.report, options.why),
        {"teacher": [str(PEERS), "training/action_units/teacher.py"]},
    )


if __name__ == "__main__":
    main()
