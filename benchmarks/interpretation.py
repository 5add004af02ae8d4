"""What interpreting a decision costs a face: CPU time of one thread, on faces of the demo.

    python benchmarks/interpretation.py [--frames 180] [--record]

Units and windows are the demo's own, as the affect worker gets them; probabilities are drawn, so
that every case occurs: one expression, compounds, rest. A decision comes every third frame.
"""

from __future__ import annotations

import argparse
import time
from contextlib import closing
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import records

from realtime_affect.affect.history import FaceHistory
from realtime_affect.capture.files import VideoFile
from realtime_affect.capture.source import CaptureConfig
from realtime_affect.face.vision import Vision
from realtime_affect.interpret.interpreter import Interpreter
from realtime_affect.interpret.words import full_text
from realtime_affect.names import EXPRESSIONS
from realtime_affect.types import AffectJob, Expression

if TYPE_CHECKING:
    from realtime_affect.types import Float32

EVERY = 3
REPEATS = 5


def see_demo(frames: int) -> list[AffectJob]:
    """Return the first frames of the demo as jobs of the affect worker."""
    history, jobs = FaceHistory(), []
    path = Path(str(resources.files("realtime_affect") / "demo" / "demo.mp4"))
    source = VideoFile(path, CaptureConfig())
    with closing(Vision(stabilized=False)) as vision:
        while len(jobs) < frames and (frame := source.read(60.0)) is not None:
            scene = vision.analyse(frame)
            jobs.append(AffectJob(scene, (), (), history.append(scene)))
    source.close()
    return jobs


def draw(rng: np.random.Generator) -> Float32:
    """Draw probabilities: sure, mixed or flat."""
    return rng.dirichlet(np.full(len(EXPRESSIONS), rng.choice([0.1, 0.5, 2.0]))).astype(np.float32)


def measure(frames: int) -> dict[str, Any]:
    """Measure everything; of each decision the least of several repeats counts."""
    jobs = [job for job in see_demo(frames) if job.scene.tracks][::EVERY]
    rng = np.random.default_rng(0)
    decided = [
        {t.track_id: Expression(job.scene.frame.t_ns, draw(rng), False) for t in job.scene.tracks}
        for job in jobs
    ]
    took = np.full((REPEATS, len(jobs)), np.inf)
    words = []
    for repeat in range(REPEATS):
        interpreter = Interpreter()
        for n, (job, expressions) in enumerate(zip(jobs, decided, strict=True)):
            began = time.thread_time_ns()
            meanings = interpreter.decide(job, expressions)
            took[repeat, n] = (time.thread_time_ns() - began) / 1e6 / max(1, len(meanings))
            if repeat == 0:
                began = time.thread_time_ns()
                for meaning in meanings.values():
                    full_text(meaning)
                words.append((time.thread_time_ns() - began) / 1e6 / max(1, len(meanings)))
    each = took.min(axis=0)
    return {
        "decisions": len(jobs),
        "faces": sum(len(job.scene.tracks) for job in jobs),
        "cpu_ms": {
            "p50": float(np.median(each)),
            "p99": float(np.percentile(each, 99)),
            "max": float(each.max()),
        },
        "text_cpu_ms": {"p50": float(np.median(words))},
    }


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--frames", type=int, default=180)
    parser.add_argument("--record", action="store_true", help="add to benchmarks/results")
    options = parser.parse_args()
    code = records.code_state("realtime_affect/interpret")
    figures = measure(options.frames)
    cpu = figures["cpu_ms"]
    print(
        f"a face and decision: {cpu['p50']:.3f} ms of CPU p50, {cpu['p99']:.3f} p99; "
        f"its full text: {figures['text_cpu_ms']['p50']:.3f} ms"
    )
    if options.record:
        config = {"source": "demo", "frames": options.frames, "threads": 1}
        print(records.append(records.new_record("interpretation", config, figures, code)))


if __name__ == "__main__":
    main()
