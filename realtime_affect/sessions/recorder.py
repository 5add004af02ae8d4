"""Record a session: clean video, every reading, rows and events, beside the analysis.

Two sinks with threads of their own: results (ten seconds deep, one thread for readings, rows and
events, so that they hold the same moments) and video (two seconds deep). Neither holds up capture,
analysis or painting; what one loses is counted and noted. A session that is killed is whole up to
its last second.
"""

from __future__ import annotations

import contextlib
import os
import time
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

import cv2
import numpy as np
import psutil

from realtime_affect.outputs.manifest import Manifest, entry_of, now
from realtime_affect.outputs.sinks import ROWS_DEPTH_S, EventSink, RowSink
from realtime_affect.outputs.summary import InputSummary
from realtime_affect.outputs.video import VideoRecorder
from realtime_affect.redact import redact_source
from realtime_affect.runtime.sink import STALL_S
from realtime_affect.sessions.reading_log import LogWriter
from realtime_affect.sessions.store import EVENTS, READINGS, RECORD, ROWS, VIDEO, Session

if TYPE_CHECKING:
    from collections.abc import Mapping

    from realtime_affect.capture import SourceInfo
    from realtime_affect.config import Config
    from realtime_affect.outputs.summary import Outcome
    from realtime_affect.runtime.reading_source import ReadingSource
    from realtime_affect.runtime.sink import SinkThread
    from realtime_affect.runtime.stats import SinkStats
    from realtime_affect.sessions.store import Mode, SessionStore
    from realtime_affect.types import Image, Reading, Track

FORMAT: Final = 1
_VIDEO_DEPTH_S: Final = 2.0
_KEY_S: Final = 0.5  # a fragment of the video that is cut off is lost
_BLUR_MARGIN: Final = 0.2  # of a face's box, on every side
_BLOCKS: Final = 8  # a blurred face has so many blocks across


class SessionRecorder:
    """Record readings of a source into a new session, from now until :meth:`finish`.

    Parameters
    ----------
    source : ReadingSource
        Running or not; it goes on when the session ends.
    store : SessionStore or Path
        Where its folder is made; a path is the folder itself, empty.
    config : Config
    name : str
        The source as the user named it.
    mode : {"full", "blurred", "results"}
    participant : str

    Attributes
    ----------
    session : Session

    Raises
    ------
    OutputError
        The folder or a file cannot be created.
    """

    def __init__(  # noqa: PLR0913  (what is recorded, where, how)
        self,
        source: ReadingSource,
        store: SessionStore | Path,
        config: Config,
        name: str,
        *,
        mode: Mode = "full",
        participant: str = "",
    ) -> None:
        self._source, self._input = source, redact_source(name)
        self._began_ns = time.monotonic_ns()
        folder = store if isinstance(store, Path) else store.new_folder(source.source_info.name)
        Manifest(folder, "session", config, [name], source.models, name=RECORD, more={
            "session": {
                "format": FORMAT, "mode": mode, "participant": participant, "notes": "",
                "names": {}, "markers": [], "source": asdict(source.source_info),
                # Source times of cameras are monotonic: this ties them to the day.
                "clock": {"utc": datetime.now(UTC).isoformat(), "monotonic_ns": self._began_ns},
                "process": {"pid": os.getpid(), "started": psutil.Process().create_time()},
            }
        })  # fmt: skip
        self.session = Session(folder)
        self._results = _ResultSink(folder)
        self._threads: dict[str, SinkThread] = {}
        self._threads["results"] = source.attach(
            self._results, name="session", depth_s=ROWS_DEPTH_S, images=False, required=False
        )
        if mode != "results":
            video = _VideoSink(folder / VIDEO, config.record.crf, blurred=mode == "blurred")
            self._threads["video"] = source.attach(
                video, name="session video", depth_s=_VIDEO_DEPTH_S, required=False
            )

    @property
    def elapsed_s(self) -> float:
        """Since it began."""
        return (time.monotonic_ns() - self._began_ns) / 1e9

    @property
    def error(self) -> str:
        """What ended a part of it early: a full disk, a folder that is gone; empty otherwise."""
        return next((s.error for s in self.stats().values() if s.error), "")

    def stats(self) -> Mapping[str, SinkStats]:
        """Return what each part was offered, wrote and lost."""
        return {name: thread.stats() for name, thread in self._threads.items()}

    def finish(self) -> Session:
        """End the session and complete its record; may take seconds. Idempotent.

        Raises
        ------
        OutputError
            The record cannot be completed: the session counts as unclean and can be repaired.
        """
        if self.session.outcome != "running":
            return self.session
        for thread in self._threads.values():
            thread.close()
        for thread in self._threads.values():
            thread.drain(STALL_S)
        outcome: Outcome = "failed" if self.error else "complete"
        self.session.record(
            outcome=outcome,
            finished=now(),
            inputs=[entry_of(self._summary(outcome))],
        )
        return self.session

    def _summary(self, outcome: Outcome) -> InputSummary:
        tally, info, stats = self._results.tally, self._source.source_info, self.stats()
        first_ns, last_ns = tally.source_ns
        wall_first_ns, wall_last_ns = tally.wall_ns
        folder = self.session.folder
        files = {"rows": folder / ROWS, "events": folder / EVENTS, "video": folder / VIDEO}
        return InputSummary(
            input=self._input,
            kind=info.kind,
            outcome=outcome,
            error=self.error,
            frames=tally.frames,
            frames_with_faces=tally.frames_with_faces,
            faces=tally.faces,
            most_faces=tally.most_faces,
            tracks=len(tally.track_ids),
            rows=self._results.rows.rows,
            events=dict(self._results.events.counts),
            width=info.width,
            height=info.height,
            duration_s=(last_ns - first_ns) / 1e9,
            elapsed_s=self.elapsed_s,
            fps=(tally.frames - 1) * 1e9 / (wall_last_ns - wall_first_ns)
            if wall_last_ns > wall_first_ns
            else float("nan"),
            drops={name: part.drops for name, part in stats.items()},
            sinks=stats,
            files={name: path for name, path in files.items() if path.exists()},
        )


class _ResultSink:
    """Readings, rows and events of the same moments, on one thread."""

    def __init__(self, folder: Path) -> None:
        self._log = LogWriter(folder / READINGS)
        self.rows = RowSink(folder / ROWS, landmarks=False, backfill=False)
        self.events = EventSink(folder / EVENTS)
        self.tally = self.rows.tally

    def open(self, info: SourceInfo) -> None:
        self.rows.open(info)
        self.events.open(info)

    def write(self, reading: Reading) -> None:
        self._log.write(reading)
        self.rows.write(reading)
        self.events.write(reading)

    def flush(self) -> None:
        self._log.flush()
        self.rows.flush()

    def close(self) -> None:
        with contextlib.ExitStack() as each:  # one that fails leaves none of the others open
            for part in (self._log, self.rows, self.events):
                each.callback(part.close)


class _VideoSink:
    """What the source showed; with faces that nobody recognises, where that is wanted."""

    def __init__(self, path: Path, crf: int, *, blurred: bool) -> None:
        self._path, self._crf, self._blurred = path, crf, blurred
        self._recorder: VideoRecorder | None = None

    def open(self, info: SourceInfo) -> None:
        self._recorder = VideoRecorder(self._path, info.fps, self._crf, key_s=_KEY_S)

    def write(self, reading: Reading) -> None:
        assert self._recorder is not None
        image = reading.scene.frame.image
        if self._blurred:
            image = blur_faces(image, reading.scene.tracks)
        self._recorder.write(image, reading.scene.frame.t_ns)

    def close(self) -> None:
        if self._recorder is not None:
            self._recorder.close()


def blur_faces(image: Image, tracks: tuple[Track, ...]) -> Image:
    """Return a copy of an image in which each tracked face is a few blocks.

    A face that was not found is not blurred: this protects those who are measured, not everybody.
    """
    blurred = image.copy()
    height, width = image.shape[:2]
    for track in tracks:
        x0, y0, x1, y1 = np.nan_to_num(track.xyxy).tolist()
        more_x, more_y = _BLUR_MARGIN * (x1 - x0), _BLUR_MARGIN * (y1 - y0)
        left, top = max(0, int(x0 - more_x)), max(0, int(y0 - more_y))
        right, bottom = min(width, int(x1 + more_x) + 1), min(height, int(y1 + more_y) + 1)
        if right <= left or bottom <= top:
            continue
        part = blurred[top:bottom, left:right]
        few = cv2.resize(part, (_BLOCKS, _BLOCKS), interpolation=cv2.INTER_AREA)
        size = (right - left, bottom - top)
        part[:] = cv2.resize(few, size, interpolation=cv2.INTER_NEAREST)
    return blurred
