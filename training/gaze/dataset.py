"""Rendered people and real stills -> patches of both eyes, and the iris network's answers.

    python -m training.gaze.dataset studio --faces ict_facekit_light.npz --out FOLDER \
        --people 0:10
    python -m training.gaze.dataset stills --pack lfw_train.npz --out FOLDER

Every image goes through the product's own mesh. The iris network answers each eye several times,
its region moved, turned and scaled a little each time, as the jitter of eye corners does; their
mean is what the eye network learns. Patches are cut wider than it sees, so that a training can move
them. LFW's stills (Huang et al., 2007) have no licence of their own and the people in them were not
asked: what is written here stays outside of the project.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from realtime_affect.affect.eyes import PATCH_PX, PATCH_SCALE, IrisFinder, cut_eye, eye_region
from realtime_affect.face.action_units import eye_openness
from realtime_affect.face.align import turn_to_front
from realtime_affect.face.detect import FaceDetector
from realtime_affect.face.region import Region
from realtime_affect.landmarks import LEFT_EYE_CORNERS, RIGHT_EYE_CORNERS
from training.action_units.dataset import PRESENT, Observer, region_from_landmarks
from training.action_units.stills import find_region
from training.action_units.teacher import PART, enlarge, read_stills
from training.filming import add_options, film_people, write_arrays
from training.synthetic.faces import FaceModel
from training.synthetic.motion import posed
from training.synthetic.studio import SPLITS, draw_frame, draw_scene, make_subject

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from realtime_affect.types import Image
    from training.action_units.dataset import Sight

    Arrays = dict[str, NDArray[np.generic]]

WIDE: Final = 1.5
"""Sides of the patches kept, over those of the patches that the network sees."""

WIDE_PX: Final = (round(WIDE * PATCH_PX[0]), round(WIDE * PATCH_PX[1]))
ASKED: Final = 4
"""Times that the iris network looks at each eye, and how much its region strays:"""
_STRAY: Final = (0.02, 0.03, 0.03)  # standard deviation of place and size, of the side; radians
_SCENES, _FRAMES = 3, 10
_SIDES_PX: Final = (176, 240, 320)
_MIN_OPENNESS: Final = 0.08


class Watcher(NamedTuple):
    """What a process opens once: the product's eyes, and the teacher."""

    observer: Observer
    teacher: IrisFinder
    model: FaceModel | None = None


def open_watcher(faces: Path | None = None) -> Watcher:
    """Open the networks, and the studio's model for those who film."""
    return Watcher(Observer(), IrisFinder(), None if faces is None else FaceModel(faces))


def ask(
    teacher: IrisFinder, image: Image, region: Region, mirrored: bool, rng: np.random.Generator
) -> NDArray[np.float64]:
    """Return the answers (ASKED, 2) about an eye, in frame pixels; the region strays each time."""
    place, size, turn = _STRAY
    scale = 2.3 / PATCH_SCALE
    answers = []
    for _ in range(ASKED):
        side = region.size_px * scale
        x, y = np.array(region.center) + rng.normal(0, place, 2) * side
        moved = Region(
            (float(x), float(y)), side * float(np.exp(rng.normal(0, size))),
            region.angle_rad + float(rng.normal(0, turn)),
        )  # fmt: skip
        answers.append(teacher.offset(image, moved, mirrored=mirrored))
    return np.array(answers, np.float64)


def look(
    watcher: Watcher, image: Image, sight: Sight, rng: np.random.Generator
) -> dict[str, NDArray[np.generic]] | None:
    """Return a row of the arrays of one face; None where an eye is shut or outside the image.

    ``eyes`` (2, H, W) uint8 are wide patches, right and mirrored left; ``offsets`` (2, 2) the
    iris's place beside the corners' middle in their pixels, ``spread`` (2,) the answers' standard
    deviation in them, ``mm_per_px`` a pixel's size on the head, ``iris_px`` its diameter in the
    image.
    """
    points = sight.mesh.points
    openness = eye_openness(turn_to_front(points[None], sight.heads))[0]
    if sight.mesh.presence < PRESENT or not (openness >= _MIN_OPENNESS).all():
        return None
    px_per_mm = float(sight.heads.scale[0])
    patches, offsets, spread, sizes = [], [], [], []
    for eye, pair in enumerate((RIGHT_EYE_CORNERS, LEFT_EYE_CORNERS)):
        region = eye_region(points[list(pair), :2], PATCH_SCALE)
        if not region.touches(image):
            return None
        wide = replace(region, size_px=WIDE * region.size_px)
        patches.append(cut_eye(image, wide, WIDE_PX, mirrored=eye == 1))
        answers = ask(watcher.teacher, image, region, eye == 1, rng)
        c, s, _, _ = region.to_frame(PATCH_PX[0])
        back = np.array(((c, s), (-s, c))) / (c * c + s * s)
        answers = answers @ back.T * ((-1.0 if eye else 1.0), 1.0)
        offsets.append(answers.mean(axis=0))
        spread.append(np.sqrt(answers.var(axis=0).mean()))
        sizes.append(region.size_px / PATCH_PX[0] / px_per_mm)
    return {
        "eyes": np.array(patches), "offsets": np.array(offsets, np.float32),
        "spread": np.array(spread, np.float32), "mm_per_px": np.array(sizes, np.float32),
        "iris_px": np.float32(11.7 * px_per_mm),
    }  # fmt: skip


def film(watcher: Watcher, split: str, number: int) -> Arrays:
    """Film a person who looks everywhere."""
    assert watcher.model is not None
    person = make_subject(watcher.model, split, number)
    rows = []
    for k in range(_SCENES):
        seed = [SPLITS.index(split), number, k, 77]
        rng = np.random.default_rng(seed)
        scene = draw_scene(seed, int(rng.choice(_SIDES_PX)), split)
        motion = posed(number * _SCENES + k, _FRAMES, split)
        motion = replace(motion, look=rng.uniform(-1, 1, motion.look.shape).astype(np.float32))
        for index in range(_FRAMES):
            picture = scene.room.copy()
            truth = draw_frame(picture, person, motion, index, scene, 1)
            image = scene.camera.take(picture, rng)
            sight = watcher.observer.look(image, region_from_landmarks(truth.landmarks, rng))
            row = look(watcher, image, sight, rng)
            if row is not None:
                rows.append({**row, "look": truth.look})
    return stack(rows)


def stack(rows: Iterable[dict[str, NDArray[np.generic]]]) -> Arrays:
    """Join rows to arrays."""
    rows = list(rows)
    return {name: np.array([row[name] for row in rows]) for name in rows[0]} if rows else {}


def film_stills(pack: Path, out: Path, limit: int | None = None) -> None:
    """Look at the first stills of a pack, in parts; ``person`` is that of each."""
    with np.load(pack, allow_pickle=False) as stored:
        persons = stored["person"]
    watcher, n = open_watcher(), min(len(persons), limit or len(persons))
    with FaceDetector() as detector:
        for first in range(0, n, PART):
            path = out / f"stills_{first // PART:03}.npz"
            if path.exists():
                continue
            rng = np.random.default_rng([first, 5])
            rows = []
            for i, grey in enumerate(read_stills(pack, first, PART), start=first):
                image = enlarge(grey)
                sight = watcher.observer.look(image, find_region(detector, image))
                row = look(watcher, image, sight, rng)
                if row is not None:
                    # Enlarged stills are no sharper than they were.
                    row["iris_px"] = np.float32(row["iris_px"] * len(grey) * 1.5 / len(image))
                    rows.append({**row, "person": persons[i]})
            write_arrays(path, stack(rows))
            print(f"{min(first + PART, n)} of {n}", flush=True)


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    kinds = parser.add_subparsers(dest="kind", required=True)
    studio = kinds.add_parser("studio")
    studio.add_argument("--faces", type=Path, required=True, help="ict_facekit_light.npz")
    add_options(studio, people="0:10")
    stills = kinds.add_parser("stills")
    stills.add_argument("--pack", type=Path, required=True, help="lfw_train.npz")
    stills.add_argument("--limit", type=int, help="look at the first stills alone")
    stills.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    if options.kind == "studio":
        film_people(options, film, partial(open_watcher, options.faces))
    else:
        film_stills(options.pack, options.out, options.limit)


if __name__ == "__main__":
    main()
