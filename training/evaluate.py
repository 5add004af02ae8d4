"""Score the product on databases that others hold, through the product's own eyes.

    python -m training.evaluate au --dataset disfa|disfaplus|bp4d --root DIR \
        [--neutral learn|first|none] [--out report.json]
    python -m training.evaluate expression --dataset dfew|ferv39k --root DIR [--fold 1] \
        --weights ifdd.safetensors [--out report.json]
    python -m training.evaluate stills --ferplus PACK.npz [--split valid] [--precision auto] \
        [--out report.json]
    python -m training.evaluate real --data DIR [--why WORDS] [--out report.json]
    python -m training.evaluate interpretation --data DIR [--people 4] [--why WORDS] \
        [--out report.json]
    python -m training.evaluate spotting --dataset casme2sq|sammlv|casme3 --root DIR \
        [--out report.json]
    python -m training.evaluate micro --dataset casme2|smic|samm --root DIR [--out report.json]

Action units, against FACS coders: ``training.action_units.coded``.

Expressions: IFDD as published, with weights of your own, by the published protocol: the logits of
non-overlapping windows averaged; WAR, UAR and the confusion matrix.

Stills: the shipped expression network on FER+, each still a clip that stands still.

Real: everything that ships, on real faces that were kept out of training (``training.real``).

Interpretation: explanations and compounds, on studio sequences, smile onsets and acted clips
(``training.interpretation``).

Spotting: what ``realtime-affect analyze`` tells of brief movements in long videos, by the rules of
the Micro-Expression Grand Challenge. Micro: the classes of movements whose onset and apex are
known. Both: ``training.megc.evaluate``.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from realtime_affect.errors import AffectError
from training.action_units.coded import NEUTRALS
from training.action_units.databases import READERS
from training.megc.databases import CLIPS, FILMS

if TYPE_CHECKING:
    from collections.abc import Sequence


def main(arguments: Sequence[str] | None = None) -> int:
    """Run from the command line; return the exit code."""
    parser = argparse.ArgumentParser(prog="training.evaluate", description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(dest="command", required=True)
    au = commands.add_parser("au", help="action units against FACS coders' labels")
    au.add_argument("--dataset", choices=tuple(READERS), required=True)
    au.add_argument("--root", type=Path, required=True, help="folder of the unpacked database")
    au.add_argument(
        "--neutral", choices=tuple(NEUTRALS), default="learn",
        help="; ".join(f"{name}: {text}" for name, text in NEUTRALS.items()),
    )  # fmt: skip
    au.add_argument("--out", type=Path, help="JSON to write")
    expression = commands.add_parser("expression", help="IFDD on databases of labelled clips")
    expression.add_argument("--dataset", choices=("dfew", "ferv39k"), required=True)
    expression.add_argument("--root", type=Path, required=True)
    expression.add_argument("--fold", type=int, default=1)
    expression.add_argument(
        "--weights", type=Path, required=True, help="from training.ifdd.convert"
    )
    expression.add_argument("--out", type=Path, help="JSON to write")
    stills = commands.add_parser("stills", help="the shipped expression network on FER+ stills")
    stills.add_argument("--ferplus", type=Path, required=True, help="pack of stills and votes")
    stills.add_argument("--split", choices=("train", "valid", "all"), default="valid")
    stills.add_argument("--precision", choices=("auto", "fp32", "int8"), default="auto")
    stills.add_argument("--out", type=Path, help="JSON to write")
    real = commands.add_parser("real", help="everything that ships, on real faces kept apart")
    real.add_argument("--data", type=Path, required=True, help="folder of the data sets")
    real.add_argument("--why", default="examination", help="for the log of looks")
    real.add_argument(
        "--out", type=Path,
        help="JSON to write; default: benchmarks/results/real_faces.json, and the cards",
    )  # fmt: skip
    meaning = commands.add_parser("interpretation", help="explanations and compound emotions")
    meaning.add_argument("--data", type=Path, required=True, help="folder of the data sets")
    meaning.add_argument("--people", type=int, default=4, help="of the studio's test split")
    meaning.add_argument("--why", default="interpretation", help="for the log of looks")
    meaning.add_argument(
        "--out", type=Path, help="JSON to write; default: benchmarks/results/interpretation.json"
    )
    spotting = commands.add_parser("spotting", help="brief movements in long videos")
    spotting.add_argument("--dataset", choices=tuple(FILMS), required=True)
    spotting.add_argument("--root", type=Path, required=True, help="folder of the database")
    spotting.add_argument("--out", type=Path, help="JSON to write")
    micro = commands.add_parser("micro", help="classes of brief movements in cut clips")
    micro.add_argument("--dataset", choices=tuple(CLIPS), required=True)
    micro.add_argument("--root", type=Path, required=True, help="folder of the database")
    micro.add_argument("--out", type=Path, help="JSON to write")
    options = parser.parse_args(arguments)
    try:
        _run(options)
    except AffectError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    return 0


def _run(options: argparse.Namespace) -> None:
    """Carry out one command; what it needs is imported with it, torch above all."""
    if options.command == "au":
        from training.action_units.coded import evaluate_units
        from training.action_units.databases import read_database

        recordings = read_database(options.dataset, options.root)
        evaluate_units(options.dataset, recordings, options.neutral, options.out)
    elif options.command == "expression":
        from training.ifdd.evaluate import evaluate_expressions

        evaluate_expressions(
            options.dataset, options.root, options.fold, options.weights, options.out
        )
    elif options.command == "stills":
        from training.ifdd_stream.score_stills import evaluate_stills

        evaluate_stills(options.ferplus, options.split, options.precision, options.out)
    elif options.command == "real":
        from training.real.examination import examine

        examine(options.data, options.why, options.out)
    elif options.command == "interpretation":
        from training.interpretation.evaluate import evaluate_interpretation

        evaluate_interpretation(options.data, options.people, options.why, options.out)
    elif options.command == "micro":
        from training.megc.evaluate import evaluate_classes

        evaluate_classes(options.dataset, options.root, options.out)
    else:
        from training.megc.evaluate import evaluate_spotting

        evaluate_spotting(options.dataset, options.root, options.out)


if __name__ == "__main__":
    sys.exit(main())
