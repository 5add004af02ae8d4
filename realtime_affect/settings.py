"""What every section of the settings is: a frozen pydantic model whose errors speak our language.

A section lives in the module it configures; :class:`Settings` gathers sections and takes values
by ``section.key``. Types are strict: ``"1"`` is no whole number, 1 is a finite number, a list of
TOML is a tuple where a field says :data:`Texts`.
"""

from __future__ import annotations

import difflib
import ipaddress
import sys
from typing import (
    TYPE_CHECKING,
    Annotated,
    Any,
    ClassVar,
    Final,
    Literal,
    Self,
    get_args,
    get_origin,
)

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from realtime_affect.errors import UsageError
from realtime_affect.redact import redact_values

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from pydantic.fields import FieldInfo
    from pydantic_core import ErrorDetails

Texts = Annotated[tuple[str, ...], Field(strict=False)]
"""Any number of texts: a list in TOML, a tuple in Python."""

# Clocks and libraries of C take no more.
_LARGEST: Final[dict[type, float]] = {bool: 1, int: sys.maxsize, float: 1e9}
_OUT_OF_RANGE: Final = frozenset(
    ("greater_than", "greater_than_equal", "less_than", "less_than_equal")
)
_NAMES: Final = {
    int: "a whole number",
    float: "a finite number",
    bool: "true or false",
    str: "text",
    type(None): "none",
}


class Section(BaseModel):
    """Settings of one module; a wrong value raises :class:`~realtime_affect.errors.UsageError`.

    Attributes
    ----------
    section : str
        Its name in a file: ``[section]``.
    hint : str
        What helps with a value out of range, such as units.
    """

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid", allow_inf_nan=False)

    section: ClassVar[str]
    hint: ClassVar[str] = "Its docstring says what each value means."

    def __init__(self, **values: Any) -> None:
        try:
            super().__init__(**values)
        except ValidationError as error:
            raise self._refusal(error.errors(include_url=False)[0], values) from None
        for key, value in self:
            if isinstance(value, int | float) and abs(value) > _LARGEST[type(value)]:
                raise self.refuse(key, value, f"a number up to {_LARGEST[type(value)]:.0e}")

    def replace(self, **values: Any) -> Self:
        """Return a copy with some values replaced, checked like new ones.

        Raises
        ------
        UsageError
            No such key (the nearest is named), or a value of another type or out of range.
        """
        return type(self)(**{**{key: getattr(self, key) for key in self._keys()}, **values})

    @classmethod
    def refuse(cls, key: str, value: object, expected: str, hint: str = "") -> UsageError:
        """Return the error of a value that is not usable; validators raise it."""
        return UsageError(
            thing=f"config key '{cls.section}.{key}'",
            got=repr(redact_values(value)),
            expected=expected,
            hint=hint or cls.hint,
        )

    @classmethod
    def refuse_remote(cls, host: str, *, allowed: bool, hint: str) -> None:
        """Raise UsageError if others can reach `host`, and that was not asked for."""
        if not allowed and not is_loopback(host):
            raise UsageError(
                thing=f"config key '{cls.section}.host'",
                got=f"{host!r}, which other machines may reach",
                expected="127.0.0.1 or ::1",
                hint=f"{hint} Set {cls.section}.allow_remote = true if that is meant.",
            )

    @classmethod
    def takes(cls, key: str) -> str:
        """Return in words what a key takes: the kinds of value, and the range of a number."""
        field = cls.model_fields[key]
        kinds = " or ".join(_kinds_of(field.annotation))
        limits = _range_of(field).removeprefix("a number ")
        return f"{kinds}, {limits}" if limits else kinds

    @classmethod
    def _keys(cls) -> list[str]:
        return list(cls.model_fields)

    @classmethod
    def _refusal(cls, error: ErrorDetails, values: Mapping[str, Any]) -> UsageError:
        """Say in our words what pydantic found first."""
        raised = error.get("ctx", {}).get("error")
        if isinstance(raised, UsageError):  # by a validator of ours
            return raised
        key = str(error["loc"][0])
        if error["type"] == "extra_forbidden":
            thing = f"config key '{cls.section}.{key}'"
            return unknown_name(thing, key, cls._keys(), prefix=f"{cls.section}.")
        field, value = cls.model_fields[key], values[key]
        if error["type"] in _OUT_OF_RANGE:
            return cls.refuse(key, value, _range_of(field))
        return UsageError(
            thing=f"config key '{cls.section}.{key}'",
            got=f"{redact_values(value)!r} ({type(value).__name__})",
            expected=" or ".join(_kinds_of(field.annotation)),
            hint=f"In TOML: [{cls.section}] and below it {key} = ...",
        )


class Settings(BaseModel):
    """Sections gathered: each field is a :class:`Section` of the field's name."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")

    def as_dict(self) -> dict[str, dict[str, Any]]:
        """Return sections of plain values, ready for JSON, keys in order."""
        return self.model_dump(mode="json")

    def with_values(self, values: Mapping[str, Any]) -> Self:
        """Return a copy with some values replaced.

        Parameters
        ----------
        values : mapping
            ``"section.key"`` to value; numbers, text, truth values, lists.

        Raises
        ------
        UsageError
            No such section or key (the nearest is named), or a value of another type or out of
            range.
        """
        changed: dict[str, dict[str, Any]] = {}
        for dotted, value in values.items():
            name, _, key = dotted.partition(".")
            self.check_section(name)
            changed.setdefault(name, {})[key] = value
        sections = {name: getattr(self, name) for name in type(self).model_fields}
        for name, pairs in changed.items():
            sections[name] = sections[name].replace(**pairs)
        return type(self)(**sections)

    @classmethod
    def check_section(cls, name: str) -> None:
        """Raise UsageError, naming the nearest known one, if there is no section of this name."""
        if name not in cls.model_fields:
            raise unknown_name(thing=f"config section {name!r}", name=name, known=cls.model_fields)


def unknown_name(thing: str, name: str, known: Iterable[str], prefix: str = "") -> UsageError:
    """Return the error of a name that nothing has; the hint names the nearest known one."""
    known = list(known)
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    return UsageError(
        thing,
        got="an unknown name",
        expected="one of " + ", ".join(prefix + key for key in known),
        hint=f"Did you mean {prefix}{near[0]}?" if near else "docs/configuration.md has them all.",
    )


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach `host`."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _kinds_of(annotation: Any) -> list[str]:
    """Name the types that a field takes."""
    if isinstance(annotation, type):
        return [_NAMES.get(annotation, annotation.__name__)]
    if get_origin(annotation) is Literal:
        return ["one of " + ", ".join(repr(value) for value in get_args(annotation))]
    if get_origin(annotation) is tuple:
        return [f"a list, each {_kinds_of(get_args(annotation)[0])[0]}"]
    if get_origin(annotation) is Annotated:
        return _kinds_of(get_args(annotation)[0])
    return [name for option in get_args(annotation) for name in _kinds_of(option)]


def _range_of(field: FieldInfo) -> str:
    """Say between which values a number must lie."""
    bounds = {
        name: getattr(part, name)
        for part in (*field.metadata, *_inner_metadata(field.annotation))
        for name in ("gt", "ge", "lt", "le")
        if getattr(part, name, None) is not None
    }
    match bounds:
        case {"ge": low, "le": high}:
            return f"{low} to {high}"
        case {"gt": low, "lt": high}:
            return f"a number between {low} and {high}"
        case {"gt": low, "le": high}:
            return f"a number above {low}, {high} at most"
        case {"gt": low}:
            return f"a number above {low}"
        case {"ge": low}:
            return f"{low} or more"
    return ", ".join(f"{name} {bound}" for name, bound in bounds.items())


def _inner_metadata(annotation: Any) -> list[Any]:
    """Return the metadata of the types inside an optional one."""
    found = [part for one in get_args(annotation) for part in getattr(one, "__metadata__", ())]
    return [bound for part in found for bound in getattr(part, "metadata", [part])]
