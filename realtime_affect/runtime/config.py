"""Settings of the pipeline: a section for each stretch of a frame's path."""

from __future__ import annotations

from realtime_affect.affect.worker import AffectConfig
from realtime_affect.capture import CaptureConfig
from realtime_affect.face.action_units import ActionUnitConfig
from realtime_affect.face.detect import DetectConfig
from realtime_affect.face.track import TrackConfig
from realtime_affect.interpret.interpreter import InterpretConfig
from realtime_affect.micro.config import MicroConfig
from realtime_affect.settings import Settings


class PipelineConfig(Settings):
    """What :class:`~realtime_affect.runtime.pipeline.Pipeline` takes; ``Config`` adds outputs."""

    capture: CaptureConfig = CaptureConfig()
    detect: DetectConfig = DetectConfig()
    track: TrackConfig = TrackConfig()
    action_units: ActionUnitConfig = ActionUnitConfig()
    affect: AffectConfig = AffectConfig()
    micro: MicroConfig = MicroConfig()
    interpret: InterpretConfig = InterpretConfig()
