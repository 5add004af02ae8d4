"""A report as PDF: laid out by Qt's own text engine, A4, selectable text."""

from __future__ import annotations

import html
import re
from typing import TYPE_CHECKING, Final

from PyQt6.QtCore import QMarginsF, QRectF, QSizeF, Qt, QThread, QUrl
from PyQt6.QtGui import (
    QColor,
    QFont,
    QImage,
    QPageLayout,
    QPageSize,
    QPainter,
    QPdfWriter,
    QTextDocument,
)

from affect_kernels.atomic import PRIVATE, replacing
from realtime_affect.errors import OutputError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from realtime_affect.outputs.report import Report, Section, Table

_DPI: Final = 96  # of the layout; what is drawn is as sharp as the printer
_MARGIN_MM: Final = 16.0
_FOOT_PX: Final = 34
_ABREAST: Final = 3  # images of spikes beside each other
_NAMES: Final = "28%"
_BAR_PX: Final = 90
_SHARE: Final = re.compile(r"(\d{1,3})%")
_SHEET: Final = """
body { font-size: 9.5pt; color: #15171a; }
h1 { font-size: 20pt; font-weight: 600; margin: 0 0 2px 0; }
h2 { font-size: 12.5pt; font-weight: 600; color: #1d5fae; margin: 16px 0 4px 0; }
p { margin: 2px 0 6px 0; }
.notice { font-size: 8.5pt; color: #50565e; }
.small { font-size: 7.5pt; color: #50565e; }
th { font-weight: 600; color: #50565e; font-size: 8.5pt; }
"""


def print_pdf(report: Report, path: Path) -> None:
    """Print a report; any thread of a program with a ``QGuiApplication`` may call.

    Parameters
    ----------
    report : Report
    path : Path
        Replaced if it exists.

    Raises
    ------
    OutputError
        The file cannot be written.
    """
    try:
        with replacing(path, mode=PRIVATE) as unfinished:
            printing = _Printing(report, unfinished)
            printing.start()
            printing.wait()
            if printing.failure is not None:
                raise printing.failure
    except OSError as error:
        raise OutputError(
            thing=f"output file {path}",
            got=error.strerror or str(error),
            expected="a file that can be written",
            hint="Free some space, or choose another folder.",
        ) from error


class _Printing(QThread):
    """Print on a thread of Qt's own: its text layout wants timers, which other threads lack."""

    def __init__(self, report: Report, path: Path) -> None:
        super().__init__()
        self._report, self._path = report, path
        self.failure: Exception | None = None

    def run(self) -> None:
        """Print."""
        try:
            _print(self._report, self._path)
        except Exception as failure:  # noqa: BLE001  (whoever waits raises it)
            self.failure = failure


def _print(report: Report, path: Path) -> None:
    writer = QPdfWriter(str(path))
    writer.setTitle(report.title)
    writer.setCreator("realtime-affect")
    margins = QMarginsF(_MARGIN_MM, _MARGIN_MM, _MARGIN_MM, _MARGIN_MM)
    page_size = QPageSize(QPageSize.PageSizeId.A4)
    upright, millimeters = QPageLayout.Orientation.Portrait, QPageLayout.Unit.Millimeter
    writer.setPageLayout(QPageLayout(page_size, upright, margins, millimeters))
    scale = writer.resolution() / _DPI
    width, height = writer.width() / scale, writer.height() / scale - _FOOT_PX
    document = _laid_out(report, QSizeF(width, height))
    painter = QPainter()
    if not painter.begin(writer):
        message = "the file cannot be written"
        raise OSError(message)
    painter.scale(scale, scale)
    n = document.pageCount()
    for page in range(n):
        if page:
            writer.newPage()
        body = QRectF(0, page * height, width, height)
        painter.save()
        painter.translate(0, -body.top())
        document.drawContents(painter, body)
        painter.restore()
        _draw_foot(painter, QRectF(0, height, width, _FOOT_PX), report, page + 1, n)
    if not painter.end():
        message = "the file cannot be finished"
        raise OSError(message)


def _laid_out(report: Report, size: QSizeF) -> QTextDocument:
    document = QTextDocument()
    document.setDocumentMargin(0)
    document.setDefaultFont(QFont("Sans Serif"))
    document.setDefaultStyleSheet(_SHEET)
    document.setPageSize(size)
    parts = [f"<h1>{html.escape(report.title)}</h1>",
             f'<p class="notice">{html.escape(report.notice)}</p>']  # fmt: skip
    for n, group in enumerate(_groups(report.sections)):
        if len(group) > 1:
            parts.append(_gallery(document, group, n, size.width()))
        else:
            parts.append(_section(document, group[0], n, size.width()))
    document.setHtml(f"<body>{''.join(parts)}</body>")
    return document


def _groups(sections: Sequence[Section]) -> Iterator[list[Section]]:
    """Yield sections one by one, and together those in a row that are an image and no more."""
    group: list[Section] = []
    for section in sections:
        if section.png and not section.tables and not section.text:
            group.append(section)
            continue
        if group:
            yield group
            group = []
        yield [section]
    if group:
        yield group


def _section(document: QTextDocument, section: Section, n: int, width: float) -> str:
    parts = [f"<h2>{html.escape(section.heading)}</h2>"]
    if section.text:
        parts.append(f"<p>{html.escape(section.text)}</p>")
    parts += [_table(table) for table in section.tables]
    if section.png:
        parts.append(f"<p>{_image(document, section.png, f'{n}', width)}</p>")
    return "".join(parts)


def _gallery(document: QTextDocument, sections: Sequence[Section], n: int, width: float) -> str:
    """Return images side by side, each with its heading below."""
    room = (width - 8 * (_ABREAST - 1)) / _ABREAST
    cells = [
        f'<td width="{100 / _ABREAST:.0f}%">{_image(document, s.png, f"{n}.{k}", room)}'
        f'<br/><span class="small">{html.escape(s.heading)}</span></td>'
        for k, s in enumerate(sections)
    ]
    cells += ["<td></td>"] * (-len(cells) % _ABREAST)
    rows = [f"<tr>{''.join(cells[k : k + _ABREAST])}</tr>" for k in range(0, len(cells), _ABREAST)]
    return (
        '<h2>Spikes, each at its apex</h2><table width="100%" cellspacing="0" cellpadding="3">'
        f"{''.join(rows)}</table><p></p>"
    )


def _image(document: QTextDocument, png: bytes, name: str, room: float) -> str:
    image = QImage.fromData(png)
    url = f"image:{name}"
    document.addResource(QTextDocument.ResourceType.ImageResource.value, QUrl(url), image)
    width = round(min(room, image.width()))
    height = round(width * image.height() / max(1, image.width()))
    limit = document.pageSize().height() - 90  # one that fills a page leaves room for its heading
    if height > limit:
        width, height = round(width * limit / height), round(limit)
    return f'<img src="{url}" width="{width}" height="{height}"/>'


def _table(table: Table) -> str:
    """Return a table; a share is a bar and its number."""
    head = "".join(f'<th align="left">{html.escape(name)}</th>' for name in table.columns)
    rows = [f"<tr>{head}</tr>"] if any(table.columns) else []
    for n, cells in enumerate(table.rows):
        ground = ' bgcolor="#f3f4f6"' if n % 2 == 0 else ""
        rows.append(f"<tr{ground}>{''.join(map(_cell, cells))}</tr>")
    if len(table.columns) == 2:  # names, and what they are
        rows[0] = re.sub("<(t[hd])", rf'<\1 width="{_NAMES}"', rows[0], count=1)
    return f'<table width="100%" cellspacing="0" cellpadding="3">{"".join(rows)}</table><p></p>'


def _cell(text: str) -> str:
    share = _SHARE.fullmatch(text)
    if share is None:
        return f"<td>{html.escape(text)}</td>"
    width = round(int(share[1]) / 100 * _BAR_PX)
    bar = f'<td bgcolor="#1d5fae" width="{width}"></td>' if width else ""
    return (
        f'<td><table cellspacing="0" cellpadding="0"><tr>{bar}<td>&nbsp;{text}</td></tr></table>'
        "</td>"
    )


def _draw_foot(painter: QPainter, place: QRectF, report: Report, page: int, n: int) -> None:
    font = QFont("Sans Serif")
    font.setPixelSize(10)
    painter.setFont(font)
    painter.setPen(QColor("#c9ced6"))
    painter.drawLine(place.topLeft(), place.topRight())
    painter.setPen(QColor("#50565e"))
    below = place.adjusted(0, 8, 0, 0)
    painter.drawText(below, int(Qt.AlignmentFlag.AlignLeft), report.title)
    painter.drawText(below, int(Qt.AlignmentFlag.AlignRight), f"{page} / {n}")
