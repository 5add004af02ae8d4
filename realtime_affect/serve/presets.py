"""Where the service's settings come from: a preset's name or a file."""

from __future__ import annotations

from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING

from realtime_affect.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from importlib.resources.abc import Traversable

    from realtime_affect.config import Config


def preset_names() -> list[str]:
    """Return the names of the presets that ship with the package."""
    return sorted(path.name for path in _presets().iterdir() if path.name.endswith(".toml"))


def load_settings(named: str | None, overrides: Iterable[str] = ()) -> Config:
    """Read what ``--config`` names: a file, else a preset of that name; then apply overrides.

    Parameters
    ----------
    named : str or None
        ``my.toml``, ``jetson-orin-nano.toml`` or ``jetson-orin-nano``; None reads the user's own
        settings.
    overrides : iterable of str
        As :func:`~realtime_affect.config.load_config` takes them.

    Raises
    ------
    UsageError
        It is neither, or a setting in it is not one of ours.
    """
    from realtime_affect.config import load_config

    if named is None or Path(named).is_file():
        return load_config(named, overrides)
    wanted = named if named.endswith(".toml") else f"{named}.toml"
    if wanted in preset_names():
        with resources.as_file(_presets() / wanted) as path:
            return load_config(path, overrides)
    raise UsageError(
        thing=f"settings {named!r}",
        got="neither a file nor a preset",
        expected="a TOML file, or one of " + ", ".join(preset_names()),
        hint="A file is looked for first; a preset's name needs no path.",
    )


def _presets() -> Traversable:
    return resources.files("realtime_affect") / "presets"
