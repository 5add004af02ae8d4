"""Report -> model card: what ``affect_engines/cards/action_units.toml`` says is what was measured.

    python -m training.action_units.card --report report.json --onnx FOLDER --out FOLDER

writes ``cards/action_units.toml`` and both forms under ``weights`` of FOLDER. The form preferred is
int8 where it costs at most half a point of any figure that ranks faces; the accuracy of 80
photographs moves by more than that with each of them.
"""

from __future__ import annotations

import argparse
import hashlib
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from training.action_units.export import N_FEATURES, NAMES
from training.action_units.network import OUTPUTS
from training.proofs import proof_lines, ran_by_tensorrt

if TYPE_CHECKING:
    from collections.abc import Sequence

# For units of no prototype: how well what shows them carries over from rendered to real faces.
# Where a point moves, what is partly a point and partly a fold, what is mostly a fold or a bulge.
CARRIES_OVER: Final = {"AU45": "high", "AU28": "medium", "AU14": "low"}
GOOD_AUC, FAIR_AUC = 0.85, 0.70
_MANY, _SOME = 50, 10  # faces of an expression that carry high and medium trust
GOOD_ICC, FAIR_ICC = 0.80, 0.65
MOST_LOST: Final = 0.005
"""Of any figure, by which int8 may be worse."""
_JUDGED: Final = (
    "lfw_validation_spearman", "ferplus_valid_mean_auc", "london_001_045_smile_auc",
)  # fmt: skip
_LEVELS: Final = ("low", "medium", "high")
_STRICT_FROM: Final = 2.0  # a threshold this high says that real resting faces look like the unit
_LIMITS: Final = (
    "Tells displayed movements of the face, never what a person feels, and nothing about honesty, "
    "character, health or fitness for work. Not validated on FACS-coded people: figures are from "
    "rendered faces, posed smiles, faces rated by laypeople and the ranks of another network, "
    "whose errors it shares. Views turned more than 40 degrees, covered faces and faces "
    "under 80 pixels are outside of what was tested."
)


def trained_on(about: dict[str, Any]) -> str:
    """Say what the network of a run was trained on."""
    faces = about["faces"]
    lfw = (
        f"{faces['lfw']} news photographs of Labeled Faces in the Wild (persons of "
        "training/persons.py; Huang et al. 2007), "
        if "lfw" in faces
        else ""
    )
    return (
        "Goes on from the network shipped before (training/action_units/begin.py), whose first "
        "form learned from 76951 rendered pictures of 700 people and bounds of 868 London and "
        f"13697 FER+ pictures. Since then: {faces['studio']} rendered pictures of "
        f"{about['people']} people who do not exist (ICT-FaceKit Light, MIT), a half of them "
        "wearing skins warped from neutral photographs of persons 001-035 of the Face Research "
        "Lab London Set (CC BY 4.0, DeBruine & Jones 2017), "
        f"{faces['london']} perturbed photographs of the same persons, neutral and smiling, {lfw}"
        f"and {faces['ferplus']} pictures of FER+'s training split (FER2013). Real faces teach "
        "ranks: the scores that MediaPipe's face landmarker (Apache-2.0) gives them; raters' votes "
        "of FER+ (MIT) say which of two faces shows more, and set bounds, as the London poses do. "
        "The pixels of FER+ and of Labeled Faces in the Wild come from the web and carry no "
        "licence of their own, the people in them were not "
        "asked, and no picture is passed on."
    )


def trust(unit: str, icc: float, trace: float, real: dict[str, Any] | None) -> str:
    """Return how far a unit can be trusted: "high", "medium" or "low".

    The lowest of: its ICC on the studio's test split; whether it rises on real faces whose
    expression it belongs to (`real`: ``auc`` on how many ``faces`` of FER+'s ``valid`` split; None
    where no expression is known for it); and whether resting real faces had to be kept out by a
    strict threshold (`trace`, in evidence).
    """
    measured = "high" if icc >= GOOD_ICC else "medium" if icc >= FAIR_ICC else "low"
    if real is None:
        seen = CARRIES_OVER[unit]
    elif real["faces"] < _SOME:
        seen = "medium"  # too few to say; of what moves points enough to be believed
    else:
        seen = "high" if real["auc"] >= GOOD_AUC else "medium" if real["auc"] >= FAIR_AUC else "low"
        seen = min(seen, "high" if real["faces"] >= _MANY else "medium", key=_LEVELS.index)
    quiet = "high" if trace < _STRICT_FROM else "medium" if trace < 3.0 else "low"
    return min((seen, measured, quiet), key=_LEVELS.index)


def preferred(report: dict[str, Any]) -> str:
    """Return the precision to prefer."""
    forms = report["forms"]
    lost = max(forms["fp32"][figure] - forms["int8"][figure] for figure in _JUDGED)
    return "int8" if lost <= MOST_LOST else "fp32"


def card_text(report: dict[str, Any], ran: Sequence[str] = ()) -> str:
    """Write the card of a report; `ran` are the versions of TensorRT that have run the network."""
    about, best = report["about"], preferred(report)
    other = next(form for form in NAMES if form != best)
    calibrated = report["studio_test"]["calibrated"]
    real = report["ferplus_valid"]["auc"]
    lines = [
        "# Action units: mesh and aligned picture against the same face at rest.",
        f'file = "{NAMES[best]}"',
        f'sha256 = "{report["forms"][best]["sha256"]}"',
        f'precision = "{best}"',
        'licence = "Apache-2.0"',
        'reference = "training/action_units"',
        f'trained_on = "{trained_on(about)}"',
        f'limits = "{_LIMITS}"',
        'reproduce = "make train-action-units"',
        f"seed = {about['seed']}",
        f'data_sha256 = "{about["data_sha256"]}"',
        *proof_lines(ran),
        "",
        f"[forms.{other}]",
        f'file = "{NAMES[other]}"',
        f'sha256 = "{report["forms"][other]["sha256"]}"',
        "",
        "[decode]",
        "outputs = [",
        *(f'    "{name}",' for name in OUTPUTS),
        "]",
        f"features = {N_FEATURES}",
    ]
    ranks = report.get("lfw_test", report["lfw_validation"])["units"]
    for name in OUTPUTS:
        if "_" in name:
            continue
        figures, at = calibrated[name], report["present_at"][name]
        strict = report["trace"][name]
        evidence = real.get(name)
        lines += [
            "",
            f"[units.{name}]",
            f'trust = "{trust(name, figures["icc"], strict, evidence)}"',
            f"present_at = {at}",
            *(f"{key} = {figures[key]:.3f}" for key in ("icc", "mae", "f1")),
            f"icc_uncalibrated = {report['studio_test']['uncalibrated'][name]['icc']:.3f}",
            *([] if evidence is None else [f"ferplus_auc = {evidence['auc']:.3f}"]),
            *([f"lfw_spearman = {ranks[name]['spearman']:.3f}"] if name in ranks else []),
        ]
    lines += ["", "[units.AU23]", 'trust = "none"']
    lines += ["", "[evaluation.studio_test]"]
    lines += [
        f'"mean ICC, {name}" = {value:.3f}' for name, value in report["ablation_mean_icc"].items()
    ]
    for form, found in report["forms"].items():
        lines += ["", f"[evaluation.{form}]"]
        lines += [f"{figure} = {found[figure]:.4f}" for figure in _JUDGED]
    for persons in ("lfw_validation", "lfw_test"):
        if persons not in report:
            continue
        found = report[persons]
        low, high = found["mean_spearman_95"]
        lines += [
            "",
            f"[evaluation.{persons}]",
            f"faces = {found['faces']}",
            f"spearman_with_the_teacher = {found['mean_spearman']:.3f}",
            f"spearman_95_low = {low:.3f}",
            f"spearman_95_high = {high:.3f}",
        ]
    for persons in ("london_001_045", "london_061_090"):
        if persons not in report:
            continue
        lines += ["", f"[evaluation.{persons}]", f"persons = {report[persons]['persons']}"]
        for kind in ("uncalibrated", "calibrated"):
            found = report[persons][kind]
            for key in ("smile_auc", "smile_accuracy", "worst_false_units"):
                lines.append(f"{key}_{kind} = {round(found[key], 3)}")
    return "\n".join(lines) + "\n"


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--report", type=Path, required=True)
    parser.add_argument("--onnx", type=Path, required=True, help="folder of both forms")
    parser.add_argument("--out", type=Path, required=True, help="engines/affect_engines")
    options = parser.parse_args()
    report = json.loads(options.report.read_text("utf-8"))
    for folder in ("cards", "weights"):
        (options.out / folder).mkdir(parents=True, exist_ok=True)
    digests = []
    for precision, file in NAMES.items():
        content = (options.onnx / file).read_bytes()
        digests.append(hashlib.sha256(content).hexdigest())
        if digests[-1] != report["forms"][precision]["sha256"]:
            parser.error(f"{options.report} is of another {file}: evaluate this one first")
        (options.out / "weights" / file).write_bytes(content)
    card = options.out / "cards" / "action_units.toml"
    text = card_text(report, ran_by_tensorrt(card, digests))
    card.write_text(text, "utf-8")
    print(text)


if __name__ == "__main__":
    main()
