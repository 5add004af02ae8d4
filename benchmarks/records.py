"""Benchmark records: one JSON line a run, with all that is needed to judge or repeat it."""

from __future__ import annotations

import datetime
import json
import math
import os
import platform
import subprocess
from importlib import metadata
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).resolve().parents[1]
RESULTS = Path(__file__).resolve().parent / "results"

_LIBRARIES = (
    "numpy", "opencv-contrib-python-headless", "ai-edge-litert", "onnxruntime", "av", "scipy",
)  # fmt: skip


def machine() -> dict[str, Any]:
    """Describe this machine; its ``id`` is equal where figures may be compared."""
    facts = {
        "cpu": _cpu_model(),
        "cores": os.cpu_count(),
        "memory_gib": round(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2**30),
        "system": f"{platform.system()} {platform.machine()}",
    }
    return {"id": " / ".join(str(value) for value in facts.values()), **facts}


def code_state() -> dict[str, Any]:
    """Commit of this code, and whether it was changed since; ask before measuring, not after."""
    return {
        "commit": _git("rev-parse", "--short", "HEAD"),
        "dirty": bool(_git("status", "--porcelain", "--untracked-files=no")),
    }


def new_record(
    benchmark: str,
    config: dict[str, Any],
    figures: dict[str, Any],
    code: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """Assemble a record.

    Parameters
    ----------
    benchmark : str
        Name of the script.
    config : dict
        Everything that was chosen: source, rounds, threads, settings.
    figures : dict
        Everything that was measured, raw values included; units in the names.
    code : dict, optional
        :func:`code_state` from before the run, whose modules were loaded then; default: now.
    """
    return {
        "benchmark": benchmark,
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        **(code or code_state()),
        "machine": machine(),
        "load_1min": round(os.getloadavg()[0], 2),
        "versions": {"python": platform.python_version()}
        | {name: metadata.version(name) for name in _LIBRARIES},
        "config": config,
        "figures": figures,
    }


def append(record: dict[str, Any], folder: Path = RESULTS) -> Path:
    """Add a record to ``<folder>/<benchmark>.jsonl``."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{record['benchmark']}.jsonl"
    line = json.dumps(_without_nan(record), allow_nan=False)
    with path.open("a", encoding="utf-8") as file:
        file.write(line + "\n")
    return path


def read(path: Path) -> list[dict[str, Any]]:
    """Read all records of a file, oldest first."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line]


def subject(record: dict[str, Any]) -> str:
    """Return what was measured: the clip, scenario or source of a record."""
    config = record["config"]
    return next((config[key] for key in ("clip", "scenario", "source") if key in config), "")


def _without_nan(value: Any) -> Any:
    """Put null where there is no number: NaN is not JSON."""
    if isinstance(value, dict):
        return {key: _without_nan(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_without_nan(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _cpu_model() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or "unknown"
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def _git(*arguments: str) -> str:
    command = ["git", "-C", str(REPOSITORY), *arguments]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
