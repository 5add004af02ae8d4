"""Rows pooled into stretches of time."""

from __future__ import annotations

import numpy as np
import pytest

from realtime_affect.errors import InputError, InputMissingError
from realtime_affect.names import EXPRESSIONS
from realtime_affect.outputs.csv_rows import COLUMNS
from realtime_affect.timeline.strips import Movement, pool_rows

MICRO_COLUMNS = [name for name in COLUMNS if "micro" in name]


def row(frame, face_id, seconds, units=None, pose=(0.0, 0.0, 0.0), shares=(), micro=()):
    values = {"frame": frame, "face_id": face_id, "timestamp": f"{seconds:.6f}"}
    values["success"] = int(face_id > 0)
    if face_id:
        values |= {f"{name}_r": value for name, value in (units or {"AU12": 1.0}).items()}
        values |= dict(zip(("pose_Rx", "pose_Ry", "pose_Rz"), pose, strict=True))
        values |= {f"p_{name}": share for name, share in zip(EXPRESSIONS, shares, strict=False)}
        values |= dict(zip(MICRO_COLUMNS, micro, strict=False))
    return ",".join(str(values.get(name, "")) for name in COLUMNS)


def write(path, rows):
    path.write_text("\n".join([",".join(COLUMNS), *rows]) + "\n")
    return path


@pytest.fixture
def pooled(tmp_path):
    return lambda rows: pool_rows(write(tmp_path / "clip.csv", rows))


def test_a_short_movement_survives_pooling(pooled):
    n_frames = 20_000
    rows = [
        row(n + 1, 1, n / 30, {"AU12": 4.5 if n == 12_345 else 0.1}, (0, -0.5 if n == 99 else 0, 0))
        for n in range(n_frames)
    ]
    strips = pooled(rows)
    units = strips.faces[1].units
    assert len(units) == 900
    assert np.nanmax(units) == pytest.approx(4.5)
    assert int(np.nanargmax(units[:, 8])) == 12_345 * 900 // n_frames
    assert np.nanmin(strips.faces[1].pose) == pytest.approx(np.rad2deg(-0.5), abs=0.01)


def test_uneven_times_leave_no_holes(pooled):
    random = np.random.default_rng(0)
    times = np.sort(random.uniform(0, 10, 200))
    strips = pooled([row(n + 1, 1, t) for n, t in enumerate(times)])
    assert np.isfinite(strips.faces[1].units[:, 8]).all()


def test_a_unit_without_evidence_stays_unknown(pooled):
    strips = pooled([row(n + 1, 1, n / 25, {"AU12": 2.0}) for n in range(10)])
    units = strips.faces[1].units
    assert np.isnan(units[:, 9]).all()
    assert (units[:, 8] == 2).all()


def test_half_a_last_row_is_left_out(pooled):
    rows = [row(n + 1, 1, n / 25) for n in range(10)]
    strips = pooled([*rows, rows[-1][:20]])
    assert strips.n_frames == 10


def test_a_missing_file_is_said(tmp_path):
    with pytest.raises(InputMissingError, match="no such file"):
        pool_rows(tmp_path / "none.csv")


@pytest.mark.parametrize("text", ["", "a,b,c\n1,2,3\n", "\x00\x01\x02"])
def test_a_file_of_another_kind_is_said(tmp_path, text):
    path = tmp_path / "other.csv"
    path.write_text(text)
    with pytest.raises(InputError):
        pool_rows(path)


def test_a_number_that_is_none_is_said_with_its_file(tmp_path):
    path = write(tmp_path / "bad.csv", [row(1, 1, 0.0, {"AU12": "much"})])
    with pytest.raises(InputError, match=r"bad\.csv"):
        pool_rows(path)


def outage(first_s=10.0, silence_s=30.0, rest_s=10.0, fps=30.0):
    before = np.arange(0, first_s, 1 / fps)
    times = np.concatenate([before, first_s + silence_s + np.arange(0, rest_s, 1 / fps)])
    return [row(n + 1, 1, t, {"AU12": 4.5}) for n, t in enumerate(times)]


def test_an_outage_is_not_filled_with_the_last_expression_seen(pooled):
    strips = pooled(outage())
    middles = np.linspace(strips.start_s, strips.end_s, len(strips.silent))
    during, else_ = (middles > 10.5) & (middles < 39.5), (middles < 9.5) | (middles > 40.5)
    face = strips.faces[1]
    assert strips.silent[during].all()
    assert np.isnan(face.units[during]).all()
    assert np.isnan(face.pose[during]).all()
    assert not strips.silent[else_].any()
    assert (face.units[else_, 8] == 4.5).all()


def test_a_recording_that_is_slow_throughout_has_no_outage(pooled):
    random = np.random.default_rng(0)
    times = np.arange(60) * 5.0 + random.uniform(-1, 1, 60)
    strips = pooled([row(n + 1, 1, t) for n, t in enumerate(times)])
    assert not strips.silent.any()
    assert np.isfinite(strips.faces[1].units[:, 8]).all()


def test_a_face_out_of_sight_is_no_outage(pooled):
    rows = [row(n + 1, int(not 100 <= n < 200), n / 30) for n in range(300)]
    strips = pooled(rows)
    assert not strips.silent.any()
    assert np.isnan(strips.faces[1].units[100:200]).all()


def test_probabilities_are_pooled_to_their_mean_and_still_add_up(pooled):
    joy, calm = (1, 0, 0, 0, 0, 0, 0, 0), (0, 0, 1, 0, 0, 0, 0, 0)
    rows = [row(n + 1, 1, n / 30, shares=joy if n % 2 else calm) for n in range(3600)]
    shares = pooled(rows).faces[1].shares
    assert np.allclose(shares.sum(axis=1), 1)
    assert np.allclose(shares[:, 0], 0.5, atol=0.26)


def test_rows_without_expressions_are_read_too(tmp_path):
    lines = write(tmp_path / "clip.csv", [row(n + 1, 1, n / 25) for n in range(10)]).read_text()
    kept = COLUMNS.index("expression")
    old = "\n".join(",".join(line.split(",")[:kept]) for line in lines.splitlines())
    (tmp_path / "old.csv").write_text(old + "\n")
    face = pool_rows(tmp_path / "old.csv").faces[1]
    assert np.isnan(face.shares).all()
    assert np.isfinite(face.units[:, 8]).all()


def brief(onset_s, *shares):
    return (1, onset_s, onset_s + 0.1, onset_s + 0.2, 1.5, *shares)


def watched(seconds, events, unavailable=(99.0, 0.0)):
    """The columns of a row offline: on every row from onset to offset."""
    for event in events:
        if event[1] <= seconds <= event[3]:
            return event
    return () if unavailable[0] < seconds < unavailable[1] else (0,)


def test_a_brief_movement_is_told_once_with_the_class_that_more_than_half_speaks_for(pooled):
    events = [brief(1.0, 0.7, 0.1, 0.1), brief(3.0, 0.3, 0.3, 0.4), brief(5.0, "", "", "")]
    rows = [row(n + 1, 1, n / 30, micro=watched(n / 30, events)) for n in range(300)]
    rows += [row(301, 1, 10.0, micro=brief(9.0, 0.1, 0.1, 0.6))]  # live: on one row, later
    assert pooled(rows).faces[1].movements == [
        Movement(1.1, "negative"), Movement(3.1, ""), Movement(5.1, ""), Movement(9.1, "surprise")
    ]  # fmt: skip


def test_where_no_brief_movement_could_be_seen_is_known(pooled):
    rows = [row(n + 1, 1, n / 30, micro=watched(n / 30, (), (4.0, 6.0))) for n in range(300)]
    seen = pooled(rows).faces[1].watched
    times = np.linspace(0, 10, len(seen))
    assert not seen[(times > 4.1) & (times < 5.9)].any()
    assert seen[(times < 3.9) | (times > 6.1)].all()
    assert not pooled([row(n + 1, 1, n / 30) for n in range(300)]).faces[1].watched.any()


def test_events_of_two_faces_at_the_same_time_stay_apart(pooled):
    rows = [row(n + 1, f, n / 30, micro=watched(n / 30, [brief(0.5)])) for n in range(60)
            for f in (1, 2)]  # fmt: skip
    faces = pooled(rows).faces
    assert faces[1].movements == faces[2].movements == [Movement(0.6, "")]
