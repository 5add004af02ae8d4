"""Throughput and memory of a corpus: two workers against one, a hundred inputs, frames a second.

    python benchmarks/corpora.py [--record] [--short]

Needs a quiet machine with two cores. Clips are made of the demo. *Workers*: the same clips, uneven
in length, by one worker on one core and by two on a core each, five times in turn, medians; the
time is that from the begin of the first input to the end of the last, without the start of
processes. In each turn a plain loop runs in one process and in two as well: what the machine itself
gives; and what a frame costs in seconds of a core says whether two workers did more, or waited
more, than one. *Memory*: one worker, a hundred short inputs, its resident memory after each.
*Speed*: one worker on one core, 1 and 4 faces at 480p and 720p, from the first row to the last;
what the drawing of its timeline and report costs is the rest of an input's time. An input before
them takes what a worker does once.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import cv2
import records

_CODE = (*records.PRODUCT, "realtime_affect/corpus", "realtime_affect/outputs")
_PATHS = [str(records.REPOSITORY / part) for part in ("", "engines", "kernels", "gui")]
_PROGRAM = "from realtime_affect.cli.main import main; main()"
_SIZES = {"480p": (854, 480), "720p": (1280, 720)}
_FACES = (1, 4)
_FIRST = "first"
_LOOP = "s = 0\nfor i in range(50_000_000): s += i * i % 7"  # some three seconds, all in the cache


class Clips:
    """Clips of the demo, of any number of faces and size."""

    def __init__(self) -> None:
        from realtime_affect.capture import open_source

        source = open_source("demo", live=False)
        self._images = []
        while (frame := source.read(10.0)) is not None:
            self._images.append(frame.image)
        source.close()

    def write(
        self,
        path: Path,
        n: int,
        first: int = 0,
        faces: int = 0,
        size: tuple[int, int] | None = None,
    ) -> None:
        """Write `n` images from the one numbered `first` on; of 0 `faces`, as they are."""
        from realtime_affect.bench.clips import crowd_of
        from realtime_affect.outputs.video import VideoRecorder

        path.parent.mkdir(parents=True, exist_ok=True)
        recorder = VideoRecorder(path, 30.0)
        for index in range(n):
            image = self._images[(first + index) % len(self._images)]
            image = crowd_of(image, faces) if faces else image
            if size is not None:
                image = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
            recorder.write(image, index * 33_333_333)
        recorder.close()


def corpus_of(clips: Path, out: Path, workers: int, cores: int) -> dict[str, Any]:
    """Analyse a folder as a user does, on so many cores; return its record."""
    allowed = set(sorted(os.sched_getaffinity(0))[:cores])
    words = ["corpus", str(clips), "-o", str(out), "--workers", str(workers), "-q"]
    subprocess.run(
        [sys.executable, "-c", _PROGRAM, *words],
        env={**os.environ, "PYTHONPATH": ":".join(_PATHS)},
        preexec_fn=lambda: os.sched_setaffinity(0, allowed),
        check=True,
    )
    return dict(json.loads((out / "corpus.json").read_text(encoding="utf-8")))


def span_s(record: dict[str, Any]) -> float:
    """Return the time from the begin of the first input to the end of the last."""
    ends = [
        datetime.datetime.fromisoformat(one["finished"]).timestamp() for one in record["inputs"]
    ]
    begins = [end - one["elapsed_s"] for end, one in zip(ends, record["inputs"], strict=True)]
    return max(ends) - min(begins)


def networks(record: dict[str, Any]) -> dict[str, Any]:
    """Return how long each worker took to open its networks, and how often it did."""
    workers = record["workers"]
    return {
        "networks_s": [worker["networks_s"] for worker in workers],
        "networks_opened": [worker["networks_opened"] for worker in workers],
    }


def loops_s(n: int, loop: str) -> float:
    """Return how long `n` processes, on a core each, take for a plain loop."""
    cores = sorted(os.sched_getaffinity(0))[:n]
    began_s = time.monotonic()
    running = [
        subprocess.Popen(
            [sys.executable, "-c", f"import os\nos.sched_setaffinity(0, {{{core}}})\n{loop}"]
        )
        for core in cores
    ]
    for process in running:
        if process.wait():
            sys.exit("a loop ended early")
    return time.monotonic() - began_s


def two_against_one(clips: Clips, folder: Path, *, short: bool) -> dict[str, Any]:
    """Return the throughput of one and of two workers, and of a plain loop beside them."""
    lengths, rounds = (range(12, 0, -3), 1) if short else (range(95, 0, -5), 5)
    loop = _LOOP.replace("50_000_000", "500_000") if short else _LOOP
    for number, length in enumerate(lengths):
        clips.write(folder / "in" / f"{number}.mp4", length, 20 * number)
    frames = sum(lengths)
    figures: dict[str, Any] = {"inputs": len(lengths), "frames": frames}
    fps: dict[int, list[float]] = {1: [], 2: []}
    cpu_ms: dict[int, list[float]] = {1: [], 2: []}
    control: list[float] = []
    for round_ in range(rounds):  # in turn: other guests of the machine come and go
        for workers in fps:
            record = corpus_of(folder / "in", folder / f"out{round_}.{workers}", workers, workers)
            fps[workers].append(frames / span_s(record))
            cpu_ms[workers].append(sum(one["cpu_s"] for one in record["workers"]) * 1e3 / frames)
            figures[f"workers_{workers}"] = networks(record)
        control.append(2 * loops_s(1, loop) / loops_s(2, loop))
    ratios = [two / one for one, two in zip(fps[1], fps[2], strict=True)]
    return figures | {
        "fps_1": statistics.median(fps[1]),
        "fps_2": statistics.median(fps[2]),
        "ratios": ratios,
        "ratio": statistics.median(ratios),
        "control_ratios": control,
        "control_ratio": statistics.median(control),
        "cpu_ms_1": statistics.median(cpu_ms[1]),
        "cpu_ms_2": statistics.median(cpu_ms[2]),
    }


def memory(clips: Clips, folder: Path, *, short: bool) -> dict[str, Any]:
    """Return a worker's resident memory after each of a hundred inputs."""
    n = 10 if short else 100
    for number in range(n):
        clips.write(folder / "in" / f"{number}.mp4", 6, 3 * number, size=(640, 360))
    record = corpus_of(folder / "in", folder / "out", 1, 1)
    ordered = sorted(record["inputs"], key=lambda one: str(one["finished"]))
    held = [one["rss_mb"] for one in ordered]
    return {"inputs": n, "rss_mib": held, **networks(record)}


def speed(clips: Clips, folder: Path, *, short: bool) -> dict[str, Any]:
    """Return frames a second on one core, and how long each input took in all."""
    frames = 12 if short else 150
    clips.write(folder / "in" / f"{_FIRST}.mp4", frames + 1)  # the longest is the first
    for faces in _FACES:
        for name, size in _SIZES.items():
            clips.write(folder / "in" / f"{faces}_{name}.mp4", frames, 0, faces, size)
    record = corpus_of(folder / "in", folder / "out", 1, 1)
    found = {}
    for one in record["inputs"]:
        if Path(one["input"]).stem == _FIRST:
            continue
        if one["most_faces"] != int(one["input"].partition("_")[0]):
            sys.exit(f"{one['input']}: {one['most_faces']} faces were found")
        found[Path(one["input"]).stem] = {
            "fps": one["fps"], "elapsed_s": one["elapsed_s"], "frames": one["frames"],
        }  # fmt: skip
    return found


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--record", action="store_true")
    parser.add_argument("--short", action="store_true", help="whether it works; measures nothing")
    options = parser.parse_args()
    code, clips = records.code_state(*_CODE), Clips()
    for measure in (two_against_one, memory, speed):
        with tempfile.TemporaryDirectory() as scratch:
            figures = measure(clips, Path(scratch), short=options.short)
        print(json.dumps(figures, indent=1))
        if options.record and not options.short:
            config = {"scenario": measure.__name__}
            records.append(records.new_record("corpora", config, figures, code))


if __name__ == "__main__":
    main()
