import json
from dataclasses import replace
from pathlib import Path

import jsonschema
import pytest

from realtime_affect.markers import Marker
from realtime_affect.outputs.json_lines import health_line, reading_line
from realtime_affect.outputs.line_schema import line_schema, line_schema_text
from tests.realtime_affect.micro_world import facial_event, with_micro
from tests.realtime_affect.outputs.test_csv_rows import reading

FILE = Path(__file__).parents[3] / "docs" / "lines.schema.json"
BARE = reading(1, faces=(1,), unmeasured=(2,))
WHOLE = replace(with_micro(BARE, {1: [facial_event(0)]}), markers=(Marker(1, 5, "begin"),))


@pytest.fixture(scope="module")
def validator():
    kind = jsonschema.validators.validator_for(line_schema())
    kind.check_schema(line_schema())
    return kind(json.loads(FILE.read_text("utf-8")))


def test_the_file_is_what_the_code_makes():
    assert FILE.read_text("utf-8") == line_schema_text(), (
        "python -m realtime_affect.outputs.line_schema > docs/lines.schema.json"
    )


@pytest.mark.parametrize(
    "line",
    [reading_line(WHOLE), reading_line(BARE), reading_line(reading(faces=())),
     health_line({"state": "online", "fps": 29.9})],
)  # fmt: skip
def test_real_lines_are_what_the_schema_says(validator, line):
    validator.validate(json.loads(line))


def strict(schema):
    """Return a schema that lets no key pass which it does not name."""
    if isinstance(schema, list):
        return [strict(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    closed = {key: strict(value) for key, value in schema.items()}
    return closed | ({"additionalProperties": False} if "properties" in schema else {})


def test_no_line_has_a_key_that_the_schema_does_not_name():
    jsonschema.validate(json.loads(reading_line(WHOLE)), strict(line_schema()))


@pytest.mark.parametrize(
    ("path", "value"),
    [(("v",), 3), (("kind",), "x"), (("faces", 0, "units", "AU12"), "much"), (("t_ns",), 1.5),
     (("faces", 0, "pose_mm"), [1, 2]), (("markers", 0, "label"), None)],
)  # fmt: skip
def test_a_line_that_is_none_does_not_pass(validator, path, value):
    line = json.loads(reading_line(WHOLE))
    at = line
    for key in path[:-1]:
        at = at[key]
    at[path[-1]] = value
    with pytest.raises(jsonschema.ValidationError):
        validator.validate(line)
