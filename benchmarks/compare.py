"""Two record files side by side, run by run; refuses figures of different machines.

python benchmarks/compare.py before.jsonl after.jsonl
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import records


def numbers(figures: dict[str, Any], prefix: str = "") -> dict[str, float]:
    """Flatten figures to dotted names; a list counts by its minimum, raw samples are left out."""
    flat: dict[str, float] = {}
    for key, value in figures.items():
        if key.startswith("raw_"):
            continue
        if isinstance(value, dict):
            flat |= numbers(value, f"{prefix}{key}.")
        elif isinstance(value, list) and value and isinstance(value[0], int | float):
            flat[f"{prefix}{key} (min)"] = min(value)
        elif isinstance(value, int | float):
            flat[prefix + key] = value
    return flat


def newest(path: Path) -> dict[str, dict[str, Any]]:
    """Return the newest record of each clip, scenario or source in a file."""
    return {records.subject(record): record for record in records.read(path)}


def show(before: dict[str, Any], after: dict[str, Any]) -> None:
    """Print two records of the same thing, with after over before."""
    about = f"{before['benchmark']} {records.subject(before)}".rstrip()
    print(f"{about}: {before['commit']} -> {after['commit']}")
    changed = [
        key
        for key in before["config"] | after["config"]
        if before["config"].get(key) != after["config"].get(key)
    ]
    if changed:
        print("settings differ:", ", ".join(changed))
    old, new = numbers(before["figures"]), numbers(after["figures"])
    for name in (name for name in old if name in new):
        ratio = f"{new[name] / old[name]:.3f}" if old[name] else "-"
        print(f"{name:<40} {old[name]:>12.4g} {new[name]:>12.4g}  x {ratio}")


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("before", type=Path)
    parser.add_argument("after", type=Path)
    options = parser.parse_args()
    before, after = newest(options.before), newest(options.after)
    common = [subject for subject in before if subject in after]
    if not common:
        message = f"not comparable: {', '.join(before)} and {', '.join(after)} have nothing common"
        raise SystemExit(message)
    for subject in common:
        for what in ("benchmark", "machine"):
            if before[subject][what] != after[subject][what]:
                message = (
                    f"not comparable: {what} {before[subject][what]} and {after[subject][what]}"
                )
                raise SystemExit(message)
    for subject in common:
        show(before[subject], after[subject])


if __name__ == "__main__":
    main()
