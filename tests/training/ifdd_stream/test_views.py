"""What the early blocks see of made-up faces."""

import sys

import numpy as np
import pytest

pytest.importorskip("torch", reason="torch is not installed: make training")

import torch

from tests.training.ifdd_stream.test_frames import stripes
from training.ifdd_stream import views
from training.ifdd_stream.network import StreamNetwork
from training.ifdd_stream.sequences import SLOTS_FILMED
from training.ifdd_stream.stills import EXPRESSIONS
from training.ifdd_stream.views import (
    Images,
    draw,
    draw_faces,
    look,
    read_views,
    talk,
    talking_clips,
)

NEUTRAL = EXPRESSIONS.index("neutral")


def test_most_faces_are_seen_as_cut_and_a_plain_one_has_no_mouth():
    faces = stripes(200)
    faces.plain[:] = 0
    images = draw_faces(faces, np.random.default_rng(0))
    plain = images.pictures.max((1, 2)) == 0
    assert 0.1 < plain.mean() < 0.3
    assert np.array_equal(np.isnan(images.mouth).all((1, 2)), plain)


def test_rare_expressions_are_drawn_more_often_than_they_occur():
    votes = np.repeat(np.eye(8, dtype=np.float32)[[0, 5]], [380, 20], 0)
    drawn = votes[draw(votes, 400, np.random.default_rng(1), 0.3)].argmax(axis=1)
    assert 0.06 < (drawn == 5).mean() < 0.25  # of 0.05


def test_neutral_faces_are_made_to_talk_and_only_their_mouths_move():
    faces = stripes(80)
    faces.majority[:40] = NEUTRAL
    faces.mouth[0] = np.nan
    clips, rows = talking_clips(faces, 30)
    assert clips.shape == (30, SLOTS_FILMED, 48, 48)
    assert (faces.majority[rows] == NEUTRAL).all()
    assert 0 not in rows
    moving = clips.astype(int).std(1)
    assert moving[:, 26:46].mean() > 3 * moving[:, :22].mean()


def test_who_talks_means_what_the_still_means(monkeypatch):
    monkeypatch.setattr(views, "TALKERS", 5)
    faces = stripes(60)
    faces.votes[30:] = np.eye(8)[NEUTRAL]
    images = talk(faces, np.random.default_rng(0))
    assert images.together == SLOTS_FILMED
    assert len(images.votes) == len(images.mouth.opening) == 10 * SLOTS_FILMED
    votes = images.votes.reshape(10, SLOTS_FILMED, 8)
    assert (votes == votes[:, :1]).all()
    assert (votes[5:, 0].argmax(1) == NEUTRAL).all()
    monkeypatch.setattr(views, "augment", lambda pictures, *_, **__: pictures)
    found = look(StreamNetwork("none"), images, 0)
    assert found["features"].shape == (10, SLOTS_FILMED, 128, 6, 6)
    assert found["votes"].shape == (10, SLOTS_FILMED, 8)


def test_the_last_block_goes_on_where_the_early_ones_ended(monkeypatch):
    torch.manual_seed(0)
    network = StreamNetwork("none").eval()
    faces = stripes(5)
    monkeypatch.setattr(views, "augment", lambda pictures, *_, **__: pictures)
    found = look(network, Images(faces.cut, faces.mouth, faces.votes), 0)
    assert found["features"].shape == (5, 128, 6, 6)
    with torch.no_grad():
        wanted = network.shown(torch.from_numpy(faces.cut).float())
        got = network.shown_late(torch.from_numpy(found["features"].astype(np.float32)))
    assert torch.allclose(wanted, got, atol=2e-2)


def test_views_differ_are_made_once_and_leave_persons_kept_out_alone(tmp_path, monkeypatch):
    torch.save({"network": StreamNetwork("none").state_dict()}, tmp_path / "checkpoint.pt")
    monkeypatch.setattr(views, "read_cuts", lambda *_: stripes(50))
    monkeypatch.setattr(sys, "argv", [
        "views", "--kind", "lfw", "--begin", str(tmp_path), "--out", str(tmp_path),
        "--threads", "1",
    ])  # fmt: skip
    views.main()
    features, votes = read_views(tmp_path, "lfw")
    assert features.shape == (3, 40, 128, 6, 6)  # 0, 1, 10, 11 ... of 50 are kept out
    assert len(votes) == 40
    assert not np.array_equal(features[0], features[1])
    monkeypatch.setattr(views, "look", lambda *_: pytest.fail("they are there"))
    views.main()
