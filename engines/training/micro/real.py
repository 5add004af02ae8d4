"""Real faces in clips: followed by the product's vision, looped, and warped by known movements."""

from __future__ import annotations

import contextlib
import itertools
import pickle
from dataclasses import replace
from typing import TYPE_CHECKING, Final

import cv2
import numpy as np

from realtime_affect.capture import open_source
from realtime_affect.flow import CROP_PX, IOD_PX, MM_PER_PX, fit_steady
from realtime_affect.types import SteadyCrop
from realtime_affect.vision import Vision

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from realtime_affect.types import Face

    Faces = list[tuple[int, Face]]

PLACES: Final = {
    "right brow": ((52, 105), (0.0, -1.0)),
    "left brow": ((282, 334), (0.0, -1.0)),
    "right mouth corner": ((61, 61), (-0.6, -0.8)),
    "left mouth corner": ((291, 291), (0.6, -0.8)),
}
"""Points of the mesh in whose middle a movement is injected, and the way it goes."""

REACH: Final = 0.3
"""Standard deviation of an injected movement, in inter-ocular distances: brows move as a whole."""

STILL_DEG_S: Final = 3.0
_MIN_S: Final = 1.5


def follow_faces(clip: Path, cache: Path) -> list[Faces]:
    """Run the product's vision over a clip; return what it saw of each track, longest first.

    Results are kept in `cache`; they are of real people and stay out of the project.
    """
    kept = cache / f"{clip.stem}.pkl"
    if not kept.exists():
        kept.parent.mkdir(parents=True, exist_ok=True)
        kept.write_bytes(pickle.dumps(_follow(clip)))
    tracks: list[Faces] = pickle.loads(kept.read_bytes())
    return tracks


def _follow(clip: Path) -> list[Faces]:
    tracks: dict[int, Faces] = {}
    with (
        contextlib.closing(open_source(clip, live=False)) as source,
        contextlib.closing(Vision()) as vision,
    ):
        while (frame := source.read(10.0)) is not None:
            for seen in vision.analyse(frame).tracks:
                if seen.face is not None:
                    tracks.setdefault(seen.track_id, []).append((frame.t_ns, seen.face))
    long = [faces for faces in tracks.values() if (faces[-1][0] - faces[0][0]) / 1e9 >= _MIN_S]
    return sorted(long, key=len, reverse=True)


def there_and_back(faces: Faces, seconds: float) -> Faces:
    """Play a track forwards and backwards until `seconds` have passed, from time 0 on."""
    if len(faces) < 2:
        return []
    times = np.array([t_ns for t_ns, _ in faces])
    steps = np.diff(times).tolist()
    looped = [(0, faces[0][1])]
    order = list(range(1, len(faces)))
    at, forwards = 0, True
    while looped[-1][0] < seconds * 1e9:
        for k in order if forwards else order[::-1]:
            at += steps[k - 1]
            looped.append((at, faces[k if forwards else k - 1][1]))
        forwards = not forwards
    return [(t_ns, face) for t_ns, face in looped if t_ns <= seconds * 1e9]


def watched_s(blind: Sequence[tuple[int, str]]) -> float:
    """Return for how long a track was watched without being blind."""
    pairs = itertools.pairwise(blind)
    return sum((b[0] - a[0]) / 1e9 for a, b in pairs if not a[1] and not b[1])


def sits_still(faces: Faces) -> bool:
    """Whether the head turns by less than 3 degrees a second nearly all the time."""
    t_s = np.array([t_ns for t_ns, _ in faces]) / 1e9
    angles = np.unwrap([face.pose.rotation_rad for _, face in faces], axis=0)
    half = max(1, round(0.25 / max(1e-3, float(np.median(np.diff(t_s))))))
    if len(faces) <= 2 * half:
        return False
    turned = np.linalg.norm(angles[2 * half :] - angles[: -2 * half], axis=1)
    speed = np.degrees(turned / (t_s[2 * half :] - t_s[: -2 * half]))
    return bool(np.percentile(speed, 95) < STILL_DEG_S)


def least_moved(faces: Faces, from_s: float, to_s: float) -> tuple[float, float]:
    """Return the middle of the 1.2 s in which a face moves least, and how far it moves then.

    By its mesh, head motion in the plane taken out: mean way of all points from where they are on
    average, in inter-ocular distances.
    """
    t_s = np.array([t_ns for t_ns, _ in faces]) / 1e9
    placed = []
    for _, face in faces:
        points, place = face.mesh.points, fit_steady(face.mesh.points)
        seen = (points[:, 0] + 1j * points[:, 1] - place.shift) / place.turn
        placed.append(seen / (IOD_PX * MM_PER_PX))
    mesh = np.array(placed)
    found = []
    for middle_s in np.arange(from_s, to_s, 0.1):
        near = np.abs(t_s - middle_s) <= 0.6
        if near.sum() >= 10:
            way = np.abs(mesh[near] - mesh[near].mean(axis=0)).mean()
            found.append((float(way), float(middle_s)))
    moved, at_s = min(found, default=(float("nan"), from_s))
    return at_s, moved


def inject(
    faces: Faces, place: str, amplitude: float, onset_s: float, length_s: float
) -> Iterator[tuple[int, Face]]:
    """Move one place of a face and bring it back; the steady pictures are warped.

    Parameters
    ----------
    amplitude : float
        At the middle of the place and the apex, in inter-ocular distances.
    onset_s, length_s : float
        The movement is a raised cosine over this interval.
    """
    ends, way = PLACES[place]
    y, x = np.mgrid[:CROP_PX, :CROP_PX].astype(np.float32)
    for t_ns, face in faces:
        phase = (t_ns / 1e9 - onset_s) / length_s
        if not 0.0 < phase < 1.0 or face.steady is None:
            yield t_ns, face
            continue
        level = amplitude * IOD_PX * (0.5 - 0.5 * np.cos(2 * np.pi * phase))
        to_frame = face.steady.to_frame
        middle = face.mesh.points[list(ends), :2].mean(axis=0) - to_frame[:, 2]
        at = np.linalg.solve(to_frame[:, :2], middle)
        near = np.exp(-((x - at[0]) ** 2 + (y - at[1]) ** 2) / (2 * (REACH * IOD_PX) ** 2))
        picture = cv2.remap(
            face.steady.image, (x - level * way[0] * near).astype(np.float32),
            (y - level * way[1] * near).astype(np.float32), cv2.INTER_CUBIC,
            borderMode=cv2.BORDER_REPLICATE,
        )  # fmt: skip
        yield t_ns, replace(face, steady=SteadyCrop(picture, to_frame))
