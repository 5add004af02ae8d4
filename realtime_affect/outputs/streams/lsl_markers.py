"""Markers from an LSL stream: the triggers of an experiment, at their own times."""

from __future__ import annotations

import logging
import threading
import time
from typing import TYPE_CHECKING, Any, Final

from realtime_affect.outputs.streams.clock import measure_offset
from realtime_affect.outputs.streams.liblsl import load_liblsl, time_correction
from realtime_affect.outputs.streams.rate import Allowance
from realtime_affect.worker import Worker

if TYPE_CHECKING:
    from collections.abc import Callable

    from realtime_affect.outputs.streams.config import LslConfig

_LOG = logging.getLogger(__name__)

MOST_HZ: Final = 100.0
"""Markers a second, on average, that are taken: an experiment's, not a recording's."""

_WAIT_S: Final = 0.2
_CORRECT_EVERY_S: Final = 5.0
_CLOSE_S: Final = 5.0


class LslMarkers:
    """Take samples of a named LSL stream as markers, for as long as it is there.

    Parameters
    ----------
    config : LslConfig
        With ``markers_from``.
    mark : callable
        Takes a label, the monotonic time in nanoseconds of its moment, and the uncertainty of that
        in milliseconds; called on a thread of this, must not block.

    Raises
    ------
    DependencyError
        The extra ``streams`` is not installed.
    """

    def __init__(self, config: LslConfig, mark: Callable[[str, int, float], None]) -> None:
        self._lsl = load_liblsl(allow_remote=config.allow_remote)
        self._name, self._mark = config.markers_from or "", mark
        self._ours = f"{config.name}/"
        self.counts: dict[str, float] = {"connected": 0, "markers": 0, "refused": 0}
        """Whether the stream is there; markers taken; looks at a stream that is sampled and
        markers beyond :data:`MOST_HZ`, which were not."""
        self._allowance = Allowance(MOST_HZ, burst=2 * MOST_HZ)
        self._closing = threading.Event()
        self._worker = Worker("LSL markers", self._run)
        self._worker.start()

    def shut_down(self) -> None:
        """Let go of the stream. Idempotent."""
        self._closing.set()
        self._worker.wait(_CLOSE_S)

    def _run(self) -> None:
        while not self._closing.is_set():
            found = self._lsl.resolve_byprop("name", self._name, 1, _WAIT_S)
            found = [info for info in found if self._may_be(info)]
            if not found:
                self._closing.wait(_WAIT_S)
                continue
            inlet = self._lsl.StreamInlet(found[0], max_buflen=10, recover=False)
            try:
                self._follow(inlet)
            except RuntimeError as error:
                _LOG.info("LSL stream %r: %s; looking for it again", self._name, error or "lost")
            finally:
                self.counts["connected"] = 0
                inlet.close_stream()

    def _may_be(self, info: Any) -> bool:
        """Whether a stream of that name can be one of markers."""
        if info.source_id().startswith(self._ours):
            return False  # our own events would come back as markers, and go out again, for ever
        if info.nominal_srate() > 0 and not self.counts["refused"]:
            _LOG.warning("LSL stream %r is sampled, so it is none of markers", self._name)
        self.counts["refused"] += info.nominal_srate() > 0
        return bool(info.nominal_srate() == 0)

    def _follow(self, inlet: Any) -> None:
        """Mark what comes until the stream is lost."""
        correction_s = uncertainty_s = 0.0
        due_s = 0.0
        while not self._closing.is_set():
            if time.monotonic() >= due_s:
                correction_s, uncertainty_s = time_correction(inlet, _CLOSE_S)
                due_s = time.monotonic() + _CORRECT_EVERY_S
                self.counts["connected"] = 1
            sample, stamp_s = inlet.pull_sample(_WAIT_S)
            if sample is None:
                continue
            if not self._allowance.take(time.monotonic()):
                self.counts["refused"] += 1
                continue
            clock = measure_offset(self._lsl.local_clock, looks=5)
            at_ns = clock.monotonic_ns(stamp_s + correction_s)
            label = " ".join(str(value) for value in sample)
            self._mark(label, at_ns, uncertainty_s * 1e3 + clock.uncertainty_ns / 1e6)
            self.counts["markers"] += 1
