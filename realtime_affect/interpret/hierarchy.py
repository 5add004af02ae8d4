"""Labels in a hierarchy of three tiers: W. G. Parrott, "Emotions in social psychology", 2001.

Primary, secondary and tertiary emotion words, from the general to the particular. A coarse reading
takes the first tier, where disgust and contempt are both anger.
"""

from __future__ import annotations

from typing import Final

from realtime_affect.names import COMPOUNDS, EXPRESSIONS

HIERARCHY: Final[dict[str, tuple[str, ...]]] = {
    "happiness": ("joy", "cheerfulness", "happiness"),
    "sadness": ("sadness", "sadness", "unhappiness"),
    "neutral": (),
    "anger": ("anger", "rage", "anger"),
    "surprise": ("surprise", "surprise", "astonishment"),
    "disgust": ("anger", "disgust", "revulsion"),
    "fear": ("fear", "horror", "fear"),
    "contempt": ("anger", "disgust", "contempt"),
}
"""Tiers of each of EXPRESSIONS; neutral has none."""


def tiers(name: str) -> tuple[tuple[str, ...], ...]:
    """Return the tiers of an expression, or of both parts of a compound."""
    parts = COMPOUNDS.get(name, (name,))
    return tuple(HIERARCHY[part] for part in parts if HIERARCHY[part])


def as_data() -> dict[str, list[list[str]]]:
    """Return the whole hierarchy, for files."""
    return {name: [list(path) for path in tiers(name)] for name in (*EXPRESSIONS, *COMPOUNDS)}
