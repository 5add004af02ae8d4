"""Databases in miniature: the publishers' folders, with the demo's rendered people in them."""

import contextlib
import json

import cv2
import numpy as np
import pytest

from realtime_affect.capture import open_source
from realtime_affect.errors import InputMissingError, UsageError
from realtime_affect.names import AU_OCCURRENCES
from training import evaluate
from training.action_units import coded
from training.action_units.databases import read_database

AT = range(20, 340, 40)


@pytest.fixture(scope="module")
def pictures():
    """Eight frames of the demo's first person."""
    wanted = {}
    with contextlib.closing(open_source("demo", live=False)) as source:
        while (frame := source.read(10.0)) is not None:
            if frame.index in AT:
                wanted[frame.index] = frame.image[:, :640].copy()
    return [wanted[index] for index in AT]


@pytest.fixture
def disfa(tmp_path, pictures):
    folder = tmp_path / "Videos_LeftCamera"
    folder.mkdir()
    video = cv2.VideoWriter(
        str(folder / "LeftVideoSN001_comp.avi"), cv2.VideoWriter_fourcc(*"MJPG"), 20, (640, 720)
    )
    for picture in pictures:
        video.write(picture)
    video.release()
    values = {1: range(8), 12: [0, 0, 5, 5, 0, 0, 2, 1]}
    labels = tmp_path / "ActionUnit_Labels" / "SN001"
    labels.mkdir(parents=True)
    for number, intensity in values.items():
        text = "".join(f"{k},{value}\n" for k, value in enumerate(intensity, 1))
        (labels / f"SN001_au{number}.txt").write_text(text)
    return tmp_path


@pytest.fixture
def disfaplus(tmp_path, pictures):
    images = tmp_path / "Images" / "SN001" / "A1_AU1_TrailNo_1"
    images.mkdir(parents=True)
    for k, picture in enumerate(pictures):
        cv2.imwrite(str(images / f"{k:03}.jpg"), picture)
    labels = tmp_path / "Labels" / "SN001" / "A1_AU1_TrailNo_1"
    labels.mkdir(parents=True)
    rows = "".join(f"{k:03}.jpg     {k % 4}\n" for k in range(8))
    (labels / "AU1.txt").write_text("Frame intensity\n" + rows)
    (labels / "AU26.txt").write_text(rows)
    return tmp_path


@pytest.fixture
def bp4d(tmp_path, pictures):
    images = tmp_path / "Sequences" / "F001" / "T1"
    images.mkdir(parents=True)
    for k, picture in enumerate(pictures):
        cv2.imwrite(str(images / f"{k + 1:04}.jpg"), picture)
    coding = tmp_path / "AUCoding"
    (coding / "AU_OCC").mkdir(parents=True)
    (coding / "AU_INT" / "AU06").mkdir(parents=True)
    rows = ["0,1,6,24", *(f"{k},{k % 2},{9 if k == 3 else 1},0" for k in range(2, 8))]
    (coding / "AU_OCC" / "F001_T1.csv").write_text("\n".join(rows) + "\n")
    rows = [f"{k},{9 if k == 3 else k % 6}" for k in range(2, 8)]
    (coding / "AU_INT" / "AU06" / "F001_T1_AU06.csv").write_text("\n".join(rows) + "\n")
    return tmp_path


def test_disfa_counts_frames_from_one_and_presence_from_two(disfa):
    (recording,) = read_database("disfa", disfa)
    assert recording.subject == "SN001"
    assert recording.intensity["AU12"] == {1: 0, 2: 0, 3: 5, 4: 5, 5: 0, 6: 0, 7: 2, 8: 1}
    assert recording.occurrence["AU12"] == {1: 0, 2: 0, 3: 1, 4: 1, 5: 0, 6: 0, 7: 1, 8: 0}
    assert [number for number, _ in recording.frames()] == list(range(1, 9))


def test_disfaplus_goes_by_the_names_of_pictures(disfaplus):
    (recording,) = read_database("disfaplus", disfaplus)
    assert recording.name == "A1_AU1_TrailNo_1"
    assert recording.intensity["AU26"] == {k: k % 4 for k in range(8)}
    assert recording.intensity["AU01"] == recording.intensity["AU26"]
    assert [number for number, _ in recording.frames()] == list(range(8))


def test_bp4d_leaves_out_what_was_not_coded_and_units_we_do_not_read(bp4d):
    (recording,) = read_database("bp4d", bp4d)
    assert set(recording.occurrence) == {"AU01", "AU06"}
    assert recording.occurrence["AU01"] == {2: 0, 3: 1, 4: 0, 5: 1, 6: 0, 7: 1}
    assert recording.occurrence["AU06"] == {2: 1, 4: 1, 5: 1, 6: 1, 7: 1}
    assert recording.intensity == {"AU06": {2: 2, 4: 4, 5: 5, 6: 0, 7: 1}}
    table = recording.table(recording.occurrence, [1, 2, 3])
    column = AU_OCCURRENCES.index("AU06")
    np.testing.assert_array_equal(table[:, column], [np.nan, 1, np.nan])


def test_labels_that_say_what_the_product_reads_score_full_and_others_do_not(disfa, monkeypatch):
    (recording,) = read_database("disfa", disfa)
    numbers, intensity, occurrence = coded.read_recording(recording, "none")
    assert numbers == list(range(1, 9))
    read = {"intensity": intensity, "occurrence": occurrence}
    same = coded.score(read, read)
    assert "AU23" not in same["units"]
    for name, unit in same["units"].items():
        assert unit["f1"] == 1 or np.isnan(unit["f1"])
        if name != "AU28":  # which has no intensity
            assert unit["icc"] == pytest.approx(1)
            assert unit["mae"] == 0
    assert same["f1_micro"] == 1
    wrong = coded.score({"intensity": 5 - intensity, "occurrence": 1 - occurrence}, read)
    assert wrong["f1_micro"] == 0
    assert wrong["mean"]["icc"] < 0


def test_a_unit_coded_for_a_part_of_the_people_is_scored_on_that_part():
    truth = np.full((4, 18), np.nan)
    truth[:2, 0] = [1, 0]
    read = np.zeros((4, 18))
    read[0, 0] = read[2, 0] = 1
    coders, product = ({"intensity": table, "occurrence": table} for table in (truth, read))
    result = coded.score(coders, product)
    assert list(result["units"]) == ["AU01"]
    assert result["units"]["AU01"]["frames"] == 2
    assert result["f1_micro"] == 1


@pytest.mark.parametrize("neutral", list(coded.NEUTRALS))
@pytest.mark.parametrize("name", ["disfa", "disfaplus", "bp4d"])
def test_the_command_reports_every_database(name, neutral, request, tmp_path, capsys):
    root = request.getfixturevalue(name)
    out = tmp_path / "report.json"
    arguments = ["au", "--dataset", name, "--root", str(root), "--out", str(out)]
    assert evaluate.main([*arguments, "--neutral", neutral]) == 0
    report = json.loads(out.read_text())
    assert report["dataset"] == name
    assert report["neutral"] == neutral
    assert report["recordings"] == report["subjects"] == 1
    assert report["with_a_face"] == report["labelled_frames"] == (6 if name == "bp4d" else 8)
    assert len(report["weights_sha256"]) == 64
    assert set(report["units"]) == {
        "disfa": {"AU01", "AU12"}, "disfaplus": {"AU01", "AU26"}, "bp4d": {"AU01", "AU06"},
    }[name]  # fmt: skip
    printed = capsys.readouterr().out
    assert coded.NEUTRALS[neutral] in " ".join(printed.split())
    assert "mean" in printed


def test_the_neutral_changes_what_is_read(disfaplus):
    (recording,) = read_database("disfaplus", disfaplus)
    _, population, _ = coded.read_recording(recording, "none")
    _, own, _ = coded.read_recording(recording, "first")
    assert np.nanmax(np.abs(population[1:] - own[1:])) > 0.05
    np.testing.assert_array_equal(population[0], own[0])  # read before it could be taken


def test_a_folder_without_the_database_says_where_the_names_stand(tmp_path, capsys):
    with pytest.raises(InputMissingError, match=r"databases\.py"):
        read_database("disfa", tmp_path)
    assert evaluate.main(["au", "--dataset", "bp4d", "--root", str(tmp_path)]) == 3
    assert "no labelled recording" in capsys.readouterr().err


def test_a_damaged_label_is_refused(disfa):
    path = disfa / "ActionUnit_Labels" / "SN001" / "SN001_au1.txt"
    path.write_text("1,abc\n")
    with pytest.raises(UsageError, match="abc"):
        read_database("disfa", disfa)


def test_a_damaged_picture_is_named(disfaplus, capsys):
    path = disfaplus / "Images" / "SN001" / "A1_AU1_TrailNo_1" / "003.jpg"
    path.write_bytes(b"")
    assert evaluate.main(["au", "--dataset", "disfaplus", "--root", str(disfaplus)]) == 3
    assert "003.jpg" in capsys.readouterr().err


def test_an_unknown_database_names_the_known_ones(tmp_path):
    with pytest.raises(UsageError, match="disfaplus"):
        read_database("ferplus", tmp_path)
