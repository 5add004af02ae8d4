"""A pipeline that says what a test tells it to, and Qt without a display."""

from __future__ import annotations

import importlib.util
import os

os.environ["QT_QPA_PLATFORM"] = "offscreen"  # before any import of Qt
os.environ["PYTEST_QT_API"] = "pyqt6"

import time
from dataclasses import dataclass, field

import numpy as np
import pytest

from realtime_affect.capture import SourceInfo, SourceState
from realtime_affect.runtime.stats import PipelineStats
from realtime_affect.slots import LatestSlot, SlotCounters
from realtime_affect.types import AffectSnapshot, Frame, Reading, Scene, Track


def _why_no_qt():
    try:
        import PyQt6.QtWidgets  # noqa: F401
    except ImportError as error:
        return f"PyQt6 cannot be loaded: {error}"
    if importlib.util.find_spec("pytestqt") is None:
        return "pytest-qt is not installed"
    return ""


def pytest_collection_modifyitems(config, items):
    """Skip the window's tests where Qt or one of its system libraries is missing, saying which."""
    reason = _why_no_qt()
    if not reason and not any(
        config.pluginmanager.has_plugin(name) for name in ("pytest-qt", "pytestqt.plugin")
    ):
        reason = "pytest-qt is switched off"
    if reason:
        for item in items:
            if item.get_closest_marker("gui"):
                item.add_marker(pytest.mark.skip(reason=reason))


def reading_of(index=0, level=90, boxes=(), width=320, height=180):
    now_ns = time.monotonic_ns()
    image = np.full((height, width, 3), level, np.uint8)
    tracks = tuple(Track(n, np.array(box), 0.9, 3, 0, None) for n, box in enumerate(boxes, start=1))
    return Reading(Scene(Frame(index, index + 1, now_ns, image), tracks), AffectSnapshot(0, 0))


@dataclass
class FakePipeline:
    """What the window needs of a pipeline; the test is its workers."""

    slot: LatestSlot = field(default_factory=LatestSlot)
    source_state: SourceState = SourceState.ONLINE
    failure: BaseException | None = None
    running: bool = False
    stopped: bool = False
    neutral: list = field(default_factory=list)
    on_start: object = None
    source_info: SourceInfo = field(
        default_factory=lambda: SourceInfo("video", "clip", 320, 180, 30.0, None, True)
    )

    can_set_neutral: bool = True

    def subscribe(self):
        return self.slot

    def start(self):
        self.running = True
        if self.on_start is not None:
            self.on_start()

    def stop(self):
        self.stopped = True

    def set_neutral(self, track_id=None):
        self.neutral.append(track_id)

    def stats(self):
        counters = SlotCounters(10, 7, 3, 0)
        slots = {"frames": counters, "jobs": counters}
        return PipelineStats(self.source_state, slots, {}, 29.0, 7, 1.0, 100.0)


@pytest.fixture
def pipeline():
    return FakePipeline()


@pytest.fixture
def window(qtbot, pipeline, tmp_path):
    from affect_gui.window import LiveWindow
    from realtime_affect.overlay import OverlayConfig

    window = LiveWindow(pipeline, OverlayConfig(), folder=tmp_path / "pictures")
    qtbot.addWidget(window)
    window.resize(640, 360)
    window.show()
    qtbot.waitExposed(window)
    return window
