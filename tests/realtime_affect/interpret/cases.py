"""The forty hand-written faces, as evidence."""

import tomllib
from pathlib import Path

from realtime_affect.interpret.rationale import Evidence, UnitTable
from realtime_affect.names import AU_INTENSITIES, EXPRESSIONS, SIDED_UNITS
from realtime_affect.types import FaceQuality

CASES = tomllib.loads(Path(__file__).with_name("cases.toml").read_text("utf-8"))["case"]
GOOD = FaceQuality(1.0, 120.0, 5.0, 100.0)

_TRUSTS = dict.fromkeys(AU_INTENSITIES, "high") | {
    "AU04": "medium", "AU05": "medium", "AU09": "medium", "AU10": "medium", "AU15": "medium",
    "AU20": "medium", "AU07": "low", "AU14": "low", "AU17": "low", "AU23": "none",
}  # fmt: skip
TABLE = UnitTable(
    tuple(float("nan") if name == "AU23" else 1.0 for name in AU_INTENSITIES),
    tuple(_TRUSTS[name] for name in AU_INTENSITIES),
)
"""What the card said when the cases were written; they do not depend on the network of the day."""


def intensities(units):
    return [float("nan") if n == "AU23" else units.get(n, 0.0) for n in AU_INTENSITIES]


def shares(p):
    rest = (1 - sum(p.values())) / max(1, len(EXPRESSIONS) - len(p))
    return [p.get(name, rest) for name in EXPRESSIONS]


def evidence(units, p, sides=None, **more):
    probabilities = shares(p)
    likeliest = EXPRESSIONS[probabilities.index(max(probabilities))]
    name = more.pop("name", likeliest)
    pairs = [(sides or {}).get(unit, [units.get(unit, 0.0)] * 2) for unit in SIDED_UNITS]
    return Evidence(
        0, name, probabilities[EXPRESSIONS.index(name)], probabilities, intensities(units),
        pairs, **({"quality": GOOD} | more),
    )  # fmt: skip


def said(observation):
    """An observation as the cases write it."""
    side = f" {observation.side}" if observation.side in ("right", "left") else ""
    return f"{observation.unit} {observation.letter}{side}"
