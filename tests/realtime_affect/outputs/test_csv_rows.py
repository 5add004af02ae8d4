import csv
import math
import os
import subprocess
import sys
import textwrap
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from realtime_affect.errors import OutputError
from realtime_affect.interpret.rationale import explain
from realtime_affect.markers import Marker
from realtime_affect.outputs import line_file
from realtime_affect.outputs.csv_rows import COLUMNS, RowTable, RowWriter
from realtime_affect.schema import RELATIVE, SCHEMA, WITH_LANDMARKS
from realtime_affect.types import (
    ActionUnits,
    AffectResult,
    AffectSnapshot,
    Expression,
    Face,
    FaceMesh,
    FaceQuality,
    Frame,
    HeadPose,
    Reading,
    Scene,
    Track,
)
from tests.realtime_affect.interpret.cases import evidence

OPENFACE = """
    frame face_id timestamp confidence success x y w h pose_Rx pose_Ry pose_Rz quality AU01_r
    AU02_r AU04_r AU05_r AU06_r AU07_r AU09_r AU10_r AU12_r AU14_r AU15_r AU17_r AU20_r AU23_r
    AU25_r AU26_r AU45_r AU01_c AU02_c AU04_c AU05_c AU06_c AU07_c AU09_c AU10_c AU12_c AU14_c
    AU15_c AU17_c AU20_c AU23_c AU25_c AU26_c AU28_c AU45_c AU12_right_r AU12_left_r AU14_right_r
    AU14_left_r pose_Tx pose_Ty pose_Tz gaze_angle_x
    gaze_angle_y gaze_age_ms blinks_per_min expression p_happiness p_sadness p_neutral p_anger
    p_surprise p_disgust p_fear p_contempt expression_age_ms warming_up
    compound p_compound valence arousal evidence micro micro_onset micro_apex
    micro_offset micro_score p_micro_negative p_micro_positive p_micro_surprise
    marker
"""
SHARES = np.array([0.05, 0.7, 0.1, 0.05, 0.02, 0.03, 0.04, 0.01], np.float32)


def face():
    intensity = np.arange(17, dtype=np.float32) / 4
    intensity[3] = np.nan
    points = np.arange(468 * 3, dtype=np.float32).reshape(468, 3)
    return Face(
        FaceMesh(points, 0.9),
        HeadPose(np.array([0.1, -0.2, 0.3]), np.array([10.0, 20.0, 600.0])),
        np.array([0.3, 0.3]),
        FaceQuality(0.75, 60, 5, 90),
        ActionUnits(intensity, np.ones(18), np.array([[1.0, 2.0], [3.0, np.nan]]), 1.0),
        np.zeros((48, 48), np.uint8),
    )


def reading(index=0, t_ns=0, *, faces=(1,), unmeasured=(), affect_t_ns=None, name=""):
    frame = Frame(index, t_ns, 0, np.zeros((4, 6, 3), np.uint8), name)
    box = np.array([10.0, 20.0, 40.0, 70.0])
    tracks = [Track(k, box, 0.9, 5, 0, face()) for k in faces]
    tracks += [Track(k, box, 0.8, 5, 0, None) for k in unmeasured]
    at = t_ns if affect_t_ns is None else affect_t_ns
    shown = Expression(at - 33_000_000, SHARES, warming_up=True)
    results = {k: AffectResult(k, at, np.array([0.05, -0.05]), 12.0, shown) for k in faces}
    return Reading(Scene(frame, tuple(tracks)), AffectSnapshot(at, 0, results))


def read(path):
    with Path(path).open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def test_columns_are_openface_s_in_order_with_ours_after_them():
    assert list(COLUMNS) == OPENFACE.split()
    landmarks = WITH_LANDMARKS.columns[len(COLUMNS) :]
    assert len(landmarks) == 3 * 468
    assert landmarks[0] == "x_0"
    assert landmarks[467:469] == ("x_467", "y_0")
    assert landmarks[-1] == "z_467"


def test_a_measured_face_fills_every_column_in_its_place(tmp_path):
    writer = RowWriter(tmp_path / "a.csv", schema=WITH_LANDMARKS)
    writer.write(reading(4, 2_500_000_000, affect_t_ns=2_460_000_000))
    writer.close()
    (row,) = read(tmp_path / "a.csv")
    assert tuple(row) == WITH_LANDMARKS.columns
    expected = {
        "frame": "5",
        "face_id": "1",
        "timestamp": "2.500000",
        "confidence": "0.900",
        "success": "1",
        "x": "10.00",
        "y": "20.00",
        "w": "30.00",
        "h": "50.00",
        "pose_Rx": "0.1000",
        "pose_Ry": "-0.2000",
        "pose_Rz": "0.3000",
        "quality": "0.750",
        "AU01_r": "0.000",
        "AU02_r": "0.250",
        "AU05_r": "",
        "AU45_r": "4.000",
        "AU01_c": "1",
        "AU28_c": "1",
        "AU45_c": "1",
        "pose_Tx": "10.0",
        "pose_Ty": "20.0",
        "pose_Tz": "600.0",
        "gaze_angle_x": "0.0500",
        "gaze_angle_y": "-0.0500",
        "gaze_age_ms": "40.0",
        "blinks_per_min": "12.000",
        "expression": "sadness",
        "p_happiness": "0.050",
        "p_sadness": "0.700",
        "p_contempt": "0.010",
        "expression_age_ms": "73.0",
        "warming_up": "1",
        "x_1": "3.00",
        "y_1": "4.00",
        "z_467": "1403.00",
    }
    assert {name: row[name] for name in expected} == expected


def test_a_frame_without_a_face_is_one_row_with_success_0_and_empty_fields(tmp_path):
    writer = RowWriter(tmp_path / "a.csv")
    assert writer.write(reading(0, 40_000_000, faces=())) == 1
    writer.close()
    (row,) = read(tmp_path / "a.csv")
    filled = {name: value for name, value in row.items() if value}
    assert filled == {"frame": "1", "face_id": "0", "timestamp": "0.040000", "success": "0"}


def test_a_face_whose_turn_it_was_not_has_its_box_and_success_0(tmp_path):
    writer = RowWriter(tmp_path / "a.csv")
    assert writer.write(reading(faces=(1,), unmeasured=(2, 3))) == 3
    writer.close()
    first, second, third = read(tmp_path / "a.csv")
    assert [r["face_id"] for r in (first, second, third)] == ["1", "2", "3"]
    assert [r["success"] for r in (first, second, third)] == ["1", "0", "0"]
    assert second["w"] == "30.00"
    assert second["confidence"] == "0.800"
    assert second["pose_Rx"] == second["AU12_r"] == second["gaze_angle_x"] == ""


def test_a_face_without_affect_yet_has_empty_gaze():
    scene = reading().scene
    (row,) = RowTable().rows(Reading(scene, AffectSnapshot(0, 0)))
    values = dict(zip(COLUMNS, row, strict=True))
    assert math.isnan(values["gaze_angle_x"])
    assert math.isnan(values["blinks_per_min"])
    assert math.isnan(values["p_fear"])
    assert values["pose_Tz"] == 600.0


def test_without_an_expression_its_fields_are_empty(tmp_path):
    scene = reading().scene
    results = {1: AffectResult(1, 0, np.zeros(2), 3.0)}
    writer = RowWriter(tmp_path / "a.csv")
    writer.write(Reading(scene, AffectSnapshot(0, 0, results)))
    writer.close()
    (row,) = read(tmp_path / "a.csv")
    assert row["blinks_per_min"] == "3.000"
    assert row["expression"] == row["p_neutral"] == row["warming_up"] == ""


def test_live_time_starts_at_the_first_frame(tmp_path):
    writer = RowWriter(tmp_path / "a.csv", origin_ns=None)
    for n in range(2):
        writer.write(reading(n, 987_654_000_000_000 + n * 33_000_000))
    writer.close()
    assert [row["timestamp"] for row in read(tmp_path / "a.csv")] == ["0.000000", "0.033000"]


def test_names_of_stills_are_quoted_where_csv_needs_it(tmp_path):
    names = ["plain.jpg", 'a, "b".png', "zwei\nzeilen.png", "nan.jpg", "bad\udcff.jpg"]
    writer = RowWriter(tmp_path / "images.csv", input_column=True)
    for n, name in enumerate(names):
        writer.write(reading(n, faces=(), name=name))
    writer.close()
    found = [row["input"] for row in read(tmp_path / "images.csv")]
    assert found == [*names[:4], "bad\\udcff.jpg"]


def test_a_marker_stands_on_the_rows_of_the_first_frame_that_carries_it(tmp_path):
    begin, nan = Marker(1, 5, "begin, nan"), Marker(2, 5, "b")
    writer = RowWriter(tmp_path / "a.csv")
    for n, markers in enumerate([(), (begin, nan), (begin, nan), ()]):
        writer.write(replace(reading(n, faces=(1, 2) if n == 1 else ()), markers=markers))
    writer.close()
    found = [row["marker"] for row in read(tmp_path / "a.csv")]
    assert found == ["", "begin, nan;b", "begin, nan;b", "", ""]


def test_equal_readings_give_equal_bytes(tmp_path):
    for name in "ab":
        writer = RowWriter(tmp_path / f"{name}.csv", schema=WITH_LANDMARKS)
        for n in range(5):
            writer.write(reading(n, n * 33_366_667, faces=(1, 2)))
        writer.close()
    assert (tmp_path / "a.csv").read_bytes() == (tmp_path / "b.csv").read_bytes()


def test_the_header_and_flushed_rows_are_on_disk_before_close(tmp_path):
    path = tmp_path / "a.csv"
    writer = RowWriter(path)
    assert path.read_text().splitlines() == [",".join(COLUMNS)]
    writer.write(reading())
    writer.flush()
    assert len(read(path)) == 1
    writer.close()
    writer.close()
    assert writer.rows_written == 1


def test_rows_reach_the_disk_by_themselves_within_a_second(tmp_path, monkeypatch):
    now = SimpleNamespace(ns=0)
    monkeypatch.setattr(line_file, "time", SimpleNamespace(monotonic_ns=lambda: now.ns))
    path = tmp_path / "a.csv"
    writer = RowWriter(path)
    written = 0
    while now.ns < 1_000_000_000:
        now.ns += 50_000_000
        written += writer.write(reading(written))
    assert len(read(path)) >= written / 2
    assert path.read_bytes().endswith(b"\n"), "whole lines only"
    writer.close()
    assert len(read(path)) == written


def test_a_full_disk_ends_the_rows_with_an_output_error():
    with pytest.raises(OutputError, match=r"/dev/full: got No space left on device.*--out"):
        RowWriter("/dev/full")


def test_rows_written_before_the_disk_was_full_stay_as_whole_lines(tmp_path):
    script = """
        import resource, signal, sys
        from tests.realtime_affect.outputs.test_csv_rows import reading
        from realtime_affect.errors import OutputError
        from realtime_affect.outputs.csv_rows import RowWriter
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000))  # the "disk" has 2000 bytes
        writer = RowWriter(sys.argv[1])
        try:
            for n in range(50):
                writer.write(reading(n))
                writer.flush()
        except OutputError as error:
            writer.close()
            print(error)
            sys.exit(4)
    """
    done = run_python(script, tmp_path / "a.csv")
    assert done.returncode == 4, done.stderr
    assert "a.csv: got File too large" in done.stdout
    text = (tmp_path / "a.csv").read_text()
    assert text.endswith("\n")
    found = read(tmp_path / "a.csv")
    assert len(found) >= 2
    assert all(None not in row.values() for row in found)


def run_python(script, *arguments):
    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script), *map(str, arguments)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        timeout=250,
        check=False,
    )


def test_a_folder_that_is_missing_or_a_file_is_an_output_error(tmp_path):
    (tmp_path / "file").touch()
    for path in (tmp_path / "missing" / "a", tmp_path / "file" / "a", tmp_path):
        with pytest.raises(OutputError, match="expected a file that can be written"):
            RowWriter(path)


def test_rows_hold_what_is_above_a_profile_s_rest_where_one_is_used():
    schema = SCHEMA.with_measures(*RELATIVE)
    meaning = explain(evidence({"AU12": 3.0}, {"happiness": 0.9}))
    shown = reading()
    result = replace(shown.affect.results[1], meaning=meaning)
    shown = replace(shown, affect=replace(shown.affect, results={1: result}))
    table = RowTable(schema)
    (row,) = table.rows(shown)
    values = dict(zip(table.columns, table.line(row).rstrip().split(","), strict=True))
    assert (values["AU12_above"], values["AU23_above"]) == ("3.000", "")
    assert values["p_happiness_above"] == "0.900"
    assert (values["compound"], values["evidence"]) == ("none", "agrees")
    assert "AU12_above" not in COLUMNS
