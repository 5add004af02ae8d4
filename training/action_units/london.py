"""The Face Research Lab London Set as a test: smiling against neutral photographs of real people.

DeBruine & Jones, 2017, figshare 5047666 (CC BY 4.0). Persons 001 to 035 are learned from
(``anchors``), 001 to 045 serve for choices, 061 to 090 only to report; every look at the latter is
logged.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import cv2
import numpy as np

from realtime_affect.face.detect import FaceDetector
from realtime_affect.face.mesh import region_from_keypoints
from training.action_units.dataset import Observer, Samples

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from realtime_affect.types import Image

CHOOSING: Final = range(1, 46)
REPORTING: Final = range(61, 91)


@dataclass(frozen=True, slots=True)
class Photographs:
    """Neutral and smiling pictures of the same persons, and other pictures of their neutral.

    Attributes
    ----------
    persons : tuple of dict
        ``face_id``, ``face_age``, ``face_gender``, ``face_eth``.
    neutral, smiling : Samples
        One row a person.
    perturbed : Samples
        The neutral photograph as a worse camera in another place would have taken it: what a
        personal baseline is taken from when ``neutral`` or ``smiling`` is read.
    """

    persons: tuple[dict[str, str], ...]
    neutral: Samples
    smiling: Samples
    perturbed: Samples


def read_photographs(folder: Path, persons: range) -> Photographs:
    """Observe the photographs of `persons` with the product's own eyes.

    Parameters
    ----------
    folder : Path
        With ``london_info.csv`` and ``images/NNN_neutral.jpg``, ``images/NNN_smiling.jpg``.
    persons : range
    """
    with (folder / "london_info.csv").open(encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if int(row["face_id"]) in persons]
    observer = Observer()
    rng = np.random.default_rng(61)
    with FaceDetector() as detector:

        def observe(kind: str, *, worse: bool = False) -> Samples:
            pictures = []
            for row in rows:
                image = cv2.imread(str(folder / "images" / f"{row['face_id']}_{kind}.jpg"))
                image = perturb(image, rng) if worse else image
                found = detector.detect(image, thorough=True)
                pictures.append((image, region_from_keypoints(found.keypoints[0], found.xyxy[0])))
            return observer.observe_all(pictures)

        return Photographs(
            tuple(rows), observe("neutral"), observe("smiling"), observe("neutral", worse=True)
        )


def perturb(image: Image, rng: np.random.Generator) -> Image:
    """Turn, shrink, blur, darken and compress a BGR photograph a little."""
    height, width = image.shape[:2]
    turn = cv2.getRotationMatrix2D(
        (width / 2, height / 2), rng.uniform(-8, 8), rng.uniform(0.55, 0.95)
    )
    turn[:, 2] += rng.uniform(-15, 15, 2)
    picture = cv2.warpAffine(image, turn, (width, height), borderMode=cv2.BORDER_REPLICATE)
    picture = cv2.GaussianBlur(picture, (0, 0), rng.uniform(0.4, 1.6))
    lit = 255.0 * (picture / 255.0) ** rng.uniform(0.7, 1.5) * rng.uniform(0.75, 1.1)
    noisy = lit + rng.normal(0, rng.uniform(1, 6), picture.shape)
    quality = [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(55, 95))]
    _, packed = cv2.imencode(".jpg", np.clip(noisy, 0, 255).astype(np.uint8), quality)
    return cv2.imdecode(packed, cv2.IMREAD_COLOR)  # type: ignore[return-value]


def groups(persons: tuple[dict[str, str], ...]) -> dict[str, NDArray[np.bool_]]:
    """Return which persons belong to each gender and ethnicity."""
    masks = {}
    for field in ("face_gender", "face_eth"):
        values = np.array([row[field] for row in persons])
        for value in sorted(set(values.tolist())):
            masks[f"{field.removeprefix('face_')} {value}"] = values == value
    return masks
