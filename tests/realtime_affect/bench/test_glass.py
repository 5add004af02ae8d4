import itertools
import threading
import time

import numpy as np
import pytest

from realtime_affect.bench import glass
from realtime_affect.bench.glass import glass_table, measure_glass
from realtime_affect.capture import SourceInfo, SourceState
from realtime_affect.config import Config
from realtime_affect.errors import UsageError
from realtime_affect.face.vision import Vision
from realtime_affect.runtime.pipeline import Pipeline
from realtime_affect.types import AffectSnapshot, Detections, Frame

CABLE_S = 0.02


@pytest.fixture(autouse=True)
def _no_automatic_exposure(monkeypatch):
    monkeypatch.setattr(glass, "_SETTLED_S", 0.2)


class Loop:
    """A screen, and the camera that looks at it down a cable of 20 ms."""

    info = SourceInfo("video", "loop", 64, 48, 100.0, None, live=True)
    state, warnings = SourceState.ONLINE, ()

    def __init__(self, white=200, closes_at=None):
        self._white, self._closes_at = white, closes_at
        self._light, self._turns, self._index = False, 0, itertools.count()
        self.presented, self.stopped = 0, threading.Event()

    @property
    def closed(self):
        return self._turns == self._closes_at

    def turn(self, *, light):
        self._light, self._turns = light, self._turns + 1

    def present(self, image):
        assert image.shape == (48, 64, 3)
        self.presented += 1

    def read(self, timeout_s):
        level = self._white if self._light else 10
        time.sleep(CABLE_S)
        index = next(self._index)
        image = np.full((48, 64, 3), level, np.uint8)
        return Frame(index, index * 10_000_000, time.monotonic_ns(), image)

    def close(self):
        self.stopped.set()


class Nothing:
    """Networks that see no face."""

    def detect(self, image, thorough=False):
        return Detections(
            np.zeros((0, 4), np.float32), np.zeros(0, np.float32), np.zeros((0, 6, 2), np.float32)
        )

    def estimate_all(self, image, regions, meanwhile=None):
        if meanwhile is not None:
            meanwhile()
        return []

    def decide(self, job):
        return AffectSnapshot(job.scene.frame.t_ns, job.scene.frame.captured_ns, {})

    def reset(self):
        pass

    def close(self):
        pass


def timed(loop, changes=4):
    nothing = Nothing()
    vision = Vision(detector=nothing, mesher=nothing, units=nothing)
    with Pipeline(loop, live=True, vision=vision, affect=nothing) as pipeline:
        return measure_glass(pipeline, Config(), loop, changes)


def test_every_change_is_timed_and_its_parts_add_up():
    loop = Loop()
    figures = timed(loop)
    assert figures["lost"] == 0
    way, there, back = (figures["ways"][name] for name in figures["ways"])
    assert way["n"] == there["n"] == back["n"] == 4
    assert there["p50"] >= 1e3 * CABLE_S
    assert back["p50"] > 0
    assert way["max"] >= max(there["max"], back["max"])
    assert loop.presented > 4
    table = glass_table(figures)
    assert "| glass to glass |" in table
    assert "4 changes of colour seen, 0 lost" in table


def test_a_camera_that_does_not_see_the_screen_is_told_where_to_point():
    with pytest.raises(UsageError, match="levels 10 and 12 of 255"):
        timed(Loop(white=12))


def test_a_window_that_is_closed_ends_it_with_what_was_seen():
    figures = timed(Loop(closes_at=4), changes=50)
    assert figures["ways"]["glass to glass"]["n"] < 3
