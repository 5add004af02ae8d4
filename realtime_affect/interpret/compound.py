"""Probabilities and units -> a compound emotion, or none.

Two opinions are weighed log-linearly, for every single expression and compound c:

    score(c) = w * log P(c) + sum over units u of log(s_cu * L_u + 1 - s_cu)

P is the network's: of an expression p_i, of a compound p_i + p_j, the pair-wise probability
aggregation of Ryumina et al. (Team RAS, ABAW). A network that learned single expressions is mostly
sure of one, whatever it sees: w is below 1. s_cu is the share of people who move u for c (Du, Tao &
Martinez, PNAS 2014, table 1), and L_u the likelihood ratio of what was measured: how much likelier
this intensity is where the unit is shown than where it is not (virtual evidence; Pearl, 1988). It
is logistic, e^(slope * (x - even_at)), and at most e^2 either way: a unit that was missed is not
disproved.

The compound of the highest score is named under three conditions. One of its expressions leads, so
there is none where neutral does. Half of the probability or more is its. And where one of the two
leads alone, with more than three times the other, a unit is there that belongs to the compound more
than to that one.

``training.interpretation.choose`` finds w, the slope and ``even_at`` of each unit on rendered
people of whom no figure is reported.
"""

from __future__ import annotations

import math
from functools import cache
from typing import TYPE_CHECKING, Final

import numpy as np

from realtime_affect.interpret.prototypes import SHARES, consistent_units
from realtime_affect.names import AU_INTENSITIES, COMPOUNDS, EXPRESSIONS

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from numpy.typing import NDArray

NONE: Final = "none"

UNITS: Final = tuple(unit for unit in AU_INTENSITIES if any(unit in s for s in SHARES.values()))
"""What is looked at: every unit that belongs to some expression or compound."""

_PAIRS: Final = tuple(
    (name, EXPRESSIONS.index(first), EXPRESSIONS.index(second))
    for name, (first, second) in COMPOUNDS.items()
)
_SINGLE: Final = tuple(name for name in EXPRESSIONS if name in SHARES)
_SINGLES: Final = [EXPRESSIONS.index(name) for name in _SINGLE]
_COLUMNS: Final = np.array([AU_INTENSITIES.index(unit) for unit in UNITS])
_ELSE: Final = 0.05
"""Share of people who move a unit for anything that it does not belong to."""
_SHARES: Final = np.array(
    [[SHARES[name].get(unit, _ELSE) for unit in UNITS] for name in (*_SINGLE, *COMPOUNDS)]
)
_DISTINCT: Final = 1.4  # share of people in the compound over that in the leading expression
_LEAST: Final = 0.5  # of the pair together
_BALANCE: Final = 1 / 3  # of the weaker part over the stronger
_UNLIKELY: Final = 0.01  # what the network is never surer of
_MOST: Final = 2.0  # of the logarithm of a likelihood ratio


class CompoundRule:
    """How much the network says, and how much each unit.

    Parameters
    ----------
    network : float
        Weight of the logarithm of the network's probability.
    slope : float
        What an intensity of 1 more adds to the logarithm of the likelihood ratio.
    even_at : mapping of str to float
        Intensity 0 to 5 that each of UNITS has as often where it is shown as where it is not.
    """

    def __init__(self, network: float, slope: float, even_at: Mapping[str, float]) -> None:
        self._network = network
        self._slope = slope
        self._even_at = np.array([even_at[unit] for unit in UNITS])

    def decide(
        self, probabilities: Sequence[float], intensity: Sequence[float]
    ) -> tuple[str, float]:
        """Return the compound and its probability, or "none" and that of the likeliest pair.

        Parameters
        ----------
        probabilities : (8,) float
            Of EXPRESSIONS, sum 1.
        intensity : (17,) float
            Of AU_INTENSITIES, 0 to 5 above rest; NaN says nothing.
        """
        p = probabilities
        lead = p.index(max(p))
        none = NONE, max(p[i] + p[j] for _, i, j in _PAIRS)
        asked = [
            k for k, (_, i, j) in enumerate(_PAIRS) if lead in (i, j) and p[i] + p[j] >= _LEAST
        ]
        if not asked:
            return none
        steps = self._slope * (np.array(intensity)[_COLUMNS] - self._even_at)
        there = steps > 0
        asked = [
            k for k in asked
            if min(p[_PAIRS[k][1]], p[_PAIRS[k][2]]) >= _BALANCE * p[lead]
            or (there & _tells(k, lead)).any()
        ]  # fmt: skip
        if not asked:
            return none
        steps[steps != steps] = 0.0  # NaN: a ratio of 1
        ratio = np.exp(np.minimum(np.maximum(steps, -_MOST), _MOST))
        likely = np.add.reduce(np.log(_SHARES * (ratio - 1.0) + 1.0), axis=1).tolist()

        def score(row: int, share: float) -> float:
            return self._network * math.log(max(share, _UNLIKELY)) + float(likely[row])

        single = max(score(n, p[i]) for n, i in enumerate(_SINGLES))
        pairs = ((p[_PAIRS[k][1]] + p[_PAIRS[k][2]], k) for k in asked)
        best, share, k = max((score(len(_SINGLE) + k, share), share, k) for share, k in pairs)
        return (_PAIRS[k][0], share) if best > single else none


@cache
def _tells(pair: int, lead: int) -> NDArray[np.bool_]:
    """Return which units belong to a compound clearly more than to the expression that leads."""
    single = _SHARES[_SINGLES.index(lead)]
    return np.asarray(_SHARES[len(_SINGLE) + pair] >= _DISTINCT * single)


RULE: Final = CompoundRule(
    0.25, 3.5,
    {"AU01": 1.2, "AU02": 1.0, "AU04": 0.65, "AU05": 1.3, "AU06": 0.7, "AU07": 0.75, "AU09": 0.9,
     "AU10": 0.6, "AU12": 0.5, "AU15": 0.9, "AU17": 0.75, "AU20": 1.25, "AU25": 1.5, "AU26": 1.4},
)  # fmt: skip
"""What ships."""


def unit_support(compound: str, units: Collection[str]) -> float:
    """Return the share of a compound's consistent units that are among `units`, 0 to 1."""
    wanted = consistent_units(compound)
    return sum(unit in units for unit in wanted) / len(wanted)
