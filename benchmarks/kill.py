"""What a killed run leaves behind: `run`, `serve` and `analyze`, ended by SIGKILL many times.

    python benchmarks/kill.py [--times 20] [--seed 1] [--record]

Each is started on the demo clip and killed at a random moment once there are rows and a first
second of video, the least that a video holds. Noted are how long before the kill rows and video
last reached the file system (what is newer is lost), whether every line is whole, the video plays,
and ``summary.json`` says that the run never ended.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, NoReturn

import av
import records

_PATHS = [str(records.REPOSITORY / part) for part in ("", "engines", "kernels", "gui")]
_PROGRAM = "from realtime_affect.cli.main import main; main()"
_COMMANDS = {
    "run": ["run", "{clip}", "--headless", "--out", "{out}", "-q"],
    "serve": [
        *("serve", "--source", "{clip}", "-q", "--set", "serve.port=none"),
        *("--set", "serve.out={out}"),
    ],
    "analyze": ["analyze", "{clip}", "--out", "{out}", "--annotate", "-q"],
}
_START_S = 180.0
_CLIP_S = 60.0  # longer than `analyze` takes in for the longest wait before a kill


def make_clip(path: Path, seconds: float) -> None:
    """Write the demo clip, as often as it takes to last `seconds`, at its own rate."""
    from realtime_affect.capture import open_source
    from realtime_affect.outputs.video import VideoRecorder

    recorder, shift_ns, last_ns = VideoRecorder(path, 25.0), 0, 0
    while last_ns < seconds * 1e9:
        clip = open_source("demo", live=False)
        while (frame := clip.read(1.0)) is not None:
            last_ns = shift_ns + frame.t_ns
            recorder.write(frame.image, last_ns)
        clip.close()
        shift_ns = last_ns + 40_000_000
    recorder.close()


def kill_once(command: str, clip: Path, after_s: float) -> dict[str, Any]:
    """Start, wait for rows and video, then `after_s` seconds more, kill, look at what is left."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "out"
        words = [word.format(clip=clip, out=out) for word in _COMMANDS[command]]
        said = Path(folder) / "stderr"
        with (
            said.open("wb") as stderr,
            subprocess.Popen(
                [sys.executable, "-c", _PROGRAM, *words],
                env={**os.environ, "PYTHONPATH": ":".join(_PATHS)},
                stdout=subprocess.DEVNULL,
                stderr=stderr,
            ) as child,
        ):
            until_s = time.monotonic() + _START_S
            while not _has_begun(out):
                if child.poll() is not None or time.monotonic() > until_s:
                    _give_up(child, f"{command} wrote no rows and video", said)
                time.sleep(0.05)
            time.sleep(after_s)
            if child.poll() is not None:
                _give_up(child, f"{command} ended before it was killed", said)
            # The clock of modification times, which the kernel keeps coarse: up to 10 ms behind.
            killed_s = time.clock_gettime(time.CLOCK_REALTIME)
            child.kill()
            child.wait()
        (rows,) = _rows(out)
        (video,) = out.rglob("*annotated.mp4")
        content = json.loads(next(out.rglob("summary.json")).read_text(encoding="utf-8"))
        return {
            "rows": rows.read_bytes().count(b"\n") - 1,
            "rows_lost_s": round(max(0.0, killed_s - rows.stat().st_mtime), 3),
            "rows_whole": rows.read_bytes().endswith(b"\n"),
            "video_lost_s": round(max(0.0, killed_s - video.stat().st_mtime), 3),
            "video_frames": _frames_in(video),
            "unfinished": content["outcome"] == "running" and content["finished"] is None,
        }


def _give_up(child: subprocess.Popen[bytes], what: str, said: Path) -> NoReturn:
    """Raise with how the child ended and the last of what it said."""
    code = child.poll()
    child.kill()
    state = "still running" if code is None else f"ended with {code}"
    message = f"{what} ({state}): {said.read_text(encoding='utf-8', errors='replace')[-2000:]}"
    raise RuntimeError(message)


def _has_begun(out: Path) -> bool:
    rows, videos = _rows(out), list(out.rglob("*annotated.mp4"))
    if not rows or not videos:
        return False
    return rows[0].read_bytes().count(b"\n") > 1 and b"moof" in videos[0].read_bytes()


def _rows(out: Path) -> list[Path]:
    return [path for path in out.rglob("*.csv") if "events" not in path.name]


def _frames_in(path: Path) -> int:
    n = 0
    with contextlib.suppress(av.FFmpegError), av.open(str(path)) as container:
        for _ in container.decode(video=0):
            n += 1
    return n


def run(times: int, seed: int) -> dict[str, Any]:
    """Kill every command some times; return each outcome and the worst of each command."""
    chance = random.Random(seed)
    figures: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder:
        clip = Path(folder) / "clip.mp4"
        make_clip(clip, _CLIP_S)
        for command in _COMMANDS:
            kills = [kill_once(command, clip, chance.uniform(0.5, 3.0)) for _ in range(times)]
            figures[command] = {
                "kills": kills,
                "most_rows_lost_s": max(kill["rows_lost_s"] for kill in kills),
                "most_video_lost_s": max(kill["video_lost_s"] for kill in kills),
                "all_rows_whole": all(kill["rows_whole"] for kill in kills),
                "all_unfinished": all(kill["unfinished"] for kill in kills),
                "all_videos_play": all(kill["video_frames"] > 0 for kill in kills),
            }
    return figures


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--times", type=int, default=20)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--record", action="store_true")
    options = parser.parse_args()
    sys.path[:0] = _PATHS
    code = records.code_state(*records.PRODUCT, "realtime_affect/outputs", "realtime_affect/serve")
    figures = run(options.times, options.seed)
    for command, found in figures.items():
        print(command, {key: value for key, value in found.items() if key != "kills"})
    if options.record:
        config = {"source": "demo", "times": options.times, "seed": options.seed}
        print("recorded in", records.append(records.new_record("kill", config, figures, code)))


if __name__ == "__main__":
    main()
