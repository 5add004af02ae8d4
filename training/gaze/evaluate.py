"""How far the eye network is from the iris network that taught it, on persons kept out.

    python -m training.gaze.evaluate --data FOLDER --run FOLDER --clips CLIP ... \
        --onnx FOLDER --report eye_live.json

Clips are looked at by the product, with either network in every frame and with the eye network ten
times a second; people in them were never learned from. Angles are what ``affect.gaze`` makes of
offsets: their mean over both eyes, on a ball of 12 mm. The iris network's own noise is the same of
one of its answers against the mean of all.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import torch

from affect_engines.ort import OrtEngine
from benchmarks.records import code_state
from realtime_affect.affect.eyes import PATCH_PX, EyeNetFinder, IrisFinder
from realtime_affect.affect.gaze import EYE_RADIUS_MM, GazeEstimator
from realtime_affect.capture import CaptureConfig
from realtime_affect.capture.files import VideoFile
from realtime_affect.face.vision import Vision
from training.gaze.dataset import ASKED, WIDE_PX
from training.gaze.network import export
from training.gaze.train import load_network, read_looks
from training.reports import write_report

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from training.gaze.train import Looks

CLIP_FRAMES: Final = 75


def middles(eyes: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return what the network sees of wide patches (n, 2, H, W)."""
    left, top = (WIDE_PX[0] - PATCH_PX[0]) // 2, (WIDE_PX[1] - PATCH_PX[1]) // 2
    return np.ascontiguousarray(eyes[..., top : top + PATCH_PX[1], left : left + PATCH_PX[0]])


def errors_deg(looks: Looks, offsets: NDArray[np.floating]) -> NDArray[np.float64]:
    """Return the angle between gazes by offsets (n, 2, 2) and by the teacher's, (n,) degrees."""
    off = (offsets - looks.offsets) * looks.mm_per_px[..., None] / EYE_RADIUS_MM
    off[:, 1, 0] *= -1  # the left eye is mirrored
    return np.degrees(np.linalg.norm(off.mean(axis=1), axis=1))


def summary(errors: NDArray[np.float64]) -> dict[str, float]:
    """Return figures of errors (n,) in degrees."""
    return {
        "faces": len(errors), "mean_deg": round(float(errors.mean()), 3),
        "p50_deg": round(float(np.median(errors)), 3),
        "p95_deg": round(float(np.percentile(errors, 95)), 3),
    }  # fmt: skip


def evaluate(looks: Looks, network: torch.nn.Module) -> dict[str, Any]:
    """Compare a network with its teacher on some faces."""
    with torch.no_grad():
        offsets = network(torch.from_numpy(middles(looks.eyes))).numpy()
    # An answer differs from the mean of ASKED by this much less than from the truth of many.
    noise = looks.spread * looks.mm_per_px / EYE_RADIUS_MM
    both = np.degrees(np.sqrt((noise**2).sum(axis=1) / 4 * 2 * ASKED / (ASKED - 1)))
    return {
        **summary(errors_deg(looks, offsets)),
        "teacher_noise_deg": round(float(both.mean()), 3),
    }


def evaluate_clips(clips: Sequence[Path], content: bytes) -> dict[str, Any]:
    """Compare gaze by the network and by its teacher on the first CLIP_FRAMES of clips."""
    gazes = {
        "teacher": GazeEstimator(IrisFinder()),
        "every_frame": GazeEstimator(EyeNetFinder(OrtEngine(content, "eye_live"))),
        "ten_a_second": GazeEstimator(EyeNetFinder(OrtEngine(content, "eye_live")), 10.0),
    }
    off: dict[str, list[float]] = {"every_frame": [], "ten_a_second": []}
    with contextlib.closing(Vision(stabilized=False)) as vision:
        for clip in clips:
            vision.reset()
            for gaze in gazes.values():
                gaze.reset()
            source = VideoFile(clip, CaptureConfig())
            for _ in range(CLIP_FRAMES):
                frame = source.read(60.0)
                if frame is None:
                    break
                scene = vision.analyse(frame)
                found = {name: gaze.estimate(scene) for name, gaze in gazes.items()}
                for name, errors in off.items():
                    for track_id, true in found["teacher"].items():
                        apart = np.degrees(np.linalg.norm(found[name][track_id] - true))
                        if np.isfinite(apart):
                            errors.append(float(apart))
            source.close()
    for gaze in gazes.values():
        gaze.close()
    return {name: summary(np.array(errors)) for name, errors in off.items() if errors}


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--run", type=Path, required=True)
    parser.add_argument("--clips", type=Path, nargs="*", default=[])
    parser.add_argument("--onnx", type=Path, help="folder to write the network to")
    parser.add_argument("--report", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(1)
    network = load_network(options.run)
    content = export(network)
    report: dict[str, Any] = {
        "about": json.loads((options.run / "about.json").read_text("utf-8")),
        "sha256": hashlib.sha256(content).hexdigest(),
        "made": code_state("training/gaze", "realtime_affect/affect/gaze.py",
                           "realtime_affect/affect/eyes.py"),
    }  # fmt: skip
    for split in ("validation", "test"):
        report[split] = evaluate(read_looks(options.data, split)["stills"], network)
    if options.clips:
        report["clips"] = evaluate_clips(options.clips, content)
    print(json.dumps(report, indent=1))
    if options.onnx is not None:
        (options.onnx / "eye_live.onnx").write_bytes(content)
    write_report(report, options.report)


if __name__ == "__main__":
    main()
