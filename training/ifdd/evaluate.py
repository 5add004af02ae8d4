"""Score IFDD on databases of labelled clips, with weights that others hold."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from training.ifdd.convert import load_weights
from training.ifdd.databases import CLASSES, read_clips
from training.ifdd.network import IFDD
from training.ifdd.train import evaluate
from training.reports import write_report

if TYPE_CHECKING:
    from pathlib import Path


def evaluate_expressions(
    dataset: str, root: Path, fold: int, weights: Path, out: Path | None
) -> dict[str, Any]:
    """Score IFDD with `weights` on the test split, print and write the report."""
    from rich.console import Console
    from rich.progress import track

    clips = read_clips(dataset, root, "test", fold)
    network = IFDD(len(CLASSES[dataset]))
    network.load_state_dict(load_weights(weights))
    shown = track(clips, f"reading {dataset}", console=Console(stderr=True))
    report = {"dataset": dataset, "fold": fold, **evaluate(network, shown, dataset)}
    print(f"{dataset}, fold {fold}: {report['clips']} clips")
    print(f"WAR {report['war']:.4f}, UAR {report['uar']:.4f}")
    for name, row in zip(CLASSES[dataset], report["confusion"], strict=True):
        print(f"{name:>10}  {' '.join(f'{count:6}' for count in row)}")
    write_report(report, out)
    return report
