"""What backbone and teacher make of made-up faces."""

import sys

import numpy as np
import pytest

pytest.importorskip("torch", reason="torch is not installed: make training")

import torch

from tests.training.ifdd_stream.test_teacher import stripes
from training.ifdd_stream import views
from training.ifdd_stream.network import PLACES, WIDTH, StreamNetwork
from training.ifdd_stream.sequences import SLOTS_FILMED
from training.ifdd_stream.stills import EXPRESSIONS
from training.ifdd_stream.teacher import TAUGHT, Learning, Pair
from training.ifdd_stream.views import Images, look, read_views, talk, talking_clips

NEUTRAL = EXPRESSIONS.index("neutral")


@pytest.fixture(scope="module")
def pair():
    torch.manual_seed(0)
    return Pair(StreamNetwork("none")).eval()


@pytest.fixture
def as_they_are(monkeypatch):
    monkeypatch.setattr(views, "augment", lambda pictures, *_, **__: pictures)


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


def test_who_talks_shows_throughout_what_votes_and_teacher_say_of_all_moments(
    pair, as_they_are, monkeypatch
):
    monkeypatch.setattr(views, "TALKERS", 2)
    faces = stripes(60)
    faces.votes[30:] = np.eye(8)[NEUTRAL]
    images = talk(faces, np.random.default_rng(0))
    assert images.together == SLOTS_FILMED
    assert len(images.votes) == len(images.mouth.opening) == 4 * SLOTS_FILMED
    votes = images.votes.reshape(4, SLOTS_FILMED, 8)
    assert (votes == votes[:, :1]).all()
    assert (votes[2:, 0].argmax(1) == NEUTRAL).all()
    found = look(pair, images, 0)
    assert found["tokens"].shape == (4, SLOTS_FILMED, PLACES, WIDTH)
    with torch.no_grad():
        _, teacher = pair(torch.from_numpy(images.pictures).float())
    taught = teacher.softmax(1).numpy().reshape(votes.shape).mean(1, keepdims=True)
    np.testing.assert_allclose(found["shown"], TAUGHT * taught + (1 - TAUGHT) * votes, atol=1e-5)


def test_tokens_say_what_the_network_says_and_rendered_people_show_what_they_show(
    pair, as_they_are
):
    faces = stripes(5)
    found = look(pair, Images(faces.cut, faces.votes, faces.mouth), 0)
    assert found["tokens"].shape == (5, PLACES, WIDTH)
    np.testing.assert_array_equal(found["shown"], faces.votes)
    with torch.no_grad():
        wanted, _ = pair(torch.from_numpy(faces.cut).float())
        got = pair.network.still(torch.from_numpy(found["tokens"].astype(np.float32)).mean(1))
    assert torch.allclose(wanted, got, atol=2e-2)


def test_views_differ_and_are_made_once(pair, tmp_path, monkeypatch):
    torch.save({"network": Learning(pair).state_dict()}, tmp_path / "checkpoint.pt")
    monkeypatch.setattr(views, "read_faces", lambda *_, **__: {"lfw": stripes(10)})
    monkeypatch.setattr(sys, "argv", [
        "views", "--kind", "lfw", "--teacher", str(tmp_path), "--out", str(tmp_path),
        "--threads", "1",
    ])  # fmt: skip
    views.main()
    tokens, shown = read_views(tmp_path, "lfw")
    assert tokens.shape == (2, 10, PLACES, WIDTH)
    assert shown.shape == (2, 10, 8)
    assert not np.array_equal(tokens[0], tokens[1])
    monkeypatch.setattr(views, "look", lambda *_: pytest.fail("they are there"))
    views.main()
