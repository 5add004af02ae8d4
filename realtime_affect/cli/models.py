"""What each network was trained on, scores and must not be used for: ``doctor --models``."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from affect_engines.store import StoredModel, cards_without_file, list_models
from realtime_affect.names import FACS_NAMES

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from affect_engines import ModelCard

_MARKS: Final = {"ok": "[green]ok[/]", "missing": "[red]missing[/]", "damaged": "[red]damaged[/]"}
_RECALL: Final = "ferplus_valid_recall"
_TRUST: Final = {"high": "[green]high[/]", "medium": "medium", "low": "[yellow]low[/]"}


@dataclass(frozen=True, slots=True)
class ModelReport:
    """Every model card beside the state of its file, and those that have none."""

    models: tuple[StoredModel, ...]
    without_file: tuple[ModelCard, ...] = ()

    @property
    def ok(self) -> bool:
        """Whether every file is there and is the one its card describes."""
        return all(model.state == "ok" for model in self.models)

    def as_dict(self) -> dict[str, Any]:
        """Return plain values, ready for JSON; what is not known is None."""
        return {
            "ok": self.ok,
            "models": [_as_dict(model) for model in self.models],
            "without_file": [
                {
                    "name": card.name,
                    "reference": card.reference,
                    "limits": card.limits,
                    "ran_by_tensorrt": _ran(card),
                }
                for card in self.without_file
            ],
        }

    def print(self, console: Console) -> None:
        """Print each card, and a table of what is known about each action unit."""
        from rich.markup import escape
        from rich.table import Table

        from realtime_affect.printable import printable

        for model in self.models:
            card = model.card
            table = Table(box=None, pad_edge=False, show_header=False, title_justify="left")
            table.add_column(style="dim", no_wrap=True)
            table.add_column(overflow="fold")
            source = "shipped with this program" if card.shipped else card.package
            for what, text in (
                ("licence", card.licence), ("from", source), ("file", printable(model.path)),
                ("trained on", card.trained_on), ("limits", card.limits),
                ("made by", card.reproduce), ("TensorRT", _proof(card)),
            ):  # fmt: skip
                if text:
                    table.add_row(what, escape(text))
            form = f" ({card.precision})" if card.precision else ""
            console.print(f"[bold]{card.name}[/]{form}  {_MARKS[model.state]}")
            console.print(table)
            if card.units:
                console.print(_units_table(card))
            if _RECALL in card.evaluation and card.precision:
                console.print(_expressions_table(card))
            console.print()
        for card in self.without_file:
            console.print(f"[bold]{card.name}[/]  [dim]no weights[/]")
            for text in (card.reference, card.trained_on, card.limits):
                console.print(escape(text), style="dim")
            console.print(f"TensorRT: {escape(_proof(card))}", style="dim")
            console.print()
        if not self.ok:
            console.print("Missing or damaged files are mended by: realtime-affect models fetch.")


def describe_models() -> ModelReport:
    """Read every card and look at its file."""
    return ModelReport(list_models(), cards_without_file())


def _proof(card: ModelCard) -> str:
    """Say which TensorRT has run this network, and where; nothing where none can."""
    if card.ran_by_tensorrt is None:
        return ""
    if card.ran_by_tensorrt:
        return f"a plan of it has run with {', '.join(card.ran_by_tensorrt)}"
    return "unproved: no plan of it has run yet, with any TensorRT on any GPU"


def _ran(card: ModelCard) -> list[str] | None:
    return None if card.ran_by_tensorrt is None else list(card.ran_by_tensorrt)


def _expressions_table(card: ModelCard) -> Table:
    """Return accuracy on rated stills and the recall of each expression."""
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="dim", padding=(0, 2, 0, 0))
    table.add_column("FER+ valid", no_wrap=True)
    table.add_column("share read right", justify="right")
    scores = card.evaluation[f"ferplus_valid_{card.precision}"]
    table.add_row("all faces", f"{scores['accuracy_plain']:.3f}")
    table.add_row("mean of expressions", f"{scores['uar_plain']:.3f}")
    for name, recall in card.evaluation[_RECALL].items():
        table.add_row(name, f"{recall:.2f}")
    return table


def _units_table(card: ModelCard) -> Table:
    """Return what is known about each unit; figures are from the studio's test split."""
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="dim", padding=(0, 2, 0, 0))
    for heading in ("unit", "FACS name", "trust"):
        table.add_column(heading, no_wrap=True)
    for heading in ("present from", "ICC", "MAE", "F1"):
        table.add_column(heading, justify="right")
    for name, unit in card.units.items():
        label = name, FACS_NAMES[name]
        if unit.trust == "none":
            table.add_row(*label, "[dim]no evidence, always empty[/]")
            continue
        figures = (f"{unit.figures[key]:.2f}" for key in ("icc", "mae", "f1"))
        table.add_row(*label, _TRUST[unit.trust], f"{unit.present_at:.2f}", *figures)
    return table


def _as_dict(model: StoredModel) -> dict[str, Any]:
    card = model.card
    return {
        "name": card.name, "state": model.state, "path": str(model.path), "file": card.file,
        "precision": card.precision or None, "sha256": card.sha256,
        "licence": card.licence, "reference": card.reference,
        "package": card.package or None, "trained_on": card.trained_on, "limits": card.limits,
        "reproduce": card.reproduce or None, "ran_by_tensorrt": _ran(card),
        "units": {
            name: {
                "trust": unit.trust,
                "present_at": None if math.isnan(unit.present_at) else unit.present_at,
                **unit.figures,
            }
            for name, unit in card.units.items()
        },
        "evaluation": {name: dict(figures) for name, figures in card.evaluation.items()},
    }  # fmt: skip
