"""Real processes with real networks: killed workers, a killed driver, a full disk."""

import json
import multiprocessing
import os
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from realtime_affect import analyze, analyze_corpus
from realtime_affect.analysis import Networks
from realtime_affect.capture import open_source
from realtime_affect.config import Config
from realtime_affect.corpus.analyst import Job
from realtime_affect.corpus.inputs import CorpusInput
from realtime_affect.corpus.processes import Processes
from realtime_affect.corpus.record import NAME as RECORD
from realtime_affect.corpus.workers import Lost, shares_of
from realtime_affect.errors import InputError
from realtime_affect.outputs.video import VideoRecorder

ROOT = Path(__file__).parents[3]
LENGTHS = {"a/clip.mp4": 16, "b/clip.mp4": 12, "c.mp4": 6}
CLI = "from realtime_affect.cli.main import main; main()"


@pytest.fixture(scope="module")
def clips(tmp_path_factory, models):
    """The demo's first frames, at different lengths, and a file that is no video."""
    folder = tmp_path_factory.mktemp("corpus") / "in"
    source = open_source("demo", live=False)
    frames = [source.read(10).image for _ in range(max(LENGTHS.values()))]
    source.close()
    for name, n in LENGTHS.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        recorder = VideoRecorder(path, 30)
        for index, image in enumerate(frames[:n]):
            recorder.write(image, index * 33_333_333)
        recorder.close()
    (folder / "bad.mp4").write_bytes(b"no video")
    return folder


def command(*arguments, **how):
    path = os.pathsep.join(str(ROOT / part) for part in ("", "engines", "kernels", "gui"))
    return subprocess.Popen(
        [sys.executable, "-c", CLI, "corpus", *map(str, arguments)],
        env={**os.environ, "PYTHONPATH": path}, stderr=subprocess.PIPE, text=True, **how,
    )  # fmt: skip


def record(out):
    try:
        return json.loads((out / "corpus.json").read_text())
    except FileNotFoundError:
        return {"workers": [], "inputs": []}


def until(condition):
    while not condition():
        time.sleep(0.05)


@pytest.mark.slow
def test_a_killed_driver_and_killed_workers_lose_nothing_and_repeat_nothing(clips, tmp_path):
    out = tmp_path / "out"
    driver = command(clips, "-o", out, "--workers", "1", "--no-timeline", "--no-explain", "-q")
    until(lambda: (out / "a" / "clip.mp4").exists() or driver.poll() is not None)
    workers = psutil.Process(driver.pid).children(recursive=True)
    driver.kill()
    driver.communicate()
    until(lambda: not any(process.is_running() for process in workers))  # none outlives it
    first = (out / "a" / "clip.mp4").stat().st_ino

    killed = []

    def kill_once(_):
        pids = [worker["pid"] for worker in record(out)["workers"]]
        if not killed and pids:
            os.kill(pids[0], signal.SIGKILL)
            killed.append(pids[0])

    done = analyze_corpus(
        clips, out, workers=1, resume=True, timeline=False, explain=False, progress=kill_once
    )
    assert killed
    entries = {entry["input"]: entry for entry in done.entries}
    assert {name: entries[name]["frames"] for name in LENGTHS} == LENGTHS
    assert (done.outcome, [e["input"] for e in done.failures]) == ("failed", ["bad.mp4"])
    assert done.kept >= 1
    assert (out / "a" / "clip.mp4").stat().st_ino == first
    ended = [worker["ended"] for worker in record(out)["workers"]]
    assert "its process was ended by SIGKILL" in ended
    assert all(worker["networks_opened"] == 1 for worker in record(out)["workers"])

    with Networks(Config()) as networks:
        for name in LENGTHS:
            plain = analyze(
                clips / name, tmp_path / name, timeline=False, explain=False, networks=networks
            )
            for path in plain.inputs[0].files.values():
                assert (out / name / path.name).read_bytes() == path.read_bytes(), path
    assert not (out / ".partial").exists()


def test_a_worker_has_cores_of_its_own_and_ends_where_it_needs_more_memory_than_it_may_have(
    tmp_path,
):
    options = {"annotate": False, "timeline": False, "explain": False}
    (tmp_path / RECORD).write_text("{}")
    workers = Processes(Job(tmp_path, Config(), False, False, options))
    workers.divide(2, 30.0)
    worker = workers.start()
    process = psutil.Process(*{child.pid for child in multiprocessing.active_children()})
    try:
        assert process.environ()["OPENBLAS_NUM_THREADS"] == "1"
        if hasattr(os, "sched_getaffinity"):
            mine, cores = process.cpu_affinity(), sorted(os.sched_getaffinity(0))
            assert mine == list(shares_of(cores, 2)[0])
            worker.spread()
            assert process.cpu_affinity() == cores
        while not isinstance(answer := worker.take(), Lost):
            if answer is not None:  # it was quicker than the look at its memory
                worker.give(CorpusInput("clip.mp4", error=InputError("a", "b", "c", "d")))
            workers.wait([worker], 1.0)
    finally:
        worker.close(now=True)
    assert answer == Lost("it needed more than 30 MiB of memory")


@pytest.mark.slow
def test_a_full_disk_stops_the_corpus_with_exit_code_4_and_it_can_go_on(clips, tmp_path):
    def small_files():
        resource.setrlimit(resource.RLIMIT_FSIZE, (5000, 5000))

    out = tmp_path / "out"
    driver = command(
        clips / "c.mp4", "-o", out, "--no-timeline", "--no-explain", "-q", "--format", "csv",
        preexec_fn=small_files,
    )  # fmt: skip
    said = driver.communicate()[1]
    assert driver.returncode == 4, said
    assert "File too large" in said
    assert "--resume" in said or "Free some space" in said
    assert not (out / "c.mp4").exists()
