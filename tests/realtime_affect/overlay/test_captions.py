"""The strip, the notice and the alarm."""

from __future__ import annotations

import numpy as np
import pytest

from realtime_affect.overlay.captions import (
    OverlayStatus,
    notice_height,
    paint_notice,
    paint_offline,
    paint_strip,
    strip_height,
)
from realtime_affect.overlay.drawing import Canvas


def blank(width, height=200):
    return np.full((height, width, 3), 128, np.uint8)


@pytest.mark.parametrize("width", [200, 640, 3840])
def test_the_strip_keeps_to_its_height(width):
    image = blank(width)
    paint_strip(Canvas(image), OverlayStatus(30, 12345, 100_000, message="a remark " * 20), 20)
    assert (image[strip_height(1.0) :] == 128).all()
    assert (image[: strip_height(1.0)] != 128).any(axis=2).all()


def test_each_state_looks_different():
    images = []
    for state in ("online", "offline", "ended", "analysis"):
        image = blank(640)
        paint_strip(Canvas(image), OverlayStatus(source_state=state), 1)
        images.append(image.tobytes())
    assert len(set(images)) == 4


def test_a_remark_is_shown_where_there_is_room():
    images = []
    for message in ("", "Neutral set"):
        image = blank(900)
        paint_strip(Canvas(image), OverlayStatus(30, 40, 0, message=message), 1)
        images.append(image)
    assert (images[0] != images[1]).any(axis=2)[:, 600:].any()


@pytest.mark.parametrize("width", [200, 320, 480, 1280])
@pytest.mark.parametrize("recording", [True, False])
def test_the_whole_notice_fits_into_every_width(width, recording):
    image = blank(width)
    paint_notice(Canvas(image, 0.7), recording=recording)
    written = (image > 160).any(axis=2)
    columns = np.flatnonzero(written.any(axis=0))
    assert written.any()
    assert columns[0] > 0
    assert columns[-1] < width - 1
    assert (image[: -4 * notice_height(0.7)] == 128).all()


def test_the_alarm_crosses_the_whole_width_and_dims_the_rest():
    image = blank(640, 360)
    paint_offline(Canvas(image))
    blue, _, red = image[180, [2, 637]].astype(int).T
    assert (red - blue > 120).all()
    assert image[5].max() < 70
