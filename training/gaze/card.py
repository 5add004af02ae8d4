"""Report -> model card: what ``affect_engines/cards/eye_live.toml`` says is what was measured.

    python -m training.gaze.card --report eye_live.json --onnx FOLDER --out engines/affect_engines

writes ``cards/eye_live.toml`` and the network under ``weights``.
"""

from __future__ import annotations

import argparse
import hashlib
import json
from pathlib import Path
from typing import Any

from training.gaze.network import NAME
from training.proofs import proof_lines, ran_by_tensorrt

_LIMITS = (
    "Repeats the iris network's answers, with its errors and some of its own: it is not measured "
    "against where people truly looked. Poor with glare on glasses. Not for identification, not "
    "for surveillance, not for decisions that concern life."
)


def card_text(report: dict[str, Any], ran: tuple[str, ...] = ()) -> str:
    """Write the card of a report; `ran` says which TensorRT has run it."""
    about = report["about"]
    faces = about["faces"]
    lines = [
        "# Where each iris is beside the middle of its eye, from narrow patches of both eyes.",
        f'file = "{NAME}"',
        f'sha256 = "{report["sha256"]}"',
        'licence = "Apache-2.0"',
        "reference = \"training/gaze, taught by MediaPipe's Iris (Ablavatski et al. 2020, "
        'arXiv:2006.11341)"',
        f'trained_on = "Answers of the iris network about {faces["stills"]} faces of Labeled Faces '
        f"in the Wild and {faces.get('studio', 0)} rendered images of people who do not exist "
        '(ICT-FaceKit Light, MIT)."',
        f'limits = "{_LIMITS}"',
        'reproduce = "make train-gaze"',
        f"seed = {about['seed']}",
        f'data_sha256 = "{about["data_sha256"]}"',
        *proof_lines(ran),
        "",
        "[decode]",
        'outputs = ["offsets"]',
    ]
    for split in ("validation", "test"):
        lines += ["", "# Against the iris network, on persons that were not learned from."]
        lines += [f"[evaluation.lfw_{split}]"]
        lines += [f"{name} = {value}" for name, value in report[split].items()]
    for name, found in report.get("clips", {}).items():
        lines += ["", "# The product's gaze on real clips, against that by the iris network."]
        lines += [f"[evaluation.clips_{name}]"]
        lines += [f"{key} = {value}" for key, value in found.items()]
    return "\n".join(lines) + "\n"


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--report", type=Path, required=True)
    parser.add_argument("--onnx", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    report = json.loads(options.report.read_text("utf-8"))
    content = (options.onnx / NAME).read_bytes()
    if hashlib.sha256(content).hexdigest() != report["sha256"]:
        parser.error(f"{NAME} is not the file of the report; evaluate it first")
    path = options.out / "cards" / "eye_live.toml"
    text = card_text(report, ran_by_tensorrt(path, [report["sha256"]]))
    (options.out / "weights" / NAME).write_bytes(content)
    path.write_text(text, "utf-8")
    print(text)


if __name__ == "__main__":
    main()
