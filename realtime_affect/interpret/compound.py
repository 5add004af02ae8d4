"""Probabilities and units -> a compound emotion, or none.

First, pair-wise probability aggregation (Ryumina et al., Team RAS, ABAW): a compound is as probable
as its two parts together, P(c) = p_i + p_j. That names a pair for every face, so two gates come
first: where neutral leads, or where one expression leads alone, there is no compound.

A network that was trained on single expressions is mostly sure of one of them, whatever it sees. So
where one leads alone, the units are asked: are they a compound of it, rather than that expression?
By what Du, Tao & Martinez (PNAS 2014) saw people move, these must hold: half of the compound's
units are there, one of the expression and one that belongs to the compound more than to it, and
the likelihood of all that was observed is no smaller than under any likely single expression.
"""

from __future__ import annotations

import math
from functools import cache
from typing import TYPE_CHECKING, Final

from realtime_affect.interpret.prototypes import SHARES, consistent_units
from realtime_affect.names import COMPOUNDS, EXPRESSIONS

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

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
_ASKED: Final = 0.3
"""Of the pair together, from which units may name it."""
_LIKELY: Final = 0.15
_SUPPORT: Final = 0.5
_DISTINCT: Final = 1.3  # share of people in the compound over that in the expression
_ELSE: Final = 0.1
"""Share of people who move a unit for anything that it does not belong to."""
_UNSURE: Final = 0.5  # what a unit of low trust counts

_UNITS: Final = tuple(sorted({unit for shares in SHARES.values() for unit in shares}))


def compound_of(
    probabilities: Sequence[float], observed: Mapping[str, str], measured: Collection[str]
) -> tuple[str, float]:
    """Return the compound, or "none", and the probability of the likeliest pair.

    Parameters
    ----------
    probabilities : (8,) float
        Of EXPRESSIONS, sum 1.
    observed : mapping of str to str
        Units above their threshold, and how far each can be trusted.
    measured : collection of str
        Units that were measured, whether observed or not.
    """
    p = probabilities
    best, pair, i, j = max((p[i] + p[j], name, i, j) for name, i, j in _PAIRS)
    strong, weak = max(p[i], p[j]), min(p[i], p[j])
    if best >= _LEAST and weak >= _BALANCE * strong and strong > p[_NEUTRAL]:
        return pair, best
    leading = EXPRESSIONS[p.index(max(p))]
    return _by_units(p, leading, observed, measured) if leading in SHARES else NONE, best


def unit_support(compound: str, units: Collection[str]) -> float:
    """Return the share of a compound's consistent units that are among `units`, 0 to 1."""
    wanted = consistent_units(compound)
    return sum(unit in units for unit in wanted) / len(wanted)


def _by_units(
    p: Sequence[float], leading: str, observed: Mapping[str, str], measured: Collection[str]
) -> str:
    """Return the compound that units show where `leading` leads alone, or "none"."""
    if not any(unit in SHARES[leading] for unit in observed):
        return NONE
    asked = [
        name
        for name, i, j in _PAIRS
        if p[i] + p[j] >= _ASKED
        and leading in COMPOUNDS[name]
        and unit_support(name, observed) >= _SUPPORT
        and any(
            SHARES[name].get(unit, 0.0) >= _DISTINCT * SHARES[leading].get(unit, _ELSE)
            for unit in observed
        )
    ]
    if not asked:
        return NONE
    single = max(
        _log_likelihood(name, observed, measured)
        for name, share in zip(EXPRESSIONS, p, strict=True)
        if name in SHARES and (share >= _LIKELY or name == leading)
    )
    likelihood, name = max((_log_likelihood(name, observed, measured), name) for name in asked)
    return name if likelihood >= single else NONE


def _log_likelihood(name: str, observed: Mapping[str, str], measured: Collection[str]) -> float:
    """Return the logarithm of the share of people whose units these are."""
    total = 0.0
    for unit, seen, unseen in _logs(name):
        if unit in measured:
            weight = _UNSURE if observed.get(unit) == "low" else 1.0
            total += weight * (seen if unit in observed else unseen)
    return total


@cache
def _logs(name: str) -> tuple[tuple[str, float, float], ...]:
    shares = ((unit, SHARES[name].get(unit, _ELSE)) for unit in _UNITS)
    return tuple((unit, math.log(share), math.log(1 - share)) for unit, share in shares)
