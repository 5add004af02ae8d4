import cv2
import numpy as np
import pytest

pytest.importorskip("torch", reason="torch is not installed: make training")

from training.action_units import stills
from training.action_units.dataset import Observer

NAMES = ("neutral", "happiness", "surprise", "sadness", "anger", "disgust", "fear", "contempt",
         "unknown", "NF")  # fmt: skip


class Detector:
    """Finds the faces it is told."""

    def __init__(self, *middles):
        self.xyxy = np.array([(x - 50, y - 50, x + 50, y + 50) for x, y in middles], np.float32)
        self.keypoints = np.zeros((len(middles), 6, 2), np.float32)

    def detect(self, image, thorough):
        return self

    def __len__(self):
        return len(self.xyxy)


def test_the_face_nearest_to_the_middle_is_the_one_that_is_meant():
    image = np.zeros((600, 600, 3), np.uint8)
    region = stills.find_region(Detector((80, 90), (310, 290)), image)
    assert region.center == pytest.approx((310, 290))


def test_without_a_detection_the_picture_is_taken_for_a_face():
    image = np.zeros((600, 600, 3), np.uint8)
    for detector in (None, Detector()):
        region = stills.find_region(detector, image)
        assert region.center == (300, 300)
        assert region.size_px == pytest.approx(480)


@pytest.fixture
def pack(tmp_path):
    """Five grey pictures: two of ``train``, then one agreed on, a disputed one, one of contempt."""
    votes = np.zeros((5, 10), np.uint8)
    votes[0, 0] = votes[1, 1] = votes[2, 2] = votes[4, 7] = 10
    votes[3, :2] = 5
    files = [cv2.imencode(".webp", np.full((48, 48), 40 * k, np.uint8))[1] for k in range(5)]
    path = tmp_path / "pack.npz"
    np.savez(
        path, webp=np.concatenate(files), offsets=np.cumsum([0, *map(len, files)]), votes=votes,
        split=np.array([0, 0, 1, 1, 1], np.uint8), vote_names=np.array(NAMES),
    )  # fmt: skip
    return path


def test_rated_faces_are_those_of_valid_that_raters_agree_on(pack, models):
    arrays = stills.observe_rated(pack, Observer())
    assert arrays["expression"].tolist() == ["surprise"]
    assert arrays["points"].shape == (1, 468, 3)
    assert arrays["crops"].shape == (1, 96, 96)


def test_a_part_that_is_there_is_not_made_again(pack, models, tmp_path, monkeypatch, capsys):
    arguments = ["stills", "--pack", str(pack), "--name", "ferplus", "--out", str(tmp_path)]
    monkeypatch.setattr("sys.argv", arguments)
    stills.main()
    assert "5 of 5" in capsys.readouterr().out
    stills.main()
    assert capsys.readouterr().out == ""
