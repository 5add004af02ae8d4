"""Real still images as the product cuts them, on rendered faces."""

import cv2
import numpy as np
import pytest

from training.ifdd_stream import cuts
from training.ifdd_stream.cuts import join, lfw_part, read_cuts
from training.ifdd_stream.stills import EXPRESSIONS


@pytest.fixture
def pack(tmp_path):
    """Three grey images of LFW's form."""
    images = [np.full((200, 200), 40 * k, np.uint8) for k in range(1, 4)]
    files = [cv2.imencode(".webp", image)[1] for image in images]
    path = tmp_path / "lfw_train.npz"
    np.savez(
        path, webp=np.concatenate(files), offsets=np.cumsum([0, *map(len, files)]),
        label=np.int8([1, 0, 0]), label_names=np.array(["neutral", "anger"]),
        person=np.array(["0000000a", "0000000b", "0000000c"]),
    )  # fmt: skip
    return path


def test_a_face_that_is_not_found_stays_as_it_came(pack, tmp_path):
    seen = {
        "pictures": np.full((3, 48, 48), 7, np.uint8), "presence": np.float32([0.9, 0.1, 0.9]),
        "mouth": np.ones((3, 5, 2), np.float32),
    }  # fmt: skip
    np.savez(tmp_path / "lfw.npz", **seen)
    faces = read_cuts(tmp_path, pack, "lfw")
    assert faces.cut[:, 24, 24].tolist() == [7, faces.plain[1, 24, 24], 7]
    assert np.isnan(faces.mouth[1]).all()
    assert np.isfinite(faces.mouth[[0, 2]]).all()
    assert [EXPRESSIONS[k] for k in faces.majority] == ["anger", "neutral", "neutral"]
    assert np.array_equal(faces.votes.argmax(1), faces.majority)
    assert len(join(faces, faces.take(np.array([0])))) == 4


def test_a_person_is_in_one_part_only():
    person = np.arange(1000)
    part = lfw_part(person)
    assert np.array_equal(part, lfw_part(person))
    assert [(part == name).sum() for name in ("train", "validation", "test")] == [800, 100, 100]


def test_what_is_there_is_not_cut_again(pack, tmp_path, monkeypatch):
    calls = []
    monkeypatch.setattr(cuts, "look_at", lambda images, kind: calls.append(kind) or {})
    monkeypatch.setattr(cuts, "read_stills", lambda *_: pytest.fail("only LFW is left"))
    for name in ("ferplus_train", "ferplus_valid"):
        (tmp_path / f"{name}.npz").touch()
    monkeypatch.setattr(
        "sys.argv", ["cuts", "--ferplus", "x", "--lfw", str(pack), "--out", str(tmp_path)]
    )
    cuts.main()
    cuts.main()
    assert calls == ["lfw"]
