"""Compound emotions as people display them: units drawn by how many people move each.

Du, Tao & Martinez, "Compound facial expressions of emotion", PNAS 111(15), 2014, table 1: FACS
codes of 230 people whose displays were all fully recognizable. Units that more than 70 % move, the
consistent ones, are always drawn, the others for the share stated. What a blend shows so depends on
the table alone, not on a rule that is evaluated with it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

BLENDS: Final[dict[str, dict[str, float]]] = {
    "fearfully surprised": {
        "AU01": 1.0, "AU02": 1.0, "AU05": 1.0, "AU20": 1.0, "AU25": 1.0, "AU04": 0.47,
        "AU26": 0.51,
    },
    "happily surprised": {
        "AU01": 1.0, "AU02": 1.0, "AU12": 1.0, "AU25": 1.0, "AU05": 0.64, "AU26": 0.67,
    },
    "sadly surprised": {
        "AU01": 1.0, "AU04": 1.0, "AU25": 1.0, "AU26": 1.0, "AU02": 0.27, "AU06": 0.31,
    },
    "disgustedly surprised": {
        "AU01": 1.0, "AU02": 1.0, "AU05": 1.0, "AU10": 1.0, "AU04": 0.45, "AU09": 0.37,
        "AU17": 0.66, "AU24": 0.33,
    },
    "angrily surprised": {
        "AU04": 1.0, "AU25": 1.0, "AU26": 1.0, "AU05": 0.35, "AU07": 0.50, "AU10": 0.34,
    },
    "sadly fearful": {
        "AU01": 1.0, "AU04": 1.0, "AU20": 1.0, "AU25": 1.0, "AU02": 0.46, "AU05": 0.24,
        "AU06": 0.34, "AU15": 0.30,
    },
    "sadly angry": {
        "AU04": 1.0, "AU15": 1.0, "AU06": 0.26, "AU07": 0.48, "AU17": 0.50,
    },
}  # fmt: skip
"""Units of each compound and the share of people who move them; AU11 is no shape of the studio."""

_LIPS_PART: Final = {"AU26": (0.12, 0.30), "AU16": (0.1, 0.35)}
"""AU25 is not driven: a jaw that drops a little and a lower lip that falls part the lips."""


def draw_blend(name: str, rng: np.random.Generator) -> dict[str, NDArray[np.float32]]:
    """Draw levels (2,), 0 to 1, of the units of a compound: the person's right and left."""
    sides = rng.uniform(0.85, 1.0, 2)
    levels: dict[str, float] = {}
    for unit, share in BLENDS[name].items():
        if rng.uniform() >= share:
            continue
        if unit == "AU25":
            for part, limits in _LIPS_PART.items():
                levels[part] = max(levels.get(part, 0.0), rng.uniform(*limits))
        else:
            levels[unit] = max(levels.get(unit, 0.0), rng.uniform(0.5, 1.0))
    return {unit: (level * sides).astype(np.float32) for unit, level in levels.items()}
