"""One decision -> why: observed units, what they say for and against, whether they agree.

The three parts of ExpLLM's explanation (2409.02828), from measurements alone. Two faults of
language models (Facial-R1, 2511.10254) cannot occur: every unit that is named was measured above
its threshold, and the conclusion is the network's, beside a verdict that the units give.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Final

from affect_engines import load_card
from realtime_affect.face.vision import GOOD_SHARPNESS, GOOD_SIZE_PX, GOOD_VIEW_DEG
from realtime_affect.interpret.compound import NONE, RULE, unit_support
from realtime_affect.interpret.hierarchy import tiers
from realtime_affect.interpret.prototypes import (
    BOTH_SIDED,
    MOUTH_OPEN,
    PROTOTYPES,
    SHARES,
    consistent_units,
)
from realtime_affect.interpret.words import line_of
from realtime_affect.meaning import Candidate, Meaning, Observation
from realtime_affect.names import AU_INTENSITIES, COMPOUNDS, EXPRESSIONS, SIDED_UNITS

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from realtime_affect.meaning import Phase, Side, Verdict
    from realtime_affect.types import FaceQuality

CAVEATS: Final = ("average face", "turned", "small", "blurred", "warming up", "speaking")
"""What lowers the trust in an interpretation, in the order in which it is said."""

AGREES: Final = 0.7
"""Support from which units bear out an expression."""
PARTLY: Final = 0.3
"""Support from which they do so in part."""
_CLEAR: Final = 1.5  # FACS B: a trace contradicts nothing
_MARKED: Final = 2.5  # FACS C
_TELLING: Final = 0.2  # weight from which a unit that is not there is missed
_LIKELY: Final = 0.15
_ONE_SIDED: Final = 0.5  # the weaker side over the stronger one, below which it is one side's
_UNIT_STEP: Final = 0.3  # change of intensity in a third of a second that is a movement
_SHARE_STEP: Final = 0.1
_UNSURE: Final = 0.5  # what a unit of low trust counts


@dataclass(frozen=True, slots=True)
class UnitTable:
    """What is known about the units of AU_INTENSITIES, in that order.

    Attributes
    ----------
    present_at : (17,) tuple of float
        Intensities from which they count as present; NaN for those without evidence.
    trusts : (17,) tuple of str
        "high", "medium", "low" or "none".
    """

    present_at: tuple[float, ...]
    trusts: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Earlier:
    """The same face a third of a second ago: units (17,) above rest, probability of the name."""

    intensity: Sequence[float]
    probability: float


@dataclass(frozen=True, slots=True)
class Evidence:
    """All that one decision about one face rests on.

    Attributes
    ----------
    t_ns : int
        Source time of the newest frame used.
    name : str
        The reported expression.
    probability : float
        The network's, of `name`.
    probabilities : (8,) float
        Of EXPRESSIONS; relative to the person's rest where a profile says so.
    intensity : (17,) float
        Of AU_INTENSITIES above the person's rest, 0 to 5; NaN where there is no evidence.
    sides : (2, 2) float
        Of SIDED_UNITS on the person's right and left.
    quality : FaceQuality
    calibration : float
        0 = units are against the average face, 1 = against the person's own rest.
    warming_up : bool
    onsets_ns : sequence of int
        When each unit left its rest, -1 where that is not known; empty for stills.
    earlier : Earlier, optional
    shown_ms : float
    speaking : bool
    valence, arousal : float
    profile : str
        Name of the profile that rest was taken from; empty = none.
    """

    t_ns: int
    name: str
    probability: float
    probabilities: Sequence[float]
    intensity: Sequence[float]
    sides: Sequence[Sequence[float]]
    quality: FaceQuality
    calibration: float = 1.0
    warming_up: bool = False
    onsets_ns: Sequence[int] = ()
    earlier: Earlier | None = None
    shown_ms: float = 0.0
    speaking: bool = False
    valence: float = 0.0
    arousal: float = 0.0
    profile: str = ""


@cache
def unit_table() -> UnitTable:
    """Return what the card of the action unit network says."""
    units = load_card("action_units").units
    known = [units.get(name) for name in AU_INTENSITIES]
    return UnitTable(
        tuple(math.nan if unit is None else unit.present_at for unit in known),
        tuple("none" if unit is None else unit.trust for unit in known),
    )


def explain(evidence: Evidence, table: UnitTable | None = None, language: str = "en") -> Meaning:
    """Interpret one decision; the same evidence gives the same meaning."""
    table = table or unit_table()
    observations = observe(evidence, table)
    measured = {
        unit
        for unit, value, trust in zip(AU_INTENSITIES, evidence.intensity, table.trusts, strict=True)
        if trust != "none" and value == value  # not NaN
    }
    compound, p_compound = RULE.decide(evidence.probabilities, evidence.intensity)
    candidates = _candidates(evidence, observations, measured, compound)
    verdict: Verdict = verdict_of(candidates[0]) if measured else "unchecked"
    return Meaning(
        evidence.t_ns, evidence.name, evidence.probability, compound, p_compound,
        evidence.valence, evidence.arousal, verdict, observations, candidates,
        phase=_phase(evidence.probability, evidence.earlier, None, _SHARE_STEP),
        shown_ms=evidence.shown_ms, caveats=_caveats(evidence), baseline=_baseline(evidence),
        tiers=tiers(evidence.name if compound == NONE else compound),
        line=line_of(compound, observations, verdict, language),
        # One NaN for all, so that equal meanings are equal.
        intensity=tuple(value if value == value else math.nan for value in evidence.intensity),
        probabilities=tuple(evidence.probabilities),
    )  # fmt: skip


def observe(evidence: Evidence, table: UnitTable) -> tuple[Observation, ...]:
    """Return every unit above its threshold, on both sides together or on one; strongest first."""
    shown: dict[str, tuple[Side, float]] = {}
    for unit, (right, left) in zip(SIDED_UNITS, evidence.sides, strict=True):
        strong, weak = max(right, left), max(0.0, min(right, left))
        if strong == strong and weak == weak:  # not NaN
            alone = weak < _ONE_SIDED * strong
            shown[unit] = ("right" if right > left else "left") if alone else "both", strong
    found = []
    for i, (unit, together, threshold) in enumerate(
        zip(AU_INTENSITIES, evidence.intensity, table.present_at, strict=True)
    ):
        side, intensity = shown.get(unit, ("", together))
        if side == "both":
            intensity = together
        elif intensity < threshold <= together:  # no side alone is above
            side, intensity = "", together
        if not intensity >= threshold:  # NaN, too
            continue
        onset = evidence.onsets_ns[i] if evidence.onsets_ns else -1
        known = 0 <= onset <= evidence.t_ns
        found.append(
            Observation(
                unit, side, intensity, table.trusts[i],
                onset if known else None, (evidence.t_ns - onset) / 1e6 if known else 0.0,
                _phase(together, evidence.earlier, i, _UNIT_STEP),
            )
        )  # fmt: skip
    found.sort(key=lambda observation: -observation.intensity)
    return tuple(found)


def weigh(
    name: str, probability: float, observations: Sequence[Observation], measured: Collection[str]
) -> Candidate:
    """Return what observed units say for and against an expression.

    Parameters
    ----------
    name : str
        One of EXPRESSIONS.
    probability : float
    observations : sequence of Observation
    measured : collection of str
        Units that were measured, whether observed or not.
    """
    seen = {observation.unit: observation for observation in observations}
    if name == "neutral":
        return _weigh_rest(probability, observations)
    prototype = PROTOTYPES[name]
    support, present = 0.0, []
    for unit, weight in prototype.weights.items():
        observation = seen.get(unit)
        if observation is None:
            continue
        if name == "contempt" and observation.side not in ("right", "left"):
            weight = BOTH_SIDED[unit]
        if weight:
            present.append(unit)
            support += weight * (_UNSURE if observation.trust == "low" else 1.0)
    missing = [
        unit
        for unit, weight in prototype.weights.items()
        if weight >= _TELLING and unit not in seen and unit in measured
    ]
    against = [unit for unit in prototype.against if _contradicts(seen.get(unit))]
    return Candidate(
        name, probability, tuple(present), tuple(missing), tuple(against), min(1.0, support)
    )


def verdict_of(candidate: Candidate) -> Verdict:
    """Return whether units bear an expression out."""
    if candidate.support < PARTLY:
        return "disagrees"
    return "agrees" if candidate.support >= AGREES and not candidate.against else "partly"


def _weigh_rest(probability: float, observations: Sequence[Observation]) -> Candidate:
    """Return what units say against a face at rest; lips that part say nothing."""
    telling = [o for o in observations if o.unit not in (*MOUTH_OPEN, "AU45") and _contradicts(o)]
    if not telling:
        support = 1.0
    else:
        alone = len(telling) == 1 and telling[0].intensity < _MARKED
        support = 0.5 if alone else 0.0
    return Candidate("neutral", probability, (), (), tuple(o.unit for o in telling), support)


def _contradicts(observation: Observation | None) -> bool:
    return (
        observation is not None and observation.trust != "low" and observation.intensity >= _CLEAR
    )


def _candidates(
    evidence: Evidence, observations: tuple[Observation, ...], measured: Collection[str],
    compound: str,
) -> tuple[Candidate, ...]:  # fmt: skip
    if not measured:
        return ()
    likely = sorted(
        (-p, name)
        for name, p in zip(EXPRESSIONS, evidence.probabilities, strict=True)
        if p >= _LIKELY and name != evidence.name
    )
    found = [weigh(evidence.name, evidence.probability, observations, measured)]
    found += [weigh(name, -p, observations, measured) for p, name in likely[:2]]
    if compound != NONE:
        p = sum(evidence.probabilities[EXPRESSIONS.index(part)] for part in COMPOUNDS[compound])
        found.append(_weigh_compound(compound, p, observations, measured))
    return tuple(found)


def _weigh_compound(
    name: str, probability: float, observations: Sequence[Observation], measured: Collection[str]
) -> Candidate:
    """Return what units say of a compound: the share of what people move for it."""
    seen = {observation.unit for observation in observations}
    of_it = SHARES[name]
    return Candidate(
        name, probability, tuple(unit for unit in of_it if unit in seen),
        tuple(u for u in consistent_units(name) if u not in seen and u in measured),
        (), unit_support(name, seen),
    )  # fmt: skip


def _phase(value: float, earlier: Earlier | None, unit: int | None, step: float) -> Phase:
    if earlier is None:
        return ""
    change = value - (earlier.probability if unit is None else earlier.intensity[unit])
    return "rising" if change > step else "fading" if change < -step else "held"


def _caveats(evidence: Evidence) -> tuple[str, ...]:
    quality = evidence.quality
    holds: Mapping[str, bool] = {
        "average face": not evidence.profile and evidence.calibration < 0.99,
        "turned": quality.view_deg > GOOD_VIEW_DEG,
        "small": quality.size_px < GOOD_SIZE_PX,
        "blurred": quality.sharpness < GOOD_SHARPNESS,
        "warming up": evidence.warming_up,
        "speaking": evidence.speaking,
    }
    return tuple(name for name in CAVEATS if holds[name])


def _baseline(evidence: Evidence) -> str:
    if evidence.profile:
        return evidence.profile
    return "own rest" if evidence.calibration >= 0.99 else "average face"
