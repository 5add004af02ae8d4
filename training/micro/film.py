"""Studio video to spot brief movements in, as the product's own vision saw it.

    python -m training.micro.film --faces ict_facekit_light.npz --out FOLDER --split validation

A clip shows one person at rest between what happens: brief movements, expressions of ordinary
length, stretches of speech, turns of the head; it blinks, looks about and wanders all the time.
People, light and curves of movement are the split's own. A file a clip (``validation_00_30.npz``):
grey frames, the meshes, poses and lids that :class:`~realtime_affect.face.vision.Vision` found in
them, and what was done when.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray
from rich.progress import track

from realtime_affect.face.vision import Vision
from realtime_affect.types import Frame
from training.filming import write_arrays
from training.synthetic.faces import FaceModel
from training.synthetic.motion import EMOTIONS, Event, Motion, event_level, make_motion
from training.synthetic.studio import SPLITS, draw_scene, film, make_subject

if TYPE_CHECKING:
    from collections.abc import Iterator

    from realtime_affect.types import Face

SIDE_PX: Final = 224
CLIP_S: Final = 20.0
SHORT_S: Final = (0.04, 0.12)
BRIEF_S: Final = (0.12, 0.5)
ORDINARY_S: Final = {"macro": (0.7, 2.5), "speech": (1.5, 4.0), "turn": (0.8, 2.5)}
WEAK: Final = (0.05, 0.1)
CLEAR: Final = (0.1, 0.35)
WANDER: Final = 2.5  # "neutral" motion wanders 0.4 times as far as others
TURN_RAD: Final = np.deg2rad([25, 40, 20])  # as far as the studio's turns go
_FIRST_S: Final = 1.5  # nothing to be spotted before

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Seen:
    """One face in one frame, as far as a spotter looks at it.

    Attributes
    ----------
    t_ns : int
    grey : (H, W) uint8
        The whole frame.
    points : (468, 3) float32
    openness : (2,) float32
    angles_rad : (3,) float32
    size_px, view_deg, sharpness : float
        As in :class:`~realtime_affect.types.FaceQuality`.
    """

    t_ns: int
    grey: NDArray[np.uint8]
    points: NDArray[np.float32]
    openness: NDArray[np.float32]
    angles_rad: NDArray[np.float32]
    size_px: float
    view_deg: float
    sharpness: float


@dataclass(frozen=True, slots=True)
class Clip:
    """What was filmed and what the product saw; frames without the face are left out."""

    fps: float
    seen: tuple[Seen, ...]
    events: tuple[Event, ...]


def write_script(seed: int, split: str, seconds: float) -> tuple[list[Event], list[Event]]:
    """Draw what happens in a clip, one thing after another.

    Returns
    -------
    shown : list of Event
        Brief movements (six of ten) and expressions of 0.7 to 2.5 s, whose units are still to be
        drawn. A quarter of the brief ones is shorter than 0.12 s, a fifth weaker than 0.1.
    between : list of Event
        Stretches of speech, and turns of the head.
    """
    rng = np.random.default_rng([SPLITS.index(split), seed, 303])
    shown: list[Event] = []
    between: list[Event] = []
    at = _FIRST_S + rng.uniform(0, 0.7)
    while True:
        draw = rng.uniform()
        kind = "micro" if draw < 0.6 else "macro" if draw < 0.74 else "speech"
        if draw > 0.87:
            kind = "turn"
        if kind == "micro":
            bounds = SHORT_S if rng.uniform() < 0.25 else BRIEF_S
            strength = rng.uniform(*(WEAK if rng.uniform() < 0.2 else CLEAR))
        else:
            bounds, strength = ORDINARY_S[kind], rng.uniform(0.4, 1.0)
        length = float(np.exp(rng.uniform(*np.log(bounds))))
        if at + length > seconds - 1.0:
            break
        onset = length * rng.uniform(0.25, 0.45)
        hold = onset + (length - onset) * rng.uniform(0.05, 0.5)
        emotion = EMOTIONS[rng.integers(1, len(EMOTIONS))] if kind[0] == "m" else ""
        event = Event(kind, emotion, at, at + onset, at + hold, at + length, strength, ())
        (shown if emotion else between).append(event)
        at += length + rng.uniform(0.8, 1.6)
    return shown, between


def make_clip_motion(seed: int, split: str, seconds: float, fps: float) -> Motion:
    """Make the motion of a clip; see :func:`write_script`.

    The head wanders all the time, as far as in the studio's livelier clips.
    """
    shown, between = write_script(seed, split, seconds)
    rng = np.random.default_rng([SPLITS.index(split), seed, 404])
    motion = make_motion(
        seed, seconds=seconds, fps=fps, split=split, content="neutral", script=shown
    )
    angles, shift = motion.angles_rad * WANDER, motion.shift_cm * WANDER
    events = list(motion.events)
    for number, event in enumerate(between):
        if event.kind == "turn":
            share = event_level(replace(event, strength=1.0), motion.t_s, split)
            angles += share[:, None].astype(np.float32) * (rng.uniform(-1, 1, 3) * TURN_RAD)
            events.append(event)
            continue
        spoken = make_motion(
            1000 * (seed + 1) + number, seconds=event.offset_s - event.onset_s, fps=fps,
            split=split, content="speech",
        )  # fmt: skip
        first = round(event.onset_s * fps)
        for name in ("units", "extras"):
            part = getattr(motion, name)[first : first + len(spoken.t_s)]
            np.maximum(part, getattr(spoken, name)[: len(part)], out=part)
        events += [
            replace(
                e, onset_s=event.onset_s + e.onset_s, apex_s=event.onset_s + e.apex_s,
                hold_s=event.onset_s + e.hold_s, offset_s=event.onset_s + e.offset_s,
            )
            for e in spoken.events if e.kind in ("speech", "blink")
        ]  # fmt: skip
    return replace(
        motion, angles_rad=angles, shift_cm=shift,
        events=tuple(sorted(events, key=lambda event: event.onset_s)),
    )  # fmt: skip


def film_clip(
    model: FaceModel, split: str, number: int, seconds: float, fps: float, vision: Vision
) -> dict[str, Any]:
    """Film person `number` of a split and look at the film; arrays to be saved."""
    motion = make_clip_motion(number, split, seconds, fps)
    person = make_subject(model, split, 500 + number)
    scene = draw_scene([500 + number, 1], SIDE_PX, split)
    rows: dict[str, list[Any]] = {
        name: [] for name in ("t_ns", "grey", "points", "openness", "angles_rad", "quality")
    }
    for index, (picture, _) in enumerate(film(person, motion, scene)):
        t_ns = round(motion.t_s[index] * 1e9)
        face = _largest(vision, Frame(index, t_ns, t_ns, picture))
        if face is None:
            continue
        _, packed = cv2.imencode(".png", cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY))
        quality = face.quality
        rows["t_ns"].append(t_ns)
        rows["grey"].append(packed)
        rows["points"].append(face.mesh.points)
        rows["openness"].append(face.eye_openness)
        rows["angles_rad"].append(face.pose.rotation_rad)
        rows["quality"].append((quality.size_px, quality.view_deg, quality.sharpness))
    ends = np.cumsum([len(packed) for packed in rows["grey"]])
    events = [
        (
            e.kind,
            e.emotion,
            e.onset_s,
            e.apex_s,
            e.hold_s,
            e.offset_s,
            e.strength,
            "+".join(e.units),
        )
        for e in motion.events
    ]
    return {
        "fps": fps,
        "t_ns": np.array(rows["t_ns"], np.int64),
        "grey": np.concatenate(rows["grey"]) if rows["grey"] else np.empty(0, np.uint8),
        "ends": ends,
        "points": np.array(rows["points"], np.float32),
        "openness": np.array(rows["openness"], np.float32),
        "angles_rad": np.array(rows["angles_rad"], np.float32),
        "quality": np.array(rows["quality"], np.float64),
        "events": np.array([[str(value) for value in event] for event in events]),
    }


def _largest(vision: Vision, frame: Frame) -> Face | None:
    faces = [track.face for track in vision.analyse(frame).tracks if track.face is not None]
    return max(faces, key=lambda face: face.quality.size_px, default=None)


def load_clip(path: Path) -> Clip:
    """Read what :func:`film_clip` made."""
    with np.load(path) as stored:
        kept = {name: stored[name] for name in stored.files}
    starts = [0, *kept["ends"][:-1].tolist()]
    seen = tuple(
        Seen(
            int(t_ns), cv2.imdecode(kept["grey"][start:end], cv2.IMREAD_GRAYSCALE), points,
            openness, angles, *(float(v) for v in quality),
        )
        for t_ns, start, end, points, openness, angles, quality in zip(
            kept["t_ns"], starts, kept["ends"].tolist(), kept["points"], kept["openness"],
            kept["angles_rad"], kept["quality"], strict=True,
        )
    )  # fmt: skip
    events = tuple(
        Event(kind, emotion, *(float(v) for v in numbers), tuple(filter(None, units.split("+"))))
        for kind, emotion, *numbers, units in kept["events"].tolist()
    )
    return Clip(float(kept["fps"]), seen, events)


def due(folder: Path, split: str, count: int, fps: int) -> Iterator[tuple[int, Path]]:
    """Yield number and path of the clips that are not there yet."""
    for number in range(count):
        path = folder / f"{split}_{number:02d}_{fps}.npz"
        if not path.exists():
            yield number, path


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--faces", type=Path, required=True, help="ict_facekit_light.npz")
    parser.add_argument("--out", type=Path, required=True, help="folder for the clips")
    parser.add_argument("--split", choices=SPLITS, default="validation")
    parser.add_argument("--clips", type=int, default=10)
    parser.add_argument("--seconds", type=float, default=CLIP_S)
    parser.add_argument("--fps", type=int, default=30)
    options = parser.parse_args()
    cv2.setNumThreads(1)
    options.out.mkdir(parents=True, exist_ok=True)
    model = FaceModel(options.faces)
    for number, path in track(
        list(due(options.out, options.split, options.clips, options.fps)), "filming"
    ):
        vision = Vision()
        arrays = film_clip(model, options.split, number, options.seconds, options.fps, vision)
        vision.close()
        write_arrays(path, arrays)


if __name__ == "__main__":
    main()
