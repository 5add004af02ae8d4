"""Which action units speak for which expression, and which against it.

Weights say how much of an expression a unit is: together they reach 1 where the expression is
complete, and what can show it alone has more (FACS Investigator's Guide; EMFACS; the most intense
prototypes of FACS, table 11-1). Shares of people are from Du, Tao & Martinez, "Compound facial
expressions of emotion", PNAS 111(15), 2014, table 1: units that more than 70 % of 230 people move,
and, with their share, units that some do. AU11, AU23 and AU24 of that table are not measured here.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Final


@dataclass(frozen=True, slots=True)
class Prototype:
    """Units of an expression.

    Attributes
    ----------
    weights : dict of str to float
        Share of the expression that each unit is.
    against : tuple of str
        Units that it excludes.
    """

    weights: dict[str, float]
    against: tuple[str, ...]


PROTOTYPES: Final = {
    "happiness": Prototype({"AU12": 1.0, "AU06": 0.4}, ("AU15", "AU09", "AU20")),
    "sadness": Prototype(
        {"AU15": 0.5, "AU04": 0.4, "AU01": 0.4, "AU17": 0.2, "AU06": 0.1}, ("AU12", "AU05")
    ),
    "anger": Prototype(
        {"AU04": 0.5, "AU07": 0.3, "AU05": 0.2, "AU17": 0.15, "AU10": 0.15, "AU23": 0.3},
        ("AU01", "AU02", "AU12"),
    ),
    "surprise": Prototype(
        {"AU02": 0.3, "AU05": 0.25, "AU26": 0.25, "AU01": 0.2, "AU25": 0.2},
        ("AU04", "AU09", "AU10", "AU15"),
    ),
    "disgust": Prototype(
        {"AU09": 0.8, "AU10": 0.7, "AU17": 0.15, "AU15": 0.15, "AU04": 0.1},
        ("AU12", "AU02", "AU05"),
    ),
    "fear": Prototype(
        {"AU20": 0.4, "AU05": 0.25, "AU04": 0.25, "AU01": 0.2, "AU02": 0.1, "AU25": 0.1,
         "AU26": 0.05},
        ("AU12", "AU09"),
    ),
    "contempt": Prototype({"AU14": 0.8, "AU12": 0.6}, ("AU06", "AU15")),
}  # fmt: skip
"""Of contempt, units count fully on one side alone; see ``rationale``."""

BOTH_SIDED: Final = {"AU14": 0.6, "AU12": 0.0}
"""What units of contempt are worth where both sides move: dimples something, a smile nothing."""

MOUTH_OPEN: Final = ("AU25", "AU26")
"""What speech moves, too: no sign of any expression alone."""

CONSISTENT: Final = 0.85
"""What "more than 70 %" stands for: the middle of what it can be."""
SHARES: Final[dict[str, dict[str, float]]] = {
    "happiness": {"AU12": CONSISTENT, "AU25": CONSISTENT, "AU06": 0.51},
    "sadness": {
        "AU04": CONSISTENT, "AU15": CONSISTENT, "AU01": 0.60, "AU06": 0.50, "AU17": 0.67,
    },
    "anger": {"AU04": CONSISTENT, "AU07": CONSISTENT, "AU10": 0.26, "AU17": 0.52},
    "surprise": {
        "AU01": CONSISTENT, "AU02": CONSISTENT, "AU25": CONSISTENT, "AU26": CONSISTENT,
        "AU05": 0.66,
    },
    "disgust": {"AU09": CONSISTENT, "AU10": CONSISTENT, "AU17": CONSISTENT, "AU04": 0.31},
    "fear": {
        "AU01": CONSISTENT, "AU04": CONSISTENT, "AU20": CONSISTENT, "AU25": CONSISTENT,
        "AU02": 0.57, "AU05": 0.63, "AU26": 0.33,
    },
    "fearfully surprised": {
        "AU01": CONSISTENT, "AU02": CONSISTENT, "AU05": CONSISTENT, "AU20": CONSISTENT,
        "AU25": CONSISTENT, "AU04": 0.47, "AU26": 0.51,
    },
    "happily surprised": {
        "AU01": CONSISTENT, "AU02": CONSISTENT, "AU12": CONSISTENT, "AU25": CONSISTENT,
        "AU05": 0.64, "AU26": 0.67,
    },
    "sadly surprised": {
        "AU01": CONSISTENT, "AU04": CONSISTENT, "AU25": CONSISTENT, "AU26": CONSISTENT,
        "AU02": 0.27, "AU06": 0.31,
    },
    "disgustedly surprised": {
        "AU01": CONSISTENT, "AU02": CONSISTENT, "AU05": CONSISTENT, "AU10": CONSISTENT,
        "AU04": 0.45, "AU09": 0.37, "AU17": 0.66,
    },
    "angrily surprised": {
        "AU04": CONSISTENT, "AU25": CONSISTENT, "AU26": CONSISTENT, "AU05": 0.35, "AU07": 0.50,
        "AU10": 0.34,
    },
    "sadly fearful": {
        "AU01": CONSISTENT, "AU04": CONSISTENT, "AU20": CONSISTENT, "AU25": CONSISTENT,
        "AU02": 0.46, "AU05": 0.24, "AU06": 0.34, "AU15": 0.30,
    },
    "sadly angry": {
        "AU04": CONSISTENT, "AU15": CONSISTENT, "AU06": 0.26, "AU07": 0.48, "AU17": 0.50,
    },
}  # fmt: skip
"""Share of people who move a unit for an expression or a compound (Du, Tao & Martinez)."""


@cache
def consistent_units(name: str) -> tuple[str, ...]:
    """Return the units that most people move for an expression or a compound."""
    return tuple(unit for unit, share in SHARES[name].items() if share == CONSISTENT)


@cache
def associated(unit: str) -> tuple[str, ...]:
    """Return the expressions that a unit belongs to, those first that it is most of."""
    found = [(-p.weights[unit], name) for name, p in PROTOTYPES.items() if unit in p.weights]
    return tuple(name for weight, name in sorted(found) if weight <= -0.2)
