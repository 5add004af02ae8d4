"""CPU time a frame: the whole product beside peers, on the same frames.

    python benchmarks/peer_mediapipe.py [CLIP ...] [--rounds 5] [--note TEXT] [--record]

All see the same decoded pixels, in turn, in the same run, each pinned to the same single core:

- the product: ``Pipeline`` as it is shipped, offline, so that every frame has its tracks, mesh,
  head pose, action units, gaze, blinks, expression and micro-expressions; a source of decoded
  frames gives it the next one when the reading is there;
- of it, the vision step alone: detection to action units;
- the peer: MediaPipe 0.10.21's ``mp.solutions.face_mesh`` (468 points, tracking mode), which has
  none of the rest;
- further peers that are at hand (``DELIVERS``); why one is not, the record says.

CPU time is that of all threads of the process; decoding is no part of it. Before anything is timed
product and peer must find the same faces. MediaPipe lives in an environment of its own
(``make peers``); it is started as a child and told when to run.

A shared machine disturbs some frames of every round. The figure of each is therefore the mean over
frames of each frame's minimum over rounds: what the work costs when nothing else runs. The means of
whole rounds are recorded beside it. On a busy machine only the ratio counts.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from realtime_affect.types import Frame

# Runs in the peer's environment too, where only NumPy and MediaPipe are.
PEER_PYTHON = Path(__file__).resolve().parents[1] / ".venv-peers/bin/python"


DELIVERS = {
    "ours": "tracks, 468 points, head pose, 18 action units, gaze, blinks, expression, "
    "micro-expressions, interpretation",
    "mediapipe": "468 points",
    "refined": "478 points, irises among them",
    "blendshapes": "478 points, 52 blendshapes, pose",
}
"""What each gives for its time; the last two are MediaPipe's too."""

OTHERS = ("fer", "feat", "libreface", "emotiefflib")
"""Peers that are named where they cannot be run."""

BUNDLE = Path("../shared/data/teachers/face_landmarker.task")
"""MediaPipe's FaceLandmarker with blendshapes."""

MORE_ROUNDS = 2
"""Of the peers that are no bar of ours."""


def measured(step: Callable[[np.ndarray], int], images: np.ndarray) -> dict[str, Any]:
    """Run a step over all frames (T, H, W, 3); return CPU and wall ms a frame, and the faces."""
    wall = time.perf_counter_ns()
    cpu_ms, faces = [], []
    for image in images:
        cpu = time.process_time_ns()
        faces.append(step(image))
        cpu_ms.append((time.process_time_ns() - cpu) / 1e6)
    wall_ms = (time.perf_counter_ns() - wall) / len(images) / 1e6
    return {"cpu_ms": cpu_ms, "wall_ms": wall_ms, "faces": faces}


def run_peer(frames: Path, shape: tuple[int, ...], max_faces: int, core: int) -> None:
    """Answer each line on standard input with one measured round: the child's whole life."""
    os.sched_setaffinity(0, {core})
    import cv2
    import mediapipe

    cv2.setNumThreads(1)
    bgr = np.memmap(frames, np.uint8, "r", shape=shape)
    rgb = np.ascontiguousarray(bgr[..., ::-1])  # the peer wants RGB: not part of its time
    for line in sys.stdin:
        if line.strip() == "blendshapes":
            answer = measure_blendshapes(mediapipe, rgb, max_faces)
        else:
            with mediapipe.solutions.face_mesh.FaceMesh(
                static_image_mode=False,
                max_num_faces=max_faces,
                refine_landmarks=line.strip() == "refined",
            ) as mesh:
                answer = measured(lambda i: len(mesh.process(i).multi_face_landmarks or ()), rgb)
        print(json.dumps(answer), flush=True)


def measure_blendshapes(mediapipe: Any, rgb: np.ndarray, max_faces: int) -> dict[str, Any]:
    """Measure a round of FaceLandmarker, or say why there is none."""
    if not BUNDLE.is_file():
        return {"skipped": f"no {BUNDLE.name}"}
    vision = mediapipe.tasks.vision
    options = vision.FaceLandmarkerOptions(
        base_options=mediapipe.tasks.BaseOptions(model_asset_path=str(BUNDLE)),
        running_mode=vision.RunningMode.VIDEO,
        output_face_blendshapes=True,
        num_faces=max_faces,
    )
    times = iter(range(0, 10**9, 33))
    with vision.FaceLandmarker.create_from_options(options) as landmarker:

        def step(image: np.ndarray) -> int:
            shown = mediapipe.Image(image_format=mediapipe.ImageFormat.SRGB, data=image)
            return len(landmarker.detect_for_video(shown, next(times)).face_landmarks)

        return measured(step, rgb)


def run_vision(images: np.ndarray, fps: float) -> dict[str, Any]:
    """Measure one round of our vision step."""
    from realtime_affect.face.vision import Vision

    vision, frames = Vision(), frames_of(images, fps)
    try:
        return measured(lambda _: len(vision.analyse(next(frames)).tracks), images)
    finally:
        vision.close()


def run_product(images: np.ndarray, fps: float) -> dict[str, Any]:
    """Measure one round of the whole product: from a decoded frame to its reading."""
    from realtime_affect.runtime.pipeline import Pipeline

    source = DecodedFrames(images, fps)
    with Pipeline(source, live=False) as pipeline:
        slot = pipeline.subscribe()
        pipeline.start()

        def step(_: np.ndarray) -> int:
            source.due.release()
            return len(slot.get(60.0).scene.tracks)

        found = measured(step, images)
        source.due.release()  # the end
        pipeline.join()
    return found


def frames_of(images: np.ndarray, fps: float) -> Iterator[Frame]:
    """Yield images (T, H, W, 3) as frames, captured when they are asked for."""
    from realtime_affect.types import Frame

    for index, image in enumerate(images):
        yield Frame(index, round(index / fps * 1e9), time.monotonic_ns(), image)


class DecodedFrames:
    """A :class:`~realtime_affect.capture.Source` that gives a frame each time one is due.

    Parameters
    ----------
    images : np.ndarray
        Shape (T, H, W, 3), uint8, BGR.
    fps : float
    """

    warnings: tuple[str, ...] = ()

    def __init__(self, images: np.ndarray, fps: float) -> None:
        from realtime_affect.capture import SourceInfo, SourceState

        n, height, width, _ = images.shape
        self.info = SourceInfo("video", "decoded", width, height, fps, n, live=False)
        self.state = SourceState.ONLINE
        self.due = threading.Semaphore(0)
        self._frames = frames_of(images, fps)

    def read(self, timeout_s: float) -> Frame | None:
        """Return the next frame once it is due; None after the last."""
        if not self.due.acquire(timeout=timeout_s):
            raise TimeoutError
        return next(self._frames, None)

    def close(self) -> None:
        """Nothing is held."""


def decode(clip: str, path: Path, max_frames: int) -> tuple[np.ndarray, float]:
    """Decode a clip once into a file both processes map: (T, H, W, 3) uint8 BGR, and its fps."""
    from realtime_affect.capture import CaptureConfig, open_source

    source = open_source(clip, CaptureConfig(), live=False)
    n = 0
    with path.open("wb") as file:
        while n < max_frames and (frame := source.read(10.0)) is not None:
            frame.image.tofile(file)
            shape = frame.image.shape
            n += 1
    source.close()
    return np.memmap(path, np.uint8, "r", shape=(n, *shape)), source.info.fps or 30.0


def compare(
    clip: str, rounds: int, peer_python: Path, max_frames: int, core: int
) -> dict[str, Any]:
    """Measure all on one clip, round about."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "frames.bgr"
        stack, fps = decode(clip, path, max_frames)
        first = run_product(stack, fps)
        max_faces = max(1, *first["faces"])
        shape = ",".join(str(n) for n in stack.shape)
        child = [str(peer_python), __file__, "--peer", str(path), shape, str(max_faces), str(core)]
        with subprocess.Popen(
            child,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        ) as peer:
            assert peer.stdin is not None
            assert peer.stdout is not None

            def ask(kind: str = "mediapipe") -> dict[str, Any]:
                peer.stdin.write(f"{kind}\n")
                peer.stdin.flush()
                line = peer.stdout.readline()
                if not line:
                    message = f"the peer left: does {peer_python} have mediapipe? (make peers)"
                    raise SystemExit(message)
                return json.loads(line)

            theirs = ask()
            agree = np.mean(np.equal(first["faces"], theirs["faces"]))
            print(f"{Path(clip).name}: the same number of faces in {agree:.1%} of frames")
            if agree < 0.9:  # speed is only worth a line where both do the same work
                message = f"{clip}: the same number of faces in only {agree:.0%} of frames"
                raise SystemExit(message)
            runs = [
                {
                    "ours": run_product(stack, fps),
                    "vision": run_vision(stack, fps),
                    "mediapipe": ask(),
                }
                for _ in range(rounds)
            ]
            more = {
                kind: [ask(kind) for _ in range(min(rounds, MORE_ROUNDS))]
                for kind in ("refined", "blendshapes")
            }
            peer.stdin.close()
    figures: dict[str, Any] = {"frames": len(stack), "faces": max_faces, "same_faces": float(agree)}
    for name in runs[0]:
        cpu = np.array([run[name]["cpu_ms"] for run in runs])
        figures[f"{name}_cpu_ms"] = float(cpu.min(axis=0).mean())
        figures[f"{name}_cpu_ms_by_round"] = cpu.mean(axis=1).round(4).tolist()
        figures[f"{name}_wall_ms_by_round"] = [round(run[name]["wall_ms"], 4) for run in runs]
    figures["skipped"] = dict.fromkeys(OTHERS, "not in the peers' environment")
    for name, answers in more.items():
        if "skipped" in answers[0]:
            figures["skipped"][name] = answers[0]["skipped"]
        else:
            cpu = np.array([answer["cpu_ms"] for answer in answers])
            figures[f"{name}_cpu_ms"] = float(cpu.min(axis=0).mean())
    figures["ratio"] = figures["ours_cpu_ms"] / figures["mediapipe_cpu_ms"]
    figures["vision_ratio"] = figures["vision_cpu_ms"] / figures["mediapipe_cpu_ms"]
    figures["ratio_of_best_rounds"] = min(figures["ours_cpu_ms_by_round"]) / min(
        figures["mediapipe_cpu_ms_by_round"]
    )
    return figures


def main() -> None:
    """Run from the command line."""
    if sys.argv[1:2] == ["--peer"]:
        path, shape, max_faces, core = sys.argv[2:]
        run_peer(Path(path), tuple(map(int, shape.split(","))), int(max_faces), int(core))
        return
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("clips", nargs="*", default=["demo"])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--frames", type=int, default=300, help="at most this many of each clip")
    parser.add_argument("--note", help="what else the record should say, such as: machine busy")
    parser.add_argument("--peer-python", type=Path, default=PEER_PYTHON)
    parser.add_argument("--record", action="store_true")
    options = parser.parse_args()
    if not options.peer_python.exists():
        message = f"{options.peer_python} is not there: make peers"
        raise SystemExit(message)
    import cv2
    import records

    code = records.code_state()
    cv2.setNumThreads(1)
    core = max(os.sched_getaffinity(0))
    os.sched_setaffinity(0, {core})
    for clip in options.clips:
        figures = compare(clip, options.rounds, options.peer_python, options.frames, core)
        print(
            f"{Path(clip).name}: {figures['faces']} face(s), {figures['frames']} frames, CPU ms a "
            f"frame: product {figures['ours_cpu_ms']:.2f}, its vision step "
            f"{figures['vision_cpu_ms']:.2f}, mediapipe {figures['mediapipe_cpu_ms']:.2f} · "
            f"ratio {figures['ratio']:.2f} "
            f"(of best rounds {figures['ratio_of_best_rounds']:.2f}), vision "
            f"{figures['vision_ratio']:.2f}"
        )
        if options.record:
            config = {"clip": Path(clip).name, "rounds": options.rounds, "threads": 1}
            config |= {"note": options.note} if options.note else {}
            print(
                "recorded in",
                records.append(records.new_record("peer_mediapipe", config, figures, code)),
            )


if __name__ == "__main__":
    main()
