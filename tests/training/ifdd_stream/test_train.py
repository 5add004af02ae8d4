"""Training of the whole network, on made-up stills and sequences."""

import json
import sys

import numpy as np
import pytest

pytest.importorskip("torch", reason="torch is not installed: make training")

import torch

from tests.training.ifdd_stream.test_frames import stripes
from training.ifdd_stream import train
from training.ifdd_stream.network import SLOTS, FrameClassifier
from training.ifdd_stream.sequences import SLOTS_FILMED, Sequences
from training.ifdd_stream.stills import EXPRESSIONS
from training.ifdd_stream.train import Lessons, class_weights, draw_onset, still_clips

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


def lessons():
    stills = stripes(32)
    return Lessons(stills, stills.pictures, rising(4), rising(2).pictures[:, :16])


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


def test_training_goes_on_from_its_checkpoint_and_learns(tmp_path, monkeypatch, capsys):
    torch.manual_seed(0)
    (tmp_path / "frames").mkdir()
    torch.save({"network": FrameClassifier().state_dict()}, tmp_path / "frames" / "checkpoint.pt")
    for name in ("onsets.npz", "pack.npz"):
        (tmp_path / name).write_bytes(b"x")
    monkeypatch.setattr(train, "read_lessons", lambda *_: lessons())
    monkeypatch.setattr(train, "read_stills", lambda *_: stripes(16, 1))
    monkeypatch.setattr(train, "read_sequences", lambda _: rising(3, 1))
    monkeypatch.setattr(train, "STILLS", 8)
    monkeypatch.setattr(train, "FILMED", 1)
    out = tmp_path / "run"
    monkeypatch.setattr(sys, "argv", [
        "train", "--ferplus", str(tmp_path / "pack.npz"), "--frames", str(tmp_path / "frames"),
        "--sequences", str(tmp_path), "--out", str(out), "--epochs", "3", "--threads", "1",
    ])  # fmt: skip
    save = torch.save

    def stop_after_one(content, path):
        save(content, path)
        if content["epoch"] == 1:
            path.replace(path.with_name("checkpoint.pt"))
            raise KeyboardInterrupt

    monkeypatch.setattr(train.torch, "save", stop_after_one)
    with pytest.raises(KeyboardInterrupt):
        train.main()
    monkeypatch.setattr(train.torch, "save", save)
    train.main()
    text = capsys.readouterr().out
    assert text.count("epoch 1:") == text.count("epoch 3:") == 1
    losses = [
        float(line.split()[3].rstrip(",")) for line in text.splitlines() if ": losses" in line
    ]
    assert losses[-1] < losses[0]
    assert json.loads((out / "about.json").read_text())["sequences"] == 4
    # A run may begin with what another one learned, and counts its epochs too; at a rate of nothing
    # it ends with the same, but for the split.
    monkeypatch.setattr(sys, "argv", [
        *sys.argv[: sys.argv.index("--out")], "--out", str(tmp_path / "settled"),
        "--begin", str(out), "--slower", "0", "--epochs", "1", "--threads", "1", "--split", "none",
    ])  # fmt: skip
    train.main()
    begun, ended = (
        torch.load(folder / "checkpoint.pt", weights_only=True)["network"]
        for folder in (out, tmp_path / "settled")
    )
    assert set(begun) - set(ended) == {name for name in begun if "lifting.split" in name}
    assert all(torch.equal(begun[name], ended[name]) for name in ended)
    assert train.split_of(tmp_path / "settled") == "none"
    assert json.loads((tmp_path / "settled" / "about.json").read_text())["epochs"] == 4
