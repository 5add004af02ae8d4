"""Panels beside faces: inside the image, never on a face or on each other."""

from __future__ import annotations

import numpy as np
import pytest

from realtime_affect.overlay.placement import PanelMemory, place_panels

BOUNDS = (0, 30, 1280, 690)
WIDE, NARROW = (240, 260), (90, 240)


def rect(place, options):
    kind, x, y = place
    return x, y, x + options[kind][0], y + options[kind][1]


def apart(a, b):
    return a[2] <= b[0] or b[2] <= a[0] or a[3] <= b[1] or b[3] <= a[1]


def test_a_lone_face_gets_the_best_panel_on_its_right():
    placed = place_panels([(400, 200, 600, 440)], {0: [WIDE, NARROW]}, BOUNDS, 8)
    assert placed == {0: (0, 608, 200)}


def test_a_face_at_the_right_border_gets_it_on_its_left():
    placed = place_panels([(1050, 200, 1250, 440)], {0: [WIDE, NARROW]}, BOUNDS, 8)
    assert placed == {0: (0, 1050 - 8 - 240, 200)}


def test_a_panel_taller_than_its_face_is_moved_inside():
    placed = place_panels([(400, 600, 500, 690)], {0: [WIDE]}, BOUNDS, 8)
    assert rect(placed[0], [WIDE])[3] <= 690


def test_a_face_that_fills_the_picture_gets_none():
    assert place_panels([(0, 0, 1280, 720)], {0: [WIDE, NARROW]}, BOUNDS, 8) == {}


def test_a_face_that_wants_none_still_keeps_its_place_free():
    faces = [(100, 200, 300, 440), (320, 200, 520, 440)]
    placed = place_panels(faces, {0: [WIDE, NARROW]}, BOUNDS, 8)
    assert apart(rect(placed[0], [WIDE, NARROW]), faces[1])


def test_a_row_of_faces_uses_the_margin_on_either_side():
    faces = [(130, 300, 300, 500), (430, 300, 600, 500), (730, 300, 900, 500)]
    for shift in (0, 230):
        moved = [(a + shift, b, c + shift, d) for a, b, c, d in faces]
        assert len(place_panels(moved, {n: [NARROW] for n in range(3)}, BOUNDS, 8)) == 3


@pytest.mark.fault(10)
def test_nothing_ever_covers_a_face_or_leaves_the_picture():
    random = np.random.default_rng(1)
    n_placed = 0
    for _ in range(300):
        corners = random.integers((-50, 0), (1200, 650), (random.integers(1, 9), 2))
        faces = [
            (int(x), int(y), int(x) + w, int(y) + w)
            for (x, y), w in zip(
                corners, random.integers(20, 300, len(corners)).tolist(), strict=True
            )
        ]
        placed = place_panels(faces, {n: [WIDE, NARROW] for n in range(len(faces))}, BOUNDS, 8)
        panels = [rect(place, [WIDE, NARROW]) for place in placed.values()]
        for n, (x0, y0, x1, y1) in enumerate(panels):
            assert x0 >= 0
            assert y0 >= 30
            assert x1 <= 1280
            assert y1 <= 690
            assert all(apart(panels[n], other) for other in faces + panels[n + 1 :])
        n_placed += len(panels)
    assert n_placed > 300


@pytest.mark.fault(10)
def test_no_panel_stands_nearer_to_another_face_than_three_times_to_its_own():
    faces = [(200, 200, 400, 440), (506, 200, 706, 440)]
    placed = place_panels(faces, {0: [NARROW], 1: [NARROW]}, BOUNDS, 8)
    for n, place in placed.items():
        x0, _, x1, _ = rect(place, [NARROW])
        other = faces[1 - n]
        assert max(other[0] - x1, x0 - other[2]) >= 24


@pytest.mark.fault(11)
def test_a_better_kind_of_panel_comes_when_it_fits_for_a_second_and_a_worse_one_at_once():
    memory = PanelMemory()
    second = 10**9
    assert memory.settle({1: 1}, 0) == {1: 1}
    assert [memory.settle({1: 0}, t)[1] for t in (0, second // 2)] == [1, 1]
    assert memory.settle({1: 1}, second) == {1: 1}
    assert [memory.settle({1: 0}, 2 * second + t)[1] for t in (0, second)] == [1, 0]
    assert memory.settle({1: 2}, 4 * second) == {1: 2}
