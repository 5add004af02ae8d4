"""What ``realtime-affect serve`` does: settings in, signals in, a service out."""

from __future__ import annotations

import logging
import signal
from typing import TYPE_CHECKING, Any

from realtime_affect.serve.presets import load_settings
from realtime_affect.serve.service import Service
from realtime_affect.worker import ENDING_SIGNALS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from realtime_affect.config import Config

_LOG = logging.getLogger(__name__)


def serve(
    named: str | None,
    overrides: Iterable[str],
    source: str | None = None,
    switch: Callable[[Config], Config] = lambda config: config,
) -> None:
    """Serve until the source ends or a signal asks to stop; must be called on the main thread.

    Parameters
    ----------
    named : str or None
        File or preset, as ``--config`` takes it.
    overrides : iterable of str
        ``section.key=value``.
    source : str, optional
        Instead of ``serve.source``.
    switch : callable, optional
        Changes the settings at last, as options of the command line do.

    Raises
    ------
    AffectError, WorkerError
        What ended it; see :class:`~realtime_affect.serve.service.Service`.
    """
    config = load_settings(named, overrides)
    if source is not None:
        config = config.with_values({"serve.source": source})
    service = Service(switch(config))
    before: dict[signal.Signals, Any] = {}

    def ask(_number: int, _frame: Any) -> None:
        service.stop()
        for number, handler in before.items():
            signal.signal(number, handler)  # a second signal does what it always did

    for number in ENDING_SIGNALS:
        if signal.getsignal(number) != signal.SIG_IGN:  # as nohup sets it
            before[number] = signal.signal(number, ask)
    try:
        if service.server is not None and service.server.port is not None:
            _LOG.info("serving on %s:%d", config.serve.host, service.server.port)
        service.run()
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
