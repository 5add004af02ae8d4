"""The studio: a person, a motion, a light and a camera -> frames with exact ground truth.

    python -m training.synthetic.studio --faces ict_facekit_light.npz --sheet sheet.png
    python -m training.synthetic.studio --faces ict_facekit_light.npz --clip clip.mp4

write a contact sheet of one split to be judged by eye, and a sequence with its truth. Everything
follows from seeds: same seed and split, same pixels. Splits share no person, no light and no
combination of units. With ``--relief`` skin folds in relief (``relief``, ``creases``); all networks
that ship, and the demo, know the studio with painted lines (``skin``).
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Final

import cv2
import numpy as np

from training.synthetic.camera import Camera, draw_camera, draw_light
from training.synthetic.faces import FaceModel
from training.synthetic.motion import UNITS, Motion, make_motion, posed
from training.synthetic.people import Person, make_person
from training.synthetic.props import (
    draw_glasses,
    draw_hair_before,
    draw_hair_behind,
    draw_occluder,
    draw_room,
    draw_shirt,
)
from training.synthetic.render import SUPERSAMPLE, Light, Placement, draw_person, project, turn

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from training.synthetic.faces import Array

SPLITS: Final = ("train", "validation", "test")
FULL_LIP_GAP_CM: Final = 1.8  # between the inner lips at AU25 E
TRUTH_UNITS: Final = (*UNITS, "AU25")
"""Names of the intensities in :class:`Truth`; AU25 is read off the lips, all others are driven."""


@dataclass(frozen=True, slots=True)
class Scene:
    """Where a person is seen: light, camera, background, place in the picture.

    Attributes
    ----------
    room : (H, W, 3) float32
        Linear RGB behind the person; its size is the picture's.
    place : Placement
        Of the resting head; the motion moves and turns it.
    occluder : int
        Seed of what hides a part of the face; negative = nothing does.
    """

    light: Light
    camera: Camera
    room: Array
    place: Placement
    occluder: int = -1
    seed: int = 0


@dataclass(frozen=True, slots=True)
class Truth:
    """What is true of one frame.

    Attributes
    ----------
    units : (19, 2) float32
        Intensities 0 to 1 in the order of :data:`TRUTH_UNITS`: the person's right, left.
    angles_rad : (3,) float32
        Head rotation (Rx, Ry, Rz).
    look : (2,) float32
    landmarks : (68, 2) float32
        Multi-PIE's points in picture pixels.
    emotion : int
        Index of ``motion.EMOTIONS``.
    """

    units: Array
    angles_rad: Array
    look: Array
    landmarks: Array
    emotion: int


def make_subject(
    model: FaceModel, split: str, number: int, skins: Sequence[Array] = (), *, relief: bool = False
) -> Person:
    """Make person `number` of a split; with `skins`, a half wears one of them."""
    seed = [SPLITS.index(split), number]
    rng = np.random.default_rng([*seed, 5])
    if skins and rng.uniform() < 0.5:
        person = make_person(model, seed, texture=skins[rng.integers(len(skins))], relief=relief)
        # A photograph brings its own brows, beard and, at the lids, lashes.
        return replace(person, traits=replace(person.traits, lash=0.5 * person.traits.lash))
    return make_person(model, seed, relief=relief)


def draw_scene(seed: int | Sequence[int], side_px: int, split: str = "train") -> Scene:
    """Draw where a person is seen, in a square picture of `side_px`."""
    rng = np.random.default_rng([*(seed if not isinstance(seed, int) else [seed]), 11])
    px_per_cm = side_px * rng.uniform(0.036, 0.050)
    off = rng.normal(0, 0.03, 2) * side_px
    place = Placement(
        0.5 * side_px + off[0], 0.44 * side_px + off[1], px_per_cm, (0.0, 0.0, 0.0),
        float(np.exp(rng.uniform(np.log(38), np.log(150)))),
    )  # fmt: skip
    occluder = int(rng.integers(1 << 30)) if rng.uniform() < 0.05 else -1
    return Scene(
        draw_light(rng, split), draw_camera(rng, 14 * px_per_cm), draw_room(side_px, side_px, rng),
        place, occluder, int(rng.integers(1 << 30)),
    )  # fmt: skip


def draw_frame(
    picture: Array, person: Person, motion: Motion, index: int, scene: Scene,
    supersample: int = SUPERSAMPLE,
) -> Truth:  # fmt: skip
    """Draw frame `index` of a motion over `picture` (H, W, 3) linear RGB, in place.

    Returns
    -------
    Truth
    """
    model = person.model
    units, look = motion.units[index], motion.look[index]
    weights = model.weights(units, motion.extras[index], look)
    vertices = model.expressed(person.base, weights, look)
    place = moved(scene.place, motion, index)
    rest = rest_landmarks(person, place)
    draw_hair_behind(picture, person, rest, place, scene.light)
    points = draw_person(picture, person, vertices, units, place, scene.light, supersample)
    marks = points[model.landmarks, :2]
    draw_shirt(picture, person, scene.place, scene.light)
    draw_glasses(picture, person, points, place, scene.light)
    draw_hair_before(picture, person, marks, place, scene.light, scene.seed)
    if scene.occluder >= 0:
        draw_occluder(picture, rest, place, np.random.default_rng(scene.occluder))
    lips = lips_part(person, vertices)
    return Truth(
        np.vstack([units, [lips, lips]]).astype(np.float32), motion.angles_rad[index], look, marks,
        int(motion.emotion[index]),
    )  # fmt: skip


def film(
    person: Person, motion: Motion, scene: Scene, supersample: int = SUPERSAMPLE
) -> Iterator[tuple[NDArray[np.uint8], Truth]]:
    """Film a motion: pictures (H, W, 3) uint8 BGR, each with its truth."""
    for index in range(len(motion.t_s)):
        picture = scene.room.copy()
        truth = draw_frame(picture, person, motion, index, scene, supersample)
        yield scene.camera.take(picture, np.random.default_rng([scene.seed, index])), truth


def moved(place: Placement, motion: Motion, index: int) -> Placement:
    """Place a head as a motion has it at `index`."""
    x, y, z = (float(v) for v in motion.shift_cm[index])
    scale = place.px_per_cm * place.camera_cm / (place.camera_cm + z)
    rx, ry, rz = (float(v) for v in motion.angles_rad[index])
    return Placement(
        place.x + x * scale, place.y + y * scale, scale, (rx, ry, rz), place.camera_cm + z
    )


def lips_part(person: Person, vertices: Array) -> float:
    """AU25, 0 to 1: how much further the inner lips are apart than at rest."""
    gap = person.model.lip_gap_cm(vertices) - person.model.lip_gap_cm(person.base)
    return float(np.clip(gap / FULL_LIP_GAP_CM, 0, 1))


def rest_landmarks(person: Person, place: Placement) -> Array:
    """Where the 68 landmarks (68, 2) of the resting face lie in the picture."""
    return project(person, turn(person.base[person.model.landmarks], place), place)[:, :2]


def contact_sheet(
    model: FaceModel,
    split: str,
    rows: int,
    columns: int,
    side_px: int,
    skins: Sequence[Array] = (),
    *,
    relief: bool = False,
) -> NDArray[np.uint8]:
    """Draw one person a row, at rest in the first column and posed in the others, BGR."""
    lines = []
    for row in range(rows):
        person = make_subject(model, split, row, skins, relief=relief)
        motion = posed(row, columns, split)
        neutral = np.zeros_like(motion.units[0])
        motion.units[0], motion.extras[0] = neutral, 0
        cells = []
        for column in range(columns):
            scene = draw_scene([row, column], side_px, split)
            picture = scene.room.copy()
            draw_frame(picture, person, motion, column, scene)
            cells.append(scene.camera.take(picture, np.random.default_rng(column)))
        lines.append(np.hstack(cells))
    return np.vstack(lines)


def record_clip(
    model: FaceModel,
    out: Path,
    split: str,
    number: int,
    content: str,
    seconds: float,
    fps: float,
    side_px: int,
    *,
    relief: bool = False,
) -> None:
    """Film person `number` of a split: ``out`` (H.264), its truth and its events beside it."""
    import av

    from training.synthetic.truth import write_events, write_frames

    motion = make_motion(number, seconds=seconds, fps=fps, split=split, content=content)
    scene = draw_scene(number, side_px, split)
    truths = []
    with av.open(str(out), "w") as file:
        stream = file.add_stream("libx264", rate=Fraction(fps).limit_denominator(1001))
        stream.width = stream.height = side_px
        stream.pix_fmt, stream.options = "yuv420p", {"crf": "18"}
        person = make_subject(model, split, number, relief=relief)
        for picture, truth in film(person, motion, scene):
            truths.append(truth)
            file.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="bgr24")))
        file.mux(stream.encode())
    write_frames(out.with_suffix(".truth.csv"), motion, truths)
    write_events(out.with_suffix(".events.csv"), motion.events)


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--faces", type=Path, required=True, help="ict_facekit_light.npz")
    parser.add_argument("--split", choices=SPLITS, default="train")
    parser.add_argument("--side", type=int, default=192, help="pixels of one picture, even")
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--sheet", type=Path, help="contact sheet (PNG) to write")
    what.add_argument("--clip", type=Path, help="sequence (MP4) to write, truth beside it")
    parser.add_argument("--rows", type=int, default=6, help="people on the sheet")
    parser.add_argument("--columns", type=int, default=8, help="pictures of each")
    parser.add_argument("--person", type=int, default=0, help="whom the clip shows")
    parser.add_argument("--content", default="mixed", help="of the clip: see make_motion")
    parser.add_argument("--seconds", type=float, default=6.0)
    parser.add_argument("--fps", type=float, default=30.0)
    parser.add_argument("--relief", action="store_true", help="skin that folds in relief")
    options = parser.parse_args()
    model = FaceModel(options.faces)
    if options.sheet is not None:
        sheet = contact_sheet(
            model, options.split, options.rows, options.columns, options.side,
            relief=options.relief,
        )  # fmt: skip
        cv2.imwrite(str(options.sheet), sheet)
        print(f"{options.rows} people, {options.columns} pictures each -> {options.sheet}")
    else:
        record_clip(
            model, options.clip, options.split, options.person, options.content, options.seconds,
            options.fps, options.side, relief=options.relief,
        )  # fmt: skip
        print(f"{options.seconds:g} s at {options.fps:g} a second -> {options.clip}")


if __name__ == "__main__":
    main()
