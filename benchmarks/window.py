"""The window really open, every dock shown, a session recorded: what is painted, and how old it is.

    xvfb-run -a -s "-screen 0 1920x1200x24" python benchmarks/window.py [--record]
    xvfb-run -a -s "-screen 0 1920x1200x24" python benchmarks/window.py --minutes 30 [--record]

Four faces at 720p25, paced as a camera would. An image counts as painted when Qt has painted it;
its age is from its capture to then. Memory, threads, open files and the age (median of the time
between two samples) are sampled; of five minutes or more, their slopes are told as by
``soak_service.py``. At the end the timeline is painted on its own, with its rasters and with as
many series as lines (CPU time of Qt's thread).
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import psutil
import records
from PyQt6.QtCore import QEventLoop, QSettings, QTimer
from PyQt6.QtWidgets import QApplication
from soak_service import summarise

from affect_gui.history import SERIES
from affect_gui.preferences import Preferences
from affect_gui.window import MainWindow
from realtime_affect import memory
from realtime_affect.bench.clips import open_endless
from realtime_affect.bench.stolen import Stolen
from realtime_affect.config import Config
from realtime_affect.runtime.pipeline import Pipeline
from realtime_affect.runtime.stats import Percentiles
from realtime_affect.sessions import SessionStore

if TYPE_CHECKING:
    from collections.abc import Callable

    from realtime_affect.types import Reading

SIZE = (1600, 1000)
FACES, FPS = 4, 25.0
SETTLE_S = 5.0  # a cold start is not what a live window is like
SAMPLES = 60  # of a short run; a long one has one every five seconds
PAINTINGS = 30
ENDURANCE = 5.0  # minutes from which growth is looked for


class Run:
    """One window that shows and records for some time."""

    def __init__(self, root: Path, *, endurance: bool) -> None:
        settings = QSettings(str(root / "window.ini"), QSettings.Format.IniFormat)
        config = Config()
        store = SessionStore(root / "sessions")
        self.window = MainWindow(config, store=store, preferences=Preferences(settings))
        self.window.resize(*SIZE)
        self.window.show()
        # To collect garbage where the clip starts anew holds every thread up.
        clip = open_endless(
            "demo", config.capture, paced=True, crowd=FACES, fps=FPS, collect=endurance
        )
        self._endurance = endurance
        self.pipeline = Pipeline(clip, config)
        self.ages: list[float] = []
        self.docks_ms: list[float] = []
        self._fresh: list[float] = []
        self._rows: list[tuple[float, ...]] = []
        self._process = psutil.Process()

    def measure(self, seconds: float) -> dict[str, Any]:
        """Show, record, sample; return what came of it."""
        window = self.window
        memory.spare_loaded()  # as ``realtime-affect gui`` does
        window.show_source(self.pipeline, owned=True)
        _wait(SETTLE_S, until=lambda: window.reading is not None)
        window.face_commands.select(1)
        assert window.sessions is not None
        window.sessions.record(True)
        _wait(SETTLE_S, until=lambda: window.sessions.recorder is not None)  # type: ignore[union-attr]
        recorder = window.sessions.recorder
        assert recorder is not None
        self._time_docks()
        _wait(SETTLE_S)
        window.canvas.painted.connect(self._note)
        before, began_s, cpu_s = self.pipeline.stats(), time.monotonic(), time.process_time()
        stolen = Stolen()
        every_s = min(5.0, seconds / SAMPLES)
        sampler = QTimer()
        sampler.timeout.connect(lambda: self._sample(began_s))
        sampler.start(round(every_s * 1000))
        _wait(seconds)
        sampler.stop()
        after, cpu_s = self.pipeline.stats(), time.process_time() - cpu_s
        stolen_share = stolen.share()
        elapsed_s = time.monotonic() - began_s
        window.canvas.painted.disconnect(self._note)
        shown = [dock.objectName() for dock in window._docks if dock.isVisible()]
        paint_ms = {
            "rasters and three lines": self._paint(3),
            f"rasters and {len(SERIES)} lines": self._paint(len(SERIES)),
        }
        lost = {name: part.drops for name, part in recorder.stats().items()}
        window.sessions.finish()
        _wait(SETTLE_S)
        window.shut()
        captured = after.slots["frames"].puts - before.slots["frames"].puts
        return {
            "painted_fps": len(self.ages) / elapsed_s,
            "frames_captured": captured,
            "frames_dropped": after.drops - before.drops,
            "painted_ms": asdict(Percentiles.of(np.array(self.ages))),
            "docks_ms": asdict(Percentiles.of(np.array(self.docks_ms))),
            "timeline_paint_ms": paint_ms,
            "cpu_s_per_s": cpu_s / elapsed_s,
            "cpu_ms_per_frame": 1e3 * cpu_s / (after.frames_analysed - before.frames_analysed),
            "stolen_share": stolen_share,
            "docks": shown,
            "lost": lost,
            "backend": after.backend,
            **(summarise(np.array(self._rows), {}) if self._endurance else {}),
        }

    def _note(self, reading: Reading) -> None:
        self.ages.append((time.monotonic_ns() - reading.scene.frame.captured_ns) / 1e6)
        self._fresh.append(self.ages[-1])

    def _sample(self, began_s: float) -> None:
        age_ms = float(np.median(self._fresh)) if self._fresh else float("nan")
        self._fresh.clear()
        process = self._process
        self._rows.append((
            (time.monotonic() - began_s) / 60, process.memory_info().rss / 2**20,
            process.num_threads(), process.num_fds(), age_ms, len(self.ages),
        ))  # fmt: skip

    def _time_docks(self) -> None:
        """Note how long pulling a dock takes, ten times a second one of them."""
        timer, pull = self.window.dock_pulls.timer, self.window.dock_pulls.pull_next

        def timed() -> None:
            start_ns = time.thread_time_ns()
            if pull():
                self.docks_ms.append((time.thread_time_ns() - start_ns) / 1e6)

        timer.timeout.disconnect()
        timer.timeout.connect(timed)

    def _paint(self, lines: int) -> float:
        """Return the median time of painting the timeline with so many lines, milliseconds."""
        timeline = self.window.timeline
        timeline._picked = list(SERIES[:lines])
        self.window.pull_docks()
        QApplication.processEvents()
        times = []
        for _ in range(PAINTINGS):
            start_ns = time.thread_time_ns()
            timeline.plots.widget.viewport().grab()
            times.append((time.thread_time_ns() - start_ns) / 1e6)
        return float(np.median(times))


def _wait(seconds: float, until: Callable[[], bool] | None = None) -> None:
    """Let Qt work for some seconds, or until something holds, for a minute at most."""
    if until is None:
        loop = QEventLoop()
        QTimer.singleShot(round(seconds * 1000), loop.quit)
        loop.exec()
        return
    end_s = time.monotonic() + 60
    while not until():
        if time.monotonic() > end_s:
            message = "the window did not get there within a minute"
            raise RuntimeError(message)
        _wait(0.05)


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=0.5)
    parser.add_argument("--record", action="store_true")
    options = parser.parse_args()
    code = records.code_state(
        *records.PRODUCT, "gui/affect_gui", "realtime_affect/sessions", "realtime_affect/outputs",
        "realtime_affect/overlay",
    )  # fmt: skip
    app = QApplication(sys.argv[:1])
    with tempfile.TemporaryDirectory() as root:
        run = Run(Path(root), endurance=options.minutes >= ENDURANCE)
        figures = run.measure(options.minutes * 60)
    age, paint = figures["painted_ms"], figures["timeline_paint_ms"]
    print(
        f"{figures['painted_fps']:.2f} painted a second, {figures['frames_dropped']} of "
        f"{figures['frames_captured']} dropped, {figures['cpu_ms_per_frame']:.1f} ms of CPU a "
        f"frame, age p50 {age['p50']:.1f}, p95 {age['p95']:.1f} ms, "
        f"docks p50 {figures['docks_ms']['p50']:.1f} ms, timeline painted in "
        + ", ".join(f"{ms:.1f} ms ({what})" for what, ms in paint.items())
        + f", lost {figures['lost']}"
    )
    for name, slope in figures.get("slopes_per_min", {}).items():
        print(
            f"{name}: {slope['slope']:+.4f} a minute, 95 % from {slope['low']:+.4f} to "
            f"{slope['high']:+.4f}: {'flat' if slope['flat'] else 'RISING'}"
        )
    if options.record:
        config = {
            "scenario": f"{options.minutes:g} min", "faces": FACES, "fps": FPS, "size_px": SIZE,
            "platform": app.platformName(),
        }  # fmt: skip
        print("recorded in", records.append(records.new_record("window", config, figures, code)))


if __name__ == "__main__":
    main()
