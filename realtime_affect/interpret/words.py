"""A meaning in words: one short line, a full text in three parts, JSON.

Every sentence is a message of the catalogues in ``locale/``: English as it stands here, German,
French, Spanish and Chinese from ``<language>/LC_MESSAGES/interpret.mo``. After a change of a
sentence, ``python -m realtime_affect.interpret.catalogues`` brings the catalogues up to date.
"""

from __future__ import annotations

import gettext
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from realtime_affect.interpret.compound import NONE
from realtime_affect.interpret.prototypes import associated
from realtime_affect.names import COMPOUNDS, FACS_NAMES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from realtime_affect.meaning import Candidate, Meaning, Observation, Verdict

    Translate = Callable[[str], str]

DOMAIN: Final = "interpret"
LOCALES: Final = Path(__file__).with_name("locale")
LANGUAGES: Final = ("en", "de", "fr", "es", "zh")

BRIEF_MS: Final = 500.0
_SUSTAINED_MS: Final = 1000.0
_MOST_IN_LINE: Final = 4


def _mark(message: str) -> str:
    """Mark a message for the catalogues; it is translated where it is used."""
    return message


NOTICE: Final = _mark(
    "This describes the expression displayed, not what the person feels. It is not a medical "
    "device and makes no diagnosis."
)
LETTERS: Final = {
    "A": _mark("trace"), "B": _mark("slight"), "C": _mark("marked"), "D": _mark("severe"),
    "E": _mark("maximum"),
}  # fmt: skip
"""FACS intensities in words."""
_SIDES: Final = {
    "both": _mark("both sides"), "right": _mark("right side only"), "left": _mark("left side only"),
}  # fmt: skip
_PHASES: Final = {"rising": _mark("rising"), "held": _mark("held"), "fading": _mark("fading")}
_TRUSTS: Final = {
    "high": _mark("high trust"), "medium": _mark("medium trust"), "low": _mark("low trust"),
}  # fmt: skip
_VERDICTS: Final = {
    "agrees": _mark("The measured movements agree with it."),
    "partly": _mark("The measured movements agree with it in part."),
    "disagrees": _mark("The measured movements disagree with it."),
    "unchecked": _mark("No movement could be measured to check it."),
}
_SHORT_VERDICTS: Final = {
    "agrees": _mark("agrees"), "partly": _mark("agrees in part"), "disagrees": _mark("disagrees"),
    "unchecked": _mark("not checked"),
}  # fmt: skip
_CAVEATS: Final = {
    "average face": _mark(
        "The person's own rest is not known yet: movements are against an average face."
    ),
    "turned": _mark("The head is turned away from the camera."),
    "small": _mark("The face is small in the image."),
    "blurred": _mark("The image is blurred."),
    "warming up": _mark("Less than the full clip was seen."),
    "speaking": _mark(
        "The mouth moves as in speech: valence and the units of the mouth are weak evidence."
    ),
}
_BASELINES: Final = {
    "average face": _mark("an average face"), "own rest": _mark("the person's own rest"),
}  # fmt: skip
_EXPRESSIONS: Final = (
    _mark("happiness"), _mark("sadness"), _mark("neutral"), _mark("anger"), _mark("surprise"),
    _mark("disgust"), _mark("fear"), _mark("contempt"), _mark("fearfully surprised"),
    _mark("happily surprised"), _mark("sadly surprised"), _mark("disgustedly surprised"),
    _mark("angrily surprised"), _mark("sadly fearful"), _mark("sadly angry"),
)  # fmt: skip
_UNITS: Final = (
    _mark("inner brow raiser"), _mark("outer brow raiser"), _mark("brow lowerer"),
    _mark("upper lid raiser"), _mark("cheek raiser"), _mark("lid tightener"),
    _mark("nose wrinkler"), _mark("upper lip raiser"), _mark("lip corner puller"),
    _mark("dimpler"), _mark("lip corner depressor"), _mark("chin raiser"), _mark("lip stretcher"),
    _mark("lip tightener"), _mark("lips part"), _mark("jaw drop"), _mark("lip suck"),
    _mark("blink"),
)  # fmt: skip

_PAGE: Final = (
    _mark("Overview"), _mark("face"), _mark("from s"), _mark("to s"), _mark("displayed"),
    _mark("strongest units"), _mark("evidence agrees"), _mark("valence"), _mark("arousal"),
    _mark("Faces together"), _mark("faces"), _mark("seconds"), _mark("what"), _mark("correlation"),
    _mark("lag s"), _mark("does not move"), _mark("both smile"), _mark("never"),
    _mark("What was displayed: {input}"), _mark("Face {face} in frame {frame}"),
    _mark("And {n} more"), _mark("All are in {file}."), _mark("{a} and {b}"),
    _mark("{start} to {end} s"),
    _mark(
        "Strongest correlation of two faces over lags of up to 2 s, in windows of 200 ms; a "
        "positive lag means that the second follows the first. p: how often shuffled blocks of 2 s "
        "correlate as strongly. Both may follow something else: this is no proof of influence."
    ),
)  # fmt: skip
"""What the page of episodes says besides; see :func:`say`."""
DYADS: Final = _PAGE[-1]
"""What the correlation of two faces is."""


def short_line(meaning: Meaning, language: str = "en") -> str:
    """Return units with side and FACS letter, and whether they agree: for an image or a list.

    Parameters
    ----------
    meaning : Meaning
    language : str
        One of LANGUAGES.

    Examples
    --------
    ``"AU12 D, AU06 B: agrees"``, ``"no movement: disagrees"``
    """
    return line_of(meaning.compound, meaning.observations, meaning.verdict, language)


def line_of(
    compound: str, observations: Sequence[Observation], verdict: Verdict, language: str
) -> str:
    """Return the short line of these parts of a meaning."""
    _ = _translation(language)
    shown = [_short(o, _) for o in observations[:_MOST_IN_LINE]]
    if len(observations) > _MOST_IN_LINE:
        shown.append("...")
    what = ", ".join(shown) or _("no movement")
    mixed = "" if compound == NONE else f"{_(compound)}; "
    return f"{mixed}{what}: {_(_SHORT_VERDICTS[verdict])}"


def full_text(meaning: Meaning, language: str = "en", origin_ns: int = 0) -> str:
    """Return key observations, interpretation and conclusion, lines of plain text.

    Parameters
    ----------
    meaning : Meaning
    language : str
        One of LANGUAGES.
    origin_ns : int
        Source time of second 0.
    """
    _ = _translation(language)
    return "\n".join(
        f"{heading}\n" + "\n".join(f"- {line}" for line in lines)
        for heading, lines in parts(meaning, language, origin_ns)
    ) + f"\n{_(NOTICE)}\n"  # fmt: skip


def parts(
    meaning: Meaning, language: str = "en", origin_ns: int = 0
) -> tuple[tuple[str, tuple[str, ...]], ...]:
    """Return the three parts, each a heading and sentences."""
    _ = _translation(language)
    return (
        (_("Key observations"), tuple(_observations(meaning, _, origin_ns))),
        (_("Interpretation"), tuple(_interpretation(meaning, _))),
        (_("Conclusion"), (_conclusion(meaning, _),)),
    )


def notice(language: str = "en") -> str:
    """Return what every explanation says of itself."""
    return _translation(language)(NOTICE)


def say(message: str, language: str, **facts: object) -> str:
    """Return a message of the catalogues in a language, with what is put into it.

    Names of expressions and compounds are messages, too.
    """
    return _translation(language)(message).format(**facts)


def episode_heading(face: int, start_s: float, end_s: float, name: str, language: str) -> str:
    """Return the title of an episode."""
    _ = _translation(language)
    return _("Face {face}, {start} to {end} s: {name}").format(
        face=face, start=f"{start_s:.2f}", end=f"{end_s:.2f}", name=_(name)
    )


def peak_line(second_s: float, frame: int, language: str) -> str:
    """Return where an episode's peak is."""
    _ = _translation(language)
    return _("Peak at {second} s, frame {frame}.").format(second=f"{second_s:.2f}", frame=frame)


def as_json(meaning: Meaning, language: str = "en", origin_ns: int = 0) -> dict[str, Any]:
    """Return a meaning as JSON's own types, with its text."""

    def seconds(t_ns: int | None) -> float | None:
        return None if t_ns is None else round((t_ns - origin_ns) / 1e9, 3)

    return {
        "timestamp": seconds(meaning.t_ns),
        "expression": meaning.name,
        "probability": round(meaning.probability, 3),
        "verdict": meaning.verdict,
        "compound": meaning.compound,
        "p_compound": round(meaning.p_compound, 3),
        "hierarchy": [list(path) for path in meaning.tiers],
        "valence": round(meaning.valence, 3),
        "arousal": round(meaning.arousal, 3),
        "above": meaning.baseline,
        "phase": meaning.phase or None,
        "shown_ms": round(meaning.shown_ms),
        "observations": [
            {
                "unit": o.unit, "name": FACS_NAMES[o.unit], "side": o.side or None,
                "intensity": round(o.intensity, 2), "letter": o.letter,
                "onset": seconds(o.onset_ns), "duration_ms": round(o.duration_ms),
                "phase": o.phase or None, "trust": o.trust,
                "expressions": list(associated(o.unit)),
            }
            for o in meaning.observations
        ],
        "candidates": [
            {
                "name": c.name, "probability": round(c.probability, 3),
                "support": round(c.support, 2), "present": list(c.present),
                "missing": list(c.missing), "against": list(c.against),
            }
            for c in meaning.candidates
        ],
        "caveats": list(meaning.caveats),
        "text": full_text(meaning, language, origin_ns),
    }  # fmt: skip


def _short(observation: Observation, _: Translate) -> str:
    side = ""
    if observation.side in ("right", "left"):
        side = f" {_(_SIDES[observation.side])}"
    unsure = "?" if observation.trust == "low" else ""
    return f"{observation.unit}{unsure} {observation.letter}{side}"


def _observations(meaning: Meaning, _: Translate, origin_ns: int) -> Iterable[str]:
    if not meaning.observations:
        yield _("No movement above {baseline}.").format(baseline=_baseline(meaning, _))
    for o in meaning.observations:
        facts = [_("{letter} ({word}, {value} of 5)").format(
            letter=o.letter, word=_(LETTERS[o.letter]), value=f"{o.intensity:.1f}"
        )]  # fmt: skip
        if o.side:
            facts.append(_(_SIDES[o.side]))
        if o.onset_ns is not None:
            facts.append(_("since {second} s, for {duration} s").format(
                second=f"{(o.onset_ns - origin_ns) / 1e9:.2f}",
                duration=f"{o.duration_ms / 1e3:.2f}",
            ))  # fmt: skip
        if o.phase:
            facts.append(_(_PHASES[o.phase]))
        facts.append(_(_TRUSTS[o.trust]))
        found = associated(o.unit)
        if found:
            listed = ", ".join(_(name) for name in found)
            facts.append(_("seen in {expressions}").format(expressions=listed))
        yield f"{o.unit} {_(FACS_NAMES[o.unit])}: " + "; ".join(facts)


def _interpretation(meaning: Meaning, _: Translate) -> Iterable[str]:
    for candidate in meaning.candidates:
        if candidate.name in COMPOUNDS:
            yield _compound(candidate, _)
        else:
            yield _for_and_against(candidate, _)
    if meaning.compound == NONE:
        yield _("No compound emotion: neutral or one expression leads, or too much is open.")
    if meaning.shown_ms:
        yield _dynamics(meaning, _)
    yield _("Valence {valence}, arousal {arousal}, from -1 to 1.").format(
        valence=f"{meaning.valence:+.2f}", arousal=f"{meaning.arousal:+.2f}"
    )
    for caveat in meaning.caveats:
        yield _(_CAVEATS[caveat])


def _for_and_against(candidate: Candidate, _: Translate) -> str:
    if candidate.name == "neutral":
        if not candidate.against:
            return _("For {name} ({p}): nothing but traces, blinks or lips that part.").format(
                name=_(candidate.name), p=_share(candidate.probability)
            )
        return _("Against {name} ({p}): {against}.").format(
            name=_(candidate.name), p=_share(candidate.probability),
            against=_list(candidate.against, _),
        )  # fmt: skip
    return _(
        "For {name} ({p}): {present} present, {missing} missing; against it: {against}."
    ).format(
        name=_(candidate.name), p=_share(candidate.probability),
        present=_list(candidate.present, _), missing=_list(candidate.missing, _),
        against=_list(candidate.against, _),
    )  # fmt: skip


def _compound(candidate: Candidate, _: Translate) -> str:
    first, second = COMPOUNDS[candidate.name]
    return _(
        "{first} and {second} together ({p}): {compound}. Of what most people move for it, "
        "{present} present, {missing} missing."
    ).format(
        first=_(first), second=_(second), p=_share(candidate.probability),
        compound=_(candidate.name), present=_list(candidate.present, _),
        missing=_list(candidate.missing, _),
    )  # fmt: skip


def _dynamics(meaning: Meaning, _: Translate) -> str:
    if meaning.shown_ms < BRIEF_MS:
        text = _("{name} has been reported for {duration} s, brief so far")
    elif meaning.shown_ms < _SUSTAINED_MS:
        text = _("{name} has been reported for {duration} s")
    else:
        text = _("{name} has been reported for {duration} s, sustained")
    said = text.format(name=_(meaning.name), duration=f"{meaning.shown_ms / 1e3:.2f}")
    if meaning.phase:
        said += "; " + _("its probability is {phase}").format(phase=_(_PHASES[meaning.phase]))
    return f"{said}."


def _conclusion(meaning: Meaning, _: Translate) -> str:
    said = _("The network reports {name}, probability {p}.").format(
        name=_(meaning.name), p=_share(meaning.probability)
    )
    return f"{said} {_(_VERDICTS[meaning.verdict])}"


def _baseline(meaning: Meaning, _: Translate) -> str:
    if meaning.baseline in _BASELINES:
        return _(_BASELINES[meaning.baseline])
    return _("the rest in profile {name}").format(name=meaning.baseline)


def _share(probability: float) -> str:
    return f"{100 * probability:.0f} %"


def _list(units: Sequence[str], _: Translate) -> str:
    return ", ".join(units) or _("none")


@cache
def _translation(language: str) -> Translate:
    if language == "en":
        return gettext.NullTranslations().gettext
    return gettext.translation(DOMAIN, LOCALES, [language]).gettext
