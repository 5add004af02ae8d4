"""AffectJob -> AffectSnapshot: what is decided about a face beside the frame-rate path.

Where the eyes look, how often they blink, which expression is displayed and what bears it out,
which movements were brief: what needs time, and may be slower than the camera without holding up a
box.
"""

from __future__ import annotations

import contextlib
import math
from types import MappingProxyType
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

import numpy as np
from pydantic import Field, NonNegativeFloat

from realtime_affect.affect.blink import BlinkRates
from realtime_affect.affect.expression import ExpressionClassifier
from realtime_affect.affect.eyes import EyeNetFinder, IrisFinder
from realtime_affect.affect.gaze import GazeEstimator
from realtime_affect.affect.reported import MARGIN, ONSET_MS, RELEASE_MS
from realtime_affect.interpret.interpreter import Interpreter
from realtime_affect.micro.classifier import MicroClassifier
from realtime_affect.micro.spotter import MicroSpotter
from realtime_affect.settings import Section
from realtime_affect.types import AffectResult, AffectSnapshot

if TYPE_CHECKING:
    from affect_engines import ModelCard
    from realtime_affect.interpret.interpreter import InterpretConfig
    from realtime_affect.micro.config import MicroConfig
    from realtime_affect.types import AffectJob

_UNKNOWN = np.full(2, np.nan, np.float32)
_UNKNOWN.flags.writeable = False


class AffectConfig(Section):
    """What the affect worker estimates.

    Attributes
    ----------
    gaze : bool
        Measure gaze.
    gaze_network : str
        What finds irises: "live", a small network for both eyes at once, or "iris", MediaPipe's,
        which taught it and multiplies two hundred times as much.
    gaze_hz : float
        Looks at a face's eyes a second, by source time; in between the last one stands. 0 = one a
        frame.
    expression : bool
        Classify the expression displayed, twelve times a second.
    micro : bool
        Spot micro-expressions, at 25 frames a second or more.
    precision : str
        Of the expression network: "fp32", "int8", "fp16" (TensorRT only), or "auto" for what its
        backend does best.
    backend : str
        What runs the expression network: "tensorrt", "cuda" or "onnxruntime" (the CPU), never
        another one instead; "auto" takes the first of these that works.
    interpretation : bool
        Say what the expression means: compound emotion, valence and arousal, and which action
        units bear it out (section ``interpret``). Needs the expression.
    expression_onset_ms : float
        How long an expression of probability 1 must last before it is reported; one that leads by
        less takes longer (``affect.reported``). Probabilities stay those of the moment.
    expression_release_ms : float
        How long a neutral face of probability 1 must last until neutral is reported again.
    expression_margin : float
        Lead in probability, 0 to 1, that does not speak for another expression yet.
    expression_own_rest : bool
        Take off what the person's face at rest looks like before an expression is reported.
    """

    section: ClassVar[str] = "affect"

    gaze: bool = True
    gaze_network: Literal["live", "iris"] = "live"
    gaze_hz: NonNegativeFloat = 10.0
    expression: bool = True
    micro: bool = True
    interpretation: bool = True
    precision: Literal["auto", "fp32", "int8", "fp16"] = "auto"
    backend: Literal["auto", "tensorrt", "cuda", "onnxruntime"] = "auto"
    expression_onset_ms: NonNegativeFloat = ONSET_MS
    expression_release_ms: NonNegativeFloat = RELEASE_MS
    expression_margin: Annotated[float, Field(ge=0, le=1)] = MARGIN
    expression_own_rest: bool = True


class AffectEstimator:
    """Decide on all faces of a job at once; belongs to one thread.

    Parameters
    ----------
    config : AffectConfig, optional
    micro : MicroConfig, optional
        Thresholds of the spotter.
    interpret : InterpretConfig, optional

    Raises
    ------
    ModelError
        A model is missing or is not what its card says.
    UsageError
        There is no profile of the name that `interpret` says.
    """

    def __init__(
        self, config: AffectConfig | None = None, micro: MicroConfig | None = None,
        interpret: InterpretConfig | None = None,
    ) -> None:  # fmt: skip
        config = config or AffectConfig()
        self._interpreter: Interpreter | None = None
        if config.interpretation and config.expression:
            self._interpreter = Interpreter(interpret)
        self._blinks = BlinkRates()
        self._gaze: GazeEstimator | None = None
        self._expression: ExpressionClassifier | None = None
        self._micro: MicroSpotter | None = None
        with contextlib.ExitStack() as opened:  # a constructor that fails leaves nothing open
            if config.gaze:
                finder = EyeNetFinder() if config.gaze_network == "live" else IrisFinder()
                self._gaze = opened.enter_context(GazeEstimator(finder, config.gaze_hz))
            if config.expression:
                expression = ExpressionClassifier(
                    config.precision, config.backend, onset_ms=config.expression_onset_ms,
                    release_ms=config.expression_release_ms, margin=config.expression_margin,
                own_rest=config.expression_own_rest,
                )  # fmt: skip
                self._expression = opened.enter_context(expression)
            if config.micro:
                self._micro = opened.enter_context(MicroSpotter(MicroClassifier(), micro))
            self._opened = opened.pop_all()

    def decide(self, job: AffectJob) -> AffectSnapshot:
        """Return the results of every face measured in the job's scene."""
        frame = job.scene.frame
        rates = self._blinks.update(job.windows)
        shown = self._expression.decide(job.clips) if self._expression is not None else {}
        brief = self._micro.decide(job.moments) if self._micro is not None else {}
        meanings = self._interpreter.decide(job, shown) if self._interpreter is not None else {}
        results = {}
        looks = self._gaze.estimate(job.scene) if self._gaze is not None else {}
        for track in job.scene.tracks:
            if track.face is None:
                continue
            gaze = looks.get(track.track_id, _UNKNOWN)
            rate = rates.get(track.track_id, math.nan)
            results[track.track_id] = AffectResult(
                track.track_id, frame.t_ns, gaze, rate, shown.get(track.track_id),
                brief.get(track.track_id), meanings.get(track.track_id),
            )  # fmt: skip
        return AffectSnapshot(frame.t_ns, frame.captured_ns, MappingProxyType(results))

    @property
    def cards(self) -> tuple[ModelCard, ...]:
        """Cards of the networks in use."""
        parts = (self._gaze, self._expression, self._micro)
        return tuple(card for part in parts if part is not None for card in part.cards)

    @property
    def backend(self) -> str:
        """What runs the expression network now; empty without it."""
        return "" if self._expression is None else self._expression.backend

    def reset(self) -> None:
        """Forget every track: the next job is of another source."""
        self._blinks = BlinkRates()
        for part in (self._gaze, self._expression, self._micro, self._interpreter):
            if part is not None:
                part.reset()

    def close(self) -> None:
        """Free the networks. Idempotent."""
        self._opened.close()
