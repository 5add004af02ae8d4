"""The bar below a replay: play, steps, a slider over the whole session, speed, time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from PyQt6.QtCore import Qt, QTimer, pyqtSignal
from PyQt6.QtWidgets import QComboBox, QLabel, QSlider, QToolBar, QWidget

if TYPE_CHECKING:
    from affect_gui.actions import Actions
    from affect_gui.moments import Moments

SPEEDS: Final = (0.1, 0.25, 0.5, 1.0, 2.0, 4.0)
_FOLLOW_MS: Final = 100


class ReplayBar(QToolBar):
    """Shown while a session is replayed; follows its place ten times a second."""

    results_wanted = pyqtSignal(bool)
    """Whether to show what analysing the video again gave, or what was stored."""

    def __init__(self, moments: Moments, commands: Actions, parent: QWidget | None = None) -> None:
        super().__init__("Replay", parent)
        self.setObjectName("replay")
        self._moments = moments
        for name, text in (
            ("previous_spike", "Spike before"), ("back", "Step back"), ("pause", "Pause"),
            ("forward", "Step"), ("next_spike", "Next spike"),
        ):  # fmt: skip
            commands[name].setIconText(text)
            self.addAction(commands[name])
        self.slider = QSlider(Qt.Orientation.Horizontal)
        self.slider.setAccessibleName("Place in the session")
        self.slider.setTracking(True)
        self.slider.sliderMoved.connect(self._go)
        self.slider.actionTriggered.connect(self._step_slider)
        self.addWidget(self.slider)
        self.time = QLabel("")
        self.addWidget(self.time)
        self.speed = QComboBox()
        self.speed.setAccessibleName("Speed")
        for speed in SPEEDS:
            self.speed.addItem(f"{speed:g} x", speed)
        self.speed.setCurrentIndex(SPEEDS.index(1.0))
        self.speed.currentIndexChanged.connect(self._change_speed)
        self.addWidget(self.speed)
        self.results = QComboBox()
        self.results.setAccessibleName("Results shown")
        for text, again in (("As recorded", False), ("Analysed again", True)):
            self.results.addItem(text, again)
        self.results.activated.connect(
            lambda n: self.results_wanted.emit(bool(self.results.itemData(n)))
        )
        self._results = self.addWidget(self.results)
        self._timer = QTimer(self)
        self._timer.timeout.connect(self.follow)
        self._timer.start(_FOLLOW_MS)
        self.follow()

    def follow(self) -> None:
        """Show where the replay is; hide where there is none."""
        replay = self._moments.replay
        self.setVisible(replay is not None)
        if self._results is not None:
            self._results.setVisible(replay is not None and replay.has_again)
        if replay is not None:
            self.results.setCurrentIndex(int(replay.again))
        if replay is None or not replay.times_ns:
            return
        self.slider.setMaximum(len(replay.times_ns) - 1)
        if not self.slider.isSliderDown():
            self.slider.setValue(replay.place)
        first_ns, last_ns = replay.times_ns[0], replay.times_ns[-1]
        here_ns = replay.times_ns[min(replay.place, len(replay.times_ns) - 1)]
        self.time.setText(f" {clock(here_ns - first_ns)} / {clock(last_ns - first_ns)} ")

    def _go(self, place: int) -> None:
        if self._moments.replay is not None:
            self._moments.replay.seek(place)

    def _step_slider(self, _action: int) -> None:
        """Follow a click beside the handle, or a key."""
        if not self.slider.isSliderDown():
            self._go(self.slider.sliderPosition())

    def _change_speed(self) -> None:
        if self._moments.replay is not None:
            self._moments.replay.play_at(float(self.speed.currentData()))


def clock(ns: int) -> str:
    """Return a duration as minutes, seconds and tenths, with hours where there are any."""
    seconds = ns / 1e9
    hours, rest = divmod(int(seconds), 3600)
    tenths = f"{rest // 60:02d}:{rest % 60:02d}.{int(10 * (seconds % 1))}"
    return f"{hours}:{tenths}" if hours else tenths
