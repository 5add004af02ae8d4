"""Backbone and teacher, learning from made-up faces: one bright row for each expression."""

import argparse
import sys

import cv2
import numpy as np
import pytest

pytest.importorskip("torch", reason="torch is not installed: make training")

import torch

from training.action_units.network import count_parameters
from training.ifdd_stream import teacher
from training.ifdd_stream.augmentation import augment
from training.ifdd_stream.cuts import Cuts
from training.ifdd_stream.network import StreamNetwork
from training.ifdd_stream.sequences import SLOTS_FILMED, TAUGHT_PERSONS
from training.ifdd_stream.stills import EXPRESSIONS, read_stills
from training.ifdd_stream.teacher import (
    SMILES,
    Pair,
    draw,
    draw_faces,
    kept_out,
    load_pair,
    mix,
    read_all,
    read_faces,
    read_filmed,
    score,
)

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


def test_most_faces_are_seen_as_cut_and_a_plain_one_has_no_mouth():
    faces = stripes(200)
    faces.plain[:] = 0
    pictures, mouths = draw_faces(faces, np.random.default_rng(0))
    plain = pictures.max((1, 2)) == 0
    assert 0.1 < plain.mean() < 0.3
    assert np.array_equal(np.isnan(mouths).all((1, 2)), plain)


def test_rare_expressions_are_drawn_more_often_than_they_occur():
    votes = np.repeat(np.eye(8, dtype=np.float32)[[0, 5]], [380, 20], 0)
    drawn = votes[draw(votes, 400, np.random.default_rng(1), 0.3)].argmax(axis=1)
    assert 0.06 < (drawn == 5).mean() < 0.25  # of 0.05


def test_a_tenth_is_kept_out_and_so_are_persons(monkeypatch):
    monkeypatch.setattr(teacher, "read_cuts", lambda *_: stripes(50))
    options = argparse.Namespace(stills="", ferplus="", lfw="", without_lfw=False)
    learned, choosing = (read_faces(options, choosing=choosing) for choosing in (False, True))
    assert kept_out(50).sum() == len(choosing["ferplus"]) == 5
    assert len(learned["ferplus"]) == 45
    # The last digit of a person tells: 0 is kept for reports, 1 for choices.
    assert set(choosing["lfw"].person % 10) == {1}
    assert set(learned["lfw"].person % 10) == set(range(2, 10))
    options.without_lfw = True
    learned, choosing = (read_faces(options, choosing=choosing) for choosing in (False, True))
    assert list(learned) == ["ferplus"]
    assert list(choosing) == ["ferplus", "lfw"]


def test_smiles_are_laid_among_rendered_people(tmp_path):
    pictures = np.zeros((1, SLOTS_FILMED, 48, 48), np.uint8)
    shown = np.tile(np.eye(8, dtype=np.float32)[3], (1, SLOTS_FILMED, 1))
    np.savez(
        tmp_path / "train_00000.npz", pictures=pictures, shown=shown, level=shown[..., 3],
        going=shown[..., 3] < 0, kind=np.zeros(1, int), person=np.zeros(1, int),
    )  # fmt: skip
    onsets = np.full((2, 16, 48, 48), 9, np.uint8)
    persons = np.array([TAUGHT_PERSONS[0], TAUGHT_PERSONS[-1] + 1])
    np.savez(tmp_path / "onsets.npz", pictures=onsets, person=persons)
    faces = read_filmed(tmp_path)
    assert len(faces.faces) == len(faces.votes) == SLOTS_FILMED + SMILES * 16
    smiles = faces.votes[-16:]
    assert smiles[0].argmax() == EXPRESSIONS.index("neutral")
    assert smiles[-1].argmax() == EXPRESSIONS.index("happiness")
    assert np.allclose(smiles.sum(1), 1)


def test_flip_averaging_reads_a_picture_and_its_mirror_alike():
    torch.manual_seed(0)
    pair = Pair(StreamNetwork("none"))
    pictures = np.random.default_rng(0).integers(0, 255, (4, 48, 48)).astype(np.uint8)
    ours, theirs = (read_all(pair, p, flipped=True) for p in (pictures, pictures[:, :, ::-1]))
    assert ours.shape == (2, 4, 8)
    np.testing.assert_allclose(ours, theirs, atol=1e-6)
    np.testing.assert_allclose(ours.sum(axis=2), 1, atol=1e-5)


def test_only_known_majorities_are_scored():
    faces = stripes(20)
    faces.majority[:5] = -1
    found = score(faces.votes, faces.majority)
    assert found["faces"] == np.sum(found["confusion"]) == 15
    assert found["accuracy"] == found["uar"] == 1


def test_training_goes_on_from_its_checkpoint_and_teaches_both(tmp_path, monkeypatch, capsys):
    real = {kind: stripes(48) for kind in ("ferplus", "lfw")}
    monkeypatch.setattr(teacher, "read_faces", lambda *_, **__: dict(real))
    rendered = teacher.Faces(stripes(8, 5).cut, stripes(8, 5).votes)
    monkeypatch.setattr(teacher, "read_filmed", lambda _: rendered)
    monkeypatch.setattr(teacher, "MIXED", {"ferplus": 10, "lfw": 4, "filmed": 2})
    monkeypatch.setattr(teacher, "STEPS", 5)
    begin, out = tmp_path / "begin", tmp_path / "out"
    begin.mkdir()
    torch.manual_seed(0)
    first = StreamNetwork("none").state_dict()
    torch.save({"network": first}, begin / "checkpoint.pt")
    (begin / "about.json").write_text("{}")
    monkeypatch.setattr(sys, "argv", [
        "teacher", "--ferplus", "x", "--lfw", "x", "--stills", "x", "--sequences", "x",
        "--begin", str(begin), "--out", str(out), "--epochs", "3", "--threads", "1",
    ])  # fmt: skip
    save = torch.save

    def stop_after_one(content, path):
        save(content, path)
        if content["epoch"] == 1:
            path.replace(path.parent / "checkpoint.pt")
            raise KeyboardInterrupt

    monkeypatch.setattr(teacher.torch, "save", stop_after_one)
    with pytest.raises(KeyboardInterrupt):
        teacher.main()
    monkeypatch.setattr(teacher.torch, "save", save)
    teacher.main()
    text = capsys.readouterr().out
    assert text.count("epoch 1:") == text.count("epoch 3:") == 1
    losses = np.array([
        [float(loss) for loss in line.split("losses")[1].split(",")]
        for line in text.splitlines()
        if "losses" in line
    ])  # fmt: skip
    assert (losses[-1] < losses[0]).all()  # of the network that ships and of its teacher
    learned = torch.load(out / "checkpoint.pt", weights_only=True)["network"]
    mean = load_pair(out).network.state_dict()
    moved = {name for name in mean if not torch.equal(mean[name], first[name])}
    assert not any(name.startswith(("backbone.stem", "lifting", "head")) for name in moved)
    assert {"backbone.blocks.0.first.0.weight", "tokens.0.weight", "still.1.weight"} <= moved
    assert not torch.equal(mean["still.1.weight"], learned["pair.network.still.1.weight"])
