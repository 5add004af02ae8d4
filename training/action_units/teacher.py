"""Ask MediaPipe's face landmarker for its 52 blendshapes of real stills: the teacher's answers.

    .venv-peers/bin/python training/action_units/teacher.py --task face_landmarker.task \
        --pack lfw_train.npz --name lfw --views 4 --out FOLDER

Runs in the environment of ``make peers``, where MediaPipe and NumPy are and this project is not, so
it imports nothing of it. Each still is shown several times (mirrored, turned and scaled a little)
and the answers are averaged, left and right exchanged in the mirrored ones: that takes off the
noise that the place of the detector's box brings. Written in parts of PART stills; a part that is
there is not made again. About 14 ms a view on one core.

The bundle is Apache-2.0 and stays outside of the project; only its answers are learned from.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import cv2
import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

PART: Final = 1000
"""Stills a file."""

_LARGE_PX: Final = {48: 192, 200: 400}  # side of a still in the packs -> side it is enlarged to
_VIEWS: Final = ((1.0, 0.0, False), (0.95, 3.0, True), (0.85, -5.0, False), (1.08, 5.0, True))
"""Scale, turn in degrees and whether mirrored, of each view of a still."""


def read_stills(pack: Path, first: int = 0, last: int | None = None) -> Iterator[NDArray[np.uint8]]:
    """Yield grey stills (S, S) uint8 of a pack with ``webp`` and ``offsets``."""
    with np.load(pack, allow_pickle=False) as stored:
        packed, offsets = stored["webp"], stored["offsets"]
    for start, stop in zip(offsets[first:-1][:last], offsets[first + 1 :], strict=False):
        yield cv2.imdecode(packed[start:stop], cv2.IMREAD_GRAYSCALE)  # type: ignore[misc]


def enlarge(grey: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return a still enlarged, with a quarter of border and three equal channels.

    The faces fill the stills, and detectors look for faces with something around them.
    """
    side = _LARGE_PX.get(grey.shape[0], 2 * grey.shape[0])
    large = cv2.resize(grey, (side, side), interpolation=cv2.INTER_CUBIC)
    border = side // 4
    bordered = cv2.copyMakeBorder(large, border, border, border, border, cv2.BORDER_REPLICATE)
    return cv2.cvtColor(bordered, cv2.COLOR_GRAY2BGR)  # type: ignore[return-value]


def view(image: NDArray[np.uint8], scale: float, turn_deg: float, mirrored: bool) -> Any:
    """Return a still turned about its middle, scaled, and perhaps mirrored; border repeated."""
    height, width = image.shape[:2]
    warp = cv2.getRotationMatrix2D((width / 2, height / 2), turn_deg, scale)
    turned = cv2.warpAffine(image, warp, (width, height), borderMode=cv2.BORDER_REPLICATE)
    return np.ascontiguousarray(turned[:, ::-1]) if mirrored else turned


def mirror_order(names: list[str]) -> NDArray[np.int64]:
    """Return for each blendshape the place of the one of the other side."""
    swap = {"Left": "Right", "Right": "Left"}
    partners = []
    for name in names:
        for side, other in swap.items():
            if name.endswith(side):
                partners.append(names.index(name.removesuffix(side) + other))
                break
        else:
            partners.append(names.index(name))
    return np.array(partners)


def ask(landmarker: Any, image: NDArray[np.uint8]) -> tuple[list[str], NDArray[np.float32]] | None:
    """Return names and scores of one view, None where the teacher finds no face."""
    import mediapipe

    picture = mediapipe.Image(mediapipe.ImageFormat.SRGB, np.ascontiguousarray(image))
    found = landmarker.detect(picture).face_blendshapes
    if not found:
        return None
    return [c.category_name for c in found[0]], np.array([c.score for c in found[0]], np.float32)


def answer(landmarker: Any, grey: NDArray[np.uint8], views: int) -> tuple[list[str], Any, int]:
    """Return names, mean scores over the views in which a face was found, and their number."""
    names: list[str] = []
    scores = []
    image = enlarge(grey)
    for scale, turn, mirrored in _VIEWS[:views]:
        found = ask(landmarker, view(image, scale, turn, mirrored))
        if found is not None:
            names, score = found
            scores.append(score[mirror_order(names)] if mirrored else score)
    return names, np.mean(scores, axis=0) if scores else None, len(scores)


def main() -> None:
    """Run from the command line."""
    from mediapipe.tasks import python as tasks
    from mediapipe.tasks.python import vision

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--task", type=Path, required=True, help="face_landmarker.task")
    parser.add_argument("--pack", type=Path, required=True, help="npz with webp and offsets")
    parser.add_argument("--name", required=True, help="of the files written")
    parser.add_argument("--views", type=int, default=4, choices=range(1, len(_VIEWS) + 1))
    parser.add_argument("--limit", type=int, help="ask about the first stills alone")
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    settings = vision.FaceLandmarkerOptions(
        base_options=tasks.BaseOptions(model_asset_path=str(options.task)),
        output_face_blendshapes=True,
        num_faces=1,
    )
    with np.load(options.pack, allow_pickle=False) as stored:
        n = min(len(stored["offsets"]) - 1, options.limit or sys.maxsize)
    with vision.FaceLandmarker.create_from_options(settings) as landmarker:
        for first in range(0, n, PART):
            path = options.out / f"teacher_{options.name}_{first // PART:03}.npz"
            if path.exists():
                continue
            names: list[str] = []
            rows, found = [], []
            for grey in read_stills(options.pack, first, PART):
                known, scores, seen = answer(landmarker, grey, options.views)
                names = known or names
                rows.append(scores)
                found.append(seen)
            nothing = np.full(len(names), np.nan, np.float32)
            scores = np.array([nothing if row is None else row for row in rows], np.float32)
            partial = path.with_suffix(".part.npz")
            np.savez(partial, names=np.array(names), scores=scores, views=np.array(found, np.int8))
            partial.replace(path)
            print(
                f"{first + len(rows)} of {n}: {np.mean(np.array(found) > 0):.1%} found", flush=True
            )


if __name__ == "__main__":
    main()
