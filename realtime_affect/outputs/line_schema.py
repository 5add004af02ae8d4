"""The JSON Schema of the lines that streams send, made from the schema of measures.

``python -m realtime_affect.outputs.line_schema > docs/lines.schema.json`` writes it anew.
"""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any, Final

from realtime_affect.outputs.json_lines import NESTED, VERSION
from realtime_affect.schema import SCHEMA

if TYPE_CHECKING:
    from realtime_affect.measure import Measure, Schema, Subject

_KINDS: Final[dict[str, Any]] = {
    "bool": {"type": "boolean"},
    "int64": {"type": "integer"},
    "time_ns": {"type": "integer"},
    "float32": {"type": ["number", "null"]},
    "float64": {"type": ["number", "null"]},
    "text": {"type": "string"},
    "names": {"type": "array", "items": {"type": "string"}},
}


def line_schema(schema: Schema = SCHEMA) -> dict[str, Any]:
    """Return what a line of kind ``reading`` or ``health`` is, as JSON Schema (2020-12).

    Keys may be added within a version; a client ignores those that it does not know.
    """
    event = _object(schema, "event")
    micro = _object(schema, "micro", {"events": {"type": "array", "items": event}})
    face = _object(schema, "track")
    # There where they are known: what was measured, what was decided.
    face["properties"] |= _properties(schema, "face") | _properties(schema, "affect")
    for subject in NESTED:
        its = micro if subject == "micro" else _object(schema, subject)
        face["properties"][subject] = {"anyOf": [{"type": "null"}, its]}
    reading = _object(
        schema,
        "frame",
        {
            **_head("reading"),
            "faces": {"type": "array", "items": face},
            "markers": {"type": "array", "items": _object(schema, "marker")},
        },
    )
    health = {
        "type": "object",
        "properties": {**_head("health"), "state": {"type": "string"}},
        "required": ["v", "kind", "state"],
    }
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": f"Lines of realtime-affect, version {VERSION}",
        "oneOf": [reading, health],
    }


def line_schema_text() -> str:
    """Return the schema as the file holds it."""
    return json.dumps(line_schema(), indent=1) + "\n"


def _head(kind: str) -> dict[str, Any]:
    return {"v": {"const": VERSION}, "kind": {"const": kind}}


def _object(schema: Schema, subject: Subject, more: dict[str, Any] | None = None) -> dict[str, Any]:
    """Return the object of a subject; all its keys are always there."""
    properties = {**(more or {}), **_properties(schema, subject)}
    return {"type": "object", "properties": properties, "required": list(properties)}


def _properties(schema: Schema, subject: Subject) -> dict[str, Any]:
    return {measure.key or "": _value(measure) for measure in schema.in_lines[subject]}


def _value(measure: Measure) -> dict[str, Any]:
    kind = _KINDS[measure.dtype]
    described = {"description": measure.doc + (f" Unit: {measure.unit}." if measure.unit else "")}
    if not measure.parts:
        return {**kind, **described}
    n = len(measure.parts)
    if measure.as_list:
        return {"type": "array", "items": kind, "minItems": n, "maxItems": n, **described}
    parts = dict.fromkeys(measure.parts, kind)
    return {"type": "object", "properties": parts, "required": list(parts), **described}


if __name__ == "__main__":
    sys.stdout.write(line_schema_text())
