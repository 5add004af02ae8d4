"""Render the embedded demo clip and its ground truth.

    python -m training.synthetic.demo --faces ict_facekit_light.npz --out realtime_affect/demo

Twelve seconds, 1280 x 720, 30 frames a second, two people who do not exist: a second at rest, the
six basic emotions by their EMFACS prototypes, one-sided smirks, and two micro-expressions.
``demo.truth.csv`` says for every frame and person what was driven. Same seed, same pictures. Head
and gaze angles are those seen along the line from the camera to the head, which is 0 when the
person faces, or looks into, the camera from where they sit; a one-sided unit counts by its stronger
side.
"""

from __future__ import annotations

import argparse
import csv
import os
from concurrent.futures import ProcessPoolExecutor
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import NamedTuple

import av
import cv2
import numpy as np
from rich.progress import track

from training.synthetic.camera import Camera
from training.synthetic.faces import FaceModel, eye_rotation
from training.synthetic.motion import EXTRAS, UNITS
from training.synthetic.people import Person, Traits, make_person
from training.synthetic.props import draw_hair_before, draw_hair_behind, draw_shirt
from training.synthetic.render import Light, Placement, draw_person, rotation
from training.synthetic.skin import SkinTraits
from training.synthetic.studio import lips_part, rest_landmarks

WIDTH, HEIGHT, FPS, SECONDS = 1280, 720, 30, 12

# EMFACS-style prototypes; 1 is the strongest the model shows.
PROTOTYPES: dict[str, dict[str, float | tuple[float, float]]] = {
    "happiness": {"AU06": 0.5, "AU12": 0.85},
    "sadness": {"AU01": 0.8, "AU04": 0.4, "AU15": 0.8, "AU17": 0.25},
    "surprise": {"AU01": 0.7, "AU02": 0.8, "AU05": 0.6, "AU26": 0.6},
    "fear": {"AU01": 0.8, "AU02": 0.35, "AU04": 0.4, "AU05": 0.7, "AU20": 0.7, "AU26": 0.3},
    "anger": {"AU04": 0.9, "AU05": 0.2, "AU07": 0.6, "AU24": 0.8},
    "disgust": {"AU09": 0.8, "AU10": 0.45, "AU17": 0.25, "AU04": 0.25},
    "contempt": {"AU12": (0.0, 0.45), "AU14": (0.0, 0.7)},
}


class Event(NamedTuple):
    """Something a face does: seconds of onset, apex, end of apex, and offset; strength 0 to 1."""

    emotion: str
    onset: float
    apex: float
    hold: float
    offset: float
    strength: float

    def at(self, t: float) -> float:
        """Strength at time `t`: smooth rise, hold, fall."""
        rise = np.clip((t - self.onset) / (self.apex - self.onset), 0, 1)
        fall = np.clip((self.offset - t) / (self.offset - self.hold), 0, 1)
        phase = min(rise, fall)
        return float(self.strength * phase * phase * (3 - 2 * phase))


class Role(NamedTuple):
    """A person's part in the clip."""

    traits: Traits
    seed: int
    x: float
    y: float
    px_per_cm: float
    events: tuple[Event, ...]
    blinks: tuple[float, ...]
    looks: tuple[tuple[float, float, float], ...]  # from second: eyes to their left, up
    phase: float


ROLES = (
    Role(
        Traits(
            SkinTraits(
                (0.70, 0.46, 0.36), (0.075, 0.04, 0.022), brow=0.28, beard=0.0, moustache=0.0,
                lips=(0.58, 0.24, 0.22), eye_shadow=0.4, freckles=0.0, mottle=0.6, age=0.25,
            ),
            iris=(0.12, 0.2, 0.3), shirt=(0.1, 0.22, 0.3), hair_cm=1.3, hairline_cm=0.1,
            sides_cm=0.0, covering=None, glasses=None, lash=0.85,
        ),
        11, 350, 275, 18.0,
        (
            Event("happiness", 1.3, 1.8, 2.8, 3.4, 1.0),
            Event("anger", 3.9, 4.4, 5.2, 5.7, 1.0),
            Event("surprise", 6.4, 6.45, 6.5, 6.65, 0.35),  # micro: 250 ms
            Event("surprise", 7.2, 7.5, 8.4, 8.9, 1.0),
            Event("sadness", 9.3, 10.0, 11.0, 11.6, 1.0),
        ),
        (0.6, 3.7, 6.0, 9.0, 11.7),
        ((0.0, 0.0, 0.0), (3.5, -0.5, -0.1), (5.8, 0.0, 0.0), (8.9, 0.4, -0.3), (11.3, 0.0, 0.0)),
        0.0,
    ),
    Role(
        Traits(
            SkinTraits(
                (0.24, 0.125, 0.08), (0.012, 0.01, 0.01), brow=0.45, beard=0.35, moustache=0.5,
                lips=(0.2, 0.085, 0.075), eye_shadow=0.3, freckles=0.0, mottle=0.5, age=0.35,
            ),
            iris=(0.06, 0.03, 0.016), shirt=(0.42, 0.2, 0.1), hair_cm=0.55, hairline_cm=0.3,
            sides_cm=0.0, covering=None, glasses=None, lash=0.7,
        ),
        29, 935, 285, 17.4,
        (
            Event("disgust", 1.5, 2.1, 3.0, 3.6, 1.0),
            Event("contempt", 4.4, 4.8, 5.6, 6.0, 1.0),
            Event("fear", 6.6, 7.0, 7.9, 8.5, 1.0),
            Event("happiness", 8.9, 8.95, 9.05, 9.2, 0.35),  # micro: 300 ms
            Event("happiness", 9.7, 10.2, 11.2, 11.8, 0.9),
        ),
        (1.0, 4.0, 6.3, 9.4),
        ((0.0, 0.0, 0.0), (4.2, 0.6, 0.0), (6.4, 0.0, 0.1), (8.5, -0.3, 0.0), (9.5, 0.0, 0.0)),
        2.1,
    ),
)  # fmt: skip


def state(
    role: Role, t: float
) -> tuple[dict[str, tuple[float, float]], str, np.ndarray, Placement]:
    """Return what a person does at time `t`: units (right, left), emotion, eyes, placement."""
    units: dict[str, tuple[float, float]] = {}
    emotion, strongest = "neutral", 0.02
    for event in role.events:
        amount = event.at(t)
        if amount > strongest:
            emotion, strongest = event.emotion, amount
        for unit, level in PROTOTYPES[event.emotion].items():
            right, left = level if isinstance(level, tuple) else (level, level)
            before = units.get(unit, (0.0, 0.0))
            units[unit] = (before[0] + amount * right, before[1] + amount * left)
    blink = max((1 - abs(t - at) / 0.1 for at in role.blinks), default=0.0)
    if blink > 0:
        units["AU45"] = (min(1.0, 1.4 * blink),) * 2
    look = np.zeros(2)
    for start, x, y in role.looks:  # eyes jump within 60 ms
        look += (np.array([x, y]) - look) * np.clip((t - start) / 0.06, 0, 1)
    p = role.phase
    angles = (
        0.05 * np.sin(0.9 * t + p) + 0.02 * np.sin(2.3 * t),
        0.16 * np.sin(0.7 * t + 2 * p),
        0.04 * np.sin(0.8 * t + p),
    )
    sway = 6 * np.sin(0.5 * t + p)
    return units, emotion, look, Placement(role.x + sway, role.y, role.px_per_cm, angles)


def gaze(look: np.ndarray, place: Placement) -> tuple[float, float]:
    """Where eyes look from the camera's point of view, as in AffectResult.gaze_rad."""
    x, y, z = rotation(place.angles_rad) @ eye_rotation(look) @ np.array([0.0, 0.0, 1.0])
    return float(np.arctan2(x, z)), float(np.arctan2(-y, z))


def backdrop() -> np.ndarray:
    """Make a soft, out-of-focus room: (H, W, 3) linear RGB."""
    rng = np.random.default_rng(5)
    picture = np.empty((HEIGHT, WIDTH, 3), np.float32)
    fade = np.linspace(1.15, 0.55, HEIGHT, dtype=np.float32)[:, None, None]
    picture[:] = np.array([0.235, 0.255, 0.275], np.float32) * fade
    for _ in range(14):
        x, y, radius = rng.uniform(0, WIDTH), rng.uniform(0, 380), rng.uniform(25, 90)
        glow = np.zeros((HEIGHT, WIDTH), np.float32)
        cv2.circle(glow, (int(x), int(y)), int(radius), 1.0, -1)
        tint = np.array([1.0, rng.uniform(0.7, 0.9), rng.uniform(0.45, 0.8)], np.float32)
        soft = cv2.GaussianBlur(glow, (0, 0), 14)[..., None]
        picture += soft * tint * rng.uniform(0.02, 0.08)
    return picture


LIGHT = Light(
    key=np.array([0.39, 0.48, 0.78], np.float32),
    fill=np.array([-0.8, 0.1, 0.6], np.float32),
    key_colour=np.array([0.74, 0.72, 0.69], np.float32),
    fill_colour=np.array([0.17, 0.18, 0.2], np.float32),
    sky=np.array([0.42, 0.42, 0.43], np.float32),
    ground=np.array([0.2, 0.19, 0.18], np.float32),
    gloss=0.07,
)
CAMERA = Camera(1.0, np.ones(3, np.float32), 2.2, 0.0, 0.004, 0, grey=False)

_people: list[Person] = []
_backdrop: np.ndarray | None = None


def _prepare(path: Path) -> None:
    """Load the model once a process."""
    global _backdrop
    cv2.setNumThreads(1)
    model = FaceModel(path)
    _people[:] = [make_person(model, role.seed, role.traits, relief=False) for role in ROLES]
    _backdrop = backdrop()


def render_frame(index: int) -> tuple[np.ndarray, list[dict[str, object]]]:
    """Draw frame `index`: (H, W, 3) BGR uint8, and one row of truth a person."""
    assert _backdrop is not None
    picture = _backdrop.copy()
    rows: list[dict[str, object]] = []
    t = index / FPS
    for number, (role, person) in enumerate(zip(ROLES, _people, strict=True), start=1):
        units, emotion, look, place = state(role, t)
        marks, lips = _draw(picture, person, units, look, place)
        low, high = marks.min(axis=0), marks.max(axis=0)
        row: dict[str, object] = {"frame": index + 1, "timestamp": f"{t:.3f}", "person": number}
        row |= {k: f"{v:.1f}" for k, v in zip("xywh", (*low, *(high - low)), strict=True)}
        names = ("pose_Rx", "pose_Ry", "pose_Rz")
        row |= {k: f"{v:.4f}" for k, v in zip(names, place.angles_rad, strict=True)}
        names = ("gaze_angle_x", "gaze_angle_y")
        row |= {k: f"{v:.4f}" for k, v in zip(names, gaze(look, place), strict=True)}
        row["emotion"] = emotion
        row["event"] = next(
            (i for i, e in enumerate(role.events, 1) if e.onset <= t <= e.offset), 0
        )
        row |= {
            unit: f"{5 * min(1.0, max(units.get(unit, (0.0, 0.0)))):.2f}" for unit in _TRUTH_UNITS
        }
        row["AU25"] = f"{5 * lips:.2f}"
        rows.append(row)
    return CAMERA.take(picture, np.random.default_rng(index)), rows


def _draw(
    picture: np.ndarray, person: Person, units: dict[str, tuple[float, float]], look: np.ndarray,
    place: Placement,
) -> tuple[np.ndarray, float]:  # fmt: skip
    """Draw a person in the picture; return the 68 landmarks (68, 2) and how far the lips part."""
    model = person.model
    driven = np.zeros((len(UNITS), 2), np.float32)
    for unit, sides in units.items():
        driven[UNITS.index(unit)] = np.minimum(sides, 1.0)
    weights = model.weights(driven, np.zeros(len(EXTRAS), np.float32), look)
    vertices = model.expressed(person.base, weights, look)
    draw_hair_behind(picture, person, rest_landmarks(person, place), place, LIGHT)
    points = draw_person(picture, person, vertices, driven, place, LIGHT)
    marks = points[model.landmarks, :2]
    draw_shirt(picture, person, place, LIGHT)
    draw_hair_before(picture, person, marks, place, LIGHT, seed=4)
    return marks, lips_part(person, vertices)


_TRUTH_UNITS = sorted({unit for units in PROTOTYPES.values() for unit in units} | {"AU45"})


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--faces", type=Path, required=True, help="ict_facekit_light.npz")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--still", type=float, help="write one PNG of this second instead")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    if options.still is not None:
        _prepare(options.faces)
        picture, _ = render_frame(round(options.still * FPS))
        cv2.imwrite(str(options.out / f"still_{options.still:g}.png"), picture)
        return
    n = FPS * SECONDS
    rows = []
    workers = len(os.sched_getaffinity(0))
    with (
        ProcessPoolExecutor(workers, initializer=partial(_prepare, options.faces)) as pool,
        av.open(str(options.out / "demo.mp4"), "w", options={"movflags": "+faststart"}) as file,
        (options.out / "demo.truth.csv").open("w", newline="", encoding="utf-8") as table,
    ):
        stream = file.add_stream("libx264", rate=FPS)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        stream.time_base = Fraction(1, FPS)
        stream.options = {"crf": "26", "preset": "slow", "threads": "1"}
        for picture, truth in track(pool.map(render_frame, range(n)), "rendering", total=n):
            rows += truth
            for packet in stream.encode(av.VideoFrame.from_ndarray(picture, format="bgr24")):
                file.mux(packet)
        for packet in stream.encode():
            file.mux(packet)
        writer = csv.DictWriter(table, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    size = (options.out / "demo.mp4").stat().st_size
    print(f"{n} frames, {size / 1e6:.2f} MB -> {options.out}")


if __name__ == "__main__":
    main()
