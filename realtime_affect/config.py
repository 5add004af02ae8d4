"""Every setting in one value, read from TOML and from ``section.key=value``.

Each section is the configuration of the module it is named after and lives there; this module only
gathers them and reads files.
"""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from realtime_affect.errors import UsageError
from realtime_affect.outputs.csv_rows import RecordConfig
from realtime_affect.outputs.streams.config import LslConfig, OscConfig, WebSocketConfig
from realtime_affect.overlay import OverlayConfig
from realtime_affect.runtime.config import PipelineConfig
from realtime_affect.serve.config import ServeConfig

if TYPE_CHECKING:
    from collections.abc import Iterable

_MAX_BYTES: Final = 1 << 20  # of a file; ours with every setting has a hundredth


class Config(PipelineConfig):
    """All settings; the defaults are those of the command line.

    Raises
    ------
    UsageError
        A section or key that there is not (the nearest is named), a value of another type or out
        of range.

    Examples
    --------
    >>> config = Config(track=TrackConfig(max_faces=2))
    >>> config.with_values({"record.landmarks": True}).record.landmarks
    True
    """

    overlay: OverlayConfig = OverlayConfig()
    record: RecordConfig = RecordConfig()
    serve: ServeConfig = ServeConfig()
    websocket: WebSocketConfig = WebSocketConfig()
    osc: OscConfig = OscConfig()
    lsl: LslConfig = LslConfig()


def user_config_path() -> Path:
    """Return where the user's own settings are read from; the file need not exist."""
    from platformdirs import user_config_dir

    return Path(user_config_dir("realtime-affect")) / "config.toml"


def load_config(path: str | Path | None = None, overrides: Iterable[str] = ()) -> Config:
    """Read settings from a TOML file, then apply overrides.

    Parameters
    ----------
    path : str or Path, optional
        The file; None reads the user's own (:func:`user_config_path`) where there is one.
    overrides : iterable of str
        ``"section.key=value"``, the value as in TOML; text may stand without quotes, ``none``
        empties an optional value. Later ones win.

    Raises
    ------
    UsageError
        The file named cannot be read or is not TOML, or a section, key or value is not one of ours.
    """
    config = Config()
    if path is not None or user_config_path().is_file():
        config = config.with_values(_read_toml(Path(path or user_config_path())))
    values: dict[str, Any] = {}
    for text in overrides:
        dotted, equals, value = text.partition("=")
        if not equals or "." not in dotted:
            raise UsageError(
                thing=f"option --set {text!r}",
                got="no section, key and value" if not equals else f"the key {dotted!r}",
                expected="section.key=value",
                hint="For example --set track.max_faces=4.",
            )
        values[dotted.strip()] = _parsed(value.strip())
    return config.with_values(values)


def _read_toml(path: Path) -> dict[str, Any]:
    """Return the ``section.key`` pairs of a file."""
    import tomllib

    try:
        tables = tomllib.loads(_read_text(path))
    except OSError as error:
        raise UsageError(
            thing=f"config file {path}",
            got=error.strerror or str(error),
            expected="a readable TOML file",
            hint="Check the path and its permissions, or leave it away to use the defaults.",
        ) from error
    except (ValueError, RecursionError) as error:  # bad TOML, bad UTF-8, lists in lists in lists
        raise UsageError(
            thing=f"config file {path}",
            got=str(error),
            expected="TOML, such as [track] and below it max_faces = 4",
            hint="Text stands in quotes, true and false in lower case.",
        ) from error
    pairs: dict[str, Any] = {}
    for section, table in tables.items():
        if not isinstance(table, dict):
            # A key above the first [section]; the section check alone would name it wrongly.
            raise UsageError(
                thing=f"config file {path}: key {section!r}",
                got="a key outside any section",
                expected="[section] above it",
                hint="Sections: " + ", ".join(Config.model_fields) + ".",
            )
        pairs.update({f"{section}.{key}": value for key, value in table.items()})
        Config.check_section(section)  # here, for a section that is empty
    return pairs


def _read_text(path: Path) -> str:
    """Return the text of a file; of a pipe or device, which may never end, nothing is read."""
    status = path.stat()
    if not stat.S_ISREG(status.st_mode):
        if path.is_dir():
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        raise OSError(errno.EINVAL, "no regular file")
    if status.st_size > _MAX_BYTES:
        raise OSError(errno.EFBIG, f"{status.st_size} bytes")
    return path.read_text(encoding="utf-8")


def _parsed(text: str) -> Any:
    """Read an override's value: TOML where it is TOML, else the text itself."""
    import tomllib

    if text.lower() in ("none", ""):
        return None
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except (ValueError, RecursionError):
        return text
