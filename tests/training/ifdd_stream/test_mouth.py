"""A mouth that moves in a made-up face."""

import numpy as np
import pytest

pytest.importorskip("torch", reason="torch is not installed: make training")

import torch

from tests.training.ifdd_stream.test_teacher import stripes
from training.ifdd_stream.augmentation import _see
from training.ifdd_stream.mouth import draw_mouths, settle, speak


def face():
    """A light face with a dark closed mouth at 34 pixels, and a chin line at 44."""
    picture = torch.full((1, 48, 48), 200.0)
    picture[0, 33:35, 17:32] = 60
    picture[0, 44, 15:34] = 100
    return picture


def moved(level, wider=0.0):
    place = torch.from_numpy(stripes(1).mouth)
    place[0, 2:4, 1] = 34
    mouths = settle(place, torch.tensor([level]), torch.tensor([wider]), torch.zeros(1))
    return _see(face(), torch.Generator().manual_seed(0), torch.ones(1), 0.0, 1, mouths)[0]


def test_a_mouth_that_does_not_move_leaves_the_face_as_it_is():
    assert torch.allclose(moved(0.0), face()[0], atol=1e-3)


def test_an_open_mouth_is_dark_inside_and_the_chin_goes_down():
    seen = moved(0.5)
    assert seen[35, 23:26].max() < 100
    assert torch.allclose(seen[:30], face()[0, :30], atol=1)
    assert seen[44, 24] > 120  # the chin was here
    assert seen[45:47, 24].min() < 120


def test_a_rounded_mouth_is_narrower_than_a_wide_one():
    narrow, wide = ((moved(0.0, wider)[34] < 130).sum() for wider in (-0.2, 0.14))
    assert narrow < 15 < wide


def test_only_a_share_of_known_mouths_talks():
    place = stripes(400).mouth
    place[:100] = np.nan
    mouths = draw_mouths(place, 0.5, torch.Generator().manual_seed(0))
    talks = (mouths.opening != 0) | (mouths.wider != 0)
    assert not talks[:100].any()
    assert 0.4 < talks[100:].float().mean() < 0.6
    assert torch.isfinite(mouths.place).all()


def test_a_mouth_that_talks_opens_and_shuts_several_times_a_second():
    place = stripes(40).mouth
    mouths = speak(place, 24, torch.Generator().manual_seed(1))
    opening = mouths.opening.reshape(40, 24)
    assert opening.max() > 2
    turns = (opening.diff(dim=1).sign().diff(dim=1) != 0).float().sum(1)
    assert 4 < turns[opening.max(1).values > 1].mean() < 22
    assert torch.equal(mouths.place[:24], mouths.place[:1].expand(24, -1, -1))
