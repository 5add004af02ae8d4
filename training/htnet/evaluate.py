"""What HTNet-Live scores on studio people nobody learned from, by the file that is shipped.

    python -m training.htnet.evaluate --onnx FOLDER --run FOLDER --flows FOLDER --report report.json

The temperature is chosen on people of the validation split; everything else is told of the test
split, whose people, lights and motion curves are neither of training nor of validation.
"""

from __future__ import annotations

import argparse
import hashlib
import itertools
import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from affect_engines.ort import import_onnxruntime
from benchmarks.records import code_state
from realtime_affect.names import MICRO_CLASSES
from training.htnet.export import NAME, example
from training.htnet.flows import Flows, read_flows
from training.htnet.pairs import CAMERAS_FPS, NON_EVENTS
from training.metrics import calibration_error, confusion, recalls, softmax, uar, uf1

if TYPE_CHECKING:
    from numpy.typing import NDArray

STRENGTHS: Final = (0.0, 0.05, 0.1, 0.2, 0.35, 1.0)
"""Edges of the bins in which strength is told."""

_CLASSES: Final = len(MICRO_CLASSES)
_NONE: Final = MICRO_CLASSES.index("none")


def open_session(path: Path) -> Any:
    """Open an ONNX file as the product does: one thread."""
    onnxruntime = import_onnxruntime()

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(
        path.read_bytes(), options, providers=["CPUExecutionProvider"]
    )


def read_maps(session: Any, maps: NDArray[Any]) -> NDArray[np.float32]:
    """Return logits (n, 4) of flow maps (n, 56, 56, 3)."""
    return np.concatenate([
        session.run(["logits"], {"maps": maps[k : k + 64].astype(np.float32)})[0]
        for k in range(0, len(maps), 64)
    ])  # fmt: skip


def fit_temperature(logits: NDArray[Any], label: NDArray[np.int64]) -> float:
    """Return the temperature under which the labels are likeliest."""
    tried = np.exp(np.linspace(np.log(0.3), np.log(3.0), 121))
    rows = np.arange(len(label))
    losses = [-np.log(softmax(logits, t)[rows, label] + 1e-12).mean() for t in tried]
    return float(tried[int(np.argmin(losses))])


def person_interval(
    person: NDArray[np.int64], label: NDArray[np.int64], read: NDArray[np.int64]
) -> dict[str, list[float]]:
    """95 % intervals of UF1 and UAR, by drawing whole people anew."""
    counts = np.array([
        confusion(label[person == one], read[person == one], _CLASSES) for one in np.unique(person)
    ])  # fmt: skip
    rng = np.random.default_rng(95)
    drawn = [counts[rng.integers(0, len(counts), len(counts))].sum(0) for _ in range(1000)]
    return {
        name: np.percentile([of(table) for table in drawn], [2.5, 97.5]).round(4).tolist()
        for name, of in (("uf1", uf1), ("uar", uar))
    }


def figures(flows: Flows, shares: NDArray[np.float64]) -> dict[str, Any]:
    """Score probabilities (n, 4): all, by strength, by camera, and what non-events are taken for.

    ``refused`` is the share of non-events of a kind that is told as ``none``.
    """
    read = shares.argmax(axis=1)
    counts = confusion(flows.label, read, _CLASSES)
    interval = person_interval(flows.person, flows.label, read)
    moving = flows.label != _NONE
    by_strength = {}
    for low, high in itertools.pairwise(STRENGTHS):
        here = moving & (flows.strength >= low) & (flows.strength < high)
        if here.any():
            table = confusion(flows.label[here], read[here], _CLASSES)
            by_strength[f"{low:g}-{high:g}"] = {
                "n": int(here.sum()), "uar": round(uar(table), 4),
                "told_as_none": round(float((read[here] == _NONE).mean()), 4),
            }  # fmt: skip
    by_camera = {
        str(fps): round(
            uar(confusion(flows.label[flows.fps == fps], read[flows.fps == fps], _CLASSES)), 4
        )
        for fps in CAMERAS_FPS
        if (flows.fps == fps).any()
    }
    refused = {
        kind: round(float((read[flows.kind == k] == _NONE).mean()), 4)
        for k, kind in enumerate(NON_EVENTS)
        if (flows.kind == k).any()
    }
    return {
        "people": len(np.unique(flows.person)), "pairs": len(flows),
        "uf1": round(uf1(counts), 4), "uf1_interval": interval["uf1"],
        "uar": round(uar(counts), 4), "uar_interval": interval["uar"],
        "recall": dict(zip(MICRO_CLASSES, recalls(counts).round(4).tolist(), strict=True)),
        "confusion": counts.tolist(), "calibration_error":
        round(calibration_error(shares, flows.label), 4),
        "by_strength": by_strength, "uar_by_camera_fps": by_camera, "refused": refused,
    }  # fmt: skip


def cpu_ms(session: Any, rounds: int = 200) -> dict[str, float]:
    """Return the CPU time of one event, milliseconds."""
    feeds = {"maps": example(1).numpy()}
    times = []
    for _ in range(rounds):
        began = time.process_time_ns()
        session.run(None, feeds)
        times.append((time.process_time_ns() - began) / 1e6)
    return {"min": round(min(times), 3), "p50": round(float(np.median(times)), 3)}


def evaluate(path: Path, flows: Path) -> dict[str, Any]:
    """Score an ONNX file on the flows of a folder."""
    session = open_session(path)
    held, unseen = read_flows(flows, "validation"), read_flows(flows, "test")
    logits = read_maps(session, held.maps)
    temperature = round(fit_temperature(logits, held.label), 3)
    return {
        "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
        "bytes": path.stat().st_size,
        "temperature": temperature,
        "cpu_ms": cpu_ms(session),
        "studio_validation": figures(held, softmax(logits, temperature)),
        "studio_test": figures(unseen, softmax(read_maps(session, unseen.maps), temperature)),
    }


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--onnx", type=Path, required=True, help="folder of the ONNX file")
    parser.add_argument("--run", type=Path, required=True, help="folder of the checkpoint")
    parser.add_argument("--flows", type=Path, required=True)
    parser.add_argument("--report", type=Path, required=True, help="JSON to write")
    options = parser.parse_args()
    code = code_state("training/htnet", "realtime_affect/micro")
    about = json.loads((options.run / "about.json").read_text("utf-8"))
    report = {"about": about, **evaluate(options.onnx / NAME, options.flows), "made": code}
    options.report.parent.mkdir(parents=True, exist_ok=True)
    options.report.write_text(json.dumps(report, indent=1) + "\n", "utf-8")
    print(json.dumps(report["studio_test"], indent=1))


if __name__ == "__main__":
    main()
