"""Probabilities and units -> valence and arousal, continuous and smooth in time.

Seven tenths come from the expressions' probabilities, each at its place in the plane, three tenths
from the units that pull a face towards pleasant or unpleasant, calm or excited. Both are linear (a
minimum in one place), so nothing jumps when the likeliest expression changes; over time an
exponential mean of 250 ms takes off what a single decision shakes.

Places: Mehrabian & Russell's pleasure and arousal of the emotion words (Russell & Mehrabian,
"Evidence for a three-factor theory of emotions", 1977); contempt, which they do not list, stands
half way between disgust and neutral. They are places of words, not of faces: the valence of a
talking face, or of a polite smile, is weak evidence.
"""

from __future__ import annotations

import math
from operator import mul
from typing import TYPE_CHECKING, Final

from realtime_affect.names import AU_INTENSITIES, EXPRESSIONS

if TYPE_CHECKING:
    from collections.abc import Sequence

PLACES: Final = {
    "happiness": (0.81, 0.51), "sadness": (-0.63, -0.27), "neutral": (0.0, 0.0),
    "anger": (-0.51, 0.59), "surprise": (0.40, 0.67), "disgust": (-0.60, 0.35),
    "fear": (-0.64, 0.60), "contempt": (-0.30, 0.18),
}  # fmt: skip
"""Valence and arousal of each expression."""

VALENCE_UNITS: Final = {
    "AU12": 0.20, "AU04": -0.12, "AU09": -0.12, "AU15": -0.16, "AU20": -0.08, "AU17": -0.06,
}  # fmt: skip
"""Valence of a unit of intensity 1; AU06 adds 0.1 as far as AU12 comes with it."""
AROUSAL_UNITS: Final = {
    "AU01": 0.05, "AU02": 0.06, "AU04": 0.04, "AU05": 0.14, "AU12": 0.04, "AU20": 0.08,
    "AU25": 0.02, "AU26": 0.07,
}  # fmt: skip

SMOOTH_MS: Final = 250.0
_FROM_UNITS: Final = 0.3
_CHEEKS: Final = 0.10

_VALENCES: Final = tuple(PLACES[name][0] for name in EXPRESSIONS)
_AROUSALS: Final = tuple(PLACES[name][1] for name in EXPRESSIONS)
_PULLS: Final = tuple((AU_INTENSITIES.index(n), weight) for n, weight in VALENCE_UNITS.items())
_STIRS: Final = tuple((AU_INTENSITIES.index(n), weight) for n, weight in AROUSAL_UNITS.items())
_AU06: Final = AU_INTENSITIES.index("AU06")
_AU12: Final = AU_INTENSITIES.index("AU12")


def valence_arousal(
    probabilities: Sequence[float], intensity: Sequence[float]
) -> tuple[float, float]:
    """Return valence and arousal, -1 to 1, of one moment.

    Parameters
    ----------
    probabilities : (8,) float
        Of EXPRESSIONS, sum 1.
    intensity : (17,) float
        0 to 5 in the order of AU_INTENSITIES; NaN counts as nothing.
    """
    valence = sum(map(mul, probabilities, _VALENCES))
    arousal = sum(map(mul, probabilities, _AROUSALS))
    # A value that is not itself is NaN.
    pull = sum(weight * x for i, weight in _PULLS if (x := intensity[i]) == x)
    stir = sum(weight * x for i, weight in _STIRS if (x := intensity[i]) == x)
    cheeks, corners = intensity[_AU06], intensity[_AU12]
    if cheeks == cheeks and corners == corners:
        pull += _CHEEKS * min(cheeks, corners)
    return (
        (1 - _FROM_UNITS) * valence + _FROM_UNITS * max(-1.0, min(1.0, pull)),
        (1 - _FROM_UNITS) * arousal + _FROM_UNITS * max(-1.0, min(1.0, stir)),
    )


def smoothed(
    before: tuple[float, float], now: tuple[float, float], since_ms: float
) -> tuple[float, float]:
    """Return the exponential mean of :data:`SMOOTH_MS`, `since_ms` after `before`."""
    share = 1.0 - math.exp(-max(0.0, since_ms) / SMOOTH_MS)
    return (
        before[0] + share * (now[0] - before[0]),
        before[1] + share * (now[1] - before[1]),
    )
