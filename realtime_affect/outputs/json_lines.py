"""Reading -> one line of JSON: what the stream's clients get."""

from __future__ import annotations

import json
import time
from functools import lru_cache
from math import isfinite
from typing import TYPE_CHECKING, Any, Final

from realtime_affect.measure import Moment, Subject, subjects
from realtime_affect.schema import SCHEMA

if TYPE_CHECKING:
    from collections.abc import Callable

    from realtime_affect.measure import Measure, Schema
    from realtime_affect.types import AffectResult, Frame, Reading, Track

VERSION: Final = 2
"""Of the lines' keys; grows when one is taken away or changes its meaning.

2: ``micro.blind`` became ``micro.unavailable_reason``.
"""


def reading_line(reading: Reading, now_ns: int | None = None, schema: Schema = SCHEMA) -> bytes:
    """Return a reading as one line of UTF-8 JSON; what is not known is null.

    Parameters
    ----------
    reading : Reading
    now_ns : int, optional
        Monotonic time that ``age_ms`` is measured to; default now.
    schema : Schema
        What the keys are.
    """
    return _layout(schema).line(reading, time.monotonic_ns() if now_ns is None else now_ns)


def health_line(health: dict[str, Any]) -> bytes:
    """Return the service's health as a line of the same stream."""
    return _line({"v": VERSION, "kind": "health", **health})


NESTED: Final[tuple[Subject, ...]] = ("expression", "meaning", "micro")
"""Objects of their own in a face; null where they are switched off."""


@lru_cache(maxsize=32)  # a client may ask for some groups alone
def _layout(schema: Schema) -> _Layout:
    return _Layout(schema)


class _Layout:
    """The objects of a line: for each subject its keys, and how their values are taken."""

    def __init__(self, schema: Schema) -> None:
        self._takers: dict[Subject, list[tuple[str, Callable[[Any, Moment], Any]]]] = {
            subject: [(measure.key or "", _taker(measure)) for measure in measures]
            for subject, measures in schema.in_lines.items()
        }
        self._nested: tuple[Subject, ...] = tuple(s for s in NESTED if self._takers[s])

    def line(self, reading: Reading, now_ns: int) -> bytes:
        frame, results = reading.scene.frame, reading.affect.results
        moment = Moment(frame.t_ns, (now_ns - frame.captured_ns) / 1e6)
        return _line(
            {
                "v": VERSION,
                "kind": "reading",
                **self._object("frame", frame, moment),
                **self._marked(reading, moment),
                "faces": [
                    self._face(frame, track, results.get(track.track_id), moment)
                    for track in reading.scene.tracks
                ],
            }
        )

    def _marked(self, reading: Reading, moment: Moment) -> dict[str, Any]:
        if not self._takers["marker"]:
            return {}
        markers = [self._object("marker", marker, moment) for marker in reading.markers]
        return {"markers": markers}

    def _face(
        self, frame: Frame, track: Track, affect: AffectResult | None, moment: Moment
    ) -> dict[str, Any]:
        things = subjects(frame, track, affect)
        shown = self._object("track", things["track"], moment)
        if track.face is not None:
            shown |= self._object("face", things["face"], moment)
        if affect is not None:
            shown |= self._object("affect", affect, moment)
            for subject in self._nested:
                thing = things[subject]
                shown[subject] = None if thing is None else self._object(subject, thing, moment)
            if affect.micro is not None and "micro" in shown:
                # Repeated for two seconds; a client knows them by `onset_ns`.
                shown["micro"]["events"] = [
                    self._object("event", event, moment) for event in affect.micro.events
                ]
        return shown

    def _object(self, subject: Subject, thing: Any, moment: Moment) -> dict[str, Any]:
        return {key: take(thing, moment) for key, take in self._takers[subject]}


def _taker(measure: Measure) -> Callable[[Any, Moment], Any]:
    """Return the function that takes a measure's value in JSON's own types."""
    of, digits, parts = measure.of, measure.json_decimals, measure.parts
    if measure.dtype == "names":
        return lambda thing, moment: list(of(thing, moment))
    if measure.dtype not in ("float32", "float64"):
        return of

    def number(thing: Any, moment: Moment) -> float | None:
        value = of(thing, moment)
        return round(value, digits) if value is not None and isfinite(value) else None

    def numbers(thing: Any, moment: Moment) -> list[float | None]:
        return [round(x, digits) if isfinite(x) else None for x in of(thing, moment)]

    def named(thing: Any, moment: Moment) -> dict[str, float | None]:
        return dict(zip(parts, numbers(thing, moment), strict=True))

    if not parts:
        return number
    return numbers if measure.as_list else named


def _line(content: dict[str, Any]) -> bytes:
    # A value that is no number would be no JSON: better an error here than in every client.
    return json.dumps(content, separators=(",", ":"), allow_nan=False).encode() + b"\n"
