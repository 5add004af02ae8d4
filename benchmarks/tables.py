"""Write README's tables from the records: the newest record of each kind, nothing typed by hand.

python benchmarks/tables.py            prints them
python benchmarks/tables.py --write    puts them between README's markers
"""

from __future__ import annotations

import argparse
import re
from typing import Any

import records

README = records.REPOSITORY / "README.md"


def newest(name: str, key: str) -> dict[str, dict[str, Any]]:
    """Return the newest record for each value of ``config[key]``."""
    path = records.RESULTS / f"{name}.jsonl"
    return {record["config"][key]: record for record in records.read(path)} if path.exists() else {}


def peer_table() -> str:
    """CPU time beside MediaPipe."""
    rows = ["| clip | faces | ours | MediaPipe 0.10.21 | ratio |", "|---|---|---|---|---|"]
    for clip, record in sorted(newest("peer_mediapipe", "clip").items()):
        figures = record["figures"]
        rows.append(
            f"| {clip} | {figures['faces']} | {figures['ours_cpu_ms']:.2f} ms "
            f"| {figures['mediapipe_cpu_ms']:.2f} ms | {figures['ratio']:.2f} |"
        )
    return "\n".join([*rows, "", _provenance("peer_mediapipe")])


def latency_table() -> str:
    """Percentiles of every stage, by scenario."""
    parts = []
    for scenario, record in sorted(newest("latency", "scenario").items()):
        figures = record["figures"]
        parts += [
            f"`{scenario}`: {figures['frames_analysed']} frames analysed, "
            f"{figures['frames_dropped']} dropped.",
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
    for source, record in newest("soak", "source").items():
        figures = record["figures"]
        lines.append(
            f"`{source}`, {record['config']['minutes']:g} minutes, {figures['frames']} frames: "
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
    path = records.RESULTS / f"{name}.jsonl"
    if not path.exists():
        return "No record yet."
    record = records.read(path)[-1]
    return (
        f"<sub>{record['machine']['cpu']}, {record['machine']['cores']} cores; {record['date']}, "
        f"commit {record['commit']}; benchmarks/results/{name}.jsonl</sub>"
    )


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--write", action="store_true")
    if parser.parse_args().write:
        README.write_text(filled(README.read_text(encoding="utf-8")), encoding="utf-8")
    else:
        print("\n\n".join(table() for table in TABLES.values()))


if __name__ == "__main__":
    main()
