"""Measures as the fields of a CSV line: fixed decimals, an empty field where nothing is known."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

from realtime_affect.outputs.line_file import csv_field

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from realtime_affect.measure import Measure, Moment

Value = float | str
"""Of a field: a number (NaN where nothing is known) or text that stands in the line as it is."""

_NAN: Final = float("nan")
_MARK: Final = "\0"
_NO_NUMBER: Final = f"n{_MARK}an"  # in words "nan" is no number that is not known
_FORMATS: Final = {"bool": "%.0f", "int64": "%.0f", "time_ns": "%.6f", "text": "%s", "names": "%s"}


class Table:
    """Lines with a field for each of some columns.

    Parameters
    ----------
    fields : sequence of (Measure, tuple of str)
        Each measure with its columns; fewer columns than it has parts take the first ones.
    """

    def __init__(self, fields: Sequence[tuple[Measure, tuple[str, ...]]]) -> None:
        self.columns = tuple(name for _, names in fields for name in names)
        # Neighbours with the same subject are one run: asked for together, or missing together.
        self._runs: list[_Run] = []
        formats: list[str] = []
        for measure, names in fields:
            if not self._runs or self._runs[-1].subject != measure.subject:
                self._runs.append(_Run(measure.subject, len(formats), [], []))
            run = self._runs[-1]
            run.takers.append((measure.of, _how(measure, len(names)), len(names)))
            missing = "" if measure.dtype in ("text", "names") else measure.missing
            run.missing.extend([missing] * len(names))
            formats += [_FORMATS.get(measure.dtype, f"%.{measure.decimals}f")] * len(names)
        self._template = ",".join(formats) + "\n"

    def values(
        self, subjects: Mapping[str, Any], moment: Moment, origin_ns: int = 0
    ) -> list[Value]:
        """Return a value for each column.

        Parameters
        ----------
        subjects : mapping
            What there is of each subject (:func:`realtime_affect.measure.subjects`).
        moment : Moment
        origin_ns : int
            Source time that is written as 0.
        """
        return _values(self._runs, subjects, moment, origin_ns)

    def put(
        self, row: list[Value], subject: str, thing: Any, moment: Moment, origin_ns: int = 0
    ) -> None:
        """Replace in `row` the values of one subject by those of `thing`."""
        for run in self._runs:
            if run.subject == subject:
                values = _values([run], {subject: thing}, moment, origin_ns)
                row[run.first : run.first + len(values)] = values

    def line(self, row: Sequence[Value]) -> str:
        """Return `row` as text, its end included."""
        return (self._template % tuple(row)).replace("nan", "").replace(_MARK, "")


def as_text(words: str) -> str:
    """Return words as the field of a row: quoted where need be."""
    text = csv_field(words)
    return text.replace("nan", _NO_NUMBER) if "nan" in text else text


class _Run(NamedTuple):
    """Measures of one subject side by side, from the column `first` on."""

    subject: str
    first: int
    takers: list[tuple[Callable[[Any, Moment], Any], str, int]]
    missing: list[Value]


def _how(measure: Measure, n_columns: int) -> str:
    """Return how a value becomes fields: an array, the first ones of it, a number, or by type."""
    if measure.parts:
        return "array" if len(measure.parts) == n_columns else "first"
    return measure.dtype if measure.dtype in ("time_ns", "text", "names") else "number"


def _values(
    runs: list[_Run], subjects: Mapping[str, Any], moment: Moment, origin_ns: int
) -> list[Value]:
    """Return the values of `runs`. One function with a loop: it is called at frame rate."""
    row: list[Value] = []
    for subject, _, takers, missing in runs:
        thing = subjects[subject]
        if thing is None:
            row += missing
            continue
        for of, how, n in takers:
            value = of(thing, moment)
            if value is None:
                row += ["" if how in ("text", "names") else _NAN] * n
            elif how == "array":
                row += value
            elif how == "number":
                row.append(value)
            elif how == "first":
                row += value[:n]
            elif how == "time_ns":
                row.append((value - origin_ns) / 1e9)
            else:
                row.append(as_text(";".join(value) if how == "names" else value))
    return row
