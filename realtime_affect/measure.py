"""What a measure is: a declaration that says how it is called, what it means and where it goes."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache, cached_property
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple, get_args

import numpy as np

from affect_engines import load_card

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from realtime_affect.types import AffectResult, Frame, Track

Subject = Literal[
    "frame", "track", "face", "affect", "expression", "micro", "meaning", "event", "marker",
]  # fmt: skip
"""What a measure's function is given: :class:`~realtime_affect.types.Frame`, ``Track``, ``Face``,
``AffectResult``, ``Expression``, ``Spotting``, ``Meaning``, ``FacialEvent`` or ``Marker``."""

Group = Literal[
    "frame", "face", "head pose", "action units", "gaze and blinks", "expression",
    "interpretation", "micro-expression", "markers", "landmarks",
]  # fmt: skip
"""What people look for together: the sections of the page and of a panel."""

GROUPS: Final[tuple[Group, ...]] = get_args(Group)

Dtype = Literal["bool", "int64", "float32", "float64", "time_ns", "text", "names"]
"""``time_ns`` is a source time in nanoseconds (CSV: seconds since the recording's zero, JSON lines:
as it is, ``_ns`` at the end of its key), ``names`` a tuple of text."""

TRUSTS: Final = {
    "exact": "counted or taken from the source, not estimated",
    "evaluated": "estimated; evaluated on the data that docs/accuracy.md names",
    "by value": "estimated; each value has a level of its own in its network's card",
    "not evaluated": "estimated; not compared with a ground truth",
}
"""How far a measure can be trusted, and what that means."""

Trust = Literal["exact", "evaluated", "by value", "not evaluated"]

_PAINTED: Final = ("face", "affect", "expression", "meaning")
_NAN: Final = float("nan")


class Moment(NamedTuple):
    """When a value is asked for: source time of the reading's frame, and the age of that frame."""

    t_ns: int
    age_ms: float = 0.0


@dataclass(frozen=True, slots=True)
class Measure:
    """One measure.

    Attributes
    ----------
    name : str
        Unique, snake case.
    of : callable
        Takes the subject and the :class:`Moment` and returns the value, or a list of them in the
        order of `parts`. None and NaN stand for not known. Only called where there is a subject.
    subject : Subject
        What `of` is given, and with that the object of the JSON line that holds it.
    group : Group
    dtype : Dtype
    unit : str
        With the range where there is one; empty for words and numbers without one.
    trust : Trust
        A key of :data:`TRUSTS`.
    doc : str
        What it is, from the reader's side; Markdown.
    parts : tuple of str
        Names of the values of an array; empty for a single one.
    labels : tuple of str
        What people read for each of `parts`; default `parts`.
    columns : tuple of str, optional
        In the CSV of rows; fewer than `parts` take the first ones. Default `name`, or ``name_part``
        for each part; no column where empty.
    event_columns : tuple of str
        In the CSV of events.
    key : str, optional
        In the JSON line; default `name`. Empty: not there.
    as_list : bool
        In the JSON line, `parts` are a list; otherwise an object with a key for each.
    decimals : int
        Of numbers written as text.
    json_decimals : int, optional
        In the JSON line; default `decimals`.
    missing : float
        What a row holds where there is no subject.
    caption : str
        How the overlay's panel says it, as a format string (``"{:.0f} blinks/min"``); empty: it
        does not. Single values of a face, of its affect, expression or meaning only.
    card : str
        The network whose card holds the level of trust of each part.
    """

    name: str
    of: Callable[[Any, Moment], Any]
    subject: Subject
    group: Group
    dtype: Dtype
    unit: str
    trust: Trust
    doc: str
    parts: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()
    columns: tuple[str, ...] | None = None
    event_columns: tuple[str, ...] = ()
    key: str | None = None
    as_list: bool = False
    decimals: int = 3
    json_decimals: int | None = None
    missing: float = _NAN
    caption: str = ""
    card: str = ""

    def __post_init__(self) -> None:
        defaults: dict[str, Any] = {
            "labels": self.labels or self.parts,
            "columns": (
                tuple(f"{self.name}_{part}" for part in self.parts) or (self.name,)
                if self.columns is None
                else self.columns
            ),
            "key": self.name if self.key is None else self.key,
            "json_decimals": self.decimals if self.json_decimals is None else self.json_decimals,
        }
        for name, value in defaults.items():
            object.__setattr__(self, name, value)
        if self.caption and (self.parts or self.subject not in _PAINTED):
            message = f"measure {self.name}: only single numbers of {_PAINTED} have a caption"
            raise ValueError(message)

    @property
    def row_columns(self) -> tuple[str, ...]:
        """``columns``, resolved."""
        return self.columns or ()

    def trust_in(self, part: str) -> str:
        """Return the level of trust in one of `parts`: "high", "medium", "low" or "none".

        Only for measures whose `trust` is "by value".
        """
        return _levels(self.card).get(part, "none")


@cache
def _levels(card: str) -> Mapping[str, str]:
    return {name: unit.trust for name, unit in load_card(card).units.items()}


class Schema:
    """The measures in the order of the columns.

    Parameters
    ----------
    measures : iterable of Measure

    Raises
    ------
    ValueError
        Two measures share a name, a column, or a key of the same object of the JSON line.
    """

    def __init__(self, measures: Iterable[Measure]) -> None:
        self.measures = tuple(measures)
        self._by_name = {measure.name: measure for measure in self.measures}
        _refuse_twice("name", [measure.name for measure in self.measures])
        _refuse_twice("column", list(self.columns))
        _refuse_twice("column of events", list(self.event_columns))
        keys = [(m.subject, m.key) for m in self.measures if m.key]
        # Track, face and affect share one object: what is known of a face.
        shared = {"track", "face", "affect"}
        _refuse_twice("key", [(s if s not in shared else "", key) for s, key in keys])

    def __getitem__(self, name: str) -> Measure:
        return self._by_name[name]

    def with_measures(self, *more: Measure) -> Schema:
        """Return this schema with `more` at its end."""
        return Schema((*self.measures, *more))

    @cached_property
    def columns(self) -> tuple[str, ...]:
        """Of the CSV of rows."""
        return tuple(name for measure in self.measures for name in measure.row_columns)

    @cached_property
    def event_columns(self) -> tuple[str, ...]:
        """Of the CSV of events."""
        return tuple(name for measure in self.measures for name in measure.event_columns)

    @cached_property
    def in_rows(self) -> tuple[Measure, ...]:
        """Measures that the CSV of rows holds."""
        return tuple(measure for measure in self.measures if measure.row_columns)

    @cached_property
    def in_events(self) -> tuple[Measure, ...]:
        """Measures that the CSV of events holds."""
        return tuple(measure for measure in self.measures if measure.event_columns)

    @cached_property
    def in_lines(self) -> Mapping[Subject, tuple[Measure, ...]]:
        """Measures that the JSON lines hold, by subject."""
        return {
            subject: tuple(m for m in self.measures if m.subject == subject and m.key)
            for subject in get_args(Subject)
        }

    @cached_property
    def captioned(self) -> tuple[Measure, ...]:
        """Measures that a panel says in words."""
        return tuple(measure for measure in self.measures if measure.caption)


def _refuse_twice(what: str, names: list[Any]) -> None:
    twice = sorted({str(name) for name in names if names.count(name) > 1})
    if twice:
        message = f"schema: {what} {twice[0]} is declared twice"
        raise ValueError(message)


def subjects(
    frame: Frame | None, track: Track | None = None, affect: AffectResult | None = None
) -> dict[str, Any]:
    """Return what there is of each :data:`Subject`, None where there is none.

    Box and mesh are in the pixels of the source's own image.
    """
    if frame is not None and track is not None and frame.stretch != (1.0, 1.0):
        track = _unstretched(track, frame.stretch)
    return {
        "frame": frame,
        "track": track,
        "face": None if track is None else track.face,
        "affect": affect,
        "expression": None if affect is None else affect.expression,
        "micro": None if affect is None else affect.micro,
        "meaning": None if affect is None else affect.meaning,
        "event": None,
        "marker": None,
    }


def _unstretched(track: Track, stretch: tuple[float, float]) -> Track:
    """Return `track` in the pixels that its frame had before they were made square."""
    x, y = stretch
    face = track.face
    if face is not None:
        # Depth is in the unit of x, as the mesh has it.
        points = np.divide(face.mesh.points, (x, y, x), dtype=np.float32)
        face = replace(face, mesh=replace(face.mesh, points=points))
    return replace(track, xyxy=np.divide(track.xyxy, (x, y, x, y), dtype=np.float32), face=face)
