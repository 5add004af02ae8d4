"""FaceMesh -> action units, from geometry, against the person's own neutral face.

Every measure is a length in millimetres on the mesh turned to the front (``pose.fit_heads``), its
change from the neutral face is a movement of the skin that the FACS manual (Ekman, Friesen &
Hager, 2002) describes for a unit, and that movement divided by the movement of a maximal one
(intensity E) is the intensity on OpenFace's scale of 0 to 5:

======  =====================  ==============================================================
unit    FACS name              movement measured
======  =====================  ==============================================================
AU01    inner brow raiser      inner half of the brow rises from the eye line
AU02    outer brow raiser      outer half of the brow rises from the outer eye corner
AU04    brow lowerer           brows fall towards the eyes and approach each other
AU05    upper lid raiser       upper lid rises from the line between the eye corners
AU06    cheek raiser           cheek and lower lid rise together
AU07    lid tightener          lower lid rises without the cheek
AU09    nose wrinkler          nose wings rise towards the eyes, beyond what a smile lifts
AU10    upper lip raiser       upper lip rises towards the nose, beyond what a smile lifts
AU12    lip corner puller      lip corners move outwards and up
AU14    dimpler                none: it shows as a wrinkle beside the corner; NaN
AU15    lip corner depressor   lip corners fall
AU17    chin raiser            chin boss and lower lip are pushed up
AU20    lip stretcher          lip corners move outwards without rising
AU23    lip tightener          none: it shows as narrowed red of the lips; NaN
AU25    lips part              inner lips separate
AU26    jaw drop               chin falls from the nose
AU28    lip suck               both lips vanish inwards (occurrence only)
AU45    blink                  lids close
======  =====================  ==============================================================

The neutral face starts as the population's mean, whose spread over people is taken off every
movement, and becomes the person's own over the first seconds or at the user's word.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass
from math import nan
from typing import TYPE_CHECKING, Final

import numpy as np

from realtime_affect.pose import load_neutral_face
from realtime_affect.types import (
    AU_INTENSITIES,
    AU_OCCURRENCES,
    N_MESH_POINTS,
    ActionUnits,
    Float32,
    Float64,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from affect_kernels.similarity import Similarity

X, Y = 0, 1
_Terms = list[tuple[list[int], int, float]]


def _above(low: list[int], high: list[int]) -> _Terms:
    """Mean height of points `high` over points `low`; y grows downwards."""
    return [(low, Y, 1.0), (high, Y, -1.0)]


_EYE_LINE = [33, 133, 263, 362]
_SUBNASALE = [2]
_LIP_CORNERS = [61, 291]

_MEASURES: Final[dict[str, _Terms]] = {
    "inner_brow": _above(_EYE_LINE, [107, 55, 66, 65, 336, 285, 296, 295]),
    "outer_brow": _above([33, 263], [70, 46, 63, 53, 300, 276, 293, 283]),
    "brow_gap": [([285], X, 1.0), ([55], X, -1.0)],
    "upper_lid": _above(_EYE_LINE, [158, 159, 160, 385, 386, 387]),
    "lower_lid": _above(_EYE_LINE, [144, 145, 153, 373, 374, 380]),
    "cheek": _above([33, 263], [50, 101, 117, 118, 280, 330, 346, 347]),
    "nose_wing": _above([133, 362], [48, 64, 98, 278, 294, 327]),
    "upper_lip": _above(_SUBNASALE, [0]),
    "corner_out": [([291], X, 0.5), ([61], X, -0.5)],
    "corner_up": _above(_SUBNASALE, _LIP_CORNERS),
    "lip_gap": _above([14, 87, 317], [13, 82, 312]),
    "upper_red": _above([13], [0]),
    "lower_red": _above([17], [14]),
    "chin": _above(_SUBNASALE, [175, 199, 200]),
    "jaw": _above(_SUBNASALE, [152]),
    "right_eye_gap": _above([144, 145, 153], [158, 159, 160]),
    "left_eye_gap": _above([373, 374, 380], [385, 386, 387]),
    "right_eye_width": [([133], X, 1.0), ([33], X, -1.0)],
    "left_eye_width": [([263], X, 1.0), ([362], X, -1.0)],
}

MEASURES: Final = tuple(_MEASURES)
"""Names of the measures, in the order :func:`measure` returns them."""


def _weights() -> Float32:
    """Return (m, 468): how much each point counts in each measure."""
    weights = np.zeros((len(_MEASURES), N_MESH_POINTS), np.float32)
    for row, terms in zip(weights, _MEASURES.values(), strict=True):
        for points, _, sign in terms:
            row[points] += sign / len(points)
    return weights


_WEIGHTS: Final = _weights()
_AXES: Final = np.array([terms[0][1] for terms in _MEASURES.values()])

# unit: (movement of intensity E in mm, movement that is still noise in mm)
_SCALES: Final = {
    "AU01": (7.0, 0.6),
    "AU02": (7.0, 0.6),
    "AU04": (6.0, 0.6),
    "AU05": (3.0, 0.5),
    "AU06": (3.5, 0.4),
    "AU07": (2.5, 0.4),
    "AU09": (6.0, 0.8),
    "AU10": (6.0, 0.7),
    "AU12": (12.0, 0.8),
    "AU15": (6.0, 0.7),
    "AU17": (8.0, 0.9),
    "AU20": (8.0, 0.8),
    "AU25": (18.0, 0.9),
    "AU26": (20.0, 1.2),
    "AU28": (7.0, 1.0),
    "AU45": (0.55, 0.15),  # not millimetres: fraction of the neutral lid gap that is closed
}
UNITS: Final = tuple(_SCALES)
"""The units that geometry gives evidence for, in the order :func:`movements` returns them."""

_NOISE: Final = tuple(noise for _, noise in _SCALES.values())
_PER_MOVEMENT: Final = tuple(5.0 / (full - noise) for full, noise in _SCALES.values())
# Where each output's score is found among the units, None where nothing is measured.
_INTENSITY_FROM: Final = tuple(
    UNITS.index(name) if name in UNITS else None for name in AU_INTENSITIES
)
_OCCURRENCE_FROM: Final = tuple(
    UNITS.index(name) if name in UNITS else None for name in AU_OCCURRENCES
)

_PRESENT_AT: Final = 1.0
"""Intensity from which a unit counts as present: FACS A, a trace."""

_SPREAD_DISCOUNT: Final = 1.6
"""Standard deviations over people that are taken off while the neutral is not the person's own."""


def measure(points: NDArray[np.floating], heads: Similarity) -> Float64:
    """Take all measures of meshes as if they were turned to the front.

    Every measure is a difference of points along one axis of the head, so the differences are
    taken in the frame and only they are turned and scaled.

    Parameters
    ----------
    points : (n, 468, 3) float
        As in :class:`~realtime_affect.types.FaceMesh`.
    heads : Similarity
        Fitted to them by ``pose.fit_heads``.

    Returns
    -------
    (n, m) float64
        Millimetres, in the order of :data:`MEASURES`; heights grow upwards.
    """
    differences = _WEIGHTS @ points  # (n, m, 3), pixels
    axes = heads.rotation.swapaxes(1, 2)[:, _AXES]  # (n, m, 3): each measure's axis in the frame
    measures: Float64 = (differences * axes).sum(axis=2) / heads.scale[:, None]
    return measures


def eye_openness(measures: Float64) -> Float32:
    """Eye aspect ratio (n, 2) of the right and the left eye: lid gap over eye width.

    Soukupova & Cech, "Real-time eye blink detection using facial landmarks", 2016, on the
    pose-normalised mesh and with three pairs of lid points instead of two.
    """
    rows = [
        (max(right, 0.0) / max(right_width, 1.0), max(left, 0.0) / max(left_width, 1.0))
        for right, left, right_width, left_width in measures[:, -4:].tolist()
    ]
    return np.array(rows, np.float32)


def movements(measures: Float64, neutral: Float64) -> list[float]:
    """Turn one face's measures into the movement of each unit away from `neutral`.

    Plain floats: for a handful of faces, forty array operations cost more than the sums.

    Parameters
    ----------
    measures, neutral : (m,) float64
        From :func:`measure`.

    Returns
    -------
    list of u floats
        Millimetres in the order of :data:`UNITS`, positive when the unit acts; for AU45 the closed
        fraction of the lid gap.
    """
    moved = dict(zip(MEASURES, (measures - neutral).tolist(), strict=True))
    # An opening jaw carries the lip corners down by a third of the lips' distance.
    corner_up = moved["corner_up"] + 0.33 * max(moved["lip_gap"], 0.0)
    # A dropped jaw draws them down further than the lips' distance tells.
    corner_fall = -max(corner_up, moved["corner_up"] - 0.6 * min(moved["jaw"], 0.0))
    corner_out = moved["corner_out"]
    smile_lift = 0.35 * max(corner_up, 0.0)
    cheek_up = max(moved["cheek"], 0.0)
    lower_lid_up = moved["lower_lid"]
    brow_fall = -moved["inner_brow"]
    neutral_gap = max(float(neutral[-4] + neutral[-3]), 1.0)
    return [
        moved["inner_brow"],
        moved["outer_brow"],
        brow_fall - 0.5 * moved["brow_gap"] if brow_fall > 0.0 else 0.0,
        moved["upper_lid"],
        min(0.5 * cheek_up + lower_lid_up, 2.0 * lower_lid_up),
        lower_lid_up - 0.25 * cheek_up,
        moved["nose_wing"] - smile_lift,
        moved["upper_lip"] - smile_lift,
        (corner_up + corner_out) / math.sqrt(2.0),
        corner_fall,
        moved["chin"] - 0.25 * max(corner_out, 0.0),
        corner_out - max(corner_up, 0.0),
        moved["lip_gap"],
        -moved["jaw"],
        -(moved["upper_red"] + moved["lower_red"]),
        -(moved["right_eye_gap"] + moved["left_eye_gap"]) / neutral_gap,
    ]


@dataclass(frozen=True, slots=True)
class ActionUnitConfig:
    """How a person's neutral face is learned.

    Attributes
    ----------
    adapt_s : float
        Seconds of well seen face over which the neutral becomes the person's own; 0 keeps the
        population's. A face is assumed to be mostly at rest in them.
    neutral_after_s : float
        Take the mean of each face's first seconds as its neutral, without reserve, as if the user
        had pressed the key; 0 = do not. For recordings that begin with a neutral face.
    """

    adapt_s: float = 3.0
    neutral_after_s: float = 0.0


class NeutralBaseline:
    """The neutral face of one track: population at first, then the person's own.

    While adapting, samples are clipped to two standard deviations around the population's mean, so
    that a smile at the beginning cannot pass for a neutral mouth. After ``adapt_s`` seconds the
    baseline stands still: a drift would slowly swallow a lasting expression.

    Used by the vision thread alone.
    """

    _RECENT_S: Final = 0.5

    def __init__(self, config: ActionUnitConfig) -> None:
        face = load_neutral_face()
        self._config = config
        self._population = face.measure_mean
        self._low = face.measure_mean - 2 * face.measure_sd
        self._high = face.measure_mean + 2 * face.measure_sd
        self._clipped_sum = np.zeros_like(face.measure_mean)
        self._sum = np.zeros_like(face.measure_mean)
        self._n = 0
        self._seen_s = 0.0
        self._recent: deque[tuple[int, Float64]] = deque()
        self._fixed = False
        self.measures: Float64 = self._population
        """Measures (m,) of the neutral face as known now."""
        self.calibration = 0.0
        """0 = the population's face, 1 = the person's own."""

    def observe(self, measures: Float64, t_ns: int) -> None:
        """Learn from a well seen face at source time `t_ns`."""
        if self._recent:
            self._seen_s += min(t_ns - self._recent[-1][0], 200_000_000) / 1e9
        self._recent.append((t_ns, measures))
        while t_ns - self._recent[0][0] > self._RECENT_S * 1e9:
            self._recent.popleft()
        if self._fixed:
            return
        self._n += 1
        self._sum += measures
        self._clipped_sum += np.clip(measures, self._low, self._high)
        take_after_s = self._config.neutral_after_s
        if take_after_s > 0:
            if self._seen_s >= take_after_s:
                self._fix(self._sum / self._n)
        elif self._config.adapt_s > 0:
            share = min(1.0, self._seen_s / self._config.adapt_s)
            self.measures = (1 - share) * self._population + share * self._clipped_sum / self._n
            self.calibration = share
            self._fixed = share >= 1.0

    def set_neutral(self) -> None:
        """Take the mean of the last half second as this person's neutral face."""
        if self._recent:
            self._fix(np.mean([measures for _, measures in self._recent], axis=0))

    def _fix(self, measures: Float64) -> None:
        self.measures = measures
        self.calibration = 1.0
        self._fixed = True


def read_action_units(measures: Float64, neutrals: Sequence[NeutralBaseline]) -> list[ActionUnits]:
    """Score all units of n faces.

    As far as a neutral face is not yet the person's own, what people differ by at rest is taken off
    every movement, so that a face is not scored for its shape.

    Parameters
    ----------
    measures : (n, m) float64
        From :func:`measure`, of this frame.
    neutrals : sequence of NeutralBaseline
        The neutral face of each.
    """
    spread = load_neutral_face().unit_spread.tolist()
    units = []
    for row, neutral in zip(measures, neutrals, strict=True):
        foreign = (1.0 - neutral.calibration) * _SPREAD_DISCOUNT
        moved = movements(row, neutral.measures)
        scores = [
            min(max((mm - noise - foreign * apart) * per_mm, 0.0), 5.0)
            for mm, noise, apart, per_mm in zip(moved, _NOISE, spread, _PER_MOVEMENT, strict=True)
        ]
        intensity = [nan if i is None else scores[i] for i in _INTENSITY_FROM]
        occurrence = [
            nan if i is None else float(scores[i] >= _PRESENT_AT) for i in _OCCURRENCE_FROM
        ]
        units.append(
            ActionUnits(
                np.array(intensity, np.float32),
                np.array(occurrence, np.float32),
                neutral.calibration,
            )
        )
    return units
