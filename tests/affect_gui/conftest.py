"""A pipeline that says what a test tells it to, and Qt without a display."""

from __future__ import annotations

import importlib.util
import os

os.environ["QT_QPA_PLATFORM"] = "offscreen"  # before any import of Qt
os.environ["PYTEST_QT_API"] = "pyqt6"

import time
from concurrent.futures import Future
from dataclasses import dataclass, field

import numpy as np
import pytest

from realtime_affect.capture import SourceInfo, SourceState
from realtime_affect.config import Config
from realtime_affect.names import AU_INTENSITIES, EXPRESSIONS
from realtime_affect.runtime.sink import SinkThread
from realtime_affect.runtime.stats import PipelineStats
from realtime_affect.slots import LatestSlot, SlotCounters
from realtime_affect.types import (
    ActionUnits,
    AffectResult,
    AffectSnapshot,
    Expression,
    Face,
    FaceMesh,
    FaceQuality,
    Frame,
    HeadPose,
    Reading,
    Scene,
    Spotting,
    Track,
)
from tests.realtime_affect.world import Person, mesh_points


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


def reading_of(index=0, level=90, boxes=(), width=320, height=180, t_ns=None, tracks=None):
    now_ns = time.monotonic_ns()
    image = np.full((height, width, 3), level, np.uint8)
    if tracks is None:
        tracks = tuple(
            Track(n, np.array(box), 0.9, 3, 0, None) for n, box in enumerate(boxes, start=1)
        )
    frame = Frame(index, (index + 1) * 33_000_000 if t_ns is None else t_ns, now_ns, image)
    return Reading(Scene(frame, tuple(tracks)), AffectSnapshot(frame.t_ns, now_ns))


def measured(track_id, x=60, y=20, size=110, *, t_ns=33_000_000, smile=0.0, **quality):
    """A track with a measured face, and what the affect worker says of it."""
    person = Person("a", x + size / 2, y + size / 2, size)
    intensity = np.zeros(17, np.float32)
    intensity[AU_INTENSITIES.index("AU12")] = smile
    occurrence = np.zeros(18, np.float32)
    face = Face(
        FaceMesh(mesh_points(person), 0.99),
        HeadPose(np.array(person.angles), np.array([0, 0, 600])),
        np.array([0.3, 0.3]),
        FaceQuality(**({"score": 0.9, "size_px": 80, "view_deg": 5, "sharpness": 120} | quality)),
        ActionUnits(intensity, occurrence, np.zeros((2, 2)), 0.0),
        np.zeros((48, 48), np.uint8),
    )
    points = face.mesh.points[:, :2]
    box = np.r_[points.min(0), points.max(0)]
    shares = np.full(8, 0.02, np.float32)
    shares[EXPRESSIONS.index("happiness" if smile > 1 else "neutral")] = 0.86
    result = AffectResult(
        track_id, t_ns, np.array([0.1, 0.0]), 12.0, Expression(t_ns, shares, False),
        Spotting((), ""),
    )  # fmt: skip
    return Track(track_id, box, 0.98, 5, 0, face), result


def scene_of(*people, index=0, level=90, width=320, height=180):
    """A reading of measured faces."""
    reading = reading_of(index, level, width=width, height=height, tracks=[t for t, _ in people])
    results = {track.track_id: result for track, result in people}
    affect = AffectSnapshot(reading.scene.frame.t_ns, reading.scene.frame.captured_ns, results)
    return Reading(reading.scene, affect)


@dataclass
class FakePipeline:
    """What the window needs of a pipeline; the test is its workers."""

    slot: LatestSlot = field(default_factory=LatestSlot)
    source_state: SourceState = SourceState.ONLINE
    failure: BaseException | None = None
    running: bool = False
    stopped: bool = False
    paused: bool = False
    closed: bool = False
    neutral: list = field(default_factory=list)
    reverted: list = field(default_factory=list)
    marked: list = field(default_factory=list)
    sinks: list = field(default_factory=list)
    taken: Future | None = None
    on_start: object = None
    source_info: SourceInfo = field(
        default_factory=lambda: SourceInfo("video", "clip", 320, 180, 30.0, None, True)
    )
    models: dict = field(default_factory=dict)
    source_warnings: tuple = ()
    live: bool = True
    can_set_neutral: bool = True

    def subscribe(self):
        return self.slot

    def attach(self, sink, *, name="", depth_s=0.0, images=True, required=True):
        thread = SinkThread(
            sink, self.source_info, lossless=False, depth_s=depth_s, images=images, failed=None,
            name=name,
        )  # fmt: skip
        self.sinks.append(thread)
        return thread

    def put(self, reading):
        self.slot.put(reading)
        for sink in self.sinks:
            if not sink.slot.closed:
                sink.slot.put(reading if sink.images else reading.without_images())

    def start(self):
        self.running = True
        if self.on_start is not None:
            self.on_start()

    def stop(self):
        self.stopped = True

    def pause(self, on):
        self.paused = on

    def end(self):
        self.slot.close()
        self.close()

    def close(self):
        self.closed = True
        for sink in self.sinks:
            sink.close()
            sink.wait(30)

    def set_neutral(self, track_id=None):
        self.neutral.append(track_id)
        self.taken = Future()
        return self.taken

    def mark(self, label, *, origin="", at_ns=None, uncertainty_ms=float("nan")):
        self.marked.append((label, origin))

    def revert_neutral(self, track_id=None):
        self.reverted.append(track_id)
        return Future()

    def stats(self):
        counters = SlotCounters(10, 7, 3, 0)
        slots = {"frames": counters, "jobs": counters}
        return PipelineStats(self.source_state, slots, {}, 29.0, 7, 1.0, 100.0, backend="cuda")


@pytest.fixture(scope="session", autouse=True)
def _settings_of_their_own(tmp_path_factory):
    """Windows that tests open do not touch what the user's own remember."""
    if _why_no_qt():
        return
    from PyQt6.QtCore import QSettings

    place = str(tmp_path_factory.mktemp("settings"))
    QSettings.setPath(QSettings.Format.IniFormat, QSettings.Scope.UserScope, place)


@pytest.fixture
def pipeline():
    made = FakePipeline()
    yield made
    made.close()


@pytest.fixture
def preferences(one_window):
    return one_window.preferences


@pytest.fixture(scope="session")
def one_window(qapp, tmp_path_factory):
    """One window for all tests: making one costs more than most of them."""
    from PyQt6.QtCore import QSettings

    from affect_gui.preferences import Preferences
    from affect_gui.window import MainWindow
    from realtime_affect.sessions import SessionStore

    path = tmp_path_factory.mktemp("window") / "window.ini"
    sources = {}

    def opener(spec, config):
        found = sources[spec]
        if isinstance(found, Exception):
            raise found
        return found

    window = MainWindow(
        Config(), opener, store=SessionStore(path.with_name("sessions")),
        preferences=Preferences(QSettings(str(path), QSettings.Format.IniFormat)),
    )  # fmt: skip
    window.sources = sources
    window.resize(900, 640)
    yield window
    window.shut()
    window.close()
    window.deleteLater()


@pytest.fixture
def bare_window(qtbot, one_window, tmp_path):
    """The window as it opens, with its start page; what it opens a test puts in ``sources``."""
    window = one_window
    window.leave_source()
    window._pictures = tmp_path / "pictures"
    window.sources.clear()
    window.asked, window.answer = [], True
    window.ask = lambda title, text: window.asked.append(text) or window.answer
    window.file_recording, window.exit_code = False, 0
    window.strip.clearMessage()
    window.start_page.say("")
    for name in ("mesh", "bars", "pose", "mirror", "pause"):
        window.commands[name].setChecked(False)
    window.commands["gaze"].setChecked(True)
    window.show()
    window.resize(900, 640)
    for dock in (window.faces, window.timeline, window.sessions.dock):
        dock.show()
    window.show_start_page()
    qtbot.waitExposed(window)
    if not window.isActiveWindow():  # another test's window was; shortcuts go to the active one
        window.hide()
        window.show()
        window.activateWindow()
        qtbot.waitUntil(window.isActiveWindow, timeout=60_000)
    yield window
    window.leave_source()
    window.tasks.finish()


@pytest.fixture
def window(bare_window, pipeline):
    """The window with a source that a test plays."""
    bare_window.show_source(pipeline)
    return bare_window
