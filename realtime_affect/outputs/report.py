"""One page that a person reads: of a run now, and of whatever else has results to show.

A report is a title and sections of text, tables and images; :func:`to_html` makes of it one file
that asks for nothing else: no script, no font, no image from elsewhere. Printed from a browser, it
is the PDF. Whoever has other results builds a :class:`Report` of them and does not write a page of
its own.
"""

from __future__ import annotations

import base64
import csv
import json
import tempfile
from collections import Counter
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from affect_kernels.atomic import PRIVATE, write_atomically
from realtime_affect.errors import AffectError, InputError, InputMissingError, OutputError
from realtime_affect.outputs.manifest import NAME as MANIFEST

if TYPE_CHECKING:
    from collections.abc import Mapping

    from jinja2 import Template

SESSION: Final = "session.json"
"""The record of a run that is a session."""

NAME: Final = "report.html"
"""Of the page, in the run's folder."""

NOTICE: Final = (
    "These are expressions as displayed, not what a person feels, thinks or intends. This is not a "
    "medical device and makes no diagnosis. How far each measure can be trusted stands in the "
    "cards of the networks (realtime-affect models list)."
)

_COVERED: Final = (
    "face", "in view, of all frames", "measured, of those", "mean quality, 0 to 1",
    "spikes could be seen",
)  # fmt: skip
_SHOWN: Final = ("face", "expression displayed", "share of its rows")
_MOST_EVENTS: Final = 200  # in one table; a page is read, the file of events has them all

_PAGE: Final = """<!doctype html>
<html lang="{{ report.language }}">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<meta http-equiv="Content-Security-Policy"
 content="default-src 'none'; img-src data:; style-src 'unsafe-inline'">
<title>{{ report.title }}</title>
<style>
:root { color-scheme: light dark; }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 62rem; margin: 2rem auto; padding: 0 1rem; }
h1, h2 { line-height: 1.2; }
h2 { margin-top: 2.5rem; }
table { border-collapse: collapse; margin: 1rem 0; }
th, td { text-align: left; padding: .2rem 1.2rem .2rem 0; border-bottom: 1px solid #8886; }
td { overflow-wrap: anywhere; }
img { max-width: 100%; background: #fff; }
.notice { border-left: .3rem solid #888; padding-left: 1rem; }
@media print { h2 { break-after: avoid; } tr, img { break-inside: avoid; } }
</style>
</head>
<body>
<h1>{{ report.title }}</h1>
<p class="notice">{{ report.notice }}</p>
{% for section in report.sections %}
<h2>{{ section.heading }}</h2>
{% if section.text %}<p>{{ section.text }}</p>{% endif %}
{% for table in section.tables %}
<table>
<tr>{% for name in table.columns %}<th scope="col">{{ name }}</th>{% endfor %}</tr>
{% for row in table.rows %}
<tr>{% for cell in row %}<td>{{ cell }}</td>{% endfor %}</tr>
{% endfor %}
</table>
{% endfor %}
{% if section.png %}<img alt="{{ section.alt }}"
 src="data:image/png;base64,{{ section.png | base64 }}">{% endif %}
{% endfor %}
</body>
</html>
"""


@dataclass(frozen=True, slots=True)
class Table:
    """Column names and rows of cells, shown as they are."""

    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, slots=True)
class Section:
    """A heading and what stands below it.

    Attributes
    ----------
    heading, text : str
    tables : tuple of Table
    png : bytes
        An image; empty = none.
    alt : str
        What the image shows, for who cannot see it.
    """

    heading: str
    text: str = ""
    tables: tuple[Table, ...] = ()
    png: bytes = b""
    alt: str = ""


@dataclass(frozen=True, slots=True)
class Report:
    """What a page says, in one language, and the notice under its title."""

    title: str
    sections: tuple[Section, ...]
    language: str = "en"
    notice: str = NOTICE


def to_html(report: Report) -> str:
    """Return the report as one HTML file; every text is escaped."""
    return _template().render(report=report)


def write_run_report(folder: str | Path) -> Path:
    """Write the page of a run into its folder, readable by its owner alone; return its path.

    Parameters
    ----------
    folder : str or Path
        What ``run``, ``analyze`` or ``serve`` wrote.

    Raises
    ------
    InputError
        It holds no record of a run, or a damaged one.
    OutputError
        The page cannot be written.
    """
    path = Path(folder) / NAME
    page = to_html(report_of_run(folder))
    try:
        write_atomically(path, page, mode=PRIVATE)
    except OSError as error:
        raise OutputError(
            thing=f"output file {path}",
            got=error.strerror or str(error),
            expected="a file that can be written",
            hint="Free some space, or copy the folder to where you may write.",
        ) from error
    return path


def report_of_run(folder: str | Path) -> Report:
    """Read what a run left: its record first, then rows, events and timeline where they are.

    Raises
    ------
    InputError
        As :func:`write_run_report`.
    """
    folder = Path(folder)
    manifest = _read_manifest(folder)
    state = manifest["outcome"]
    facts = Table(
        ("", ""),
        (
            ("command", str(manifest["command"])),
            ("outcome", "running, or killed" if state == "running" else str(state)),
            ("begun", str(manifest["begun"])),
            ("finished", str(manifest["finished"] or "not")),
        ),
    )
    made_with = Table(
        ("network or library", "SHA-256 or version"),
        tuple((str(k), str(v)) for k, v in (manifest["models"] | manifest["versions"]).items()),
    )
    return Report(
        f"realtime-affect {manifest['command']}: {folder.resolve().name}",
        (
            Section("The run", tables=(facts,)),
            *(_section_of(entry, folder) for entry in manifest["inputs"]),
            Section("Made with", tables=(made_with,)),
        ),
    )


def _read_manifest(folder: Path) -> dict[str, Any]:
    path = folder / MANIFEST
    if not path.exists() and (folder / SESSION).exists():
        path = folder / SESSION
    try:
        manifest = json.loads(path.read_text(encoding="utf-8"))
        wanted = {"command", "outcome", "begun", "finished", "inputs", "models", "versions"}
        missing = wanted - set(manifest)
    except FileNotFoundError as error:
        raise InputMissingError(
            thing=f"folder {folder}",
            got=f"no {MANIFEST}",
            expected="the folder of a run",
            hint="Give what --out named, or out/NAME where it was not given.",
        ) from error
    except (OSError, ValueError, TypeError) as error:
        raise _damaged(path, str(error)) from error
    if missing:
        raise _damaged(path, "no " + ", ".join(sorted(missing)))
    return dict(manifest)


def _damaged(path: Path, got: str) -> InputError:
    return InputError(
        thing=f"record {path}",
        got=got,
        expected="the record of a run",
        hint="Run or analyze again; the rows beside it are complete lines all the same.",
    )


def _section_of(entry: Mapping[str, Any], folder: Path) -> Section:
    """Say what came of one input."""
    facts = [(name, str(entry[name])) for name in ("kind", "outcome", "error") if entry.get(name)]
    for label, name, unit in (
        ("frames", "frames", ""), ("with faces", "frames_with_faces", ""), ("faces", "tracks", ""),
        ("length", "duration_s", " s"), ("speed", "fps", " frames a second"),
    ):  # fmt: skip
        if entry.get(name) is not None:
            facts.append((label, f"{entry[name]}{unit}"))
    facts += [(f"dropped: {name}", str(n)) for name, n in (entry.get("drops") or {}).items() if n]
    tables = [Table(("", ""), tuple(facts))]
    files = {name: _find(path, folder) for name, path in (entry.get("files") or {}).items()}
    rows, events = files.get("rows"), files.get("events")
    if rows is not None:
        tables += _faces(rows, entry.get("frames") or 0)
    if events is not None:
        tables += _events(events)
    return Section(
        str(entry["input"]), tables=tuple(tables), png=_timeline(files),
        alt="Expressions, action units and events of each face over time",
    )  # fmt: skip


def _find(path: str, folder: Path) -> Path | None:
    """Return where a file of the run lies now; the folder may have been moved."""
    for candidate in (folder / Path(path).name, Path(path)):
        if candidate.is_file():
            return candidate
    return None


def _faces(rows: Path, frames: int) -> list[Table]:
    """Return by face how much of it was measured and how well, and the share of each expression."""
    shown: dict[str, Counter[str]] = {}
    seen: dict[str, list[float]] = {}  # rows, measured, watched for spikes, sum of qualities
    with rows.open(encoding="utf-8", newline="") as stream:
        for row in csv.DictReader(stream):
            if not row.get("face_id"):
                continue
            counts = seen.setdefault(row["face_id"], [0, 0, 0, 0.0])
            counts[0] += 1
            if row.get("success") == "1":
                counts[1] += 1
                counts[3] += float(row.get("quality") or 0)
            counts[2] += bool(row.get("micro"))
            if row.get("expression"):
                shown.setdefault(row["face_id"], Counter())[row["expression"]] += 1
    covered = tuple(
        (
            face, f"{n / max(n, frames):.0%}", f"{measured / n:.0%}",
            f"{quality / measured:.2f}" if measured else "", f"{watched / n:.0%}",
        )
        for face, (n, measured, watched, quality) in sorted(seen.items(), key=lambda f: int(f[0]))
    )  # fmt: skip
    cells = tuple(
        (face, name, f"{n / counts.total():.0%}")
        for face, counts in sorted(shown.items(), key=lambda item: int(item[0]))
        for name, n in counts.most_common()
    )
    tables = [Table(_COVERED, covered)] if covered else []
    return tables + ([Table(_SHOWN, cells)] if cells else [])


def _events(events: Path) -> list[Table]:
    columns = ("face_id", "kind", "onset", "apex", "offset", "regions", "units")
    with events.open(encoding="utf-8", newline="") as stream:
        found = [
            tuple(_in_seconds(row, name) for name in columns) for row in csv.DictReader(stream)
        ]
    if len(found) > _MOST_EVENTS:
        left = (f"and {len(found) - _MOST_EVENTS} more in {events.name}",)
        found = [*found[:_MOST_EVENTS], left]
    return [Table(columns, tuple(found))] if found else []


def _in_seconds(row: Mapping[str, str], name: str) -> str:
    """Return a cell; a moment to the hundredth of a second, as a reader wants it."""
    text = row.get(name) or ""
    return f"{float(text):.2f} s" if text and name in ("onset", "apex", "offset") else text


def _timeline(files: Mapping[str, Path | None]) -> bytes:
    """Return the drawing that the run left, or draw one; without rows there is none."""
    drawn, rows = files.get("timeline"), files.get("rows")
    if drawn is not None:
        return drawn.read_bytes()
    if rows is None:
        return b""
    from realtime_affect.timeline import plot_timeline

    with tempfile.TemporaryDirectory() as scratch:
        png = Path(scratch) / "timeline.png"
        try:
            plot_timeline(rows, png)
        except AffectError:  # rows of stills, or none: nothing lies on a line of time
            return b""
        return png.read_bytes() if png.exists() else b""


@cache
def _template() -> Template:
    from jinja2 import Environment

    environment = Environment(autoescape=True, trim_blocks=True)
    environment.filters["base64"] = lambda data: base64.b64encode(data).decode("ascii")
    return environment.from_string(_PAGE)
