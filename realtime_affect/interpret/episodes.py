"""Meanings over time -> episodes: stretches in which a face displays one expression.

Cut as the readings come, so that hours cost no memory: of each episode only its peak and sums are
kept. An expression or compound that lasts under a quarter of a second does not cut an episode.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from realtime_affect.interpret.compound import NONE
from realtime_affect.interpret.hierarchy import tiers
from realtime_affect.interpret.words import BRIEF_MS, as_json
from realtime_affect.meaning import FACS_LETTERS

if TYPE_CHECKING:
    from realtime_affect.meaning import Meaning

LEAST_NS: Final = 250_000_000
_GAP_NS: Final = 1_000_000_000
"""A face that is not seen for longer ends its episode."""


@dataclass(frozen=True, slots=True)
class Attributes:
    """How a face was seen at a moment: what an expression is read from.

    Attributes
    ----------
    quality : float
        0 to 1.
    size_px : float
        Between the outer eye corners.
    view_deg : float
        From the camera's direction.
    pose_deg : tuple of float
        Pitch, yaw, roll.
    gaze_rad : tuple of float
        x, y; NaN while the eyes are shut or turned away.
    """

    quality: float
    size_px: float
    view_deg: float
    pose_deg: tuple[float, ...]
    gaze_rad: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Episode:
    """One stretch of one expression.

    Attributes
    ----------
    face : int
    name : str
        The reported expression at the peak.
    compound : str
        One of ``names.COMPOUNDS``, or "none".
    start_ns, end_ns : int
        Source times.
    peak_frame : int
        Number of the frame, from 1 as in the rows, that shows it most.
    peak : Meaning
        Its evidence, of that frame.
    attributes : Attributes
        Of that frame.
    valence, arousal : float
        Means.
    agreement : float
        Share of decisions whose evidence agrees.
    units : tuple of (str, float, float)
        Each unit that was observed: its name, its strongest intensity, the share of decisions in
        which it was; the strongest first.
    """

    face: int
    name: str
    compound: str
    start_ns: int
    end_ns: int
    peak_frame: int
    peak: Meaning
    attributes: Attributes
    valence: float
    arousal: float
    agreement: float
    units: tuple[tuple[str, float, float], ...]

    @property
    def label(self) -> str:
        """The compound where there is one, else the expression."""
        return self.name if self.compound == NONE else self.compound

    @property
    def duration_ms(self) -> float:
        """From start to end."""
        return (self.end_ns - self.start_ns) / 1e6

    def as_json(self, language: str = "en", origin_ns: int = 0) -> dict[str, Any]:
        """Return the episode as a tree: attributes, expression, reading."""
        told = as_json(self.peak, language, origin_ns)
        return {
            "face": self.face,
            "start": round((self.start_ns - origin_ns) / 1e9, 3),
            "end": round((self.end_ns - origin_ns) / 1e9, 3),
            "duration_ms": round(self.duration_ms),
            "peak": {"timestamp": told["timestamp"], "frame": self.peak_frame},
            "attributes": {
                "quality": round(self.attributes.quality, 2),
                "size_px": round(self.attributes.size_px),
                "view_deg": round(self.attributes.view_deg),
                "pose_deg": [round(angle, 1) for angle in self.attributes.pose_deg],
                "gaze_rad": [
                    round(angle, 3) if angle == angle else None
                    for angle in self.attributes.gaze_rad
                ],
                "caveats": told["caveats"],
            },
            "expression": {
                "at_peak": told["observations"],
                "units": [
                    {"unit": unit, "strongest": round(most, 2), "share": round(share, 2)}
                    for unit, most, share in self.units
                ],
            },
            "reading": {
                "label": self.label,
                "expression": self.name,
                "probability": told["probability"],
                "verdict": told["verdict"],
                "agreement": round(self.agreement, 2),
                "compound": self.compound,
                "p_compound": told["p_compound"],
                "hierarchy": [list(path) for path in tiers(self.label)],
                "valence": round(self.valence, 3),
                "arousal": round(self.arousal, 3),
                "brief": self.duration_ms <= BRIEF_MS,
                "candidates": told["candidates"],
                "above": told["above"],
                "text": told["text"],
            },
        }


@dataclass(slots=True)
class _Open:
    """An episode under way."""

    label: str
    start_ns: int
    end_ns: int
    strength: float = -1.0
    peak: tuple[int, Meaning, Attributes] | None = None
    n: int = 0
    sums: list[float] = field(default_factory=lambda: [0.0, 0.0, 0.0])
    units: dict[str, list[float]] = field(default_factory=dict)

    def add(self, t_ns: int, frame: int, meaning: Meaning, attributes: Attributes) -> bool:
        """Take in a frame; return whether it is the peak so far."""
        self.end_ns = t_ns
        self.n += 1
        for i, value in enumerate(
            (meaning.valence, meaning.arousal, float(meaning.verdict == "agrees"))
        ):
            self.sums[i] += value
        for observation in meaning.observations:
            known = self.units.setdefault(observation.unit, [0.0, 0])
            known[0] = max(known[0], observation.intensity)
            known[1] += 1
        strength = _strength(meaning)
        if strength <= self.strength:
            return False
        self.strength, self.peak = strength, (frame, meaning, attributes)
        return True

    def close(self, face: int, end_ns: int) -> Episode:
        """Return what it was."""
        assert self.peak is not None
        frame, meaning, attributes = self.peak
        valence, arousal, agreement = (value / self.n for value in self.sums)
        units = sorted(
            ((unit, most, times / self.n) for unit, (most, times) in self.units.items()),
            key=lambda unit: -unit[1],
        )
        return Episode(
            face, meaning.name, meaning.compound, self.start_ns, end_ns, frame, meaning,
            attributes, valence, arousal, agreement, tuple(units),
        )  # fmt: skip


class EpisodeCutter:
    """Cut one face's meanings into episodes; depends on source times alone.

    Parameters
    ----------
    face : int
    """

    def __init__(self, face: int) -> None:
        self.face = face
        self._now: _Open | None = None
        self._next: _Open | None = None
        self.at_peak = False
        """Whether the frame added last is the peak so far of an episode that may come of it."""

    def add(
        self, t_ns: int, frame: int, meaning: Meaning, attributes: Attributes
    ) -> Episode | None:
        """Take in a frame; return the episode that it ended, if it did.

        Parameters
        ----------
        t_ns : int
            Source time; grows from call to call.
        frame : int
            Number of the frame.
        meaning : Meaning
            The newest known.
        attributes : Attributes
        """
        ended = None
        if self._now is not None and t_ns - self._newest_ns() > _GAP_NS:
            ended = self.finish()
        label = meaning.name if meaning.compound == NONE else meaning.compound
        if self._now is None:
            self._now = _Open(label, t_ns, t_ns)
        if label == self._now.label:
            self._next = None
            self.at_peak = self._now.add(t_ns, frame, meaning, attributes)
            return ended
        if self._next is None or self._next.label != label:
            self._next = _Open(label, t_ns, t_ns)
        self.at_peak = self._next.add(t_ns, frame, meaning, attributes)
        if t_ns - self._next.start_ns >= LEAST_NS:
            ended = self._now.close(self.face, self._next.start_ns)
            self._now, self._next = self._next, None
        return ended

    @property
    def undecided(self) -> bool:
        """Whether the frame added last belongs to an expression that may not last."""
        return self._next is not None

    def finish(self) -> Episode | None:
        """Return the episode under way, if any; what comes next begins another one."""
        ended = None if self._now is None else self._now.close(self.face, self._newest_ns())
        self._now = self._next = None
        return ended

    def _newest_ns(self) -> int:
        assert self._now is not None
        return self._now.end_ns if self._next is None else self._next.end_ns


def letter_of(intensity: float) -> str:
    """Return the FACS letter of an intensity 0 to 5."""
    return FACS_LETTERS[max(0, min(4, int(intensity + 0.5) - 1))]


def _strength(meaning: Meaning) -> float:
    """Return how much a moment shows its expression: probability, and units that are present."""
    present = meaning.candidates[0].present if meaning.candidates else ()
    moved = sum(o.intensity for o in meaning.observations if o.unit in present)
    return meaning.probability + moved / 10
