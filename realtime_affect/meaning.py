"""What the results of one decision mean: values that ``interpret`` makes and everybody reads.

All of it is about the expression that a face displays, never about what the person feels.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Phase = Literal["rising", "held", "fading", ""]
"""Where something is heading over the last third of a second; empty where too little was seen."""

Verdict = Literal["agrees", "partly", "disagrees", "unchecked"]
"""Whether the measured units bear out the reported expression; ``unchecked``: none was."""

Side = Literal["both", "right", "left", ""]
"""The person's own; empty where the sides were not measured apart."""

FACS_LETTERS = "ABCDE"


@dataclass(frozen=True, slots=True)
class Observation:
    """An action unit above the person's rest.

    Attributes
    ----------
    unit : str
        ``"AU12"``.
    side : Side
    intensity : float
        0 to 5, above the rest; on one side alone, of that side.
    trust : str
        How far the unit can be trusted, from the network's card: "high", "medium", "low".
    onset_ns : int or None
        Source time of the last frame in which it was at rest; None where it was there from the
        first frame on, or where nothing is known of time (stills).
    duration_ms : float
        Since then; 0 where that is not known.
    phase : Phase
    """

    unit: str
    side: Side
    intensity: float
    trust: str
    onset_ns: int | None = None
    duration_ms: float = 0.0
    phase: Phase = ""

    @property
    def letter(self) -> str:
        """FACS intensity, "A" (trace) to "E" (maximum)."""
        return FACS_LETTERS[max(0, min(4, int(self.intensity + 0.5) - 1))]


@dataclass(frozen=True, slots=True)
class Candidate:
    """What the units say for and against one expression or compound.

    Attributes
    ----------
    name : str
        One of ``names.EXPRESSIONS`` or ``names.COMPOUNDS``.
    probability : float
        The network's; of a compound, the sum of its two.
    present, missing, against : tuple of str
        Units of its prototype that were observed, that were measured and not observed, and
        observed units that the prototype excludes.
    support : float
        0 to 1: how much of the prototype the present ones are.
    """

    name: str
    probability: float
    present: tuple[str, ...]
    missing: tuple[str, ...]
    against: tuple[str, ...]
    support: float


@dataclass(frozen=True, slots=True)
class Meaning:
    """The interpretation of one decision about one face.

    Attributes
    ----------
    t_ns : int
        Source time of the newest frame used.
    name : str
        The reported expression, as ``Expression.name``: never another one.
    probability : float
        As ``Expression.probability``.
    compound : str
        One of ``names.COMPOUNDS``, or "none".
    p_compound : float
        Sum of the two probabilities of the likeliest pair, also where `compound` is "none".
    valence, arousal : float
        -1 to 1, smoothed over time.
    verdict : Verdict
    observations : tuple of Observation
        Every unit above its threshold, strongest first.
    candidates : tuple of Candidate
        The reported expression first, then others that are likely, then the compound.
    phase : Phase
        Of the reported expression's probability.
    shown_ms : float
        How long it has been reported without a break; 0 where that is not known.
    caveats : tuple of str
        What lowers the trust in all of it (``interpret.rationale.CAVEATS``).
    baseline : str
        What units are above: "average face", "own rest" or the name of a saved profile.
    tiers : tuple of tuple of str
        Parrott's three tiers of the reported expression, or of both parts of the compound.
    line : str
        All of it in one short line, for an image or a list.
    intensity : (17,) tuple of float
        Of ``names.AU_INTENSITIES`` above `baseline`.
    probabilities : (8,) tuple of float
        Of ``names.EXPRESSIONS``, relative to a profile's rest where one is used.
    """

    t_ns: int
    name: str
    probability: float
    compound: str
    p_compound: float
    valence: float
    arousal: float
    verdict: Verdict
    observations: tuple[Observation, ...]
    candidates: tuple[Candidate, ...]
    phase: Phase = ""
    shown_ms: float = 0.0
    caveats: tuple[str, ...] = ()
    baseline: str = "average face"
    tiers: tuple[tuple[str, ...], ...] = ()
    line: str = ""
    intensity: tuple[float, ...] = ()
    probabilities: tuple[float, ...] = ()

    @property
    def units(self) -> tuple[str, ...]:
        """Names of the observed units, strongest first."""
        return tuple(observation.unit for observation in self.observations)
