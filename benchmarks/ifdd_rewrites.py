"""What the exact rewrites of IFDD save: CPU time of both exported forms, round-robin in one run.

    python benchmarks/ifdd_rewrites.py [--rounds 5] [--record]

Needs torch (make training). The network as published is exported as it stands, the rewritten one as
it is deployed; onnxruntime runs both on one thread. CPU time is user and system time of the
process, which a busy machine disturbs less than the clock. The weights are random: time does not
depend on them. Equality is checked before anything is timed.
"""

from __future__ import annotations

import argparse
import tempfile
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import records
import torch
from rich.console import Console

from affect_engines.ort import import_onnxruntime
from training.ifdd.deploy import TOLERANCE, example, export
from training.ifdd.network import IFDD

onnxruntime = import_onnxruntime()


def open_session(model: Path | bytes) -> Any:
    """Open an ONNX file on one thread."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    source = str(model) if isinstance(model, Path) else model
    return onnxruntime.InferenceSession(source, options, providers=["CPUExecutionProvider"])


def as_published(network: IFDD, path: Path) -> None:
    """Export the module operation by operation."""
    program = torch.onnx.export(network, (example(1, 0),), dynamo=True, opset_version=18)
    program.save(path)


def cpu_seconds(session: Any, clip: np.ndarray[Any, Any]) -> float:
    """Return the CPU time of one inference."""
    began = time.process_time()
    session.run(None, {session.get_inputs()[0].name: clip})
    return time.process_time() - began


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--record", action="store_true", help="add to benchmarks/results")
    options = parser.parse_args()
    code = records.code_state("training/ifdd")
    console = Console(stderr=True)
    torch.manual_seed(0)
    network = IFDD().eval()
    clip = example(1, 3).numpy()
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporters' own
        with console.status("exporting the network as published (minutes)"):
            as_published(network, Path(folder) / "published.onnx")
            sessions = {"published": open_session(Path(folder) / "published.onnx")}
        with console.status("exporting the rewritten network"):
            sessions["rewritten"] = open_session(export(network))
        answers = [
            session.run(None, {session.get_inputs()[0].name: clip})[0]
            for session in sessions.values()
        ]
        worst = float(np.abs(answers[0] - answers[1]).max())
        if worst > TOLERANCE:
            message = f"the two forms differ by {worst:.2g}"
            raise RuntimeError(message)
        times: dict[str, list[float]] = {name: [] for name in sessions}
        for _ in range(options.rounds):
            for name, session in sessions.items():
                times[name].append(cpu_seconds(session, clip))
    best = {name: min(values) for name, values in times.items()}
    ratio = best["published"] / best["rewritten"]
    print(
        f"published {best['published']:.2f} s, rewritten {best['rewritten']:.2f} s of CPU a clip: "
        f"{ratio:.2f} times less; largest difference of a logit {worst:.1e}"
    )
    if options.record:
        figures = {
            "cpu_s": best, "ratio": ratio, "raw_cpu_s": times, "largest_difference": worst,
        }  # fmt: skip
        config = {"rounds": options.rounds, "threads": 1, "torch": torch.__version__}
        record = records.new_record("ifdd_rewrites", config, figures, code)
        print(records.append(record))


if __name__ == "__main__":
    main()
