"""Write README's tables from the records: the newest record of each kind, nothing typed by hand.

python benchmarks/tables.py                     prints them
python benchmarks/tables.py --write [README]    puts them between the markers of README.md
"""

from __future__ import annotations

import argparse
import re
from pathlib import Path
from typing import Any

import records

README = records.REPOSITORY / "README.md"


def newest(name: str) -> dict[str, dict[str, Any]]:
    """Return the newest record of each clip, scenario or source, by its name."""
    path = records.RESULTS / f"{name}.jsonl"
    found = records.read(path) if path.exists() else []
    return dict(sorted({records.subject(record): record for record in found}.items()))


def peer_table() -> str:
    """CPU time beside MediaPipe."""
    rows = ["| clip | faces | ours | MediaPipe 0.10.21 | ratio |", "|---|---|---|---|---|"]
    for clip, record in newest("peer_mediapipe").items():
        figures = record["figures"]
        rows.append(
            f"| {clip} | {figures['faces']} | {figures['ours_cpu_ms']:.2f} ms "
            f"| {figures['mediapipe_cpu_ms']:.2f} ms | {figures['ratio']:.2f} |"
        )
    return "\n".join([*rows, "", _provenance("peer_mediapipe")])


def latency_table() -> str:
    """Percentiles of every stage, by scenario."""
    parts = []
    for scenario, record in newest("latency").items():
        figures = record["figures"]
        parts += [
            f"`{scenario}`: {figures['frames_analysed']} frames analysed, "
            f"{figures['frames_dropped']} dropped, "
            f"first reading after {figures['first_reading_ms'] / 1e3:.1f} s.",
            "",
            "| milliseconds | p50 | p90 | p99 | max |",
            "|---|---|---|---|---|",
        ]
        for name, stage in figures["stage_ms"].items():
            if stage["n"]:
                cells = " | ".join(f"{stage[key]:.1f}" for key in ("p50", "p90", "p99", "max"))
                parts.append(f"| {name} | {cells} |")
        parts.append("")
    return "\n".join([*parts, _provenance("latency")])


def soak_table() -> str:
    """Slopes of memory and time."""
    lines = []
    for source, record in newest("soak").items():
        figures = record["figures"]
        lines.append(
            f"`{source}`, {record['config']['minutes']:g} minutes, {figures['frames']} frames, "
            f"{figures['frames_dropped']} dropped: "
            f"memory {figures['resident_slope_mib_per_min']:+.2f} MiB a minute, time a frame "
            f"{figures['median_slope_ms_per_min']:+.3f} ms a minute."
        )
    return "\n".join([*lines, "", _provenance("soak")])


TABLES = {"peer": peer_table, "latency": latency_table, "soak": soak_table}


def filled(text: str) -> str:
    """Return README's text with every marked block made anew."""
    for name, table in TABLES.items():
        block = re.compile(rf"(<!-- {name} -->\n).*?(\n<!-- /{name} -->)", re.DOTALL)
        text = block.sub(lambda found, table=table: found[1] + table() + found[2], text)
    return text


def _provenance(name: str) -> str:
    """Say where and from which code the figures of a table come, once for each that differs.

    The load tells whether the machine was quiet: it counts the benchmark itself, about 1.
    """
    loads: dict[str, float] = {}
    for record in newest(name).values():
        origin = (
            f"{record['machine']['cpu']}, {record['machine']['cores']} cores; {record['date']}, "
            f"commit {record['commit']}{' and uncommitted changes' if record['dirty'] else ''}"
        )
        loads[origin] = max(loads.get(origin, 0.0), record["load_1min"])
    if not loads:
        return "No record yet."
    told = " · ".join(f"{origin}, load {load:.1f}" for origin, load in loads.items())
    return f"<sub>{told}; benchmarks/results/{name}.jsonl</sub>"


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--write", type=Path, nargs="?", const=README, metavar="README")
    readme = parser.parse_args().write
    if readme:
        readme.write_text(filled(readme.read_text(encoding="utf-8")), encoding="utf-8")
    else:
        print("\n\n".join(table() for table in TABLES.values()))


if __name__ == "__main__":
    main()
