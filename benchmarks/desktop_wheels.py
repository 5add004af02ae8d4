"""Windows and macOS without either: every dependency's wheel, the window's too.

    python benchmarks/desktop_wheels.py             # ask the package index, write the record

Resolves the default dependencies and those of the extra ``gui``, at the versions of
constraints.txt, for 64 bit Windows and for macOS on Apple's processors, for each Python, with
nothing built from source. What only these systems need is added by name, as pip reads the markers
of the system it runs on. It says that everything can be installed there, not that it runs.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
import tomllib
from typing import Any

import records

ROOT = records.REPOSITORY
RECORD = records.RESULTS / "desktop_wheels.json"
PYTHONS = ("3.11", "3.12")
PLATFORMS = {
    "win_amd64": ("win_amd64",),
    "macosx_arm64": tuple(
        f"macosx_{n}_0_{kind}" for n in range(11, 16) for kind in ("arm64", "universal2")
    ),
}


def dependencies() -> list[str]:
    """Return what an installation with the window needs on these systems, without markers."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    stated = project["dependencies"] + project["optional-dependencies"]["gui"]
    return [re.sub(r"\s*;.*", "", one) for one in stated]


def resolve(platform: str, python: str) -> dict[str, dict[str, str]]:
    """Ask the index; return version and file of each wheel by name."""
    command = [
        sys.executable, "-m", "pip", "install", "--quiet", "--retries", "20",
        "--disable-pip-version-check", "--only-binary=:all:", "--implementation", "cp",
        "--python-version", python, "--constraint", str(ROOT / "constraints.txt"), "--dry-run",
        "--ignore-installed", "--target", "unused", "--report", "-",
        *(option for tag in PLATFORMS[platform] for option in ("--platform", tag)),
        *dependencies(),
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{platform}, Python {python}: {done.stderr.strip()}")
    found: dict[str, dict[str, str]] = {}
    for item in json.loads(done.stdout)["install"]:
        wheel = item["download_info"]["url"].rsplit("/", 1)[-1]
        name = item["metadata"]["name"].lower()
        found[name] = {"version": item["metadata"]["version"], "wheel": wheel}
    return dict(sorted(found.items()))


def main() -> None:
    """Write the record."""
    resolved: dict[str, Any] = {
        platform: {python: resolve(platform, python) for python in PYTHONS}
        for platform in PLATFORMS
    }
    record = {
        "made_by": "python benchmarks/desktop_wheels.py",
        "date": time.strftime("%Y-%m-%d", time.gmtime()),
        "dependencies": dependencies(),
        "wheels": resolved,
    }
    RECORD.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    print(f"wheels of {len(resolved)} systems in {RECORD.name}")


if __name__ == "__main__":
    main()
