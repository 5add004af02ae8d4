"""The scripts of ``benchmarks/`` as modules: they import each other by bare names."""

from __future__ import annotations

import importlib
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"


@pytest.fixture
def script(monkeypatch):
    """Import one script by its name."""
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    return importlib.import_module


@pytest.fixture
def run_main(script, monkeypatch):
    """Run one script's command line inside this process."""

    def run(name, *arguments):
        module = script(name)
        monkeypatch.setattr("sys.argv", [f"{name}.py", *map(str, arguments)])
        module.main()

    return run


@pytest.fixture
def recorded_in(script, monkeypatch, tmp_path):
    """Let records go into a folder of the test's own; return it."""
    records = script("records")
    append = records.append
    monkeypatch.setattr(records, "append", lambda record: append(record, tmp_path))
    monkeypatch.setattr(records, "RESULTS", tmp_path)
    return tmp_path
