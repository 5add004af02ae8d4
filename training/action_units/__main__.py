"""Make the shipped action unit network anew: film, ask, train, export, evaluate, write the card.

    make train-action-units [ARGS="--shared FOLDER --work FOLDER --rounds N"]

Each step is a command of its own, printed before it runs; what is there already is not made again,
so that a stopped run goes on where it was. The teacher runs in the environment of ``make peers``.
Some 45 minutes of one core: teacher 14, films 8, stills 7, trainings 14; the trainings may run side
by side by hand.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Final

from training.steps import Step, check_folders, run_steps

PEOPLE: Final = {"train": "0:114", "validation": "0:15", "test": "0:30"}
FERPLUS: Final = 12_000
"""Images of FER+ that are learned from: the first of its training split."""

ASKED: Final = 6_000
"""How many of them the teacher is asked about; of the others raters alone are heard."""

ROUNDS: Final = 6
SEEDS: Final = (1, 2, 3)
RATE: Final = 1.5e-3
PEERS: Final = Path(".venv-peers/bin/python")


def steps(shared: Path, work: Path, rounds: int, report: Path, why: str) -> list[Step]:
    """List modules with their arguments, in the order in which they run."""
    data, answers, london = work / "data", work / "teacher", shared / "london_faces"
    lfw = shared / "lfw_expressions" / "lfw_train.npz"
    ferplus = shared / "ferplus" / "ferplus_train_valid.npz"
    faces = shared / "synthetic_ict" / "ict_facekit_light.npz"
    onnx = work / "action_units.onnx"
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
        ("ferplus", ferplus, ["--views", "1", "--limit", str(ASKED)],
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
        ("begin", ["--out", str(work / "begun")]),
        *(
            ("train", [*train, "--seed", str(seed), "--out", str(work / f"run{seed}")])
            for seed in SEEDS
        ),
        ("average", ["--out", str(work / "run"), *(str(work / f"run{seed}") for seed in SEEDS)]),
        ("thresholds", [*known, "--london", str(london), "--run", str(work / "run")]),
        ("export", ["--out", str(work / "run"), "--onnx", str(onnx)]),
        ("evaluate", [
            *known, "--london", str(london), "--run", str(work / "run"), "--onnx", str(onnx),
            "--report", str(report), "--report-persons", why,
        ]),
        ("card", ["--report", str(report), "--onnx", str(onnx), "--out", "engines/affect_engines"]),
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
