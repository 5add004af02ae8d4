"""What is installed, what may import what, and what the two commands promise."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = {
    "realtime_affect": ROOT / "realtime_affect",
    "affect_engines": ROOT / "engines" / "affect_engines",
    "affect_kernels": ROOT / "kernels" / "affect_kernels",
    "affect_gui": ROOT / "gui" / "affect_gui",
}
MAX_LINES = 600
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
CONSTRAINTS = ROOT / "constraints.txt"


def read(name):
    path = ROOT / name
    if not path.is_file():
        pytest.skip(f"{name} is not in this tree")
    return path.read_text(encoding="utf-8")


def need(module):
    if importlib.util.find_spec(module) is None:
        pytest.skip(f"{module} is not installed")


def run_python(*arguments, cwd, path=()):
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, path))}
    return subprocess.run(
        [sys.executable, *map(str, arguments)],
        cwd=cwd,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=50,
    )


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """Build the wheel as pip would, without its isolated environment."""
    need("hatchling")
    folder = tmp_path_factory.mktemp("wheel")
    done = run_python("-m", "hatchling", "build", "-t", "wheel", "-d", folder, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    (path,) = folder.glob("*.whl")
    return path


@pytest.fixture(scope="module")
def content(wheel):
    with zipfile.ZipFile(wheel) as archive:
        return set(archive.namelist())


def test_the_wheel_holds_the_four_packages_and_nothing_else(content):
    tops = {name.split("/")[0] for name in content}
    (described,) = [top for top in tops if top.endswith(".dist-info")]
    assert tops - {described} == set(PACKAGES)


def test_the_wheel_holds_every_module_and_data_file_of_the_tree(content):
    expected = {
        f"{package}/{path.relative_to(folder).as_posix()}"
        for package, folder in PACKAGES.items()
        for pattern in ("*.py", "*.cu", "*.cuh", "*.toml", "*.npz", "py.typed", "demo.mp4")
        for path in folder.rglob(pattern)
    }
    assert expected <= content
    assert "realtime_affect/neutral_face.npz" in content
    assert "realtime_affect/py.typed" in content
    assert any(re.fullmatch(r"affect_engines/cards/\w+\.toml", name) for name in content)


def test_the_wheel_holds_no_tests_benchmarks_training_caches_or_networks(content):
    for name in content:
        folders = set(Path(name).parts[:-1])
        assert not folders & {"tests", "benchmarks", "training", "__pycache__"}, name
        assert not name.endswith((".tflite", ".pyc", ".jpg", ".png")), name
    media = {name for name in content if name.endswith((".mp4", ".csv"))}
    assert media == {"realtime_affect/demo/demo.mp4", "realtime_affect/demo/demo.truth.csv"}


def test_the_wheel_brings_its_licences_and_its_command(wheel, content):
    (licence,) = [name for name in content if name.endswith("licenses/LICENSE")]
    assert licence.replace("LICENSE", "THIRD_PARTY.md") in content
    (points,) = [name for name in content if name.endswith("entry_points.txt")]
    with zipfile.ZipFile(wheel) as archive:
        assert "realtime-affect = realtime_affect.cli.main:main" in archive.read(points).decode()


def test_the_unpacked_wheel_works_outside_the_repository(wheel, tmp_path):
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path)
    program = (
        "import affect_engines.cards as cards, affect_kernels.errors, realtime_affect.errors;"
        "[cards.load_card(name) for name in cards.list_cards()];"
        "print(cards.__file__, len(cards.list_cards()))"
    )
    done = run_python("-c", program, cwd=tmp_path, path=[tmp_path])
    assert done.returncode == 0, done.stderr
    file, n_cards = done.stdout.split()
    assert Path(file).is_relative_to(tmp_path)
    assert int(n_cards) == len(list((PACKAGES["affect_engines"] / "cards").glob("*.toml")))


def lint_imports(folder, path):
    need("importlinter")
    program = "from importlinter.cli import lint_imports_command as lint; lint()"
    return run_python("-c", program, "--no-cache", cwd=folder, path=path)


def test_imports_keep_the_rules():
    done = lint_imports(ROOT, [ROOT, *(folder.parent for folder in PACKAGES.values())])
    assert done.returncode == 0, done.stdout + done.stderr


DOWN, INNER = "imports go only downwards", "the pipeline imports only downwards"
SECTION, CIRCLE = "a section imports nothing of what it configures", "no circles between files"
FORBIDDEN = [
    ("affect_engines.base", "torch", "no torch in what is installed"),
    ("realtime_affect.types", "PyQt6.QtCore", "Qt only in the window"),
    ("affect_engines.cards", "tensorrt", "TensorRT only where plans are built and run"),
    ("affect_engines.ort", "pycuda", "PyCUDA only where the device is talked to"),
    ("realtime_affect.micro.flow", "numba", "numba only in compiled forms"),
    ("affect_kernels.errors", "realtime_affect.types", DOWN),
    ("realtime_affect.names", "affect_gui", DOWN),
    ("affect_gui.app", "training.metrics", DOWN),
    (
        "affect_gui.app",
        "realtime_affect.runtime.pipeline",
        "the window shows any source of readings",
    ),
    ("realtime_affect.slots", "realtime_affect.settings", INNER),
    ("realtime_affect.face.pose", "realtime_affect.micro.flow", INNER),
    ("realtime_affect.micro.flow", "realtime_affect.affect.gaze", INNER),
    ("realtime_affect.capture.image", "realtime_affect.face.region", INNER),
    ("realtime_affect.affect.gaze", "realtime_affect.runtime.stats", INNER),
    ("realtime_affect.runtime.stats", "realtime_affect.outputs.video", INNER),
    ("realtime_affect.overlay.drawing", "realtime_affect.timeline.strips", INNER),
    ("realtime_affect.outputs.video", "realtime_affect.analysis", INNER),
    ("realtime_affect.config", "realtime_affect.serve.health", INNER),
    ("realtime_affect.analysis", "realtime_affect.serve.health", INNER),
    ("realtime_affect.serve.health", "realtime_affect.cli.doctor", INNER),
    ("realtime_affect.serve.config", "realtime_affect.runtime.stats", SECTION),
    ("realtime_affect.capture.paths", "realtime_affect.capture.inputs", CIRCLE),
    ("realtime_affect.cli.models", "realtime_affect.cli.main", CIRCLE),
]
"""What imports, what it must not import, and the rule that forbids it."""


@pytest.fixture(scope="module")
def broken(tmp_path_factory):
    """What is said of a copy of the sources that breaks every rule at once: {rule: text}."""
    folder = tmp_path_factory.mktemp("broken")
    shutil.copy(ROOT / "pyproject.toml", folder)
    trees = {**PACKAGES, **{name: ROOT / name for name in ("training", "benchmarks")}}
    for name, tree in trees.items():
        for path in tree.rglob("*.py"):
            target = folder / name / path.relative_to(tree)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, target)
    (folder / "realtime_affect" / "helpers.py").write_text("", encoding="utf-8")
    for module, imported, _ in FORBIDDEN:
        path = folder.joinpath(*module.split("."))
        path = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
        with path.open("a", encoding="utf-8") as stream:
            # Inside a function, where an import hides best.
            stream.write(f"\n\ndef _planted() -> None:\n    import {imported}\n")
    done = lint_imports(folder, [folder])
    assert done.returncode != 0, done.stderr
    _, _, report = done.stdout.partition("Broken contracts\n")
    parts = re.split(r"^(\S.*)\n-{3,}$", report, flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


@pytest.mark.parametrize(("module", "imported", "rule"), FORBIDDEN)
def test_a_forbidden_import_is_caught(broken, module, imported, rule):
    if rule == CIRCLE:
        package = module.rpartition(".")[0]
        assert f"No cycles are allowed in {package}." in broken[rule]
    else:
        top = imported.split(".")[0]
        known = imported if top in {*PACKAGES, "training", "benchmarks"} else top
        assert f"{module} -> {known} (l." in broken[rule]


def test_a_module_that_no_rule_places_is_caught(broken):
    assert "helpers" in broken[INNER]


def test_no_module_is_too_long():
    folders = [*PACKAGES.values(), ROOT / "training", ROOT / "benchmarks"]
    modules = [path for folder in folders for path in folder.rglob("*.py")]
    assert len(modules) > len(PACKAGES)
    lengths = {path: len(path.read_text(encoding="utf-8").splitlines()) for path in modules}
    assert {str(path): n for path, n in lengths.items() if n > MAX_LINES} == {}


def test_every_package_says_that_it_is_typed():
    assert [n for n, folder in PACKAGES.items() if not (folder / "py.typed").is_file()] == []


def test_the_window_is_found_through_its_entry_point():
    (named,) = PROJECT["project"]["entry-points"]["realtime_affect.windows"].values()
    window = importlib.import_module(named)
    assert callable(window.display_available)
    assert callable(window.run_window)


@pytest.mark.parametrize("command", ["run", "test"])
def test_the_makefile_has_the_command_that_the_readme_names(command):
    assert f"make {command}" in read("README.md")
    assert re.search(rf"^{command}:.*## ", read("Makefile"), re.MULTILINE)


def test_the_window_s_hint_names_every_library_that_the_makefile_installs():
    packages = re.search(r"^QT_PACKAGES := ((?:.*\\\n)*.*)$", read("Makefile"), re.MULTILINE)[1]
    hint = re.search(r"sudo apt-get install (.*?)\n\)", read("gui/affect_gui/app.py"), re.DOTALL)[1]
    assert re.findall(r"[\w.+-]+", packages) == re.findall(r"[\w.+-]+", hint)


@pytest.mark.parametrize(
    ("target", "platforms"), [("run", "xcb wayland"), (".venv/.test", "offscreen")]
)
def test_what_qt_loads_is_looked_for_before_it_is_needed(target, platforms):
    recipe = re.search(rf"^{re.escape(target)}:.*\n((?:\t.*\n)*)", read("Makefile"), re.MULTILINE)[
        1
    ]
    assert f"$(call qt,{platforms})" in recipe
    assert "$(call apt,$(QT_PACKAGES))" in recipe


def test_the_version_to_cite_is_the_version_installed():
    assert f"\nversion: {PROJECT['project']['version']}\n" in read("CITATION.cff")


def pinned():
    lines = [line.split("#")[0].strip() for line in read("constraints.txt").splitlines()]
    return [line for line in lines if line]


def plain(name):
    """Return `name` as package indexes compare it (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def test_every_constraint_is_one_exact_version():
    lines = pinned()
    for line in lines:
        assert re.fullmatch(r"[A-Za-z0-9._-]+==[0-9][0-9A-Za-z.+!]*", line), line
    names = [plain(line.split("==")[0]) for line in lines]
    assert sorted(set(names)) == sorted(names), "a name stands twice"


def test_everything_the_project_asks_for_is_pinned():
    names = {plain(line.split("==")[0]) for line in pinned()}
    groups = [
        PROJECT["project"]["dependencies"],
        *PROJECT["project"]["optional-dependencies"].values(),
        *PROJECT["dependency-groups"].values(),
    ]
    wanted = {plain(re.split(r"[<>=!~\[; ]", text)[0]) for group in groups for text in group}
    assert wanted - names == set()


def test_there_is_only_one_opencv():
    opencv = [line for line in pinned() if plain(line).startswith("opencv-")]
    assert len(opencv) == 1
    assert "headless" in opencv[0], "OpenCV's own Qt would meet PyQt6's in one process"


def test_the_main_job_needs_no_cuda_and_no_qt():
    text = " ".join(PROJECT["project"]["dependencies"]).lower()
    assert not re.search(r"nvidia|cuda|tensorrt|torch|onnxruntime-gpu|pyqt|pyside", text)
