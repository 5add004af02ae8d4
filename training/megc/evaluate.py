"""Score what the product tells of brief movements on databases that others hold.

Spotting: every frame goes through the same pipeline as in ``realtime-affect analyze``, and what it
decides is scored by the challenge's rules. Classes: onset and apex as the database labels them go
through the product's own crops, flow and network; where no apex is labelled, it is the moment that
looks least like the onset.
"""

from __future__ import annotations

import bisect
import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Protocol

import cv2
import numpy as np

from realtime_affect.capture import SourceInfo, SourceState
from realtime_affect.config import Config
from realtime_affect.errors import InputError, UsageError
from realtime_affect.face.action_units import ActionUnitConfig
from realtime_affect.face.stabilize import Stabilizer, stabilized_crop
from realtime_affect.face.track import TrackConfig
from realtime_affect.face.vision import Vision
from realtime_affect.micro.flow import flow_map
from realtime_affect.names import MICRO_CLASSES
from realtime_affect.outputs.csv_events import NewEvents
from realtime_affect.runtime.pipeline import Pipeline
from realtime_affect.types import Frame
from training.megc.databases import read_clips, read_films
from training.megc.spotting import CLASSES, Interval, recognize, score
from training.reports import shown, write_report

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from realtime_affect.types import FacialEvent, Float32, Image, Reading
    from training.megc.databases import Clip, Film

_SETTLE: Final = 10  # frames
_SETTINGS: Final = {"affect.gaze": False, "affect.expression": False}  # nobody asks for them here


class Classifier(Protocol):
    """What is needed of ``micro_classes.MicroClassifier``."""

    def classify(self, maps: Float32) -> Float32:
        """Return probabilities (n, 4) of flow maps (n, 56, 56, 3)."""

    def close(self) -> None:
        """Free the network."""


class FilmSource:
    """The numbered pictures of a film as a source of frames, at the rate they were taken at."""

    def __init__(self, film: Film, pictures: dict[int, Path]) -> None:
        self._pictures = list(pictures.items())
        self._fps, self._next = film.fps, 0
        n = len(self._pictures)
        self.info = SourceInfo("video", film.name, 0, 0, film.fps, n, live=False)
        self.state = SourceState.ONLINE
        self.warnings: tuple[str, ...] = ()

    def read(self, timeout_s: float) -> Frame | None:
        """Return the next picture; numbers that are missing are missing time."""
        del timeout_s
        if self._next == len(self._pictures):
            self.state = SourceState.ENDED
            return None
        index, self._next = self._next, self._next + 1
        number, path = self._pictures[index]
        t_ns = round((number - self._pictures[0][0]) * 1e9 / self._fps)
        return Frame(index, t_ns, t_ns, _read(path), path.name)

    def close(self) -> None:
        """Read nothing more."""
        self.state = SourceState.ENDED


@dataclass(frozen=True, slots=True)
class Spotted:
    """What the product told of a film.

    Attributes
    ----------
    intervals : tuple of Interval
        In the film's frame numbers.
    frames, faces, watched : int
        Analysed; with a face; in which a brief movement could have been told.
    """

    intervals: tuple[Interval, ...]
    frames: int
    faces: int
    watched: int


def spot(film: Film, make: Callable[..., Pipeline] = Pipeline) -> Spotted:
    """Run the product over a film.

    Raises
    ------
    InputError
        A picture or the video cannot be read.
    UsageError
        The product found faces and watched none of them.
    """
    media = film.media
    source = FilmSource(film, media) if isinstance(media, dict) else media
    new, times = NewEvents(), list[int]()
    events: list[FacialEvent] = []
    faces = watched = asked = 0
    with make(source, Config().with_values(_SETTINGS), live=False) as pipeline:
        for reading in pipeline:
            times.append(reading.scene.frame.t_ns)
            faces += any(track.face is not None for track in reading.scene.tracks)
            asked += _micro(reading) != []
            watched += "" in _micro(reading)
            events += [event for _, event in new.take(reading)]
    if faces and not asked:
        raise UsageError(
            thing="spotting", got="switched off", expected="affect.micro = true",
            hint="Remove it from the settings.",
        )  # fmt: skip
    numbers = list(media) if isinstance(media, dict) else list(range(1, len(times) + 1))

    def number_at(t_ns: int) -> int:
        after = min(bisect.bisect_left(times, t_ns), len(times) - 1)
        before = max(0, after - 1)
        return numbers[before if t_ns - times[before] < times[after] - t_ns else after]

    intervals = tuple(
        Interval(event.kind, number_at(event.onset_ns), number_at(event.offset_ns), _told(event))
        for event in events
    )
    return Spotted(intervals, len(times), faces, watched)


def evaluate_spotting(
    dataset: str, root: Path, out: Path | None, make: Callable[..., Pipeline] = Pipeline
) -> dict[str, Any]:
    """Spot in all films of a database, print a table of figures and write the report to `out`."""
    from rich.console import Console
    from rich.progress import track

    films = read_films(dataset, root)
    shown_films = track(films, f"watching {dataset}", console=Console(stderr=True))
    spotted = [spot(film, make) for film in shown_films]
    found = score([(film.truth, one.intervals) for film, one in zip(films, spotted, strict=True)])
    minutes = sum(one.frames / film.fps for film, one in zip(films, spotted, strict=True)) / 60
    frames = sum(one.frames for one in spotted)
    report = {
        "dataset": dataset,
        "subjects": len({film.subject for film in films}),
        "films": len(films),
        "minutes": minutes,
        "share_with_a_face": sum(one.faces for one in spotted) / max(1, frames),
        "share_watched": sum(one.watched for one in spotted) / max(1, frames),
        "false_micro_per_min": found["micro"]["false"] / minutes if minutes else float("nan"),
        **found,
    }
    _print_spotting(report)
    write_report(report, out)
    return report


def map_of(clip: Clip) -> Float32 | None:
    """Return the flow map (56, 56, 3) from a clip's onset to its apex; None without a face there.

    Raises
    ------
    InputError
        A picture cannot be read.
    """
    end = clip.offset if clip.apex is None else clip.apex
    numbers = [number for number in clip.pictures if clip.onset <= number <= end]
    # The product has seen a face for long when it moves: its mesh and its place have settled.
    times = [(clip.onset + k - _SETTLE, number) for k, number in enumerate(numbers[:1] * _SETTLE)]
    times += [(number, number) for number in numbers]
    stabilized = Stabilizer()
    crops: dict[int, Image] = {}
    # One moment is all there is of the onset, so a face counts from its first frame on.
    vision = Vision(track=TrackConfig(birth_frames=1), action_units=ActionUnitConfig(adapt_s=0.0))
    with contextlib.closing(vision):
        for index, (at, number) in enumerate(times):
            t_ns = round((at - times[0][0]) * 1e9 / clip.fps)
            frame = Frame(index, t_ns, t_ns, _read(clip.pictures[number]))
            tracks = vision.analyse(frame).tracks
            seen = [track.face for track in tracks if track.face is not None]
            if seen:
                face = max(seen, key=lambda face: face.quality.size_px)
                crops[number] = stabilized_crop(
                    frame.image, stabilized.update(t_ns, face.mesh.points)
                )
    if not numbers or numbers[0] not in crops or len(crops) < 2:
        return None
    onset = crops.pop(numbers[0])
    if clip.apex is not None:
        apex = crops.get(numbers[-1])
        return None if apex is None else flow_map(onset, apex)
    apart = {number: cv2.norm(onset, crop, cv2.NORM_L1) for number, crop in crops.items()}
    return flow_map(onset, crops[max(apart, key=lambda number: apart[number])])


def evaluate_classes(
    dataset: str, root: Path, out: Path | None, classifier: Classifier | None = None
) -> dict[str, Any]:
    """Tell the classes of all clips of a database, print and write the report.

    Closes `classifier`.

    ``told`` are the product's own answers, of which "none" is one; ``forced`` the likeliest of the
    three classes, as those who publish figures on these databases let their networks choose.
    """
    from rich.console import Console
    from rich.progress import track

    clips = read_clips(dataset, root)
    if classifier is None:
        from realtime_affect.micro.classifier import MicroClassifier

        classifier = MicroClassifier()
    shown_clips = track(clips, f"reading {dataset}", console=Console(stderr=True))
    maps = [map_of(clip) for clip in shown_clips]
    known = [n for n, flow in enumerate(maps) if flow is not None]
    stack = np.array([maps[n] for n in known], np.float32).reshape(-1, 56, 56, 3)
    with contextlib.closing(classifier):
        shares = np.concatenate(
            [np.empty((0, len(MICRO_CLASSES)), np.float32),
             *(classifier.classify(stack[n : n + 64]) for n in range(0, len(stack), 64))]
        )  # fmt: skip
    truth = [clips[n].label for n in known]
    report = {
        "dataset": dataset,
        "subjects": len({clip.subject for clip in clips}),
        "clips": len(clips),
        "with_a_face": len(known),
        "told": recognize(truth, [_likeliest(row) for row in shares]),
        "forced": recognize(truth, [_likeliest(row[: len(CLASSES)]) for row in shares]),
    }
    print(f"{dataset}: a face in {len(known)} of {len(clips)} clips")
    for name in ("told", "forced"):
        figures = report[name]
        print(f"{name}: UF1 {shown(figures['uf1'])}, UAR {shown(figures['uar'])}")
        for label, row in zip(CLASSES, figures["confusion"], strict=True):
            print(f"{label:>10}  {' '.join(f'{count:5}' for count in row)}")
    write_report(report, out)
    return report


def _micro(reading: Reading) -> list[str]:
    """Return why each face's brief movements cannot be seen, empty text where they can."""
    results = reading.affect.results.values()
    return [result.micro.unavailable_reason for result in results if result.micro is not None]


def _told(event: FacialEvent) -> str:
    """Return the class that an event was given, "none" for none; empty where it was given none."""
    return _likeliest(event.probabilities)


def _likeliest(shares: Float32) -> str:
    """Return the class with the largest share; empty where there are no shares."""
    return MICRO_CLASSES[int(shares.argmax())] if np.isfinite(shares).all() else ""


def _print_spotting(report: dict[str, Any]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, header_style="dim")
    headings = ("kind", "right", "false", "missed", "precision", "recall", "F1")
    for heading in headings:
        table.add_column(heading, justify="left" if heading == "kind" else "right")
    for kind in ("micro", "macro", "all"):
        figures = report[kind]
        counts = [str(figures[key]) for key in ("right", "false", "missed")]
        rates = [shown(figures[key]) for key in ("precision", "recall", "f1")]
        table.add_row(kind, *counts, *rates)
    console = Console()
    console.print(
        f"{report['dataset']}: {report['films']} videos of {report['subjects']} people, "
        f"{report['minutes']:.1f} minutes; a face in {100 * report['share_with_a_face']:.0f}% of "
        f"the frames, brief movements visible in {100 * report['share_watched']:.0f}%"
    )
    console.print(table)
    recognition = report["recognition"]
    console.print(
        f"false micro a minute: {shown(report['false_micro_per_min'])}; of {recognition['n']} "
        f"right ones with a class UF1 {shown(recognition['uf1'])}; STRS {shown(report['strs'])}"
    )


def _read(path: Path) -> Image:
    image = cv2.imread(str(path))
    if image is None:
        raise InputError(
            thing=str(path), got="no picture", expected="JPEG, PNG or BMP",
            hint="Unpack the database again.",
        )  # fmt: skip
    return image  # type: ignore[return-value]
