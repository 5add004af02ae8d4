"""Score the product on databases that others hold, through the product's own eyes.

    python -m training.evaluate au --dataset disfa|disfaplus|bp4d --root DIR \
        [--neutral learn|first|none] [--out report.json]
    python -m training.evaluate expression --dataset dfew|ferv39k --root DIR [--fold 1] \
        --weights ifdd.safetensors [--out report.json]
    python -m training.evaluate stills --ferplus PACK.npz [--split valid] [--precision auto] \
        [--out report.json]

Action units: every frame goes through the same detector, mesh and network as in ``realtime-affect
analyze``; the largest face counts. Frames without labels still teach the neutral face, frames
without a face are counted and left out of the figures. F1 compares the product's occurrences with
the coders', for DISFA and DISFA+ from intensity 2 on; intensities give ICC(3,1), MAE and Pearson's
r.

Expressions: IFDD as published, with weights of your own, by the published protocol: the logits of
non-overlapping windows averaged; WAR, UAR and the confusion matrix.

Stills: the shipped expression network on FER+, each still a clip that stands still.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from affect_engines import load_card
from realtime_affect.action_units import ActionUnitConfig
from realtime_affect.errors import AffectError
from realtime_affect.types import AU_INTENSITIES, AU_OCCURRENCES, EXPRESSIONS, Frame
from realtime_affect.vision import Vision
from training.action_units.databases import READERS, read_database
from training.metrics import f1, f1_micro, icc_3_1, mae, pearson

if TYPE_CHECKING:
    from collections.abc import Sequence

    from realtime_affect.types import Scene
    from training.action_units.databases import Recording

Table = NDArray[np.float64]

NEUTRALS: Final = {
    "learn": "as the product does: while the face is at rest",
    "first": "the first frame with a face",
    "none": "the population's, always",
}
_FRAME_NS: Final = 33_333_333  # databases state 20 to 30 frames a second; it only paces learning


def read_recording(recording: Recording, neutral: str) -> tuple[list[int], Table, Table]:
    """Run the product over a recording.

    Parameters
    ----------
    recording : Recording
    neutral : {"learn", "first", "none"}

    Returns
    -------
    numbers : list of int
        Of the frames in which a face was found.
    intensity, occurrence : (n, 18) float64
        In the order of ``AU_OCCURRENCES``; NaN for what the product does not tell.
    """
    config = ActionUnitConfig() if neutral == "learn" else ActionUnitConfig(adapt_s=0.0)
    numbers: list[int] = []
    intensity: list[Table] = []
    occurrence: list[Table] = []
    with contextlib.closing(Vision(action_units=config)) as vision:
        for index, (number, image) in enumerate(recording.frames()):
            t_ns = index * _FRAME_NS
            frame = Frame(index, t_ns, t_ns, image)
            units = _largest(vision.analyse(frame))
            if units is None:
                continue
            if neutral == "first" and not numbers:
                vision.set_neutral(None)
            numbers.append(number)
            scores = dict(zip(AU_INTENSITIES, units.intensity.tolist(), strict=True))
            intensity.append(np.array([scores.get(name, np.nan) for name in AU_OCCURRENCES]))
            occurrence.append(units.occurrence.astype(np.float64))
    shape = (len(numbers), len(AU_OCCURRENCES))
    return numbers, np.reshape(intensity, shape), np.reshape(occurrence, shape)


def score(truth: dict[str, Table], read: dict[str, Table]) -> dict[str, Any]:
    """Compare tables (n, 18) of the coders and of the product, named intensity and occurrence.

    Returns
    -------
    dict
        ``units``: figures of each unit that was coded; ``mean``: over units with that figure;
        ``f1_micro``: all units together.
    """
    units: dict[str, dict[str, float]] = {}
    for k, name in enumerate(AU_OCCURRENCES):
        told, seen = truth["occurrence"][:, k], read["occurrence"][:, k]
        strength, reading = truth["intensity"][:, k], read["intensity"][:, k]
        coded = np.isfinite(told) | np.isfinite(strength)
        if not coded.any():
            continue
        units[name] = {
            "frames": int(coded.sum()),
            "share_present": _mean([float(v) for v in told if np.isfinite(v)]),
            "f1": f1(told, seen),
            "icc": icc_3_1(strength, reading),
            "mae": mae(strength, reading),
            "pearson": pearson(strength, reading),
        }
    figures = ("f1", "icc", "mae", "pearson")
    return {
        "units": units,
        "mean": {key: _mean([unit[key] for unit in units.values()]) for key in figures},
        "f1_micro": f1_micro(truth["occurrence"], read["occurrence"]),
    }


def evaluate_units(
    dataset: str, recordings: Sequence[Recording], neutral: str, out: Path | None
) -> dict[str, Any]:
    """Read all recordings, print a table of figures and write the report to `out`."""
    from rich.console import Console
    from rich.progress import track

    truth: dict[str, list[Table]] = {"intensity": [], "occurrence": []}
    read: dict[str, list[Table]] = {"intensity": [], "occurrence": []}
    labelled = found = 0
    for recording in track(recordings, f"reading {dataset}", console=Console(stderr=True)):
        numbers, intensity, occurrence = read_recording(recording, neutral)
        coded = {n for labels in recording.occurrence.values() for n in labels}
        coded |= {n for labels in recording.intensity.values() for n in labels}
        labelled += len(coded)
        found += len(coded & set(numbers))
        truth["intensity"].append(recording.table(recording.intensity, numbers))
        truth["occurrence"].append(recording.table(recording.occurrence, numbers))
        read["intensity"].append(intensity)
        read["occurrence"].append(occurrence)
    report = {
        "dataset": dataset,
        "neutral": neutral,
        "subjects": len({recording.subject for recording in recordings}),
        "recordings": len(recordings),
        "labelled_frames": labelled,
        "with_a_face": found,
        "weights_sha256": load_card("action_units").sha256,
        **score(
            {key: np.concatenate(tables) for key, tables in truth.items()},
            {key: np.concatenate(tables) for key, tables in read.items()},
        ),
    }
    _print(report)
    if out is not None:
        text = json.dumps(_without_nan(report), indent=1, allow_nan=False)
        out.write_text(text + "\n", "utf-8")
    return report


def evaluate_expressions(
    dataset: str, root: Path, fold: int, weights: Path, out: Path | None
) -> dict[str, Any]:
    """Score IFDD with `weights` on the test split, print and write the report."""
    from rich.console import Console
    from rich.progress import track

    from training.ifdd.convert import load_weights
    from training.ifdd.databases import CLASSES, read_clips
    from training.ifdd.network import IFDD
    from training.ifdd.train import evaluate

    clips = read_clips(dataset, root, "test", fold)
    network = IFDD(len(CLASSES[dataset]))
    network.load_state_dict(load_weights(weights))
    shown = track(clips, f"reading {dataset}", console=Console(stderr=True))
    report = {"dataset": dataset, "fold": fold, **evaluate(network, shown, dataset)}
    print(f"{dataset}, fold {fold}: {report['clips']} clips")
    print(f"WAR {report['war']:.4f}, UAR {report['uar']:.4f}")
    for name, row in zip(CLASSES[dataset], report["confusion"], strict=True):
        print(f"{name:>10}  {' '.join(f'{count:6}' for count in row)}")
    if out is not None:
        out.write_text(json.dumps(_without_nan(report), indent=1, allow_nan=False) + "\n", "utf-8")
    return report


def evaluate_stills(pack: Path, split: str, precision: str, out: Path | None) -> dict[str, Any]:
    """Score the shipped IFDD-Stream on FER+ stills, print and write the report.

    Each still is a clip that stands still; faces without a strict majority are left out.
    """
    from affect_engines.store import model_path
    from training.ifdd_stream.evaluate import figures, open_session, read_pictures
    from training.ifdd_stream.stills import read_stills

    card = load_card("ifdd_stream")
    if precision != "auto":
        card = card.form(precision)
    session = open_session(model_path(card))
    stills = read_stills(pack, split)
    known = stills.majority >= 0
    report: dict[str, Any] = {
        "dataset": "ferplus", "split": split, "precision": card.precision,
        "weights_sha256": card.sha256,
    }  # fmt: skip
    for name, flipped in (("plain", False), ("flip averaged", True)):
        logits = read_pictures(session, stills.pictures[known], flipped=flipped)
        found = report[name] = figures(stills.majority[known], logits.argmax(axis=1))
        print(
            f"FER+ {split}, {found['n']} faces, {card.precision}, {name}: accuracy "
            f"{found['accuracy']:.4f} {_interval(found['accuracy_interval'])}, UAR "
            f"{found['uar']:.4f} {_interval(found['uar_interval'])}"
        )
    for name, row in zip(EXPRESSIONS, report["plain"]["confusion"], strict=True):
        recall = report["plain"]["recall"][name]
        print(f"{name:>10} {_shown(recall):>6}  {' '.join(f'{count:5}' for count in row)}")
    if out is not None:
        out.write_text(json.dumps(_without_nan(report), indent=1, allow_nan=False) + "\n", "utf-8")
    return report


def _interval(bounds: tuple[float, float]) -> str:
    return f"({bounds[0]:.3f} to {bounds[1]:.3f})"


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
    options = parser.parse_args(arguments)
    try:
        if options.command == "stills":
            evaluate_stills(options.ferplus, options.split, options.precision, options.out)
            return 0
        if options.command == "expression":
            evaluate_expressions(
                options.dataset, options.root, options.fold, options.weights, options.out
            )
            return 0
        recordings = read_database(options.dataset, options.root)
        evaluate_units(options.dataset, recordings, options.neutral, options.out)
    except AffectError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    return 0


def _largest(scene: Scene) -> Any:
    """Return the action units of the largest face, None without any."""
    faces = [track.face for track in scene.tracks if track.face is not None]
    return max(faces, key=lambda face: face.quality.size_px).action_units if faces else None


def _print(report: dict[str, Any]) -> None:
    from rich.console import Console
    from rich.table import Table as RichTable

    table = RichTable(box=None, header_style="dim")
    for heading in ("unit", "frames", "present", "F1", "ICC", "MAE", "r"):
        table.add_column(heading, justify="left" if heading == "unit" else "right")
    keys = ("f1", "icc", "mae", "pearson")
    for name, unit in report["units"].items():
        figures = [_shown(unit[key]) for key in keys]
        table.add_row(name, str(unit["frames"]), _shown(unit["share_present"]), *figures)
    table.add_row("mean", "", "", *(_shown(report["mean"][key]) for key in keys))
    console = Console()
    console.print(
        f"{report['dataset']}: {report['recordings']} recordings of {report['subjects']} people, "
        f"a face in {report['with_a_face']} of {report['labelled_frames']} labelled frames, "
        f"neutral: {NEUTRALS[report['neutral']]}"
    )
    console.print(table)
    console.print(f"F1, all units together: {_shown(report['f1_micro'])}")


def _shown(value: float) -> str:
    return "" if np.isnan(value) else f"{value:.3f}"


def _mean(values: list[float]) -> float:
    known = [value for value in values if np.isfinite(value)]
    return float(np.mean(known)) if known else float("nan")


def _without_nan(value: Any) -> Any:
    """Replace NaN, which JSON does not know, by None."""
    if isinstance(value, dict):
        return {key: _without_nan(item) for key, item in value.items()}
    return None if isinstance(value, float) and np.isnan(value) else value


if __name__ == "__main__":
    sys.exit(main())
