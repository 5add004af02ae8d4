"""Reports of evaluations as JSON and as text."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from pathlib import Path


def write_report(report: dict[str, Any], out: Path | None) -> None:
    """Write a report as JSON to `out`, where one is named; NaN and infinity become null."""
    if out is not None:
        text = json.dumps(_without_nan(report), indent=1, allow_nan=False)
        out.write_text(text + "\n", "utf-8")


def shown(value: float) -> str:
    """Return a figure with three decimals, nothing for NaN."""
    return "" if np.isnan(value) else f"{value:.3f}"


def _without_nan(value: Any) -> Any:
    """Replace NaN and infinity, which JSON does not know, by None."""
    if isinstance(value, dict):
        return {key: _without_nan(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_without_nan(item) for item in value]
    return None if isinstance(value, float) and not np.isfinite(value) else value
