"""How long it takes from a change in front of the camera to the same change on the screen.

The camera looks at a screen of one colour, which turns from black to white and back. A way is from
the moment the colour was drawn to the moment the first image that shows it was drawn: the light,
the sensor, the cable, the networks and the painting are in it. What the screen itself takes to show
what was drawn is in both moments, so it cancels.
"""

from __future__ import annotations

import random
import time
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Final, Protocol

import numpy as np

from realtime_affect.errors import UsageError
from realtime_affect.overlay import OverlayStatus, paint
from realtime_affect.runtime.stats import Percentiles
from realtime_affect.slots import SlotClosed

if TYPE_CHECKING:
    from realtime_affect.config import Config
    from realtime_affect.runtime.pipeline import Pipeline
    from realtime_affect.types import Image

GUIDE: Final = (
    "Point the camera at this screen, close enough that the coloured window fills its picture.",
    "Switch automatic exposure off if the camera lets you, and dim nothing meanwhile.",
    "Leave window and camera alone until the table comes; closing the window ends it early.",
)
"""What the user is to do."""

_SETTLED_S: Final = 1.0  # of each colour before its level counts: automatic exposure
_PAUSES_S: Final = (0.2, 0.5)  # between changes, by chance: no beat with the camera's frames
_LOST_S: Final = 2.0  # after which a change was not seen
_LEAST: Final = 20.0  # levels between black and white as the camera sees them


class Screen(Protocol):
    """What the camera looks at."""

    @property
    def closed(self) -> bool:
        """Whether the user has closed it."""

    def turn(self, *, light: bool) -> None:
        """Draw white or black, and return when it is drawn."""

    def present(self, image: Image) -> None:
        """Draw what the window would show, small; return when it is drawn."""


def measure_glass(
    pipeline: Pipeline, config: Config, screen: Screen, changes: int = 100
) -> dict[str, Any]:
    """Change the screen's colour and time how long the painted image takes to follow.

    Parameters
    ----------
    pipeline : Pipeline
        Live, of the camera that sees the screen; started here, stopped at the end.
    config : Config
    screen : Screen
    changes : int

    Returns
    -------
    dict
        ``changes``, ``lost``, and percentiles in milliseconds in ``ways``: "glass to glass", and
        its parts "to the capture's time" and "age at paint".

    Raises
    ------
    UsageError
        The camera does not see the screen's colour change.
    """
    watched = _Watched(pipeline, config, screen)
    chance = random.Random(0)
    ways: dict[str, list[float]] = {
        "glass to glass": [], "to the capture's time": [], "age at paint": [],
    }  # fmt: skip
    lost, light = 0, False
    pipeline.start()
    try:
        levels = []
        for colour in (True, False):
            screen.turn(light=colour)
            levels.append(watched.level_after(_SETTLED_S))
        white, black = levels
        if not screen.closed and not white - black >= _LEAST:
            raise UsageError(
                thing="camera's view of the screen",
                got=f"levels {black:.0f} and {white:.0f} of 255 for black and white",
                expected=f"a difference of at least {_LEAST:.0f}",
                hint=GUIDE[0],
            )
        middle = (white + black) / 2
        for _ in range(changes):
            watched.level_after(chance.uniform(*_PAUSES_S))
            if screen.closed:
                break
            light = not light
            screen.turn(light=light)
            drawn_ns = time.monotonic_ns()
            seen = watched.until(middle, light=light, drawn_ns=drawn_ns)
            if seen is None:
                lost += 1
                continue
            captured_ns, painted_ns = seen
            parts = painted_ns - drawn_ns, captured_ns - drawn_ns, painted_ns - captured_ns
            for samples, part in zip(ways.values(), parts, strict=True):
                samples.append(part / 1e6)
    finally:
        pipeline.stop()
        watched.close()
    pipeline.raise_failure()
    return {
        "changes": changes,
        "lost": lost,
        "ways": {name: asdict(Percentiles.of(np.array(way))) for name, way in ways.items()},
    }


def glass_table(figures: dict[str, Any]) -> str:
    """Return what was measured as a table in Markdown."""
    keys = ("p50", "p90", "p95", "p99", "max")
    seen = figures["ways"]["glass to glass"]["n"]
    lines = [f"| ms | {' | '.join(keys)} |", "|---" * (len(keys) + 1) + "|"]
    lines += [
        f"| {name} | {' | '.join(f'{way[key]:.0f}' for key in keys)} |"
        for name, way in figures["ways"].items()
        if way["n"]
    ]
    return "\n".join([*lines, "", f"{seen} changes of colour seen, {figures['lost']} lost"])


class _Watched:
    """The readings of a camera that looks at a screen, each painted as a window would."""

    def __init__(self, pipeline: Pipeline, config: Config, screen: Screen) -> None:
        self._pipeline, self._overlay, self._screen = pipeline, config.overlay, screen
        self._slot = pipeline.subscribe()

    def level_after(self, seconds: float) -> float:
        """Go on for a time and return the last image's level; NaN without one."""
        level, ends = float("nan"), time.monotonic() + seconds
        while time.monotonic() < ends and not self._screen.closed:
            found = self._next()
            level = level if found is None else found[2]
        return level

    def until(self, middle: float, *, light: bool, drawn_ns: int) -> tuple[int, int] | None:
        """Return when the first image in the new colour was captured and painted; None: lost."""
        ends = time.monotonic() + _LOST_S
        while time.monotonic() < ends and not self._screen.closed:
            found = self._next()
            if found is not None and found[0] >= drawn_ns and (found[2] > middle) == light:
                return found[:2]
        return None

    def close(self) -> None:
        """Let go of the readings."""
        self._slot.close()

    def _next(self) -> tuple[int, int, float] | None:
        """Paint the next reading; return when it was captured, painted, and its level."""
        try:
            reading = self._slot.get(0.05)
        except (TimeoutError, SlotClosed):
            self._pipeline.raise_failure()
            return None
        frame, stats = reading.scene.frame, self._pipeline.stats()
        status = OverlayStatus(stats.fps, 0.0, stats.drops, "", "")
        self._screen.present(paint(reading, self._overlay, status))
        painted_ns = time.monotonic_ns()
        height, width = frame.image.shape[:2]
        inner = frame.image[height // 4 : -(height // 4) : 4, width // 4 : -(width // 4) : 4]
        return frame.captured_ns, painted_ns, float(inner.mean())
