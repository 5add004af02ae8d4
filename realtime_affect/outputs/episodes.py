"""A recording's episodes, dyads and windows, as JSON, as a page for people, and as CSV."""

from __future__ import annotations

import itertools
import json
import math
from array import array
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import cv2
import numpy as np

from affect_kernels.atomic import PRIVATE, write_atomically
from realtime_affect.errors import InputError, OutputError
from realtime_affect.interpret.dyads import WINDOW_MS, dyad_of
from realtime_affect.interpret.episodes import Attributes, EpisodeCutter, letter_of
from realtime_affect.interpret.hierarchy import as_data
from realtime_affect.interpret.rationale import unit_table
from realtime_affect.interpret.windows import fixed_windows
from realtime_affect.interpret.words import (
    DYADS,
    episode_heading,
    notice,
    parts,
    peak_line,
    say,
)
from realtime_affect.names import AU_INTENSITIES
from realtime_affect.outputs.report import Report, Section, Table, to_html
from realtime_affect.outputs.sinks import origin_ns

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from realtime_affect.capture import SourceInfo
    from realtime_affect.interpret.dyads import Dyad
    from realtime_affect.interpret.episodes import Episode
    from realtime_affect.interpret.interpreter import InterpretConfig
    from realtime_affect.interpret.windows import Windows
    from realtime_affect.outputs.narration import Narration, Narrator
    from realtime_affect.types import AffectResult, Face, Image, Reading, Track

VERSION: Final = 1
"""Of the keys of ``<stem>.episodes.json``."""

_KEPT: Final = ("valence", "arousal", "AU12_r")
_SMILE: Final = AU_INTENSITIES.index("AU12")
_SIDE_PX: Final = 200  # of a face in the report, at most
_MARGIN: Final = 0.25  # of its box, around it
_MOST_SHOWN: Final = 100  # episodes in the report; the JSON has them all


@dataclass(slots=True)
class _Course:
    """What is kept of one face."""

    cutter: EpisodeCutter
    t_ns: array[int] = field(default_factory=lambda: array("q"))
    values: array[float] = field(default_factory=lambda: array("f"))  # of _KEPT, in turn
    image: Image | None = None  # the face at the peak so far
    waiting: Image | None = None  # at the peak of what may not last

    def windows(self, window_ms: float, origin_ns: int) -> Windows:
        """Return the means of all kept values in fixed windows."""
        values = np.array(self.values).reshape(-1, len(_KEPT))
        return fixed_windows(self.t_ns, values, window_ms, origin_ns)


class EpisodeSink:
    """Cut readings into episodes, and write them at the end: JSON, and a page for people.

    Parameters
    ----------
    paths : (Path, Path, Path or None)
        Of the JSON, the page, and the CSV of windows, if one is wanted.
    config : InterpretConfig
    name : str
        Of the input, as the page is headed.
    narrator : Narrator, optional
        Asked for a text about each episode; None = nobody is.
    """

    def __init__(
        self, paths: tuple[Path, Path, Path | None], config: InterpretConfig, name: str,
        narrator: Narrator | None = None,
    ) -> None:  # fmt: skip
        self._json_path, self._html_path, self._windows_path = paths
        self._config, self._name, self._narrator = config, name, narrator
        self._courses: dict[int, _Course] = {}
        self._episodes: list[tuple[Episode, Image | None]] = []
        self._origin_ns: int | None = None

    def open(self, info: SourceInfo) -> None:
        """Note where seconds count from."""
        self._origin_ns = origin_ns(info)

    def write(self, reading: Reading) -> None:
        """Take in one reading."""
        frame = reading.scene.frame
        if self._origin_ns is None:
            self._origin_ns = frame.t_ns
        for track in reading.scene.tracks:
            affect = reading.affect.results.get(track.track_id)
            if track.face is None or affect is None or affect.meaning is None:
                continue
            course = self._courses.get(track.track_id)
            if course is None:
                course = self._courses[track.track_id] = _Course(EpisodeCutter(track.track_id))
            meaning = affect.meaning
            smile = float(track.face.action_units.intensity[_SMILE])
            course.t_ns.append(frame.t_ns)
            course.values.extend((meaning.valence, meaning.arousal, smile))
            was_undecided = course.cutter.undecided
            ended = course.cutter.add(
                frame.t_ns, frame.index + 1, meaning, _attributes(track.face, affect)
            )
            if ended is not None:
                self._episodes.append((ended, course.image))
                course.image = course.waiting if was_undecided else None
                course.waiting = None
            if course.cutter.at_peak and self._config.images:
                image = _face_image(frame.image, track)
                if course.cutter.undecided:
                    course.waiting = image
                else:
                    course.image = image

    def close(self) -> None:
        """End what is under way and write both files.

        Raises
        ------
        OutputError
            One cannot be written.
        """
        for course in self._courses.values():
            ended = course.cutter.finish()
            if ended is not None:
                self._episodes.append((ended, course.image))
        if not self._courses:
            return
        self._episodes.sort(key=lambda found: (found[0].start_ns, found[0].face))
        found = [episode for episode, _ in self._episodes]
        dyads = self._dyads()
        told, failure = self._narrations(found)
        _write(self._json_path, self._json(found, dyads, told))
        _write(self._html_path, to_html(self._report(dyads, told)))
        if self._windows_path is not None:
            _write(self._windows_path, self._windows())
        self._courses, self._episodes = {}, []
        if failure is not None:  # what was measured is written all the same
            raise failure

    def _narrations(self, episodes: list[Episode]) -> tuple[list[Narration], InputError | None]:
        """Return what the language model wrote of the first episodes, and why no more of them."""
        told: list[Narration] = []
        if self._narrator is not None:
            for episode in episodes[:_MOST_SHOWN]:
                evidence = episode.as_json("en", self._origin_ns or 0)
                measured = [unit for unit, _, _ in episode.units]
                try:
                    told.append(self._narrator.narrate(evidence, measured, self._config.language))
                except InputError as error:
                    return told, error
        return told, None

    def _windows(self) -> str:
        """Return the CSV of fixed windows."""
        origin, width_ms = self._origin_ns or 0, self._config.windows_ms
        lines = ["face_id,start,end,coverage," + ",".join(_KEPT)]
        for face, course in sorted(self._courses.items()):
            windows = course.windows(width_ms, origin)
            for start_ns, share, means in zip(*windows, strict=True):
                at = (int(start_ns) - origin) / 1e9
                values = ("" if value != value else f"{value:.3f}" for value in means)
                lines.append(
                    f"{face},{at:.3f},{at + width_ms / 1e3:.3f},{share:.3f}," + ",".join(values)
                )
        return "\n".join(lines) + "\n"

    def _dyads(self) -> list[Dyad]:
        """Compare every two faces that were in view together."""
        threshold = unit_table().present_at[_SMILE]
        found = []
        for (first, a), (second, b) in itertools.combinations(sorted(self._courses.items()), 2):
            series = [course.windows(WINDOW_MS, 0) for course in (a, b)]
            begin = max(int(s.start_ns[0]) for s in series)
            end = min(int(s.start_ns[-1]) for s in series)
            if end <= begin:
                continue
            both = [(s.start_ns >= begin) & (s.start_ns <= end) for s in series]
            values = [s.means[inside][:, (0, 2)] for s, inside in zip(series, both, strict=True)]
            dyad = dyad_of(
                (first, second), values[0], values[1], series[0].start_ns[both[0]], threshold
            )
            if dyad is not None:
                found.append(dyad)
        return found

    def _json(self, episodes: list[Episode], dyads: list[Dyad], told: list[Narration]) -> str:
        origin, language = self._origin_ns or 0, self._config.language
        listed = [episode.as_json(language, origin) for episode in episodes]
        for entry, narration in zip(listed, told, strict=False):
            entry["generated"] = narration.as_json()
        content = {
            "v": VERSION,
            "notice": notice(language),
            "input": self._name,
            "language": language,
            "hierarchy": as_data(),
            "episodes": listed,
            "dyads": [dyad.as_json(origin) for dyad in dyads],
        }
        return json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False) + "\n"

    def _report(self, dyads: list[Dyad], told: list[Narration]) -> Report:
        language = self._config.language
        sections = [Section(say("Overview", language), tables=(self._overview(),))]
        if dyads:
            origin = self._origin_ns or 0
            table = _dyad_table(dyads, origin, language)
            sections.append(
                Section(say("Faces together", language), say(DYADS, language), (table,))
            )
        sections += [
            self._section(episode, image, told[n] if n < len(told) else None)
            for n, (episode, image) in enumerate(self._episodes[:_MOST_SHOWN])
            if episode.label != "neutral"  # in the overview and the JSON
        ]
        if len(self._episodes) > _MOST_SHOWN:
            left = len(self._episodes) - _MOST_SHOWN
            all_are_in = say("All are in {file}.", language, file=self._json_path.name)
            sections.append(Section(say("And {n} more", language, n=left), all_are_in))
        return Report(
            say("What was displayed: {input}", language, input=self._name),
            tuple(sections),
            language,
            notice(language),
        )

    def _overview(self) -> Table:
        origin, language = self._origin_ns or 0, self._config.language
        rows = tuple(
            (
                str(e.face), *(f"{(t_ns - origin) / 1e9:.1f}" for t_ns in (e.start_ns, e.end_ns)),
                say(e.label, language),
                ", ".join(f"{unit} {letter_of(most)}" for unit, most, _ in _telling(e)[:5]),
                f"{e.agreement:.0%}", f"{e.valence:+.2f}", f"{e.arousal:+.2f}",
            )
            for e, _ in self._episodes
        )  # fmt: skip
        columns = ("face", "from s", "to s", "displayed", "strongest units", "evidence agrees",
                   "valence", "arousal")  # fmt: skip
        return Table(tuple(say(name, language) for name in columns), rows)

    def _section(
        self, episode: Episode, image: Image | None, narration: Narration | None
    ) -> Section:
        origin, language = self._origin_ns or 0, self._config.language
        start, end, peak = (
            (t_ns - origin) / 1e9 for t_ns in (episode.start_ns, episode.end_ns, episode.peak.t_ns)
        )
        tables = [
            Table((heading,), tuple((line,) for line in lines))
            for heading, lines in parts(episode.peak, language, origin)
        ]
        if narration is not None:
            tables.append(narration.table())
        png = b"" if image is None else cv2.imencode(".png", image)[1].tobytes()
        return Section(
            episode_heading(episode.face, start, end, episode.label, language),
            peak_line(peak, episode.peak_frame, language), tuple(tables), png,
            say("Face {face} in frame {frame}", language, face=episode.face,
                frame=episode.peak_frame),
        )  # fmt: skip


def _telling(episode: Episode) -> list[tuple[str, float, float]]:
    """Return an episode's units without blinks."""
    return [unit for unit in episode.units if unit[0] != "AU45"]


def _dyad_table(dyads: Sequence[Dyad], origin: int, language: str) -> Table:
    rows = []
    for dyad in dyads:
        first, second = dyad.faces
        faces = say("{a} and {b}", language, a=first, b=second)
        for name, how in ((say("valence", language), dyad.valence), ("AU12", dyad.smile)):
            known = math.isfinite(how.correlation)
            rows.append((
                faces, f"{dyad.seconds:.1f}", name,
                f"{how.correlation:+.2f}" if known else say("does not move", language),
                f"{how.lag_s:+.1f}" if known else "", f"{how.p_value:.3f}" if known else "",
            ))  # fmt: skip
        smiles = ", ".join(
            say("{start} to {end} s", language, start=f"{(a - origin) / 1e9:.1f}",
                end=f"{(b - origin) / 1e9:.1f}")
            for a, b in dyad.mutual_smiles
        )  # fmt: skip
        smiling = smiles or say("never", language)
        rows.append((faces, "", say("both smile", language), smiling, "", ""))
    columns = ("faces", "seconds", "what", "correlation", "lag s")
    return Table((*(say(name, language) for name in columns), "p"), tuple(rows))


def _attributes(face: Face, affect: AffectResult) -> Attributes:
    pose = np.rad2deg(face.pose.rotation_rad).tolist()
    quality = face.quality
    return Attributes(
        quality.score, quality.size_px, quality.view_deg, tuple(pose),
        tuple(affect.gaze_rad.tolist()),
    )  # fmt: skip


def _face_image(image: Image, track: Track) -> Image | None:
    """Return a small copy of the face, with some of what is around it."""
    x0, y0, x1, y1 = track.xyxy.tolist()
    mx, my = _MARGIN * (x1 - x0), _MARGIN * (y1 - y0)
    height, width = image.shape[:2]
    left, right = max(0, round(x0 - mx)), min(width, round(x1 + mx))
    top, bottom = max(0, round(y0 - my)), min(height, round(y1 + my))
    if right - left < 2 or bottom - top < 2:
        return None
    scale = min(1.0, _SIDE_PX / max(right - left, bottom - top))
    size = (max(1, round(scale * (right - left))), max(1, round(scale * (bottom - top))))
    small = cv2.resize(image[top:bottom, left:right], size, interpolation=cv2.INTER_AREA)
    return np.asarray(small, np.uint8)


def _write(path: Path, text: str) -> None:
    try:
        write_atomically(path, text, mode=PRIVATE)
    except OSError as error:
        raise OutputError(
            thing=f"output file {path}",
            got=error.strerror or str(error),
            expected="a file that can be written",
            hint="Free some space, or name another folder with --out.",
        ) from error
