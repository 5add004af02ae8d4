"""Real stills -> what the action unit network sees of them: meshes and aligned images.

    python -m training.action_units.stills --pack lfw_train.npz --name lfw --out FOLDER

Each still goes through the product's own detector, mesh and alignment, enlarged and with a border
as the teacher saw it (``teacher``). Written in parts of ``teacher.PART`` stills; a part that is
there is not made again. About 12 ms a still on one core.

LFW: Labeled Faces in the Wild (Huang et al., 2007), one label each by students. FER+: Barsoum et
al., 2016. The pixels of both carry no licence of their own and the people in them were not asked:
what is written here stays outside of the project.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Final

import cv2
import numpy as np

from realtime_affect.face.detect import FaceDetector
from realtime_affect.face.mesh import region_from_keypoints
from realtime_affect.face.region import Region
from training.action_units.dataset import Observer
from training.action_units.real_faces import PROTOTYPES, agreed
from training.action_units.teacher import PART, enlarge, read_stills
from training.filming import write_arrays

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from realtime_affect.types import Image

_FACE_SHARE: Final = 0.8  # of a image without a detection, which its face is taken to fill
_ALL_FACE_PX: Final = 48  # stills of this side (FER+) hold a face and nothing else


def find_region(detector: FaceDetector | None, image: Image) -> Region:
    """Return where the face that lies nearest to the middle is, or is most likely to be."""
    height, width = image.shape[:2]
    found = detector.detect(image, thorough=True) if detector is not None else ()
    if not len(found):
        return Region((width / 2, height / 2), _FACE_SHARE * width, 0.0)
    middle = (found.xyxy[:, :2] + found.xyxy[:, 2:]) / 2 - (width / 2, height / 2)
    nearest = int(np.linalg.norm(middle, axis=1).argmin())
    return region_from_keypoints(found.keypoints[nearest], found.xyxy[nearest])


def observe_stills(
    stills: Iterable[NDArray[np.uint8]], observer: Observer, detector: FaceDetector | None
) -> dict[str, NDArray[np.generic]]:
    """Return arrays of n stills, named and scaled as those of ``dataset.film_person``."""
    images = (
        (image, find_region(None if len(grey) == _ALL_FACE_PX else detector, image))
        for grey in stills
        for image in (enlarge(grey),)
    )
    seen = observer.observe_all(images)
    points = np.nan_to_num(seen.points)
    return {
        "points": np.round(np.clip(points, -320, 320) * np.float32(100)).astype(np.int16),
        "crops": seen.crops,
        "angles_rad": np.nan_to_num(seen.angles_rad),
        "presence": seen.presence,
    }


def observe_rated(pack: Path, observer: Observer) -> dict[str, NDArray[np.generic]]:
    """Return arrays of the faces of FER+'s ``valid`` split that raters agree on.

    As of :func:`observe_stills`, and ``expression`` (n,): the name of a key of PROTOTYPES.
    """
    with np.load(pack, allow_pickle=False) as stored:
        names = np.array(
            [name or "" for name in agreed(stored["votes"], stored["vote_names"].tolist())]
        )
        chosen = np.flatnonzero(np.isin(names, list(PROTOTYPES)) & (stored["split"] == 1))
        packed, offsets = stored["webp"], stored["offsets"]
    stills = (
        cv2.imdecode(packed[offsets[i] : offsets[i + 1]], cv2.IMREAD_GRAYSCALE) for i in chosen
    )
    return {**observe_stills(stills, observer, None), "expression": names[chosen]}  # type: ignore[arg-type]


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pack", type=Path, required=True, help="npz with webp and offsets")
    parser.add_argument("--name", required=True, help="of the files written")
    parser.add_argument("--rated", action="store_true", help="FER+: the rated faces of valid too")
    parser.add_argument("--limit", type=int, help="observe the first stills alone")
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    with np.load(options.pack, allow_pickle=False) as stored:
        n = len(stored["offsets"]) - 1
    observer = Observer()
    rated = options.out / f"rated_{options.name}.npz"
    if options.rated and not rated.exists():
        write_arrays(rated, observe_rated(options.pack, observer))
    last = min(n, options.limit) if options.limit else n
    with FaceDetector() as detector:
        for first in range(0, last, PART):
            path = options.out / f"stills_{options.name}_{first // PART:03}.npz"
            if path.exists():
                continue
            stills = read_stills(options.pack, first, PART)
            arrays = observe_stills(stills, observer, detector)
            write_arrays(path, arrays)
            print(f"{min(first + PART, n)} of {n}", flush=True)


if __name__ == "__main__":
    main()
