"""Micro-expressions that a spotter might have told, for what shows and writes them."""

from __future__ import annotations

import numpy as np

from realtime_affect.types import (
    AffectResult,
    AffectSnapshot,
    FacialEvent,
    Reading,
    Scene,
    Spotting,
)

MS = 1_000_000


def facial_event(onset_ms, kind="micro", **changes):
    """An event of 200 ms that is decided 500 ms after its apex."""
    values = {
        "kind": kind,
        "onset_ns": onset_ms * MS,
        "apex_ns": (onset_ms + 100) * MS,
        "offset_ns": (onset_ms + 200) * MS,
        "decided_ns": (onset_ms + 600) * MS,
        "score": 1.5,
        "regions": ("brows", "left mouth corner"),
        "units": ("AU01", "AU12"),
        "probabilities": np.array([0.1, 0.2, 0.6, 0.1], np.float32),
    }
    return FacialEvent(**(values | changes))


def with_micro(reading, events=None, unavailable_reason=""):
    """The reading, in which the spotter has told `events` of each track so far.

    As the spotter does, it repeats those decided within the last two seconds.
    """
    t_ns = reading.affect.t_ns
    results = {}
    for track in reading.scene.tracks:
        told = tuple(
            event
            for event in (events or {}).get(track.track_id, ())
            if event.decided_ns <= t_ns < event.decided_ns + 2000 * MS
        )
        results[track.track_id] = AffectResult(
            track.track_id, t_ns, np.zeros(2), 12.0, micro=Spotting(told, unavailable_reason)
        )
    snapshot = AffectSnapshot(t_ns, reading.affect.captured_ns, results)
    return Reading(Scene(reading.scene.frame, reading.scene.tracks), snapshot)
