"""The networks of both workers: opened once, for one pipeline or for many one after another."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import cv2

from affect_engines.base import Closeable
from realtime_affect.affect.worker import AffectEstimator
from realtime_affect.face.vision import Vision
from realtime_affect.runtime.config import PipelineConfig

if TYPE_CHECKING:
    from collections.abc import Mapping


class Analysers(Closeable):
    """What the vision and the affect worker run; one pipeline at a time.

    While it is open, OpenCV keeps to the thread that calls it, in the whole process: each worker
    has a core of its own, and OpenCV's threads take the others' for images too small to share.

    Parameters
    ----------
    config : PipelineConfig, optional
    vision, affect : optional
        To use instead of those `config` describes, as tests do. Closed with the analysers.

    Raises
    ------
    ModelError
        A model file is missing or is not what its card says; nothing stays open.
    """

    def __init__(
        self,
        config: PipelineConfig | None = None,
        *,
        vision: Vision | None = None,
        affect: AffectEstimator | None = None,
    ) -> None:
        config = config or PipelineConfig()
        with contextlib.ExitStack() as opened:
            opened.callback(cv2.setNumThreads, cv2.getNumThreads())
            cv2.setNumThreads(1)
            self.vision = vision or Vision(
                config.detect, config.track, config.action_units, stabilized=config.affect.micro
            )
            opened.callback(self.vision.close)
            self.affect = affect or AffectEstimator(config.affect, config.micro, config.interpret)
            opened.callback(self.affect.close)
            self._opened = opened.pop_all()

    @property
    def models(self) -> Mapping[str, str]:
        """SHA-256 of the networks, by card; nothing of those that tests make up."""
        parts = (self.vision, self.affect)
        return {card.name: card.sha256 for part in parts for card in getattr(part, "cards", ())}

    def reset(self) -> None:
        """Forget every face: what comes next is another source, with ids from 1 again."""
        self.vision.reset()
        self.affect.reset()

    def close(self) -> None:
        """Free the networks. Idempotent."""
        self._opened.close()
