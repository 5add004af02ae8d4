"""Training of the whole network, on made-up stills and sequences."""

import json
import sys

import numpy as np
import pytest

pytest.importorskip("torch", reason="torch is not installed: make training")

import torch

from tests.training.ifdd_stream.test_teacher import stripes
from training.ifdd_stream import train
from training.ifdd_stream.network import PLACES, SLOTS, WIDTH, StreamNetwork
from training.ifdd_stream.sequences import SLOTS_FILMED, Sequences
from training.ifdd_stream.stills import EXPRESSIONS
from training.ifdd_stream.teacher import Learning, Pair
from training.ifdd_stream.train import (
    changes_a_minute,
    class_weights,
    draw_onset,
    still_clips,
)

HAPPY, NEUTRAL = EXPRESSIONS.index("happiness"), EXPRESSIONS.index("neutral")


def rising(n, seed=0):
    """Sequences in which a stripe fades in; what it means counts from the middle on."""
    kind = np.random.default_rng(seed).integers(0, 8, n)
    pictures = np.full((n, SLOTS_FILMED, 48, 48), 60, np.uint8)
    shown = np.zeros((n, SLOTS_FILMED, 8), np.float32)
    for i in range(n):
        for t in range(SLOTS_FILMED):
            pictures[i, t, 6 * kind[i] : 6 * kind[i] + 6] = 60 + 6 * t
            shown[i, t, kind[i] if t > 12 else NEUTRAL] = 1
    level = np.tile(np.linspace(0, 1, SLOTS_FILMED, dtype=np.float32), (n, 1))
    going = np.zeros((n, SLOTS_FILMED), bool)
    return Sequences(pictures, shown, level, going, np.zeros(n, np.int64), np.arange(n))


def test_a_smile_onset_means_neutral_before_and_happiness_after():
    onset = np.repeat(np.arange(16, dtype=np.uint8)[:, None], 48 * 48, 1).reshape(16, 48, 48)
    ways = set()
    for seed in range(60):
        pictures, shown = draw_onset(onset, np.random.default_rng(seed))
        assert pictures.shape == (SLOTS_FILMED, 48, 48)
        assert np.allclose(shown.sum(1), 1)
        at = pictures[:, 0, 0].astype(int)
        assert (shown[at >= 12, HAPPY] == 1).all()
        assert (shown[at <= 1, NEUTRAL] == 1).all()
        ways.add(int(np.sign(at[-1] - at[0])))
    assert ways == {-1, 0, 1}


def test_still_clips_stand_still_or_pass_from_one_view_to_the_other():
    tokens, others = torch.zeros(4, 9, 2), torch.ones(2, 9, 2)
    clips = still_clips(tokens, others, torch.Generator().manual_seed(0))
    assert clips.shape == (4, SLOTS, 9, 2)
    assert not clips[:2].any()
    assert (clips[2:].diff(dim=1) >= 0).all()
    assert clips[2:].max() > 0


def test_a_rare_expression_weighs_more_and_the_mean_moment_weighs_one():
    shown = np.zeros((2, 10, 8), np.float32)
    shown[..., NEUTRAL] = 1
    shown[0, :4] = np.eye(8)[HAPPY]
    weights = class_weights(shown).numpy()
    assert weights[HAPPY] > 1 > weights[NEUTRAL]
    assert (shown @ weights).mean() == pytest.approx(1)


def test_changes_are_counted_by_the_minute():
    likeliest = np.zeros((1, 25), int)
    likeliest[0, 12:] = 3
    assert changes_a_minute(np.eye(8, dtype=np.float32)[likeliest]) == pytest.approx(30)


def test_training_goes_on_from_its_checkpoint_and_stills_stay_as_they_were(
    tmp_path, monkeypatch, capsys
):
    torch.manual_seed(0)
    folder = tmp_path / "teacher"
    folder.mkdir()
    begun = Learning(Pair(StreamNetwork("none")))
    torch.save({"network": begun.state_dict()}, folder / "checkpoint.pt")
    (folder / "about.json").write_text('{"begun_with": "e"}')
    rng = np.random.default_rng(0)
    votes = np.eye(8, dtype=np.float32)[rng.integers(0, 8, 6)]

    def seen(*shape):
        return rng.normal(0, 1, (*shape, PLACES, WIDTH)).astype(np.float16)

    def over_time(shares, moments):
        return np.repeat(shares[None, :, None], moments, 2)

    twice = np.stack([votes, votes])
    made = {
        "ferplus": (seen(2, 6), twice), "lfw": (seen(2, 6), twice),
        "talking": (seen(1, 4, SLOTS_FILMED), over_time(votes[:4], SLOTS_FILMED)),
        "sequences": (seen(1, 3, SLOTS_FILMED), over_time(votes[:3], SLOTS_FILMED)),
        "onsets": (seen(2, 2, 16), np.zeros((2, 2, 16, 8), np.float32)),
    }  # fmt: skip
    monkeypatch.setattr(train, "read_views", lambda _folder, kind: made[kind])
    (tmp_path / "ferplus_0.npz").write_bytes(b"x")
    faces = stripes(40, 1)
    faces.majority[20:] = NEUTRAL
    monkeypatch.setattr(train, "read_faces", lambda *_, **__: {"ferplus": faces, "lfw": faces})
    for name, value in (("STILLS", 8), ("FILMED", 2), ("STEPS", 6)):
        monkeypatch.setattr(train, name, value)
    out = tmp_path / "run"
    monkeypatch.setattr(sys, "argv", [
        "train", "--ferplus", "x", "--lfw", "x", "--stills", "x", "--teacher", str(folder),
        "--views", str(tmp_path), "--out", str(out), "--epochs", "3",
        "--threads", "1", "--split", "haar",
    ])  # fmt: skip
    save = torch.save

    def stop_after_one(content, path):
        save(content, path)
        if content["epoch"] == 1:
            path.replace(path.parent / "checkpoint.pt")
            raise KeyboardInterrupt

    monkeypatch.setattr(train.torch, "save", stop_after_one)
    with pytest.raises(KeyboardInterrupt):
        train.main()
    monkeypatch.setattr(train.torch, "save", save)
    train.main()
    text = capsys.readouterr().out
    assert text.count("epoch 1:") == text.count("epoch 3:") == 1
    assert train.split_of(out) == "haar"
    about = json.loads((out / "about.json").read_text())
    assert (about["epochs"], about["onsets"], about["begun_with"]) == (3, 2, "e")
    ended = torch.load(out / "checkpoint.pt", weights_only=True)["network"]
    first = begun.mean.module.network.state_dict()
    for name in ended:
        held = name.startswith(("backbone", "tokens", "still"))
        if held:
            assert torch.equal(ended[name], first[name]), name
    assert ended["head.1.weight"].any()  # the lifting adds something now
