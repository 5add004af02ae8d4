"""Reports -> model card: what ``affect_engines/cards/htnet_live.toml`` says is what was measured.

    python -m training.htnet.card --live live.json --zero-shot zero.json --loso loso.json \
        --onnx FOLDER --out FOLDER

writes ``cards/htnet_live.toml`` and the network under ``weights`` of FOLDER.
"""

from __future__ import annotations

import argparse
import hashlib
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from realtime_affect.names import MICRO_CLASSES
from training.htnet.export import NAME
from training.htnet.network import CLASSES
from training.proofs import proof_lines, ran_by_tensorrt

if TYPE_CHECKING:
    from collections.abc import Sequence

_LIMITS: Final = (
    "Tells the class of a brief facial movement by what moved, never an emotion that someone "
    "hides, and nothing about honesty, intent, character or health: it must not be used to detect "
    "lies or intent. Learned from rendered people only. Not measured on videos of real movements: "
    "real flow images exist only stretched, which this network does not take, so their figures are "
    "those of a sibling with the same layers. In the studio, which "
    "is kinder than life, one weak movement in six (strength 0.05 to 0.1) is told as none, and one "
    "resting face in four as a movement."
)
_HEADINGS: Final = {
    "linear": "linear_left_one_subject_out",
    "reduced": "published_form_reduced_left_one_subject_out",
    "tuned": "sibling_highest_level_tuned_left_one_subject_out",
    "whole": "sibling_tuned_whole_left_one_subject_out",
    "readout": "sibling_last_layer_anew_left_one_subject_out",
    "joined": "sibling_and_linear_joined_left_one_subject_out",
}


def trained_on(about: dict[str, Any]) -> str:
    """Say what a run learned from."""
    return (
        f"{about['pairs']} pairs of rendered pictures of {about['people']} people who do not exist "
        "(ICT-FaceKit Light, MIT), before and at the height of a brief movement, as cameras of 30, "
        "60, 100 and 200 frames a second catch it, a quarter of them noise, blinks, glances, "
        "speech, turns and other movements that are no expression; flow measured by the product."
    )


def _row(found: dict[str, Any]) -> list[str]:
    lines = []
    for key in ("uf1", "uar"):
        low, high = found[f"{key}_interval"]
        lines += [f"{key} = {found[key]:.4f}", f"{key}_interval = [{low:.4f}, {high:.4f}]"]
    return lines


def _studio(name: str, found: dict[str, Any]) -> list[str]:
    lines = ["", f"[evaluation.{name}]", f"people = {found['people']}", f"pairs = {found['pairs']}"]
    lines += [*_row(found), f"calibration_error = {found['calibration_error']:.4f}"]
    lines += [
        f"uar_at_{fps}_fps = {value:.4f}" for fps, value in found["uar_by_camera_fps"].items()
    ]
    lines += [f"refused_{kind} = {value:.4f}" for kind, value in found["refused"].items()]
    for span, part in found["by_strength"].items():
        label = span.replace(".", "").replace("-", "_to_")
        lines.append(f"uar_strength_{label} = {part['uar']:.4f}")
    return lines


def card_text(
    live: dict[str, Any],
    zero_shot: dict[str, Any],
    loso: dict[str, Any],
    digest: str,
    ran: Sequence[str] = (),
) -> str:
    """Write the card of three reports; `digest` is the file's, `ran` which TensorRT has run it.

    Of the looks in `zero_shot` the first one is told in full, for nothing was chosen by it, and all
    of them in short.
    """
    about = live["about"]
    lines = [
        "# HTNet-Live: the class of a brief facial movement, by the flow from onset to apex.",
        f'file = "{NAME}"',
        f'sha256 = "{digest}"',
        'licence = "Apache-2.0"',
        'reference = "training/htnet, after HTNet (Wang et al., 2023, arXiv 2307.14637)"',
        f'trained_on = "{trained_on(about)}"',
        f'limits = "{_LIMITS}"',
        'reproduce = "make train-micro"',
        f"seed = {about['seed']}",
        f'data_sha256 = "{about["data_sha256"]}"',
        *proof_lines(ran),
        "",
        "[decode]",
        f"outputs = [{', '.join(json.dumps(name) for name in MICRO_CLASSES)}]",
        f"temperature = {live['temperature']}",
        *_studio("studio_test", live["studio_test"]),
        "",
        "# Rows: what it was; columns: as read, in the order of the outputs.",
        "[evaluation.studio_test_confusion]",
    ]
    counts = live["studio_test"]["confusion"]
    lines += [f"{name} = {row}" for name, row in zip(MICRO_CLASSES, counts, strict=True)]
    first = next(iter(zero_shot.values()))
    lines += [
        "",
        "# The stretched sibling (three classes) on 442 real flow images, nothing of them learned.",
        "[evaluation.sibling_zero_shot]",
        f"clips = {first['clips']}",
        f"subjects = {first['subjects']}",
        f"attempts_uf1 = {[round(found['uf1'], 4) for found in zero_shot.values()]}",
        *_row(first),
        "",
        "# Rows: as labelled; columns: as read: negative, positive, surprise.",
        "[evaluation.sibling_zero_shot_confusion]",
        *(f"{name} = {row}" for name, row in zip(CLASSES, first["confusion"], strict=True)),
    ]
    for name, heading in _HEADINGS.items():
        found = loso.get(name)
        if found is None:
            continue
        lines += ["", f"[evaluation.{heading}]", *_row(found["last_epoch"])]
        best = found.get("best_epoch_on_the_test_fold")
        if best is not None:
            lines += [
                "# What choosing the best epoch on the held-out subject would have reported.",
                f"uf1_best_epoch_on_the_test_fold = {best['uf1']:.4f}",
            ]
    return "\n".join(lines) + "\n"


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--live", type=Path, required=True, help="report of evaluate")
    parser.add_argument("--zero-shot", type=Path, required=True, help="report of zero_shot")
    parser.add_argument("--loso", type=Path, required=True, help="report of loso")
    parser.add_argument("--onnx", type=Path, required=True, help="folder of the network")
    parser.add_argument("--out", type=Path, required=True, help="engines/affect_engines")
    options = parser.parse_args()
    live, zero_shot, loso = (
        json.loads(path.read_text("utf-8"))
        for path in (options.live, options.zero_shot, options.loso)
    )
    content = (options.onnx / NAME).read_bytes()
    digest = hashlib.sha256(content).hexdigest()
    if digest != live["sha256"]:
        parser.error(f"{NAME} is not the file of the report; evaluate it first")
    path = options.out / "cards" / "htnet_live.toml"
    text = card_text(live, zero_shot, loso, digest, ran_by_tensorrt(path, [digest]))
    for folder in ("cards", "weights"):
        (options.out / folder).mkdir(parents=True, exist_ok=True)
    (options.out / "weights" / NAME).write_bytes(content)
    path.write_text(text, "utf-8")
    print(text)


if __name__ == "__main__":
    main()
