"""What faces do over time: expressions, micro-expressions, speech, blinks, gaze, head motion.

Pure functions of a seed. The splits differ in more than seeds: each has curves of its own for onset
and offset, and combinations of units of its own.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from training.synthetic.blends import BLENDS, draw_blend

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

Array = NDArray[np.float32]

UNITS: Final = (
    "AU01", "AU02", "AU04", "AU05", "AU06", "AU07", "AU09", "AU10", "AU12", "AU14", "AU15", "AU16",
    "AU17", "AU20", "AU24", "AU26", "AU28", "AU45",
)  # fmt: skip
"""Units that are driven, 0 to 1, the person's right and left."""

EXTRAS: Final = (
    "jawForward", "jawLeft", "jawRight", "mouthClose", "mouthFunnel", "mouthPucker", "mouthLeft",
    "mouthRight", "cheekPuff_L", "cheekPuff_R",
)  # fmt: skip
"""Shapes no unit drives: speech, and movements that must not be taken for a unit."""

EMOTIONS: Final = (
    "neutral", "happiness", "sadness", "surprise", "fear", "anger", "disgust", "contempt",
)  # fmt: skip

Prototype = dict[str, tuple[float, float]]

PROTOTYPES: Final[dict[str, tuple[Prototype, ...]]] = {
    "happiness": (
        {"AU06": (0.4, 0.9), "AU12": (0.6, 1.0)},
        {"AU06": (0.4, 0.9), "AU12": (0.7, 1.0), "AU26": (0.1, 0.4)},
        {"AU12": (0.5, 0.9)},
    ),
    "sadness": ({"AU01": (0.6, 1.0), "AU04": (0.3, 0.7), "AU15": (0.5, 1.0), "AU17": (0.1, 0.6)},),
    "surprise": ({"AU01": (0.6, 1.0), "AU02": (0.6, 1.0), "AU05": (0.5, 1.0), "AU26": (0.3, 0.8)},),
    "fear": (
        {"AU01": (0.6, 1.0), "AU02": (0.3, 0.7), "AU04": (0.3, 0.7), "AU05": (0.5, 1.0),
         "AU20": (0.4, 0.9), "AU26": (0.1, 0.4)},
        {"AU01": (0.6, 1.0), "AU02": (0.3, 0.7), "AU04": (0.3, 0.7), "AU05": (0.5, 1.0),
         "AU07": (0.2, 0.5), "AU20": (0.4, 0.9)},
    ),
    "anger": (
        {"AU04": (0.6, 1.0), "AU05": (0.2, 0.5), "AU07": (0.4, 0.8), "AU24": (0.5, 1.0)},
        {"AU04": (0.6, 1.0), "AU07": (0.4, 0.9), "AU10": (0.2, 0.5)},
    ),
    "disgust": (
        {"AU09": (0.5, 1.0), "AU10": (0.2, 0.6), "AU17": (0.1, 0.5)},
        {"AU09": (0.5, 1.0), "AU15": (0.2, 0.6), "AU16": (0.2, 0.6)},
        {"AU04": (0.2, 0.5), "AU10": (0.6, 1.0), "AU17": (0.3, 0.7)},
    ),
    "contempt": ({"AU12": (0.3, 0.6), "AU14": (0.5, 1.0)},),
}  # fmt: skip
"""EMFACS-style prototypes and the range of each unit; contempt shows on one side."""

UNILATERAL: Final = ("contempt",)

# Pairs that pull against each other: the second is held back while the first acts.
_OPPOSED: Final = (
    ("AU45", "AU05"), ("AU26", "AU24"), ("AU26", "AU28"), ("AU12", "AU15"), ("AU20", "AU24"),
    ("AU24", "AU28"), ("AU26", "AU17"),
)  # fmt: skip
_SALT: Final = {"train": 0, "validation": 1, "test": 2}

MACRO_S: Final = (0.5, 4.0)
MICRO_S: Final = (0.04, 0.5)
MICRO_STRENGTH: Final = (0.05, 0.35)
BLINKS_PER_MIN: Final = (15.0, 25.0)
BLINK_S: Final = (0.10, 0.25)
SYLLABLES_HZ: Final = (3.0, 6.0)


@dataclass(frozen=True, slots=True)
class Event:
    """Something a face does.

    Attributes
    ----------
    kind : {"macro", "micro", "unit", "speech", "blink", "turn"}
    emotion : str
        One of EMOTIONS, or of ``blends.BLENDS`` in a script, or empty.
    onset_s, apex_s, hold_s, offset_s : float
        Begins, reaches its strongest, leaves it, is gone.
    strength : float
        0 to 1: share of the prototype, or of the unit.
    units : tuple of str
    """

    kind: str
    emotion: str
    onset_s: float
    apex_s: float
    hold_s: float
    offset_s: float
    strength: float
    units: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Motion:
    """A face through n frames.

    Attributes
    ----------
    fps : float
    t_s : (n,) float64
    units : (n, 18, 2) float32
        0 to 1 in the order of UNITS: the person's right, left.
    extras : (n, 10) float32
        0 to 1 in the order of EXTRAS.
    angles_rad : (n, 3) float32
        (Rx, Ry, Rz) as in :class:`realtime_affect.types.HeadPose`.
    shift_cm : (n, 3) float32
        Head translation: x to the image's right, y down, z away.
    look : (n, 2) float32
        -1 to 1: towards the person's left, and up.
    emotion : (n,) int64
        Index of EMOTIONS: of the strongest expression under way.
    events : tuple of Event
    """

    fps: float
    t_s: NDArray[np.float64]
    units: Array
    extras: Array
    angles_rad: Array
    shift_cm: Array
    look: Array
    emotion: NDArray[np.int64]
    events: tuple[Event, ...]


def facs_letter(intensity: float) -> str:
    """Return the FACS letter of an intensity 0 to 1: "" under 0.1, then A, B, C, D, E.

    Each letter is a fifth of the scale around its number: C is 2.5 to 3.5 of 5.
    """
    return ("", "A", "B", "C", "D", "E")[min(5, int(5 * intensity + 0.5))]


def combination_split(units: Iterable[str]) -> str:
    """Return the split that a combination of units belongs to, by a stable hash.

    Single units and emotions' prototypes belong to all.
    """
    digest = hashlib.sha256(" ".join(sorted(units)).encode()).digest()[0] % 10
    return "train" if digest < 7 else "validation" if digest < 8 else "test"


def make_motion(
    seed: int, *, seconds: float, fps: float, split: str = "train", content: str = "mixed",
    script: Sequence[Event] = (),
) -> Motion:  # fmt: skip
    """Make a sequence.

    Parameters
    ----------
    seed : int
    seconds, fps : float
    split : {"train", "validation", "test"}
    content : {"mixed", "macro", "micro", "speech", "neutral", "units", "script"}
        "units": single units and combinations, changing all the time; "script": only that.
    script : sequence of Event
        Expressions to show besides; their units are drawn.
    """
    rng = np.random.default_rng([_SALT[split], seed, 101])
    n = max(1, round(seconds * fps))
    t = np.arange(n) / fps
    units = np.zeros((n, len(UNITS), 2), np.float32)
    extras = np.zeros((n, len(EXTRAS)), np.float32)
    events: list[Event] = []
    curve = _CURVES[split]
    if content in ("mixed", "macro"):
        _add_expressions(units, t, events, curve, rng, "macro")
    if content in ("mixed", "micro"):
        _add_expressions(units, t, events, curve, rng, "micro")
    if content == "units":
        _add_combinations(units, t, events, curve, rng, split)
    for event in script:
        if event.emotion in BLENDS:
            levels = draw_blend(event.emotion, rng)
        else:
            levels = _draw_prototype(event.emotion, rng)
        events.append(replace(event, units=tuple(levels)))
        _show(units, t, events[-1], levels, curve, rng)
    if content == "speech" or (content == "mixed" and rng.uniform() < 0.5):
        _add_speech(units, extras, t, events, rng)
    _add_blinks(units, t, events, rng)
    _hold_back(units)
    emotion, strongest = np.zeros(n, np.int64), np.zeros(n)
    for event in events:
        if event.emotion in EMOTIONS:
            level = event_level(event, t, split)
            here = level > np.maximum(strongest, 0.02)
            emotion[here], strongest[here] = EMOTIONS.index(event.emotion), level[here]
    lively = 0.4 if content == "neutral" else 1.0
    angles = _wander(rng, t, [0.05, 0.09, 0.04], 0.5) * lively
    if content != "neutral":
        _add_turns(angles, t, events, rng)
    shift = _wander(rng, t, [0.8, 0.5, 1.5], 0.3) * lively
    return Motion(
        fps, t, units, extras, angles.astype(np.float32), shift.astype(np.float32),
        _gaze(rng, t), emotion, tuple(sorted(events, key=lambda event: event.onset_s)),
    )  # fmt: skip


def event_level(event: Event, t_s: NDArray[np.float64], split: str) -> NDArray[np.float64]:
    """How strongly an event shows at each time, 0 to 1."""
    return event.strength * _phase(t_s, event, _CURVES[split])


def posed(seed: int, n: int, split: str = "train") -> Motion:
    """Make n frames that have nothing to do with each other: the cheapest way to show units.

    12 % are neutral, 10 % show a speaking mouth, 18 % a lid on its way; the others one to seven
    units at any intensity, a fifth of them an emotion's prototype, a quarter lopsided.
    """
    rng = np.random.default_rng([_SALT[split], seed, 202])
    units = np.zeros((n, len(UNITS), 2), np.float32)
    extras = np.zeros((n, len(EXTRAS)), np.float32)
    emotion = np.zeros(n, np.int64)
    for i in range(n):
        if rng.uniform() < 0.12:
            continue
        if rng.uniform() < 0.2:
            name = EMOTIONS[rng.integers(1, len(EMOTIONS))]
            strength = rng.uniform(0.1, 1.0)
            for unit, level in _draw_prototype(name, rng).items():
                units[i, UNITS.index(unit)] = strength * level
            emotion[i] = EMOTIONS.index(name)
        else:
            for unit in _draw_combination(rng, split, 7):
                units[i, UNITS.index(unit)] = _draw_level(rng) * _draw_sides(rng)
        if rng.uniform() < 0.1:
            jaw = rng.uniform(0, 0.4)
            units[i, UNITS.index("AU26")] = np.maximum(units[i, UNITS.index("AU26")], jaw)
            extras[i, rng.choice([3, 4, 5])] = rng.uniform(0, 0.8) * (
                jaw if rng.uniform() < 0.3 else 1
            )
        elif rng.uniform() < 0.08:
            extras[i, rng.integers(len(EXTRAS))] = rng.uniform(0, 0.7)
        if rng.uniform() < 0.18:
            units[i, UNITS.index("AU45")] = rng.uniform(0, 1)
    _hold_back(units)
    angles = rng.normal(0, [0.12, 0.22, 0.10], (n, 3))
    angles = np.clip(angles, [-0.42, -0.7, -0.35], [0.42, 0.7, 0.35]).astype(np.float32)
    look = np.clip(rng.normal(0, 0.35, (n, 2)), -1, 1).astype(np.float32)
    shift = rng.normal(0, 0.4, (n, 3)).astype(np.float32)
    return Motion(30.0, np.arange(n) / 30.0, units, extras, angles, shift, look, emotion, ())


def _smoothstep(x: NDArray[np.float64]) -> NDArray[np.float64]:
    return x * x * (3 - 2 * x)


def _minimum_jerk(x: NDArray[np.float64]) -> NDArray[np.float64]:
    return x**3 * (10 - 15 * x + 6 * x * x)


def _raised_cosine(x: NDArray[np.float64]) -> NDArray[np.float64]:
    return 0.5 - 0.5 * np.cos(np.pi * x)


def _lognormal(x: NDArray[np.float64]) -> NDArray[np.float64]:
    """Travelled way of a movement with lognormal speed (Plamondon, 1995): fast start, slow end."""
    from scipy.special import erf

    way = 0.5 + 0.5 * erf((np.log(np.maximum(x, 1e-9)) + 0.9) / (0.55 * np.sqrt(2)))
    end = 0.5 + 0.5 * erf(0.9 / (0.55 * np.sqrt(2)))
    return np.where(x > 0, way / end, 0.0)  # type: ignore[no-any-return]


_CURVES: Final[dict[str, tuple[Callable[..., NDArray[np.float64]], ...]]] = {
    "train": (_smoothstep, _minimum_jerk),
    "validation": (_raised_cosine,),
    "test": (_lognormal,),
}
"""Rise and fall from 0 to 1, by split."""


def _phase(
    t: NDArray[np.float64], event: Event, curves: tuple[Callable[..., NDArray[np.float64]], ...],
    lag_s: float = 0.0,
) -> NDArray[np.float64]:  # fmt: skip
    """How far an event has gone at each time: 0, rising to 1, held, falling to 0."""
    curve = curves[len(event.units) % len(curves)]
    rise = np.clip((t - event.onset_s - lag_s) / (event.apex_s - event.onset_s), 0, 1)
    fall = np.clip((event.offset_s - t) / (event.offset_s - event.hold_s), 0, 1)
    return np.minimum(curve(rise), curve(fall))


def _show(
    units: Array, t: NDArray[np.float64], event: Event, levels: dict[str, Array],
    curves: tuple[Callable[..., NDArray[np.float64]], ...], rng: np.random.Generator,
) -> None:  # fmt: skip
    """Add an event's units; where events overlap the stronger shows."""
    room = event.apex_s - event.onset_s
    for unit, level in levels.items():
        lag = min(rng.uniform(0, 0.08), 0.15 * room)
        for side in (0, 1):
            late = lag + (min(rng.uniform(0, 0.008), 0.02 * room) if side else 0.0)
            shown = event.strength * float(level[side]) * _phase(t, event, curves, late)
            row = units[:, UNITS.index(unit), side]
            np.maximum(row, shown, out=row)


def _add_expressions(
    units: Array, t: NDArray[np.float64], events: list[Event],
    curves: tuple[Callable[..., NDArray[np.float64]], ...], rng: np.random.Generator, kind: str,
) -> None:  # fmt: skip
    """Add macro- or micro-expressions with rest between them."""
    micro = kind == "micro"
    end = t[-1] + 1e-9
    start = rng.uniform(0.2, 0.8)
    shortest, longest = MICRO_S if micro else MACRO_S
    while end - start > shortest:
        longest = min(longest, end - start)
        length = float(np.exp(rng.uniform(np.log(shortest), np.log(longest))))
        onset = length * rng.uniform(0.25, 0.45)
        hold = onset + (length - onset) * rng.uniform(0.05, 0.5)
        strength = rng.uniform(*MICRO_STRENGTH) if micro else rng.uniform(0.4, 1.0)
        name = EMOTIONS[rng.integers(1, len(EMOTIONS))]
        levels = _draw_prototype(name, rng)
        event = Event(
            kind, name, start, start + onset, start + hold, start + length, strength, tuple(levels)
        )
        events.append(event)
        _show(units, t, event, levels, curves, rng)
        start += length + rng.uniform(0.4, 1.8)


def _add_combinations(
    units: Array, t: NDArray[np.float64], events: list[Event],
    curves: tuple[Callable[..., NDArray[np.float64]], ...], rng: np.random.Generator, split: str,
) -> None:  # fmt: skip
    start = rng.uniform(0.0, 0.3)
    while start < t[-1]:
        length = rng.uniform(0.4, 1.2)
        names = _draw_combination(rng, split, 7)
        levels = {name: _draw_level(rng) * _draw_sides(rng) for name in names}
        onset, hold = length * rng.uniform(0.2, 0.4), length * rng.uniform(0.5, 0.8)
        event = Event("unit", "", start, start + onset, start + hold, start + length, 1.0, names)
        events.append(event)
        _show(units, t, event, levels, curves, rng)
        start += length * rng.uniform(0.6, 1.1)


def _add_speech(
    units: Array, extras: Array, t: NDArray[np.float64], events: list[Event],
    rng: np.random.Generator,
) -> None:  # fmt: skip
    """Open and round the mouth syllable by syllable."""
    start = float(rng.uniform(0, 0.4))
    end = start + float(rng.uniform(0.6, 1.0)) * (t[-1] - start)
    events.append(Event("speech", "", start, start, end, end, 1.0, ("AU26",)))
    at = start
    while at < end:
        length = 1 / rng.uniform(*SYLLABLES_HZ)
        bump = np.clip(1 - np.abs((t - at - length / 2) / (0.75 * length)), 0, 1)
        bump = (bump * bump * (3 - 2 * bump)).astype(np.float32)[:, None]
        for unit, top in (("AU26", 0.35), ("AU16", 0.3), ("AU20", 0.2)):
            row = units[:, UNITS.index(unit)]
            np.maximum(row, rng.uniform(0.02, top) * (rng.uniform() < 0.8) * bump, out=row)
        shape = rng.choice(["mouthFunnel", "mouthPucker", "mouthClose"])
        extra = extras[:, EXTRAS.index(shape)]
        np.maximum(
            extra, rng.uniform(0, 0.25 if shape == "mouthClose" else 0.5) * bump[:, 0], out=extra
        )
        at += length


def _add_blinks(
    units: Array, t: NDArray[np.float64], events: list[Event], rng: np.random.Generator
) -> None:
    """Close fast, open slower; one blink in ten is a half one."""
    rate = rng.uniform(*BLINKS_PER_MIN) / 60
    at = rng.exponential(1 / rate)
    while at < t[-1]:
        length = rng.uniform(*BLINK_S)
        depth = rng.uniform(0.4, 0.7) if rng.uniform() < 0.1 else rng.uniform(0.9, 1.0)
        apex = at + 0.35 * length
        event = Event("blink", "", at, apex, apex + 0.1 * length, at + length, depth, ("AU45",))
        events.append(event)
        row = units[:, UNITS.index("AU45")]
        shown = depth * _phase(t, event, (_smoothstep,))
        np.maximum(row, shown.astype(np.float32)[:, None], out=row)
        at += length + 0.2 + rng.exponential(1 / rate)


def _add_turns(
    angles: NDArray[np.float64], t: NDArray[np.float64], events: list[Event],
    rng: np.random.Generator,
) -> None:  # fmt: skip
    """Turn or nod and come back, now and then."""
    at = rng.exponential(3.0)
    while at < t[-1]:
        length = rng.uniform(0.8, 2.5)
        reach = (
            rng.uniform(-1, 1, 3)
            * np.deg2rad([25, 40, 20])
            * (rng.uniform(size=3) < [0.4, 0.7, 0.3])
        )
        event = Event("turn", "", at, at + 0.3 * length, at + 0.6 * length, at + length, 1.0, ())
        events.append(event)
        angles += _phase(t, event, (_minimum_jerk,))[:, None] * reach
        at += length + rng.exponential(4.0)


def _wander(
    rng: np.random.Generator, t: NDArray[np.float64], spread: list[float], top_hz: float
) -> NDArray[np.float64]:
    """Smooth noise (n, 3): a few slow waves of random phase."""
    waves = np.zeros((len(t), 3))
    for _ in range(4):
        hz, phase = rng.uniform(0.05, top_hz, 3), rng.uniform(0, 2 * np.pi, 3)
        waves += np.sin(2 * np.pi * hz * t[:, None] + phase)
    return rng.normal(0, spread, 3) + 0.5 * np.array(spread) * waves


def _gaze(rng: np.random.Generator, t: NDArray[np.float64]) -> Array:
    """Fixations of 0.2 to 1.5 s, saccades of 30 to 60 ms between them."""
    look = np.zeros((len(t), 2))
    at, now = 0.0, np.clip(rng.normal(0, 0.15, 2), -1, 1)
    look[:] = now
    while at < t[-1]:
        at += rng.uniform(0.2, 1.5)
        goal = np.clip(rng.normal(0, 0.3, 2), -1, 1)
        share = np.clip((t - at) / rng.uniform(0.03, 0.06), 0, 1)
        look += _smoothstep(share)[:, None] * (goal - now)
        now = goal
    return look.astype(np.float32)


def _draw_prototype(name: str, rng: np.random.Generator) -> dict[str, Array]:
    """Draw levels (2,) of the units of an emotion."""
    variants = PROTOTYPES[name]
    ranges = variants[rng.integers(len(variants))]
    sides = np.array([1.0, 0.0]) if rng.uniform() < 0.5 else np.array([0.0, 1.0])
    if name not in UNILATERAL:
        sides = rng.uniform(0.85, 1.0, 2)
    return {
        unit: (rng.uniform(*limits) * sides).astype(np.float32) for unit, limits in ranges.items()
    }


def _draw_combination(rng: np.random.Generator, split: str, most: int) -> tuple[str, ...]:
    """Draw one unit, or several that belong to a split."""
    while True:
        n = int(rng.integers(1, most + 1))
        names = tuple(sorted(rng.choice(UNITS[:-1], n, replace=False).tolist()))
        if n == 1 or combination_split(names) == split:
            return names


def _draw_level(rng: np.random.Generator) -> float:
    return float(rng.uniform(0.05, 1.0))


def _draw_sides(rng: np.random.Generator) -> Array:
    """Both sides alike in three of four, else one weaker."""
    sides = np.ones(2, np.float32)
    if rng.uniform() < 0.25:
        sides[rng.integers(2)] = rng.uniform(0, 0.8)
    return sides


def _hold_back(units: Array) -> None:
    """Keep opposed units from acting at full strength together; in place."""
    for strong, weak in _OPPOSED:
        level = units[:, UNITS.index(strong)].max(axis=1, keepdims=True)
        units[:, UNITS.index(weak)] *= 1 - level
