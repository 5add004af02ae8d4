"""Figures of scenarios -> one table in Markdown, to be read and to be pasted into an issue."""

from __future__ import annotations

import math
import platform
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import psutil

from realtime_affect.cores import usable_cores

if TYPE_CHECKING:
    from collections.abc import Mapping

_AGES: Final = ("p50", "p90", "p95", "p99", "max")
_STAGES: Final = ("detect", "track", "mesh", "action_units", "vision", "affect")
_LIBRARIES: Final = ("numpy", "numba", "ai-edge-litert", "onnxruntime")


def about_machine() -> str:
    """Return one line on what the figures were measured on; no path, no name of a host."""
    model = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.is_file():
        lines = cpuinfo.read_text(encoding="utf-8", errors="replace").splitlines()
        named = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
        model = named[0] if named else model
    cores = len(usable_cores())
    versions = ", ".join(f"{name} {_version(name)}" for name in _LIBRARIES)
    return (
        f"realtime-affect {_version('realtime-affect')} on {model}, {cores} cores, "
        f"load {psutil.getloadavg()[0]:.1f}; Python {platform.python_version()}, {versions}"
    )


def bench_table(found: Mapping[str, Mapping[str, Any]]) -> str:
    """Return tables of scenarios by name, each the figures of ``measure``: ages, then stages.

    "stolen" is what other machines took of this one's processors, where the system says it.
    """
    rows = [
        f"| scenario | faces | frames a second | dropped | age ms {', '.join(_AGES)} | jitter ms "
        "| first result | CPU ms a frame | memory | stolen |",
        "|---" * 10 + "|",
    ]
    for name, figures in found.items():
        stages = figures["stage_ms"]
        ages = stages.get("painted", {"n": 0})
        ages = ages if ages["n"] else stages.get("age")
        shown = " / ".join(f"{ages[key]:.0f}" for key in _AGES) if ages else "-"
        jitter = f"{stages['jitter']['p50']:.1f}" if "jitter" in stages else "-"
        captured = figures["frames_analysed"] + figures["frames_dropped"]
        faces = max(figures["faces_by_frame"].items(), key=lambda item: item[1], default=("-", 0))
        rows.append(
            f"| {name} | {faces[0]} | {figures['fps']:.1f} "
            f"| {figures['frames_dropped'] / max(1, captured):.1%} | {shown} | {jitter} "
            f"| {_seconds(figures['first_reading_ms'])} | {1e3 * figures['cpu_s_per_frame']:.1f} "
            f"| {figures['resident_mib']:.0f} MiB | {_share(figures.get('stolen_share'))} |"
        )
    rows += ["", f"| ms p50 / p95 | {' | '.join(_STAGES)} |", "|---" * (len(_STAGES) + 1) + "|"]
    for name, figures in found.items():
        cells = [
            f"{times['p50']:.1f} / {times['p95']:.1f}" if times else "-"
            for times in (figures["stage_ms"].get(stage) for stage in _STAGES)
        ]
        rows.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(rows)


def _seconds(milliseconds: float) -> str:
    return f"{milliseconds / 1e3:.1f} s" if math.isfinite(milliseconds) else "-"


def _share(share: float | None) -> str:
    return "-" if share is None or math.isnan(share) else f"{share:.1%}"


def _version(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return "?"
