"""What a classification by the expression network costs, in both forms, round-robin in one run.

    python benchmarks/expression.py [--rounds 200] [--record]

A classification is one run of the network: the new sample encoded, and the lifting over the clip.
CPU time is user and system time of the process, one thread. Opening is measured from the file to
the first answer. Beside it: the lifting kernel's adaptive split against all of the graph's lifting.
"""

from __future__ import annotations

import argparse
import time
from typing import TYPE_CHECKING, Any

import numpy as np
import records

from affect_engines import load_card, open_engine
from affect_kernels.lifting import cpu

if TYPE_CHECKING:
    from collections.abc import Callable

    from affect_engines import Engine

FACES = (1, 4)


def feeds(n: int) -> dict[str, np.ndarray[Any, Any]]:
    """Make inputs for n faces with full clips."""
    rng = np.random.default_rng(n)
    decode = load_card("ifdd_stream").decode
    shape = (n, decode["slots"] - 1, *decode["tokens"])
    return {
        "pictures": rng.integers(0, 256, (n, 48, 48)).astype(np.uint8),
        "memory": rng.normal(0, 1, shape).astype(np.float32),
        "missing": np.zeros(n, np.int64),
    }


def opening_ms(precision: str) -> float:
    """Return the wall time from the file to the first answer."""
    card = load_card("ifdd_stream").form(precision)
    began = time.perf_counter()
    with open_engine(card) as engine:
        engine.infer(feeds(1))
        return (time.perf_counter() - began) * 1e3


def interleaved(runs: dict[str, Callable[[], object]], rounds: int) -> dict[str, dict[str, float]]:
    """Time each of `runs` in turn; return minimum and median CPU milliseconds."""
    times: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(rounds):
        for name, run in runs.items():
            began = time.process_time_ns()
            run()
            times[name].append((time.process_time_ns() - began) / 1e6)
    return {
        name: {"min": min(values), "p50": float(np.median(values))}
        for name, values in times.items()
    }


def measure(rounds: int) -> dict[str, Any]:
    """Measure everything."""
    opening = {p: min(opening_ms(p) for _ in range(3)) for p in ("fp32", "int8")}
    engines: dict[str, Engine] = {
        p: open_engine(load_card("ifdd_stream").form(p)) for p in ("fp32", "int8")
    }
    runs: dict[str, Callable[[], object]] = {}
    for precision, engine in engines.items():
        for n in FACES:
            given = feeds(n)
            runs[f"{precision}, {n} face{'s' * (n > 1)}"] = lambda engine=engine, given=given: (
                engine.infer(given)
            )
    decode = load_card("ifdd_stream").decode
    clip = feeds(1)["memory"][0]
    clip = np.concatenate([clip, clip[:1]])
    times = np.arange(0, decode["slots"], 2, dtype=np.float32)
    runs["adaptive split by the kernel"] = lambda: cpu.adaptive_split(clip, times, times + 1)
    for run in runs.values():
        run()
    found = {"opening_ms": opening, "cpu_ms": interleaved(runs, rounds)}
    for engine in engines.values():
        engine.close()
    return found


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=200)
    parser.add_argument("--record", action="store_true", help="add to benchmarks/results")
    options = parser.parse_args()
    code = records.code_state("engines/affect_engines", "kernels/affect_kernels")
    figures = measure(options.rounds)
    for precision, milliseconds in figures["opening_ms"].items():
        print(f"{precision}: opened and answered after {milliseconds:.0f} ms")
    for name, cpu_ms in figures["cpu_ms"].items():
        print(f"{name}: {cpu_ms['min']:.2f} ms of CPU at least, {cpu_ms['p50']:.2f} ms p50")
    if options.record:
        config = {"rounds": options.rounds, "threads": 1}
        print(records.append(records.new_record("expression", config, figures, code)))


if __name__ == "__main__":
    main()
