"""Settings of the pipeline: a section for each stretch of a frame's path."""

from __future__ import annotations

from dataclasses import dataclass, field

from realtime_affect.affect.worker import AffectConfig
from realtime_affect.capture import CaptureConfig
from realtime_affect.face.action_units import ActionUnitConfig
from realtime_affect.face.detect import DetectConfig
from realtime_affect.face.track import TrackConfig


@dataclass(frozen=True, slots=True)
class PipelineConfig:
    """What :class:`~realtime_affect.runtime.pipeline.Pipeline` takes; ``Config`` adds outputs."""

    capture: CaptureConfig = field(default_factory=CaptureConfig)
    detect: DetectConfig = field(default_factory=DetectConfig)
    track: TrackConfig = field(default_factory=TrackConfig)
    action_units: ActionUnitConfig = field(default_factory=ActionUnitConfig)
    affect: AffectConfig = field(default_factory=AffectConfig)
