"""Report -> model card: what ``affect_engines/cards/ifdd_stream.toml`` says is what was measured.

    python -m training.ifdd_stream.card --report report.json --onnx FOLDER --out FOLDER

writes ``cards/ifdd_stream.toml`` and both forms under ``weights`` of FOLDER. The form preferred is
int8 where it costs at most half a point of accuracy.
"""

from __future__ import annotations

import argparse
import hashlib
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from realtime_affect.names import EXPRESSIONS
from training.ifdd_stream.export import NAMES
from training.ifdd_stream.network import PLACES, SLOT_HZ, SLOTS, WIDTH
from training.proofs import proof_lines, ran_by_tensorrt

if TYPE_CHECKING:
    from collections.abc import Sequence

MAX_GAP_MS: Final = 400.0
MOST_LOST: Final = 0.005
_LIMITS: Final = (
    "Tells the expression a face displays as observers would name it, never what a person feels, "
    "and nothing about honesty, character, health or fitness for work. Not trained on videos of "
    "real people: figures are from rated still images, from rendered people and from morphed "
    "smiles. Contempt, disgust and fear are rare in the images: see their recalls. Views turned "
    "more than 40 degrees, covered faces and faces under 48 pixels are outside of what was tested."
)


def trained_on(about: dict[str, Any]) -> str:
    """Say what a run learned from."""
    lfw = (
        f" and {about['lfw']} of Labeled Faces in the Wild (Huang et al., 2007) with one label "
        "each (muxspace/facial_expressions, Apache-2.0)"
        if about["lfw"]
        else ""
    )
    return (
        f"{about['stills']} still images of FER+'s training split with ten raters' votes (Barsoum "
        f"et al., 2016; votes MIT){lfw}. Their pixels "
        "were collected from the web, carry no licence of their own and are not passed on; the "
        f"people in them were not asked. {about['sequences']} rendered sequences of "
        f"{about['people']} people who do not exist (ICT-FaceKit Light, MIT); smile onsets of "
        f"{about['onsets']} persons of the Face Research Lab London Set, morphed from two "
        "photographs each (CC BY 4.0, DeBruine & Jones 2017). Begun with the weights "
        f"{about['begun_with'][:8]} of the version before."
    )


def preferred(report: dict[str, Any]) -> str:
    """Return the precision to prefer."""
    cut = [
        report[form]["ferplus_valid"]["cut by the product"]["accuracy"] for form in ("fp32", "int8")
    ]
    return "int8" if cut[0] - cut[1] <= MOST_LOST else "fp32"


def card_text(report: dict[str, Any], digests: dict[str, str], ran: Sequence[str] = ()) -> str:
    """Write the card of a report.

    `digests` are the files' by precision, `ran` the versions of TensorRT that have run them.
    """
    about, best = report["about"], preferred(report)
    other = next(form for form in NAMES if form != best)
    lines = [
        "# IFDD-Stream: the expression a face displays, by the clip of the last second.",
        f'file = "{NAMES[best]}"',
        f'sha256 = "{digests[best]}"',
        f'precision = "{best}"',
        'licence = "Apache-2.0"',
        'reference = "training/ifdd_stream, after IFDD (Zhang et al., AAAI 2025); '
        f'split of the clip: {about["split"]}"',
        f'trained_on = "{trained_on(about)}"',
        f'limits = "{_LIMITS}"',
        'reproduce = "make train-expression"',
        f"seed = {about['seed']}",
        f'data_sha256 = "{about["data_sha256"]}"',
        *proof_lines(ran),
        "",
        f"[forms.{other}]",
        f'file = "{NAMES[other]}"',
        f'sha256 = "{digests[other]}"',
        "",
        "[decode]",
        "outputs = [",
        *(f'    "{name}",' for name in EXPRESSIONS),
        "]",
        f"slot_hz = {SLOT_HZ}",
        f"slots = {SLOTS}",
        f"max_gap_ms = {MAX_GAP_MS}",
        f"tokens = [{PLACES}, {WIDTH}]",
        f"temperature = {report[best]['calibration']['temperature']}",
    ]
    for form in NAMES:
        found = report[form]
        lines += ["", f"[evaluation.ferplus_valid_{form}]"]
        for name, part in found["ferplus_valid"].items():
            label = name.replace(" ", "_")
            for key in ("accuracy", "uar"):
                low, high = part[f"{key}_interval"]
                lines.append(f"{key}_{label} = {part[key]:.4f}")
                lines.append(f"{key}_{label}_interval = [{low:.4f}, {high:.4f}]")
        lines.append(f"calibration_error = {found['calibration']['ece']:.4f}")
    cut = report[best]["ferplus_valid"]["cut by the product"]
    lines += ["", "[evaluation.ferplus_valid_recall]"]
    lines += [f"{name} = {value:.3f}" for name, value in cut["recall"].items()]
    lines += ["", "# Rows: by majority; columns: as read, in the order of the outputs."]
    lines += ["[evaluation.ferplus_valid_confusion]"]
    lines += [f"{name} = {row}" for name, row in zip(EXPRESSIONS, cut["confusion"], strict=True)]
    lfw = report[best]["lfw_kept_out"]
    low, high = lfw["uar_interval"]
    lines += [
        "",
        "# The fifth of its persons that is kept out of every training; one rater an image.",
    ]
    lines += ["[evaluation.lfw_kept_out]", f"n = {lfw['n']}", f"persons = {lfw['persons']}"]
    lines += [f"uar = {lfw['uar']:.4f}", f"uar_interval = [{low:.4f}, {high:.4f}]"]
    lines += [f"recall_{name} = {value:.3f}" for name, value in lfw["recall"].items()]
    lines += [f"talking_{key} = {lfw['talking'][key]:.3f}"
              for key in ("changes_a_minute", "not_neutral")]  # fmt: skip
    studio = report[best]["studio_test"]
    lines += ["", "[evaluation.studio_test]", f"people = {studio['people']}"]
    lines += [f"{name}_uar = {studio[name]['uar']:.4f}" for name in ("clear", "strongest")]
    lines += [
        f"ambiguous_{name}_accuracy = {part['accuracy']:.4f}"
        for name, part in studio["ambiguous"].items()
    ]
    for persons in ("london_036_045", "london_061_090"):
        if persons in report[best]:
            found = report[best][persons]
            lines += ["", f"[evaluation.{persons}_smile_onsets]"]
            lines += [f"{key} = {found[key]}" for key in
                      ("persons", "neutral_first", "happiness_last")]  # fmt: skip
    return "\n".join(lines) + "\n"


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--report", type=Path, required=True)
    parser.add_argument("--onnx", type=Path, required=True, help="folder of both forms")
    parser.add_argument("--out", type=Path, required=True, help="engines/affect_engines")
    options = parser.parse_args()
    report = json.loads(options.report.read_text("utf-8"))
    contents = {form: (options.onnx / name).read_bytes() for form, name in NAMES.items()}
    digests = {form: hashlib.sha256(content).hexdigest() for form, content in contents.items()}
    for form, digest in digests.items():
        if digest != report[form]["sha256"]:
            parser.error(f"{NAMES[form]} is not the file of the report; evaluate it first")
    card = options.out / "cards" / "ifdd_stream.toml"
    text = card_text(report, digests, ran_by_tensorrt(card, digests.values()))
    for folder in ("cards", "weights"):
        (options.out / folder).mkdir(parents=True, exist_ok=True)
    for form, content in contents.items():
        (options.out / "weights" / NAMES[form]).write_bytes(content)
    card.write_text(text, "utf-8")
    print(text)


if __name__ == "__main__":
    main()
