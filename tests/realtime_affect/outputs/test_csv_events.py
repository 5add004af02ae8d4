"""Micro-expressions on rows and on lines of their own."""

import csv
import math
import os
import subprocess
import sys
import textwrap
from dataclasses import replace

import numpy as np
import pytest

from realtime_affect.errors import OutputError
from realtime_affect.markers import Marker
from realtime_affect.outputs.csv_events import (
    BACKFILL_NS,
    EVENT_COLUMNS,
    EventWriter,
    NewEvents,
)
from realtime_affect.outputs.csv_rows import COLUMNS, RowWriter
from tests.realtime_affect.micro_world import MS, facial_event, with_micro
from tests.realtime_affect.outputs.test_csv_rows import read, reading

FRAME_MS = 40
MICRO_COLUMNS = [name for name in COLUMNS if "micro" in name]


def readings(events, n=60, *, every=1, unavailable_reason=None, first_ms=0, **how):
    """A recording of `n` frames, of which the reader gets each `every`-th."""
    out = []
    for index in range(0, n, every):
        t_ms = first_ms + index * FRAME_MS
        plain = reading(index, t_ms * MS, **how)
        reason = unavailable_reason(index) if unavailable_reason else ""
        out.append(with_micro(plain, events, reason))
    return out


def rows_after(path, given, **how):
    writer = RowWriter(path, **how)
    for one in given:
        writer.write(one)
    writer.close()
    return read(path)


def test_live_the_first_row_after_the_decision_carries_the_event_once(tmp_path):
    given = readings({1: [facial_event(1000)]})
    rows = rows_after(tmp_path / "a.csv", given)
    carrying = [row for row in rows if row["micro"] == "1"]
    (row,) = carrying
    assert row["timestamp"] == "1.600000"
    assert [row[name] for name in MICRO_COLUMNS] == [
        *("1", "1.000000", "1.100000", "1.200000", "1.500", "0.100", "0.200", "0.600")
    ]
    assert {row["micro"] for row in rows} == {"0", "1"}
    assert {rows[0][name] for name in MICRO_COLUMNS[1:]} == {""}


def test_live_a_reader_that_missed_the_deciding_reading_still_writes_each_event_once(tmp_path):
    events = {1: [facial_event(1000), facial_event(1300)], 2: [facial_event(1000)]}
    given = readings(events, 100, every=25, faces=(1, 2))
    rows = rows_after(tmp_path / "a.csv", given)
    seen = [(row["face_id"], row["micro_onset"]) for row in rows if row["micro"] == "1"]
    assert sorted(seen) == [("1", "1.000000"), ("1", "1.300000"), ("2", "1.000000")]


def test_live_a_face_that_was_not_measured_carries_its_event_when_it_is(tmp_path):
    first, second = readings({1: [facial_event(1000)]}, 42)[-2:]
    unmeasured = reading(0, 1_610 * MS, faces=(), unmeasured=(1,))
    writer = RowWriter(tmp_path / "a.csv")
    writer.write(type(first)(unmeasured.scene, second.affect))
    writer.write(second)
    writer.close()
    rows = read(tmp_path / "a.csv")
    assert [(row["success"], row["micro"]) for row in rows] == [("0", ""), ("1", "1")]


@pytest.mark.parametrize("backfill", [False, True])
def test_times_are_on_the_row_s_own_clock(backfill, tmp_path):
    far = 10_000_000
    given = readings({1: [facial_event(far + 1000)]}, first_ms=far)
    rows = rows_after(tmp_path / "a.csv", given, origin_ns=None, backfill=backfill)
    assert rows[0]["timestamp"] == "0.000000"
    assert {row["micro_apex"] for row in rows} == {"", "1.100000"}


def test_offline_every_row_from_onset_to_offset_carries_the_event(tmp_path):
    given = readings({1: [facial_event(1000)]}, faces=(1, 2))
    rows = rows_after(tmp_path / "a.csv", given, backfill=True)
    assert [row["frame"] for row in rows] == [str(n) for n in range(1, 61) for _ in (1, 2)]
    carrying = {
        (row["timestamp"], row["micro_score"])
        for row in rows
        if row["micro"] == "1" and row["face_id"] == "1"
    }
    assert carrying == {(f"{k * 0.04:.6f}", "1.500") for k in range(25, 31)}
    assert {row["micro"] for row in rows if row["face_id"] == "2"} == {"0"}


def test_offline_an_event_decided_at_the_last_frame_still_reaches_its_rows(tmp_path):
    given = readings({1: [facial_event(1000)]}, 41)
    rows = rows_after(tmp_path / "a.csv", given, backfill=True)
    assert sum(row["micro"] == "1" for row in rows) == 6


def test_offline_the_longest_event_decided_as_late_as_may_be_is_whole(tmp_path):
    event = facial_event(
        1000, apex_ns=1660 * MS, offset_ns=1665 * MS, decided_ns=2360 * MS
    )  # the apex may lie right before the offset
    rows = rows_after(tmp_path / "a.csv", readings({1: [event]}, 100), backfill=True)
    assert next(row["timestamp"] for row in rows if row["micro"] == "1") == "1.000000"


@pytest.mark.parametrize("backfill", [False, True])
def test_macro_events_do_not_set_the_columns(backfill, tmp_path):
    given = readings({1: [facial_event(1000, "macro")]})
    rows = rows_after(tmp_path / "a.csv", given, backfill=backfill)
    assert {row["micro"] for row in rows} == {"0"}


@pytest.mark.parametrize("backfill", [False, True])
def test_where_brief_movements_cannot_be_seen_the_field_is_empty(backfill, tmp_path):
    given = readings(
        {}, 20, unavailable_reason=lambda k: "15 frames a second, 25 are needed" if k < 5 else ""
    )
    rows = rows_after(tmp_path / "a.csv", given, backfill=backfill)
    assert [row["micro"] for row in rows] == [""] * 5 + ["0"] * 15


def test_without_spotting_all_fields_are_empty_and_rows_do_not_wait(tmp_path):
    writer = RowWriter(tmp_path / "a.csv", backfill=True)
    for index in range(3):
        writer.write(reading(index, index * FRAME_MS * MS))
    writer.flush()
    rows = read(tmp_path / "a.csv")
    assert len(rows) == 3
    assert {row[name] for row in rows for name in MICRO_COLUMNS} == {""}
    writer.close()


def test_what_is_not_classified_has_no_shares(tmp_path):
    event = facial_event(1000, probabilities=np.full(4, np.nan, np.float32))
    rows = rows_after(tmp_path / "a.csv", readings({1: [event]}))
    (row,) = [row for row in rows if row["micro"] == "1"]
    assert row["micro_score"] == "1.500"
    assert row["p_micro_negative"] == row["p_micro_surprise"] == ""


def test_offline_no_more_than_the_wait_is_held_and_lost_to_a_kill(tmp_path):
    script = """
        import os, sys
        from tests.realtime_affect.outputs.test_csv_events import readings
        from realtime_affect.outputs.csv_rows import RowWriter
        writer = RowWriter(sys.argv[1], backfill=True)
        for one in readings({}, 500):
            writer.write(one)
        writer.flush()
        os._exit(9)
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script), str(tmp_path / "a.csv")],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        check=False,
        timeout=250,
    )
    assert done.returncode == 9
    rows = read(tmp_path / "a.csv")
    assert len(rows) == 500 - math.ceil(BACKFILL_NS / (FRAME_MS * MS))


@pytest.mark.parametrize("backfill", [False, True])
def test_events_long_past_are_not_remembered(backfill, tmp_path):
    writer = RowWriter(tmp_path / "a.csv", backfill=backfill)
    events = [facial_event(1000 * k) for k in range(600)]
    for k in range(620):
        t_ms = 1000 * k
        near = events[max(0, k - 5) : k + 5]
        writer.write(with_micro(reading(k, t_ms * MS), {1: near}))
    assert len(writer._marks._new._seen) < 30
    assert sum(map(len, writer._marks._events.values())) < 30
    writer.close()


def test_new_events_are_told_once_however_often_they_are_repeated():
    new = NewEvents()
    given = readings({1: [facial_event(400), facial_event(800, "macro")]}, 60)
    told = [pair for one in given for pair in new.take(one)]
    assert [(track_id, event.kind) for track_id, event in told] == [(1, "micro"), (1, "macro")]


def lines(path):
    with path.open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def test_each_event_is_a_line_micro_and_macro(tmp_path):
    path = tmp_path / "a.events.csv"
    writer = EventWriter(path)
    unsure = facial_event(
        1000, "macro", offset_ns=1800 * MS, decided_ns=2000 * MS, regions=('a "b"', "c, d"),
        units=(), probabilities=np.full(4, np.nan, np.float32),
    )  # fmt: skip
    for one in readings({1: [facial_event(400)], 2: [unsure]}, 80, faces=(1, 2)):
        writer.write(one)
    writer.close()
    writer.close()
    first, second = lines(path)
    assert tuple(first) == EVENT_COLUMNS
    assert first == {
        "face_id": "1", "kind": "micro", "onset": "0.400000", "apex": "0.500000",
        "offset": "0.600000", "duration_ms": "200.0", "decided": "1.000000", "score": "1.500",
        "regions": "brows;left mouth corner", "units": "AU01;AU12", "p_micro_negative": "0.100",
        "p_micro_positive": "0.200", "p_micro_surprise": "0.600", "p_micro_none": "0.100",
        "marker": "", "marker_origin": "", "marker_uncertainty_ms": "",
    }  # fmt: skip
    assert (second["kind"], second["duration_ms"], second["p_micro_none"]) == ("macro", "800.0", "")
    assert second["regions"] == 'a "b";c, d'
    assert '""' not in path.read_text().replace('a ""b""', "")
    assert writer.counts == {"micro": 1, "macro": 1}


def test_a_line_is_on_disk_as_soon_as_the_event_is_decided(tmp_path):
    path = tmp_path / "a.events.csv"
    writer = EventWriter(path)
    for one in readings({1: [facial_event(400)]}, 26):
        writer.write(one)
    assert len(lines(path)) == 1
    writer.close()


def test_the_file_says_whether_anything_was_watched_and_an_old_one_goes(tmp_path):
    path = tmp_path / "a.events.csv"
    path.write_text("of an earlier run")
    writer = EventWriter(path)
    writer.write(reading())
    writer.close()
    assert not path.exists()
    assert writer.counts == {}
    writer = EventWriter(path)
    writer.write(readings({}, 1)[0])
    writer.close()
    assert lines(path) == []
    assert writer.counts == {"micro": 0, "macro": 0}


def test_events_that_cannot_be_written_are_an_output_error(tmp_path):
    with pytest.raises(OutputError, match="Is a directory"):
        EventWriter(tmp_path)
    writer = EventWriter(tmp_path / "missing" / "a.events.csv")
    with pytest.raises(OutputError, match="No such file"):
        writer.write(readings({}, 1)[0])


def test_a_marker_is_a_line_of_its_own_at_the_moment_marked(tmp_path):
    marker = Marker(1, 40 * MS, "begin", "lsl Trigger", 0.25)
    writer = EventWriter(tmp_path / "e.csv", origin_ns=10 * MS)
    for markers in ((), (marker,), (marker,)):
        writer.write(replace(reading(faces=()), markers=markers))
    writer.close()
    (row,) = read(tmp_path / "e.csv")
    assert {name: value for name, value in row.items() if value} == {
        "face_id": "0", "kind": "marker", "onset": "0.030000", "marker": "begin",
        "marker_origin": "lsl Trigger", "marker_uncertainty_ms": "0.250",
    }  # fmt: skip
    assert writer.counts == {"micro": 0, "macro": 0}
