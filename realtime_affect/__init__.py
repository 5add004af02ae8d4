"""Read displayed facial affect from video in real time, on this device.

Examples
--------
>>> from realtime_affect import Config, Pipeline, analyze
>>> with Pipeline("demo") as pipeline:
...     for reading in pipeline:
...         print([track.track_id for track in reading.scene.tracks])
>>> analysis = analyze("demo", out="out/demo")
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from realtime_affect.analysis import Analysis, analyze
    from realtime_affect.config import Config, load_config
    from realtime_affect.corpus.run import Corpus, analyze_corpus
    from realtime_affect.errors import (
        AffectError,
        DependencyError,
        InputError,
        InputMissingError,
        ModelError,
        OutputError,
        UsageError,
    )
    from realtime_affect.runtime.pipeline import Pipeline, WorkerError
    from realtime_affect.runtime.reading_source import ReadingSource
    from realtime_affect.runtime.sink import Sink
    from realtime_affect.runtime.stats import Percentiles, PipelineStats, SinkStats
    from realtime_affect.types import (
        ActionUnits,
        AffectResult,
        AffectSnapshot,
        Face,
        FaceMesh,
        FaceQuality,
        Frame,
        HeadPose,
        Reading,
        Scene,
        Track,
    )

__all__ = [
    "ActionUnits",
    "AffectError",
    "AffectResult",
    "AffectSnapshot",
    "Analysis",
    "Config",
    "Corpus",
    "DependencyError",
    "Face",
    "FaceMesh",
    "FaceQuality",
    "Frame",
    "HeadPose",
    "InputError",
    "InputMissingError",
    "ModelError",
    "OutputError",
    "Percentiles",
    "Pipeline",
    "PipelineStats",
    "Reading",
    "ReadingSource",
    "Scene",
    "Sink",
    "SinkStats",
    "Track",
    "UsageError",
    "WorkerError",
    "analyze",
    "analyze_corpus",
    "load_config",
]

# Whoever embeds us chooses where the log goes; by default nowhere.
logging.getLogger(__name__).addHandler(logging.NullHandler())


def __getattr__(name: str) -> Any:
    """Import a public name's module when the name is first asked for; ``--help`` needs none."""
    import importlib

    if name in __all__:
        homes = (
            "types", "errors", "runtime.stats", "config", "runtime.pipeline", "runtime.sink",
            "runtime.reading_source", "analysis", "corpus.run",
        )  # fmt: skip
        for module in homes:
            found = importlib.import_module(f"{__name__}.{module}")
            if name in vars(found):
                return vars(found)[name]
    message = f"module {__name__!r} has no attribute {name!r}"
    raise AttributeError(message)
