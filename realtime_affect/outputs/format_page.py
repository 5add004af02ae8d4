"""The page ``docs/output-format.md``, made from the schema.

``python -m realtime_affect.outputs.format_page > docs/output-format.md`` writes it anew.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Final

from realtime_affect.measure import GROUPS, TRUSTS
from realtime_affect.outputs.json_lines import VERSION
from realtime_affect.schema import EVERYTHING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from realtime_affect.measure import Measure, Schema

_OBJECTS: Final = {
    "frame": "",
    "track": "faces[].",
    "face": "faces[].",
    "affect": "faces[].",
    "expression": "faces[].expression.",
    "meaning": "faces[].meaning.",
    "micro": "faces[].micro.",
    "event": "faces[].micro.events[].",
    "marker": "markers[].",
}


def format_page(schema: Schema = EVERYTHING) -> str:
    """Return the page as Markdown."""
    sections = [
        _HEAD,
        "## Measures\n",
        _table(("trust", "meaning"), TRUSTS.items()),
    ]
    for group in GROUPS:
        measures = [measure for measure in schema.measures if measure.group == group]
        if measures:
            sections.append(f"### {group.capitalize()}\n")
            sections.append(
                _table(
                    ("measure", "CSV columns", "JSON key", "type", "unit", "trust", "what"),
                    (_cells(measure) for measure in measures),
                )
            )
    sections += [
        _ROWS,
        _in_order(schema.columns),
        _EVENTS,
        _in_order(("face_id", *schema.event_columns)),
        _LINES.format(version=VERSION),
    ]
    return "\n".join(sections)


def _cells(measure: Measure) -> tuple[str, ...]:
    columns = _names(measure.row_columns)
    if measure.event_columns:
        columns += (" · " if columns else "") + f"events: {_names(measure.event_columns)}"
    key = f"`{_OBJECTS[measure.subject]}{measure.key}`" if measure.key else ""
    if key and measure.parts:
        parts = ", ".join(measure.parts)
        key += f" [{parts}]" if measure.as_list else f" {{{parts}}}"
    trust = f"{measure.trust} (`{measure.card}`)" if measure.card else measure.trust
    return (
        f"`{measure.name}`", columns, key, measure.dtype, measure.unit, trust, measure.doc
    )  # fmt: skip


def _names(names: tuple[str, ...]) -> str:
    if len(names) > 20:
        return f"`{names[0]}` to `{names[-1]}` ({len(names)})"
    return ", ".join(f"`{name}`" for name in names)


def _in_order(columns: tuple[str, ...]) -> str:
    shown = [name for name in columns if not name[2:].isdigit()]
    return "`" + ",".join(shown) + "`\n"


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [head, ("---",) * len(head), *rows]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines) + "\n"


_HEAD: Final = """\
# Output format

<!-- Generated: python -m realtime_affect.outputs.format_page > docs/output-format.md -->

What the CSV files and the JSON lines hold. Names that [OpenFace](https://github.com/TadasBaltrusaitis/OpenFace)
has for its columns mean what they mean there. Pixels are those of the original frame, from its
top-left corner; camera space is x right, y down, z away from the camera; *left* and *right* of a
face are the person's own. An expression is what a face displays, never what the person feels.

**An empty field, or null, means *not known*, never zero.**
"""

_ROWS: Final = """\
## Rows: `<stem>.csv`

UTF-8, comma, newline; fixed decimals, so that equal readings give equal bytes. Every frame has a
row for each face in it; one without a face has one row with `face_id` 0 and `success` 0. Images
share one `images.csv` with a leading column `input`, the file's name. `--landmarks` adds the mesh
points, `x_0` to `z_467`, at the end; `interpret.profile` adds the columns that end in `_above`.

A micro-expression is decided when it is over. Offline it stands on its face's rows from onset to
offset; live on the first row of the face after the decision. `macro` events stand in the events
file only. A marker stands on the rows of the first frame after it came, several joined by
semicolons; its exact time is in the events file.

In order:
"""

_EVENTS: Final = """\
## Events: `<stem>.events.csv`

One line for each facial event, micro and macro, as soon as it is decided, and for each marker: its
`face_id` is 0, its `kind` `marker`, its `onset` the moment marked. The file appears with the first
face that is watched or the first marker, so that one without a line says that there were none.
Regions and units are joined by semicolons. In order:
"""

_LINES: Final = """\
## JSON lines

What `realtime-affect serve` sends: one object a line, UTF-8, without NaN or infinity. `v` is the
version of the keys, {version}; it grows when one is taken away or changes its meaning, not when one
is added. `kind` is `reading`, or `health` once a second.

Keys of a face beyond `id`, `box`, `confidence` and `measured` are there where they are known: those
of the image while `measured` is true, those of gaze, blinks, expression, interpretation and
micro-expression once something was decided. `expression`, `meaning` and `micro` are null where they
are switched off. `micro.events` repeats the events of the last two seconds; `onset_ns` identifies
them. `markers` likewise repeats those of the last two seconds, by `number`.
"""


if __name__ == "__main__":
    sys.stdout.write(format_page())
