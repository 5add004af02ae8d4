"""Kill the program while it records, again and again: every session must open, little be lost.

    python benchmarks/kill_sessions.py [--times 20] [--record]

Each time a process records the demo live and is killed (SIGKILL) at a random moment; then the
session is opened (and so repaired) and replayed. Lost is the source time between the last frame
that was analysed before the kill, told over a pipe, and the last one in the readings and the video.
"""

from __future__ import annotations

import argparse
import json
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import records

from realtime_affect.outputs.sinks import RowSink
from realtime_affect.sessions import Replay, SessionStore
from realtime_affect.sessions.store import ROWS, VIDEO
from realtime_affect.sessions.video_reader import VideoReader

RECORD = records.RESULTS / "kill_sessions.json"
PATHS = ("realtime_affect/sessions", "realtime_affect/outputs/video.py", "realtime_affect/runtime")
LEAST_S, MOST_S = 1.5, 6.0

# What is killed: records, and tells the source time of each reading that it published.
PROGRAM = """
import os, sys
from pathlib import Path
from realtime_affect import Config, Pipeline
from realtime_affect.sessions import SessionRecorder, SessionStore
with Pipeline("demo", Config()) as pipeline:
    slot = pipeline.subscribe()
    recorder = SessionRecorder(pipeline, SessionStore(Path(sys.argv[1])), Config(), "demo")
    pipeline.start()
    while True:
        t_ns = slot.get().scene.frame.t_ns
        os.write(1, f"{t_ns}\\n".encode())
"""


def kill_one(root: Path, wait_s: float) -> dict[str, Any]:
    """Record, kill after `wait_s` of recording, open, replay; return what was lost."""
    with subprocess.Popen(
        [sys.executable, "-c", PROGRAM, str(root)], stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        told = [int(process.stdout.readline())]
        end = time.monotonic() + wait_s
        while time.monotonic() < end:
            told.append(int(process.stdout.readline()))
        process.send_signal(signal.SIGKILL)
        told += [int(line) for line in process.stdout.read().split(b"\n")[:-1]]
    (session,) = [s for s in SessionStore(root) if s.unclean]
    with Replay(session.folder, live=False) as replay:
        again = root / "again.csv"
        rows = RowSink(again, landmarks=False, backfill=False)
        rows.open(replay.source_info)
        kept = []
        for reading in replay:
            rows.write(reading)
            kept.append(reading.scene.frame.t_ns)
        rows.close()
    size = (replay.source_info.width, replay.source_info.height)
    video_ns = 0
    video = session.path(VIDEO)
    if video is not None:
        reader = VideoReader(video)
        for t_ns in kept:
            if reader.image_at(t_ns, size) is not None and reader.time_ns is not None:
                video_ns = max(video_ns, reader.time_ns)
        reader.close()
    last_ns = max(told)
    return {
        "after_s": round(wait_s, 2),
        "readings": len(kept),
        "rows_equal": again.read_bytes() == (session.folder / ROWS).read_bytes(),
        "results_lost_ms": round((last_ns - max(kept, default=0)) / 1e6),
        "video_lost_ms": round((last_ns - video_ns) / 1e6),
    }


def main() -> None:
    """Kill, and write or print what came of it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--times", type=int, default=20)
    parser.add_argument("--record", action="store_true")
    options = parser.parse_args()
    made = records.code_state(*PATHS)
    moments = random.Random(1)
    found = []
    for _ in range(options.times):
        with tempfile.TemporaryDirectory() as root:
            found.append(kill_one(Path(root), moments.uniform(LEAST_S, MOST_S)))
        print(json.dumps(found[-1]), flush=True)
    summary = {
        "made_by": "python benchmarks/kill_sessions.py --record",
        "date": time.strftime("%Y-%m-%d", time.gmtime()),
        "made": made,
        "killed": len(found),
        "opened_and_replayed_equal": sum(one["rows_equal"] for one in found),
        "results_lost_ms_most": max(one["results_lost_ms"] for one in found),
        "video_lost_ms_most": max(one["video_lost_ms"] for one in found),
        "each": found,
    }
    print(json.dumps({k: v for k, v in summary.items() if k != "each"}, indent=1))
    if options.record:
        RECORD.write_text(json.dumps(summary, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
