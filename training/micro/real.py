"""Real faces in clips: followed by the product's vision, looped, and warped by known movements."""

from __future__ import annotations

import contextlib
import itertools
from dataclasses import replace
from typing import TYPE_CHECKING, Final

import cv2
import numpy as np

from realtime_affect.capture import open_source
from realtime_affect.face.stabilize import CROP_PX, IOD_PX, MM_PER_PX, fit_placement
from realtime_affect.face.vision import Vision
from realtime_affect.types import Frame, StabilizedCrop
from training.micro.film import Seen
from training.micro.replay import face_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
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
_PHOTOGRAPH_PX: Final = 960  # longer side it is shown at


def follow_faces(clip: Path, cache: Path) -> list[Faces]:
    """Run the product's vision over a clip; return what it saw of each track, longest first.

    Results are kept in `cache`; they are of real people and stay out of the project.
    """
    kept = cache / f"{clip.stem}.npz"
    if not kept.exists():
        kept.parent.mkdir(parents=True, exist_ok=True)
        with contextlib.closing(open_source(clip, live=False)) as source:
            pack_tracks(kept, follow(iter(lambda: source.read(10.0), None)))
    return unpack_tracks(kept)


def pack_tracks(path: Path, tracks: Sequence[Faces]) -> None:
    """Write what a spotter looks at of tracks."""
    rows = [(number, t_ns, face) for number, faces in enumerate(tracks) for t_ns, face in faces]
    stabilized = [face.stabilized for *_, face in rows if face.stabilized is not None]
    np.savez_compressed(
        path,
        track=np.array([number for number, *_ in rows], np.int64),
        t_ns=np.array([t_ns for _, t_ns, _ in rows], np.int64),
        points=np.array([face.mesh.points for *_, face in rows], np.float32),
        openness=np.array([face.eye_openness for *_, face in rows], np.float32),
        angles_rad=np.array([face.pose.rotation_rad for *_, face in rows], np.float32),
        quality=np.array(
            [(q.size_px, q.view_deg, q.sharpness) for q in (face.quality for *_, face in rows)]
        ),
        pictures=np.array([crop.image for crop in stabilized], np.uint8),
        to_frame=np.array([crop.to_frame for crop in stabilized]),
    )


def unpack_tracks(path: Path) -> list[Faces]:
    """Read what :func:`pack_tracks` wrote."""
    with np.load(path) as stored:
        kept = {name: stored[name] for name in stored.files}
    tracks: list[Faces] = []
    for row, number in enumerate(kept["track"].tolist()):
        if number == len(tracks):
            tracks.append([])
        picture, to_frame = kept["pictures"][row], kept["to_frame"][row]
        t_ns = int(kept["t_ns"][row])
        seen = Seen(
            t_ns, picture, kept["points"][row], kept["openness"][row], kept["angles_rad"][row],
            *(float(v) for v in kept["quality"][row]),
        )  # fmt: skip
        tracks[number].append((t_ns, face_of(seen, StabilizedCrop(picture, to_frame))))
    return tracks


def follow(frames: Iterable[Frame]) -> list[Faces]:
    """Run the product's vision over frames; return what it saw of each track, longest first."""
    tracks: dict[int, Faces] = {}
    with contextlib.closing(Vision()) as vision:
        for frame in frames:
            for seen in vision.analyse(frame).tracks:
                if seen.face is not None:
                    tracks.setdefault(seen.track_id, []).append((frame.t_ns, seen.face))
    long = [faces for faces in tracks.values() if (faces[-1][0] - faces[0][0]) / 1e9 >= _MIN_S]
    return sorted(long, key=len, reverse=True)


def show_photograph(path: Path, seconds: float) -> Iterator[Frame]:
    """Show a photograph as a camera in somebody's hands would: 30 fps, sensor noise, slight sway.

    Noise has 1.5 grey levels of standard deviation. It sways by three pixels and half a degree,
    slower than 0.4 Hz, and trembles by 0.15 px from frame to frame.
    """
    picture = cv2.imread(str(path))
    if picture is None:
        return
    side = max(picture.shape[:2])
    if side > _PHOTOGRAPH_PX:
        share = _PHOTOGRAPH_PX / side
        picture = cv2.resize(picture, None, fx=share, fy=share, interpolation=cv2.INTER_AREA)
    height, width = picture.shape[:2]
    rng = np.random.default_rng([len(path.stem), side])
    phases = rng.uniform(0, 2 * np.pi, 3)
    grain = np.rint(rng.normal(0, 1.5, (9, height, width, 1))).astype(np.int16).repeat(3, axis=3)
    for index in range(round(seconds * 30)):
        t_s = index / 30
        sway = np.sin(2 * np.pi * np.array([0.23, 0.31, 0.17]) * t_s + phases)
        turn = cv2.getRotationMatrix2D((width / 2, height / 2), 0.5 * float(sway[2]), 1.0)
        turn[:, 2] += 3.0 * sway[:2] + rng.normal(0, 0.15, 2)
        shown = cv2.warpAffine(
            picture, turn, (width, height), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE
        )
        noisy = cv2.add(shown, grain[rng.integers(9)], dtype=cv2.CV_8U)
        t_ns = round(t_s * 1e9)
        yield Frame(index, t_ns, t_ns, noisy)


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
        points, place = face.mesh.points, fit_placement(face.mesh.points)
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
    """Move one place of a face and bring it back; the stabilized pictures are warped.

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
        if not 0.0 < phase < 1.0 or face.stabilized is None:
            yield t_ns, face
            continue
        level = amplitude * IOD_PX * (0.5 - 0.5 * np.cos(2 * np.pi * phase))
        to_frame = face.stabilized.to_frame
        middle = face.mesh.points[list(ends), :2].mean(axis=0) - to_frame[:, 2]
        at = np.linalg.solve(to_frame[:, :2], middle)
        near = np.exp(-((x - at[0]) ** 2 + (y - at[1]) ** 2) / (2 * (REACH * IOD_PX) ** 2))
        picture = cv2.remap(
            face.stabilized.image, (x - level * way[0] * near).astype(np.float32),
            (y - level * way[1] * near).astype(np.float32), cv2.INTER_CUBIC,
            borderMode=cv2.BORDER_REPLICATE,
        )  # fmt: skip
        yield t_ns, replace(face, stabilized=StabilizedCrop(picture, to_frame))
