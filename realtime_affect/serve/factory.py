"""From settings to the service's pipeline: which source, which networks, which pace."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from realtime_affect.capture import open_source
from realtime_affect.capture.inputs import parse_spec
from realtime_affect.errors import UsageError
from realtime_affect.runtime.pipeline import Pipeline
from realtime_affect.serve.pacing import Pace, PacedAffect, PacedFrames, PacedVision

if TYPE_CHECKING:
    from realtime_affect.capture import Source
    from realtime_affect.config import Config
    from realtime_affect.serve.config import ServeConfig

_CSI: Final = "csi://"


@dataclass(slots=True)
class Paces:
    """The rates of the two workers that can be given less to do."""

    frames: Pace
    decisions: Pace

    @classmethod
    def of(cls, settings: ServeConfig) -> Paces:
        """Return full rates, bounded as the settings say."""
        return cls(
            Pace(settings.fps, settings.min_fps),
            Pace(settings.decisions_hz, settings.min_decisions_hz),
        )

    def step(self, *, hot: bool) -> None:
        """Choose both rates anew."""
        self.decisions.step(hot=hot)
        # The expression network looks at every moment of a clip, however seldom it is asked: what
        # it cannot do at the lowest rate of decisions is helped by fewer frames alone.
        stuck = self.decisions.load.busy if self.decisions.at_least else 0.0
        self.frames.step(hot=hot, least_busy=stuck)


def open_service_source(spec: str, config: Config) -> Source:
    """Open what ``serve.source`` names; ``csi://N`` and pipelines through gst-launch.

    Raises
    ------
    AffectError
        It cannot be opened; see :func:`~realtime_affect.capture.open_source`.
    """
    from realtime_affect.capture.gst import open_csi, open_launch

    if spec.startswith(_CSI):
        number = spec.removeprefix(_CSI)
        if not (number.isascii() and number.isdigit()):
            raise UsageError(
                thing=f"source {spec!r}",
                got=f"the sensor {number!r}",
                expected="csi:// and the number of a sensor",
                hint="csi://0 is the first camera of a Jetson.",
            )
        return open_csi(int(number), config.capture, config.serve.flip)
    kind, value = parse_spec(spec)
    if kind == "gstreamer":
        return open_launch(value, config.capture)
    return open_source(spec, config.capture, live=True)


def make_pipeline(config: Config, paces: Paces) -> Pipeline:
    """Return the pipeline of the service, not started.

    Raises
    ------
    AffectError
        The source cannot be opened, or a model is missing.
    """
    from realtime_affect.affect.worker import AffectEstimator

    with contextlib.ExitStack() as opened:
        # Networks first: a camera should not be opened for a run that cannot begin.
        vision = PacedVision(
            config.detect, config.track, config.action_units, stabilized=config.affect.micro
        )
        opened.callback(vision.close)
        vision.pace = paces.frames
        reader = AffectEstimator(config.affect, config.micro, config.interpret)
        affect = PacedAffect(reader, paces.decisions)
        opened.callback(affect.close)
        source = open_service_source(config.serve.source, config)
        opened.callback(source.close)
        frames = PacedFrames(source, paces.frames)
        # The pipeline asks nothing of a reader but decide and close.
        pipeline = Pipeline(frames, config, live=True, vision=vision, affect=affect)  # type: ignore[arg-type]
        opened.pop_all()
    return pipeline


def is_awaited(spec: str) -> bool:
    """Whether a source that cannot be opened may come yet: a camera or a stream, not a file."""
    return spec.startswith(_CSI) or parse_spec(spec)[0] in ("camera", "stream", "gstreamer")
