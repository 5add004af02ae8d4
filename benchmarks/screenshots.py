"""Pictures of the window in every state, to look at; three of them go into the docs.

    xvfb-run -s "-screen 0 3000x1800x24" python benchmarks/screenshots.py [OUT]

Plays a session of the demo clip (two rendered people), recorded on first use into OUT. Writes
OUT/<state>.png, and docs/images/{start,live,replay}.png.
"""

from __future__ import annotations

import dataclasses
import shutil
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
from PyQt6.QtCore import QSettings
from PyQt6.QtWidgets import QApplication

from affect_gui.history import History
from affect_gui.neutral_dialog import NeutralDialog
from affect_gui.preferences import Preferences
from affect_gui.window import MainWindow
from realtime_affect.capture import SourceState
from realtime_affect.config import Config
from realtime_affect.runtime.pipeline import Pipeline
from realtime_affect.sessions import Replay, Session, SessionRecorder, SessionStore
from realtime_affect.sessions.again import analyse_again
from realtime_affect.slots import LatestSlot
from realtime_affect.types import AffectSnapshot, Frame, Reading, Scene

DOCS = Path(__file__).resolve().parents[1] / "docs" / "images"
SIZE = (1320, 880)
SPIKE_AT = 250  # a reading in which a spike is shown
LIVE_AT = 320


class Played:
    """Stored readings as a live source would publish them, one when told."""

    live = can_set_neutral = True
    running = paused = False
    failure: BaseException | None = None
    models: dict[str, str] = {}  # noqa: RUF012
    source_warnings = ()

    def __init__(self, replay: Replay) -> None:
        self.source_info = dataclasses.replace(replay.source_info, name="demo", live=True)
        self.source_state = SourceState.ONLINE
        self.slot: LatestSlot[Reading] = LatestSlot()
        self._stats = replay.stats()

    def subscribe(self) -> LatestSlot[Reading]:
        """Return the only slot."""
        return self.slot

    def attach(self, *_: Any, **__: Any) -> None:
        """Attach nothing: the history is filled beforehand."""

    def start(self) -> None:
        """Run."""
        self.running = True

    def stop(self) -> None:
        """End."""
        self.running = False

    def pause(self, on: bool) -> None:
        """Pause, or go on."""
        self.paused = on

    def close(self) -> None:
        """Close the slot."""
        self.slot.close()

    def mark(self, *_: Any, **__: Any) -> None:
        """Mark nothing."""

    def stats(self) -> Any:
        """Return counters of a source that runs at 30 images a second."""
        return dataclasses.replace(self._stats, source_state=self.source_state, fps=30.0)


def demo_session(store: SessionStore) -> Path:
    """Return the folder of a session of the demo clip, recorded once, every frame."""
    for session in store:
        if session.outcome == "complete":
            return session.folder
    with Pipeline("demo", Config(), live=False) as pipeline:
        recorder = SessionRecorder(pipeline, store, Config(), "demo", participant="P01")
        pipeline.start()
        pipeline.join()
        session = recorder.finish()
    session.note(markers=[[2_000_000_000, "film begins"], [7_500_000_000, "second scene"]])
    return session.folder


def crowd(reading: Reading, n: int) -> Reading:
    """Return a made-up scene of `n` faces: those of a reading, side by side and smaller."""
    frame = reading.scene.frame
    columns = int(np.ceil(np.sqrt(n * 16 / 9)))
    rows = -(-n // columns)
    height, width = frame.image.shape[:2]
    image = np.full_like(frame.image, 60)
    tracks, results = [], {}
    cell_w, cell_h = width // columns, height // rows
    for k in range(n):
        source = reading.scene.tracks[k % len(reading.scene.tracks)]
        x0, y0, x1, y1 = source.xyxy
        half = 0.85 * float(max(x1 - x0, y1 - y0))
        cx, cy = float(x0 + x1) / 2, float(y0 + y1) / 2
        left, top = max(0, int(cx - half)), max(0, int(cy - half))
        part = frame.image[top : int(cy + half), left : int(cx + half)]
        scale = min(cell_w / part.shape[1], cell_h / part.shape[0])
        import cv2

        small = cv2.resize(part, None, fx=scale, fy=scale)
        ox, oy = (k % columns) * cell_w, (k // columns) * cell_h
        image[oy : oy + small.shape[0], ox : ox + small.shape[1]] = small[
            : height - oy, : width - ox
        ]
        shift = np.array([ox - left * scale, oy - top * scale], np.float32)
        box = source.xyxy * scale + np.tile(shift, 2)
        face = source.face
        if face is not None:
            points = face.mesh.points * np.float32(scale)
            points[:, :2] += shift
            face = dataclasses.replace(face, mesh=dataclasses.replace(face.mesh, points=points))
        measured = k % 6 < 1 or n <= 4
        track = dataclasses.replace(
            source, track_id=k + 1, xyxy=box, face=face if measured else None
        )
        tracks.append(track)
        result = reading.affect.results.get(source.track_id)
        if result is not None:
            results[k + 1] = dataclasses.replace(result, track_id=k + 1)
    frame = Frame(frame.index, frame.t_ns, time.monotonic_ns(), image)
    affect = AffectSnapshot(reading.affect.t_ns, reading.affect.captured_ns, results)
    return Reading(Scene(frame, tuple(tracks)), affect)


class Studio:
    """The window, and what photographs it."""

    def __init__(self, out: Path) -> None:
        self.out = out
        self.app = QApplication.instance() or QApplication(sys.argv[:1])
        settings = QSettings(str(out / "window.ini"), QSettings.Format.IniFormat)
        settings.clear()
        self.store = SessionStore(out / "sessions")
        self.folder = demo_session(self.store)
        self.window = MainWindow(
            Config(), lambda *_: None, store=self.store, preferences=Preferences(settings)
        )  # type: ignore[arg-type]
        self.window.resize(*SIZE)
        self.window.show()
        self.wait(1.0)

    def wait(self, seconds: float) -> None:
        """Let Qt work."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self.app.processEvents()
            time.sleep(0.01)

    def shoot(self, name: str, *, docs: str = "", widget: Any = None) -> None:
        """Write a picture; for the docs as well, where it is one of theirs."""
        self.wait(0.6)
        self.window.pull_docks()
        picture = (widget or self.window).grab().toImage()
        picture.save(str(self.out / f"{name}.png"))
        if docs:
            DOCS.mkdir(parents=True, exist_ok=True)
            picture.save(str(DOCS / f"{docs}.png"), "PNG", 0)

    def play_live(self, reading: Reading, history: History) -> Played:
        """Show one reading as live."""
        replay = Replay(self.folder)
        source = Played(replay)
        replay.close()
        self.window.show_source(source, history=history)  # type: ignore[arg-type]
        fresh = dataclasses.replace(reading.scene.frame, captured_ns=time.monotonic_ns())
        source.slot.put(dataclasses.replace(reading, scene=Scene(fresh, reading.scene.tracks)))
        self.wait(0.4)
        self.window.pull_docks()
        return source


def main() -> None:  # noqa: PLR0915  (one state after another)
    """Photograph every state."""
    out = Path(sys.argv[1] if len(sys.argv) > 1 else "out/screenshots")
    out.mkdir(parents=True, exist_ok=True)
    studio = Studio(out)
    window = studio.window
    with Replay(studio.folder, live=False) as replay:
        readings = list(replay)
    history = History(None)
    for reading in readings[: LIVE_AT + 1]:
        history.write(reading.without_images())
    studio.shoot("start", docs="start")
    live = studio.play_live(readings[LIVE_AT], history)
    window.people.names.update({1: "Anna", 2: "Ben"})
    window.face_commands.select(1)
    window.pull_docks()
    studio.shoot("live", docs="live")
    window.commands["pose"].setChecked(True)
    window.commands["mesh"].setChecked(True)
    studio.shoot("mesh-and-pose")
    window.commands["pose"].setChecked(False)
    window.commands["mesh"].setChecked(False)
    window.commands["bars"].setChecked(True)
    studio.shoot("panels")
    window.commands["bars"].setChecked(False)
    person = window.faces.model.person(1)
    guide = NeutralDialog(live, lambda: person, lambda: readings[LIVE_AT], window)  # type: ignore[arg-type]
    guide.show()
    studio.shoot("neutral", widget=guide)
    guide.close()
    window.file_recording = True
    studio.wait(0.7)
    studio.shoot("recording")
    window.file_recording = False
    window.commands["pause"].setChecked(True)
    studio.shoot("paused")
    window.commands["pause"].setChecked(False)
    live.source_state = SourceState.OFFLINE
    studio.wait(0.7)
    studio.shoot("offline")
    studio.play_live(readings[SPIKE_AT], history)
    studio.shoot("spike")
    empty = dataclasses.replace(
        readings[0], scene=Scene(readings[0].scene.frame, ()), affect=AffectSnapshot(0, 0)
    )
    studio.play_live(empty, History(None))
    studio.shoot("empty")
    for n in (1, 4, 24):
        studio.play_live(crowd(readings[LIVE_AT], n), history)
        studio.shoot(f"faces-{n}")
    for theme in ("dark", "contrast"):
        window.commands[f"theme_{theme}"].trigger()
        studio.play_live(readings[LIVE_AT], history)
        window.face_commands.select(2)
        studio.shoot(theme)
    window.commands["theme_light"].trigger()
    window.view_commands.scale_text(1.5)
    studio.shoot("text-150")
    window.view_commands.scale_text(None)
    tall = crowd(readings[LIVE_AT], 2)
    image = np.ascontiguousarray(tall.scene.frame.image[:, :405])
    frame = dataclasses.replace(tall.scene.frame, image=image)
    studio.play_live(dataclasses.replace(tall, scene=Scene(frame, tall.scene.tracks[:1])), history)
    studio.shoot("portrait")
    grey = np.repeat(readings[LIVE_AT].scene.frame.image.mean(axis=2, keepdims=True), 3, axis=2)
    frame = dataclasses.replace(readings[LIVE_AT].scene.frame, image=grey.astype(np.uint8))
    studio.play_live(
        dataclasses.replace(readings[LIVE_AT], scene=Scene(frame, readings[LIVE_AT].scene.tracks)),
        history,
    )
    studio.shoot("grey")
    assert window.sessions is not None
    window.sessions.open(str(studio.folder))
    studio.wait(2.0)
    replay = window.moments.replay
    assert replay is not None
    replay.pause(True)
    replay.seek(SPIKE_AT)
    studio.wait(1.0)
    window.face_commands.select(2)
    studio.shoot("replay", docs="replay")
    analyse_again(Session(studio.folder), Config())
    window.sessions.show_results(again=True)
    while not window.timeline.other_ids:
        studio.wait(0.5)
    studio.shoot("again")
    window.resize(420, 420)
    studio.shoot("small")
    window.shut()
    shutil.rmtree(out / "window.ini", ignore_errors=True)
    print(f"written: {out} and {DOCS}")


if __name__ == "__main__":
    main()
