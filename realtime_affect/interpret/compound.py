"""Probabilities of expressions -> a compound emotion, or none.

Pair-wise probability aggregation (Ryumina et al., Team RAS, ABAW): a compound is as probable as its
two parts together, P(c) = p_i + p_j. That names a pair for every face, so two gates come first:
where neutral leads, or where one expression leads alone, there is no compound.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from realtime_affect.interpret.prototypes import COMPOUND_WEIGHTS
from realtime_affect.names import COMPOUNDS, EXPRESSIONS

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

NONE: Final = "none"

_PAIRS: Final = tuple(
    (name, EXPRESSIONS.index(first), EXPRESSIONS.index(second))
    for name, (first, second) in COMPOUNDS.items()
)
_NEUTRAL: Final = EXPRESSIONS.index("neutral")
_LEAST: Final = 0.5
"""Of the pair together: less, and more speaks for something else."""
_BALANCE: Final = 1 / 3
"""Of the weaker part over the stronger: less, and one expression leads alone."""


def compound_of(probabilities: Sequence[float]) -> tuple[str, float]:
    """Return the compound, or "none", and the probability of the likeliest pair.

    Parameters
    ----------
    probabilities : (8,) float
        Of EXPRESSIONS, sum 1.
    """
    p = probabilities
    best, pair, i, j = max((p[i] + p[j], name, i, j) for name, i, j in _PAIRS)
    strong, weak = max(p[i], p[j]), min(p[i], p[j])
    mixed = best >= _LEAST and weak >= _BALANCE * strong and strong > p[_NEUTRAL]
    return (pair if mixed else NONE), best


def unit_support(compound: str, units: Collection[str]) -> float:
    """Return how much of a compound's units are among `units`, 0 to 1: the second opinion."""
    return sum(w for unit, w in COMPOUND_WEIGHTS[compound].items() if unit in units)
