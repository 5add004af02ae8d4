"""Ground truth of a filmed sequence as two tables: one row a frame, one row an event."""

from __future__ import annotations

import csv
from dataclasses import astuple, fields
from typing import TYPE_CHECKING

from training.synthetic.motion import EMOTIONS, Event, facs_letter
from training.synthetic.studio import TRUTH_UNITS

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from training.synthetic.motion import Motion
    from training.synthetic.studio import Truth

SIDES = ("right", "left")


def frame_columns() -> list[str]:
    """Return the names of a frame's columns.

    ``AUxx_right`` and ``AUxx_left`` are intensities 0 to 1, ``AUxx_right_facs`` their letters;
    angles are radians, landmarks pixels.
    """
    units = [f"{unit}_{side}" for unit in TRUTH_UNITS for side in SIDES]
    return [
        *("frame", "timestamp", "emotion", "pose_Rx", "pose_Ry", "pose_Rz", "look_left", "look_up"),
        *units,
        *(f"{name}_facs" for name in units),
        *(f"{axis}_{i}" for axis in "xy" for i in range(68)),
    ]


def write_frames(path: Path, motion: Motion, truths: Iterable[Truth]) -> None:
    """Write what is true of each frame; columns as in :func:`frame_columns`."""
    with path.open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        table.writerow(frame_columns())
        for number, (t, truth) in enumerate(zip(motion.t_s, truths, strict=True), start=1):
            levels = truth.units.ravel().tolist()
            numbers = [*truth.angles_rad.tolist(), *truth.look.tolist(), *levels]
            table.writerow(
                [
                    *(number, f"{t:.4f}", EMOTIONS[truth.emotion]),
                    *(f"{value:.4f}" for value in numbers),
                    *(facs_letter(level) for level in levels),
                    *(f"{value:.2f}" for value in truth.landmarks.T.ravel().tolist()),
                ]
            )


def write_events(path: Path, events: Iterable[Event]) -> None:
    """Write what was done when: the fields of Event, units joined by "+", seconds."""
    with path.open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        table.writerow(field.name for field in fields(Event))
        for event in events:
            *first, units = astuple(event)
            numbers = [f"{v:.4f}" if isinstance(v, float) else v for v in first]
            table.writerow([*numbers, "+".join(units)])
