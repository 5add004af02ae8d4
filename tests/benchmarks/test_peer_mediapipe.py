import os

import numpy as np
import pytest

from realtime_affect.capture import Source, open_source


def demo_frames(n):
    source = open_source("demo", live=False)
    try:
        return np.stack([source.read(10.0).image for _ in range(n)])
    finally:
        source.close()


def test_measured_times_every_frame_and_keeps_what_was_found(script):
    images = np.zeros((5, 4, 4, 3), np.uint8)
    seen = []
    answer = script("peer_mediapipe").measured(lambda image: seen.append(image) or 2, images)
    assert len(seen) == len(answer["cpu_ms"]) == 5
    assert answer["faces"] == [2] * 5
    assert min(answer["cpu_ms"]) >= 0
    assert answer["wall_ms"] > 0


@pytest.mark.usefixtures("models")
@pytest.mark.parametrize("run", ["run_product", "run_vision"])
def test_our_side_finds_both_faces_of_the_demo(script, run):
    answer = getattr(script("peer_mediapipe"), run)(demo_frames(6), 30.0)
    assert len(answer["cpu_ms"]) == 6
    assert answer["faces"][-1] == 2
    assert min(answer["cpu_ms"]) > 0


def test_a_frame_comes_when_it_is_due_and_not_before(script):
    source = script("peer_mediapipe").DecodedFrames(np.zeros((2, 4, 6, 3), np.uint8), 25.0)
    assert isinstance(source, Source)
    with pytest.raises(TimeoutError):
        source.read(0.01)
    frames = []
    for _ in range(3):
        source.due.release()
        frames.append(source.read(1.0))
    assert [frame and (frame.index, frame.t_ns) for frame in frames] == [
        (0, 0),
        (1, 40_000_000),
        None,
    ]


def test_without_the_peer_s_environment_it_says_how_to_get_it(run_main, tmp_path):
    with pytest.raises(SystemExit, match="make peers"):
        run_main("peer_mediapipe", "--peer-python", tmp_path / "python")


@pytest.mark.usefixtures("models")
def test_a_peer_that_dies_is_reported_not_waited_for(script, tmp_path):
    dead = tmp_path / "python"
    dead.write_text("#!/bin/sh\nread line\nexit 1\n", encoding="ascii")
    dead.chmod(0o755)
    with pytest.raises(SystemExit, match="the peer left"):
        script("peer_mediapipe").compare("demo", 1, dead, 4, 0)


@pytest.mark.usefixtures("models")
def test_a_peer_that_sees_other_faces_is_not_compared(script, tmp_path):
    blind = tmp_path / "python"
    answer = '{"cpu_ms": [1, 1, 1, 1], "wall_ms": 1, "faces": [0, 0, 0, 0]}'
    blind.write_text(f"#!/bin/sh\nread line\necho '{answer}'\nread line\n", encoding="ascii")
    blind.chmod(0o755)
    with pytest.raises(SystemExit, match="same number of faces in only"):
        script("peer_mediapipe").compare("demo", 1, blind, 4, 0)


@pytest.mark.usefixtures("models")
def test_both_see_the_same_faces_and_the_ratio_is_of_their_times(script):
    bench = script("peer_mediapipe")
    if not bench.PEER_PYTHON.exists():
        pytest.skip("the peer's environment (.venv-peers) is not here: make peers")
    core = max(os.sched_getaffinity(0))
    figures = bench.compare("demo", 1, bench.PEER_PYTHON, 30, core)
    assert figures["frames"] == 30
    assert figures["faces"] == 2
    assert figures["same_faces"] >= 0.9
    ours, theirs = figures["ours_cpu_ms"], figures["mediapipe_cpu_ms"]
    assert figures["ratio"] == pytest.approx(ours / theirs)
    assert 0 < figures["vision_cpu_ms"] < ours
    assert figures["refined_cpu_ms"] > 0
    assert "blendshapes_cpu_ms" in figures or "blendshapes" in figures["skipped"]
    assert "fer" in figures["skipped"]
    assert len(figures["ours_cpu_ms_by_round"]) == len(figures["mediapipe_wall_ms_by_round"]) == 1
