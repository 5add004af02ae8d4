"""What is known of Windows and macOS is known of the versions that are pinned today."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
RECORD = ROOT / "benchmarks" / "results" / "desktop_wheels.json"
AGAIN = "python benchmarks/desktop_wheels.py"


def plain(name):
    return re.sub(r"[-_.]+", "-", name).lower()


@pytest.fixture(scope="module")
def record():
    return json.loads(RECORD.read_text(encoding="utf-8"))


def test_the_record_is_of_the_dependencies_stated_today(record):
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    stated = project["dependencies"] + project["optional-dependencies"]["gui"]
    assert record["dependencies"] == [re.sub(r"\s*;.*", "", one) for one in stated], AGAIN


def test_every_wheel_is_the_pinned_version_and_fits_its_system(record):
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pairs = [line.split("#")[0].strip().split("==") for line in lines]
    pins = {plain(pair[0]): pair[1] for pair in pairs if len(pair) == 2}
    assert set(record["wheels"]) == {"win_amd64", "macosx_arm64"}
    for system, by_python in record["wheels"].items():
        assert set(by_python) == {"3.11", "3.12"}
        for wheels in by_python.values():
            names = {plain(name) for name in wheels}
            assert {"pyqt6", "pyqtgraph", "cv2-enumerate-cameras", "av", "onnxruntime"} <= names
            for name, wheel in wheels.items():
                assert wheel["version"] == pins.get(plain(name), wheel["version"]), (name, AGAIN)
                tag = wheel["wheel"].removesuffix(".whl").split("-")[-1]
                wanted = (
                    "win_amd64" if system == "win_amd64" else r"macosx_\d+_\d+_(arm64|universal2)"
                )
                assert tag == "any" or re.search(wanted, tag), wheel["wheel"]
