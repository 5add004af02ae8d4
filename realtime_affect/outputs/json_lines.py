"""Reading -> one line of JSON: what the stream's clients get."""

from __future__ import annotations

import json
import math
import time
from typing import TYPE_CHECKING, Any, Final

from realtime_affect.names import AU_INTENSITIES, EXPRESSIONS, MICRO_CLASSES

if TYPE_CHECKING:
    from collections.abc import Iterable

    from realtime_affect.types import AffectResult, Expression, Reading, Spotting, Track

VERSION: Final = 1
"""Of the stream's fields; grows when one is taken away or changes its meaning."""


def reading_line(reading: Reading, now_ns: int | None = None) -> bytes:
    """Return a reading as one line of UTF-8 JSON; what is not known is null.

    Parameters
    ----------
    reading : Reading
    now_ns : int, optional
        Monotonic time that ``age_ms`` is measured to; default now.
    """
    frame = reading.scene.frame
    now_ns = time.monotonic_ns() if now_ns is None else now_ns
    results = reading.affect.results
    return _line(
        {
            "v": VERSION,
            "kind": "reading",
            "frame": frame.index + 1,
            "t_ns": frame.t_ns,
            "age_ms": _number((now_ns - frame.captured_ns) / 1e6, 1),
            "width": frame.image.shape[1],
            "height": frame.image.shape[0],
            "faces": [
                _face(track, results.get(track.track_id), frame.t_ns)
                for track in reading.scene.tracks
            ],
        }
    )


def health_line(health: dict[str, Any]) -> bytes:
    """Return how the service is as a line of the same stream."""
    return _line({"v": VERSION, "kind": "health", **health})


def _face(track: Track, affect: AffectResult | None, t_ns: int) -> dict[str, Any]:
    shown: dict[str, Any] = {
        "id": track.track_id,
        "box": _numbers(track.xyxy.tolist(), 1),
        "confidence": _number(track.confidence),
        "measured": track.face is not None,
    }
    if track.face is not None:
        face = track.face
        shown |= {
            "quality": _number(face.quality.score),
            "pose_rad": _numbers(face.pose.rotation_rad.tolist(), 4),
            "pose_mm": _numbers(face.pose.translation_mm.tolist(), 1),
            "units": dict(
                zip(AU_INTENSITIES, _numbers(face.action_units.intensity.tolist()), strict=True)
            ),
        }
    if affect is not None:
        shown |= {
            "affect_age_ms": _number((t_ns - affect.t_ns) / 1e6, 1),
            "gaze_rad": _numbers(affect.gaze_rad.tolist(), 4),
            "blinks_per_min": _number(affect.blinks_per_min, 1),
            "expression": _expression(affect.expression, t_ns),
            "micro": _micro(affect.micro),
        }
    return shown


def _expression(expression: Expression | None, t_ns: int) -> dict[str, Any] | None:
    if expression is None:
        return None
    shares = _numbers(expression.probabilities.tolist())
    return {
        "name": expression.name,
        "age_ms": _number((t_ns - expression.t_ns) / 1e6, 1),
        "warming_up": expression.warming_up,
        "p": dict(zip(EXPRESSIONS, shares, strict=True)),
    }


def _micro(micro: Spotting | None) -> dict[str, Any] | None:
    """Return what was seen to come and go; a client tells repeats apart by ``onset_ns``."""
    if micro is None:
        return None
    return {
        "blind": micro.unavailable_reason,
        "events": [
            {
                "kind": event.kind,
                "onset_ns": event.onset_ns,
                "apex_ns": event.apex_ns,
                "offset_ns": event.offset_ns,
                "score": _number(event.score),
                "regions": list(event.regions),
                "p": dict(zip(MICRO_CLASSES, _numbers(event.probabilities.tolist()), strict=True)),
            }
            for event in micro.events
        ],
    }


def _line(content: dict[str, Any]) -> bytes:
    # A value that is no number would be no JSON: better an error here than in every client.
    return json.dumps(content, separators=(",", ":"), allow_nan=False).encode() + b"\n"


def _number(value: float, digits: int = 3) -> float | None:
    return round(value, digits) if math.isfinite(value) else None


def _numbers(values: Iterable[float], digits: int = 3) -> list[float | None]:
    return [_number(value, digits) for value in values]
