import cv2
import numpy as np
import pytest

pytest.importorskip("torch", reason="torch is not installed: make training")

from training.action_units import anchors
from training.action_units.anchors import PROTOTYPES, REST, SMILE, ferplus_faces, limits
from training.action_units.network import OUTPUTS

NAMES = ("neutral", "happiness", "surprise", "sadness", "anger", "disgust", "fear", "contempt",
         "unknown", "NF")  # fmt: skip


@pytest.mark.parametrize("bounds", [REST, SMILE, *PROTOTYPES.values()])
def test_bounds_name_outputs_and_leave_room(bounds):
    assert set(bounds[0]) | set(bounds[1]) <= set(OUTPUTS)
    low, high = limits(bounds)
    assert (low <= high).all()
    assert (low >= 0).all()
    assert (high <= 5).all()
    assert (high - low > 0).all()  # never a truth


def test_a_face_at_rest_shows_no_unit_and_a_smile_shows_lip_corners():
    assert (limits(REST)[1] < 1).all()
    low, high = (dict(zip(OUTPUTS, row.tolist(), strict=True)) for row in limits(SMILE))
    assert low["AU12"] >= 1
    assert high["AU04"] <= 1
    assert (low["AU06"], high["AU06"]) == (0, 5)  # not every posed smile raises the cheeks


@pytest.fixture
def pack(tmp_path):
    """Five grey pictures: two agreed on, a disputed one, one of contempt, one of ``valid``."""
    votes = np.zeros((5, 10), np.uint8)
    votes[0, 0] = votes[1, 1] = votes[3, 7] = votes[4, 2] = 10
    votes[2, :2] = 5
    files = [cv2.imencode(".webp", np.full((48, 48), 40 * k, np.uint8))[1] for k in range(5)]
    path = tmp_path / "pack.npz"
    np.savez(
        path, webp=np.concatenate(files), offsets=np.cumsum([0, *map(len, files)]), votes=votes,
        split=np.array([0, 0, 0, 0, 1], np.uint8), vote_names=np.array(NAMES),
    )  # fmt: skip
    return path


def test_only_faces_that_raters_agree_on_and_whose_units_are_known_are_taken(pack):
    found = list(ferplus_faces(pack, 0))
    assert [name for name, _ in found] == ["neutral", "happiness"]
    assert found[1][1].bounds == PROTOTYPES["happiness"]
    assert abs(int(found[1][1].image.mean()) - 40) <= 2
    assert found[0][1].person != found[1][1].person
    assert [name for name, _ in ferplus_faces(pack, 1)] == ["surprise"]


def test_what_is_written_is_what_training_reads(pack, tmp_path, models):
    from training.action_units.dataset import load_arrays

    path = tmp_path / "anchors.npz"
    assert anchors.write_anchors((face for _, face in ferplus_faces(pack, 0)), path) == 2
    arrays = load_arrays(path)
    assert arrays["points"].shape == (2, 468, 3)
    assert arrays["crops"].shape == (2, 96, 96)
    assert (arrays["person"] < 0).all()
    assert not arrays["reference"].any()
    np.testing.assert_array_equal(arrays["high"][1], limits(PROTOTYPES["happiness"])[1])


def test_the_london_set_gives_rest_and_smiles_of_the_persons_learned_from(
    shared_data, models, monkeypatch
):
    folder = shared_data / "london_faces"
    if not folder.is_dir():
        pytest.skip("the London Set is not on this machine")
    monkeypatch.setattr(anchors, "VARIANTS", 1)
    monkeypatch.setattr(anchors, "PERSONS", range(1, 4))
    faces = list(anchors.london_faces(folder))
    assert {face.person for face in faces} <= {1, 2, 3}
    assert {face.at_rest for face in faces} == {True, False}
    for face in faces:
        assert face.bounds == (REST if face.at_rest else SMILE)
