"""What one run of each network costs on every backend of this machine, round-robin.

    python benchmarks/engines.py [--networks action_units ...] [--faces 1 4] [--rounds 200]
                                 [--record] [--dry-run]

Wall time from arrays to arrays, copies to and from a GPU included; beside it CPU time of the
process. Before anything is timed, each engine's answers are compared with those of a library on
the CPU in fp32: onnxruntime, or LiteRT for the face mesh. What cannot run here is named with its
reason. A dry run does everything twice and records nothing. TensorRT is measured with the plans
there are: realtime-affect engines build.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import records

from affect_engines import load_card, open_engine
from affect_engines.parity import TOLERANCES, difference, random_feeds
from affect_engines.selection import probe, probe_tflite, reason
from affect_engines.trt.precision import PRECISIONS
from affect_kernels.errors import AffectError
from realtime_affect.cli.engines import buildable

if TYPE_CHECKING:
    from affect_engines import Engine

DRY_ROUNDS = 2


@dataclass(frozen=True)
class Entrant:
    """An engine that runs here."""

    backend: str
    precision: str
    engine: Engine
    opening_ms: float
    difference: float

    def __str__(self) -> str:
        return f"{self.backend} {self.precision}"


def open_entrants(network: str, faces: list[int]) -> tuple[list[Entrant], dict[str, str]]:
    """Open a network on every backend in every precision; return them, and why not others.

    Raises
    ------
    RuntimeError
        An engine's answers are not the CPU's.
    """
    entrants: list[Entrant] = []
    skipped = {}
    tflite = load_card(network).file.endswith(".tflite")
    states = {state.name: state for state in (probe_tflite() if tflite else probe())}
    asked = {"auto": "fp32"} if tflite else {name: name for name in PRECISIONS}
    library = ("litert", "auto") if tflite else ("onnxruntime", "fp32")
    with open_engine(network, *library) as exact:
        for backend, state in states.items():
            if not state.usable:
                skipped[backend] = state.why
                continue
            for precision, name in asked.items():
                began = time.perf_counter()
                try:
                    engine = open_engine(network, backend, precision)
                    engine.warm_up()
                except AffectError as error:
                    skipped[f"{backend} {name}"] = reason(error)
                    continue
                opening_ms = (time.perf_counter() - began) * 1e3
                worst = max(difference(engine, exact, n) for n in faces)
                if not worst <= TOLERANCES[name]:
                    message = f"{network} by {backend} in {name} differs by {worst:.2g}"
                    raise RuntimeError(message)
                entrants.append(Entrant(backend, name, engine, opening_ms, worst))
    return entrants, skipped


def measure(network: str, faces: list[int], rounds: int) -> dict[str, Any]:
    """Time every engine of a network in turn; the face mesh takes one face at a time."""
    if load_card(network).file.endswith(".tflite"):
        faces = [1]
    entrants, skipped = open_entrants(network, faces)
    runs = [
        (entrant, n, random_feeds(entrant.engine.inputs, n)) for entrant in entrants for n in faces
    ]
    wall: dict[tuple[str, int], list[float]] = {(str(e), n): [] for e, n, _ in runs}
    cpu: dict[tuple[str, int], list[float]] = {(str(e), n): [] for e, n, _ in runs}
    for entrant, _, feeds in runs:
        for _ in range(2):  # a GPU settles each number of faces at first, and records it
            entrant.engine.infer(feeds)
    for _ in range(rounds):
        for entrant, n, feeds in runs:
            began, cpu_began = time.perf_counter_ns(), time.process_time_ns()
            entrant.engine.infer(feeds)
            cpu[str(entrant), n].append((time.process_time_ns() - cpu_began) / 1e6)
            wall[str(entrant), n].append((time.perf_counter_ns() - began) / 1e6)
    for entrant in entrants:
        entrant.engine.close()
    return {
        "engines": {
            str(entrant): {
                "opening_ms": entrant.opening_ms,
                "difference": entrant.difference,
                "faces": {
                    str(n): _summary(wall[str(entrant), n], cpu[str(entrant), n]) for n in faces
                },
            }
            for entrant in entrants
        },
        "skipped": skipped,
    }


def _summary(wall_ms: list[float], cpu_ms: list[float]) -> dict[str, float]:
    p50, p99 = (float(np.percentile(wall_ms, q)) for q in (50, 99))
    return {"min_ms": min(wall_ms), "p50_ms": p50, "p99_ms": p99, "cpu_min_ms": min(cpu_ms)}


def show(network: str, figures: dict[str, Any]) -> None:
    """Print what was found of a network."""
    sha256 = load_card(network).sha256
    print(f"{network} (SHA-256 {sha256[:12]})")
    for name, engine in figures["engines"].items():
        for n, times in engine["faces"].items():
            print(
                f"  {name}, {n} face{'s' * (n != '1')}: p50 {times['p50_ms']:.2f} ms, "
                f"p99 {times['p99_ms']:.2f} ms, CPU at least {times['cpu_min_ms']:.2f} ms; "
                f"differs by {engine['difference']:.2%}"
            )
    for name, why in figures["skipped"].items():
        print(f"  {name}: not run: {why}")


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--networks", nargs="+", default=["face_mesh", *buildable()])
    parser.add_argument("--faces", nargs="+", type=int, default=[1, 4])
    parser.add_argument("--rounds", type=int, default=200)
    parser.add_argument("--record", action="store_true", help="add to benchmarks/results")
    parser.add_argument("--dry-run", action="store_true", help="everything twice, no record")
    options = parser.parse_args()
    code = records.code_state("engines/affect_engines", "kernels/affect_kernels")
    rounds = DRY_ROUNDS if options.dry_run else options.rounds
    found = {name: measure(name, options.faces, rounds) for name in options.networks}
    for name, figures in found.items():
        show(name, figures)
    if options.dry_run:
        print("A dry run: these times mean nothing, nothing is recorded.")
    elif options.record:
        config = {
            "rounds": rounds,
            "faces": options.faces,
            "networks": {name: load_card(name).sha256 for name in options.networks},
            "backends": {state.name: state.why for state in (*probe_tflite(), *probe())},
        }
        print(records.append(records.new_record("engines", config, found, code)))


if __name__ == "__main__":
    main()
