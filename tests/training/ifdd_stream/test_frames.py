"""The backbone's training on made-up faces: one bright row for each expression."""

import sys

import cv2
import numpy as np
import pytest

pytest.importorskip("torch", reason="torch is not installed: make training")

import torch

from training.action_units.network import count_parameters
from training.ifdd_stream import frames
from training.ifdd_stream.augmentation import augment
from training.ifdd_stream.cuts import Cuts
from training.ifdd_stream.frames import (
    Lessons,
    Shown,
    load_mean,
    mix,
    read_all,
    score,
)
from training.ifdd_stream.network import StreamNetwork
from training.ifdd_stream.stills import EXPRESSIONS, read_stills

NAMES = ("neutral", "happiness", "surprise", "sadness", "anger", "disgust", "fear", "contempt",
         "unknown", "NF")  # fmt: skip


def stripes(n, seed=0):
    """Faces whose bright stripe says which of the eight expressions is meant."""
    kind = np.random.default_rng(seed).integers(0, 8, n)
    pictures = np.full((n, 48, 48), 60, np.uint8)
    for k in range(n):
        pictures[k, 6 * kind[k] : 6 * kind[k] + 6] = 220
    mouth = np.tile(np.float32([[17, 34], [31, 34], [24, 33], [24, 35], [24, 46]]), (n, 1, 1))
    votes = np.eye(8, dtype=np.float32)[kind]
    return Cuts(pictures, pictures.copy(), mouth, votes, kind.astype(np.int64), np.arange(n))


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


def test_a_mixed_image_means_what_both_parts_mean():
    pictures = torch.arange(8.0)[:, None, None].expand(8, 2, 2)
    targets = torch.eye(8)
    generator, rng = torch.Generator().manual_seed(0), np.random.default_rng(3)
    changed = 0
    for _ in range(20):
        seen, wanted = mix(pictures, targets, generator, rng)
        assert torch.allclose(wanted.sum(1), torch.ones(8))
        assert torch.allclose(seen[:, 0, 0], wanted @ torch.arange(8.0), atol=1e-5)
        changed += not torch.equal(wanted, targets)
    assert 4 < changed < 16


def test_an_augmented_picture_is_another_one_of_the_same_size():
    pictures = torch.from_numpy(stripes(16).cut.astype(np.float32))
    generator = torch.Generator().manual_seed(3)
    first, second = augment(pictures, generator), augment(pictures, generator)
    assert first.shape == pictures.shape
    assert 0 <= first.min() <= first.max() <= 255
    assert not torch.equal(first, second)


def test_the_backbone_keeps_to_its_budget():
    network = StreamNetwork("none").backbone
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
    network = Shown(StreamNetwork("none"))
    pictures = np.random.default_rng(0).integers(0, 255, (4, 48, 48)).astype(np.uint8)
    ours, theirs = (read_all(network, p, flipped=True) for p in (pictures, pictures[:, :, ::-1]))
    np.testing.assert_allclose(ours, theirs, atol=1e-6)
    np.testing.assert_allclose(ours.sum(axis=1), 1, atol=1e-5)


def test_only_known_majorities_are_scored():
    faces = stripes(20)
    faces.majority[:5] = -1
    found = score(Shown(StreamNetwork("none")), faces.cut, faces.majority)
    assert found["faces"] == 15
    assert np.sum(found["confusion"]) == 15


def test_training_goes_on_from_its_checkpoint_and_touches_the_last_block_only(
    tmp_path, monkeypatch, capsys
):
    faces = stripes(48)
    rng = np.random.default_rng(0)
    kinds = rng.normal(0, 1, (8, 128, 6, 6))
    features = kinds[faces.majority][None].clip(0).astype(np.float16)
    lessons = dict.fromkeys(("ferplus", "lfw", "filmed"), Lessons(features, faces.votes))
    monkeypatch.setattr(frames, "read_lessons", lambda _: lessons)
    monkeypatch.setattr(frames, "read_cuts", lambda *_: stripes(40, 2))
    monkeypatch.setattr(frames, "MIXED", {"ferplus": 12, "lfw": 4, "filmed": 2})
    monkeypatch.setattr(frames, "STEPS", 12)
    begin, out = tmp_path / "begin", tmp_path / "out"
    begin.mkdir()
    torch.manual_seed(0)
    first = StreamNetwork("none").state_dict()
    torch.save({"network": first}, begin / "checkpoint.pt")
    (begin / "about.json").write_text("{}")
    monkeypatch.setattr(sys, "argv", [
        "frames", "--views", "x", "--lfw", "x", "--stills", "x", "--begin", str(begin),
        "--out", str(out), "--epochs", "3", "--threads", "1",
    ])  # fmt: skip
    save = torch.save

    def stop_after_one(content, path):
        save(content, path)
        if content["epoch"] == 1:
            path.replace(path.parent / "checkpoint.pt")
            raise KeyboardInterrupt

    monkeypatch.setattr(frames.torch, "save", stop_after_one)
    with pytest.raises(KeyboardInterrupt):
        frames.main()
    monkeypatch.setattr(frames.torch, "save", save)
    frames.main()
    text = capsys.readouterr().out
    assert text.count("epoch 1:") == text.count("epoch 3:") == 1
    losses = [float(line.split()[3].rstrip(";")) for line in text.splitlines() if ": loss" in line]
    assert losses[-1] < losses[0]
    learned = torch.load(out / "checkpoint.pt", weights_only=True)["network"]
    mean = load_mean(out, StreamNetwork("none")).state_dict()
    moved = {name for name in mean if not torch.equal(mean[name], first[name])}
    assert all(name.startswith(("backbone.blocks.5", "tokens", "still")) for name in moved)
    assert "backbone.blocks.5.first.0.weight" in moved
    assert not torch.equal(mean["still.1.weight"], learned["network.still.1.weight"])
