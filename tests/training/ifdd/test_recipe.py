import colorsys

import numpy as np
import pytest

pytest.importorskip("torch", reason="torch is not installed: make training")

import torch

from training.ifdd import recipe
from training.ifdd.recipe import (
    augment,
    decoupling_loss,
    learning_rate,
    make_optimiser,
    mix,
    smoothed,
    soft_cross_entropy,
)


@pytest.mark.parametrize(
    ("epoch", "rate"),
    [(0, 1e-6), (1, 1.07e-5), (5, 4.95e-5), (9, 8.83e-5), (10, 5e-5), (50, 2.95e-5), (99, 5.15e-7)],
)
def test_the_learning_rate_is_the_published_one(epoch, rate):
    assert learning_rate(epoch) == pytest.approx(rate, rel=5e-3)


def test_the_cross_entropy_of_sure_targets_is_the_usual_one():
    torch.manual_seed(1)
    logits, labels = torch.randn(5, 7), torch.tensor([0, 1, 2, 3, 6])
    sure = torch.nn.functional.one_hot(labels, 7).float()
    usual = torch.nn.functional.cross_entropy(logits, labels)
    assert soft_cross_entropy(logits, sure).item() == pytest.approx(usual.item())


def test_the_decoupling_loss_grows_with_the_batch():
    lost = torch.full((3, 7, 7), 0.5)
    assert decoupling_loss(lost).item() == pytest.approx(0.1 * 3 * 0.125)
    assert decoupling_loss(2 * torch.ones(1, 7, 7)).item() == pytest.approx(0.1 * 1.5)


def test_a_tenth_of_a_target_is_spread():
    target = smoothed(torch.tensor([2]), 7)[0]
    assert target.sum().item() == pytest.approx(1)
    assert target[2].item() == pytest.approx(0.9 + 0.1 / 7)


def test_mixing_keeps_targets_whole_and_says_what_the_pixels_show():
    rng = np.random.default_rng(3)
    clips = torch.zeros(2, 3, 4, 64, 64)
    clips[1] = 1.0
    labels = torch.tensor([0, 1])
    kinds = set()
    for _ in range(30):
        mixed, targets = mix(clips, labels, 7, rng)
        assert targets.sum(1).tolist() == pytest.approx([1, 1])
        ones = mixed[0].mean().item()  # share of the other clip
        pure = smoothed(labels, 7)
        expected = (1 - ones) * pure[0] + ones * pure[1]
        assert targets[0].tolist() == pytest.approx(expected.tolist(), abs=1e-5)
        assert torch.equal(mixed[0, :, 0], mixed[0, :, 3])  # every frame alike
        kinds.add(bool(((mixed[0] == 0) | (mixed[0] == 1)).all()))
    assert kinds == {True, False}
    assert clips[0].sum() == 0  # the batch given is not written


def test_a_clip_is_augmented_alike_in_every_frame():
    rng = np.random.default_rng(4)
    frame = rng.integers(0, 255, (60, 70, 3)).astype(np.uint8)
    clip = augment(np.repeat(frame[None], 5, axis=0), rng)
    assert clip.shape == (3, 5, 224, 224)
    assert clip.min() >= 0
    assert clip.max() <= 1
    assert torch.equal(clip[:, 0], clip[:, 4])
    other = augment(np.repeat(frame[None], 5, axis=0), rng)
    assert not torch.equal(clip, other)


def test_hue_turns_as_in_the_standard_library():
    rng = np.random.default_rng(5)
    colours = rng.random((1, 3, 4, 5)).astype(np.float32)
    turned = recipe._turn_hue(torch.from_numpy(colours), 0.3)[0].numpy()
    for y in range(4):
        for x in range(5):
            h, s, v = colorsys.rgb_to_hsv(*colours[0, :, y, x].tolist())
            wanted = colorsys.hsv_to_rgb((h + 0.3) % 1, s, v)
            assert turned[:, y, x].tolist() == pytest.approx(wanted, abs=1e-5)


def test_the_decay_is_on_every_weight():
    optimiser = make_optimiser(torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.LayerNorm(2)))
    assert [group["weight_decay"] for group in optimiser.param_groups] == [1e-3]
