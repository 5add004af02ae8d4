"""The comparison of splits, on features that say what they mean only by how they change."""

import json

import numpy as np
import pytest

pytest.importorskip("torch", reason="torch is not installed: make training")

import torch

from training.ifdd_stream import ablation
from training.ifdd_stream.ablation import Follower, compare, differences, look, read_follower
from training.ifdd_stream.network import SPLITS, SlotBackbone
from training.ifdd_stream.sequences import KINDS, SLOTS_FILMED, Sequences
from training.ifdd_stream.stills import EXPRESSIONS

NEUTRAL, FEAR = EXPRESSIONS.index("neutral"), EXPRESSIONS.index("fear")


def coming_and_going(n):
    """A weak expression that comes (and counts) or goes (and does not any more)."""
    going = np.arange(n)[:, None].repeat(SLOTS_FILMED, 1) % 2 == 1
    level = np.linspace(0.15, 0.45, SLOTS_FILMED, dtype=np.float32)[None].repeat(n, 0)
    level[going] = level[::-1][going] if n == 1 else level[:, ::-1][going]
    shown = np.zeros((n, SLOTS_FILMED, 8), np.float32)
    shown[..., FEAR], shown[..., NEUTRAL] = ~going, going
    features = np.zeros((n, SLOTS_FILMED, 3, 192), np.float16)
    features[...] = 2 * level[..., None, None]
    pictures = np.zeros((n, SLOTS_FILMED, 1, 1), np.uint8)
    kind = np.full(n, KINDS.index("held"))
    return features, Sequences(pictures, shown, level, going, kind, np.arange(n))


def test_every_split_is_compared_on_the_same_moments_and_runs_once(monkeypatch, tmp_path):
    monkeypatch.setattr(ablation, "SEEDS", (1,))
    monkeypatch.setattr(ablation, "STEPS", 2)
    monkeypatch.setattr(ablation, "CLIPS", 2)
    monkeypatch.setattr(ablation, "ENDS", 2)
    features, sequences = coming_and_going(2)
    data = (features[None], sequences.shown), (features, sequences)
    report = compare(*data, tmp_path)
    monkeypatch.setattr(ablation, "train_follower", lambda *_: pytest.fail("it is done"))
    assert json.dumps(compare(*data, tmp_path)) == json.dumps(report)
    assert set(report["mean"]) == {*SPLITS, ablation.ONE_MOMENT}
    assert set(report["learned_against"]) == {*SPLITS, ablation.ONE_MOMENT} - {"learned"}
    counts = list(report["parameters"].values())
    assert max(counts) <= 1.05 * min(counts)
    assert report["moments"]["onset"] == report["moments"]["offset"] == 1


def test_one_moment_knows_nothing_of_those_before():
    torch.manual_seed(0)
    follower = Follower("none", one_moment=True)
    features = torch.randn(1, SLOTS_FILMED, 3, 192)
    ends = torch.tensor([[20]])
    follower.eval()
    with torch.no_grad():
        before = follower(features, ends)
        features[:, :20] += 1
        assert torch.equal(follower(features, ends), before)
        features[:, 20] += 1
        assert not torch.equal(follower(features, ends), before)


def test_a_gain_is_found_with_its_interval():
    _, sequences = coming_and_going(40)
    right = sequences.shown.argmax(2)
    wrong = right.copy()
    wrong[::4] = EXPRESSIONS.index("anger")
    found = differences({"learned": [right], "haar": [wrong]}, sequences)["haar"]
    assert found["gain"] == pytest.approx(0.25, abs=0.01)
    assert 0.1 < found["low"] < found["gain"] < found["high"] < 0.4


def test_features_are_those_of_the_backbone():
    backbone = SlotBackbone()
    pictures = np.random.default_rng(0).integers(0, 256, (2, 3, 48, 48)).astype(np.uint8)
    found = look(backbone, pictures)
    assert found.shape == (2, 3, 3, 192)
    with torch.no_grad():
        wanted = backbone(torch.from_numpy(pictures[1, 2:3].astype(np.float32)))
    assert np.allclose(found[1, 2], wanted[0].mean(2).T.numpy(), atol=2e-2)


def test_reading_tells_one_expression_a_moment():
    features, _ = coming_and_going(3)
    read = read_follower(Follower("haar"), features)
    assert read.shape == (3, SLOTS_FILMED)
    assert read.max() < 8
