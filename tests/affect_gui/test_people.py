"""Who is in view, how they are measured, and whose face may be taken as neutral."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from affect_gui.people import People, Person, neutral_faults
from tests.affect_gui.conftest import measured, reading_of, scene_of

SECOND = 1_000_000_000


def known(people, *faces, index=0):
    return people.update(scene_of(*faces, index=index))


def test_faces_stay_in_the_order_of_their_ids_whatever_the_order_in_the_image():
    people = People()
    first = known(people, measured(2, x=200), measured(1))
    again = known(people, measured(1, x=200), measured(2), measured(3), index=1)
    assert [p.track_id for p in first] == [1, 2]
    assert [p.track_id for p in again] == [1, 2, 3]


@pytest.mark.fault(14)
def test_with_24_faces_each_says_when_it_was_measured_or_that_it_waits_its_turn():
    people = People(max_faces=4)
    faces = [measured(n, x=10 + n) for n in range(1, 25)]
    known(people, *faces[:4])
    waiting = [replace(track, face=None) for track, _ in faces]
    shown = people.update(reading_of(30, tracks=waiting))
    assert len(shown) == 24
    assert "4 of 24 faces" in shown[0].remark
    assert "measured 1.0 s ago" in shown[0].remark
    assert shown[23].remark.startswith("waits its turn")
    assert shown[0].face is not None


@pytest.mark.parametrize(
    ("quality", "words"),
    [
        ({"score": 0.2, "size_px": 20}, "too small: 20 px"),
        ({"score": 0.2, "view_deg": 55}, "turned away: 55"),
        ({"score": 0.2, "sharpness": 5}, "blurred"),
    ],
)
def test_what_keeps_a_face_from_being_measured_well_is_said(quality, words):
    (person,) = known(People(), measured(1, **quality))
    assert words in person.remark


def test_who_has_left_is_shown_for_a_while_then_no_more():
    people = People()
    known(people, measured(1))
    (person,) = people.update(reading_of(30))
    assert person.remark == "not in view"
    assert people.update(reading_of(300)) == ()


def test_names_and_thumbnails_belong_to_the_face():
    people = People()
    people.names[1] = "Anna"
    (person,) = known(people, measured(1))
    assert person.title == "#1 Anna"
    assert person.thumbnail.shape == (56, 56, 3)
    assert person.neutral(by_user=True) == "neutral: set by you"
    assert "average" in person.neutral(by_user=False)


@pytest.mark.fault(13)
@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"sharpness": 5}, "blurred"),
        ({"size_px": 15}, "too small"),
        ({"view_deg": 40}, "turned away"),
        ({"smile": 4.0}, "displays happiness"),
    ],
)
def test_a_blurred_small_turned_or_laughing_face_is_no_neutral_one(changes, fault):
    (person,) = known(People(), measured(1, **changes))
    faults = neutral_faults(person, person.measured_ns)
    assert len(faults) == 1
    assert fault in faults[0]


def test_a_relaxed_face_seen_now_may_be_taken_and_one_not_seen_may_not():
    (person,) = known(People(), measured(1))
    assert neutral_faults(person, person.measured_ns) == []
    assert neutral_faults(person, person.measured_ns + 2 * SECOND)
    assert neutral_faults(Person(1), 0)


def test_a_face_out_of_the_image_has_no_thumbnail():
    track, result = measured(1)
    away = replace(track, xyxy=np.array([-90, -90, -10, -10], np.float32))
    (person,) = known(People(), (away, result))
    assert person.thumbnail is None
