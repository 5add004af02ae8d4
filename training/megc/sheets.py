"""Tables of labels as publishers hand them out: .csv, and .xlsx read as what it is, zipped XML."""

from __future__ import annotations

import csv
import re
import zipfile
from types import MappingProxyType
from typing import TYPE_CHECKING, Final
from xml.etree import ElementTree

from realtime_affect.errors import InputError, InputMissingError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

Sheet = list[list[str]]
"""Rows of cells as text; a whole number without a decimal point, an empty cell as ``""``."""

_MAIN: Final = "{http://schemas.openxmlformats.org/spreadsheetml/2006/main}"
_LINK: Final = "{http://schemas.openxmlformats.org/officeDocument/2006/relationships}id"


def read_sheets(path: Path) -> list[Sheet]:
    """Read all sheets of a workbook in order, or the only one of a CSV.

    Raises
    ------
    InputError
        It is neither, or damaged.
    """
    try:
        if path.suffix.lower() == ".csv":
            text = path.read_text("utf-8-sig")
            dialect = ";" if text.count(";") > text.count(",") else ","
            lines = csv.reader(text.splitlines(), delimiter=dialect)
            return [[[cell.strip() for cell in row] for row in lines]]
        if path.suffix.lower() == ".xlsx":
            with zipfile.ZipFile(path) as book:
                return list(_sheets(book))
    except (OSError, ValueError, KeyError, IndexError, csv.Error, zipfile.BadZipFile,
            ElementTree.ParseError) as error:  # fmt: skip
        raise InputError(
            thing=f"labels {path}", got=str(error), expected="a table",
            hint="Unpack the labels again, or save their sheet as CSV.",
        ) from error  # fmt: skip
    raise InputError(
        thing=f"labels {path}", got=f"{path.suffix or 'no'} file", expected=".xlsx or .csv",
        hint="Open it in a spreadsheet program and save each sheet as CSV.",
    )  # fmt: skip


def find_file(root: Path, *patterns: str, hint: str) -> Path:
    """Return the first file in `root` or a folder of it that matches, the earlier patterns first.

    Of several that match one pattern the last by name is taken, which is the newest version. Not
    searched are the folders of pictures: some hold millions.

    Raises
    ------
    InputMissingError
        None does.
    """
    for pattern in patterns:
        found = find_files(root, pattern)
        if found:
            return found[-1]
    raise InputMissingError(
        thing=f"labels under {root}", got="none", expected=" or ".join(patterns), hint=hint
    )


def find_files(root: Path, pattern: str) -> list[Path]:
    """Return the files that :func:`find_file` chooses from, by name."""
    places = (root.glob(f"{below}{pattern}") for below in ("", "*/", "*/annotation/"))
    found = {path for place in places for path in place if path.is_file()}
    return sorted((path for path in found if path.name[0] not in "~."), key=lambda p: p.name)


def records(
    sheet: Sheet,
    wanted: Mapping[str, Sequence[str]],
    where: Path,
    optional: Mapping[str, Sequence[str]] = MappingProxyType({}),
) -> list[dict[str, str]]:
    """Return the rows below the heading as records.

    Publishers put notes above the heading and name its columns in their own ways, so the heading
    is the first row that has them all.

    Parameters
    ----------
    sheet : Sheet
    wanted : dict
        Our name of each column to the names it may have; letters' case and blanks do not count.
    where : Path
        For the error.
    optional : dict
        Columns that may be missing; their cells are empty then.

    Raises
    ------
    InputError
        No row has all of them.
    """
    for n, row in enumerate(sheet):
        heads = [_plain(cell) for cell in row]
        places = {name: _place(heads, aliases) for name, aliases in {**wanted, **optional}.items()}
        if min(places[name] for name in wanted) >= 0:
            found = [
                {name: _cell(line, place) for name, place in places.items()}
                for line in sheet[n + 1 :]
            ]
            return [record for record in found if any(record.values())]
    raise InputError(
        thing=f"labels {where}",
        got="no row of headings that names them all",
        expected="columns " + ", ".join(aliases[0] for aliases in wanted.values()),
        hint="Unpack the labels again, unchanged.",
    )


def whole(text: str) -> int | None:
    """Return the whole number that a cell holds, None where it holds none."""
    text = text.strip()
    return int(float(text)) if re.fullmatch(r"-?\d+(\.0*)?", text) else None


def _place(heads: list[str], aliases: Sequence[str]) -> int:
    """Return the first column that has one of the names, -1 without one."""
    return next((heads.index(_plain(name)) for name in aliases if _plain(name) in heads), -1)


def _plain(text: str) -> str:
    return re.sub(r"[\s_]+", "", text).lower()


def _cell(row: Sequence[str], place: int) -> str:
    return row[place].strip() if 0 <= place < len(row) else ""


def _sheets(book: zipfile.ZipFile) -> Iterator[Sheet]:
    """Yield the sheets of a workbook in the order of its tabs."""
    words: list[str] = []
    if "xl/sharedStrings.xml" in book.namelist():
        page = ElementTree.fromstring(book.read("xl/sharedStrings.xml"))
        words = [_text(item) for item in page.iter(f"{_MAIN}si")]
    links = ElementTree.fromstring(book.read("xl/_rels/workbook.xml.rels"))
    targets = {link.attrib["Id"]: link.attrib["Target"] for link in links}
    tabs = ElementTree.fromstring(book.read("xl/workbook.xml"))
    for tab in tabs.iter(f"{_MAIN}sheet"):
        target = targets[tab.attrib[_LINK]]
        name = target.removeprefix("/") if target.startswith("/") else f"xl/{target}"
        yield _rows(ElementTree.fromstring(book.read(name)), words)


def _rows(page: ElementTree.Element, words: list[str]) -> Sheet:
    sheet: Sheet = []
    for row in page.iter(f"{_MAIN}row"):
        number = int(row.attrib.get("r", len(sheet) + 1))
        sheet.extend([] for _ in range(number - 1 - len(sheet)))  # rows without a cell are left out
        cells: list[str] = []
        for cell in row.iter(f"{_MAIN}c"):
            place = _column(cell.attrib["r"]) if "r" in cell.attrib else len(cells)
            cells.extend("" for _ in range(place - len(cells)))
            cells.append(_value(cell, words))
        sheet.append(cells)
    return sheet


def _column(reference: str) -> int:
    """Return the number of the column of a cell: 0 of ``"A7"``, 27 of ``"AB7"``."""
    number = 0
    for letter in re.match(r"[A-Z]+", reference)[0]:  # type: ignore[index]
        number = 26 * number + ord(letter) - 64
    return number - 1


def _value(cell: ElementTree.Element, words: list[str]) -> str:
    kind = cell.attrib.get("t", "n")
    if kind == "inlineStr":
        return _text(cell)
    value = cell.findtext(f"{_MAIN}v", "")
    if kind == "s":
        return words[int(value)]
    number = whole(value) if kind == "n" else None
    return str(number) if number is not None else value.strip()


def _text(item: ElementTree.Element) -> str:
    """Return the text of an item, of all its runs, without what is said of its reading."""
    parts = item.findall(f"{_MAIN}t") + item.findall(f"{_MAIN}r/{_MAIN}t")
    parts += item.findall(f"{_MAIN}is/{_MAIN}t") + item.findall(f"{_MAIN}is/{_MAIN}r/{_MAIN}t")
    return "".join(part.text or "" for part in parts).strip()
