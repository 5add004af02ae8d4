"""Studio -> what the action unit network sees: meshes, aligned pictures and true intensities.

    python -m training.action_units.dataset --faces ict_facekit_light.npz \
        [--skins LONDON/images] --out FOLDER --split train --people 0:600

Every picture goes through the product's own Face Mesh and alignment, so that the network learns
from the errors it will meet. One file a person (``filming``); ``sheet_train.png`` shows some of the
people, to be looked at.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

import cv2
import numpy as np

from realtime_affect.face.align import align_crop, turn_to_front
from realtime_affect.face.mesh import MeshEstimator, region_from_mesh
from realtime_affect.face.pose import fit_heads, head_poses
from realtime_affect.face.region import Region
from training.filming import add_options, film_people
from training.synthetic.faces import FaceModel
from training.synthetic.motion import make_motion, posed
from training.synthetic.photographs import read_skins
from training.synthetic.studio import (
    SPLITS,
    Scene,
    Truth,
    contact_sheet,
    draw_frame,
    draw_scene,
    make_subject,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

    from affect_kernels.similarity import Similarity
    from realtime_affect.types import FaceMesh, Image
    from training.synthetic.faces import Array
    from training.synthetic.motion import Motion
    from training.synthetic.people import Person

SCENES: Final = 5
FRAMES: Final = 22  # a scene; the first REFERENCES of them at rest
REFERENCES: Final = 3
CLIP_SECONDS, CLIP_FPS = 4.0, 5.0  # in the splits that are filmed as sequences
PRESENT: Final = 0.5  # Face Mesh's presence below which the product shows no face
_SIDES_PX: Final = (176, 208, 240)
_SKIN_PERSONS: Final = {"train": range(1, 36), "validation": range(36, 46), "test": range(0)}


@dataclass(frozen=True, slots=True)
class Samples:
    """What was seen of n pictures, as parallel arrays.

    Attributes
    ----------
    points : (n, 468, 3) float32
        Mesh turned to the front, millimetres (``align.turn_to_front``).
    crops : (n, 96, 96) uint8
        Aligned pictures (``align.align_crop``).
    angles_rad : (n, 3) float32
        Measured head rotation.
    presence : (n,) float32
        Face Mesh's.
    """

    points: Array
    crops: NDArray[np.uint8]
    angles_rad: Array
    presence: Array


class Sight(NamedTuple):
    """A mesh, the crop it was found in, the region that the crop shows, and the head's place."""

    mesh: FaceMesh
    crop: Image
    region: Region
    heads: Similarity


class Observer:
    """The product's eyes: mesh, pose and alignment of a picture with one face."""

    def __init__(self) -> None:
        self._mesher = MeshEstimator()

    def observe(self, image: Image, region: Region) -> tuple[Array, Image, Array, float]:
        """Return points (468, 3) in mm, crop (96, 96), angles (3,) and presence."""
        sight = self.look(image, region)
        height, width = image.shape[:2]
        angles = head_poses(sight.heads, width, height)[0].rotation_rad
        aligned = align_crop(sight.crop, sight.region, sight.heads, 0)
        front = turn_to_front(sight.mesh.points[None], sight.heads)[0]
        return front, aligned, angles, sight.mesh.presence

    def look(self, image: Image, region: Region) -> Sight:
        """Find the mesh in two passes, as a detection and the frame after it do."""
        mesh, _ = self._mesher.estimate(image, region)
        region = region_from_mesh(mesh.points)
        mesh, crop = self._mesher.estimate(image, region)
        return Sight(mesh, crop, region, fit_heads(mesh.points[None]))

    def observe_all(self, pictures: Iterable[tuple[Image, Region]]) -> Samples:
        """Observe one picture after the other."""
        seen = [self.observe(image, region) for image, region in pictures]
        points, crops, angles, presence = zip(*seen, strict=True)
        return Samples(
            np.array(points, np.float32), np.array(crops, np.uint8), np.array(angles, np.float32),
            np.array(presence, np.float32),
        )  # fmt: skip


def region_from_landmarks(marks: Array, rng: np.random.Generator) -> Region:
    """Guess where a detector would have sent the mesh: about the landmarks, never exactly."""
    low, high = marks.min(axis=0), marks.max(axis=0)
    size = 1.6 * float(max(high - low))
    x, y = (low + high) / 2 + rng.normal(0, 0.03, 2) * size
    right, left = marks[36], marks[45]
    roll = float(np.arctan2(left[1] - right[1], left[0] - right[0]))
    return Region((x, y - 0.06 * size), size * rng.uniform(0.9, 1.15), roll + rng.normal(0, 0.04))


def film_person(person: Person, split: str, number: int, observer: Observer) -> dict[str, Array]:
    """Film one person and return the arrays of a file; see :func:`main`."""
    pictures: list[tuple[Image, Region]] = []
    truths: list[Truth] = []
    labels: list[tuple[int, int, int]] = []
    for k in range(SCENES):
        seed = [SPLITS.index(split), number, k]
        rng = np.random.default_rng([*seed, 3])
        scene = draw_scene(seed, int(rng.choice(_SIDES_PX)), split)
        motion = _motion(split, number * SCENES + k, k)
        at_rest = _rest(motion, rng)
        frames = [(at_rest, i, True) for i in range(REFERENCES)]
        frames += [(motion, i, False) for i in range(len(motion.t_s))]
        for moving, index, reference in frames:
            image, truth = _take(person, moving, index, scene, rng)
            pictures.append((image, region_from_landmarks(truth.landmarks, rng)))
            truths.append(truth)
            labels.append((k, reference, truth.emotion))
    seen = observer.observe_all(pictures)
    scene_of, reference_of, emotion = np.array(labels).T
    return {
        "points": np.round(np.clip(seen.points, -320, 320) * 100).astype(np.int16),
        "crops": seen.crops,
        "angles_rad": seen.angles_rad,
        "presence": seen.presence,
        "units": np.array([truth.units for truth in truths], np.float16),
        "true_angles_rad": np.array([truth.angles_rad for truth in truths], np.float16),
        "scene": scene_of.astype(np.int8),
        "reference": reference_of.astype(bool),
        "emotion": emotion.astype(np.int8),
    }


def _motion(split: str, seed: int, k: int) -> Motion:
    """Independent poses to learn from; whole sequences, with curves of their own, to be tested."""
    if split == "train":
        return posed(seed, FRAMES - REFERENCES, split)
    content = ("units", "macro", "units", "mixed", "units")[k % SCENES]
    return make_motion(seed, seconds=CLIP_SECONDS, fps=CLIP_FPS, split=split, content=content)


def _rest(motion: Motion, rng: np.random.Generator) -> Motion:
    """Return a few frames of the same head at rest, from slightly other views."""
    n = REFERENCES
    zeros = {name: np.zeros((n, *getattr(motion, name).shape[1:]), np.float32) for name in
             ("units", "extras", "shift_cm", "look")}  # fmt: skip
    angles = rng.normal(0, [0.08, 0.12, 0.05], (n, 3)).astype(np.float32)
    return type(motion)(
        fps=motion.fps, t_s=motion.t_s[:n], angles_rad=angles,
        emotion=np.zeros(n, motion.emotion.dtype), events=(), **zeros,
    )  # fmt: skip


def _take(
    person: Person, motion: Motion, index: int, scene: Scene, rng: np.random.Generator
) -> tuple[Image, Truth]:
    picture = scene.room.copy()
    supersample = 2 if scene.room.shape[0] < 192 else 1
    truth = draw_frame(picture, person, motion, index, scene, supersample)
    return scene.camera.take(picture, rng), truth


class Tools(NamedTuple):
    """What each process opens once."""

    observer: Observer
    model: FaceModel
    skins: Sequence[Array] = ()
    relief: bool = False


def open_tools(faces: Path, skins: Path | None, relief: bool = False) -> Tools:
    """Open what people are filmed with: the studio's model, and the skins that some wear."""
    return Tools(Observer(), FaceModel(faces), _load_skins(skins), relief)


def film(tools: Tools, split: str, number: int) -> dict[str, NDArray[np.generic]]:
    """Film one person; see :func:`film_person`. ``photograph`` (n,) says whose skin it was."""
    person = make_subject(tools.model, split, number, tools.skins, relief=tools.relief)
    arrays = film_person(person, split, number, tools.observer)
    worn = any(person.texture is skin for skin in tools.skins)
    arrays["photograph"] = np.full(len(arrays["presence"]), worn)
    return arrays


def _load_skins(path: Path | None) -> list[Array]:
    return [] if path is None else list(load_arrays(path)["skins"].astype(np.float32))


def _prepare_skins(split: str, faces: Path, photographs: Path | None, folder: Path) -> Path | None:
    """Warp the photographs a split may wear, once; return the file of them."""
    persons = _SKIN_PERSONS[split]
    if photographs is None or not len(persons):
        return None
    path = folder / f"skins_{split}.npz"
    if not path.exists():
        skins = read_skins(FaceModel(faces), photographs, persons)
        np.savez(path, skins=np.array(skins, np.float16))
    return path


def load_arrays(path: Path) -> dict[str, NDArray[np.generic]]:
    """Read one file."""
    with np.load(path, allow_pickle=False) as stored:
        return {name: stored[name] for name in stored.files}


def load_samples(paths: Sequence[Path]) -> dict[str, NDArray[np.generic]]:
    """Join files of :func:`main`; adds ``person`` (n,), counted through `paths`."""
    parts: dict[str, list[NDArray[np.generic]]] = {}
    for k, path in enumerate(paths):
        for name, array in load_arrays(path).items():
            parts.setdefault(name, []).append(array)
        n = len(parts["presence"][-1])
        parts.setdefault("person", []).append(np.full(n, k, np.int32))
    return {name: np.concatenate(arrays) for name, arrays in parts.items()}


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--faces", type=Path, required=True, help="ict_facekit_light.npz")
    parser.add_argument("--skins", type=Path, help="London Set: NNN_neutral.jpg, worn by a half")
    parser.add_argument("--relief", action="store_true", help="skin that folds in relief")
    add_options(parser, people="0:600")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    skins = _prepare_skins(options.split, options.faces, options.skins, options.out)
    paths = film_people(options, film, partial(open_tools, options.faces, skins, options.relief))
    presence = np.concatenate([load_arrays(path)["presence"] for path in paths])
    sheet = contact_sheet(
        FaceModel(options.faces), options.split, 6, 8, 192, _load_skins(skins),
        relief=options.relief,
    )  # fmt: skip
    cv2.imwrite(str(options.out / f"sheet_{options.split}.png"), sheet)
    found = (presence >= PRESENT).mean()
    print(f"{len(presence)} pictures; Face Mesh finds the face in {found:.2%} -> {options.out}")


if __name__ == "__main__":
    main()
