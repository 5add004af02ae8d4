"""Real faces in training: a teacher's ranks, and what people who looked at them agreed on.

    python -m training.action_units.real_faces --london FOLDER --out FOLDER

Nobody has coded these faces. What is known of them is, for each unit, bounds of its evidence
(``network.intensity``), between which the network may say what it likes:

- **Taught** units (``TAUGHT``): MediaPipe's blendshapes (``teacher``) give the rank of a face among
  the faces of Labeled Faces in the Wild. Evidence below 1 is that rank, evidence from 1 on follows
  the score, or the rank again where a shape hardly moves (cheek raiser, dimpler). Low and high
  bound are the same.
- **Rated** faces: a resting face shows no unit, and a face that most people call surprised has
  raised brows (Ekman, Friesen & Hager's prototypes, FACS Investigator's Guide, 2002). Bounds are
  only ever the safe side of that; where a unit is taught, they hold the teacher's evidence. Of two
  faces of a kind, one of an expression and one neutral, the first shows more of the expression's
  units (``EVIDENCE``): that orders faces where the teacher errs, and units that nobody teaches.
- AU25 is a length: the gap between the inner lips of the mesh.

The command films Face Research Lab London Set's persons 001 to 035 as worse cameras would have
taken them, neutral and smiling (DeBruine & Jones, 2017, CC BY 4.0).
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

import cv2
import numpy as np

from realtime_affect.face.detect import FaceDetector
from realtime_affect.face.mesh import region_from_keypoints
from training.action_units.dataset import Observer, load_arrays
from training.action_units.london import perturb
from training.action_units.measures import MEASURES, measure_matrix
from training.action_units.network import OUTPUTS
from training.filming import write_arrays

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from training.synthetic.faces import Array

Bounds = tuple[dict[str, float], dict[str, float]]
"""Lowest and highest evidence of the units of which something is sure."""

PERSONS: Final = range(1, 36)
VARIANTS: Final = 14
AGREED: Final = 0.8  # share of FER+'s votes that bounds are taken from
MOSTLY: Final = 0.6  # share of FER+'s votes that pairs are made of
HIGHEST: Final = 5.0
LOWEST: Final = -1.0
"""Evidence under 0 shows as nothing, so that "none" leaves room below."""


@dataclass(frozen=True, slots=True)
class Taught:
    """How a teacher's score becomes evidence.

    Attributes
    ----------
    shapes : tuple of str
        Blendshapes that are averaged.
    share : float
        Of LFW's training faces whose evidence is 1 or more.
    full : float
        Score of evidence 5; 0 = the shape hardly moves, its rank counts instead.
    """

    shapes: tuple[str, ...]
    share: float
    full: float


def _pair(name: str) -> tuple[str, str]:
    return f"{name}Left", f"{name}Right"


TAUGHT: Final[dict[str, Taught]] = {
    "AU01": Taught(("browInnerUp",), 0.10, 0.95),
    "AU02": Taught(_pair("browOuterUp"), 0.10, 0.95),
    "AU04": Taught(_pair("browDown"), 0.20, 0.90),
    "AU06": Taught(_pair("cheekSquint"), 0.15, 0.0),
    "AU07": Taught(_pair("eyeSquint"), 0.10, 0.90),
    "AU10": Taught(_pair("mouthUpperUp"), 0.15, 0.90),
    "AU12": Taught(_pair("mouthSmile"), 0.40, 1.0),
    "AU14": Taught(_pair("mouthDimple"), 0.10, 0.0),
    "AU15": Taught(_pair("mouthFrown"), 0.10, 0.60),
    "AU17": Taught(("mouthShrugLower",), 0.10, 0.60),
    "AU20": Taught(_pair("mouthStretch"), 0.10, 0.80),
    "AU26": Taught(("jawOpen",), 0.10, 0.80),
    "AU45": Taught(_pair("eyeBlink"), 0.05, 0.75),
    "AU12_right": Taught(("mouthSmileRight",), 0.40, 1.0),
    "AU12_left": Taught(("mouthSmileLeft",), 0.40, 1.0),
    "AU14_right": Taught(("mouthDimpleRight",), 0.10, 0.0),
    "AU14_left": Taught(("mouthDimpleLeft",), 0.10, 0.0),
}
"""Blendshapes that stand for a unit (Apple's ARKit documentation names what each moves)."""

_QUIET: Final = ("AU01", "AU02", "AU06", "AU09", "AU10", "AU12", "AU14", "AU15", "AU17", "AU20",
                 "AU28")  # fmt: skip
_ROLLED: Final = 0.15  # of mouthRollLower or -Upper, from which on lips may be sucked in
_WIDE: Final = 0.02  # of eyeWide, under which no upper lid is raised
_GAP_MM, _FULL_GAP_MM = 1.0, 18.0  # of the mesh's inner lips: closed, and at AU25 E
_GAP_SLACK: Final = 0.3

REST: Final[Bounds] = {}, dict.fromkeys(OUTPUTS, 0.8)
SMILE: Final[Bounds] = (
    {"AU12": 2.5, "AU12_right": 2.0, "AU12_left": 2.0},
    dict.fromkeys(("AU01", "AU02", "AU04", "AU05", "AU15", "AU17", "AU28", "AU45"), 1.0),
)
PROTOTYPES: Final[dict[str, Bounds]] = {
    "neutral": ({}, dict.fromkeys(_QUIET, 0.9) | {"AU04": 0.9, "AU05": 0.9, "AU26": 1.0}),
    "happiness": (
        {"AU06": 0.7, "AU12": 2.0, "AU12_right": 1.5, "AU12_left": 1.5},
        {"AU04": 1.0, "AU05": 1.5, "AU15": 0.75, "AU28": 1.0},
    ),
    "surprise": (
        {"AU01": 1.5, "AU02": 1.5, "AU05": 0.8, "AU26": 0.8},
        {"AU04": 1.0, "AU09": 1.0, "AU12": 1.0, "AU14": 1.0, "AU15": 1.0, "AU45": 1.0},
    ),
    "anger": ({"AU04": 1.5, "AU07": 0.6}, {"AU01": 1.0, "AU02": 1.0, "AU12": 1.0}),
    "sadness": ({"AU15": 0.8, "AU17": 0.6}, {"AU02": 1.0, "AU05": 1.5, "AU09": 1.0, "AU12": 0.75}),
    "disgust": ({"AU09": 0.8, "AU10": 0.8}, {"AU02": 1.0, "AU05": 1.0, "AU12": 1.5}),
    "fear": ({"AU01": 0.8, "AU20": 0.6}, {"AU09": 1.5, "AU14": 1.0}),
}
"""By the name of FER+'s vote. The units of raters' prototypes, not a coder's."""

EVIDENCE: Final = {
    "AU01": "surprise", "AU02": "surprise", "AU04": "anger", "AU05": "surprise",
    "AU06": "happiness", "AU07": "anger", "AU09": "disgust", "AU10": "disgust",
    "AU12": "happiness", "AU15": "sadness", "AU17": "sadness", "AU20": "fear",
    "AU25": "surprise", "AU26": "surprise",
}  # fmt: skip
"""Expression in whose prototype a unit stands, so that it should rise against neutral faces."""


def limits(bounds: Bounds) -> NDArray[np.float32]:
    """Return the lowest and the highest evidence of each output, (2, 21)."""
    low, high = bounds
    return np.array(
        [[low.get(name, LOWEST) for name in OUTPUTS],
         [high.get(name, HIGHEST) for name in OUTPUTS]], np.float32,
    )  # fmt: skip


def evidence_of(intensity: NDArray[np.floating]) -> NDArray[np.float32]:
    """Return the evidence whose intensity is given; the inverse of ``network.intensity``."""
    return np.where(intensity < 1, np.sqrt(np.maximum(intensity, 0)), intensity).astype(np.float32)


class Answers(NamedTuple):
    """A teacher's scores (n, k), NaN where it found no face, and the names of its k shapes."""

    names: list[str]
    scores: NDArray[np.float32]

    def of(self, shapes: Sequence[str]) -> NDArray[np.float32]:
        """Return the mean score of some shapes, (n,)."""
        return self.scores[:, [self.names.index(name) for name in shapes]].mean(axis=1)


def read_answers(paths: Sequence[Path]) -> Answers:
    """Join the files that ``teacher`` wrote."""
    parts = [load_arrays(path) for path in sorted(paths)]
    scores = np.concatenate([part["scores"] for part in parts]).astype(np.float32)
    return Answers(parts[0]["names"].tolist(), scores)


class Curves:
    """Monotone curves from a teacher's scores to evidence, one a taught output.

    Parameters
    ----------
    answers : Answers
        Of the training persons of Labeled Faces in the Wild: their ranks are the scale below 1.
    """

    def __init__(self, answers: Answers) -> None:
        self._sorted = {}
        self.threshold: dict[str, float] = {}
        """Score of evidence 1, a taught output."""
        for name, taught in TAUGHT.items():
            scores = answers.of(taught.shapes)
            self._sorted[name] = np.sort(scores[np.isfinite(scores)])
            self.threshold[name] = float(np.quantile(self._sorted[name], 1 - taught.share))

    def evidence(self, answers: Answers) -> NDArray[np.float32]:
        """Return (n, 21); NaN for outputs nobody teaches and faces the teacher did not find."""
        told = np.full((len(answers.scores), len(OUTPUTS)), np.nan, np.float32)
        for name, taught in TAUGHT.items():
            scores = answers.of(taught.shapes)
            known, at = self._sorted[name], self.threshold[name]
            rank = np.interp(scores, known, np.linspace(0, 1, len(known)))
            low = rank / (1 - taught.share)
            if taught.full:
                above = 1 + 4 * (scores - at) / (taught.full - at)
            else:
                above = 1 + 4 * (rank - 1 + taught.share) / taught.share
            score = np.where(scores < at, np.minimum(low, 1.0), np.clip(above, 1.0, HIGHEST))
            told[:, OUTPUTS.index(name)] = np.where(np.isfinite(scores), score, np.nan)
        return told


def bounds_of(
    answers: Answers, curves: Curves, points_mm: Array, expressions: Sequence[str | None]
) -> NDArray[np.float32]:
    """Return what is known of n stills: lowest and highest evidence, (2, n, 21).

    Parameters
    ----------
    answers : Answers
        Of the n stills.
    curves : Curves
    points_mm : (n, 468, 3)
        Meshes turned to the front.
    expressions : sequence of str or None
        What raters agreed on, a key of PROTOTYPES, or None.
    """
    n = len(points_mm)
    low, high = np.repeat(limits(({}, {}))[:, None], n, axis=1)
    rated = np.array([name in PROTOTYPES for name in expressions])
    for i in np.flatnonzero(rated):
        low[i], high[i] = limits(PROTOTYPES[str(expressions[i])])
    evidence = curves.evidence(answers)
    evidence = np.clip(evidence, low, high)
    taught = np.isfinite(evidence)
    low, high = np.where(taught, evidence, low), np.where(taught, evidence, high)
    for name, closed in {
        "AU28": answers.of(("mouthRollLower", "mouthRollUpper")) < _ROLLED / 2,
        "AU05": answers.of(_pair("eyeWide")) < _WIDE,
    }.items():
        k = OUTPUTS.index(name)
        high[:, k] = np.where(closed, np.minimum(high[:, k], 1.0), high[:, k])
    k = OUTPUTS.index("AU25")
    gap = np.clip(lip_gap_mm(points_mm) - _GAP_MM, 0, None) / (_FULL_GAP_MM - _GAP_MM)
    parted = evidence_of(np.minimum(HIGHEST * gap, HIGHEST))
    low[:, k], high[:, k] = np.maximum(parted - _GAP_SLACK, LOWEST), parted + _GAP_SLACK
    return np.stack([low, np.maximum(low, high)])


def lip_gap_mm(points_mm: Array) -> NDArray[np.float64]:
    """Return the mesh's gap between the inner lips, (n,)."""
    row = measure_matrix()[MEASURES.index("lip_gap")]
    gap: NDArray[np.float64] = points_mm.reshape(len(points_mm), -1).astype(np.float64) @ row
    return gap


def agreed(
    votes: NDArray[np.uint8], names: Sequence[str], least: float = AGREED
) -> list[str | None]:
    """Return the name of FER+'s vote (n, 10) with that share of raters, None without any."""
    share = votes / np.maximum(votes.sum(axis=1, keepdims=True), 1)
    best = votes.argmax(axis=1)
    return [
        names[k] if share[i, k] >= least else None for i, k in enumerate(best.tolist())
    ]  # fmt: skip


def film_london(folder: Path) -> dict[str, NDArray[np.generic]]:
    """Return arrays as of ``dataset.film_person`` of the London Set's persons 001 to 035."""
    rng = np.random.default_rng(35)
    observer = Observer()
    images, labels = [], []
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
                        images.append(observer.observe(worse, region))
                        labels.append((int(path.name[:3]), kind == "neutral", limits(bounds)))
    points, crops, angles, presence = zip(*images, strict=True)
    persons, at_rest, known = zip(*labels, strict=True)
    return {
        "points": np.round(np.clip(points, -320, 320) * np.float32(100)).astype(np.int16),
        "crops": np.array(crops, np.uint8),
        "angles_rad": np.array(angles, np.float32),
        "presence": np.array(presence, np.float32),
        "bounds": np.array(known, np.float32),
        "reference": np.array(at_rest, bool),
        "person": np.array(persons, np.int32),
    }


def main() -> None:
    """Run from the command line."""
    from pathlib import Path

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--london", type=Path, required=True, help="folder of the London Set")
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    path = options.out / "london.npz"
    if not path.exists():
        write_arrays(path, film_london(options.london))


if __name__ == "__main__":
    main()
