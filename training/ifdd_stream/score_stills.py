"""Score the shipped expression network on FER+, each still a clip that stands still."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from affect_engines import load_card
from affect_engines.store import model_path
from realtime_affect.names import EXPRESSIONS
from training.ifdd_stream.evaluate import figures, open_session, read_pictures
from training.ifdd_stream.stills import read_stills
from training.reports import shown, write_report

if TYPE_CHECKING:
    from pathlib import Path


def evaluate_stills(pack: Path, split: str, precision: str, out: Path | None) -> dict[str, Any]:
    """Score the shipped IFDD-Stream on FER+ stills, print and write the report.

    Each still is a clip that stands still; faces without a strict majority are left out.
    """
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
        print(f"{name:>10} {shown(recall):>6}  {' '.join(f'{count:5}' for count in row)}")
    write_report(report, out)
    return report


def _interval(bounds: tuple[float, float]) -> str:
    return f"({bounds[0]:.3f} to {bounds[1]:.3f})"
