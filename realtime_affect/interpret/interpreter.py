"""AffectJobs and their expressions -> what each face's newest decision means.

Runs when something new was decided, not on every frame: the frames in between are in the job's
moments, so that onsets are known to the frame.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import deque
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING, ClassVar, Final, Literal

import numpy as np
from pydantic import NonNegativeFloat

from realtime_affect.interpret.baseline import load_profile
from realtime_affect.interpret.course import UnitCourse
from realtime_affect.interpret.onset import TRACED, movement_before
from realtime_affect.interpret.rationale import (
    Earlier,
    Evidence,
    UnitTable,
    explain,
    unit_table,
)
from realtime_affect.interpret.valence_arousal import smoothed, valence_arousal
from realtime_affect.names import AU_INTENSITIES, EXPRESSIONS
from realtime_affect.settings import Section

if TYPE_CHECKING:
    from collections.abc import Mapping

    from realtime_affect.interpret.baseline import Baseline
    from realtime_affect.meaning import Meaning
    from realtime_affect.types import AffectJob, Expression, Face, FaceWindow, Float32, Float64

Language = Literal["en", "de", "fr", "es", "zh"]

_RECENT_NS: Final = 100_000_000
"""Units are the mean of so much: one frame of noise is no observation."""
_EARLIER_NS: Final = 330_000_000
_SPEECH_NS: Final = 1_000_000_000
_SPEECH: Final = 3.0  # intensity that lips and jaw travel in that time while somebody speaks
_GAP_NS: Final = 1_000_000_000
"""A face that was not seen for longer begins anew."""
_LIPS, _JAW = (AU_INTENSITIES.index(unit) for unit in ("AU25", "AU26"))


class InterpretConfig(Section):
    """How results are interpreted.

    Attributes
    ----------
    language : str
        Of explanations in words: "en", "de", "fr", "es", "zh".
    profile : str
        Name of the saved profile whose rest is taken off while one face is in view; empty = none
        (``realtime-affect profile``).
    images : bool
        Whether the report of ``analyze`` shows each episode's face at its peak.
    windows_ms : float
        Also write means over windows of this length, ``<stem>.windows.csv``; 0 = do not.
    """

    section: ClassVar[str] = "interpret"

    language: Language = "en"
    profile: str = ""
    images: bool = True
    windows_ms: NonNegativeFloat = 0.0


@dataclass(slots=True)
class _Past:
    """What is remembered of one face."""

    course: UnitCourse
    decided_ns: int = -1
    name: str = ""
    since_ns: int = -1
    smooth: tuple[float, float] | None = None
    decisions: deque[tuple[int, list[float], Float32]] = field(default_factory=deque)
    meaning: Meaning | None = None


class Interpreter:
    """Interpret decision after decision; belongs to one thread.

    Parameters
    ----------
    config : InterpretConfig, optional

    Raises
    ------
    UsageError
        There is no profile of that name, or it cannot be read.
    """

    def __init__(self, config: InterpretConfig | None = None) -> None:
        config = config or InterpretConfig()
        self._language = config.language
        self._baseline = load_profile(config.profile) if config.profile else None
        self._table = self._own_table = unit_table()
        if self._baseline is not None:
            present_at = tuple(self._baseline.thresholds(np.array(self._table.present_at)).tolist())
            self._own_table = UnitTable(present_at, self._table.trusts)
        self.reset()

    def decide(self, job: AffectJob, expressions: Mapping[int, Expression]) -> dict[int, Meaning]:
        """Return the meaning of every measured face whose expression is known."""
        moments = {window.track_id: window for window in job.moments}
        tracks = job.scene.tracks
        if self._baseline is not None and len(tracks) == 1:
            self._profiled = tracks[0].track_id
        meanings = {}
        for track in tracks:
            expression = expressions.get(track.track_id)
            if track.face is None or expression is None:
                continue
            window = moments.get(track.track_id)
            if window is None:  # a still: nothing is known of time
                past = _Past(UnitCourse(self._table.present_at))
            else:
                past = self._past_of(track.track_id, window)
            if past.meaning is None or expression.t_ns != past.decided_ns:
                past.decided_ns = expression.t_ns
                past.meaning = self._interpret(past, track.track_id, track.face, window, expression)
            meanings[track.track_id] = past.meaning
        self._forget(job.scene.frame.t_ns)
        return meanings

    def reset(self) -> None:
        """Forget every face: the next job is of another source."""
        self._pasts: dict[int, _Past] = {}
        self._profiled = -1

    def _past_of(self, track_id: int, window: FaceWindow) -> _Past:
        past = self._pasts.get(track_id)
        if past is None or window.t_ns[-1] - past.course.t_ns > _GAP_NS:
            past = self._pasts[track_id] = _Past(UnitCourse(self._table.present_at))
        return past

    def _interpret(
        self, past: _Past, track_id: int, face: Face, window: FaceWindow | None,
        expression: Expression,
    ) -> Meaning:  # fmt: skip
        baseline = self._baseline if track_id == self._profiled else None
        t_ns = expression.t_ns if window is None else window.t_ns[-1]
        intensity, sides = _units(past.course, face, window, baseline)
        probabilities: Float32 | Float64 = expression.probabilities
        if baseline is not None:
            probabilities = baseline.relative_probabilities(probabilities)
        if expression.name != past.name:
            past.name, past.since_ns = expression.name, t_ns
        p, units = probabilities.tolist(), intensity.tolist()
        now = valence_arousal(p, units)
        if past.smooth is not None:
            now = smoothed(past.smooth, now, (t_ns - past.decisions[-1][0]) / 1e6)
        past.smooth = now
        past.decisions.append((t_ns, units, expression.probabilities))
        while t_ns - past.decisions[0][0] > _SPEECH_NS:
            past.decisions.popleft()
        evidence = Evidence(
            t_ns, expression.name, expression.probability, p, units, sides.tolist(),
            face.quality, face.action_units.calibration, expression.warming_up,
            () if window is None else past.course.onsets_ns(),
            _earlier(past, expression.name), (t_ns - past.since_ns) / 1e6, _speaks(past),
            *now, "" if baseline is None else baseline.name,
        )  # fmt: skip
        table = self._table if baseline is None else self._own_table
        return explain(evidence, table, self._language)

    def _forget(self, t_ns: int) -> None:
        if len(self._pasts) > 1:
            self._pasts = {
                k: past for k, past in self._pasts.items() if t_ns - past.course.t_ns <= _GAP_NS
            }


def _units(
    course: UnitCourse, face: Face, window: FaceWindow | None, baseline: Baseline | None
) -> tuple[Float64, Float64]:
    """Take in the frames since the last decision; return units and sides of the last 100 ms."""
    times = (0,) if window is None else window.t_ns
    faces = (face,) if window is None else window.faces
    recent = len(times) - bisect_left(times, times[-1] - _RECENT_NS)
    fresh = len(times) - bisect_right(times, course.t_ns)
    units = [moment.action_units for moment in faces[-max(recent, fresh) :]]
    intensity = np.array([u.intensity for u in units], np.float64)
    sides = units[-1].sides.astype(np.float64)
    for earlier in units[-recent:-1]:
        sides += earlier.sides
    sides /= recent
    if baseline is not None:
        calibration = units[-1].calibration
        intensity = baseline.relative_units(intensity, calibration)
        sides = baseline.relative_sides(sides, calibration)
    if window is not None and fresh:
        begun = [
            i for i in course.add(times[-fresh:], intensity[-fresh:]) if AU_INTENSITIES[i] in TRACED
        ]
        if begun:
            rests = movement_before(faces, [AU_INTENSITIES[i] for i in begun])
            for i, rest in zip(begun, rests, strict=True):
                if rest is not None:
                    course.begin_earlier(i, times[rest])
    # np.mean takes three times as long for so little.
    return np.add.reduce(intensity[-recent:]) / recent, sides


def _earlier(past: _Past, name: str) -> Earlier | None:
    """Return the same face a third of a second before the newest decision; None before that."""
    newest = past.decisions[-1][0]
    for t_ns, units, probabilities in reversed(past.decisions):
        if newest - t_ns >= _EARLIER_NS:
            return Earlier(units, float(probabilities[EXPRESSIONS.index(name)]))
    return None


def _speaks(past: _Past) -> bool:
    """Return whether lips and jaw have moved to and fro over the last second."""
    if len(past.decisions) < 4:
        return False
    mouth = [units[_LIPS] + units[_JAW] for _, units, _ in past.decisions]
    travelled = sum(abs(b - a) for a, b in pairwise(mouth))
    return travelled - abs(mouth[-1] - mouth[0]) > _SPEECH
