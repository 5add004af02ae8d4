"""What is measured: a scenario, in code or as a TOML file."""

from __future__ import annotations

import tomllib
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Final, Literal

from pydantic import Field, PositiveFloat, PositiveInt

from realtime_affect.errors import UsageError
from realtime_affect.settings import Section

if TYPE_CHECKING:
    from pathlib import Path

_Sides = Annotated[tuple[PositiveInt, PositiveInt], Field(strict=False)]


class Scenario(Section):
    """A source and what is done with it for some seconds.

    Attributes
    ----------
    mode : str
        "live": frames come when a camera would bring them, the newest wins. "single-stream": the
        next one comes as soon as the last is answered in full, as in MLPerf's scenario of that
        name. "saturated": frames wait for nothing, each is answered, as in ``analyze``.
    source : str
        As ``run`` takes it; files are played again and again.
    faces : int or None
        Faces that should be in view: how often halves of the demo are shown. Of other sources how
        many are expected; None = not known.
    size_px : (int, int) or None
        Width and height of images; None = the source's own. Only files are scaled.
    fps : float or None
        Frames a second; None = the source's own. Of files only.
    seconds : float
    window : bool
        Paint every reading as the window does.
    record : bool
        Write rows, events and the annotated video, into a folder that is deleted.
    set : dict
        Settings: ``"section.key"`` and the value.
    """

    section: ClassVar[str] = "scenario"

    mode: Literal["live", "single-stream", "saturated"] = "live"
    source: str = "demo"
    faces: PositiveInt | None = None
    size_px: _Sides | None = None
    fps: PositiveFloat | None = None
    seconds: PositiveFloat = 20.0
    window: bool = False
    record: bool = False
    set: dict[str, Any] = {}  # noqa: RUF012  (pydantic copies it)


DEFAULT: Final = {
    "live": Scenario(),
    "live, painted and recorded": Scenario(window=True, record=True),
    "single stream": Scenario(mode="single-stream"),
    "saturated": Scenario(mode="saturated"),
}
"""What ``realtime-affect bench`` runs."""


def read_scenario(path: Path) -> Scenario:
    """Read a scenario from a TOML file.

    Raises
    ------
    UsageError
        The file cannot be read, is not TOML, or says something that there is not.
    """
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UsageError(
            thing=f"scenario {path}",
            got=str(error),
            expected="a TOML file with the keys of a scenario",
            hint="Such as: faces = 4, seconds = 20, window = true.",
        ) from error
    return Scenario(**values)
