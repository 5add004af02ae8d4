"""A measure is declared once and is then everywhere."""

from __future__ import annotations

import csv
import json

import numpy as np
import pytest

from realtime_affect.measure import GROUPS, TRUSTS, Measure, Schema
from realtime_affect.outputs.csv_rows import RowWriter
from realtime_affect.outputs.format_page import format_page
from realtime_affect.outputs.json_lines import reading_line
from realtime_affect.overlay.drawing import Canvas
from realtime_affect.overlay.panel import PanelContent, paint_panel, panel_size
from realtime_affect.schema import SCHEMA, WITH_LANDMARKS
from tests.realtime_affect.outputs.test_csv_rows import reading


def calm(affect, moment):
    """A toy: the declaration below and this function are all there is of it."""
    return 100 - affect.blinks_per_min


CALM = Measure(
    "calm", calm, subject="affect", group="gaze and blinks", dtype="float32", unit="0 to 100",
    trust="not evaluated", doc="A toy that a test declares.", decimals=1,
    caption="{:.0f} % calm",
)  # fmt: skip
WITH_CALM = SCHEMA.with_measures(CALM)


def test_a_new_measure_has_a_column(tmp_path):
    writer = RowWriter(tmp_path / "a.csv", schema=WITH_CALM)
    writer.write(reading(faces=(1,), unmeasured=(2,)))
    writer.close()
    with (tmp_path / "a.csv").open(newline="") as file:
        first, second = csv.DictReader(file)
    assert (first["calm"], second["calm"]) == ("88.0", "")


def test_a_new_measure_has_a_key_in_the_json_line():
    (face,) = json.loads(reading_line(reading(), 0, WITH_CALM))["faces"]
    assert face["calm"] == 88.0


def test_a_new_measure_is_in_the_list_of_the_overlay_and_its_panel_makes_room():
    shown = reading()
    (track,), (affect,) = shown.scene.tracks, shown.affect.results.values()
    plain, calm = (
        PanelContent(track.face, affect, schema=schema) for schema in (SCHEMA, WITH_CALM)
    )
    assert plain.captions() == ["12 blinks/min"]
    assert calm.captions() == ["12 blinks/min", "88 % calm"]
    for full in (True, False):
        images = []
        for content in (plain, calm):
            width, height = panel_size(content, 1.0, full=full)
            image = np.full((height + 40, width + 40, 3), 255, np.uint8)
            paint_panel(Canvas(image), (20, 20), content, (233, 180, 86), full=full)
            drawn = np.flatnonzero((image != 255).any(axis=(1, 2)))
            assert drawn[[0, -1]].tolist() == [20, 19 + height]
            images.append(image)
        assert len(images[1]) > len(images[0])


def test_a_new_measure_is_on_the_page_of_the_formats():
    assert "| `calm` | `calm` | `faces[].calm` | float32 | 0 to 100 |" in format_page(WITH_CALM)
    assert "calm" not in format_page()


def test_every_measure_says_what_it_is():
    for measure in WITH_LANDMARKS.measures:
        assert measure.doc.endswith("."), measure.name
        assert measure.trust in TRUSTS
        assert measure.group in GROUPS
        assert (measure.trust == "by value") == bool(measure.card)
        assert measure.row_columns or measure.event_columns or measure.key


def test_values_have_as_many_parts_as_are_declared():
    shown = reading()
    (track,), (affect,) = shown.scene.tracks, shown.affect.results.values()
    things = {"track": track, "face": track.face, "affect": affect, "expression": affect.expression}
    arrays = [m for m in WITH_LANDMARKS.measures if m.parts and m.subject in things]
    assert len(arrays) > 8
    for measure in arrays:
        assert len(measure.of(things[measure.subject], None)) == len(measure.parts), measure.name


def test_trust_in_a_unit_is_what_its_card_says():
    intensity = SCHEMA["action_unit_intensity"]
    assert intensity.trust_in("AU12") == "high"
    assert intensity.trust_in("AU23") == "none"


@pytest.mark.parametrize(
    ("changes", "what"),
    [({}, "name calm"), ({"name": "b"}, "column calm"), ({"name": "b", "columns": ()}, "key")],
)
def test_nothing_is_declared_twice(changes, what):
    values = {"name": "calm", "columns": ("calm",), "key": "calm"} | changes
    twin = Measure(
        of=calm, subject="affect", group="face", dtype="float32", unit="", trust="exact",
        doc="", **values,
    )  # fmt: skip
    with pytest.raises(ValueError, match=f"{what}.* is declared twice"):
        Schema([CALM, twin])


def test_only_a_single_number_of_a_face_has_a_caption():
    with pytest.raises(ValueError, match="caption"):
        Measure(
            "a", calm, subject="frame", group="face", dtype="float32", unit="", trust="exact",
            doc="", caption="{}",
        )  # fmt: skip
