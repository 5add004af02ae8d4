"""Text, panels and strokes."""

from __future__ import annotations

import threading

import numpy as np
import pytest

from realtime_affect.overlay.drawing import (
    BOLD,
    Canvas,
    Font,
    Pen,
    mix,
    panel,
    round_rectangle,
    text_size,
    text_width,
)

WHITE = (255, 255, 255)


def test_text_reaches_as_far_as_it_says():
    image = np.zeros((40, 300, 3), np.uint8)
    end = Canvas(image).write("lip corner puller", 10, 20, Font(16, WHITE))
    columns = np.flatnonzero(image.any(axis=(0, 2)))
    assert end == 10 + text_width("lip corner puller", 16)
    assert columns.min() >= 9
    assert abs(int(columns.max()) - end) <= 3


def test_digits_are_centred_on_their_row():
    image = np.zeros((60, 100, 3), np.uint8)
    Canvas(image).write("0123", 5, 30, Font(24, WHITE, BOLD))
    rows = np.flatnonzero(image.any(axis=(1, 2)))
    assert abs((rows.min() + rows.max()) / 2 - 30) <= 1.5


def test_text_is_blended_and_not_a_block():
    image = np.full((30, 60, 3), 100, np.uint8)
    Canvas(image).write("W", 10, 15, Font(20, (0, 0, 255)))
    assert {100, 255} <= set(image[:, :, 2].ravel().tolist())
    assert len(np.unique(image[:, :, 2])) > 5


@pytest.mark.parametrize(("x", "y"), [(-400, 5), (5, -400), (4000, 5), (-3, -3), (35, 25)])
def test_what_lies_outside_the_image_is_cut_off(x, y):
    image = np.zeros((30, 40, 3), np.uint8)
    Canvas(image).write("abc", x, y, Font(20, WHITE))
    Canvas(image).blit(panel(20, 20, 4, WHITE, 0.5), x, y)
    Canvas(image).bar(x, y, (10, 4), WHITE)
    Canvas(image).disc(x, y, 5, WHITE)
    Canvas(image).stroke([(x, y), (x + 10.0, y + 5.0)], Pen(WHITE, 2, halo=True))
    assert image.shape == (30, 40, 3)


def test_coordinates_that_are_no_numbers_or_huge_are_survived():
    image = np.zeros((30, 40, 3), np.uint8)
    Canvas(image).dots(np.array([[np.nan, 3], [1e30, 4], [5, 6]]), 1, WHITE)
    Canvas(image).stroke(np.array([[np.nan, 3.0], [np.inf, 1e30]]), Pen(WHITE, 1))
    assert image[6, 5].any()


@pytest.mark.parametrize("ground", [0, 128, 255])
def test_dots_stand_out_from_whatever_they_lie_on(ground):
    image = np.full((30, 40, 3), ground, np.uint8)
    Canvas(image).dots(np.array([[20.0, 10.0]]), 1, WHITE)
    assert (image[10, 20] == WHITE).all()
    around = image[9:13, 19:23].astype(int)
    assert around.max() - around.min() > 150


def test_a_panel_has_round_corners_and_lets_the_image_through():
    image = np.full((40, 40, 3), 200, np.uint8)
    Canvas(image).blit(panel(40, 40, 12, (0, 0, 0), 0.5), 0, 0)
    assert image[0, 0, 0] == 200
    assert abs(int(image[20, 20, 0]) - 100) <= 1


def test_a_rounded_outline_stays_in_its_rectangle():
    points = round_rectangle(10, 20, 110, 60, 15)
    assert points.min(axis=0) == pytest.approx([10, 20])
    assert points.max(axis=0) == pytest.approx([110, 60])


def test_sizes_stay_readable_and_mixed_colours_lie_between():
    assert text_size(13, 0.1) == 12
    assert mix((0, 0, 0), (100, 200, 50), 0.5) == (50, 100, 25)


def test_threads_may_write_at_the_same_time():
    images = [np.zeros((40, 400, 3), np.uint8) for _ in range(4)]

    def work(picture):
        for n in range(200):
            picture[:] = 0
            Canvas(picture).write(f"frame {n} of these", 5, 20, Font(18, WHITE))

    threads = [threading.Thread(target=work, args=(picture,)) for picture in images]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert images[0].any()
    assert all((picture == images[0]).all() for picture in images)
