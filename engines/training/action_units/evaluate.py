"""What the action unit network scores: on the studio's test split, and on real photographs.

    python -m training.action_units.evaluate --data FOLDER --london FOLDER --run FOLDER \
        [--without-picture FOLDER] [--without-rest FOLDER] [--onnx FILE] --report report.json \
        [--report-persons]

Thresholds are chosen first, on the studio's validation split and on London persons 001 to 045.
With ``--report-persons`` persons 061 to 090 are looked at too; each such look is a line in
``benchmarks/results/london_looks.jsonl``.
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
from training.metrics import auc, f1, icc_3_1, mae

from training.action_units.dataset import load_samples
from training.action_units.export import INPUTS, load_network
from training.action_units.london import (
    CHOOSING,
    REPORTING,
    Photographs,
    groups,
    read_photographs,
)
from training.action_units.network import OUTPUTS, ActionUnitNetwork
from training.action_units.train import REPORTED, Sampler, predict

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from training.action_units.dataset import Samples

TRACE: Final = 1.0  # FACS A: from here on a unit is truly there
LOOKS: Final = Path("benchmarks/results/london_looks.jsonl")
_MARGIN: Final = 0.25
_FALSE_SHARE: Final = 0.02  # of neutral real faces on which a unit may be reported present


def studio_figures(
    network: ActionUnitNetwork, held_out: Sampler, *, calibrated: bool, present_at: dict[str, float]
) -> dict[str, dict[str, float]]:
    """Score each output on a split: ICC(3,1), MAE on 0 to 5, F1 of FACS A and above."""
    truth = held_out.targets[held_out.tested]
    read = predict(network, held_out, held_out.tested, calibrated=calibrated)
    return {
        name: {
            "icc": icc_3_1(truth[:, k], read[:, k]),
            "mae": mae(truth[:, k], read[:, k]),
            "f1": f1(truth[:, k] >= TRACE, read[:, k] >= present_at.get(name, TRACE)),
            "share": float((truth[:, k] >= TRACE).mean()),
        }
        for k, name in enumerate(OUTPUTS)
    }


def read_faces(
    network: ActionUnitNetwork, faces: Samples, rest: Samples | None = None
) -> NDArray[np.float32]:
    """Read photographs (n, 21), against the population or against `rest` of the same persons."""
    n = len(faces.points)
    tensors = [torch.from_numpy(a) for a in (faces.points, faces.crops.astype(np.float32))]
    angles = torch.from_numpy(faces.angles_rad)
    population = network.population.view(1, 468, 3).expand(n, -1, -1)
    with torch.no_grad():
        if rest is None:
            units = network(*tensors, angles, population, torch.zeros(n, 96, 96), torch.zeros(n, 1))
        else:
            own = torch.from_numpy(rest.points), torch.from_numpy(rest.crops.astype(np.float32))
            units = network(*tensors, angles, *own, torch.ones(n, 1))
    return units.clamp(0, 5).numpy()


def choose_thresholds(
    network: ActionUnitNetwork, photographs: Photographs, validation: Sampler
) -> dict[str, float]:
    """Choose from which intensity on each unit is reported as present.

    The best F1 on the studio's validation split, but never under FACS A, and never so low that
    more than 2 % of the neutral photographs, as taken and as a worse camera would have, show it.
    """
    truth = validation.targets[validation.tested] >= TRACE
    read = predict(network, validation, validation.tested, calibrated=True)
    neutral = np.concatenate(
        [read_faces(network, photographs.neutral), read_faces(network, photographs.perturbed)]
    )
    smiling = read_faces(network, photographs.smiling)
    chosen = {}
    for k, name in enumerate(OUTPUTS):
        steps = np.arange(TRACE, 3.01, 0.05)
        best = steps[int(np.argmax([f1(truth[:, k], read[:, k] >= step) for step in steps]))]
        quiet = float(np.quantile(neutral[:, k], 1 - _FALSE_SHARE)) + _MARGIN
        if name == "AU12":  # between the two kinds of photographs
            best = min(best, 0.5 * (quiet + float(np.quantile(smiling[:, k], 0.05))))
        chosen[name] = round(float(max(TRACE, best, quiet)), 2)
    return chosen


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


def time_onnx(path: Path, repeats: int = 300) -> float:
    """Return the milliseconds a face takes in onnxruntime on one thread, best of many."""
    import onnxruntime

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


def log_look(why: str, weights: Path) -> None:
    """Add a line to the log of looks at persons 061 to 090."""
    line = {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "why": why,
        "weights_sha256": hashlib.sha256(weights.read_bytes()).hexdigest(),
    }
    with LOOKS.open("a", encoding="utf-8") as file:
        file.write(json.dumps(line) + "\n")


def mean_icc(figures: dict[str, dict[str, float]]) -> float:
    """Return the mean ICC over the units that figures are averaged over."""
    return float(np.mean([figures[name]["icc"] for name in REPORTED]))


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder of the studio's files")
    parser.add_argument("--london", type=Path, required=True, help="folder of the London Set")
    parser.add_argument("--run", type=Path, required=True, help="folder of the checkpoint")
    parser.add_argument("--without-picture", type=Path, help="checkpoint trained on the mesh alone")
    parser.add_argument(
        "--without-rest", type=Path, help="checkpoint trained without anyone's rest"
    )
    parser.add_argument("--onnx", type=Path, help="exported file, to be timed")
    parser.add_argument("--report", type=Path, required=True, help="JSON to write")
    parser.add_argument("--report-persons", metavar="WHY", help="look at persons 061 to 090")
    options = parser.parse_args()
    network = load_network(options.run)
    samplers = {
        split: Sampler(load_samples(sorted(options.data.glob(f"{split}_*.npz"))))
        for split in ("validation", "test")
    }
    choosing = read_photographs(options.london, CHOOSING)
    present_at = choose_thresholds(network, choosing, samplers["validation"])
    report: dict[str, Any] = {
        "about": json.loads((options.run / "about.json").read_text("utf-8")),
        "present_at": present_at,
        "studio_test": {
            kind: studio_figures(
                network, samplers["test"], calibrated=kind == "calibrated", present_at=present_at
            )
            for kind in ("uncalibrated", "calibrated")
        },
        "london_001_045": london_figures(network, choosing, present_at),
    }
    ablation = {
        "mesh and picture, own rest": mean_icc(report["studio_test"]["calibrated"]),
        "mesh and picture, population's rest": mean_icc(report["studio_test"]["uncalibrated"]),
    }
    for folder, name in (
        (options.without_picture, "mesh alone"),
        (options.without_rest, "mesh and picture, trained without rest"),
    ):
        if folder is None:
            continue
        other = load_network(folder)
        kinds = ("calibrated", "uncalibrated") if other.rest else ("uncalibrated",)
        for kind in kinds:
            figures = studio_figures(
                other, samplers["test"], calibrated=kind == "calibrated", present_at=present_at
            )
            rest = ", own rest" if kind == "calibrated" else ", population's rest"
            ablation[name + (rest if other.rest else "")] = mean_icc(figures)
    report["ablation_mean_icc"] = ablation
    if options.onnx is not None:
        report["ms_a_face"] = time_onnx(options.onnx)
        report["onnx_sha256"] = hashlib.sha256(options.onnx.read_bytes()).hexdigest()
    if options.report_persons:
        log_look(options.report_persons, options.onnx or options.run / "checkpoint.pt")
        reporting = read_photographs(options.london, REPORTING)
        report["london_061_090"] = london_figures(network, reporting, present_at)
    options.report.write_text(json.dumps(report, indent=1) + "\n", "utf-8")
    for name, score in ablation.items():
        print(f"mean ICC {score:.3f}  {name}")
    for persons in ("london_001_045", "london_061_090"):
        for kind in ("uncalibrated", "calibrated"):
            if persons in report:
                found = report[persons][kind]
                print(
                    f"{persons} {kind}: smile AUC {found['smile_auc']:.3f}, accuracy "
                    f"{found['smile_accuracy']:.3f}, false units {found['false_units_on_neutral']}"
                )


if __name__ == "__main__":
    main()
