"""Benchmark records: one JSON line a run, with all that is needed to judge or repeat it.

Every record names the code that it measured: commit, date, and git's hash of each folder or file
that took part. :func:`changed_since` compares these hashes with the working tree, so that a table
made of a record says by itself when its figures are of other code.
"""

from __future__ import annotations

import datetime
import hashlib
import json
import math
import os
import platform
import shutil
import subprocess
import tempfile
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

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


_WRITTEN = (":!benchmarks/results", ":!docs", ":!README.md", ":!deploy")
"""What benchmarks write themselves: one command may record many at the same commit."""

PRODUCT = (
    "realtime_affect/affect", "realtime_affect/capture", "realtime_affect/face",
    "realtime_affect/interpret", "realtime_affect/micro", "realtime_affect/runtime",
    "engines/affect_engines",
    "kernels/affect_kernels",
)  # fmt: skip
"""What runs between a source and a reading."""


def code_state(*paths: str) -> dict[str, Any]:
    """Return which code this is; ask before measuring, not after.

    Parameters
    ----------
    paths : str
        Files and folders that take part in the measurement, from the repository's root; default
        :data:`PRODUCT`.

    Returns
    -------
    dict
        ``date``; ``commit``; ``dirty``, whether code differs from it; ``code``, git's hash
        of each path as it stands in the working tree, empty outside a checkout.
    """
    return {
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "commit": _git("rev-parse", "--short", "HEAD"),
        "dirty": bool(_git("status", "--porcelain", "--untracked-files=no", "--", ".", *_WRITTEN)),
        "code": hashes(paths or PRODUCT),
    }


def hashes(paths: Sequence[str]) -> dict[str, str]:
    """Return git's hash of each path in the working tree, ignored files left out.

    Equal to ``git rev-parse HEAD:path`` where nothing was changed; "missing" where there is no such
    path; no entries outside a checkout.
    """
    index = _git("rev-parse", "--git-path", "index")
    if index in ("", "unknown"):
        return {}
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "index"  # the user's own index stays as it is
        shutil.copyfile(REPOSITORY / index, copy)
        for path in paths:
            _git("add", "--all", "--", path, index=copy)
        tree = _git("write-tree", index=copy)
    found = {path: _git("rev-parse", "--verify", "--quiet", f"{tree}:{path}") for path in paths}
    return {path: "missing" if name == "unknown" else name for path, name in found.items()}


def changed_since(record: dict[str, Any]) -> bool | None:
    """Return whether the code that a record measured has changed; None outside a checkout.

    A record of the time before hashes were kept counts as changed.
    """
    code = record.get("code")
    if not code:
        return None if _git("rev-parse", "HEAD") == "unknown" else True
    now = hashes(tuple(code))
    return now != code if now else None


def origin(codes: Iterable[dict[str, Any]], where: str = "") -> str:
    """Return one phrase on the code that records measured: when, which, and whether it changed.

    Parameters
    ----------
    codes : iterable of dict
        Records, or what :func:`code_state` returns; at least one.
    where : str
        Put after dates and commits.
    """
    codes = list(codes)
    told = dict.fromkeys(
        f"{code['date']} at commit {code['commit']}"
        + (" with uncommitted changes" if code["dirty"] else "")
        for code in codes
    )
    text = f"measured {', '.join(told)}{where}"
    changed = dict.fromkeys(code["commit"] for code in codes if changed_since(code))
    if not changed:
        return text
    every = len(changed) == len({code["commit"] for code in codes})
    which = "" if every else f" at {', '.join(changed)}"
    return f"{text}; **the code measured{which} has changed since**"


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
        :func:`code_state` from before the run, whose modules were loaded then; default: now, and
        :data:`PRODUCT`. The script itself is always added.
    """
    code = code or code_state()
    script = hashes([f"benchmarks/{benchmark}.py"])
    return {
        "benchmark": benchmark,
        **(code | {"code": code["code"] | script}),
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


def newest(name: str) -> dict[str, dict[str, Any]]:
    """Return the newest record of each clip, scenario or source of ``<name>.jsonl``."""
    path = RESULTS / f"{name}.jsonl"
    found = read(path) if path.exists() else []
    return dict(sorted({subject(record): record for record in found}.items()))


def report(name: str) -> dict[str, Any] | None:
    """Return the report of an evaluation, ``<name>.json``, or None where there is none yet."""
    path = RESULTS / f"{name}.json"
    return json.loads(path.read_text("utf-8")) if path.exists() else None


def signature(name: str) -> str:
    """Return the line under a table: which code and machine ``<name>.jsonl`` is of.

    The load says whether the machine was quiet: it counts the benchmark itself, about 1.
    """
    machines: dict[str, list[dict[str, Any]]] = {}
    for record in newest(name).values():
        machine = f" on {record['machine']['cpu']}, {record['machine']['cores']} cores, load {{}}"
        note = record["config"].get("note")
        machines.setdefault(machine + (f" ({note})" if note else ""), []).append(record)
    told = [
        origin(found, where.format(f"{max(record['load_1min'] for record in found):.1f}"))
        for where, found in machines.items()
    ]
    return _signed(told, f"benchmarks/results/{name}.jsonl")


def report_signature(*names: str, judged: tuple[str, dict[str, Any]] | None = None) -> str:
    """Return the line under a table: which code reports are of, and whether of the weights shipped.

    Parameters
    ----------
    names : str
        Reports. Under "made" stands the code of a report or of one of its parts, or the code of
        each part by its name.
    judged : tuple of str and dict, optional
        A card, and what names the hash of the weights that were judged.
    """
    told: list[str] = []
    codes: list[dict[str, Any]] = []
    for name in names:
        found = report(name)
        if found is None:
            continue
        parts = [found, *(part for part in found.values() if isinstance(part, dict))]
        made = [part["made"] for part in parts if "made" in part]
        codes += [code for one in made for code in ([one] if "code" in one else one.values())]
        if not made:
            told.append(f"code and date of {name} are not recorded")
    if codes:
        told.insert(0, origin(codes))
    if judged is not None:
        card, found = judged
        sha256 = found.get("onnx_sha256") or found.get("sha256")
        if sha256 and sha256 not in shipped(card):
            told.append("**other weights are shipped now**")
    return _signed(told, ", ".join(f"benchmarks/results/{name}.json" for name in names))


def shipped(card: str) -> set[str]:
    """Return the SHA-256 of each file of weights that the wheel has for a card."""
    folder = REPOSITORY / "engines/affect_engines/weights"
    files = folder.glob(f"{card}*.onnx")
    return {hashlib.sha256(file.read_bytes()).hexdigest() for file in files}


def _signed(told: list[str], files: str) -> str:
    return f"<sub>{'; '.join(told)}; {files}</sub>" if told else "No record yet."


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


def _git(*arguments: str, index: Path | None = None) -> str:
    command = ["git", "-C", str(REPOSITORY), *arguments]
    environment = os.environ | ({"GIT_INDEX_FILE": str(index)} if index else {})
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return done.stdout.strip()
