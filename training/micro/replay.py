"""A filmed clip -> the product's spotter -> events, and how they agree with what was done.

An event is found where the intersection of its interval and a spotted one's is at least half of
their union, as in the Facial Micro-Expression Grand Challenges; one spotted event finds one event.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import cv2
import numpy as np

from realtime_affect.face.stabilize import Stabilizer, stabilized_crop
from realtime_affect.micro.spotter import MicroSpotter
from realtime_affect.names import AU_INTENSITIES, AU_OCCURRENCES
from realtime_affect.types import (
    ActionUnits,
    Face,
    FaceMesh,
    FaceQuality,
    FaceWindow,
    HeadPose,
    StabilizedCrop,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from realtime_affect.micro.config import MicroConfig
    from realtime_affect.types import FacialEvent
    from training.micro.film import Clip, Seen

MIN_IOU: Final = 0.5
_NO_UNITS: Final = ActionUnits(
    np.full(len(AU_INTENSITIES), np.nan), np.full(len(AU_OCCURRENCES), np.nan),
    np.full((2, 2), np.nan), 0.0,
)  # fmt: skip
_NO_CROP: Final = np.zeros((48, 48), np.uint8)

Interval = tuple[float, float]


def face_of(seen: Seen, stabilized: StabilizedCrop) -> Face:
    """Return the face that the product's vision would publish, as far as a spotter looks at it."""
    return Face(
        FaceMesh(seen.points, 1.0), HeadPose(seen.angles_rad, np.zeros(3)), seen.openness,
        FaceQuality(1.0, seen.size_px, seen.view_deg, seen.sharpness), _NO_UNITS, _NO_CROP,
        stabilized,
    )  # fmt: skip


def faces_in(clip: Clip) -> Iterator[tuple[int, Face]]:
    """Yield source times and faces of a clip, cut and aligned as in the product."""
    filter_ = Stabilizer()
    for seen in clip.seen:
        place = filter_.update(seen.t_ns, seen.points)
        picture = seen.grey
        if picture.ndim == 2:
            picture = cv2.cvtColor(picture, cv2.COLOR_GRAY2BGR)
        yield (
            seen.t_ns,
            face_of(seen, StabilizedCrop(stabilized_crop(picture, place), place.to_frame())),
        )


def spot(
    faces: Sequence[tuple[int, Face]], config: MicroConfig | None = None
) -> tuple[list[FacialEvent], list[tuple[int, str]]]:
    """Run the spotter over one track.

    Returns
    -------
    events : list of FacialEvent
    blind : list of (int, str)
        Of each frame: its source time, and why it was blind.
    """
    spotter = MicroSpotter(config=config)
    events: dict[int, FacialEvent] = {}
    blind = []
    for t_ns, face in faces:
        reading = spotter.decide([FaceWindow(1, (t_ns,), (face,))])[1]
        events.update((event.onset_ns, event) for event in reading.events)
        blind.append((t_ns, reading.unavailable_reason))
    spotter.close()
    return list(events.values()), blind


def iou(one: Interval, other: Interval) -> float:
    """Return the length both intervals share over the length they cover together."""
    shared = min(one[1], other[1]) - max(one[0], other[0])
    if shared <= 0:
        return 0.0
    return shared / (max(one[1], other[1]) - min(one[0], other[0]))


def match(truth: Sequence[Interval], spotted: Sequence[Interval]) -> list[tuple[int, int]]:
    """Pair events with spotted ones, the best agreement first; pairs of indices."""
    pairs = sorted((-iou(a, b), i, j) for i, a in enumerate(truth) for j, b in enumerate(spotted))
    found: list[tuple[int, int]] = []
    for disagreement, i, j in pairs:
        if -disagreement >= MIN_IOU and all(i != a and j != b for a, b in found):
            found.append((i, j))
    return sorted(found)


def seconds(event: FacialEvent) -> Interval:
    """Return a spotted event's interval in seconds."""
    return event.onset_ns / 1e9, event.offset_ns / 1e9


def f1(hits: int, spotted: int, wanted: int) -> dict[str, Any]:
    """Return counts, precision, recall and F1; NaN where there is nothing to divide by."""
    return {
        "events": wanted, "spotted": spotted, "found": hits,
        "precision": hits / spotted if spotted else float("nan"),
        "recall": hits / wanted if wanted else float("nan"),
        "f1": 2 * hits / (spotted + wanted) if spotted + wanted else float("nan"),
    }  # fmt: skip
