"""Every setting in one value: frozen sections, read from TOML and from ``section.key=value``.

Each section is the configuration of the module it is named after and lives there; this module only
gathers them, and refuses what none of them knows.
"""

from __future__ import annotations

import dataclasses
import difflib
import math
import types
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Union, get_args, get_origin, get_type_hints

from realtime_affect.errors import UsageError
from realtime_affect.outputs.csv_rows import RecordConfig
from realtime_affect.overlay import OverlayConfig
from realtime_affect.runtime.config import PipelineConfig
from realtime_affect.serve.config import ServeConfig

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


@dataclass(frozen=True, slots=True)
class Config(PipelineConfig):
    """All settings; the defaults are those of the command line.

    Examples
    --------
    >>> config = Config(track=TrackConfig(max_faces=2))
    >>> config.with_values({"record.landmarks": True}).record.landmarks
    True
    """

    overlay: OverlayConfig = field(default_factory=OverlayConfig)
    record: RecordConfig = field(default_factory=RecordConfig)
    serve: ServeConfig = field(default_factory=ServeConfig)

    def as_dict(self) -> dict[str, dict[str, Any]]:
        """Return sections of plain values, ready for JSON, keys in order."""
        return {
            section.name: {
                key: _plain(value)
                for key, value in dataclasses.asdict(getattr(self, section.name)).items()
            }
            for section in dataclasses.fields(self)
        }

    def with_values(self, values: Mapping[str, Any]) -> Config:
        """Return a copy with some values replaced.

        Parameters
        ----------
        values : mapping
            ``"section.key"`` to value; numbers, text, truth values, lists.

        Raises
        ------
        UsageError
            No such section or key (the nearest is named), or a value of another type.
        """
        changed: dict[str, dict[str, Any]] = {}
        for dotted, value in values.items():
            name, _, key = dotted.partition(".")
            sections = [f.name for f in dataclasses.fields(self)]
            if name not in sections:
                raise _unknown(thing=f"config section {name!r}", name=name, known=sections)
            section = getattr(self, name)
            keys = [f.name for f in dataclasses.fields(section)]
            if key not in keys:
                raise _unknown(
                    thing=f"config key {dotted!r}", name=key, known=keys, prefix=f"{name}."
                )
            wanted = get_type_hints(type(section))[key]
            changed.setdefault(name, {})[key] = _checked(dotted, value, wanted)
        return dataclasses.replace(
            self,
            **{
                name: dataclasses.replace(getattr(self, name), **pairs)
                for name, pairs in changed.items()
            },
        )


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
        tables = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(
            thing=f"config file {path}",
            got=error.strerror or str(error),
            expected="a readable TOML file",
            hint="Check the path and its permissions, or leave it away to use the defaults.",
        ) from error
    except ValueError as error:  # bad TOML, bad UTF-8
        raise UsageError(
            thing=f"config file {path}",
            got=str(error),
            expected="TOML, such as [track] and below it max_faces = 4",
            hint="Text stands in quotes, true and false in lower case.",
        ) from error
    pairs = {}
    for section, table in tables.items():
        if not isinstance(table, dict):
            # A key above the first [section]; the section check alone would name it wrongly.
            raise UsageError(
                thing=f"config file {path}: key {section!r}",
                got="a key outside any section",
                expected="[section] above it",
                hint="Sections: " + ", ".join(f.name for f in dataclasses.fields(Config)) + ".",
            )
        pairs.update({f"{section}.{key}": value for key, value in table.items()})
        if not table and section not in (names := [f.name for f in dataclasses.fields(Config)]):
            raise _unknown(thing=f"config section {section!r}", name=section, known=names)
    return pairs


def _parsed(text: str) -> Any:
    """Read an override's value: TOML where it is TOML, else the text itself."""
    import tomllib

    if text.lower() in ("none", ""):
        return None
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except ValueError:
        return text


def _unknown(thing: str, name: str, known: list[str], prefix: str = "") -> UsageError:
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    return UsageError(
        thing,
        got="an unknown name",
        expected="one of " + ", ".join(prefix + key for key in known),
        hint=f"Did you mean {prefix}{near[0]}?" if near else "See README for what each one does.",
    )


def _checked(dotted: str, value: Any, wanted: Any) -> Any:
    """Return `value` as the type a field declares, or raise."""
    options = get_args(wanted) if get_origin(wanted) in (Union, types.UnionType) else (wanted,)
    for option in options:
        fits, result = _fit(value, option)
        if fits:
            return result
    raise UsageError(
        thing=f"config key {dotted!r}",
        got=f"{value!r} ({type(value).__name__})",
        expected=" or ".join(_name(option) for option in options),
        hint=f"In TOML: [{dotted.partition('.')[0]}] and below it {dotted.partition('.')[2]} = ...",
    )


def _fit(value: Any, wanted: Any) -> tuple[bool, Any]:
    """Return whether `value` can stand for the type `wanted`, and as what."""
    origin, args = get_origin(wanted), get_args(wanted)
    if origin is Literal:
        return value in args and type(value) in {type(arg) for arg in args}, value
    if origin is tuple and isinstance(value, list | tuple):
        kinds = [args[0]] * len(value) if args[1:] == (...,) else list(args)
        if len(kinds) != len(value):
            return False, value
        fitted = [_fit(item, kind) for item, kind in zip(value, kinds, strict=True)]
        return all(fits for fits, _ in fitted), tuple(item for _, item in fitted)
    if wanted is float and isinstance(value, int | float) and not isinstance(value, bool):
        return math.isfinite(value), float(value)
    if wanted is int and isinstance(value, bool):
        return False, value
    if wanted is Path and isinstance(value, str):
        return True, Path(value)
    return isinstance(wanted, type) and isinstance(value, wanted), value


def _name(wanted: Any) -> str:
    if get_origin(wanted) is Literal:
        return "one of " + ", ".join(repr(arg) for arg in get_args(wanted))
    plain = {
        int: "a whole number",
        float: "a finite number",
        bool: "true or false",
        str: "text",
        types.NoneType: "none",
        Path: "a path",
    }
    return plain.get(wanted, str(wanted))


def _plain(value: Any) -> Any:
    if isinstance(value, Path):
        return str(value)
    return list(value) if isinstance(value, tuple) else value
