import csv

import numpy as np
import pytest

from training.synthetic.motion import EMOTIONS, UNITS, facs_letter, make_motion
from training.synthetic.studio import record_clip


def read(path):
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def clip(head, tmp_path_factory):
    path = tmp_path_factory.mktemp("clip") / "clip.mp4"
    record_clip(head, path, "validation", 4, "macro", 1.5, 30.0, 96)
    return path


def test_a_clip_has_a_row_of_truth_for_each_frame(clip):
    import av

    with av.open(str(clip)) as file:
        n = sum(1 for _ in file.decode(video=0))
    rows = read(clip.with_suffix(".truth.csv"))
    assert len(rows) == n == 45
    motion = make_motion(4, seconds=1.5, fps=30.0, split="validation", content="macro")
    for k, row in enumerate(rows):
        assert int(row["frame"]) == k + 1
        assert row["emotion"] == EMOTIONS[motion.emotion[k]]
        for unit in ("AU12", "AU01", "AU45"):
            for side, name in enumerate(("right", "left")):
                level = motion.units[k, UNITS.index(unit), side]
                assert float(row[f"{unit}_{name}"]) == pytest.approx(level, abs=1e-4)
                assert row[f"{unit}_{name}_facs"] == facs_letter(float(level))
        assert float(row["pose_Ry"]) == pytest.approx(motion.angles_rad[k, 1], abs=1e-4)
        marks = np.array([[float(row[f"{axis}_{i}"]) for axis in "xy"] for i in range(68)])
        assert ((marks > -20) & (marks < 116)).all()
        assert marks[8, 1] > marks[27, 1]  # the chin is under the nose


def test_events_say_what_was_done_when(clip):
    rows = read(clip.with_suffix(".events.csv"))
    motion = make_motion(4, seconds=1.5, fps=30.0, split="validation", content="macro")
    assert len(rows) == len(motion.events) > 0
    for row, event in zip(rows, motion.events, strict=True):
        assert row["kind"] == event.kind
        assert row["units"] == "+".join(event.units)
        assert float(row["apex_s"]) == pytest.approx(event.apex_s, abs=1e-4)
