"""What is known of 64 bit ARM is known of the versions that are pinned today."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
RECORD = ROOT / "benchmarks" / "results" / "aarch64_wheels.json"
LOG = ROOT / "benchmarks" / "results" / "aarch64.log"
AGAIN = "python benchmarks/aarch64.py wheels"


def plain(name):
    return re.sub(r"[-_.]+", "-", name).lower()


@pytest.fixture(scope="module")
def record():
    return json.loads(RECORD.read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def pins():
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pairs = [line.split("#")[0].strip().split("==") for line in lines]
    return {plain(pair[0]): pair[1] for pair in pairs if len(pair) == 2}


@pytest.fixture(scope="module")
def asked():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    return project["project"]["dependencies"]


def runs_on_arm(wheel, python, glibc):
    """Whether a wheel's name promises that CPython `python` on 64 bit ARM can install it."""
    interpreter, abi, platform = wheel.removesuffix(".whl").split("-")[-3:]
    if platform == "any":
        return abi == "none" and "py3" in interpreter.split(".")
    fitting = [int(n) for n in re.findall(r"manylinux_2_(\d+)_aarch64", platform)]
    if "manylinux2014_aarch64" in platform:
        fitting.append(17)
    if not fitting or min(fitting) > glibc:
        return False
    minor = int(python.split(".")[1])
    if abi == "abi3":
        return int(re.fullmatch(r"cp3(\d+)", interpreter)[1]) <= minor
    return interpreter == f"cp3{minor}" == abi or (interpreter == "py3" and abi == "none")


@pytest.mark.parametrize(
    ("wheel", "right"),
    [
        ("numpy-2.4.6-cp311-cp311-manylinux_2_27_aarch64.manylinux_2_28_aarch64.whl", True),
        ("av-18.1.0-cp311-abi3-manylinux_2_28_aarch64.whl", True),
        ("rich-15.0.0-py3-none-any.whl", True),
        ("numpy-2.4.6-cp312-cp312-manylinux_2_28_aarch64.whl", False),
        ("numpy-2.4.6-cp311-cp311-manylinux_2_28_x86_64.whl", False),
        ("numpy-2.4.6-cp311-cp311-manylinux_2_39_aarch64.whl", False),
        ("numpy-2.4.6-cp311-cp311-macosx_14_0_arm64.whl", False),
        ("numpy-2.4.6.tar.gz", False),
    ],
)
def test_a_wheel_s_name_tells_whether_it_runs(wheel, right):
    if wheel.endswith(".tar.gz"):
        with pytest.raises(ValueError, match="unpack"):
            runs_on_arm(wheel, "3.11", 35)
    else:
        assert runs_on_arm(wheel, "3.11", 35) is right


@pytest.mark.parametrize("python", ["3.11", "3.12"])
def test_every_default_dependency_has_a_wheel_for_64_bit_arm(record, asked, python):
    wheels = record["wheels"][python]
    glibc = int(record["glibc"].split(".")[1])
    assert glibc <= 35, "JetPack 6 has glibc 2.35"
    wrong = [w["wheel"] for w in wheels.values() if not runs_on_arm(w["wheel"], python, glibc)]
    assert wrong == []
    wanted = {plain(re.split(r"[<>=!~\[; ]", text)[0]) for text in asked}
    assert wanted - {plain(name) for name in wheels} == set()


@pytest.mark.parametrize("python", ["3.11", "3.12"])
def test_the_record_is_of_the_versions_that_are_pinned_now(record, pins, python):
    found = {plain(name): wheel["version"] for name, wheel in record["wheels"][python].items()}
    stale = {name: (have, pins.get(name)) for name, have in found.items() if pins.get(name) != have}
    assert stale == {}, f"make the record anew: {AGAIN}"


def test_the_record_is_of_the_dependencies_asked_for_now(record, asked):
    assert record["dependencies"] == asked, f"make the record anew: {AGAIN}"


def test_the_log_says_that_every_library_and_the_product_ran_or_which_did_not():
    lines = LOG.read_text(encoding="utf-8").splitlines()
    results = [line for line in lines if line.startswith(("ok  ", "FAIL"))]
    assert any("import onnxruntime" in line for line in results)
    assert any("import ai_edge_litert" in line for line in results)
    assert any(" decode: " in line for line in results)
    assert any(" analyze: " in line for line in results)
    failed = any(line.startswith("FAIL") for line in results)
    assert lines[-1] == ("not all of it ran or agreed" if failed else "all of it ran and agreed")
    assert all(" aarch64 " in line for line in results if line.startswith("ok   import"))
