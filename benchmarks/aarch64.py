"""ARM without an ARM machine: every dependency's wheel, and the product itself, emulated.

    python benchmarks/aarch64.py wheels             # ask the package index, write the record
    python benchmarks/aarch64.py run [--root DIR]   # as root: emulate Debian arm64, write the log

``wheels`` resolves the default dependencies at the versions of constraints.txt for 64 bit ARM, for
each Python, with nothing built from source. ``run`` makes a Debian arm64 folder with debootstrap,
installs those wheels, and runs the product in it under qemu-user: each library by itself first,
so that one which the emulator cannot run is named, then frames of the demo, whose pixels and rows
are compared with this machine's; then the kernels that were compiled on the way. It needs
debootstrap, qemu-user-static and its binfmt entry; times in the log say how slow the emulator is
and nothing of ARM.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import re
import shutil
import subprocess
import sys
import time
import tomllib
from collections import Counter
from fractions import Fraction
from pathlib import Path
from typing import Any

import records

ROOT = records.REPOSITORY
RECORD = records.RESULTS / "aarch64_wheels.json"
LOG = records.RESULTS / "aarch64.log"
PYTHONS = ("3.11", "3.12")
# What glibc 2.35 of JetPack 6 (Ubuntu 22.04) can load; JetPack 7 and Debian 12 have a newer one.
GLIBC = 35
FRAMES = 8
# The pixels are the same, and so is what OpenCV makes of the same pixels. Networks sum in another
# order: their answers to the same input differ by 1e-6 of the largest, which now and then turns a
# pixel of a face's image by a level, and the next image is cut where the last one's face was found.
# How far that moves each column is measured here, with answers that are off by as much. One level
# of brightness everywhere moves them no further, so pixels are compared by themselves.
MOST_APART = 0.01  # of any column, and
TIMES = 2  # as far apart as the furthest of so many runs with answers that are off:
RUNS = 5
NAMED = 4  # columns, in the log
PACKAGES = ("realtime_affect", "engines/affect_engines", "kernels/affect_kernels")
LIBRARIES = (
    "numpy", "numba", "scipy", "cv2", "av", "ai_edge_litert.interpreter", "onnxruntime",
    "matplotlib", "rich", "typer", "platformdirs",
)  # fmt: skip
# In a fresh interpreter: import, and do a little work where importing alone runs no code.
PROBES = {
    "numpy": (
        "a = m.random.default_rng(0).random((99, 99)); "
        "assert m.allclose(a @ m.linalg.inv(a), m.eye(99))"
    ),
    "scipy": (
        "from scipy.optimize import linear_sum_assignment as pairs; "
        "assert pairs([[4, 1], [2, 9]])[1].tolist() == [1, 0]"
    ),
    "numba": "assert m.njit('int64(int64)')(lambda x: 2 * x)(21) == 42",
    "cv2": "import numpy; assert m.resize(numpy.full((8, 8, 3), 9, 'u1'), (4, 4)).mean() == 9",
    "av": "assert 'h264' in m.codecs_available",
}
# Prints how many images a video has, and a digest of their pixels.
PIXELS = """
import hashlib, sys
from pathlib import Path
from realtime_affect.capture.files import VideoFile
from realtime_affect.capture.source import CaptureConfig
source, digest, n = VideoFile(Path(sys.argv[1]), CaptureConfig()), hashlib.sha256(), 0
while (frame := source.read(60.0)) is not None:
    digest.update(frame.image)
    n += 1
print(n, digest.hexdigest())
"""


# Analyses with every network's answers off by a millionth of their largest; first argument: a seed.
ROUNDED = """
import sys
import numpy as np
from affect_engines.blocks import BlocksEngine
from affect_engines.litert import LiteRtEngine
from affect_engines.ort import OrtEngine
draw = np.random.default_rng(int(sys.argv.pop(1)))
def off(value):
    if value.dtype.kind != "f":
        return value
    return value + (1e-6 * abs(value).max() * draw.standard_normal(value.shape)).astype(value.dtype)
def rounded(infer):
    return lambda self, feeds: {name: off(value) for name, value in infer(self, feeds).items()}
for engine in (BlocksEngine, LiteRtEngine, OrtEngine):
    engine.infer = rounded(engine.infer)
"""
ANALYZE = "from realtime_affect.cli.main import main; main()"


def default_dependencies() -> list[str]:
    """Return the dependencies of a plain install, as pyproject.toml states them."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    return list(project["project"]["dependencies"])


def platforms(glibc: int = GLIBC) -> list[str]:
    """Return pip's options for 64 bit ARM with a glibc of 2.`glibc`."""
    tags = ["manylinux2014_aarch64", *(f"manylinux_2_{n}_aarch64" for n in range(17, glibc + 1))]
    return [option for tag in tags for option in ("--platform", tag)]


def pip(python: str, *arguments: str) -> list[str]:
    """Return a pip command that installs for ARM and `python` and builds nothing."""
    return [
        *(
            sys.executable,
            "-m",
            "pip",
            "install",
            "--quiet",
            "--retries",
            "20",
            "--disable-pip-version-check",
        ),
        *("--only-binary=:all:", "--implementation", "cp", "--python-version", python),
        *("--constraint", str(ROOT / "constraints.txt"), *platforms(), *arguments),
    ]


def resolve(python: str) -> dict[str, dict[str, str]]:
    """Ask the index; return version, file and SHA-256 of each wheel by name."""
    command = pip(
        python, "--dry-run", "--ignore-installed", "--target", "unused", "--report", "-",
        *default_dependencies(),
    )  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"Python {python}: {done.stderr.strip()}")
    found = {}
    for item in json.loads(done.stdout)["install"]:
        info = item["download_info"]
        found[item["metadata"]["name"].lower()] = {
            "version": item["metadata"]["version"],
            "wheel": info["url"].rsplit("/", 1)[-1],
            "sha256": info["archive_info"]["hashes"]["sha256"],
        }
    return dict(sorted(found.items()))


def write_wheels() -> None:
    """Write the record of every wheel a plain install takes on 64 bit ARM."""
    resolved = {python: resolve(python) for python in PYTHONS}
    record = {
        "made_by": "python benchmarks/aarch64.py wheels",
        "date": time.strftime("%Y-%m-%d", time.gmtime()),
        "glibc": f"2.{GLIBC}",
        "dependencies": default_dependencies(),
        "wheels": resolved,
    }
    RECORD.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    print(f"{sum(map(len, resolved.values()))} wheels in {RECORD.name}")


class Emulated:
    """A Debian arm64 folder whose programs run under qemu-user; needs root."""

    def __init__(self, root: Path, log: list[str]) -> None:
        self.root, self._log = root, log

    def say(self, text: str) -> None:
        """Add a line to the log and show it."""
        self._log.append(text)
        print(text, flush=True)

    def prepare(self) -> None:
        """Make what is not there yet: system, wheels, project, networks, clip."""
        if not (self.root / "usr/bin/python3").exists():
            packages = "--include=python3,libgomp1"
            _do("debootstrap", "--arch=arm64", "--variant=minbase", packages, "bookworm", self.root)
        site = self.root / "opt/site"
        if not site.is_dir():
            wheels = json.loads(RECORD.read_text(encoding="utf-8"))["wheels"]["3.11"]
            names = [f"{name}=={wheel['version']}" for name, wheel in wheels.items()]
            _do(*pip("3.11", "--no-deps", "--no-compile", "--target", str(site), *names))
        project = self.root / "opt/project"
        shutil.rmtree(project, ignore_errors=True)
        for package in PACKAGES:
            target = project / Path(package).name
            shutil.copytree(ROOT / package, target, ignore=shutil.ignore_patterns("__pycache__"))
        from affect_engines.store import models_folder

        shutil.copytree(models_folder(), self.root / "opt/models", dirs_exist_ok=True)
        write_clip(self.root / "opt/clip.mp4", FRAMES)

    def run(self, *arguments: str, timeout_s: float = 4 * 3600) -> subprocess.CompletedProcess[str]:
        """Run a program inside; a signal is a negative return code."""
        environment = {
            "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
            "HOME": "/root",
            "PYTHONPATH": "/opt/project:/opt/site",
            "REALTIME_AFFECT_MODELS": "/opt/models",
            "OPENBLAS_NUM_THREADS": "1",
            "PYTHONDONTWRITEBYTECODE": "1",
        }
        return subprocess.run(
            ["nice", "-n", "10", "chroot", str(self.root), *arguments],
            env=environment, capture_output=True, text=True, check=False, timeout=timeout_s,
        )  # fmt: skip

    def probe(self) -> bool:
        """Import each library in a process of its own; return whether all work."""
        fine = True
        for name in LIBRARIES:
            work = PROBES.get(name, "")
            top = name.partition(".")[0]
            program = (
                f"import importlib, platform; m = importlib.import_module({name!r}); {work}\n"
                f"from importlib import metadata as d; "
                f"print(platform.machine(), d.packages_distributions()[{top!r}][0], "
                f"d.version(d.packages_distributions()[{top!r}][0]))"
            )
            begin_s = time.monotonic()
            done = self.run("/usr/bin/python3", "-c", program)
            took_s = time.monotonic() - begin_s
            good = done.returncode == 0 and done.stdout.startswith("aarch64 ")
            fine &= good
            words = done.stdout.strip() if good else _last(done)
            self.say(f"{'ok  ' if good else 'FAIL'} import {name}: {words} ({took_s:.0f} s)")
        return fine

    def decode(self) -> bool:
        """Decode the clip inside and here; return whether every pixel is the same."""
        clip = self.root / "opt/clip.mp4"
        done = self.run("/usr/bin/python3", "-c", PIXELS, "/opt/clip.mp4")
        here = subprocess.run(
            [sys.executable, "-c", PIXELS, str(clip)],
            env=_own_environment(), capture_output=True, text=True, check=True,
        )  # fmt: skip
        same = done.returncode == 0 and done.stdout == here.stdout
        good = same and done.stdout.startswith(f"{FRAMES} ")
        words = "every pixel as on x86-64" if same else "other pixels than on x86-64"
        said = f"{FRAMES} frames, {words}" if done.returncode == 0 else _last(done)
        self.say(f"{'ok  ' if good else 'FAIL'} decode: {said}")
        return good

    def analyse(self) -> bool:
        """Analyse the clip inside and here; return whether the rows agree."""
        options = ["--out", "/opt/out", "--no-timeline"]
        begin_s = time.monotonic()
        done = self.run("/usr/bin/python3", "-c", ANALYZE, "analyze", "/opt/clip.mp4", *options)
        took_s = time.monotonic() - begin_s
        if done.returncode:
            self.say(f"FAIL analyze: exit code {done.returncode}: {_last(done)}")
            return False
        theirs, ours = read_rows(self.root / "opt/out/clip.csv"), self.analyse_here()
        apart = differences(ours, theirs)
        rounding: dict[str, float] = {}
        for seed in range(RUNS):
            for name, worst in differences(ours, self.analyse_here(seed)).items():
                rounding[name] = max(rounding.get(name, 0.0), worst)
        allowed = {name: max(MOST_APART, TIMES * rounding.get(name, 0.0)) for name in apart}
        faces = sum(row["success"] == "1" for row in theirs)
        agree = all(apart[name] <= allowed[name] for name in apart)
        good = len(ours) == len(theirs) and faces > 0 and agree
        nearest = sorted(apart, key=lambda name: -apart[name] / allowed[name])[:NAMED]
        told = ", ".join(f"{n} {apart[n]:.4f} ({rounding.get(n, 0.0):.4f})" for n in nearest)
        self.say(
            f"{'ok  ' if good else 'FAIL'} analyze: {FRAMES} frames, {len(theirs)} rows, {faces} "
            f"faces measured, {took_s:.0f} s; differences from x86-64 nearest to what is allowed "
            f"(and what rounding alone does there): {told}; at most {MOST_APART}, or {TIMES} times "
            "what rounding does"
        )
        return good

    def analyse_here(self, seed: int | None = None) -> list[dict[str, str]]:
        """Return the rows of the clip on this machine; with a seed, of answers that are off."""
        here = ROOT / "out" / "aarch64-here"
        before, seeds = ("", []) if seed is None else (ROUNDED, [str(seed)])
        _do(
            sys.executable, "-c", before + ANALYZE, *seeds, "analyze", self.root / "opt/clip.mp4",
            "--out", here, "--no-timeline", "--quiet", **_own_environment(),
        )  # fmt: skip
        return read_rows(here / "clip.csv")

    def name_kernels(self) -> bool:
        """Say which kernels were compiled for ARM, as numba's cache has it; whether any was."""
        folder = self.root / "opt/project/affect_kernels"
        kept = [path.parents[1].name for path in folder.glob("*/__pycache__/*.nbi")]
        named = ", ".join(f"{name} {n}" for name, n in sorted(Counter(kept).items()))
        words = f"{len(kept)} functions of {named}" if kept else "none"
        self.say(f"{'ok  ' if kept else 'FAIL'} compiled by numba meanwhile: {words}")
        return bool(kept)


def write_clip(path: Path, frames: int) -> None:
    """Write the first frames of the demo as a clip of their own."""
    import av

    with av.open(str(ROOT / "realtime_affect/demo/demo.mp4")) as source, av.open(path, "w") as out:
        stream = out.add_stream("libx264", rate=Fraction(30), options={"crf": "18", "bf": "0"})
        stream.width, stream.height, stream.pix_fmt = 1280, 720, "yuv420p"
        for n, frame in enumerate(source.decode(video=0)):
            if n == frames:
                break
            picture = frame.reformat(format="yuv420p")
            picture.pts = None
            picture.pict_type = av.video.frame.PictureType.NONE
            out.mux(stream.encode(picture))
        out.mux(stream.encode(None))


def read_rows(path: Path) -> list[dict[str, str]]:
    """Return the rows of a CSV."""
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def differences(ours: list[dict[str, str]], theirs: list[dict[str, str]]) -> dict[str, float]:
    """Return the largest difference of each intensity, angle and share, by column.

    Compared are the columns whose scale is of the order of one; boxes and millimetres are not.
    """
    columns = re.compile(r"AU\d+(_right|_left)?_r|pose_R.|gaze_angle_.|p_\w+|quality|confidence")
    found: dict[str, float] = {}
    for mine, other in zip(ours, theirs, strict=False):
        for name in filter(columns.fullmatch, mine):
            apart = 0.0
            if mine[name] != other[name]:  # known on one side only is as far as can be
                known = mine[name] and other[name]
                apart = abs(float(mine[name]) - float(other[name])) if known else float("inf")
            found[name] = max(found.get(name, 0.0), apart)
    return found


def run_emulated(root: Path) -> int:
    """Run everything, write the log, and return the exit code."""
    if os.geteuid() != 0 or not shutil.which("debootstrap"):
        sys.exit("Needs root, and: apt-get install debootstrap qemu-user-static")
    log: list[str] = []
    emulated = Emulated(root, log)
    emulated.prepare()
    system = emulated.run(
        "/usr/bin/python3",
        "-c",
        "import platform as p; print(*p.libc_ver(), p.machine(), p.python_version())",
    )
    if system.returncode:
        sys.exit(f"arm64 programs do not run here ({_last(system)}); is binfmt set up for qemu?")
    qemu = subprocess.run(
        ["qemu-aarch64-static", "--version"], capture_output=True, text=True, check=False
    )
    state = records.code_state()
    changed = ", changed since" if state["dirty"] else ""
    emulated.say("python benchmarks/aarch64.py run")
    emulated.say(f"{time.strftime('%Y-%m-%d', time.gmtime())}, commit {state['commit']}{changed}")
    emulated.say(
        f"Debian arm64 in a chroot: {system.stdout.strip()}; {qemu.stdout.splitlines()[0]}"
    )
    fine = emulated.probe()
    fine = emulated.decode() and fine
    fine = emulated.analyse() and fine
    fine = emulated.name_kernels() and fine
    emulated.say("all of it ran and agreed" if fine else "not all of it ran or agreed")
    LOG.write_text("\n".join(log) + "\n", encoding="utf-8")
    return 0 if fine else 1


def _do(*command: Any, **environment: str) -> None:
    subprocess.run([str(word) for word in command], check=True, env={**os.environ, **environment})


def _own_environment() -> dict[str, str]:
    """Return this process's environment, with this project's packages first."""
    folders = dict.fromkeys(str((ROOT / package).parent) for package in PACKAGES)
    return {**os.environ, "PYTHONPATH": os.pathsep.join(folders)}


def _last(done: subprocess.CompletedProcess[str]) -> str:
    """Return how a program ended, and its last line."""
    if done.returncode in range(-64, 0) or done.returncode > 128:
        number = -done.returncode if done.returncode < 0 else done.returncode - 128
        return f"ended by signal {number}"
    return (done.stderr.strip().splitlines() or ["no message"])[-1]


def main() -> int:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("what", choices=("wheels", "run"))
    parser.add_argument("--root", type=Path, default=ROOT / "out" / "aarch64")
    options = parser.parse_args()
    if options.what == "wheels":
        write_wheels()
        return 0
    return run_emulated(options.root)


if __name__ == "__main__":
    sys.exit(main())
