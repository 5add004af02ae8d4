"""Traces of all units over clips of real people, to be looked at, and the jitter on still faces.

    python -m training.action_units.traces CLIP... --out FOLDER [--report FILE]

draws one picture a clip, frames above their traces, into FOLDER (pictures of people: they stay out
of the project), and writes the jitter to the report. A stretch is still where for half a second
no point of the mesh turned to the front strays more than 0.8 mm (rms over the stretch) from its
place; the jitter is the rms of a unit around its mean in such stretches, pooled over clips.
"""

from __future__ import annotations

import argparse
import contextlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

from affect_engines import load_card
from benchmarks.records import code_state
from realtime_affect.capture import open_source
from realtime_affect.face.align import turn_to_front
from realtime_affect.face.pose import fit_heads
from realtime_affect.face.vision import Vision
from realtime_affect.names import AU_INTENSITIES, FACS_NAMES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from realtime_affect.types import Image

Array = NDArray[np.float64]

STILL_S: Final = 0.5
STILL_MM: Final = 0.8
_THUMBNAILS: Final = 10


@dataclass(frozen=True, slots=True)
class Trace:
    """One face through one clip.

    Attributes
    ----------
    seconds : (n,) float64
    units : (n, 17) float64
        Intensities, in the order of ``AU_INTENSITIES``.
    points : (n, 468, 3) float64
        Meshes turned to the front, millimetres.
    pictures : list of (H, W, 3) uint8
        Some frames, evenly spaced, BGR.
    """

    seconds: Array
    units: Array
    points: Array
    pictures: list[Image]


def follow(clip: Path) -> Trace:
    """Run the product over `clip` and keep its first face."""
    seconds, units, points, pictures = [], [], [], []
    with (
        contextlib.closing(open_source(clip, live=False)) as source,
        contextlib.closing(Vision()) as vision,
    ):
        while (frame := source.read(10.0)) is not None:
            face = next((t.face for t in vision.analyse(frame).tracks if t.face is not None), None)
            if face is None:
                continue
            mesh = face.mesh.points[None]
            seconds.append(frame.t_ns / 1e9)
            units.append(face.action_units.intensity.astype(np.float64))
            points.append(turn_to_front(mesh, fit_heads(mesh))[0])
            pictures.append(cv2.resize(frame.image, None, fx=160 / frame.image.shape[0],
                                       fy=160 / frame.image.shape[0]))  # fmt: skip
    shown = np.linspace(0, len(pictures) - 1, min(_THUMBNAILS, len(pictures))).round().astype(int)
    return Trace(
        np.array(seconds), np.array(units), np.array(points, np.float64),
        [pictures[i] for i in shown],
    )  # fmt: skip


def still_stretches(trace: Trace) -> list[slice]:
    """Return the stretches of ``STILL_S`` in which no point of the face strays, without overlap."""
    stretches = []
    first = 0
    while first < len(trace.seconds):
        last = int(np.searchsorted(trace.seconds, trace.seconds[first] + STILL_S))
        if last >= len(trace.seconds):
            break
        points = trace.points[first:last]
        strays = np.sqrt(((points - points.mean(axis=0)) ** 2).sum(axis=2).mean(axis=0))
        if last - first >= 3 and strays.max() <= STILL_MM:
            stretches.append(slice(first, last))
            first = last
        else:
            first += 1
    return stretches


def jitter(traces: Sequence[Trace]) -> dict[str, float]:
    """Return the rms of each unit around its mean in still stretches; NaN without any."""
    squares = [
        ((trace.units[stretch] - trace.units[stretch].mean(axis=0)) ** 2)
        for trace in traces
        for stretch in still_stretches(trace)
    ]
    if not squares:
        return dict.fromkeys(AU_INTENSITIES, float("nan"))
    rms = np.sqrt(np.concatenate(squares).mean(axis=0))
    return dict(zip(AU_INTENSITIES, rms.tolist(), strict=True))


def draw(trace: Trace, title: str, path: Path) -> None:
    """Draw frames above the traces of all units; still stretches are shaded."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    known = [k for k in range(len(AU_INTENSITIES)) if np.isfinite(trace.units[:, k]).any()]
    figure = Figure((16, 2.2 + 0.62 * len(known)), layout="constrained")
    FigureCanvasAgg(figure)
    heights = [3.0, *([1.0] * len(known))]
    top, *rows = figure.subplots(len(heights), 1, height_ratios=heights)
    top.imshow(np.hstack(trace.pictures)[:, :, ::-1], aspect="auto")
    top.set_axis_off()
    top.set_title(title, loc="left")
    for axes, k in zip(rows, known, strict=True):
        axes.plot(trace.seconds, trace.units[:, k], lw=1.2, color="#0072b2")
        for stretch in still_stretches(trace):
            axes.axvspan(*trace.seconds[[stretch.start, stretch.stop - 1]], color="#eef2f5")
        axes.set(ylim=(-0.1, 5), xlim=trace.seconds[[0, -1]], yticks=(0, 2.5, 5))
        name = AU_INTENSITIES[k]
        axes.set_ylabel(f"{name[2:]} {FACS_NAMES[name]}", rotation=0, ha="right", va="center")
        if axes is not rows[-1]:
            axes.set_xticklabels([])
    figure.savefig(path, dpi=70)


def main() -> None:
    """Run from the command line."""
    from rich.progress import track

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("clips", type=Path, nargs="+", metavar="CLIP")
    parser.add_argument("--out", type=Path, required=True, help="folder for the pictures")
    parser.add_argument("--report", type=Path, help="JSON to write")
    options = parser.parse_args()
    code = code_state("realtime_affect/face")
    options.out.mkdir(parents=True, exist_ok=True)
    traces = []
    for clip in track(options.clips, "following faces"):
        traces.append(follow(clip))
        draw(traces[-1], clip.stem, options.out / f"{clip.stem}.png")
    found = jitter(traces)
    known = [value for value in found.values() if np.isfinite(value)]
    report: dict[str, Any] = {
        "made": code,
        "clips": [clip.stem for clip in options.clips],
        "frames": sum(len(trace.seconds) for trace in traces),
        "still_frames": sum(s.stop - s.start for t in traces for s in still_stretches(t)),
        "weights_sha256": load_card("action_units").sha256,
        "jitter_rms": {k: round(v, 4) for k, v in found.items() if np.isfinite(v)},
        "worst_jitter_rms": round(max(known, default=float("nan")), 4),
    }
    print(json.dumps(report, indent=1))
    if options.report is not None:
        options.report.write_text(json.dumps(report, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    main()
