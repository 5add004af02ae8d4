"""What the action unit network scores: on the studio's test split, and on real photographs.

    python -m training.action_units.evaluate --data FOLDER --london FOLDER --ferplus FILE \
        --run FOLDER [--without-picture FOLDER] [--onnx FILE] --report report.json \
        [--report-persons WHY]

Thresholds are chosen first, on the studio's validation split and on London persons 001 to 045.
With ``--report-persons`` persons 061 to 090 are looked at too; each such look is a line in
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

from affect_engines.ort import import_onnxruntime
from benchmarks.records import code_state
from training.action_units.anchors import PERSONS, ferplus_faces
from training.action_units.dataset import PRESENT, Observer, Samples, load_samples
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
from training.metrics import auc, f1, icc_3_1, mae

if TYPE_CHECKING:
    from numpy.typing import NDArray

TRACE: Final = 1.0  # FACS A: from here on a unit is truly there
LOOKS: Final = Path("benchmarks/results/london_looks.jsonl")
EVIDENCE: Final = {
    "AU01": "surprise", "AU02": "surprise", "AU04": "anger", "AU05": "surprise",
    "AU06": "happiness", "AU07": "anger", "AU09": "disgust", "AU10": "disgust",
    "AU12": "happiness", "AU15": "sadness", "AU17": "sadness", "AU20": "fear",
    "AU25": "surprise", "AU26": "surprise",
}  # fmt: skip
"""Expression in whose prototype a unit stands, so that it should rise against neutral faces."""
_MARGIN: Final = 0.25
_FALSE_SHARE: Final = 0.02  # of neutral real faces on which a unit may be reported present


def studio_figures(
    network: ActionUnitNetwork, held_out: Sampler, *, calibrated: bool, present_at: dict[str, float]
) -> dict[str, dict[str, float]]:
    """Score each output on a split: ICC(3,1), MAE on 0 to 5, F1 of FACS A and above."""
    truth = held_out.low[held_out.tested]
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
    more than 2 % of the neutral photographs, as taken and as a worse camera would have, show it,
    or a single one of persons 036 to 045, whom training has not seen. For AU12, of which there are
    real pictures with and without it: the middle of what separates these best.
    """
    truth = validation.low[validation.tested] >= TRACE
    read = predict(network, validation, validation.tested, calibrated=True)
    neutral = np.concatenate(
        [read_faces(network, photographs.neutral), read_faces(network, photographs.perturbed)]
    )
    unseen = np.array([int(row["face_id"]) not in PERSONS for row in photographs.persons] * 2)
    smiling = read_faces(network, photographs.smiling)
    chosen = {}
    for k, name in enumerate(OUTPUTS):
        steps = np.arange(TRACE, 3.01, 0.05)
        best = steps[int(np.argmax([f1(truth[:, k], read[:, k] >= step) for step in steps]))]
        quiet = float(np.quantile(neutral[:, k], 1 - _FALSE_SHARE)) + _MARGIN
        quiet = max(quiet, float(neutral[unseen, k].max()) + _MARGIN)
        at = max(TRACE, float(best), quiet)
        if name.startswith("AU12"):
            at = _separating(steps, neutral[:, k], smiling[:, k])
        chosen[name] = round(at, 2)
    return chosen


def _separating(
    steps: NDArray[np.float64], neutral: NDArray[np.float32], smiling: NDArray[np.float32]
) -> float:
    """Return the middle of the thresholds whose balanced accuracy is within 0.01 of the best."""
    right = np.array([0.5 * ((neutral < step).mean() + (smiling >= step).mean()) for step in steps])
    return float(steps[right >= right.max() - 0.01].mean())


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


def skin_figures(
    network: ActionUnitNetwork, test: Sampler, photographs: Photographs
) -> dict[str, float]:
    """Score what a network trained in one kind of skin makes of rendered and of real faces."""
    figures = studio_figures(network, test, calibrated=False, present_at={})
    neutral = read_faces(network, photographs.neutral)
    smiling = read_faces(network, photographs.smiling)
    k = OUTPUTS.index("AU12")
    truth = np.repeat([False, True], len(neutral))
    told = [i for i, name in enumerate(OUTPUTS) if "_" not in name]
    return {
        "mean_icc": mean_icc(figures),
        "smile_auc": auc(truth, np.concatenate([neutral[:, k], smiling[:, k]])),
        "false_units_a_neutral_face": float((neutral[:, told] >= TRACE).sum() / len(neutral)),
    }


def ferplus_figures(network: ActionUnitNetwork, pack: Path) -> dict[str, Any]:
    """Return how well each unit tells FER+'s neutral faces from those of its expression (AUC)."""
    observer = Observer()
    names, seen = [], []
    for name, face in ferplus_faces(pack, 1):
        names.append(name)
        seen.append(observer.observe(face.image, face.region))
    points, crops, angles, presence = (np.array(column) for column in zip(*seen, strict=True))
    found = presence >= PRESENT
    samples = Samples(*(array[found] for array in (points, crops, angles, presence)))
    units = read_faces(network, samples)
    expression = np.array(names)[found]
    figures: dict[str, Any] = {
        "faces": {name: int((expression == name).sum()) for name in sorted(set(names))}
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
    parser.add_argument("--ferplus", type=Path, required=True, help="ferplus_train_valid.npz")
    parser.add_argument("--run", type=Path, required=True, help="folder of the checkpoint")
    parser.add_argument("--without-picture", type=Path, help="checkpoint trained on the mesh alone")
    parser.add_argument(
        "--skins",
        type=Path,
        nargs=2,
        metavar=("PAINTED", "PHOTOGRAPHS"),
        help="checkpoints trained on people in either kind of skin, without real faces",
    )
    parser.add_argument("--onnx", type=Path, help="exported file, to be timed")
    parser.add_argument("--report", type=Path, required=True, help="JSON to write")
    parser.add_argument("--report-persons", metavar="WHY", help="look at persons 061 to 090")
    options = parser.parse_args()
    code = code_state("training/action_units", "realtime_affect/face")
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
        "ferplus_valid": ferplus_figures(network, options.ferplus),
    }
    ablation = {
        "mesh and picture, own rest": mean_icc(report["studio_test"]["calibrated"]),
        "mesh and picture, population's rest": mean_icc(report["studio_test"]["uncalibrated"]),
    }
    if options.without_picture is not None:
        blind = load_network(options.without_picture)
        for rest, calibrated in (("own rest", True), ("population's rest", False)):
            figures = studio_figures(
                blind, samplers["test"], calibrated=calibrated, present_at=present_at
            )
            ablation[f"mesh alone, {rest}"] = mean_icc(figures)
    report["ablation_mean_icc"] = ablation
    if options.skins is not None:
        report["skins"] = {
            kind: skin_figures(load_network(folder), samplers["test"], choosing)
            for kind, folder in zip(("painted", "photographs"), options.skins, strict=True)
        }
    if options.onnx is not None:
        report["ms_a_face"] = time_onnx(options.onnx)
        report["onnx_sha256"] = hashlib.sha256(options.onnx.read_bytes()).hexdigest()
    if options.report_persons:
        log_look(options.report_persons, options.onnx or options.run / "checkpoint.pt")
        reporting = read_photographs(options.london, REPORTING)
        report["london_061_090"] = london_figures(network, reporting, present_at)
    report["made"] = code
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
