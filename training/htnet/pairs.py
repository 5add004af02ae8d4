"""Studio -> a face before a brief movement and at its strongest, as cameras happen to catch it.

    python -m training.htnet.pairs --faces ict_facekit_light.npz --out FOLDER \
        [--split train] [--people 0:300]

A take is one picture of the onset and one picture of the apex for each class: a person in a scene
makes a movement of each. The curves of ``motion`` are read at the times a camera of 30, 60, 100 or
200 pictures a second has one, with the error a spotter makes, so that some of the movement has gone
by at the onset already and some is missing at the apex. Every picture goes through the product's
own Face Mesh. One file a person (``filming``).
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import cv2
import numpy as np

from realtime_affect.face.mesh import MeshEstimator, region_from_mesh
from realtime_affect.names import MICRO_CLASSES
from training.action_units.dataset import region_from_landmarks
from training.filming import add_options, film_people
from training.synthetic.faces import FaceModel
from training.synthetic.motion import EXTRAS, PROTOTYPES, UNITS, Event, Motion, event_level
from training.synthetic.studio import SPLITS, draw_frame, draw_scene, make_subject

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from training.synthetic.faces import Array
    from training.synthetic.motion import Prototype

TAKES: Final = 8  # of a person, each with a scene of its own
CAMERAS_FPS: Final = (30, 60, 100, 200)
RISE_S: Final = (0.04, 0.25)
STRENGTH: Final = (0.06, 0.6)
SPOT_ERROR_S: Final = 0.02
"""Standard deviation of the spotter's onset and apex, besides the camera's own rounding."""

LEAST_SHOWN: Final = 0.3

NON_EVENTS: Final = ("rest", "blink", "gaze", "speech", "turn", "other")
"""Kinds of pairs that are of class ``none``."""

_SIDES_PX: Final = (144, 160, 176)
_NONE: Final = MICRO_CLASSES.index("none")
_EMOTIONS: Final = {
    "negative": ("anger", "disgust", "fear", "sadness", "contempt"),
    "positive": ("happiness",),
    "surprise": ("surprise",),
}
# Brief movements show parts of an expression more often than the whole of it.
_FRAGMENTS: Final[dict[str, tuple[dict[str, float], ...]]] = {
    "negative": (
        {"AU04": 1.0}, {"AU04": 1.0}, {"AU04": 1.0, "AU07": 0.7}, {"AU07": 1.0}, {"AU09": 0.8},
        {"AU10": 0.8}, {"AU04": 0.6, "AU09": 0.6}, {"AU15": 1.0}, {"AU17": 1.0},
        {"AU15": 0.7, "AU17": 0.7}, {"AU01": 0.7, "AU04": 0.7}, {"AU04": 0.7, "AU15": 0.6},
        {"AU14": 0.9}, {"AU20": 1.0}, {"AU04": 0.4, "AU24": 0.9}, {"AU04": 0.6, "AU10": 0.6},
    ),
    "positive": (
        {"AU12": 1.0}, {"AU12": 1.0}, {"AU06": 0.8, "AU12": 0.9}, {"AU06": 0.6, "AU12": 0.7},
        {"AU10": 0.2, "AU12": 0.8}, {"AU12": 0.7, "AU14": 0.3},
    ),
    "surprise": (
        {"AU01": 1.0, "AU02": 1.0}, {"AU01": 1.0, "AU02": 1.0}, {"AU02": 1.0}, {"AU01": 1.0},
        {"AU01": 0.8, "AU02": 0.8, "AU05": 0.7}, {"AU01": 0.7, "AU02": 0.8, "AU26": 0.35},
        {"AU05": 1.0},
    ),
}  # fmt: skip
_SPOKEN: Final = {"AU26": 0.35, "AU16": 0.3, "AU20": 0.2}
_BLINK: Final = UNITS.index("AU45")


@dataclass(frozen=True, slots=True)
class Moment:
    """How a face is at one time: what a frame of ``motion.Motion`` holds."""

    units: Array
    extras: Array
    angles_rad: Array
    shift_cm: Array
    look: Array


@dataclass(frozen=True, slots=True)
class Caught:
    """What a camera and a spotter make of a movement.

    Attributes
    ----------
    fps : int
    seconds : float
        Between both pictures.
    before, at : float
        Share of the movement that shows in the one and in the other.
    """

    fps: int
    seconds: float
    before: float
    at: float


def catch(rng: np.random.Generator, split: str) -> Caught:
    """Draw a camera and the pictures of a movement that are taken for onset and apex.

    Pairs that show less than LEAST_SHOWN of the movement are drawn anew: nothing would be spotted.
    """
    fps = int(rng.choice(CAMERAS_FPS))
    while True:
        rise = float(np.exp(rng.uniform(*np.log(RISE_S))))
        hold, fall = rng.uniform(0.02, 0.12), rng.uniform(0.08, 0.3)
        curve = ("",) * int(rng.integers(2))
        event = Event("micro", "", 0.0, rise, rise + hold, rise + hold + fall, 1.0, curve)
        phase = rng.uniform()
        times = np.array([0.0, rise + 0.5 * hold]) + rng.normal(0, SPOT_ERROR_S, 2)
        first, last = np.round(times * fps - phase).astype(int).tolist()
        last = max(last, first + 1)
        before, at = event_level(event, (np.array([first, last]) + phase) / fps, split).tolist()
        if at - before >= LEAST_SHOWN:
            return Caught(fps, (last - first) / fps, before, at)


def draw_levels(name: str, rng: np.random.Generator) -> dict[str, Array]:
    """Draw which units (the person's right, left) a movement of a class shows at strength 1."""
    if rng.uniform() < 0.6:
        fragments = _FRAGMENTS[name]
        parts = fragments[rng.integers(len(fragments))]
        levels = {unit: level * rng.uniform(0.7, 1.3) for unit, level in parts.items()}
    else:
        emotions = _EMOTIONS[name]
        variants: tuple[Prototype, ...] = PROTOTYPES[emotions[rng.integers(len(emotions))]]
        ranges = variants[rng.integers(len(variants))]
        levels = {unit: rng.uniform(*limits) for unit, limits in ranges.items()}
    sides = np.ones(2, np.float32)
    if rng.uniform() < 0.3 or set(levels) == {"AU12", "AU14"}:
        sides[rng.integers(2)] = rng.uniform(0, 0.7)
    return {unit: np.float32(level) * sides for unit, level in levels.items()}


def draw_rest(rng: np.random.Generator) -> Moment:
    """Draw a face that is about at rest: a unit or two may linger, the mouth may stand open."""
    units = np.zeros((len(UNITS), 2), np.float32)
    for unit in rng.choice(len(UNITS) - 1, int(rng.integers(0, 3)), replace=False):
        units[unit] = rng.uniform(0, 0.2)
    return Moment(
        units, np.zeros(len(EXTRAS), np.float32),
        rng.normal(0, [0.08, 0.12, 0.05]).astype(np.float32),
        rng.normal(0, [0.6, 0.4, 1.0]).astype(np.float32),
        np.clip(rng.normal(0, 0.25, 2), -1, 1).astype(np.float32),
    )  # fmt: skip


def drifted(rest: Moment, seconds: float, rng: np.random.Generator, lively: float) -> Moment:
    """Return a face some time later: head, gaze and lingering units have moved a little."""
    units = rest.units.copy()
    lingering = units > 0
    units[lingering] += rng.normal(0, 0.08 * seconds, int(lingering.sum()))
    return Moment(
        np.clip(units, 0, 1), rest.extras,
        rest.angles_rad + (seconds * lively * rng.normal(0, [0.05, 0.07, 0.04])).astype(np.float32),
        rest.shift_cm + (seconds * lively * rng.normal(0, [0.6, 0.5, 0.8])).astype(np.float32),
        rest.look + rng.normal(0, 0.01, 2).astype(np.float32),
    )  # fmt: skip


def add_movement(
    moment: Moment, levels: dict[str, Array], strength: float, rng: np.random.Generator
) -> Moment:
    """Return a face with a movement on top; now and then a blink or a glance comes with it."""
    units, look = moment.units.copy(), moment.look
    for unit, sides in levels.items():
        units[UNITS.index(unit)] += strength * sides
    if rng.uniform() < 0.08:
        units[_BLINK] = rng.uniform(0, 0.8)
    if rng.uniform() < 0.15:
        look = np.clip(look + rng.normal(0, 0.2, 2), -1, 1).astype(np.float32)
    return Moment(np.clip(units, 0, 1), moment.extras, moment.angles_rad, moment.shift_cm, look)


def add_non_event(moment: Moment, kind: str, rng: np.random.Generator) -> Moment:
    """Return a face that did something which is no expression: one of NON_EVENTS."""
    units, extras = moment.units.copy(), moment.extras.copy()
    angles, look = moment.angles_rad, moment.look
    if kind == "blink":
        units[_BLINK] = rng.uniform(0.15, 1.0)
    elif kind == "gaze":
        look = np.clip(look + rng.normal(0, 0.45, 2), -1, 1).astype(np.float32)
    elif kind == "speech":
        for unit, top in _SPOKEN.items():
            units[UNITS.index(unit)] += rng.uniform(0, top) * (rng.uniform() < 0.8)
        shape = EXTRAS.index(rng.choice(["mouthFunnel", "mouthPucker", "mouthClose"]))
        extras[shape] = rng.uniform(0, 0.4)
    elif kind == "turn":
        angles = angles + (rng.normal(0, [0.05, 0.08, 0.04])).astype(np.float32)
    elif kind == "other":
        extras[rng.integers(len(EXTRAS))] = rng.uniform(0.05, 0.5)
    return Moment(np.clip(units, 0, 1), extras, angles, moment.shift_cm, look)


def draw_take(
    split: str, rng: np.random.Generator
) -> tuple[Moment, list[Moment], list[dict[str, Any]]]:
    """Draw a face at its onset, at an apex of each class in turn, and what is true of each."""
    rest, caught = draw_rest(rng), catch(rng, split)
    mouth = add_non_event(rest, "speech", rng) if rng.uniform() < 0.1 else rest
    moments, truths = [], []
    onset = mouth
    for label, name in enumerate(MICRO_CLASSES):
        later = drifted(onset, caught.seconds, rng, lively=rng.choice([0.3, 1.0, 2.0]))
        truth = {"label": label, "kind": -1, "strength": 0.0, "fps": caught.fps,
                 "seconds": caught.seconds}  # fmt: skip
        if label == _NONE:
            kind = int(rng.integers(len(NON_EVENTS)))
            later, truth["kind"] = add_non_event(later, NON_EVENTS[kind], rng), kind
        else:
            strength = float(np.exp(rng.uniform(*np.log(STRENGTH))))
            # Some of it shows at the onset already: what the pair shows is the rest of it. The
            # take's onset is one picture, so the apex gives up that share.
            truth["strength"] = strength * (caught.at - caught.before)
            later = add_movement(later, draw_levels(name, rng), truth["strength"], rng)
        moments.append(later)
        truths.append(truth)
    return onset, moments, truths


def as_motion(moments: list[Moment]) -> Motion:
    """Put moments together as the studio films them; times mean nothing."""
    fields = {
        name: np.array([getattr(moment, name) for moment in moments], np.float32)
        for name in ("units", "extras", "angles_rad", "shift_cm", "look")
    }
    n = len(moments)
    return Motion(fps=1.0, t_s=np.arange(n, dtype=float), emotion=np.zeros(n, int), events=(),
                  **fields)  # fmt: skip


def film_person(
    model: FaceModel, split: str, number: int, mesher: MeshEstimator, takes: int = TAKES
) -> dict[str, NDArray[Any]]:
    """Film one person and return the arrays of a file.

    Returns
    -------
    dict
        ``pictures``: PNG files one after the other, ``offsets`` (k + 1,) where each begins, a take
        being the onset and len(MICRO_CLASSES) apexes; ``points`` (k, 468, 3) float32 in picture
        pixels and ``presence`` (k,); for each apex (n,): ``label``, ``kind`` (of NON_EVENTS, else
        -1), ``strength``, ``fps``, ``seconds``, and ``person``.
    """
    person = make_subject(model, split, number)
    files, points, presence, truths = [], [], [], []
    for k in range(takes):
        seed = [SPLITS.index(split), number, k, 9]
        rng = np.random.default_rng(seed)
        onset, apexes, told = draw_take(split, rng)
        motion = as_motion([onset, *apexes])
        scene = draw_scene(seed, int(rng.choice(_SIDES_PX)), split)
        for index in range(len(motion.t_s)):
            picture = scene.room.copy()
            truth = draw_frame(picture, person, motion, index, scene, 1)
            image = scene.camera.take(picture, rng)
            if index == 0:
                found, _ = mesher.estimate(image, region_from_landmarks(truth.landmarks, rng))
                region = region_from_mesh(found.points)
            mesh, _ = mesher.estimate(image, region)
            if index == 0:
                region = region_from_mesh(mesh.points)
            files.append(cv2.imencode(".png", image)[1])
            points.append(mesh.points)
            presence.append(mesh.presence)
        truths += told
    columns = {name: np.array([truth[name] for truth in truths]) for name in truths[0]}
    return {
        "pictures": np.concatenate(files),
        "offsets": np.cumsum([0, *map(len, files)]),
        "points": np.array(points, np.float32),
        "presence": np.array(presence, np.float32),
        "person": np.full(len(truths), number),
        **columns,
    }


class Tools(NamedTuple):
    """What each process opens once."""

    mesher: MeshEstimator
    model: FaceModel


def open_tools(faces: Path) -> Tools:
    """Open what people are filmed with; `faces` is the studio's model."""
    return Tools(MeshEstimator(), FaceModel(faces))


def film(tools: Tools, split: str, number: int) -> dict[str, NDArray[Any]]:
    """Film one person; see :func:`film_person`."""
    return film_person(tools.model, split, number, tools.mesher)


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--faces", type=Path, required=True, help="ict_facekit_light.npz")
    add_options(parser, people="0:300")
    options = parser.parse_args()
    people = len(film_people(options, film, partial(open_tools, options.faces)))
    print(f"{people} people, {people * TAKES * len(MICRO_CLASSES)} pairs -> {options.out}")


if __name__ == "__main__":
    main()
