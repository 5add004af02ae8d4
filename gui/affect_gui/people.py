"""What is known of each face in view, in stable order: who, how it is measured, what it displays.

Nothing of Qt; the list beside the video shows it.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

import cv2
import numpy as np

from realtime_affect.face.vision import GOOD_SIZE_PX
from realtime_affect.overlay import weakness

if TYPE_CHECKING:
    from collections.abc import Mapping

    from realtime_affect.types import AffectResult, Face, FacialEvent, Image, Reading, Track

THUMBNAIL: Final = 56
_THUMBNAIL_NS: Final = 2_000_000_000
_LEFT_NS: Final = 5_000_000_000
_MOST_SPIKES: Final = 50


@dataclass(frozen=True, slots=True)
class Person:
    """One face as the list shows it.

    Attributes
    ----------
    track_id : int
    name : str
        What the user calls it; empty without a name.
    face : Face or None
        As last measured; None before.
    measured_ns, seen_ns : int
        Source times of that, and of the last frame it was in.
    result : AffectResult or None
    remark : str
        Why it is not measured now, or what keeps it from being measured well; empty otherwise.
    thumbnail : (56, 56, 3) uint8 or None
        BGR.
    spikes : tuple of FacialEvent
        The newest last.
    """

    track_id: int
    name: str = ""
    face: Face | None = None
    measured_ns: int = 0
    seen_ns: int = 0
    result: AffectResult | None = None
    remark: str = ""
    thumbnail: Image | None = None
    thumbnail_ns: int = 0
    spikes: tuple[FacialEvent, ...] = ()

    @property
    def title(self) -> str:
        """Its number, and its name where it has one."""
        return f"#{self.track_id} {self.name}".rstrip()

    def neutral(self, by_user: bool) -> str:
        """Say whose neutral face the units are measured against."""
        if self.face is None:
            return "neutral: not known yet"
        share = self.face.action_units.calibration
        if by_user:
            return "neutral: set by you"
        if share >= 0.99:
            return "neutral: learned from rest"
        if share > 0:
            return f"neutral: learning, {100 * share:.0f}%"
        return "neutral: average face"


@dataclass(slots=True)
class People:
    """The faces in view and those that have just left, by id.

    Attributes
    ----------
    max_faces : int
        How many are measured in one frame; beyond, round-robin.
    names : mapping of int to str
    """

    max_faces: int = 4
    names: dict[int, str] = field(default_factory=dict)
    _people: dict[int, Person] = field(default_factory=dict)

    def update(self, reading: Reading) -> tuple[Person, ...]:
        """Take in a reading; return everyone to show, by ascending id."""
        frame, tracks = reading.scene.frame, reading.scene.tracks
        if any(person.seen_ns > frame.t_ns for person in self._people.values()):
            self._people.clear()  # looked back, or another clip
        for track in tracks:
            self._people[track.track_id] = self._seen(track, reading, len(tracks))
        here = {track.track_id for track in tracks}
        for track_id, person in list(self._people.items()):
            if track_id not in here:
                if frame.t_ns - person.seen_ns > _LEFT_NS:
                    del self._people[track_id]
                else:
                    self._people[track_id] = replace(person, remark="not in view")
        return tuple(self._people[n] for n in sorted(self._people))

    def forget(self) -> None:
        """Forget everyone: another source."""
        self._people.clear()

    def _seen(self, track: Track, reading: Reading, n_faces: int) -> Person:
        frame = reading.scene.frame
        person = self._people.get(track.track_id, Person(track.track_id))
        result = reading.affect.results.get(track.track_id, person.result)
        face = track.face or person.face
        thumbnail, thumbnail_ns = person.thumbnail, person.thumbnail_ns
        if thumbnail is None or frame.t_ns - thumbnail_ns > _THUMBNAIL_NS:
            thumbnail, thumbnail_ns = thumbnail_of(frame.image, track), frame.t_ns
        return replace(
            person,
            name=self.names.get(track.track_id, ""),
            face=face,
            measured_ns=frame.t_ns if track.face is not None else person.measured_ns,
            seen_ns=frame.t_ns,
            result=result,
            remark=self._remark(track, person, frame.t_ns, n_faces),
            thumbnail=thumbnail,
            thumbnail_ns=thumbnail_ns,
            spikes=_with_new(person.spikes, result),
        )

    def _remark(self, track: Track, person: Person, t_ns: int, n_faces: int) -> str:
        """Say why a face has no fresh or no good measures."""
        if track.face is None:
            if n_faces > self.max_faces:
                turn = f"waits its turn: {self.max_faces} of {n_faces} faces a frame"
                if person.face is None:
                    return turn
                return f"{turn}, measured {(t_ns - person.measured_ns) / 1e9:.1f} s ago"
            return "not measured in this frame"
        quality = track.face.quality
        why = weakness(quality)
        if why == "small":
            return (
                f"too small: {quality.size_px:.0f} px between the eyes, {GOOD_SIZE_PX:.0f} are good"
            )
        if why == "turned away":
            return f"turned away: {quality.view_deg:.0f}° from the camera"
        return why


def _with_new(
    spikes: tuple[FacialEvent, ...], result: AffectResult | None
) -> tuple[FacialEvent, ...]:
    if result is None or result.micro is None:
        return spikes
    known = {event.onset_ns for event in spikes}
    new = [e for e in result.micro.events if e.kind == "micro" and e.onset_ns not in known]
    return (*spikes, *new)[-_MOST_SPIKES:] if new else spikes


def thumbnail_of(image: Image, track: Track, side: int = THUMBNAIL) -> Image | None:
    """Return a face cut out of its frame, square; None where nothing of it is in the frame."""
    height, width = image.shape[:2]
    if not height or not np.isfinite(track.xyxy).all():
        return None
    x0, y0, x1, y1 = track.xyxy.tolist()
    half = 0.6 * max(x1 - x0, y1 - y0)
    x, y = (x0 + x1) / 2, (y0 + y1) / 2
    left, top = max(0, int(x - half)), max(0, int(y - half))
    bottom, right = max(0, min(height, int(y + half))), max(0, min(width, int(x + half)))
    part = image[top:bottom, left:right]
    if min(part.shape[:2]) < 2:
        return None
    return np.asarray(cv2.resize(part, (side, side), interpolation=cv2.INTER_AREA), np.uint8)


def neutral_faults(person: Person, t_ns: int) -> list[str]:
    """Return what speaks against taking a person's present face as neutral; empty: nothing.

    Size, sharpness, view and what the face displays must fit, and it must be seen now.
    """
    from realtime_affect.face.vision import GOOD_SHARPNESS

    face = person.face
    if face is None or t_ns - person.measured_ns > 1_000_000_000:
        return ["the face is not measured now"]
    faults = []
    quality = face.quality
    if quality.size_px < _NEUTRAL_SIZE * GOOD_SIZE_PX:
        faults.append(f"too small: come nearer ({quality.size_px:.0f} px between the eyes)")
    if quality.sharpness < _NEUTRAL_SHARPNESS * GOOD_SHARPNESS:
        faults.append("blurred: keep still, or more light")
    if quality.view_deg > _NEUTRAL_VIEW_DEG:
        faults.append(f"turned away: look into the camera ({quality.view_deg:.0f}°)")
    displayed = _displayed(person)
    if displayed:
        faults.append(f"displays {displayed}: relax the face")
    return faults


_NEUTRAL_SIZE: Final = 0.4
_NEUTRAL_SHARPNESS: Final = 0.35
_NEUTRAL_VIEW_DEG: Final = 25.0
_NEUTRAL_UNIT: Final = 1.5  # of 5, measured against the average face or the last neutral one
_STRONG_UNITS: Final = ("AU06", "AU12", "AU25", "AU26", "AU04", "AU01", "AU02")


def _displayed(person: Person) -> str:
    """Return the expression or movement that a neutral face does not show, or nothing."""
    expression = None if person.result is None else person.result.expression
    if expression is not None and expression.name != "neutral" and expression.probability >= 0.5:
        return expression.name
    assert person.face is not None
    units: Mapping[str, float] = {n: person.face.action_units[n] for n in _STRONG_UNITS}
    strong = {name: value for name, value in units.items() if value >= _NEUTRAL_UNIT}
    return max(strong, key=lambda name: strong[name]) if strong else ""
