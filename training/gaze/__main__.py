"""Make the shipped eye network anew: look, film, train, evaluate, its card.

    make train-gaze [ARGS="--shared FOLDER --work FOLDER"]

Each step is a command of its own, printed before it runs; what is there already is not made again,
so that a stopped run goes on where it was. About ten minutes on one core.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from training.steps import Step, check_folders, run_steps

PEOPLE = "0:10"
STILLS = "3000"


def steps(shared: Path, work: Path, results: Path) -> list[Step]:
    """List modules with their arguments, in the order in which they run."""
    faces = shared / "synthetic_ict" / "ict_facekit_light.npz"
    pack = shared / "lfw_expressions" / "lfw_train.npz"
    looks, run, report = str(work / "looks"), str(work / "run"), str(results / "eye_live.json")
    clips = sorted(str(path) for path in (shared / "real_video" / "grid").glob("*.mpg"))
    return [
        ("dataset", ["stills", "--pack", str(pack), "--limit", STILLS, "--out", looks]),
        ("dataset", ["studio", "--faces", str(faces), "--people", PEOPLE, "--out", looks]),
        ("train", ["--data", looks, "--out", run]),
        ("evaluate", ["--data", looks, "--run", run, "--onnx", str(work), "--report", report,
                      "--clips", *clips]),
        ("card", ["--report", report, "--onnx", str(work), "--out", "engines/affect_engines"]),
    ]  # fmt: skip


def main() -> None:
    """Run from the command line, in the project's folder."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--shared", type=Path, default=Path("../shared/data"))
    parser.add_argument("--work", type=Path, default=Path("out/gaze"))
    parser.add_argument("--results", type=Path, default=Path("benchmarks/results"))
    options = parser.parse_args()
    check_folders(parser, options.shared, ("synthetic_ict", "lfw_expressions", "real_video"))
    options.work.mkdir(parents=True, exist_ok=True)
    run_steps("training.gaze", steps(options.shared, options.work, options.results))


if __name__ == "__main__":
    main()
