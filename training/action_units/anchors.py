"""Real faces in training: what is sure of them, as bounds on each unit instead of a truth.

    python -m training.action_units.anchors --london FOLDER --ferplus ferplus.npz --out FOLDER

Nobody has coded these faces, but a resting face shows no unit and a face that most people call
surprised has raised brows (Ekman, Friesen & Hager's prototypes, FACS Investigator's Guide, 2002).
A bound is only ever the safe side of that. Without real faces the network mistakes the folds of
real skin for units; with resting ones alone it learns that real faces never move.

- Face Research Lab London Set, persons 001 to 035, as worse cameras would have taken them: neutral
  (the reference of the same person too) and smiling. DeBruine & Jones, 2017, CC BY 4.0.
- FER+: pictures of 48x48 pixels on which at least eight of ten people agreed. Barsoum et al.,
  "Training deep networks for facial expression recognition with crowd-sourced label distribution",
  2016. Its ``valid`` split is never learned from: it shows whether real faces are read.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import cv2
import numpy as np

from affect_kernels.atomic import replacing
from realtime_affect.face.detect import FaceDetector
from realtime_affect.face.mesh import region_from_keypoints
from realtime_affect.face.region import Region
from training.action_units.dataset import Observer
from training.action_units.london import perturb
from training.action_units.network import OUTPUTS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from realtime_affect.types import Image

Bounds = tuple[dict[str, float], dict[str, float]]
"""Lowest and highest intensities, 0 to 5, of the units of which something is sure."""

PERSONS: Final = range(1, 36)
VARIANTS: Final = 14
AGREED: Final = 0.8  # share of FER+'s votes
_QUIET: Final = ("AU01", "AU02", "AU06", "AU09", "AU10", "AU12", "AU14", "AU15", "AU17", "AU20",
                 "AU28")  # fmt: skip

REST: Final[Bounds] = {}, dict.fromkeys(OUTPUTS, 0.6)
SMILE: Final[Bounds] = (
    {"AU12": 2.5, "AU12_right": 2.0, "AU12_left": 2.0},
    dict.fromkeys(("AU01", "AU02", "AU04", "AU05", "AU15", "AU17", "AU28", "AU45"), 1.0),
)
PROTOTYPES: Final[dict[str, Bounds]] = {
    "neutral": ({}, dict.fromkeys(_QUIET, 1.0) | {"AU04": 1.5, "AU12": 0.75}),
    "happiness": (
        {"AU12": 2.0, "AU12_right": 1.5, "AU12_left": 1.5},
        {"AU04": 1.0, "AU15": 0.75, "AU28": 1.0},
    ),
    "surprise": (
        {"AU01": 1.5, "AU02": 1.5},
        {"AU04": 1.0, "AU09": 1.0, "AU12": 1.0, "AU14": 1.0, "AU15": 1.0, "AU45": 1.0},
    ),
    "anger": ({"AU04": 1.5}, {"AU01": 1.0, "AU02": 1.0, "AU12": 1.0}),
    "sadness": ({}, {"AU02": 1.0, "AU09": 1.0, "AU12": 0.75}),
    "disgust": ({"AU10": 0.5}, {"AU02": 1.0, "AU05": 1.0, "AU12": 1.5}),
    "fear": ({"AU01": 0.5}, {"AU09": 1.5, "AU14": 1.0}),
}
"""By the name of FER+'s vote. The units of raters' prototypes, not a coder's."""


@dataclass(frozen=True, slots=True)
class RealFace:
    """A picture and what is sure of it."""

    image: Image
    region: Region
    person: int
    at_rest: bool
    bounds: Bounds


def london_faces(folder: Path) -> Iterator[RealFace]:
    """Yield perturbed photographs of the London Set's persons 001 to 035."""
    rng = np.random.default_rng(35)
    with FaceDetector() as detector:
        for kind, bounds in (("neutral", REST), ("smiling", SMILE)):
            for path in sorted((folder / "images").glob(f"*_{kind}.jpg")):
                if int(path.name[:3]) not in PERSONS:
                    continue
                image = cv2.imread(str(path))
                for _ in range(VARIANTS):
                    worse = perturb(image, rng)
                    found = detector.detect(worse, thorough=True)
                    if len(found):
                        region = region_from_keypoints(found.keypoints[0], found.xyxy[0])
                        person = int(path.name[:3])
                        yield RealFace(worse, region, person, kind == "neutral", bounds)


def ferplus_faces(pack: Path, split: int) -> Iterator[tuple[str, RealFace]]:
    """Yield expression and face of FER+'s pictures (48, 48) that raters agree on, enlarged.

    Parameters
    ----------
    pack : Path
        ``ferplus_train_valid.npz``.
    split : int
        0 = train, 1 = valid.
    """
    with np.load(pack, allow_pickle=False) as stored:
        packed, offsets, votes = stored["webp"], stored["offsets"], stored["votes"]
        names, splits = stored["vote_names"].tolist(), stored["split"]
    share = votes / np.maximum(votes.sum(axis=1, keepdims=True), 1)
    for i in np.flatnonzero((share.max(axis=1) >= AGREED) & (splits == split)).tolist():
        name = names[int(votes[i].argmax())]
        if name not in PROTOTYPES:
            continue
        grey = cv2.imdecode(packed[offsets[i] : offsets[i + 1]], cv2.IMREAD_GRAYSCALE)
        large = cv2.resize(grey, (192, 192), interpolation=cv2.INTER_CUBIC)
        bordered = cv2.copyMakeBorder(large, 48, 48, 48, 48, cv2.BORDER_REPLICATE)
        image = cv2.cvtColor(bordered, cv2.COLOR_GRAY2BGR)
        region = Region((144.0, 144.0), 230.0, 0.0)
        yield name, RealFace(image, region, 1000 + i, False, PROTOTYPES[name])  # type: ignore[arg-type]


def write_anchors(faces: Iterator[RealFace], path: Path) -> int:
    """Observe `faces` and write the arrays of ``dataset.film`` with bounds; count them."""
    observer = Observer()
    rows = []
    for face in faces:
        seen = observer.observe(face.image, face.region)
        rows.append((*seen, face.person, face.at_rest, *limits(face.bounds)))
    points, crops, angles, presence, persons, at_rest, low, high = zip(*rows, strict=True)
    np.savez(
        path,
        points=np.round(np.clip(points, -320, 320) * np.float32(100)).astype(np.int16),
        crops=np.array(crops, np.uint8),
        angles_rad=np.array(angles, np.float32),
        presence=np.array(presence, np.float32),
        low=np.array(low, np.float32),
        high=np.array(high, np.float32),
        scene=np.zeros(len(rows), np.int8),
        reference=np.array(at_rest, bool),
        person=-np.array(persons, np.int32),  # below the studio's people
    )
    return len(rows)


def limits(bounds: Bounds) -> NDArray[np.float32]:
    """Return the lowest and the highest intensity of each output, (2, 21)."""
    low, high = bounds
    return np.array(
        [[low.get(name, 0.0) for name in OUTPUTS], [high.get(name, 5.0) for name in OUTPUTS]],
        np.float32,
    )


def main() -> None:
    """Run from the command line."""
    from rich.progress import track

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--london", type=Path, required=True, help="folder of the London Set")
    parser.add_argument("--ferplus", type=Path, required=True, help="ferplus_train_valid.npz")
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    sources = {
        "london": london_faces(options.london),
        "ferplus": (face for _, face in ferplus_faces(options.ferplus, 0)),
    }
    for name, faces in sources.items():
        path = options.out / f"anchors_{name}.npz"
        if not path.exists():
            with replacing(path) as temporary:
                n = write_anchors(iter(track(faces, f"observing {name}", total=None)), temporary)
            print(f"{n} real faces -> {path}")


if __name__ == "__main__":
    main()
