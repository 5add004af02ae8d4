"""What the presets for Jetsons should need: an estimate from counted bytes and operations.

    python benchmarks/jetson_budget.py --record   # count and measure here, write the record
    python benchmarks/jetson_budget.py            # print the guide's table; tables.py writes it

Multiply-accumulates are counted in the networks' graphs, the spotter of micro-expressions is
measured beside them (spotter_cost.py), bytes are those of the files, memory is measured here, on
x86-64. What data sheets say of each machine stands in ``MACHINES``, what a core is assumed to
reach of its peak in ``SHARES``. Nothing of it was measured on a Jetson.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING, Any

import records
import spotter_cost

from affect_engines.ort import import_onnxruntime
from realtime_affect.serve.presets import load_settings

if TYPE_CHECKING:
    from pathlib import Path

RECORD = records.RESULTS / "jetson_budget.json"
SHARES = (0.6, 0.25)
"""Of a core's peak that convolutions reach, at best and at worst; assumed: what is weakest here."""
FRAMES_HELD = 7
"""Images alive at once: capture, freeze check, two slots, two workers, one reading."""
DETECT_EVERY = 4
"""Frames from one detection to the next while faces are followed; assumed."""
LOOKS_HZ = 12
"""Samples that the expression network encodes a second, whatever the rate of decisions."""
MEASURED_PX = 1280 * 720


@dataclass(frozen=True, slots=True)
class Machine:
    """What a data sheet says of a module.

    Attributes
    ----------
    preset : str
    name : str
    memory_gb : int
        Of the smallest variant the preset is meant for.
    cores : int
    ghz : float
        Highest clock of a core.
    macs_per_cycle : int
        Single precision, of one core: two pipes of four lanes, four pipes on Neoverse V3.
    """

    preset: str
    name: str
    memory_gb: int
    cores: int
    ghz: float
    macs_per_cycle: int


MACHINES = (
    Machine("jetson-orin-nano", "Orin Nano 8 GB (Super)", 8, 6, 1.7, 8),
    Machine("jetson-orin-nx", "Orin NX 8 GB", 8, 6, 2.0, 8),
    Machine("jetson-agx-orin", "AGX Orin 32 GB", 32, 8, 2.2, 8),
    Machine("jetson-thor", "AGX Thor (T5000)", 128, 14, 2.6, 16),
)


def count_onnx(path: Path) -> int:
    """Return the multiply-accumulates of one face through an ONNX network."""
    import numpy as np
    import onnx

    onnxruntime = import_onnxruntime()

    model = onnx.load(str(path))
    # Every intermediate as an output: the runtime tells their shapes, for one face.
    for node in model.graph.node:
        model.graph.output.extend(onnx.ValueInfoProto(name=name) for name in node.output if name)
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    kinds = {"tensor(uint8)": np.uint8, "tensor(float)": np.float32, "tensor(int64)": np.int64}
    feeds = {
        entry.name: np.zeros(
            [n if isinstance(n, int) else 1 for n in entry.shape], kinds[entry.type]
        )
        for entry in session.get_inputs()
    }
    names = [output.name for output in session.get_outputs()]
    shapes = dict(zip(names, (np.shape(v) for v in session.run(names, feeds)), strict=True))
    shapes |= {tensor.name: tuple(tensor.dims) for tensor in model.graph.initializer}
    shapes |= {name: value.shape for name, value in feeds.items()}
    total = 0
    for node in model.graph.node:
        out = shapes.get(node.output[0], ())
        if node.op_type in ("Conv", "ConvInteger", "QLinearConv"):
            weights = shapes[node.input[3 if node.op_type == "QLinearConv" else 1]]
            total += prod(out) * prod(weights[1:])
        elif node.op_type in ("MatMul", "Gemm", "MatMulInteger", "QLinearMatMul"):
            left = shapes[node.input[0]]
            total += prod(out) * left[-1]
    return total


def count_tflite(path: Path) -> int:
    """Return the multiply-accumulates of one run of a TFLite network."""
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(str(path), num_threads=1)
    interpreter.allocate_tensors()
    shapes = {t["index"]: tuple(t["shape"]) for t in interpreter.get_tensor_details()}
    total = 0
    for op in interpreter._get_ops_details():
        if op["op_name"] not in ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED"):
            continue
        weights, out = shapes[op["inputs"][1]], shapes[op["outputs"][0]]
        each = weights[1:3] if op["op_name"] == "DEPTHWISE_CONV_2D" else weights[1:]
        total += int(prod(out)) * int(prod(each))
    return total


def measure_memory() -> dict[str, float]:
    """Run the service on the demo in a process of its own; return the most memory it had, MiB."""
    program = (
        "from realtime_affect.serve.service import Service; "
        "from realtime_affect.config import load_config; "
        "s = Service(load_config(None, ['serve.port=none', 'serve.source=demo'])); s.run(); "
        "print(s.health().machine.peak_memory_mb)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    return {"peak_mib": float(done.stdout)}


def make_record() -> dict[str, Any]:
    """Count and measure everything."""
    from affect_engines.store import list_models

    networks = {}
    for model in list_models():
        count = count_tflite if model.path.suffix == ".tflite" else count_onnx
        # What a quantised form multiplies is the same as the form it was made from.
        networks[model.path.name] = {
            "bytes": model.path.stat().st_size,
            "mmac": None if ".int8." in model.path.name else round(count(model.path) / 1e6, 2),
        }
    return {
        "made_by": "python benchmarks/jetson_budget.py --record",
        **records.code_state(
            *records.PRODUCT, "benchmarks/jetson_budget.py", "benchmarks/spotter_cost.py"
        ),
        "machine": records.machine(),
        "networks": networks,
        "spotter": spotter_cost.measure(networks["face_landmark.tflite"]["mmac"]),
        "memory": measure_memory(),
    }


def worker_mmac(
    record: dict[str, Any], faces: int, fps: float, gaze_hz: float
) -> tuple[float, float]:
    """Return the millions of multiply-accumulates a second of the vision and the affect worker.

    The spotter, which works on every frame, is in it as the network that takes as long.
    """
    cost = {name: entry["mmac"] for name, entry in record["networks"].items()}
    short, full = (cost[f"face_detection_{n}.tflite"] for n in ("short_range", "full_range_sparse"))
    face = cost["face_landmark.tflite"] + cost["action_units.onnx"]
    spotter = record["spotter"]
    vision = fps * ((short + full) / DETECT_EVERY + faces * (face + spotter["picture_mmac"]))
    # Records of the time before the eye network was there know the iris network alone.
    eyes = cost.get("eye_live.onnx", 2 * cost["iris_landmark.tflite"])
    look = cost["ifdd_stream.onnx"]
    affect = gaze_hz * eyes + LOOKS_HZ * look + fps * spotter["motion_mmac"]
    return vision, faces * affect


def table(record: dict[str, Any]) -> str:
    """Return the guide's table, in Markdown."""
    files = sum(entry["bytes"] for entry in record["networks"].values()) / 2**20
    spotter = record["spotter"]
    lines = [
        "| preset, machine | faces, decisions a second | image, frames a second "
        "| GMAC a second: vision, affect | vision worker busy | affect worker busy | memory |",
        "|---|---|---|---|---|---|---|",
    ]
    for machine in MACHINES:
        config = load_settings(machine.preset)
        faces, fps, hz = config.track.max_faces, config.serve.fps, config.serve.decisions_hz
        width, height = config.capture.width or 0, config.capture.height or 0
        works = worker_mmac(record, faces, fps, min(hz, config.affect.gaze_hz or hz))
        peak = machine.ghz * 1e3 * machine.macs_per_cycle
        busy = [" to ".join(f"{work / peak / share:.0%}" for share in SHARES) for work in works]
        pictures = FRAMES_HELD * 3 * (width * height - MEASURED_PX) + 4 * width * height
        more_faces = max(0, faces - spotter["faces"]) * spotter["kept_bytes_a_face"]
        memory = record["memory"]["peak_mib"] + (pictures + more_faces) / 2**20
        lines.append(
            f"| `{machine.preset}`, {machine.name} | {faces}, {hz:g} | {width}x{height}, {fps:g} "
            f"| {works[0] / 1e3:.1f}, {works[1] / 1e3:.1f} | {busy[0]} | {busy[1]} "
            f"| {memory:.0f} MiB of {machine.memory_gb} GB |"
        )
    best, worst = SHARES
    lines += [
        "",
        f"<sub>**Estimate, not measured on a Jetson.** Network files: {files:.1f} MiB. Memory: the "
        f"peak measured on x86-64 at 1280x720 ({record['memory']['peak_mib']:.0f} MiB), one raw "
        "image, the larger ones, and what the spotter of micro-expressions keeps of a face "
        f"({spotter['kept_bytes_a_face'] / 2**20:.1f} MiB). Busy: counted multiply-accumulates of "
        "the networks, in fp32, and the spotter as the network that takes as long on x86-64 "
        f"({spotter['picture_ms']:.2f} ms a face and frame in the vision worker, "
        f"{spotter['motion_ms']:.2f} ms in the affect worker, {spotter['picture_mmac']:.0f} and "
        f"{spotter['motion_mmac']:.0f} MMAC), "
        f"at {best:.0%} to {worst:.0%} of one core's peak, without decoding, tracking and drawing; "
        "each worker is one core, and over 100 % means that the service will lower the rate; "
        "`affect.micro = false` saves the spotter. "
        f"{records.origin([record])}; benchmarks/results/jetson_budget.json</sub>",
    ]
    return "\n".join(lines)


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--record", action="store_true")
    if parser.parse_args().record:
        RECORD.write_text(json.dumps(make_record(), indent=1) + "\n", encoding="utf-8")
    record = json.loads(RECORD.read_text(encoding="utf-8"))
    print(table(record))


if __name__ == "__main__":
    main()
