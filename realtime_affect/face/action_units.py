"""Face turned to the front -> action units, against the same face at rest.

The network (card ``action_units``) compares mesh and image with the person's own rest as far as
that is known, and with the population's average mesh until then. Which units it can be trusted on
is measured and stated in the card; a unit without evidence is NaN.

======  =====================  =================================
unit    FACS name              what shows it (Ekman et al., 2002)
======  =====================  =================================
AU01    inner brow raiser      inner half of the brow rises
AU02    outer brow raiser      outer half of the brow rises
AU04    brow lowerer           brows fall and approach each other
AU05    upper lid raiser       upper lid rises, more white shows
AU06    cheek raiser           cheeks rise, crow's feet
AU07    lid tightener          lower lid rises and straightens
AU09    nose wrinkler          nose wings rise, the root wrinkles
AU10    upper lip raiser       upper lip rises, folds deepen
AU12    lip corner puller      lip corners move up and out
AU14    dimpler                corners tighten, a dimple beside
AU15    lip corner depressor   lip corners fall
AU17    chin raiser            chin boss and lower lip are pushed up
AU20    lip stretcher          lip corners move straight out
AU23    lip tightener          none that the studio can show: NaN
AU25    lips part              inner lips separate
AU26    jaw drop               chin falls, the teeth part
AU28    lip suck               lips roll in (occurrence only)
AU45    blink                  lids close
======  =====================  =================================

The studio that teaches it is ``training/synthetic``, the network and its training
``training/action_units``.
"""

from __future__ import annotations

import math
from collections import deque
from typing import TYPE_CHECKING, ClassVar, Final

import numpy as np
from pydantic import NonNegativeFloat

from affect_engines import load_card, open_engine
from affect_engines.base import Closeable
from realtime_affect.face.align import ALIGNED_PX
from realtime_affect.face.pose import load_neutral_face
from realtime_affect.landmarks import EYE_LIDS, LEFT_EYE_CORNERS, RIGHT_EYE_CORNERS
from realtime_affect.names import AU_INTENSITIES, AU_OCCURRENCES, SIDED_UNITS
from realtime_affect.settings import Section
from realtime_affect.types import ActionUnits

if TYPE_CHECKING:
    from collections.abc import Sequence

    from affect_engines import Engine
    from realtime_affect.types import Float32, Image

_CORNERS: Final = (RIGHT_EYE_CORNERS, LEFT_EYE_CORNERS[::-1])  # outer, inner
_REST_AT_MOST: Final = 2.0  # FACS B: a face that shows more is not taken for one at rest


def eye_openness(points: Float32) -> Float32:
    """Eye aspect ratio (n, 2) of the right and the left eye: lid gap over eye width.

    Soukupova & Cech, "Real-time eye blink detection using facial landmarks", 2016, on meshes
    (n, 468, 3) turned to the front and with three pairs of lid points instead of two.
    """
    openness = []
    for (lower, upper), (outer, inner) in zip(EYE_LIDS, _CORNERS, strict=True):
        gap = points[:, lower, 1].mean(axis=1) - points[:, upper, 1].mean(axis=1)
        width = np.abs(points[:, outer, 0] - points[:, inner, 0])
        openness.append(np.maximum(gap, 0.0) / np.maximum(width, 1.0))
    return np.stack(openness, axis=1).astype(np.float32)


class ActionUnitConfig(Section):
    """How a person's face at rest is learned.

    Attributes
    ----------
    adapt_s : float
        Seconds of well seen rest over which the neutral face becomes the person's own; 0 keeps
        the population's. Frames in which a unit is marked do not count as rest.
    neutral_after_s : float
        Take the mean of each face's first seconds as its neutral, without reserve, as if the user
        had pressed the key; 0 = do not. For recordings that begin with a neutral face.
    """

    section: ClassVar[str] = "action_units"
    hint: ClassVar[str] = "Times are seconds; 0 switches it off."

    adapt_s: NonNegativeFloat = 3.0
    neutral_after_s: NonNegativeFloat = 0.0


class NeutralBaseline:
    """The face at rest of one track: the population's at first, then the person's own.

    While adapting, only frames count in which the network, comparing with the population, sees no
    marked unit: so a smile at the beginning cannot pass for a neutral mouth. After ``adapt_s``
    seconds of rest the baseline stands still: a drift would slowly swallow a lasting expression.

    Used by the vision thread alone.
    """

    _RECENT_S: Final = 0.5
    _GAP_NS: Final = 200_000_000  # time between two frames that still counts as seen

    def __init__(self, config: ActionUnitConfig) -> None:
        self._config = config
        self._own = _Mean()
        self._seen_s = self._rest_s = 0.0
        self._recent: deque[tuple[int, Float32, Image]] = deque()
        self.points: Float32 = load_neutral_face().points.astype(np.float32)
        """Mesh (468, 3) at rest as known now, turned to the front, millimetres."""
        self.crop: Image = np.zeros((ALIGNED_PX, ALIGNED_PX), np.uint8)
        """Aligned image (96, 96) at rest; means nothing while ``calibration`` is 0."""
        self.calibration = 0.0
        """0 = the population's face, 1 = the person's own."""
        self.learning = config.adapt_s > 0 or config.neutral_after_s > 0
        """Whether :meth:`observe` may still change it."""

    def observe(self, points: Float32, crop: Image, *, at_rest: bool, t_ns: int) -> None:
        """Learn from a well seen face.

        Parameters
        ----------
        points : (468, 3) float32
            Turned to the front.
        crop : (96, 96) uint8
            Aligned.
        at_rest : bool
            Whether it may be taken for a resting face (see :func:`is_at_rest`).
        t_ns : int
            Source time.
        """
        since = min(t_ns - self._recent[-1][0], self._GAP_NS) / 1e9 if self._recent else 0.0
        self._seen_s += since
        self._recent.append((t_ns, points, crop))
        while t_ns - self._recent[0][0] > self._RECENT_S * 1e9:
            self._recent.popleft()
        if not self.learning:
            return
        if self._config.neutral_after_s > 0:
            self._own.add(points, crop)
            if self._seen_s >= self._config.neutral_after_s:
                self._fix(self._own)
        elif at_rest:
            self._own.add(points, crop)
            self._rest_s += since
            share = min(1.0, self._rest_s / self._config.adapt_s)
            own, self.crop = self._own.values()
            self.points = share * own + (1 - share) * load_neutral_face().points.astype(np.float32)
            self.calibration = share
            self.learning = share < 1.0

    def set_neutral(self) -> None:
        """Take the mean of the last half second as this person's neutral face."""
        if self._recent:
            recent = _Mean()
            for _, points, crop in self._recent:
                recent.add(points, crop)
            self._fix(recent)

    def _fix(self, mean: _Mean) -> None:
        self.points, self.crop = mean.values()
        self.calibration = 1.0
        self.learning = False


class _Mean:
    """Running mean of meshes and images."""

    def __init__(self) -> None:
        self._points = np.zeros(load_neutral_face().points.shape)
        self._crop = np.zeros((ALIGNED_PX, ALIGNED_PX))
        self._n = 0

    def add(self, points: Float32, crop: Image) -> None:
        self._points += points
        self._crop += crop
        self._n += 1

    def values(self) -> tuple[Float32, Image]:
        crop = np.rint(self._crop / self._n).astype(np.uint8)
        return (self._points / self._n).astype(np.float32), crop


class ActionUnitEstimator(Closeable):
    """The action unit network on one thread.

    Parameters
    ----------
    engine : Engine, optional
        The network of the card ``action_units``; None opens it. Closed with the reader.

    Raises
    ------
    ModelError
        The network's file is missing or damaged.
    """

    def __init__(self, engine: Engine | None = None) -> None:
        card = load_card("action_units")
        self.cards = (card,)
        self._engine = open_engine(card) if engine is None else engine
        outputs: list[str] = card.decode["outputs"]
        trusted = [
            name in card.units and card.units[name].trust != "none" for name in AU_OCCURRENCES
        ]
        present_at = [
            card.units[name].present_at if known else math.nan
            for name, known in zip(AU_OCCURRENCES, trusted, strict=True)
        ]
        known = {name for name, is_known in zip(AU_OCCURRENCES, trusted, strict=True) if is_known}
        # A unit nobody has evidence for reads the column of NaN behind the outputs.
        column = {name: i for i, name in enumerate(outputs) if name.partition("_")[0] in known}
        self._intensity = [column.get(name, len(outputs)) for name in AU_INTENSITIES]
        self._occurrence = [column.get(name, len(outputs)) for name in AU_OCCURRENCES]
        self._sides = [
            column.get(f"{name}_{side}", len(outputs))
            for name in SIDED_UNITS
            for side in ("right", "left")
        ]
        self._present_at = np.array(present_at, np.float32)

    def read(
        self,
        points: Float32,
        crops: Sequence[Image],
        angles_rad: Float32,
        neutrals: Sequence[NeutralBaseline],
    ) -> list[ActionUnits]:
        """Score all units of n faces in one go.

        Parameters
        ----------
        points : (n, 468, 3) float32
            From ``align.turn_to_front``.
        crops : sequence of n (96, 96) uint8
            From ``align.align_crop``.
        angles_rad : (n, 3) float32
            Head rotations, as in HeadPose.
        neutrals : sequence of NeutralBaseline
            The neutral face of each.
        """
        outputs = self._engine.infer(
            {
                "points": points,
                "crops": np.stack(crops),
                "angles": angles_rad,
                "rest": np.stack([neutral.points for neutral in neutrals]),
                "rest_crops": np.stack([neutral.crop for neutral in neutrals]),
                "calibration": np.array([[n.calibration] for n in neutrals], np.float32),
            }
        )["units"]
        nothing = np.full((len(outputs), 1), np.nan, np.float32)
        scores = np.concatenate([outputs, nothing], axis=1)
        intensity = scores[:, self._intensity]
        measured = scores[:, self._occurrence]
        occurrence = np.where(np.isnan(measured), np.nan, measured >= self._present_at)
        sides = scores[:, self._sides].reshape(-1, len(SIDED_UNITS), 2)
        return [
            ActionUnits(intensity[i], occurrence[i], sides[i], neutral.calibration)
            for i, neutral in enumerate(neutrals)
        ]

    def close(self) -> None:
        """Free the network. Idempotent."""
        self._engine.close()


def is_at_rest(units: ActionUnits) -> bool:
    """Return whether no unit is marked, so that a face may be taken for a resting one."""
    return not bool((units.intensity > _REST_AT_MOST).any())  # NaN is no evidence against it
