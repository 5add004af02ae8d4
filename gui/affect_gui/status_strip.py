"""The status bar: state, speed, age, drops, backend, disk, processor."""

from __future__ import annotations

import math
import os
import shutil
from typing import TYPE_CHECKING, Final

import psutil
from PyQt6.QtCore import QTimer
from PyQt6.QtWidgets import QLabel, QStatusBar, QWidget

if TYPE_CHECKING:
    from pathlib import Path

    from affect_gui.feed import Feed
    from affect_gui.tasks import Tasks

_DISK_MS: Final = 5000
_LOW_BYTES: Final = 2 << 30


class StatusStrip(QStatusBar):
    """Numbers of the run at the right, what was done last at the left."""

    def __init__(self, tasks: Tasks, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._tasks = tasks
        self._folder: Path | None = None
        self._asking = False
        self._process = psutil.Process(os.getpid())
        self.fields: dict[str, QLabel] = {}
        for name, tip in (
            ("state", "Whether images flow"),
            ("fps", "Frames analysed a second"),
            ("age", "Age of the image when it is painted: half, and 95 of 100, are younger"),
            ("drops", "Frames captured and not analysed, because a newer one was there"),
            ("backend", "What runs the expression network"),
            ("disk", "Free space where sessions go"),
            ("cpu", "Processor time of this program; 100 % is one core"),
        ):
            self.fields[name] = QLabel("")
            self.fields[name].setToolTip(tip)
            self.addPermanentWidget(self.fields[name])
        self.messageChanged.connect(lambda text: self.setAccessibleDescription(text))
        self._disk_timer = QTimer(self)
        self._disk_timer.timeout.connect(self._ask_disk)

    def watch_disk(self, folder: Path) -> None:
        """Show how much is free where `folder` is or will be."""
        self._folder = folder
        self._disk_timer.start(_DISK_MS)
        self._ask_disk()

    def show_feed(self, feed: Feed | None, state: str) -> None:
        """Show a source's counters, and its state in a word."""
        fields = self.fields
        fields["state"].setText(state)
        fields["cpu"].setText(f"{self._process.cpu_percent():.0f} % CPU")
        if feed is None:
            for name in ("fps", "age", "drops", "backend"):
                fields[name].clear()
            return
        fields["fps"].setText(f"{feed.stats.fps:.0f} fps")
        p50, p95 = feed.age_percentiles()
        fields["age"].setText("" if math.isnan(p50) else f"age {p50:.0f} / {p95:.0f} ms")
        fields["drops"].setText(f"{feed.stats.drops} dropped")
        fields["backend"].setText(feed.stats.backend)

    def _ask_disk(self) -> None:
        """Ask how much is free; a disk that hangs holds up a thread of the pool, no more."""
        folder = self._folder
        if folder is None or self._asking:
            return
        self._asking = True
        self._tasks.run(lambda: _free_bytes(folder), self._show_disk, self._show_disk)

    def _show_disk(self, free: object) -> None:
        self._asking = False
        if not isinstance(free, int):
            self.fields["disk"].setText("")
            return
        low = free < _LOW_BYTES
        self.fields["disk"].setText(f"{'LOW: ' if low else ''}{free / (1 << 30):.0f} GB free")


def _free_bytes(folder: Path) -> int:
    """Return the free space of the disk on which a folder is or will be."""
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    return shutil.disk_usage(folder).free
