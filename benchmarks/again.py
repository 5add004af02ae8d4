"""How far a live recording and a later analysis of its video are apart, against what is stated.

    python benchmarks/again.py [--seconds 24] [--record]

The demo is recorded live into a session, as the window does it; then every image of its video is
analysed. ``sessions.again.TOLERANCE`` states what 95 of 100 differences stay below.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import records

from realtime_affect.bench.clips import open_endless
from realtime_affect.config import Config
from realtime_affect.runtime.pipeline import Pipeline
from realtime_affect.sessions import SessionRecorder, SessionStore
from realtime_affect.sessions.again import TOLERANCE, analyse_again


def run(seconds: float) -> dict[str, Any]:
    """Record, analyse again, compare."""
    config = Config()
    with tempfile.TemporaryDirectory() as root:
        with Pipeline(open_endless("demo", config.capture), config) as pipeline:
            recorder = SessionRecorder(pipeline, SessionStore(Path(root)), config, "demo")
            pipeline.start()
            time.sleep(seconds)
            session = recorder.finish()
            pipeline.raise_failure()
            stats = pipeline.stats()
        differences = analyse_again(session, config)
    return {
        "frames": session.content["inputs"][0]["frames"],
        "frames_dropped": stats.drops,
        "lost": session.content["inputs"][0]["drops"],
        "differences": [
            asdict(one) | {"stated": TOLERANCE[one.group], "within": one.within}
            for one in differences
        ],
    }


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=24.0)
    parser.add_argument("--record", action="store_true")
    options = parser.parse_args()
    code = records.code_state(
        *records.PRODUCT, "realtime_affect/sessions", "realtime_affect/outputs"
    )
    figures = run(options.seconds)
    print(f"{figures['frames']} frames, {figures['frames_dropped']} dropped before")
    for one in figures["differences"]:
        print(
            f"{one['group']}: {one['n']} values, mean {one['mean']:.4f}, p95 {one['p95']:.4f} "
            f"(stated {one['stated']:g}: {'within' if one['within'] else 'BEYOND'}), "
            f"most {one['most']:.4f}"
        )
    if options.record:
        config = {"source": "demo", "seconds": options.seconds}
        print("recorded in", records.append(records.new_record("again", config, figures, code)))


if __name__ == "__main__":
    main()
