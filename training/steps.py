"""A network's making as a list of commands, each printed and run in turn."""

from __future__ import annotations

import shlex
import subprocess
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterable, Mapping
    from pathlib import Path

Step = tuple[str, list[str]]
"""Module and arguments."""


def check_folders(parser: argparse.ArgumentParser, shared: Path, needed: Iterable[str]) -> None:
    """End with a usage error unless `shared` holds the folders needed."""
    for name in needed:
        if not (shared / name).is_dir():
            parser.error(f"no {name} in {shared}; name its folder: --shared FOLDER")


def run_steps(
    package: str, steps: Iterable[Step], elsewhere: Mapping[str, list[str]] | None = None
) -> None:
    """Run modules of a package one after the other; leave with the exit code of one that fails.

    `elsewhere` gives the command of modules that run in an environment of their own.
    """
    for module, arguments in steps:
        ours = [sys.executable, "-m", f"{package}.{module}"]
        command = [*(elsewhere or {}).get(module, ours), *arguments]
        print(shlex.join(["python", *command[1:]]), flush=True)
        done = subprocess.run(command, check=False)
        if done.returncode:
            sys.exit(done.returncode)
