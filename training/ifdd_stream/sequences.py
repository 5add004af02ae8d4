"""Sequences to learn from: the studio's people expressing, and faces that were photographed.

    python -m training.ifdd_stream.sequences --faces ict_facekit_light.npz --out FOLDER \
        [--split train] [--people 0:720]
    python -m training.ifdd_stream.sequences --london FOLDER --out FOLDER

Every picture goes through the product's own Face Mesh and alignment. The first command films: one
file a person (``filming``). The second looks at the smile onsets of the Face Research Lab London
Set.

What a moment shows is a share, not a class: an expression counts the more the stronger it is, and
more while it comes than while it goes (:func:`displayed`). A moment alone cannot tell the two
apart, nor a weak expression from the person's own face at rest; that is what the clip is for.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import cv2
import numpy as np

from realtime_affect.face.align import SLOT_PX, slot_crop
from realtime_affect.face.detect import FaceDetector
from realtime_affect.face.mesh import region_from_keypoints
from realtime_affect.names import EXPRESSIONS
from training.action_units.dataset import Observer, load_arrays, region_from_landmarks
from training.filming import add_options, film_people, write_arrays
from training.ifdd_stream.network import SLOT_HZ
from training.synthetic.faces import FaceModel
from training.synthetic.motion import Event, event_level, make_motion
from training.synthetic.studio import SPLITS, draw_scene, film, make_subject

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from realtime_affect.face.region import Region
    from realtime_affect.types import Image
    from training.synthetic.motion import Motion

KINDS: Final = ("held", "brief", "fading", "speech", "neutral")
"""Contents of a filmed sequence; ``speech`` over an expression, ``neutral`` with speech or not."""

SLOTS_FILMED: Final = 24
SCENES: Final = 5
"""A person's sequences, one of each kind."""

TAUGHT_PERSONS: Final = range(1, 36)  # of the London Set
STRIP_PX: Final = 112
_SIDES_PX: Final = (144, 176)
_NEUTRAL: Final = EXPRESSIONS.index("neutral")
COMES: Final = (0.1, 0.3)
GOES: Final = (0.25, 0.45)
"""Strength from which an expression begins to count, and from which it counts fully."""


@dataclass(frozen=True, slots=True)
class Sequences:
    """Faces through SLOTS_FILMED moments, SLOT_HZ a second.

    Attributes
    ----------
    pictures : (n, 24, 48, 48) uint8
        Aligned (``align.slot_crop``).
    shown : (n, 24, 8) float32
        Shares of EXPRESSIONS at each moment, sum 1.
    level : (n, 24) float32
        Strength of the expression under way, 0 to 1.
    going : (n, 24) bool
        Whether it is on its way back to rest.
    kind : (n,) int64
        Index of KINDS, -1 for none of them.
    person : (n,) int64
    """

    pictures: NDArray[np.uint8]
    shown: NDArray[np.float32]
    level: NDArray[np.float32]
    going: NDArray[np.bool_]
    kind: NDArray[np.int64]
    person: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.kind)


def displayed(
    motion: Motion, split: str
) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.bool_]]:
    """Return shares (n, 8), strength (n,) and "on its way back" (n,) of a motion's moments."""
    n = len(motion.t_s)
    share, kind = np.zeros(n), np.full(n, _NEUTRAL)
    level, going = np.zeros(n), np.zeros(n, bool)
    for event in motion.events:
        if not event.emotion:
            continue
        now = event_level(event, motion.t_s, split)
        back = motion.t_s > event.hold_s
        low, high = np.where(back, GOES[0], COMES[0]), np.where(back, GOES[1], COMES[1])
        counts = np.clip((now - low) / (high - low), 0, 1)
        stronger = now > level
        level[stronger], going[stronger] = now[stronger], back[stronger]
        share[stronger], kind[stronger] = counts[stronger], EXPRESSIONS.index(event.emotion)
    shown = np.zeros((n, len(EXPRESSIONS)), np.float32)
    shown[np.arange(n), kind] = share
    shown[:, _NEUTRAL] += 1 - share
    return shown, level.astype(np.float32), going


def draw_script(kind: str, expression: str, rng: np.random.Generator) -> tuple[Event, ...]:
    """Draw when an expression comes and goes within two seconds, and how strongly."""
    if kind == "neutral":
        return ()
    strength = rng.uniform(0.4, 1.0)
    end = SLOTS_FILMED / SLOT_HZ
    rise, fall = rng.uniform(0.15, 0.8), rng.uniform(0.2, 0.9)
    if kind == "brief":
        strength = rng.uniform(0.3, 0.7)
        onset, rise, fall = rng.uniform(0.2, 1.4), rng.uniform(0.12, 0.3), rng.uniform(0.15, 0.4)
        hold = onset + rise + rng.uniform(0.0, 0.2)
    elif kind == "fading":
        onset, hold = rng.uniform(-1.6, -0.6), rng.uniform(0.2, 1.2)
    elif kind == "speech":
        onset, hold = rng.uniform(-1.5, 0.6), rng.uniform(1.5, 3.0)
    else:
        onset = rng.uniform(-0.6, 1.2)
        hold = onset + rise + rng.uniform(0.3, 2.0) * end
    apex = min(onset + rise, hold)
    return (Event("macro", expression, onset, apex, hold, hold + fall, strength, ()),)


def film_person(
    model: FaceModel, split: str, number: int, observer: Observer
) -> dict[str, NDArray[Any]]:
    """Film one person and return the arrays of a file: those of :class:`Sequences`."""
    person = make_subject(model, split, number)
    rows: list[tuple[Any, ...]] = []
    for k, kind in enumerate(KINDS):
        seed = [SPLITS.index(split), number, k, 4]
        rng = np.random.default_rng(seed)
        others = [name for name in EXPRESSIONS if name != "neutral"]
        expression = others[(number * len(KINDS) + k + number // 7) % len(others)]
        speaks = kind == "speech" or (kind == "neutral" and rng.uniform() < 0.5)
        motion = make_motion(
            number * SCENES + k, seconds=SLOTS_FILMED / SLOT_HZ, fps=SLOT_HZ, split=split,
            content="speech" if speaks else "neutral" if kind == "neutral" else "script",
            script=draw_script(kind, expression, rng),
        )  # fmt: skip
        scene = draw_scene(seed, int(rng.choice(_SIDES_PX)), split)
        pictures = []
        for picture, truth in film(person, motion, scene, supersample=1):
            region = region_from_landmarks(truth.landmarks, rng)
            pictures.append(look(observer, picture, region)[0])
        rows.append((np.array(pictures), *displayed(motion, split), k, number))
    names = ("pictures", "shown", "level", "going", "kind", "person")
    return {
        name: np.array(column) for name, column in zip(names, zip(*rows, strict=True), strict=True)
    }


def look(observer: Observer, image: Image, region: Region) -> tuple[Image, float]:
    """Return the expression network's picture (48, 48) and Face Mesh's presence."""
    sight = observer.look(image, region)
    return slot_crop(sight.crop, sight.region, sight.heads, 0), sight.mesh.presence


def read_sequences(paths: Sequence[Path]) -> Sequences:
    """Join the files that :func:`main` wrote."""
    parts = [load_arrays(path) for path in paths]
    joined = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    return Sequences(**joined)


def read_onsets(folder: Path, persons: range) -> dict[str, NDArray[Any]]:
    """Look at the London Set's smile onsets: 16 pictures of each person, from neutral to smile.

    Returns
    -------
    dict
        ``pictures`` (n, 16, 48, 48) uint8 and ``person`` (n,).
    """
    observer = Observer()
    rows, numbers = [], []
    with FaceDetector() as detector:
        for path in sorted((folder / "smile_onset").glob("*.*")):
            number = int(path.name[:3])
            if number not in persons:
                continue
            strip = cv2.imread(str(path))
            rows.append([_look_at_frame(observer, detector, strip, i) for i in range(16)])
            numbers.append(number)
    return {"pictures": np.array(rows, np.uint8), "person": np.array(numbers)}


def read_onset_file(folder: Path) -> NDArray[np.uint8]:
    """Return the smile onsets (p, 16, 48, 48) in `folder` that may be learned from."""
    stored = load_arrays(folder / "onsets.npz")
    return stored["pictures"][np.isin(stored["person"], TAUGHT_PERSONS)]


def onset_shares(level: NDArray[Any], counts: tuple[float, float]) -> NDArray[np.float32]:
    """Return what smiles of some strength (t,), 0 to 1, show (t, 8); see COMES."""
    share = np.clip((level - counts[0]) / (counts[1] - counts[0]), 0, 1)
    shown = np.zeros((len(level), len(EXPRESSIONS)), np.float32)
    shown[:, EXPRESSIONS.index("happiness")], shown[:, _NEUTRAL] = share, 1 - share
    return shown


def _look_at_frame(observer: Observer, detector: FaceDetector, strip: Image, i: int) -> Image:
    small = strip[:, i * STRIP_PX : (i + 1) * STRIP_PX]
    image = cv2.resize(small, (3 * STRIP_PX, 3 * STRIP_PX), interpolation=cv2.INTER_CUBIC)
    image = cv2.copyMakeBorder(image, 112, 112, 112, 112, cv2.BORDER_REPLICATE)
    found = detector.detect(image, thorough=True)
    return look(observer, image, region_from_keypoints(found.keypoints[0], found.xyxy[0]))[0]


class Tools(NamedTuple):
    """What each process opens once."""

    observer: Observer
    model: FaceModel


def open_tools(faces: Path) -> Tools:
    """Open what people are filmed with; `faces` is the studio's model."""
    return Tools(Observer(), FaceModel(faces))


def film_with(tools: Tools, split: str, number: int) -> dict[str, NDArray[Any]]:
    """Film one person; see :func:`film_person`."""
    return film_person(tools.model, split, number, tools.observer)


def contact_sheet(sequences: Sequences, rows: int) -> NDArray[np.uint8]:
    """Lay sequences under each other, to be looked at; a bar tells how much each moment counts."""
    lines = []
    for pictures, shown in zip(sequences.pictures[:rows], sequences.shown[:rows], strict=True):
        bars = np.zeros((4, SLOTS_FILMED * SLOT_PX), np.uint8)
        for i, share in enumerate(1 - shown[:, _NEUTRAL]):
            bars[:, i * SLOT_PX : i * SLOT_PX + int(share * SLOT_PX)] = 255
        lines += [np.hstack(list(pictures)), bars]
    return np.vstack(lines)


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--faces", type=Path, help="ict_facekit_light.npz: film people")
    add_options(parser, people="0:720")
    parser.add_argument("--london", type=Path, help="London Set: look at its smile onsets")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    if options.london is not None and not (options.out / "onsets.npz").exists():
        write_arrays(options.out / "onsets.npz", read_onsets(options.london, range(1, 46)))
    if options.faces is None:
        return
    paths = film_people(options, film_with, partial(open_tools, options.faces))
    filmed = read_sequences(paths[:4])
    sheet = contact_sheet(filmed, len(filmed))
    cv2.imwrite(str(options.out / f"sheet_{options.split}.png"), sheet)
    print(f"{len(paths)} people, {len(KINDS)} sequences each -> {options.out}")


if __name__ == "__main__":
    main()
