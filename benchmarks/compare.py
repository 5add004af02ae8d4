"""Two record files side by side; refuses figures of different machines.

python benchmarks/compare.py before.jsonl after.jsonl
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import records


def numbers(figures: dict[str, Any], prefix: str = "") -> dict[str, float]:
    """Flatten figures to dotted names; a list counts by its minimum."""
    flat: dict[str, float] = {}
    for key, value in figures.items():
        if isinstance(value, dict):
            flat |= numbers(value, f"{prefix}{key}.")
        elif isinstance(value, list) and value and isinstance(value[0], int | float):
            flat[f"{prefix}{key} (min)"] = min(value)
        elif isinstance(value, int | float):
            flat[prefix + key] = value
    return flat


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("before", type=Path)
    parser.add_argument("after", type=Path)
    options = parser.parse_args()
    before, after = records.read(options.before)[-1], records.read(options.after)[-1]
    for what in ("benchmark", "machine"):
        if before[what] != after[what]:
            message = f"not comparable: {what} {before[what]} and {after[what]}"
            raise SystemExit(message)
    old, new = numbers(before["figures"]), numbers(after["figures"])
    print(f"{before['benchmark']}: {before['commit']} -> {after['commit']}")
    for name in old.keys() & new.keys():
        ratio = f"{new[name] / old[name]:.3f}" if old[name] else "-"
        print(f"{name:<40} {old[name]:>12.4g} {new[name]:>12.4g}  x {ratio}")


if __name__ == "__main__":
    main()
