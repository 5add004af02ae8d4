"""The slot backbone's training on made-up stills: one bright row for each expression."""

import sys

import cv2
import numpy as np
import pytest

pytest.importorskip("torch", reason="torch is not installed: make training")

import torch

from training.action_units.network import count_parameters
from training.ifdd_stream import frames
from training.ifdd_stream.augmentation import augment
from training.ifdd_stream.frames import draw_epoch, read_all, score
from training.ifdd_stream.network import FrameClassifier
from training.ifdd_stream.stills import EXPRESSIONS, Stills, read_stills

NAMES = ("neutral", "happiness", "surprise", "sadness", "anger", "disgust", "fear", "contempt",
         "unknown", "NF")  # fmt: skip


def stripes(n, seed=0):
    """Pictures whose bright stripe says which of the eight expressions is meant."""
    kind = np.random.default_rng(seed).integers(0, 8, n)
    pictures = np.full((n, 48, 48), 60, np.uint8)
    for k in range(n):
        pictures[k, 6 * kind[k] : 6 * kind[k] + 6] = 220
    return Stills(pictures, np.eye(8, dtype=np.float32)[kind], kind.astype(np.int64))


@pytest.fixture
def pack(tmp_path):
    votes = np.zeros((4, 10), np.uint8)
    votes[0] = [0, 6, 3, 1, 0, 0, 0, 0, 0, 0]  # the single vote does not count
    votes[1] = [1, 1, 1, 1, 1, 1, 1, 1, 1, 1]  # nobody agrees
    votes[2] = [0, 0, 0, 0, 0, 0, 0, 2, 0, 8]  # mostly no face
    votes[3] = [5, 5, 0, 0, 0, 0, 0, 0, 0, 0]
    files = [cv2.imencode(".webp", np.full((48, 48), 50 * k, np.uint8))[1] for k in range(4)]
    path = tmp_path / "pack.npz"
    np.savez(
        path, webp=np.concatenate(files), offsets=np.cumsum([0, *map(len, files)]), votes=votes,
        split=np.array([0, 0, 0, 1], np.uint8), label=np.array([1, -1, 7, -1], np.int8),
        vote_names=np.array(NAMES),
    )  # fmt: skip
    return path


def test_votes_become_shares_in_our_order(pack):
    train = read_stills(pack, "train")
    assert len(train.pictures) == 2
    shares = dict(zip(EXPRESSIONS, train.votes[0].tolist(), strict=True))
    assert shares["happiness"] == pytest.approx(2 / 3)
    assert shares["surprise"] == pytest.approx(1 / 3)
    assert train.votes[1].tolist() == np.eye(8)[EXPRESSIONS.index("contempt")].tolist()
    assert [EXPRESSIONS[k] for k in train.majority] == ["happiness", "contempt"]
    assert abs(int(train.pictures[1].mean()) - 100) <= 2


def test_the_valid_split_is_whole_and_ties_have_no_majority(pack):
    valid = read_stills(pack, "valid")
    assert valid.pictures.shape == (1, 48, 48)
    assert valid.majority.tolist() == [-1]


def test_rare_expressions_are_drawn_more_often_than_they_occur():
    stills = stripes(400)
    stills.votes[:380] = np.eye(8)[0]
    stills.votes[380:] = np.eye(8)[5]
    drawn = stills.votes[draw_epoch(stills.votes, np.random.default_rng(1))].argmax(axis=1)
    assert 0.06 < (drawn == 5).mean() < 0.25  # of 0.05


def test_an_augmented_picture_is_another_one_of_the_same_size():
    pictures = torch.from_numpy(stripes(16).pictures.astype(np.float32))
    generator = torch.Generator().manual_seed(3)
    first, second = augment(pictures, generator), augment(pictures, generator)
    assert first.shape == pictures.shape
    assert 0 <= first.min() <= first.max() <= 255
    assert not torch.equal(first, second)


def test_the_backbone_keeps_to_its_budget():
    network = FrameClassifier()
    assert count_parameters(network) < 1_300_000
    macs = 0

    def count(module, inputs, output):
        nonlocal macs
        macs += output[0].numel() * module.weight[0].numel()

    for module in network.modules():
        if isinstance(module, torch.nn.Conv2d):
            module.register_forward_hook(count)
    network.eval()(torch.zeros(1, 48, 48))
    assert macs <= 60e6


def test_flip_averaging_reads_a_picture_and_its_mirror_alike():
    torch.manual_seed(0)
    network = FrameClassifier()
    pictures = np.random.default_rng(0).integers(0, 255, (4, 48, 48)).astype(np.uint8)
    ours, theirs = (read_all(network, p, flipped=True) for p in (pictures, pictures[:, :, ::-1]))
    np.testing.assert_allclose(ours, theirs, atol=1e-6)
    np.testing.assert_allclose(ours.sum(axis=1), 1, atol=1e-5)


def test_only_strict_majorities_are_scored():
    stills = stripes(20)
    stills.majority[:5] = -1
    found = score(FrameClassifier(), stills, flipped=False)
    assert found["faces"] == 15
    assert np.sum(found["confusion"]) == 15


def test_training_learns_and_goes_on_from_its_checkpoint(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(frames, "read_stills", lambda _, split: stripes(48, len(split)))
    monkeypatch.setattr(frames, "BATCH", 16)
    arguments = [
        "frames",
        "--ferplus",
        "x",
        "--out",
        str(tmp_path),
        "--epochs",
        "4",
        "--threads",
        "1",
    ]
    monkeypatch.setattr(sys, "argv", arguments)
    save = torch.save

    def stop_after_two(content, path):
        save(content, path)
        if content["epoch"] == 2:
            path.replace(path.with_name("checkpoint.pt"))
            raise KeyboardInterrupt

    monkeypatch.setattr(frames.torch, "save", stop_after_two)
    with pytest.raises(KeyboardInterrupt):
        frames.main()
    monkeypatch.setattr(frames.torch, "save", save)
    frames.main()
    text = capsys.readouterr().out
    assert text.count("epoch 1:") == text.count("epoch 2:") == text.count("epoch 4:") == 1
    losses = [float(line.split()[3].rstrip(",")) for line in text.splitlines() if ": loss" in line]
    assert losses[-1] < losses[0]
    assert (tmp_path / "report.json").exists()
