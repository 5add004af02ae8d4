"""Databases in miniature: the publishers' folders with empty pictures and a few labels."""

import csv

import pytest

from realtime_affect.errors import InputError, InputMissingError, UsageError
from tests.training.megc.workbook import write_workbook
from training.megc.databases import class_of, read_clips, read_films
from training.megc.spotting import Interval


def pictures(folder, numbers, name="img{}.jpg"):
    folder.mkdir(parents=True)
    for number in numbers:
        (folder / name.format(number)).touch()
    (folder / "Thumbs.db").touch()


def write_csv(path, rows):
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8-sig", newline="") as stream:
        csv.writer(stream).writerows([["" if c is None else c for c in row] for row in rows])


CASME2SQ = [
    [1, "disgust1_1", 557, 572, 608, "4+10", "disgust", "macro-expression", "negative"],
    [1, "disgust1_2", 20, 24, 0, "12", "happiness", "micro-expression", "positive"],
    [2, "anger1_1", 5, 8, 12, "4", "others", "micro-expression", "negative"],
]
PEOPLE = [[None, "s15", 1], [None, "s16", 2]]
VIDEOS = [["0101", "disgust1"], ["0401", "anger1"]]


@pytest.fixture(params=["xlsx", "csv"])
def casme2sq(tmp_path, request):
    if request.param == "xlsx":
        path = tmp_path / "CAS(ME)^2code_final(Updated).xlsx"
        write_workbook(path, CASME2SQ, PEOPLE, VIDEOS)
    else:
        head = ["subject", "video", "onset", "apex", "offset", "AU", "emotion", "type", "self"]
        write_csv(tmp_path / "labels" / "CASMEsq_code_final.csv", [head, *CASME2SQ])
        write_csv(tmp_path / "labels" / "naming_rule1.csv", [["n", "folder", "subject"], *PEOPLE])
        # Spreadsheets eat the leading zero.
        rows = [[101, "disgust1"], [401, "anger1"]]
        write_csv(tmp_path / "labels" / "naming_rule2.csv", [["code", "video"], *rows])
    for name in ("s15/15_0101disgustingteeth", "s15/15_0401girlcrashing", "s16/16_0401girl"):
        pictures(tmp_path / "rawpic" / name, range(1, 13))
    return tmp_path


def test_casme2sq_joins_codes_of_people_and_videos(casme2sq):
    films = {film.name: film for film in read_films("casme2sq", casme2sq)}
    assert list(films) == ["15_0101disgustingteeth", "15_0401girlcrashing", "16_0401girl"]
    assert films["15_0101disgustingteeth"].truth == (
        Interval("macro", 557, 608, "negative"),
        Interval("micro", 20, 24, "positive"),  # an offset of 0: to the apex
    )
    assert films["16_0401girl"].truth == (Interval("micro", 5, 12, ""),)
    assert films["15_0401girlcrashing"].truth == (), "a video without an expression counts, too"
    film = films["16_0401girl"]
    assert (film.subject, film.fps) == ("s16", 30.0)
    assert list(film.media) == list(range(1, 13)), "by number, not by letters"


def test_casme2sq_may_be_videos(casme2sq):
    import shutil

    shutil.rmtree(casme2sq / "rawpic")
    (casme2sq / "rawvideo" / "s15").mkdir(parents=True)
    (casme2sq / "rawvideo" / "s15" / "15_0101disgustingteeth.avi").touch()
    (film,) = read_films("casme2sq", casme2sq)
    assert film.media.name == "15_0101disgustingteeth.avi"
    assert len(film.truth) == 2


SAMMLV = [
    ["SAMM Long Videos"],
    [],
    *(["Subject", "Filename", "Inducement Code", "Onset", "Apex", "Offset", "Duration", "Type",
       "Action Units", "Notes"],),
    ["006", "006_1_2", 1, 20, 30, 60, 41, "Micro - 1/2", "4", None],
    ["006", "006_1_3", 1, 100, -1, 400, 301, "Macro", "12", None],
    ["006", "006_1_4", 1, 0, 500, 600, 601, "Macro", "12", "began before the video"],
    ["006", "006_2_1", 2, 7, 9, 11, 5, "Micro - 1/2", "1", None],
]  # fmt: skip
SAMM = [
    ["notes above the table"],
    ["Subject", "Filename", "Inducement Code", "Onset Frame", "Apex Frame", "Offset Frame",
     "Duration", "Micro", "Action Units", "Estimated Emotion", "Objective Classes", "Notes"],
    ["006", "006_1_2", 1, 20, 30, 60, 41, "1/2", "4", "Anger", 3, None],
    [6, "006_2_1", 2, 7, 9, 11, 5, "1/2", "1", "Other", 7, None],
    ["007", "007_1_1", 2, 5, 8, 11, 7, "1/2", "1+2", "Surprise", 2, None],
    ["007", "007_1_2", 2, 5, -1, 11, 7, "1/2", "12", "Happiness", 1, None],
]  # fmt: skip


def test_sammlv_takes_emotions_from_the_short_clips_table(tmp_path):
    write_workbook(tmp_path / "SAMM_LongVideos_V2_Release.xlsx", SAMMLV)
    for name in ("006_1", "006_2"):
        pictures(tmp_path / "SAMM_longvideos" / name, range(1, 12), name + "_{:04}.jpg")
    first, second = read_films("sammlv", tmp_path)
    assert first.truth == (Interval("micro", 20, 60), Interval("macro", 100, 400))
    assert second.truth == (Interval("micro", 7, 11),)
    assert (first.subject, first.name, first.fps, len(first.media)) == ("006", "006_1", 200.0, 11)
    write_csv(tmp_path / "SAMM_Micro_FACS_Codes_v2.csv", SAMM)
    first, second = read_films("sammlv", tmp_path)
    assert first.truth[0].label == "negative"
    assert second.truth[0].label == ""


@pytest.mark.parametrize("below", ["part_A/data/part_A", "data/part_A", "data", "."])
def test_casme3_joins_two_tables_whatever_the_letters_case(below, tmp_path):
    micro = [["Subject", "Filename", "Onset", "Apex", "Offset", "AU", "Objective class", "emotion"],
             ["spNO.1", "b", 166, 175, 179, "4", "III", "disgust"],
             ["spNO.1", "j", 28, 33, 49, "24", "VII", "happy"]]  # fmt: skip
    macro = [["sub", "seq", "onset", "apex", "offset"], ["spNO.1", "b", 300, 320, 350]]
    labels = tmp_path / "annotation"
    labels.mkdir()
    write_workbook(labels / "cas(me)3_part_A_ME_label_JpgIndex_v2.xlsx", [["notes"]], micro)
    write_csv(labels / "cas(me)3_part_A_MaE_label_JpgIndex_v2_emotion.csv", macro)
    for clip in "abj":
        pictures(tmp_path / below / "spNo.1" / clip / "color", range(9), "{}.jpg")
        pictures(tmp_path / below / "spNo.1" / clip / "depth", range(9), "{}.png")
    films = {film.name: film for film in read_films("casme3", tmp_path)}
    assert films["spNo.1_b"].truth == (
        Interval("micro", 166, 179, "negative"), Interval("macro", 300, 350)
    )  # fmt: skip
    assert films["spNo.1_j"].truth == (Interval("micro", 28, 49, "positive"),)
    assert films["spNo.1_a"].truth == ()
    assert all(path.suffix == ".jpg" for path in films["spNo.1_a"].media.values())


CASME2 = [
    ["Subject", "Filename", None, "OnsetFrame", "ApexFrame", "OffsetFrame", None, "Action Units",
     "Estimated Emotion"],
    [1, "EP02_01f", None, 46, 59, 86, None, "12", "happiness"],
    [1, "EP19_05f", None, 5, "/", 9, None, "4", "repression"],
    ["02", "EP01_11f", None, 46, 91, 126, None, "1+2", "surprise"],
    [2, "EP03_02f", None, 1, 2, 3, None, "4", "others"],
    [2, "EP04_02f", None, 1, 2, 3, None, "1", "sadness"],
    [3, "EP09_01", None, 1, 2, 3, None, "4", "disgust"],
]  # fmt: skip


def test_casme2_has_the_three_classes_and_apexes_where_they_are_known(tmp_path):
    write_workbook(tmp_path / "CASME2-coding-20190701.xlsx", CASME2)
    base = tmp_path / "CASME2_RAW_selected"
    pictures(base / "sub01" / "EP02_01f", range(46, 87))
    pictures(base / "sub01" / "EP19_05f", range(5, 10))
    pictures(base / "sub02" / "EP01_11f", range(46, 127))
    pictures(base / "sub02" / "EP04_02f", range(1, 4))
    pictures(tmp_path / "Cropped" / "sub01" / "EP02_01f", range(46, 87), "reg_img{}.jpg")
    clips = {clip.name: clip for clip in read_clips("casme2", tmp_path)}
    assert {name: clip.label for name, clip in clips.items()} == {
        "EP02_01f": "positive", "EP19_05f": "negative", "EP01_11f": "surprise"
    }  # fmt: skip
    first = clips["EP02_01f"]
    assert (first.subject, first.onset, first.apex, first.offset) == ("sub01", 46, 59, 86)
    assert "CASME2_RAW_selected" in str(first.pictures[46]), "whole pictures before cropped ones"
    assert clips["EP19_05f"].apex is None


def test_samm_pads_its_subjects_and_leaves_others_out(tmp_path):
    write_workbook(tmp_path / "SAMM_20181215_Micro_FACS_Codes_v2.xlsx", SAMM)
    for clip in ("006_1_2", "006_2_1", "007_1_1", "007_1_2"):
        subject = clip[:3]
        pictures(tmp_path / "SAMM" / subject / clip, range(1, 61), subject + "_{:05}.jpg")
    clips = read_clips("samm", tmp_path)
    assert [(clip.name, clip.label, clip.apex) for clip in clips] == [
        ("006_1_2", "negative", 30), ("007_1_1", "surprise", 8), ("007_1_2", "positive", None)
    ]  # fmt: skip
    assert [clip.subject for clip in clips] == ["006", "007", "007"]


@pytest.mark.parametrize("below", ["HS", "SMIC_all_raw/HS", "SMIC_all_cropped/HS"])
def test_smic_goes_by_its_folders(below, tmp_path):
    for label, short in (("negative", "ne"), ("positive", "po"), ("surprise", "sur")):
        folder = tmp_path / below / "s1" / "micro" / label / f"s1_{short}_01"
        pictures(folder, [235128, 99, 235130], "image{}.jpg")
    pictures(tmp_path / below / "s1" / "non_micro" / "s1_non_01", [1], "image{}.jpg")
    clips = read_clips("smic", tmp_path)
    assert [clip.label for clip in clips] == ["negative", "positive", "surprise"]
    assert (clips[0].onset, clips[0].apex, clips[0].offset) == (99, None, 235130)
    assert clips[0].subject == "s1"


def test_emotions_become_the_challenge_s_classes():
    assert class_of("Happiness") == class_of("happy") == "positive"
    assert class_of(" Contempt ") == class_of("repression") == "negative"
    assert class_of("Others") == class_of("") == ""
    assert class_of("sadness") == "negative"
    assert class_of("sadness", "casme2") == "", "as MEGC2019, which left out what was rare there"


def test_without_pictures_or_labels_the_place_of_the_names_is_said(tmp_path):
    for read, names in ((read_films, ("casme2sq", "sammlv", "casme3")), (read_clips, ("casme2",
                        "samm", "smic"))):  # fmt: skip
        for name in names:
            with pytest.raises(InputMissingError, match=r"databases\.py"):
                read(name, tmp_path)
    write_workbook(tmp_path / "SAMM_LongVideos_V2_Release.xlsx", SAMMLV)
    with pytest.raises(InputMissingError, match="0 videos"):
        read_films("sammlv", tmp_path)


def test_a_label_that_means_nothing_is_refused(tmp_path):
    rows = [*SAMMLV[:3], ["006", "006_1_2", 1, 20, 30, 60, 41, "Mesmo", "4", None]]
    write_workbook(tmp_path / "SAMM_LongVideos_V2_Release.xlsx", rows)
    with pytest.raises(UsageError, match="Mesmo"):
        read_films("sammlv", tmp_path)
    write_workbook(tmp_path / "SAMM_LongVideos_V2_Release.xlsx", [["nothing"]])
    with pytest.raises(InputError, match="columns Subject, Filename"):
        read_films("sammlv", tmp_path)


def test_an_unknown_database_names_the_known_ones(tmp_path):
    with pytest.raises(UsageError, match="casme2sq, sammlv, casme3"):
        read_films("casme2", tmp_path)
    with pytest.raises(UsageError, match="casme2, smic, samm"):
        read_clips("casme3", tmp_path)
