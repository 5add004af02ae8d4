"""Real still images as the product cuts them, with the place of the mouth.

    python -m training.ifdd_stream.cuts --ferplus ferplus_train_valid.npz --lfw lfw_train.npz \
        --out FOLDER

writes ``ferplus_train.npz``, ``ferplus_valid.npz`` and ``lfw.npz`` unless they are there. Each is
enlarged, given a border and put through the product's own Face Mesh and alignment; about 8 ms
an image on one core.

FER+: Barsoum et al., 2016. LFW: Labeled Faces in the Wild (Huang et al., 2007), one label each by
students. The pixels of both carry no licence of their own and the people in them were not asked:
what is written here stays outside of the project.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import cv2
import numpy as np

from realtime_affect.face.align import SLOT_PX, slot_crop, slot_points
from realtime_affect.face.region import Region
from realtime_affect.names import EXPRESSIONS
from training.action_units.dataset import PRESENT, Observer, load_arrays
from training.filming import write_arrays
from training.ifdd_stream.stills import Stills, read_stills
from training.persons import split_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from realtime_affect.types import Image

MOUTH: Final = (61, 291, 13, 14, 152)
"""Mesh points: corners of the mouth, inner edges of the upper and the lower lip, chin."""

_LARGE_PX: Final = {"ferplus": 192, "lfw": 400}
_SHARE: Final = {
    "ferplus": 0.8,
    "lfw": 0.6,
}
"""Of the bordered image, which the face is taken to fill."""


@dataclass(frozen=True, slots=True)
class Cuts:
    """Faces of still images, as parallel arrays.

    Attributes
    ----------
    plain : (n, 48, 48) uint8
        As they came, reduced to that size.
    cut : (n, 48, 48) uint8
        As the product cuts them; ``plain`` where it finds no face.
    mouth : (n, 5, 2) float32
        MOUTH in pixels of ``cut``; NaN where no face was found.
    votes : (n, 8) float32
        Shares of EXPRESSIONS, sum 1.
    majority : (n,) int64
        Index of the expression most raters see, -1 where there is none.
    person : (n,) int64
        Who it is, -1 where nobody knows.
    """

    plain: NDArray[np.uint8]
    cut: NDArray[np.uint8]
    mouth: NDArray[np.float32]
    votes: NDArray[np.float32]
    majority: NDArray[np.int64]
    person: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.majority)

    def take(self, rows: NDArray[Any]) -> Cuts:
        """Return some of them."""
        return Cuts(*(getattr(self, name)[rows] for name in self.__slots__))


def join(*parts: Cuts) -> Cuts:
    """Return the faces of all parts."""
    return Cuts(*(
        np.concatenate([getattr(part, name) for part in parts]) for name in Cuts.__slots__
    ))  # fmt: skip


def _read_lfw(pack: Path) -> tuple[list[Image], Stills, NDArray[np.int64]]:
    with np.load(pack, allow_pickle=False) as stored:
        packed, offsets = stored["webp"], stored["offsets"]
        names, labels = stored["label_names"].tolist(), stored["label"]
        person = np.array([int(name, 16) for name in stored["person"].tolist()], np.int64)
    large = [
        cv2.imdecode(packed[start:stop], cv2.IMREAD_GRAYSCALE)
        for start, stop in pairwise(offsets.tolist())
    ]
    majority = np.array([EXPRESSIONS.index(names[label]) for label in labels.tolist()], np.int64)
    size = (SLOT_PX, SLOT_PX)
    small = np.array([cv2.resize(image, size, interpolation=cv2.INTER_AREA) for image in large])
    votes = np.eye(len(EXPRESSIONS), dtype=np.float32)[majority]
    return large, Stills(small, votes, majority), person


def lfw_part(person: NDArray[np.int64]) -> NDArray[np.str_]:
    """Return what LFW's persons (n,) are for: see ``training.persons``."""
    return np.array([split_of(number) for number in person.tolist()])


def look_at(images: Iterable[Image], kind: str) -> dict[str, NDArray[Any]]:
    """Cut faces out of grey images (S, S) of a pack; `kind` is "ferplus" or "lfw".

    Returns
    -------
    dict
        ``pictures`` (n, 48, 48) uint8, ``presence`` (n,) float32, ``mouth`` (n, 5, 2) float32.
    """
    side = _LARGE_PX[kind]
    border = side // 4
    whole = side + 2 * border
    observer, rows = Observer(), []
    for grey in images:
        large = cv2.resize(grey, (side, side), interpolation=cv2.INTER_CUBIC)
        edges = (border,) * 4
        bordered = cv2.copyMakeBorder(large, *edges, cv2.BORDER_REPLICATE)
        image = cv2.cvtColor(bordered, cv2.COLOR_GRAY2BGR)
        region = Region((whole / 2, whole / 2), _SHARE[kind] * whole, 0.0)
        sight = observer.look(image, region)
        cut = slot_crop(sight.crop, sight.region, sight.heads, 0)
        mouth = slot_points(sight.mesh.points[list(MOUTH), :2], sight.heads, 0)
        rows.append((cut, np.float32(sight.mesh.presence), mouth))
    names = ("pictures", "presence", "mouth")
    return {name: np.array(column) for name, column in zip(names, zip(*rows, strict=True),
                                                           strict=True)}  # fmt: skip


def read_cuts(folder: Path, pack: Path, name: str) -> Cuts:
    """Read what :func:`main` wrote: `name` is "ferplus_train", "ferplus_valid" or "lfw"."""
    if name == "lfw":
        _, stills, person = _read_lfw(pack)
    else:
        stills = read_stills(pack, name.removeprefix("ferplus_"))
        person = np.full(len(stills.majority), -1, np.int64)
    seen = load_arrays(folder / f"{name}.npz")
    present = seen["presence"] > PRESENT
    cut = np.where(present[:, None, None], seen["pictures"], stills.pictures)
    mouth = np.where(present[:, None, None], seen["mouth"], np.nan).astype(np.float32)
    return Cuts(stills.pictures, cut, mouth, stills.votes, stills.majority, person)


def add_data(parser: argparse.ArgumentParser) -> None:
    """Add the options that say where real faces are."""
    parser.add_argument("--ferplus", type=Path, required=True, help="ferplus_train_valid.npz")
    parser.add_argument("--lfw", type=Path, required=True, help="lfw_train.npz")
    parser.add_argument("--stills", type=Path, required=True, help="folder of cuts")
    parser.add_argument(
        "--without-lfw", action="store_true", help="learn from no face of LFW; choose on them"
    )


def main() -> None:
    """Run from the command line."""
    from rich.progress import track

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--ferplus", type=Path, required=True, help="ferplus_train_valid.npz")
    parser.add_argument("--lfw", type=Path, help="lfw_train.npz")
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    packs = {"lfw": options.lfw, "ferplus_train": options.ferplus, "ferplus_valid": options.ferplus}
    for name, pack in packs.items():
        path = options.out / f"{name}.npz"
        if pack is None or path.exists():
            continue
        kind, _, split = name.partition("_")
        images = read_stills(pack, split).pictures if split else _read_lfw(pack)[0]
        write_arrays(path, look_at(track(images, f"cutting {name}"), kind))


if __name__ == "__main__":
    main()
