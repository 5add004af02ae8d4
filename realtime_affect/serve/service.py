"""The service: open, run, watch, restart, degrade, tell, and end when asked to.

A source that is not there is waited for, and a part that fails is started again, each with longer
and longer waits; five failures within a minute end the service with exit code 1, so that a
supervisor can do what it is set to. A wrong setting, a missing model or library, a full disk end it
at once with their own codes: trying again would not help.
"""

from __future__ import annotations

import contextlib
import logging
import os
import threading
import time
from collections import deque
from pathlib import Path
from typing import TYPE_CHECKING, Final

from realtime_affect import memory
from realtime_affect.capture import SourceState
from realtime_affect.errors import (
    AffectError,
    DependencyError,
    InputError,
    ModelError,
    OutputError,
    UsageError,
)
from realtime_affect.outputs.json_lines import health_line
from realtime_affect.outputs.sinks import StreamSink
from realtime_affect.outputs.stream_server import StreamServer, open_lines, publish_all
from realtime_affect.outputs.streams.opened import OpenStreams
from realtime_affect.runtime.pipeline import WorkerError
from realtime_affect.serve.factory import Paces, is_awaited, make_pipeline
from realtime_affect.serve.files import ServiceFiles
from realtime_affect.serve.health import Ages, Health, HealthFile, State, look_at_machine
from realtime_affect.serve.systemd import Supervisor
from realtime_affect.worker import call_within

if TYPE_CHECKING:
    from collections.abc import Callable

    from realtime_affect.config import Config
    from realtime_affect.runtime.pipeline import Pipeline
    from realtime_affect.runtime.stats import PipelineStats
    from realtime_affect.serve.health import Machine
    from realtime_affect.types import Reading

_LOG = logging.getLogger(__name__)

# What trying again would not mend.
_FINAL: Final = (UsageError, ModelError, DependencyError, OutputError)
_TICK_S: Final = 0.2
_MAKE_ROOM_S: Final = 2.0  # a disk that does not answer is left alone
_STEP_S: Final = 1.0
_DRAIN_S: Final = 5.0


class Service:
    """Run until the source ends, :meth:`stop` is called, or it fails too often.

    Parameters
    ----------
    config : Config
    make : callable, optional
        What returns a pipeline for the settings and paces; tests give their own.
    look : callable, optional
        What looks at the machine; tests give their own.
    supervisor : Supervisor, optional
        Default the one of the environment.
    abort : callable, optional
        What ends a process whose threads hang; tests give their own.

    Raises
    ------
    OutputError
        The stream's address is taken.
    """

    def __init__(
        self,
        config: Config,
        *,
        make: Callable[[Config, Paces], Pipeline] = make_pipeline,
        look: Callable[[], Machine] = look_at_machine,
        supervisor: Supervisor | None = None,
        abort: Callable[[int], object] = os._exit,
    ) -> None:
        settings = config.serve
        self._config, self._make, self._look = config, make, look
        self._supervisor = supervisor or Supervisor()
        self._abort = abort
        self._stopping = threading.Event()
        self._began_ns = self._started_ns = time.monotonic_ns()
        self._state: State = "starting"
        self._last_error = ""
        self._restarts = 0
        self._failures: deque[float] = deque()
        self._pipeline: Pipeline | None = None
        self._ages = Ages()
        self._faces = 0
        self._next_step_s = 0.0
        self._ready = False
        self._paces = Paces.of(settings)
        # Watched twice as often as asked, so that one late second does not end the service.
        watchdog_s = self._supervisor.watchdog_s
        self._step_s = _STEP_S if watchdog_s is None else min(_STEP_S, watchdog_s / 3)
        self._files: ServiceFiles | None = None
        self._lost = 0
        self._health_file: HealthFile | None = None
        self._streams = open_lines(config)
        self.server = next((s for s in self._streams if isinstance(s, StreamServer)), None)
        """What clients of lines connect to, or None."""
        try:
            self._feeds = OpenStreams(config, lines=False)
        except BaseException:
            for stream in self._streams:
                stream.close()
            raise

    def stop(self) -> None:
        """Ask the service to drain and end; any thread, and a signal handler, may call."""
        self._stopping.set()

    def run(self) -> None:
        """Serve; returns when the source has ended or :meth:`stop` was called.

        Raises
        ------
        AffectError
            What trying again would not mend: settings, models, libraries, outputs, a missing file.
        WorkerError
            The pipeline failed too often.
        """
        try:
            self._make_room()
            if self._config.serve.health_file is not None:
                self._health_file = HealthFile(self._config.serve.health_file)
            self._serve()
        except BaseException as failure:
            self._last_error = str(failure) or repr(failure)
            self._state = "failed"
            raise
        finally:
            self._supervisor.stopping()
            self._tell()
            if self._health_file is not None:
                self._health_file.close()
            self._feeds.close()
            for stream in self._streams:
                stream.close()

    def health(self) -> Health:
        """Return how the service is now. Any thread may call."""
        return self._health(self._look())

    def _make_room(self) -> None:
        """Make the folder of ``serve.out``, which may be the health file's, if the disk lets us."""
        out = self._config.serve.out
        if out is not None:
            # Files of a run say what is wrong with it, and try it again.
            with contextlib.suppress(OSError, ValueError):
                call_within(
                    _MAKE_ROOM_S, "files", lambda: Path(out).mkdir(parents=True, exist_ok=True)
                )

    def _serve(self) -> None:
        settings = self._config.serve
        delay_s = settings.retry_first_s
        while not self._stopping.is_set():
            self._set_state("starting")
            try:
                pipeline = self._make(self._config, self._paces)
            except InputError as error:
                if not is_awaited(settings.source):
                    raise
                self._set_state("waiting", error)
                delay_s = self._wait(delay_s)
                continue
            began_s = time.monotonic()
            try:
                self._follow(pipeline)
            except _FINAL:
                raise
            except (AffectError, WorkerError) as failure:
                if time.monotonic() - began_s > settings.restart_window_s:
                    delay_s = settings.retry_first_s
                self._note_failure(failure)
                delay_s = self._wait(delay_s)
            else:
                break  # the source has ended, or we were told to stop
        self._set_state("ended")

    def _follow(self, pipeline: Pipeline) -> None:
        """Run one pipeline until its source ends, it fails, or the service is to stop."""
        memory.spare_loaded()  # before there are frames to hold up, or a time to be late by
        self._ages = Ages()
        self._started_ns = time.monotonic_ns()
        with pipeline:
            pipeline.attach(StreamSink(self._streams, self._note_sent), name="streams")
            self._feeds.attach(pipeline, health=False)
            if self._config.serve.out is not None:
                self._files = ServiceFiles(pipeline, self._config)
            self._pipeline = pipeline
            pipeline.start()
            try:
                while pipeline.running and not self._stopping.is_set():
                    self._step()
                    self._stopping.wait(_TICK_S)
                if self._stopping.is_set():
                    self._set_state("stopping")
                pipeline.stop()
                if self._files is not None:
                    self._files.finish(self._feeds.stats())
                pipeline.join(_DRAIN_S)
            finally:
                self._pipeline = None
                if self._files is not None:
                    self._files.finish()
                    self._lost += self._files.lost
                    self._files = None

    def _note_sent(self, reading: Reading) -> None:
        """Note a reading that the clients were offered; on the sink's thread."""
        now_ns = time.monotonic_ns()
        self._faces = len(reading.scene.tracks)
        self._ages.add(now_ns, (now_ns - reading.scene.frame.captured_ns) / 1e6)

    def _step(self) -> None:
        """Judge how things are; once a second, and at once on a change, choose rates and tell."""
        pipeline = self._pipeline
        if pipeline is not None and not self._stopping.is_set():
            self._set_state(self._judge(pipeline))
        if self._files is not None:
            self._files.step()
        if time.monotonic() < self._next_step_s:
            return
        self._next_step_s = time.monotonic() + self._step_s
        self._tell()

    def _judge(self, pipeline: Pipeline) -> State:
        """Tell the state of a running pipeline by what came out of it."""
        if pipeline.source_state is SourceState.OFFLINE:
            return "offline"
        newest_ns = self._ages.newest_ns
        since_ns = self._started_ns if newest_ns is None else newest_ns
        if time.monotonic_ns() - since_ns > self._config.serve.stall_s * 1e9:
            return "stalled"
        return "starting" if newest_ns is None else "online"

    def _tell(self) -> None:
        """Write the health file, send it to clients, feed the watchdog where all is well."""
        machine = self._look()
        temperature_c = machine.temperature_c
        hot = temperature_c is not None and temperature_c >= self._config.serve.hot_c
        self._paces.step(hot=hot)
        health = self._health(machine)
        told = health.as_dict()
        if self._health_file is not None:
            self._health_file.put(told)
        publish_all(self._streams, "health", health_line(told))
        self._feeds.tell(told)
        line = health.in_a_line()
        if self._state == "stalled":
            self._supervisor.status(line)  # not alive: let the watchdog do its work
            self._give_up_unwatched()
        elif not self._ready and self._state in ("online", "waiting", "offline"):
            self._ready = True
            self._supervisor.ready(line)
        else:
            self._supervisor.alive(line)

    def _give_up_unwatched(self) -> None:
        """Leave without cleaning up where no watchdog will end a service that hangs."""
        stalled_ns = time.monotonic_ns() - (self._ages.newest_ns or self._started_ns)
        if self._supervisor.watchdog_s is None and stalled_ns > 2e9 * self._config.serve.stall_s:
            self._abort(1)

    def _health(self, machine: Machine) -> Health:
        pipeline, files = self._pipeline, self._files
        stats: PipelineStats | None = None if pipeline is None else pipeline.stats()
        p50, p99 = self._ages.percentiles()
        slots = {} if stats is None else stats.slots
        frames, decisions = self._paces.frames, self._paces.decisions
        web = self._feeds.stats().get("websocket", {})
        return Health(
            state=self._state,
            pid=os.getpid(),
            uptime_s=round((time.monotonic_ns() - self._began_ns) / 1e9, 1),
            fps=0.0 if stats is None or self._state != "online" else round(stats.fps, 2),
            age_p50_ms=p50,
            age_p99_ms=p99,
            frames=0 if stats is None else stats.frames_analysed,
            drops={
                "frames": slots["frames"].drops if slots else 0,
                "decisions": slots["jobs"].drops if slots else 0,
                "left_out": frames.left_out,
                "lines": sum(stream.drops for stream in self._streams) + web.get("missed", 0),
            },
            faces=self._faces if self._state == "online" else 0,
            clients=(0 if self.server is None else self.server.clients) + web.get("clients", 0),
            rate_fps=round(frames.hz, 2),
            rate_decisions_hz=round(decisions.hz, 2),
            lowered=frames.lowered or decisions.lowered,
            busy_vision=round(frames.load.busy, 3),
            busy_affect=round(decisions.load.busy, 3),
            restarts=self._restarts,
            last_error=self._last_error,
            files="" if files is None else files.error,
            lost=self._lost + (0 if files is None else files.lost),
            machine=machine,
        )

    def _set_state(self, state: State, error: BaseException | None = None) -> None:
        if error is not None:
            self._last_error = str(error) or repr(error)
        if state != self._state:
            self._next_step_s = 0.0  # a change is told at once
        self._state = state

    def _note_failure(self, failure: BaseException) -> None:
        """Count a failure of the pipeline; raise it where there were too many."""
        now_s, settings = time.monotonic(), self._config.serve
        self._failures.append(now_s)
        while now_s - self._failures[0] > settings.restart_window_s:
            self._failures.popleft()
        if len(self._failures) > settings.max_restarts:
            raise failure
        self._restarts += 1
        _LOG.warning("restarting after a failure: %s", failure, exc_info=failure)
        self._set_state("restarting", failure.__cause__ or failure)

    def _wait(self, delay_s: float) -> float:
        """Wait, telling how things are; return the next, longer wait."""
        until_s = time.monotonic() + delay_s
        while (left_s := until_s - time.monotonic()) > 0 and not self._stopping.is_set():
            self._step()
            self._stopping.wait(min(left_s, _TICK_S))
        return min(2 * delay_s, self._config.serve.retry_max_s)
