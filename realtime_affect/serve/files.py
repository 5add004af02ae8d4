"""The files of the service: what a disk does to them must not touch the readings.

A disk that hangs, is full, read-only or gone is said in the health and the log, what it costs is
counted, and a new folder is begun as soon as that works again.
"""

from __future__ import annotations

import logging
import threading
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from realtime_affect.errors import AffectError
from realtime_affect.outputs.folder import RunFolder
from realtime_affect.outputs.manifest import Manifest
from realtime_affect.outputs.recording import (
    OutputFiles,
    Recording,
    conclude_run,
    files_of_run,
)
from realtime_affect.worker import Worker, call_within

if TYPE_CHECKING:
    from collections.abc import Mapping

    from realtime_affect.config import Config
    from realtime_affect.runtime.pipeline import Pipeline

_LOG = logging.getLogger(__name__)
_HANGS_S: Final = 2.0  # without a row written, while some wait
_BEGIN_WAIT_S: Final = (
    2.0  # for the first folder, so that no reading is missed where the disk is well
)
_END_WAIT_S: Final = 10.0


class ServiceFiles:
    """Rows and video of one pipeline, begun anew when they cannot be written on.

    Parameters
    ----------
    pipeline : Pipeline
        Not started.
    config : Config
        ``serve.out`` says where.
    """

    def __init__(self, pipeline: Pipeline, config: Config) -> None:
        self.error = ""
        """What is wrong with them; empty where nothing is."""
        self._pipeline, self._config = pipeline, config
        self._delay_s = config.serve.retry_first_s
        self._next_s = 0.0
        self._lost = 0
        self._begun: tuple[RunFolder, Manifest, Recording] | None = None
        self._beginner: Worker | None = None
        self._ended = threading.Event()
        self._waiting_since_s: float | None = None
        self._begin()
        if self._beginner is not None:
            self._beginner.wait(_BEGIN_WAIT_S)

    @property
    def lost(self) -> int:
        """Readings without a row so far: lost by a disk that hung, or while none could be begun."""
        begun = self._begun
        return self._lost + (begun[2].lost if begun is not None else 0)

    def step(self) -> None:
        """Look after them; called some times a second, and never waits."""
        begun, now_s = self._begun, time.monotonic()
        if begun is not None:
            recording = begun[2]
            broken = recording.broken
            if broken:
                self._give_up(begun, broken)
            else:
                self._watch(recording, now_s)
        elif self._beginner is not None and self._beginner.working:
            self._tell("a disk that does not answer: no file could be begun")
        elif now_s >= self._next_s:
            self._begin()

    def finish(self, streams: Mapping[str, Any] | None = None) -> None:
        """Complete them after the pipeline was told to stop; a slow disk is waited for, a bit.

        `streams` is what each stream counted.
        """
        self._ended.set()
        begun, self._begun = self._begun, None
        if begun is None:
            return
        folder, manifest, recording = begun

        def conclude() -> None:
            with recording:
                conclude_run(manifest, recording.finish(), recording.failure, streams)

        try:
            call_within(_END_WAIT_S + _END_WAIT_S, "files", conclude)
        except AffectError as error:
            self._tell(str(error))
        finally:
            folder.close()

    def _begin(self) -> None:
        def begin() -> None:
            try:
                begun = self._open()
            except AffectError as error:
                self._tell(str(error))
                return
            if self._ended.is_set():  # too late: the disk answered after the end
                begun[2].abandon()
                begun[0].close()
                return
            self._begun = begun
            if self.error:
                _LOG.warning("files are written again, in %s", begun[0].path)
            self.error, self._delay_s = "", self._config.serve.retry_first_s

        self._next_s = time.monotonic() + self._delay_s
        self._delay_s = min(2 * self._delay_s, self._config.serve.retry_max_s)
        self._waiting_since_s = None
        self._beginner = Worker("files", begin)
        self._beginner.start()

    def _open(self) -> tuple[RunFolder, Manifest, Recording]:
        """Begin this run's files in a folder of its own."""
        pipeline, config = self._pipeline, self._config
        name, source = pipeline.source_info.name, config.serve.source
        began = datetime.now(UTC).strftime("%Y%m%dT%H%M%S.%fZ")
        folder = RunFolder(Path(config.serve.out or "") / f"{name}-{began}", fresh=True)
        try:
            files = files_of_run(folder.path, name, video=config.record.video)
            # No timeline: drawn at the end, over days of rows, it would hold up the end.
            wanted = OutputFiles(rows=files.rows, video=files.video)
            manifest = Manifest(folder.path, "serve", config, [source], pipeline.models)
            recording = Recording(pipeline, wanted, config, source, manifest, required=False)
        except BaseException:
            folder.close()
            raise
        return folder, manifest, recording

    def _give_up(self, begun: tuple[RunFolder, Manifest, Recording], why: str) -> None:
        """Leave files that cannot be written any more, and try for new ones later."""
        self._begun = None
        self._lost += begun[2].lost
        self._tell(why)
        self._next_s = time.monotonic() + self._delay_s
        Worker("files", lambda: self._leave(begun)).start()

    @staticmethod
    def _leave(begun: tuple[RunFolder, Manifest, Recording]) -> None:
        begun[2].abandon()
        begun[0].close()

    def _watch(self, recording: Recording, now_s: float) -> None:
        """Notice a disk that takes nothing any more; its sink goes on when it does."""
        if not recording.waiting:
            self._waiting_since_s = None
            if self.error:
                _LOG.warning("files are written again; %d readings are not in them", self.lost)
            self.error = ""
        elif self._waiting_since_s is None:
            self._waiting_since_s = now_s
        elif now_s - self._waiting_since_s > _HANGS_S:
            self._tell(f"a disk that hangs: {recording.waiting} readings wait, {self.lost} lost")

    def _tell(self, error: str) -> None:
        if not self.error:
            _LOG.error("no files are written, readings go on: %s", error)
        self.error = error
