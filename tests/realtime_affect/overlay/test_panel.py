"""The panel of one face's action units."""

from __future__ import annotations

import math

import numpy as np
import pytest

from realtime_affect.overlay.panel import paint_panel, panel_size, strongest_units
from realtime_affect.types import AU_OCCURRENCES, FACS_NAMES
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


@pytest.mark.parametrize("full", [True, False])
@pytest.mark.parametrize("pose", [True, False])
@pytest.mark.parametrize("blinks", [math.nan, 14.0])
@pytest.mark.parametrize("unit", [0.7, 1.0, 3.0])
def test_a_panel_takes_exactly_the_room_it_says(full, pose, blinks, unit):
    face = face_of(PERSON, units={"AU12": 4.0, "AU15": 9.0, "AU45": 0.0}, calibration=0.3)
    width, height = panel_size(face, blinks, unit, pose=pose, full=full)
    image = np.full((height + 40, width + 40, 3), 255, np.uint8)
    paint_panel(image, 20, 20, face, blinks, SKY, unit, pose=pose, full=full)
    drawn = (image != 255).any(axis=2)
    assert np.flatnonzero(drawn.any(axis=1))[[0, -1]].tolist() == [20, 19 + height]
    assert np.flatnonzero(drawn.any(axis=0))[[0, -1]].tolist() == [20, 19 + width]


def test_a_face_without_any_unit_needs_no_panel():
    face = face_of(PERSON)
    assert panel_size(face, 14.0, 1.0, pose=True, full=True) == (0, 0)
    image = np.zeros((50, 50, 3), np.uint8)
    paint_panel(image, 5, 5, face, 14.0, SKY, 1.0, pose=True, full=True)
    assert not image.any()


@pytest.mark.parametrize("calibration", [0.0, 0.5, 1.0, math.nan])
def test_what_the_units_are_measured_against_is_said(calibration):
    pictures = []
    for known in (calibration, 0.25):
        face = face_of(PERSON, units={"AU12": 1.0}, calibration=known)
        image = np.zeros((100, 400, 3), np.uint8)
        paint_panel(image, 0, 0, face, math.nan, SKY, 1.0, pose=False, full=True)
        pictures.append(image)
    assert (pictures[0] != pictures[1]).any()
