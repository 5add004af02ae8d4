"""A workbook as spreadsheet programs write it: zipped XML with words kept apart."""

import zipfile
from xml.sax.saxutils import escape

MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
LINKS = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
PACKAGE = "http://schemas.openxmlformats.org/package/2006/relationships"


def write_workbook(path, *sheets):
    """Write rows of cells as tabs; None leaves a cell out, an empty row is left out whole."""
    words = []
    pages = [_page(rows, words) for rows in sheets]
    # Tabs may lie in files of any name: the second tab is in sheet1.xml here.
    files = [f"sheet{len(sheets) - n}.xml" for n in range(len(sheets))]
    tabs = "".join(f'<sheet name="t{n}" r:id="rId{n}"/>' for n in range(len(sheets)))
    links = "".join(
        f'<Relationship Id="rId{n}" Target="worksheets/{file}"/>' for n, file in enumerate(files)
    )
    items = "".join(
        f"<si><r><t>{escape(word[:2])}</t></r><r><t>{escape(word[2:])}</t></r>"
        "<rPh><t>reading</t></rPh></si>"
        for word in words
    )
    with zipfile.ZipFile(path, "w") as book:
        head = f'xmlns="{MAIN}" xmlns:r="{LINKS}"'
        book.writestr("xl/workbook.xml", f"<workbook {head}><sheets>{tabs}</sheets></workbook>")
        book.writestr(
            "xl/_rels/workbook.xml.rels",
            f'<Relationships xmlns="{PACKAGE}">{links}</Relationships>',
        )
        book.writestr("xl/sharedStrings.xml", f"<sst {head}>{items}</sst>")
        for file, page in zip(files, pages, strict=True):
            book.writestr(f"xl/worksheets/{file}", page)
    return path


def _page(rows, words):
    lines = []
    for number, row in enumerate(rows, 1):
        cells = ""
        for place, value in enumerate(row):
            at = f"{_letters(place)}{number}"
            if value is None:
                continue
            if isinstance(value, str):
                words.append(value)
                cells += f'<c r="{at}" t="s"><v>{len(words) - 1}</v></c>'
            else:
                cells += f'<c r="{at}"><v>{value}</v></c>'
        if row:
            lines.append(f'<row r="{number}">{cells}</row>')
    return f'<worksheet xmlns="{MAIN}"><sheetData>{"".join(lines)}</sheetData></worksheet>'


def _letters(place):
    return chr(65 + place) if place < 26 else chr(64 + place // 26) + chr(65 + place % 26)
