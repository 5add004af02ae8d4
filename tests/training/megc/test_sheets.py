import zipfile

import pytest

from realtime_affect.errors import InputError, InputMissingError
from tests.training.megc.workbook import write_workbook
from training.megc.sheets import find_file, read_sheets, records, whole

WANTED = {"subject": ("Subject", "sub"), "onset": ("Onset", "Onset Frame")}


def test_sheets_come_in_the_order_of_their_tabs_with_cells_in_their_places(tmp_path):
    path = write_workbook(
        tmp_path / "a.xlsx",
        [["Subject", None, "Onset & more"], [], [7, None, 12.5], [None] * 27 + [1]],
        [["second"]],
    )
    first, second = read_sheets(path)
    assert first[0] == ["Subject", "", "Onset & more"]
    assert first[1] == []
    assert first[2] == ["7", "", "12.5"]
    assert first[3] == [""] * 27 + ["1"]
    assert second == [["second"]]


def test_a_csv_is_one_sheet_with_commas_or_semicolons(tmp_path):
    for n, text in enumerate(('\ufeffSubject,Onset\n"a, b",3\n', "Subject;Onset\na, b;3\n")):
        path = tmp_path / f"{n}.CSV"
        path.write_text(text, "utf-8")
        assert read_sheets(path) == [[["Subject", "Onset"], ["a, b", "3"]]]


@pytest.mark.parametrize("content", [b"", b"PK not a zip", b"<xml>"])
def test_a_damaged_workbook_is_said(content, tmp_path):
    path = tmp_path / "a.xlsx"
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"a\.xlsx"):
        read_sheets(path)


def test_a_workbook_without_its_parts_is_said(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.xlsx", "w") as book:
        book.writestr("readme.txt", "no table")
    with pytest.raises(InputError, match="save their sheet as CSV"):
        read_sheets(tmp_path / "a.xlsx")


def test_the_old_format_says_what_to_do(tmp_path):
    (tmp_path / "a.xls").touch()
    with pytest.raises(InputError, match="save each sheet as CSV"):
        read_sheets(tmp_path / "a.xls")


def test_the_heading_is_found_below_notes_and_under_other_names(tmp_path):
    sheet = [["a note"], [], ["onset_frame", "x", "SUB"], ["3", "", "s1"], ["", "", ""], ["4"]]
    found = records(sheet, WANTED, tmp_path, {"emotion": ("emotion",)})
    assert found == [
        {"subject": "s1", "onset": "3", "emotion": ""},
        {"subject": "", "onset": "4", "emotion": ""},
    ]


def test_a_table_without_the_columns_names_them(tmp_path):
    with pytest.raises(InputError, match="columns Subject, Onset"):
        records([["Subject", "Offset"]], WANTED, tmp_path)


@pytest.mark.parametrize(
    ("text", "number"),
    [("7", 7), (" 7.0", 7), ("-1", -1), ("7.5", None), ("/", None), ("", None), ("1e3", None)],
)
def test_only_whole_numbers_are_numbers_of_frames(text, number):
    assert whole(text) == number


def test_the_newest_file_of_a_name_is_taken_and_locks_are_not(tmp_path):
    (tmp_path / "part_A" / "annotation").mkdir(parents=True)
    for name in ("l_v1.xlsx", "~$l_v9.xlsx", "part_A/l_v2.xlsx", "part_A/annotation/l_v3.csv"):
        (tmp_path / name).touch()
    assert find_file(tmp_path, "l_*.xlsx", "l_*.csv", hint="h").name == "l_v2.xlsx"
    assert find_file(tmp_path, "l_*.csv", hint="h").name == "l_v3.csv"
    with pytest.raises(InputMissingError, match=r"m_\*"):
        find_file(tmp_path, "m_*", hint="h")
