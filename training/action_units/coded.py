"""Score the product's action units against FACS coders' labels, through the product's own eyes.

Every frame goes through the same detector, mesh and network as in ``realtime-affect analyze``; the
largest face counts. Frames without labels still teach the neutral face, frames without a face are
counted and left out of the figures. F1 compares the product's occurrences with the coders', for
DISFA and DISFA+ from intensity 2 on; intensities give ICC(3,1), MAE and Pearson's r.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from affect_engines import load_card
from realtime_affect.face.action_units import ActionUnitConfig
from realtime_affect.face.vision import Vision
from realtime_affect.names import AU_INTENSITIES, AU_OCCURRENCES
from realtime_affect.types import Frame
from training.metrics import f1, f1_micro, icc_3_1, mae, pearson
from training.reports import shown, write_report

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

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
    write_report(report, out)
    return report


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
        figures = [shown(unit[key]) for key in keys]
        table.add_row(name, str(unit["frames"]), shown(unit["share_present"]), *figures)
    table.add_row("mean", "", "", *(shown(report["mean"][key]) for key in keys))
    console = Console()
    console.print(
        f"{report['dataset']}: {report['recordings']} recordings of {report['subjects']} people, "
        f"a face in {report['with_a_face']} of {report['labelled_frames']} labelled frames, "
        f"neutral: {NEUTRALS[report['neutral']]}"
    )
    console.print(table)
    console.print(f"F1, all units together: {shown(report['f1_micro'])}")


def _mean(values: list[float]) -> float:
    known = [value for value in values if np.isfinite(value)]
    return float(np.mean(known)) if known else float("nan")
