"""What the action unit network scores: on rendered faces, and on real ones.

    python -m training.action_units.evaluate --data FOLDER --teacher FOLDER --lfw FILE \
        --london FOLDER --run FOLDER [--without-picture FOLDER] [--without-lfw FOLDER] \
        [--onnx FOLDER] --report report.json [--report-persons WHY]

Thresholds were chosen before (``thresholds``). With ``--report-persons`` London persons 061 to 090
and LFW's test persons are looked at too; each such look is a line in
``benchmarks/results/london_looks.jsonl``. FER+'s ``valid`` split, never learned from, shows whether
the units of an expression rise on real faces: small pictures, rated by people who are no coders.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import torch
from torch import Tensor

from affect_engines.ort import import_onnxruntime
from benchmarks.records import code_state
from training.action_units.dataset import PRESENT, Samples, load_arrays
from training.action_units.export import INPUTS, N_FEATURES, NAMES, load_network
from training.action_units.faces import (
    Faces,
    join,
    lfw_persons,
    studio_part,
)
from training.action_units.london import (
    CHOOSING,
    REPORTING,
    Photographs,
    groups,
    read_photographs,
)
from training.action_units.network import OUTPUTS, ActionUnitNetwork
from training.action_units.real_faces import EVIDENCE, TAUGHT, Curves, evidence_of
from training.action_units.thresholds import TRACE, read_faces
from training.action_units.train import RANKED, REPORTED, predict, rank_agreement
from training.checkpoints import NAME as CHECKPOINT
from training.metrics import auc, f1, icc_3_1, mae, spearman

if TYPE_CHECKING:
    from numpy.typing import NDArray

LOOKS: Final = Path("benchmarks/results/london_looks.jsonl")
_RESAMPLED: Final = 300


def studio_figures(
    network: ActionUnitNetwork, held_out: Faces, *, calibrated: bool, present_at: dict[str, float]
) -> dict[str, dict[str, float]]:
    """Score each output on a split: ICC(3,1), MAE on 0 to 5, F1 of FACS A and above."""
    rows = held_out.tested()
    truth = held_out.truth[rows]
    read = predict(network, held_out, rows, calibrated=calibrated)
    return {
        name: {
            "icc": icc_3_1(truth[:, k], read[:, k]),
            "mae": mae(truth[:, k], read[:, k]),
            "f1": f1(truth[:, k] >= TRACE, read[:, k] >= present_at.get(name, TRACE)),
            "share": float((truth[:, k] >= TRACE).mean()),
        }
        for k, name in enumerate(OUTPUTS)
    }


def london_figures(
    network: ActionUnitNetwork, photographs: Photographs, present_at: dict[str, float]
) -> dict[str, Any]:
    """Score smiling against neutral photographs, and count what is falsely seen in neutral ones."""
    figures: dict[str, Any] = {"persons": len(photographs.persons)}
    k = OUTPUTS.index("AU12")
    at = np.array([present_at[name] for name in OUTPUTS])
    told = [i for i, name in enumerate(OUTPUTS) if "_" not in name]
    for kind, rest in (("uncalibrated", None), ("calibrated", photographs.perturbed)):
        neutral = read_faces(network, photographs.neutral, rest)
        smiling = read_faces(network, photographs.smiling, rest)
        truth = np.repeat([False, True], len(neutral))
        scores = np.concatenate([neutral[:, k], smiling[:, k]])
        false = (neutral >= at)[:, told].sum(axis=0)
        figures[kind] = {
            "smile_auc": auc(truth, scores),
            "smile_accuracy": float(((scores >= at[k]) == truth).mean()),
            "AU06_auc": auc(
                truth, np.concatenate([neutral[:, 4], smiling[:, 4]]).astype(np.float64)
            ),
            "false_units_on_neutral": {
                OUTPUTS[i]: int(count) for i, count in zip(told, false, strict=True) if count
            },
            "worst_false_units": int(false.max()),
            "groups": {
                name: {
                    "persons": int(members.sum()),
                    "accuracy": float(
                        ((scores >= at[k]) == truth)[np.tile(members, 2)].mean()
                    ),
                    "false_units_a_face": float(
                        (neutral >= at)[members][:, told].sum() / members.sum()
                    ),
                }
                for name, members in groups(photographs.persons).items()
            },
        }  # fmt: skip
    return figures


def ranks_figures(
    network: ActionUnitNetwork, persons: Faces, thresholds: dict[str, float],
    present_at: dict[str, float],
) -> dict[str, Any]:  # fmt: skip
    """Return how the network agrees with the teacher on stills of LFW, population's rest.

    Parameters
    ----------
    network : ActionUnitNetwork
    persons : Faces
        Stills of persons that nothing was learned from.
    thresholds : dict
        Teacher's scores of evidence 1 (``Curves.threshold``), by unit.
    present_at : dict
    """
    rows = persons.tested()
    taught, read = persons.taught[rows], predict(network, persons, rows, calibrated=False)
    agreement = rank_agreement(taught, read)
    rng = np.random.default_rng(1)
    columns = [OUTPUTS.index(name) for name in RANKED]
    means = []
    for _ in range(_RESAMPLED):
        drawn = rng.integers(0, len(rows), len(rows))
        means.append(np.mean([spearman(taught[drawn, k], read[drawn, k]) for k in columns]))
    return {
        "faces": len(rows),
        "mean_spearman": mean_ranks(agreement),
        "mean_spearman_95": np.quantile(means, [0.025, 0.975]).tolist(),
        "units": {
            name: {
                "spearman": agreement[name],
                "teacher_threshold": thresholds[name],
                "teacher_share": float((taught[:, OUTPUTS.index(name)] >= TRACE).mean()),
                "share": float((read[:, OUTPUTS.index(name)] >= present_at[name]).mean()),
            }
            for name in TAUGHT
        },
    }


def mean_ranks(agreement: dict[str, float]) -> float:
    """Return Spearman's correlation averaged over the units of RANKED."""
    return float(np.mean([agreement[name] for name in RANKED]))


def ferplus_figures(network: ActionUnitNetwork, rated: Path) -> dict[str, Any]:
    """Return how well each unit tells FER+'s neutral faces from those of its expression (AUC).

    `rated` is the file of ``stills --rated``.
    """
    stored = load_arrays(rated)
    found = stored["presence"] >= PRESENT  # type: ignore[operator]
    samples = Samples(
        stored["points"][found].astype(np.float32) / 100, stored["crops"][found],  # type: ignore[arg-type]
        stored["angles_rad"][found], stored["presence"][found],  # type: ignore[arg-type]
    )  # fmt: skip
    units = read_faces(network, samples)
    expression = stored["expression"][found]
    figures: dict[str, Any] = {
        "faces": {name: int((expression == name).sum()) for name in np.unique(expression).tolist()}
    }
    figures["auc"] = {}
    for unit, name in EVIDENCE.items():
        chosen = np.isin(expression, ("neutral", name))
        score = units[chosen, OUTPUTS.index(unit)]
        shown = expression[chosen] == name
        figures["auc"][unit] = {
            "expression": name, "faces": int(shown.sum()), "auc": auc(shown, score),
        }  # fmt: skip
    return figures


class Exported(torch.nn.Module):
    """An exported file in the place of its network, against the population's rest alone."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        options = import_onnxruntime().SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        self.session = import_onnxruntime().InferenceSession(
            path.read_bytes(), options, providers=["CPUExecutionProvider"]
        )
        self.usual = torch.zeros(len(OUTPUTS))

    def embed(self, points: Tensor, crops: Tensor, angles: Tensor) -> Tensor:
        """Return the intensities (n, 21) that the file tells."""
        n = len(points)
        feeds = (points, crops.to(torch.uint8), angles, torch.zeros(n, N_FEATURES),
                 torch.zeros(n, 1))  # fmt: skip
        named = {name: part.numpy() for name, part in zip(INPUTS, feeds, strict=True)}
        units: NDArray[np.float32] = self.session.run(["units"], named)[0]
        return torch.from_numpy(units[:, 1])

    def compare(self, features: Tensor, rest: Tensor, calibration: Tensor) -> Tensor:  # noqa: ARG002
        """Return the evidence (n, 21) of intensities."""
        return torch.from_numpy(evidence_of(features.numpy()))


def form_figures(
    path: Path, persons: Faces, photographs: Photographs, rated: Path
) -> dict[str, Any]:  # fmt: skip
    """Return what an exported file scores on people who serve for choices, size and time."""
    network: Any = Exported(path)
    rows = persons.tested()
    read = predict(network, persons, rows, calibrated=False)
    scores = [
        read_faces(network, faces)[:, OUTPUTS.index("AU12")]
        for faces in (photographs.neutral, photographs.smiling)
    ]
    truth = np.repeat([False, True], len(scores[0]))
    aucs = ferplus_figures(network, rated)["auc"].values()
    return {
        "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
        "bytes": path.stat().st_size,
        "ms_a_face": time_onnx(path),
        "lfw_validation_spearman": mean_ranks(rank_agreement(persons.taught[rows], read)),
        "ferplus_valid_mean_auc": float(np.mean([found["auc"] for found in aucs])),
        "london_001_045_smile_auc": auc(truth, np.concatenate(scores)),
        "london_001_045_smile_accuracy": float(
            ((np.concatenate(scores) >= TRACE) == truth).mean()
        ),
    }  # fmt: skip


def time_onnx(path: Path, repeats: int = 300) -> float:
    """Return the milliseconds a face takes in onnxruntime on one thread, best of many."""
    onnxruntime = import_onnxruntime()

    from training.action_units.export import example

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(
        path.read_bytes(), options, providers=["CPUExecutionProvider"]
    )
    feeds = dict(zip(INPUTS, (tensor.numpy() for tensor in example(1, 0)), strict=True))
    times = []
    for _ in range(repeats):
        start = time.perf_counter_ns()
        session.run(None, feeds)
        times.append(time.perf_counter_ns() - start)
    return min(times) / 1e6


def log_look(why: str, weights: Path, log: Path | None = None) -> None:
    """Add a line to a log of looks at what is kept out; default: at persons kept for reporting."""
    line = {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "why": why,
        "weights_sha256": hashlib.sha256(weights.read_bytes()).hexdigest(),
    }
    with (log or LOOKS).open("a", encoding="utf-8") as file:
        file.write(json.dumps(line) + "\n")


def mean_icc(figures: dict[str, dict[str, float]]) -> float:
    """Return the mean ICC over the units that figures are averaged over."""
    return float(np.mean([figures[name]["icc"] for name in REPORTED]))


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder of filmed faces")
    parser.add_argument("--teacher", type=Path, required=True, help="folder of teacher's answers")
    parser.add_argument("--lfw", type=Path, required=True, help="lfw_train.npz")
    parser.add_argument("--london", type=Path, required=True, help="folder of the London Set")
    parser.add_argument("--run", type=Path, required=True, help="folder of the checkpoint")
    parser.add_argument("--without-picture", type=Path, help="checkpoint trained on the mesh alone")
    parser.add_argument("--without-lfw", type=Path, help="checkpoint trained without LFW")
    parser.add_argument("--onnx", type=Path, help="folder of the exported files")
    parser.add_argument("--report", type=Path, required=True, help="JSON to write")
    parser.add_argument(
        "--report-persons", metavar="WHY", help="look at the persons kept for reporting"
    )
    options = parser.parse_args()
    code = code_state("training/action_units", "realtime_affect/face")

    def persons_of(split: str) -> tuple[Faces, Curves]:
        return lfw_persons(options.data, options.teacher, options.lfw, split)

    network = load_network(options.run)
    test = join({"studio": studio_part(sorted(options.data.glob("test_*.npz")))})
    validation, curves = persons_of("validation")
    teacher_at = curves.threshold
    choosing = read_photographs(options.london, CHOOSING)
    rated = options.data / "rated_ferplus.npz"
    present_at = dict.fromkeys(OUTPUTS, TRACE)
    report: dict[str, Any] = {
        "about": json.loads((options.run / "about.json").read_text("utf-8")),
        "present_at": present_at,
        "trace": dict(zip(OUTPUTS, network.trace.tolist(), strict=True)),
        "studio_test": {
            kind: studio_figures(
                network, test, calibrated=kind == "calibrated", present_at=present_at
            )
            for kind in ("uncalibrated", "calibrated")
        },
        "lfw_validation": ranks_figures(network, validation, teacher_at, present_at),
        "london_001_045": london_figures(network, choosing, present_at),
        "ferplus_valid": ferplus_figures(network, rated),
    }
    ablation = {
        "mesh and picture, own rest": mean_icc(report["studio_test"]["calibrated"]),
        "mesh and picture, population's rest": mean_icc(report["studio_test"]["uncalibrated"]),
    }
    if options.without_picture is not None:
        blind = load_network(options.without_picture)
        for rest, calibrated in (("own rest", True), ("population's rest", False)):
            figures = studio_figures(blind, test, calibrated=calibrated, present_at=present_at)
            ablation[f"mesh alone, {rest}"] = mean_icc(figures)
    report["ablation_mean_icc"] = ablation
    if options.without_lfw is not None:
        stranger = load_network(options.without_lfw)
        report["without_lfw"] = {
            "about": json.loads((options.without_lfw / "about.json").read_text("utf-8")),
            "lfw_validation": ranks_figures(stranger, validation, teacher_at, present_at),
            "ferplus_valid": ferplus_figures(stranger, rated),
        }
    if options.onnx is not None:
        report["forms"] = {
            precision: form_figures(options.onnx / file, validation, choosing, rated)
            for precision, file in NAMES.items()
        }
    if options.report_persons:
        log_look(options.report_persons, options.run / CHECKPOINT)
        reporting = read_photographs(options.london, REPORTING)
        report["london_061_090"] = london_figures(network, reporting, present_at)
        report["lfw_test"] = ranks_figures(network, persons_of("test")[0], teacher_at, present_at)
    report["made"] = code
    options.report.write_text(json.dumps(report, indent=1) + "\n", "utf-8")
    print_report(report)


def print_report(report: dict[str, Any]) -> None:
    """Print the figures that decide."""
    for name, score in report["ablation_mean_icc"].items():
        print(f"mean ICC {score:.3f}  {name}")
    for persons in ("lfw_validation", "lfw_test"):
        if persons in report:
            units = report[persons]["units"]
            print(f"{persons}: Spearman {report[persons]['mean_spearman']:.3f}")
            for name, unit in units.items():
                shares = f"{unit['share']:.1%} of faces, teacher {unit['teacher_share']:.1%}"
                print(f"  {name} {unit['spearman']:.3f}, {shares}")
    for persons in ("london_001_045", "london_061_090"):
        for kind in ("uncalibrated", "calibrated"):
            if persons in report:
                found = report[persons][kind]
                print(
                    f"{persons} {kind}: smile AUC {found['smile_auc']:.3f}, accuracy "
                    f"{found['smile_accuracy']:.3f}, false units {found['false_units_on_neutral']}"
                )
    aucs = report["ferplus_valid"]["auc"]
    print("FER+ valid: " + ", ".join(f"{name} {unit['auc']:.3f}" for name, unit in aucs.items()))


if __name__ == "__main__":
    main()
