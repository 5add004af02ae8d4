"""What the spotter of micro-expressions costs a face and frame, in a unit that other machines have.

It has no network to count in: its work is optical flow and much small arithmetic. So its time on
this processor is turned into the multiply-accumulates that a network, counted, does beside it in
the same time. That is an estimate, and bound to how this processor shares its time between the two.
"""

from __future__ import annotations

import time
import tracemalloc
from contextlib import closing
from dataclasses import replace
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from affect_engines import load_card, open_engine
from realtime_affect.capture.files import VideoFile
from realtime_affect.capture.source import CaptureConfig
from realtime_affect.face.stabilize import Stabilizer, stabilized_crop
from realtime_affect.face.vision import Vision
from realtime_affect.micro.classifier import MicroClassifier
from realtime_affect.micro.spotter import MicroSpotter
from realtime_affect.types import FaceWindow, StabilizedCrop

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from realtime_affect.types import Face, Frame

    Moment = tuple[Frame, dict[int, Face]]

FRAMES = 120
REPEATS = 5
RATE_OF = "face_mesh"
"""The network whose multiplications a second the spotter's time is compared with."""


def see_demo(frames: int) -> list[Moment]:
    """Return the first frames of the demo and the faces measured in each, by track."""
    seen: list[Moment] = []
    path = Path(str(resources.files("realtime_affect") / "demo" / "demo.mp4"))
    source = VideoFile(path, CaptureConfig())
    with closing(Vision()) as vision:
        while len(seen) < frames and (frame := source.read(60.0)) is not None:
            tracks = vision.analyse(frame).tracks
            seen.append((frame, {t.track_id: t.face for t in tracks if t.face is not None}))
    source.close()
    return seen


def cut_pictures(seen: Sequence[Moment]) -> None:
    """Do what the vision worker does for the spotter."""
    places: dict[int, Stabilizer] = {}
    for frame, faces in seen:
        for track_id, face in faces.items():
            stabilized = places.setdefault(track_id, Stabilizer())
            stabilized_crop(frame.image, stabilized.update(frame.t_ns, face.mesh.points))


def spot(seen: Sequence[Moment], spotter: MicroSpotter, *, own: bool = False) -> None:
    """Do what the affect worker does for the spotter; with `own`, on copies that only it keeps."""
    for frame, faces in seen:
        windows = []
        for track_id, face in faces.items():
            assert face.stabilized is not None
            if own:
                stabilized = face.stabilized
                face = replace(
                    face,
                    stabilized=StabilizedCrop(stabilized.image.copy(), stabilized.to_frame.copy()),
                )
            windows.append(FaceWindow(track_id, (frame.t_ns,), (face,)))
        spotter.decide(windows)


def cpu_s(work: Callable[[], object], repeats: int) -> float:
    """Return the least time this thread was on a processor for `work`."""
    took = []
    for _ in range(repeats):
        begin_s = time.thread_time()
        work()
        took.append(time.thread_time() - begin_s)
    return min(took)


def measure(mmac: float, frames: int = FRAMES, repeats: int = REPEATS) -> dict[str, Any]:
    """Measure on the demo.

    Parameters
    ----------
    mmac : float
        Millions of multiply-accumulates in one run of :data:`RATE_OF`.
    frames, repeats : int

    Returns
    -------
    dict
        Time a face and frame of both workers' parts, the millions of multiply-accumulates which
        the network does in it, and the bytes that the spotter keeps of a face.
    """
    threads = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        return _measure(mmac, frames, repeats)
    finally:
        cv2.setNumThreads(threads)


def _measure(mmac: float, frames: int, repeats: int) -> dict[str, Any]:
    seen = see_demo(frames)
    faces = sum(len(found) for _, found in seen)
    tracks = len({track_id for _, found in seen for track_id in found})
    with open_engine(load_card(RATE_OF)) as engine:
        feeds = {s.name: np.zeros([n or 1 for n in s.shape], s.dtype) for s in engine.inputs}
        engine.warm_up()
        run_s = cpu_s(lambda: engine.infer(feeds), 20 * repeats)

    cut_s = cpu_s(lambda: cut_pictures(seen), repeats) / faces
    with MicroClassifier() as classifier:
        spot_s = cpu_s(lambda: spot(seen, MicroSpotter(classifier)), repeats) / faces
        spotter = MicroSpotter(classifier)
        tracemalloc.start()
        spot(seen, spotter, own=True)
        kept = tracemalloc.get_traced_memory()[0]
        tracemalloc.stop()
    each_s = mmac / run_s
    return {
        "rate_of": RATE_OF,
        "gmac_per_s_here": round(each_s / 1e3, 2),
        "faces": tracks,
        "faces_and_frames": faces,
        "picture_ms": round(cut_s * 1e3, 3),
        "motion_ms": round(spot_s * 1e3, 3),
        "picture_mmac": round(cut_s * each_s, 2),
        "motion_mmac": round(spot_s * each_s, 2),
        "kept_bytes_a_face": kept // tracks,
    }
