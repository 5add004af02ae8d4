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

from typing import TYPE_CHECKING, Final

import numpy as np

from realtime_affect.interpret.prototypes import SHARES, consistent_units
from realtime_affect.names import AU_INTENSITIES, COMPOUNDS, EXPRESSIONS

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

NONE: Final = "none"

UNITS: Final = tuple(unit for unit in AU_INTENSITIES if any(unit in s for s in SHARES.values()))
"""What is looked at: every unit that belongs to some expression or compound."""

_NAMES: Final = (*(name for name in EXPRESSIONS if name in SHARES), *COMPOUNDS)
_ELSE: Final = 0.05
"""Share of people who move a unit for anything that it does not belong to."""
_SHARES: Final = np.array([[SHARES[name].get(unit, _ELSE) for unit in UNITS] for name in _NAMES])
_COLUMNS: Final = np.array([AU_INTENSITIES.index(unit) for unit in UNITS])
_PARTS: Final = np.array(
    [[float(part in COMPOUNDS.get(name, (name,))) for part in EXPRESSIONS] for name in _NAMES]
)
_IS_PAIR: Final = np.array([name in COMPOUNDS for name in _NAMES])
_LED_BY: Final = np.array([_NAMES.index(name) if name in _NAMES else -1 for name in EXPRESSIONS])
_DISTINCT: Final = 1.4  # share of people in the compound over that in the leading expression
_TELLS: Final = _SHARES[None] >= _DISTINCT * _SHARES[_LED_BY][:, None]
"""Whether a unit belongs to each of _NAMES more than to the one that leads, (8, n, units)."""
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
        p = np.array(probabilities)
        lead = int(p.argmax())
        together = _PARTS @ p
        pairs = np.where(_IS_PAIR, together, 0.0)
        none = NONE, float(pairs.max())
        asked = _IS_PAIR & (_PARTS[:, lead] > 0) & (together >= _LEAST)
        if not asked.any():
            return none
        x = np.array(intensity)[_COLUMNS]
        steps = self._slope * (x - self._even_at)
        balanced = together - p[lead] >= _BALANCE * p[lead]
        asked &= balanced | (_TELLS[lead] & (steps > 0)).any(axis=1)
        # No difference of NaN: a ratio of 1.
        ratio = np.exp(np.where(steps == steps, np.clip(steps, -_MOST, _MOST), 0.0))
        score = self._network * np.log(np.maximum(together, _UNLIKELY))
        score += np.log(_SHARES * (ratio - 1.0) + 1.0).sum(axis=1)
        first = int(np.where(asked | ~_IS_PAIR, score, -np.inf).argmax())
        return (_NAMES[first], float(together[first])) if _IS_PAIR[first] else none


RULE: Final = CompoundRule(
    0.5, 3.5,
    {"AU01": 1.2, "AU02": 1.0, "AU04": 0.65, "AU05": 1.3, "AU06": 0.7, "AU07": 0.75, "AU09": 0.9,
     "AU10": 0.6, "AU12": 0.5, "AU15": 0.9, "AU17": 0.75, "AU20": 1.25, "AU25": 1.5, "AU26": 1.4},
)  # fmt: skip
"""What ships."""


def unit_support(compound: str, units: Collection[str]) -> float:
    """Return the share of a compound's consistent units that are among `units`, 0 to 1."""
    wanted = consistent_units(compound)
    return sum(unit in units for unit in wanted) / len(wanted)
