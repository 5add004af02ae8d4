"""Cameras and streams that may stop, hang or repeat themselves, and come back.

One daemon thread reads each opened device; a watchdog abandons it when nothing new comes and opens
the device again, waiting longer after each failure. A driver that hangs is left to its thread:
nothing of it is ever waited for, and what it delivers later is thrown away.
"""

from __future__ import annotations

import logging
import threading
import time
from typing import TYPE_CHECKING, Final, Protocol

import numpy as np

from realtime_affect import memory
from realtime_affect.capture.source import SourceInfo
from realtime_affect.capture.state import SourceState
from realtime_affect.errors import AffectError, InputError
from realtime_affect.redact import redact, safe_cause
from realtime_affect.slots import LatestSlot, SlotClosed
from realtime_affect.types import Frame
from realtime_affect.worker import Worker

if TYPE_CHECKING:
    from collections.abc import Callable

    from realtime_affect.capture.source import CaptureConfig, SourceKind
    from realtime_affect.types import Image

_LOG = logging.getLogger(__name__)
_MAX_STUCK: Final = 8  # abandoned threads that still hang in their driver; no more are added
_CLOSE_WAIT_S: Final = 0.5
_SPARSE: Final = 16  # pixels compared first, one in so many each way


class Device(Protocol):
    """An opened camera or stream; opened, read and closed by one and the same thread."""

    fps: float | None

    def read(self) -> Image | None:
        """Wait for the next image, (H, W, 3) uint8 BGR, a new array; None ends the session.

        May hang, and may raise anything: both are survived.
        """

    def close(self) -> None:
        """Free the device."""


class LiveSource:
    """The newest frame of a camera or stream; a :class:`~realtime_affect.capture.Source`.

    OFFLINE when no image has come for ``config.offline_after_s``, when the session has ended, or
    when the images have been one and the same for `freeze_s`; ONLINE again with the next new image.
    Index and ``t_ns`` go on increasing. What only repeats the image it froze on stays OFFLINE.

    Parameters
    ----------
    opener : callable
        Returns an opened :class:`Device`, or raises InputError. May hang.
    kind, name : str
        As in ``SourceInfo``.
    config : CaptureConfig
    check_freeze : bool
        Whether images byte-identical to the last count for `freeze_s` only.
    freeze_s : float, optional
        Default ``config.offline_after_s``.
    hint : str
        What to try when no image comes.

    Raises
    ------
    InputError
        It cannot be opened, or gives no image within ``config.open_timeout_s``.
    """

    def __init__(  # noqa: PLR0913  (two by name only)
        self,
        opener: Callable[[], Device],
        kind: SourceKind,
        name: str,
        config: CaptureConfig,
        *,
        check_freeze: bool = False,
        freeze_s: float | None = None,
        hint: str = "Check that it is connected and sends images.",
    ) -> None:
        self._opener = opener
        self._name = name
        self._config = config
        self._check_freeze = check_freeze
        self._frozen_s = config.offline_after_s if freeze_s is None else freeze_s
        self._slot: LatestSlot[Frame] = LatestSlot()
        self._changed = threading.Condition()  # guards everything below
        self._closing = threading.Event()
        self._online = False
        self._new_ns = 0  # of the last image that differed from the one before
        self._last_ns = 0  # of the last image
        self._index = 0
        self._t_ns = 0
        self._previous: Image | None = None
        self._lost = 0
        self._reason = ""
        self._stuck: list[_Reader] = []
        self._reader = self._start_reader()
        self._await_first(name, hint)
        shape = self._previous.shape if self._previous is not None else (0, 0)
        self._info = SourceInfo(kind, name, shape[1], shape[0], self._reader.fps, None, live=True)
        self._watchdog = Worker("capture watchdog", self._watch)
        self._watchdog.start()

    @property
    def info(self) -> SourceInfo:
        """What was known of the source when it was opened."""
        return self._info

    @property
    def state(self) -> SourceState:
        """Whether new images come; asked of the clock, so it is right at once."""
        if self._closing.is_set():
            return SourceState.ENDED
        with self._changed:
            fresh = self._online and self._fresh_s() > 0
            return SourceState.ONLINE if fresh else SourceState.OFFLINE

    @property
    def warnings(self) -> tuple[str, ...]:
        """How often the source was lost, and why the last time."""
        with self._changed:
            if not self._lost:
                return ()
            times = "once" if self._lost == 1 else f"{self._lost} times"
            return (f"lost {times}; the last cause: {self._reason}",)

    @property
    def dropped(self) -> int:
        """Frames replaced by newer ones before anyone read them."""
        return self._slot.counters.drops

    def read(self, timeout_s: float) -> Frame | None:
        """Return the newest frame not read yet, or None when closed.

        Raises
        ------
        TimeoutError
            None came within `timeout_s`; :attr:`state` says whether that is worrying.
        """
        try:
            return self._slot.get(timeout_s)
        except SlotClosed:
            return None

    def close(self) -> None:
        """End the source; a driver that hangs is left behind."""
        if self._closing.is_set():
            return
        self._closing.set()
        with self._changed:
            self._reader.abandoned = True
            self._changed.notify_all()
        self._slot.close()
        self._reader.join(_CLOSE_WAIT_S)
        self._watchdog.wait(_CLOSE_WAIT_S)

    def _start_reader(self) -> _Reader:
        reader = _Reader(self._opener, self._accept, self._note_end)
        self._reader = reader  # before it runs: what it delivers must find itself here
        reader.start()
        return reader

    def _await_first(self, name: str, hint: str) -> None:
        """Wait for the first image, or raise."""
        reader = self._reader
        with self._changed:
            self._changed.wait_for(
                lambda: reader.delivered or reader.ended, self._config.open_timeout_s
            )
            if reader.delivered:
                return
            reader.abandoned = True
        self._closing.set()
        if isinstance(reader.error, AffectError):
            raise reader.error
        raise InputError(
            thing=f"source {name}",
            got=reader.reason or f"no image within {self._config.open_timeout_s:g} s",
            expected="an image",
            hint=hint,
        ) from safe_cause(reader.error)

    def _accept(self, reader: _Reader, image: Image, now_ns: int) -> None:
        """Take an image over from a reader's thread."""
        same = self._check_freeze and _same(image, self._previous)
        with self._changed:
            if reader is not self._reader or reader.abandoned:
                return
            self._previous, self._last_ns = image, now_ns
            if not same:
                if not reader.delivered and self._lost:
                    gone_s = (now_ns - self._new_ns) / 1e9
                    _LOG.warning("%s is back, %.1f s after its last image", self._name, gone_s)
                self._new_ns = now_ns
                self._online = True
                reader.delivered = True
                self._changed.notify_all()
            elif not self._online:
                return  # still the image it froze on
            self._t_ns = max(now_ns, self._t_ns + 1)
            frame = Frame(self._index, self._t_ns, now_ns, image, stretch=reader.stretch)
            self._index += 1
        try:
            self._slot.put(frame)
        except SlotClosed:
            reader.abandoned = True

    def _note_end(self, reader: _Reader) -> None:
        """Learn that a reader's session is over."""
        with self._changed:
            if reader is self._reader:
                self._online = False
            self._changed.notify_all()

    def _watch(self) -> None:
        """Abandon and reopen, until closed."""
        config = self._config
        delay_s = config.reconnect_first_s
        while True:
            with self._changed:
                while not self._closing.is_set() and (left_s := self._patience_s()) > 0:
                    self._changed.wait(left_s)
                if self._closing.is_set():
                    return
                reader = self._reader
                reader.abandoned = True
                self._online = False
                self._lost += reader.delivered
                self._reason = reader.reason or self._why_abandoned()
            if reader.delivered:
                delay_s = config.reconnect_first_s
                _LOG.warning("%s is lost: %s; reopening it", self._name, self._reason)
            else:
                _LOG.info("%s cannot be reopened yet: %s", self._name, self._reason)
            self._stuck.append(reader)
            while True:
                if self._closing.wait(delay_s):
                    return
                delay_s = min(2 * delay_s, config.reconnect_max_s)
                self._stuck = [stuck for stuck in self._stuck if stuck.is_alive()]
                if len(self._stuck) < _MAX_STUCK:
                    break
            if reader.delivered:
                memory.trim()  # what its decoder freed; nothing comes now that it could hold up
            with self._changed:
                if self._closing.is_set():
                    return
                self._start_reader()

    def _patience_s(self) -> float:
        """Return how long the present reader may still take; called with the lock held."""
        reader = self._reader
        if reader.ended:
            return 0.0
        if reader.delivered:
            return self._fresh_s()
        return self._config.open_timeout_s - (time.monotonic_ns() - reader.began_ns) / 1e9

    def _fresh_s(self) -> float:
        """Return for how long the last images still count; called with the lock held."""
        now_ns = time.monotonic_ns()
        silent_s = self._config.offline_after_s - (now_ns - self._last_ns) / 1e9
        return min(silent_s, self._frozen_s - (now_ns - self._new_ns) / 1e9)

    def _why_abandoned(self) -> str:
        """Say what became of a reader that goes on; called with the lock held."""
        silent_s = self._config.offline_after_s
        if time.monotonic_ns() - self._last_ns < silent_s * 1e9:
            return f"the same image for {self._frozen_s:g} s"
        return f"no new image for {silent_s:g} s"


class _Reader(threading.Thread):
    """Open a device and read it until it ends or nobody wants it any more."""

    def __init__(
        self,
        opener: Callable[[], Device],
        accept: Callable[[_Reader, Image, int], None],
        note_end: Callable[[_Reader], None],
    ) -> None:
        super().__init__(name="capture reader", daemon=True)
        self._opener = opener
        self._accept = accept
        self._note_end = note_end
        self.began_ns = time.monotonic_ns()
        self.fps: float | None = None
        self.delivered = False
        self.abandoned = False
        self.ended = False
        self.stretch = (1.0, 1.0)
        self.reason = ""
        self.error: Exception | None = None

    def run(self) -> None:
        try:
            device = self._opener()
            try:
                self.fps = device.fps
                while not self.abandoned:
                    image = device.read()
                    now_ns = time.monotonic_ns()
                    self.stretch = getattr(device, "stretch", self.stretch)
                    if image is None:
                        self.reason = "the session ended"
                        break
                    self._accept(self, image, now_ns)
            finally:
                device.close()
        except Exception as error:  # noqa: BLE001  (a driver's failure is a state, not ours)
            self.error = _without_frames(error)
            self.reason = error.got if isinstance(error, AffectError) else _said(error)
        finally:
            self.ended = True
            self._note_end(self)


def _without_frames(error: Exception) -> Exception:
    """Return an error that keeps nothing alive: tracebacks hold frames, and these the device."""
    held: BaseException | None = error
    while held is not None:
        held.__traceback__ = None
        held = held.__cause__ or held.__context__
    return error


def _said(error: Exception) -> str:
    """Return an error's own words without what FFmpeg appends: the URL."""
    return redact(getattr(error, "strerror", None) or str(error)) or type(error).__name__


def _same(image: Image, previous: Image | None) -> bool:
    """Whether two images are byte-identical."""
    if previous is None or image.shape != previous.shape:
        return False
    sparse = np.s_[::_SPARSE, ::_SPARSE]
    return np.array_equal(image[sparse], previous[sparse]) and np.array_equal(image, previous)
