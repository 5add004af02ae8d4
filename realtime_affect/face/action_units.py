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

Rendered faces (``training/synthetic``), a teacher's ranks of real ones and raters' votes train it
(``training/action_units``).
"""

from __future__ import annotations

import math
from collections import deque
from typing import TYPE_CHECKING, ClassVar, Final, NamedTuple

import numpy as np
from pydantic import NonNegativeFloat

from affect_engines import load_card, open_engine
from affect_engines.base import Closeable
from affect_kernels.eye_openness import cpu as ratios
from realtime_affect.landmarks import EYE_LIDS, LEFT_EYE_CORNERS, RIGHT_EYE_CORNERS
from realtime_affect.names import AU_INTENSITIES, AU_OCCURRENCES, SIDED_UNITS
from realtime_affect.settings import Section
from realtime_affect.types import ActionUnits

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from affect_engines import Engine
    from realtime_affect.types import Float32, Image

# Of the right and of the left eye, and its lower and upper lids.
_CORNERS: Final = np.array((RIGHT_EYE_CORNERS, LEFT_EYE_CORNERS[::-1]))
_LIDS: Final = np.array(EYE_LIDS)
_ENDS: Final = (len(AU_INTENSITIES), len(AU_INTENSITIES) + len(AU_OCCURRENCES))
_REST_AT_MOST: Final = 2.0  # FACS B: a face that shows more is not taken for one at rest


def eye_openness(points: Float32) -> Float32:
    """Return the eye aspect ratio (n, 2) of the right and the left eye: lid gap over eye width.

    Of meshes (n, 468, 3) turned to the front, by three pairs of lid points
    (:func:`affect_kernels.eye_openness.eye_openness`).
    """
    return ratios.eye_openness(points, _LIDS, _CORNERS)


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


class UnitEstimate(NamedTuple):
    """What the network makes of one face in one frame.

    Attributes
    ----------
    units : ActionUnits
        Against the person's rest as far as it is known.
    features : (F,) float32
        What a rest is the mean of.
    at_rest : bool
        Whether no unit is marked when the face is compared with the population, so that it may be
        taken for a resting one (see :func:`is_at_rest`).
    """

    units: ActionUnits
    features: Float32
    at_rest: bool


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
        self._recent: deque[tuple[int, Float32]] = deque()
        self.features: Float32 | None = None
        """Features (F,) of the person at rest, None while nothing is known of it."""
        self.calibration = 0.0
        """0 = the population's face, 1 = the person's own."""
        self._before: list[tuple[Float32 | None, float, bool]] = []
        self.learning = config.adapt_s > 0 or config.neutral_after_s > 0
        """Whether :meth:`observe` may still change it."""

    def observe(self, features: Float32, *, at_rest: bool, t_ns: int) -> None:
        """Learn from a well seen face.

        Parameters
        ----------
        features : (F,) float32
            From :meth:`ActionUnitEstimator.read`.
        at_rest : bool
            Whether it may be taken for a resting face (see :func:`is_at_rest`).
        t_ns : int
            Source time.
        """
        since = min(t_ns - self._recent[-1][0], self._GAP_NS) / 1e9 if self._recent else 0.0
        self._seen_s += since
        self._recent.append((t_ns, features))
        while t_ns - self._recent[0][0] > self._RECENT_S * 1e9:
            self._recent.popleft()
        if not self.learning:
            return
        if self._config.neutral_after_s > 0:
            self._own.add(features)
            if self._seen_s >= self._config.neutral_after_s:
                self._fix(self._own)
        elif at_rest:
            self._own.add(features)
            self._rest_s += since
            self.features = self._own.value()
            self.calibration = min(1.0, self._rest_s / self._config.adapt_s)
            self.learning = self.calibration < 1.0

    def set_neutral(self) -> bool:
        """Take the mean of the last half second as this person's neutral face; False: none seen."""
        if not self._recent:
            return False
        self._before.append((self.features, self.calibration, self.learning))
        recent = _Mean()
        for _, features in self._recent:
            recent.add(features)
        self._fix(recent)
        return True

    def revert_neutral(self) -> bool:
        """Go back to what was the neutral face before :meth:`set_neutral`; False: nothing was."""
        if not self._before:
            return False
        self.features, self.calibration, self.learning = self._before.pop()
        return True

    def _fix(self, mean: _Mean) -> None:
        self.features = mean.value()
        self.calibration = 1.0
        self.learning = False


class _Mean:
    """Running mean of features."""

    def __init__(self) -> None:
        self._sum: float | NDArray[np.float64] = 0.0
        self._n = 0

    def add(self, features: Float32) -> None:
        self._sum = self._sum + features.astype(np.float64)
        self._n += 1

    def value(self) -> Float32:
        return np.asarray(self._sum / self._n, np.float32)


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
        column = {name: i for i, name in enumerate(outputs) if name.partition("_")[0] in known}
        told = [*AU_INTENSITIES, *AU_OCCURRENCES]
        told += [f"{name}_{side}" for name in SIDED_UNITS for side in ("right", "left")]
        self._columns = np.array([column.get(name, 0) for name in told])
        # Added to what is told: NaN for what is not known, 0 for the rest.
        self._unknown = np.array([0.0 if name in column else np.nan for name in told], np.float32)
        self._present_at = np.array(present_at, np.float32)
        self._n_features: int = card.decode["features"]

    def read(
        self,
        points: Float32,
        crops: Sequence[Image],
        angles_rad: Float32,
        neutrals: Sequence[NeutralBaseline],
    ) -> list[UnitEstimate]:
        """Score all units of n faces in one go, one forward pass.

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
        rest = np.zeros((len(neutrals), self._n_features), np.float32)
        calibration = np.zeros((len(neutrals), 1), np.float32)
        for i, neutral in enumerate(neutrals):
            if neutral.features is not None:
                rest[i] = neutral.features
                calibration[i] = neutral.calibration
        outputs = self._engine.infer(
            {
                "points": points,
                "crops": np.array(crops),
                "angles": angles_rad,
                "rest": rest,
                "calibration": calibration,
            }
        )
        own, population = outputs["units"][:, 0], outputs["units"][:, 1]
        # After a network has run every array call costs three times as much: few, plain ones.
        told = own.take(self._columns, axis=1) + self._unknown
        intensity, measured = told[:, : _ENDS[0]], told[:, _ENDS[0] : _ENDS[1]]
        occurrence = (measured >= self._present_at) + 0.0 * measured  # NaN stays NaN
        sides = told[:, _ENDS[1] :].reshape(-1, len(SIDED_UNITS), 2)
        return [
            UnitEstimate(
                ActionUnits(intensity[i], occurrence[i], sides[i], neutral.calibration),
                outputs["features"][i],
                is_at_rest(population[i]),
            )
            for i, neutral in enumerate(neutrals)
        ]

    def close(self) -> None:
        """Free the network. Idempotent."""
        self._engine.close()


def is_at_rest(intensity: Float32) -> bool:
    """Return whether no intensity is marked, so that a face may be taken for a resting one.

    NaN is no evidence against it.
    """
    return not np.fmax.reduce(intensity) > _REST_AT_MOST
