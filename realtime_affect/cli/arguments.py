"""What arguments of the command line take, beyond what typer checks."""

from __future__ import annotations

import math
from pathlib import Path

import typer


def path_argument(given: str | Path) -> Path:
    """Take a path from the command line; an empty one would be the working directory."""
    text = str(given)  # a default comes as it is
    if not text or "\0" in text:
        message = "an empty path" if not text else "a path with a NUL inside"
        raise typer.BadParameter(message)
    return Path(text)


def number_argument(value: float | None) -> float | None:
    """Refuse what is no number: it is neither too small nor too large."""
    if value is not None and math.isnan(value):
        message = f"{value} is no number"
        raise typer.BadParameter(message)
    return value
