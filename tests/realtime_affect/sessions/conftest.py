"""Sessions recorded from readings that a test makes up, without a network."""

from __future__ import annotations

import contextlib

import numpy as np
import pytest

from realtime_affect.capture import SourceInfo, SourceState
from realtime_affect.config import Config
from realtime_affect.runtime.sink import SinkThread
from realtime_affect.runtime.stats import PipelineStats
from realtime_affect.sessions import SessionRecorder, SessionStore
from realtime_affect.slots import SlotClosed, SlotCounters
from tests.affect_gui.conftest import measured, reading_of, scene_of
from tests.realtime_affect.micro_world import MS, facial_event, with_micro

WIDTH, HEIGHT = 161, 91  # odd, as a source may be
STEPS_MS = (33, 50, 20, 41)  # a variable rate


class Scripted:
    """A source whose readings a test puts."""

    source_info = SourceInfo("camera", "camera0", WIDTH, HEIGHT, 30.0, None, True)
    source_state = SourceState.ONLINE
    models = {"action_units": "abc"}  # noqa: RUF012

    def __init__(self, *, lossless=True):
        self.sinks, self.lossless = [], lossless

    def attach(self, sink, *, name="", depth_s=0.0, images=True, required=True):
        thread = SinkThread(
            sink, self.source_info, lossless=self.lossless, depth_s=depth_s, images=images,
            failed=None, name=name,
        )  # fmt: skip
        self.sinks.append(thread)
        return thread

    def put(self, reading):
        for sink in self.sinks:
            with contextlib.suppress(SlotClosed):
                sink.slot.put(reading if sink.images else reading.without_images())

    def stats(self):
        counters = SlotCounters(0, 0, 0, 0)
        return PipelineStats(
            self.source_state, {"frames": counters, "jobs": counters}, {}, 30.0, 0, 0.0, 0.0
        )


def readings(n=24, start_ns=7_000_000_000):
    """Readings of a camera at a variable rate: two faces, one micro-expression, a nobody frame."""
    event = facial_event(7000 + 300)
    t_ns = start_ns
    for index in range(n):
        faces = (
            ()
            if index == 5
            else (measured(1, t_ns=t_ns, smile=index / 6), measured(2, x=100, size=50, t_ns=t_ns))
        )
        made = scene_of(*faces)
        level = 30 + 8 * (index % 24)
        reading = reading_of(
            index, level=level, width=WIDTH, height=HEIGHT, t_ns=t_ns, tracks=made.scene.tracks
        )
        yield with_micro(reading, {1: [event]})
        t_ns += STEPS_MS[index % 4] * MS


@pytest.fixture
def store(tmp_path):
    return SessionStore(tmp_path / "Sitzüngen")


@pytest.fixture
def record(store):
    """Record readings into a session; ``finish=False`` leaves it as a killed program would."""

    def make(n=24, *, finish=True, **options):
        source = Scripted()
        recorder = SessionRecorder(source, store, Config(), "0", **options)
        for reading in readings(n):
            source.put(reading)
        if not finish:
            return recorder
        return recorder.finish()

    return make


def close_without_finishing(recorder):
    """Let go of the files of a session that was never finished."""
    for thread in recorder._threads.values():
        thread.close()
        thread.wait(30)


def level_of(image):
    return int(np.median(image))
