"""The panel of one face's action units."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest

from realtime_affect.interpret.rationale import explain
from realtime_affect.names import AU_OCCURRENCES, EXPRESSIONS, FACS_NAMES
from realtime_affect.overlay.drawing import Canvas
from realtime_affect.overlay.panel import PanelContent, paint_panel, panel_size, strongest_units
from realtime_affect.types import AffectResult, Expression, Spotting
from tests.realtime_affect.interpret.cases import evidence
from tests.realtime_affect.micro_world import MS, facial_event
from tests.realtime_affect.overlay.test_painter import face_of
from tests.realtime_affect.world import Person

PERSON = Person("a", 100, 100)
SKY = (233, 180, 86)


def test_the_strongest_units_come_first_and_quiet_or_unknown_ones_not_at_all():
    units = face_of(PERSON, units={"AU01": 0.4, "AU04": 1.2, "AU06": 2.0, "AU12": 4.0, "AU25": 3.0})
    assert strongest_units(units.action_units) == ["AU12", "AU25", "AU06"]
    assert strongest_units(face_of(PERSON, units={"AU12": 0.3}).action_units) == []
    assert strongest_units(face_of(PERSON).action_units) == []


def test_every_unit_has_the_name_of_a_movement():
    assert tuple(FACS_NAMES) == AU_OCCURRENCES


def affect_of(blinks=math.nan, name=None, probability=0.8, warming_up=False, micro=None):
    shown = None
    if name is not None:
        shares = np.full(8, (1 - probability) / 7, np.float32)
        shares[EXPRESSIONS.index(name)] = probability
        shown = Expression(0, shares, warming_up)
    return AffectResult(1, 0, np.zeros(2), blinks, shown, micro)


@pytest.mark.parametrize("full", [True, False])
@pytest.mark.parametrize("pose", [True, False])
@pytest.mark.parametrize("blinks", [math.nan, 14.0])
@pytest.mark.parametrize("unit", [0.7, 1.0, 3.0])
@pytest.mark.parametrize(("name", "micro"), [(None, None), ("happiness", Spotting((), ""))])
def test_a_panel_takes_exactly_the_room_it_says(full, pose, blinks, unit, name, micro):
    face = face_of(PERSON, units={"AU12": 4.0, "AU15": 9.0, "AU45": 0.0}, calibration=0.3)
    content = PanelContent(face, affect_of(blinks, name, 1.0, True, micro))
    width, height = panel_size(content, unit, full=full)
    image = np.full((height + 40, width + 40, 3), 255, np.uint8)
    paint_panel(Canvas(image, unit), (20, 20), content, SKY, full=full)
    drawn = (image != 255).any(axis=2)
    assert np.flatnonzero(drawn.any(axis=1))[[0, -1]].tolist() == [20, 19 + height]
    assert np.flatnonzero(drawn.any(axis=0))[[0, -1]].tolist() == [20, 19 + width]


def test_the_panel_says_whether_the_evidence_agrees():
    meaning = explain(evidence({"AU12": 3.0}, {"happiness": 0.9}))
    affect = dataclasses.replace(affect_of(14.0, "happiness"), meaning=meaning)
    content = PanelContent(face_of(PERSON, units={"AU12": 3.0}), affect)
    assert content.captions() == ["14 blinks/min", "evidence: agrees"]


@pytest.mark.fault(25)
@pytest.mark.parametrize(
    ("now", "said"), [({"AU12": 2.0, "AU25": 2.0}, "agrees"), ({"AU12": 0.0}, "0.1 s old")]
)
def test_evidence_weighed_before_the_units_beside_it_were_gone_says_how_old_it_is(now, said):
    meaning = explain(evidence({"AU12": 3.0}, {"happiness": 0.9}))
    affect = dataclasses.replace(affect_of(name="happiness"), meaning=meaning)
    content = PanelContent(face_of(PERSON, units=now), affect, meaning.t_ns + 100 * MS)
    assert content.captions() == [f"evidence: {said}"]


def test_a_face_without_any_unit_needs_no_panel():
    content = PanelContent(face_of(PERSON), affect_of(14.0))
    assert panel_size(content, 1.0, full=True) == (0, 0)
    image = np.zeros((50, 50, 3), np.uint8)
    paint_panel(Canvas(image), (5, 5), content, SKY, full=True)
    assert not image.any()


def painted(content):
    image = np.zeros((420, 420, 3), np.uint8)
    paint_panel(Canvas(image), (0, 0), content, SKY, full=True)
    return image


@pytest.mark.parametrize("calibration", [0.0, 0.5, 1.0, math.nan])
def test_what_the_units_are_measured_against_is_said(calibration):
    pictures = [
        painted(PanelContent(face_of(PERSON, units={"AU12": 1.0}, calibration=known), None))
        for known in (calibration, 0.25)
    ]
    assert (pictures[0] != pictures[1]).any()


def test_the_expression_its_probability_and_warming_up_are_painted():
    face = face_of(PERSON, units={"AU12": 1.0})
    told = [
        affect_of(name="happiness"), affect_of(name="sadness"),
        affect_of(name="happiness", probability=0.6), affect_of(name="happiness", warming_up=True),
        affect_of(name="happiness", probability=0.4), affect_of(),
    ]  # fmt: skip
    pictures = [painted(PanelContent(face, affect)) for affect in told]
    for i, one in enumerate(pictures):
        for other in pictures[i + 1 :]:
            assert (one != other).any()


def test_an_unlikely_expression_is_grey():
    face = face_of(PERSON, units={"AU12": 0.0})
    loud = painted(PanelContent(face, affect_of(name="fear", probability=0.7)))
    quiet = painted(PanelContent(face, affect_of(name="fear", probability=0.4)))
    head = slice(0, 30)
    assert loud[head].max() > 240
    assert quiet[head].max() < 200


UNSURE = np.full(4, np.nan, np.float32)


def trace(*events, unavailable_reason="", t_ms=1000, units=None, full=True):
    """The panel's line of micro-expressions, painted at `t_ms`."""
    micro = Spotting(events, unavailable_reason)
    face = face_of(PERSON, units=units or {"AU12": 0.0})
    content = PanelContent(face, affect_of(micro=micro), t_ms * MS)
    image = np.zeros((420, 420, 3), np.uint8)
    paint_panel(Canvas(image), (0, 0), content, SKY, full=full)
    return image


@pytest.mark.parametrize("full", [True, False])
def test_a_brief_movement_is_shown_while_it_is_fresh_and_nothing_else(full):
    def shown(*events, **how):
        return trace(*events, full=full, **how)

    rest = shown()
    event = facial_event(400)  # decided at 1000 ms
    assert (shown(event) != rest).any()
    assert (shown(event, t_ms=2900) != rest).any()
    assert (shown(event, t_ms=3100) == rest).all()
    assert (shown(facial_event(400, "macro")) == rest).all()
    assert shown(event).max() > rest.max()
    assert (shown(unavailable_reason="15 frames a second, 25 are needed") != rest).any()


def test_the_newest_movement_is_the_one_shown():
    old, new = facial_event(100, regions=("chin",)), facial_event(400, regions=("brows",))
    assert (trace(old, new) == trace(new)).all()
    assert (trace(new, old) == trace(new)).all()
    assert (trace(old) != trace(new)).any()


def test_a_class_is_named_only_where_more_than_half_speaks_for_it():
    def shares(*values):
        return facial_event(400, probabilities=np.array(values, np.float32))

    unsure = trace(facial_event(400, probabilities=UNSURE))
    assert (trace(shares(0.3, 0.3, 0.3, 0.1)) == unsure).all()
    assert (trace(shares(0.1, 0.1, 0.1, 0.7)) == unsure).all(), "none of them has no name"
    named = [trace(shares(*row)) for row in np.eye(4)[:3] * 0.6 + 0.1]
    assert all((one != unsure).any() for one in named)
    assert (named[0] != named[1]).any()
    assert (named[1] != named[2]).any()


def test_a_movement_in_no_region_or_of_a_long_name_stays_on_its_line():
    rest = trace()
    rows = np.flatnonzero((trace(facial_event(400)) != rest).any(axis=(1, 2)))
    for regions in ((), ("a region with a name far too long for any panel",)):
        changed = (trace(facial_event(400, regions=regions)) != rest).any(axis=2)
        assert changed.any()
        assert set(np.flatnonzero(changed.any(axis=1))) <= set(range(rows[0], rows[-1] + 1))
        width, _ = panel_size(
            PanelContent(
                face_of(PERSON, units={"AU12": 0.0}), affect_of(micro=Spotting((), "")), False
            ),
            1.0, full=True,
        )  # fmt: skip
        assert np.flatnonzero(changed.any(axis=0))[-1] < width


def test_where_the_panel_is_narrow_the_side_goes_before_the_part():
    region = facial_event(400, regions=("right inner brow",), probabilities=UNSURE)
    part = facial_event(400, regions=("inner brow",), probabilities=UNSURE)
    other = facial_event(400, regions=("right chin",), probabilities=UNSURE)
    assert (trace(region) != trace(part)).any()

    def narrow(event):
        image = np.zeros((420, 420, 3), np.uint8)
        affect = affect_of(name="fear", micro=Spotting((event,), ""))
        content = PanelContent(face_of(PERSON, units={"AU12": 0.0}), affect, 1000 * MS)
        paint_panel(Canvas(image), (0, 0), content, SKY, full=False)
        return image

    assert (narrow(region) == narrow(part)).all()
    assert (narrow(region) != narrow(other)).any()
