"""Interpretations of studio sequences, whose units and compounds are known."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from realtime_affect.affect.expression import clip_timing
from realtime_affect.affect.history import ClipHistory, FaceHistory
from realtime_affect.affect.worker import AffectConfig
from realtime_affect.names import COMPOUNDS
from realtime_affect.runtime.analysers import Analysers
from realtime_affect.runtime.config import PipelineConfig
from realtime_affect.types import AffectJob, Frame
from training.synthetic.motion import EMOTIONS, Event, make_motion
from training.synthetic.studio import TRUTH_UNITS, draw_scene, film, make_subject

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from realtime_affect.meaning import Meaning
    from training.synthetic.faces import FaceModel

FPS: Final = 12.0
SECONDS: Final = 2.2
_SIDE_PX: Final = 192
SHOWN: Final = 0.3
"""True intensity, 0 to 1, from which a unit is shown: FACS B."""


@dataclass(frozen=True, slots=True)
class Sequence:
    """One person who shows one expression or compound, held to the end.

    Attributes
    ----------
    name : str
        One of EMOTIONS but neutral, or of COMPOUNDS.
    meaning : Meaning or None
        Of the last decision; None where no face was found.
    shown : dict of str to float
        True intensities, 0 to 1, at that moment.
    """

    name: str
    meaning: Meaning | None
    shown: dict[str, float]

    @property
    def top_is_right(self) -> bool:
        """Whether the strongest observation is a unit that is shown, of FACS B or more."""
        if self.meaning is None or not self.meaning.observations:
            return False
        return self.shown.get(self.meaning.observations[0].unit, 0.0) >= SHOWN

    @property
    def compound_is_right(self) -> bool:
        """Whether the compound is the one that is shown, or none where none is."""
        wanted = self.name if self.name in COMPOUNDS else "none"
        return self.meaning is not None and self.meaning.compound == wanted


def open_analysers() -> Analysers:
    """Open the networks that an interpretation needs: neither gaze nor micro-expressions."""
    return Analysers(PipelineConfig(affect=AffectConfig(gaze=False, micro=False)))


def interpret(analysers: Analysers, frames: Iterable[Frame]) -> Iterator[dict[int, Meaning]]:
    """Run the product over frames of one source; yield what each face's newest decision means."""
    analysers.reset()
    clips, moments = ClipHistory(clip_timing()), FaceHistory()
    for frame in frames:
        scene = analysers.vision.analyse(frame)
        job = AffectJob(scene, (), clips.append(scene), moments.append(scene))
        results = analysers.affect.decide(job).results
        yield {k: r.meaning for k, r in results.items() if r.meaning is not None}


def sequence(
    model: FaceModel, analysers: Analysers, split: str, person: int, name: str
) -> Sequence:
    """Film one person of a split showing `name`, and interpret it."""
    number = 100 * person + [*EMOTIONS, *COMPOUNDS].index(name)
    event = Event("macro", name, 0.3, 0.8, SECONDS + 1, SECONDS + 2, 1.0, ())
    motion = make_motion(
        number, seconds=SECONDS, fps=FPS, split=split, content="script", script=(event,)
    )
    scene = draw_scene([person, number], _SIDE_PX, split)
    truth: dict[str, float] = {}

    def frames() -> Iterator[Frame]:
        shown = film(make_subject(model, split, person), motion, scene)
        for index, (image, true) in enumerate(shown):
            truth.update(zip(TRUTH_UNITS, true.units.max(axis=1).tolist(), strict=True))
            t_ns = round(index / FPS * 1e9)
            yield Frame(index, t_ns, t_ns, image)

    last: Meaning | None = None
    for meanings in interpret(analysers, frames()):
        last = next(iter(meanings.values()), last)
    return Sequence(name, last, truth)


def sequences(model: FaceModel, split: str, people: int) -> list[Sequence]:
    """Return every expression and compound of some people of a split."""
    names = [*EMOTIONS[1:], *COMPOUNDS]
    with open_analysers() as analysers:
        return [
            sequence(model, analysers, split, person, name)
            for person in range(people)
            for name in names
        ]


def judge(found: list[Sequence]) -> dict[str, Any]:
    """Return how often the top observation and the compound are right."""
    blended = [s for s in found if s.name in COMPOUNDS]
    single = [s for s in found if s.name not in COMPOUNDS]
    return {
        "sequences": len(found),
        "top_observation_right": _share([s.top_is_right for s in found]),
        "compound_right": _share([s.compound_is_right for s in blended]),
        "no_compound_right": _share([s.compound_is_right for s in single]),
        "by_compound": {
            name: {
                "n": len(own),
                "right": _share([s.compound_is_right for s in own]),
                "taken_for": sorted({s.meaning.compound for s in own if s.meaning is not None}),
            }
            for name in COMPOUNDS
            if (own := [s for s in blended if s.name == name])
        },
        "agrees": _share([s.meaning is not None and s.meaning.verdict == "agrees" for s in found]),
    }


def _share(right: list[bool]) -> float:
    return sum(right) / len(right) if right else float("nan")
