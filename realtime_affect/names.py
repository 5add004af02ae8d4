"""Names of what is measured, in the order in which arrays and columns hold it."""

from __future__ import annotations

from typing import Final

AU_INTENSITIES: Final = (
    "AU01", "AU02", "AU04", "AU05", "AU06", "AU07", "AU09", "AU10", "AU12",
    "AU14", "AU15", "AU17", "AU20", "AU23", "AU25", "AU26", "AU45",
)  # fmt: skip
"""The 17 intensities, in OpenFace's order (columns ``AUxx_r``)."""

AU_OCCURRENCES: Final = (*AU_INTENSITIES[:16], "AU28", "AU45")
"""The 18 occurrences, in OpenFace's order (columns ``AUxx_c``)."""

FACS_NAMES: Final = {
    "AU01": "inner brow raiser",
    "AU02": "outer brow raiser",
    "AU04": "brow lowerer",
    "AU05": "upper lid raiser",
    "AU06": "cheek raiser",
    "AU07": "lid tightener",
    "AU09": "nose wrinkler",
    "AU10": "upper lip raiser",
    "AU12": "lip corner puller",
    "AU14": "dimpler",
    "AU15": "lip corner depressor",
    "AU17": "chin raiser",
    "AU20": "lip stretcher",
    "AU23": "lip tightener",
    "AU25": "lips part",
    "AU26": "jaw drop",
    "AU28": "lip suck",
    "AU45": "blink",
}
"""What each unit moves: names of movements, not of feelings."""

SIDED_UNITS: Final = ("AU12", "AU14")
"""Units that are also measured on each side: on one side they make a smirk."""

EXPRESSIONS: Final = (
    "happiness", "sadness", "neutral", "anger", "surprise", "disgust", "fear", "contempt",
)  # fmt: skip
"""Expressions as displayed: DFEW's seven in its order, then contempt."""

MICRO_CLASSES: Final = ("negative", "positive", "surprise", "none")
"""Classes of a micro-expression: MEGC's three composite classes, then none of them."""

COMPOUNDS: Final = {
    "fearfully surprised": ("fear", "surprise"),
    "happily surprised": ("happiness", "surprise"),
    "sadly surprised": ("sadness", "surprise"),
    "disgustedly surprised": ("disgust", "surprise"),
    "angrily surprised": ("anger", "surprise"),
    "sadly fearful": ("sadness", "fear"),
    "sadly angry": ("sadness", "anger"),
}
"""The compound emotions of C-EXPR-DB, in its order, and the two expressions that each is of."""
