"""Still images of real people -> what the product makes of each, on its own.

Every still is enlarged, given a border and sent through the product's own detector, Face Mesh and
alignment; then through the networks that ship. What the eyes see is kept; the networks, which
change more often, are run anew.

FER+: Barsoum et al., 2016. LFW: Labeled Faces in the Wild (Huang et al., 2007), one label each by
students. London: DeBruine & Jones, 2017 (CC BY 4.0).
"""

from __future__ import annotations

import csv
import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import cv2
import numpy as np

from realtime_affect.affect.expression import ExpressionClassifier
from realtime_affect.face.action_units import (
    ActionUnitConfig,
    ActionUnitEstimator,
    NeutralBaseline,
)
from realtime_affect.face.align import align_crop, slot_crop, turn_to_front
from realtime_affect.face.detect import FaceDetector
from realtime_affect.face.mesh import region_from_keypoints
from realtime_affect.face.pose import head_poses
from realtime_affect.face.region import Region
from realtime_affect.names import EXPRESSIONS
from realtime_affect.types import ClipWindow
from training.action_units.dataset import PRESENT, Observer
from training.action_units.london import perturb
from training.persons import split_of
from training.real.cache import digest_of, forget, kept

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from realtime_affect.types import Image

_CARDS: Final = ("blazeface_short", "blazeface_full", "face_mesh")
_CHECKED: Final = 3
_FERPLUS_SHARE: Final = 0.8  # of the bordered image, which a face of FER+ fills
_UNKNOWN: Final = 0.6  # the same of others, where the detector finds none
_TOGETHER: Final = 64


@dataclass(frozen=True, slots=True)
class Sights:
    """What the product's eyes see of n stills, as parallel arrays.

    Attributes
    ----------
    points : (n, 468, 3) float32
        Meshes turned to the front, millimetres.
    crops : (n, 96, 96) uint8
        What the action unit network looks at.
    slots : (n, 48, 48) uint8
        What the expression network looks at.
    angles_rad : (n, 3) float32
    presence : (n,) float32
        Face Mesh's.
    """

    points: NDArray[np.float32]
    crops: NDArray[np.uint8]
    slots: NDArray[np.uint8]
    angles_rad: NDArray[np.float32]
    presence: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.presence)

    @property
    def found(self) -> NDArray[np.bool_]:
        """In which of them the product would show a face."""
        return self.presence > PRESENT

    def agrees_with(self, other: Sights) -> bool:
        """Whether another look at the same stills saw the same."""
        near = all(
            np.allclose(getattr(self, name), getattr(other, name), atol=1e-2)
            for name in ("points", "angles_rad", "presence")
        )
        return near and all(
            np.abs(getattr(self, name).astype(int) - getattr(other, name)).max() <= 1
            for name in ("crops", "slots")
        )

    def take(self, rows: NDArray[Any]) -> Sights:
        """Return some of them."""
        return Sights(*(getattr(self, name)[rows] for name in Sights.__slots__))


@dataclass(frozen=True, slots=True)
class Stills:
    """Stills with what people said of them.

    Attributes
    ----------
    sights : Sights
    truth : (n,) int64
        Index of the expression, -1 where raters did not agree.
    agreed : (n,) int64
        The same, where at least eight of ten raters agreed; -1 elsewhere.
    person : (n,) str
        Who it is; of FER+, where nobody knows, each its own.
    index : (n,) int64
        Place in the pack.
    """

    sights: Sights
    truth: NDArray[np.int64]
    agreed: NDArray[np.int64]
    person: NDArray[np.str_]
    index: NDArray[np.int64]

    def take(self, rows: NDArray[Any]) -> Stills:
        """Return some of them."""
        others = (getattr(self, name)[rows] for name in Stills.__slots__ if name != "sights")
        return Stills(self.sights.take(rows), *others)


@dataclass(frozen=True, slots=True)
class Portraits:
    """Photographs of the London Set, one row a person.

    Attributes
    ----------
    persons : tuple of dict
        ``face_id``, ``face_age``, ``face_gender``, ``face_eth``.
    neutral, smiling : Sights
    rest : Sights
        The neutral photograph as a worse camera would have taken it: a person's own rest.
    """

    persons: tuple[dict[str, str], ...]
    neutral: Sights
    smiling: Sights
    rest: Sights


def see(images: Iterable[Image], *, fills: bool) -> Sights:
    """Look at BGR images with one face each, which `fills` them or is to be detected."""
    observer, rows = Observer(), []
    with FaceDetector() as detector:
        for image in images:
            sight = observer.look(image, _region(detector, image, fills=fills))
            height, width = image.shape[:2]
            rows.append((
                turn_to_front(sight.mesh.points[None], sight.heads)[0],
                align_crop(sight.crop, sight.region, sight.heads, 0),
                slot_crop(sight.crop, sight.region, sight.heads, 0),
                head_poses(sight.heads, width, height)[0].rotation_rad,
                sight.mesh.presence,
            ))  # fmt: skip
    points, crops, slots, angles, presence = zip(*rows, strict=True)
    return Sights(
        np.nan_to_num(np.array(points, np.float32)), np.array(crops, np.uint8),
        np.array(slots, np.uint8), np.nan_to_num(np.array(angles, np.float32)),
        np.array(presence, np.float32),
    )  # fmt: skip


def read_ferplus(pack: Path, cache: Path) -> Stills:
    """Return FER+'s ``valid`` split."""
    with np.load(pack, allow_pickle=False) as stored:
        index = np.flatnonzero(stored["split"] == 1)
        votes, labels = stored["votes"][index], stored["label"][index]
        names = stored["vote_names"].tolist()
    order = np.array([EXPRESSIONS.index(n) if n in EXPRESSIONS else -1 for n in names] + [-1])
    share = votes / np.maximum(votes.sum(axis=1, keepdims=True), 1)
    agreed = np.where(share.max(axis=1) >= 0.8, order[votes.argmax(axis=1)], -1)
    sights = _kept_sights(cache, "ferplus_valid", pack, index, 192, fills=True)
    return Stills(sights, order[labels], agreed, index.astype(np.str_), index)


def read_lfw(pack: Path, cache: Path, split: str) -> Stills:
    """Return the faces of LFW's persons of a split that no network is trained on."""
    with np.load(pack, allow_pickle=False) as stored:
        persons, labels = stored["person"], stored["label"]
        names = stored["label_names"].tolist()
    index = np.flatnonzero([split_of(str(person)) == split for person in persons])
    order = np.array([EXPRESSIONS.index(name) for name in names])
    truth = order[labels[index]]
    sights = _kept_sights(cache, f"lfw_{split}", pack, index, 400, fills=False)
    return Stills(sights, truth, truth, persons[index], index)


def read_london(folder: Path, cache: Path, persons: range) -> Portraits:
    """Return photographs of some persons of the London Set."""
    with (folder / "london_info.csv").open(encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if int(row["face_id"]) in persons]

    def images(kind: str) -> Iterator[Image]:
        for row in rows:
            yield cv2.imread(str(folder / "images" / f"{row['face_id']}_{kind}.jpg"))

    def worse() -> Iterator[Image]:
        rng = np.random.default_rng(61)
        return (perturb(image, rng) for image in images("neutral"))

    name = f"london_{persons.start:03}_{persons.stop - 1:03}"
    parts = [
        _kept(
            cache,
            f"{name}_{kind}",
            lambda n, pictures=pictures: see(itertools.islice(pictures(), n), fills=False),
            name,
        )
        for kind, pictures in (
            ("neutral", lambda: images("neutral")),
            ("smiling", lambda: images("smiling")),
            ("rest", worse),
        )
    ]
    return Portraits(tuple(rows), *parts)


def read_units(
    sights: Sights, rest: Sights | None = None
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return intensities (n, 17) and occurrences (n, 18), in the order of ``names``.

    Against the population's rest, or against `rest` of the same n persons.
    """
    intensity, occurrence = [], []
    config = ActionUnitConfig(adapt_s=0.0)
    with ActionUnitEstimator() as network:
        for first in range(0, len(sights), _TOGETHER):
            part = sights.take(np.arange(first, min(first + _TOGETHER, len(sights))))
            baselines = [NeutralBaseline(config) for _ in range(len(part))]
            if rest is not None:
                same = rest.take(np.arange(first, first + len(part)))
                resting = network.read(same.points, list(same.crops), same.angles_rad, baselines)
                for baseline, estimate in zip(baselines, resting, strict=True):
                    baseline.observe(estimate.features, at_rest=True, t_ns=0)
                    baseline.set_neutral()
            found = network.read(part.points, list(part.crops), part.angles_rad, baselines)
            intensity += [estimate.units.intensity for estimate in found]
            occurrence += [estimate.units.occurrence for estimate in found]
    return np.array(intensity), np.array(occurrence)


def read_expressions(sights: Sights, precision: str = "auto") -> NDArray[np.float32]:
    """Return the probabilities (n, 8) of each still, a clip that stands still."""
    probabilities = []
    with ExpressionClassifier(precision) as classifier:
        for first in range(0, len(sights), _TOGETHER):
            # A time of its own lets the classifier forget the stills before.
            t_ns = np.array([(first + 1) * 10**9])
            clips = [
                ClipWindow(first + i, t_ns, slot[None], warming_up=True)
                for i, slot in enumerate(sights.slots[first : first + _TOGETHER])
            ]
            shown = classifier.decide(clips)
            probabilities += [shown[clip.track_id].probabilities for clip in clips]
    return np.array(probabilities)


def _region(detector: FaceDetector, image: Image, *, fills: bool) -> Region:
    height, width = image.shape[:2]
    middle = np.array([width / 2, height / 2])
    if fills:
        return Region((width / 2, height / 2), _FERPLUS_SHARE * width, 0.0)
    found = detector.detect(image, thorough=True)
    if not len(found):
        return Region((width / 2, height / 2), _UNKNOWN * width, 0.0)
    away = (found.xyxy[:, :2] + found.xyxy[:, 2:]) / 2 - middle
    nearest = int(np.linalg.norm(away, axis=1).argmin())
    return region_from_keypoints(found.keypoints[nearest], found.xyxy[nearest])


def _kept_sights(
    cache: Path, name: str, pack: Path, index: Sequence[int] | NDArray[Any], side: int, *,
    fills: bool,
) -> Sights:  # fmt: skip
    """Look at some stills of a pack, each enlarged to `side` pixels with a quarter of border."""

    def images(n: int | None) -> Iterator[Image]:
        from rich.progress import track

        with np.load(pack, allow_pickle=False) as stored:
            packed, offsets = stored["webp"], stored["offsets"]
        chosen = list(index)[:n]
        for i in chosen if n else track(chosen, f"looking at {name}"):
            grey = cv2.imdecode(packed[offsets[i] : offsets[i + 1]], cv2.IMREAD_GRAYSCALE)
            large = cv2.resize(grey, (side, side), interpolation=cv2.INTER_CUBIC)
            edges = (side // 4,) * 4
            bordered = cv2.copyMakeBorder(large, *edges, cv2.BORDER_REPLICATE)
            yield cv2.cvtColor(bordered, cv2.COLOR_GRAY2BGR)

    about = f"{np.asarray(index).tobytes().hex()} {side} {fills} {pack.stat().st_size}"
    return _kept(cache, name, lambda n: see(images(n), fills=fills), about)


def _kept(cache: Path, name: str, look: Callable[[int | None], Sights], about: str) -> Sights:
    """Return what was seen, from the cache as long as the first of the stills look as they did.

    Whole code would be too strict a key for what takes so long to see: most changes of a module
    change nothing of that.

    Parameters
    ----------
    look : callable
        Number of stills, or None for all -> Sights.
    """

    def make() -> dict[str, NDArray[Any]]:
        sights = look(None)
        return {field: getattr(sights, field) for field in Sights.__slots__}

    digest = digest_of(_CARDS, (), about)
    sights = Sights(**kept(cache, name, digest, make))
    few = np.arange(min(_CHECKED, len(sights)))
    if not sights.take(few).agrees_with(look(_CHECKED)):
        forget(cache, name, digest)
        sights = Sights(**kept(cache, name, digest, make))
    return sights
