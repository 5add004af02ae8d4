"""What is known of rendered and of real faces, and how it is joined."""

import numpy as np
import pytest

pytest.importorskip("torch", reason="torch is not installed: make training")

from training.action_units.faces import (
    join,
    lfw_split,
    london_part,
    select,
    studio_part,
    true_outputs,
)
from training.action_units.network import OUTPUTS
from training.action_units.real_faces import HIGHEST, LOWEST, REST, limits
from training.synthetic.studio import TRUTH_UNITS

AU12 = TRUTH_UNITS.index("AU12")
SMILE = OUTPUTS.index("AU12")


def test_truth_is_told_by_the_stronger_side_and_side_by_side():
    units = np.zeros((1, len(TRUTH_UNITS), 2))
    units[0, AU12] = 0.2, 0.6
    told = dict(zip(OUTPUTS, true_outputs(units)[0].tolist(), strict=True))
    assert told["AU12"] == pytest.approx(3)
    assert told["AU12_right"] == pytest.approx(1)
    assert told["AU12_left"] == pytest.approx(3)
    assert sum(told.values()) == pytest.approx(7)


def film(path, n=12):
    """One person in two scenes, three references each; the last face is not found."""
    units = np.zeros((n, len(TRUTH_UNITS), 2), np.float16)
    reference = np.arange(n) % 6 < 3
    units[~reference, AU12] = 0.5
    np.savez(
        path, points=np.zeros((n, 468, 3), np.int16), crops=np.zeros((n, 96, 96), np.uint8),
        angles_rad=np.zeros((n, 3), np.float32), units=units, reference=reference,
        presence=np.where(np.arange(n) == n - 1, 0.1, 1.0).astype(np.float32),
        scene=(np.arange(n) // 6).astype(np.int8),
    )  # fmt: skip
    return path


@pytest.fixture
def faces(tmp_path):
    return join({"studio": studio_part([film(tmp_path / f"train_{k:05}.npz") for k in (0, 1)])})


def test_a_face_nobody_found_is_neither_learned_from_nor_tested(faces):
    assert not {11, 23} & set(faces.kinds["studio"].tolist())
    assert not {0, 1, 2, 11} & set(faces.tested().tolist())


def test_the_rest_is_another_picture_of_the_same_person_at_rest(faces):
    rng = np.random.default_rng(0)
    rows = np.arange(24)
    for _ in range(20):
        rest = faces.rest_of(rows, rng)
        assert (rest >= 0).all()
        assert (rest != rows).all()
        assert (rest // 12 == rows // 12).all()
        assert faces.reference[rest].all()


def test_a_rendered_face_is_known_exactly_once_its_rest_is_known(faces):
    rows, none = np.array([0, 3]), np.array([-1, -1])
    low, high = faces.bounds(rows, none, np.zeros(2, np.float32))
    assert low[0, SMILE] == LOWEST
    assert high[0, SMILE] > 0  # a stranger at rest may look a little like smiling
    assert low[1, SMILE] == high[1, SMILE] == 2.5
    low, high = faces.bounds(rows, np.array([1, 1]), np.ones(2, np.float32))
    assert high[0, SMILE] == 0
    assert low[1, SMILE] == high[1, SMILE] == 2.5


def test_what_a_real_face_shows_at_rest_is_taken_off(faces):
    faces.low[3], faces.high[3], faces.level[4] = 3.0, 3.0, 1.0
    low, high = faces.bounds(np.array([3]), np.array([4]), np.ones(1, np.float32))
    assert low[0, 0] == high[0, 0] == pytest.approx(2.5)
    faces.low[3], faces.high[3] = LOWEST, HIGHEST
    low, high = faces.bounds(np.array([3]), np.array([4]), np.ones(1, np.float32))
    assert (low[0, 0], high[0, 0]) == (LOWEST, HIGHEST)


def test_kinds_that_are_missing_leave_their_share_to_the_others(faces):
    drawn = faces.draw({"studio": 10, "lfw": 10}, np.random.default_rng(0))
    assert len(drawn) == 20


def test_selected_rows_keep_only_rests_that_are_selected_too(tmp_path):
    part = studio_part([film(tmp_path / "train_00000.npz")])
    chosen = np.arange(12) != 0
    left = select(part, chosen)
    assert len(left["rest"]) == 11
    found = left["rest"][left["rest"] >= 0]
    assert found.max() < 11
    assert left["reference"][found].all()


def test_parts_are_joined_with_their_rests(tmp_path):
    studio = studio_part([film(tmp_path / "train_00000.npz")])
    n = 4
    np.savez(
        tmp_path / "london.npz", points=np.zeros((n, 468, 3), np.int16),
        crops=np.zeros((n, 96, 96), np.uint8), angles_rad=np.zeros((n, 3), np.float32),
        presence=np.ones(n, np.float32), bounds=np.repeat(limits(REST)[None], n, axis=0),
        reference=np.array([True, True, False, True]), person=np.array([1, 1, 1, 2]),
    )  # fmt: skip
    faces = join({"studio": studio, "london": london_part(tmp_path / "london.npz")})
    assert faces.kinds["london"].tolist() == [12, 13, 14, 15]
    assert set(faces.rest[14].tolist()) == {12, 13}
    assert set(faces.rest[15].tolist()) == {-1}
    assert faces.real.tolist() == [False] * 12 + [True] * 4
    assert np.isnan(faces.truth[12:]).all()


def test_no_person_of_lfw_stands_in_two_splits(tmp_path):
    np.savez(tmp_path / "lfw.npz", person=np.array([f"{k:08x}" for k in range(30)]))
    splits = np.stack([lfw_split(tmp_path / "lfw.npz", s) for s in ("train", "validation", "test")])
    assert (splits.sum(axis=0) == 1).all()
    assert splits.sum(axis=1).tolist() == [24, 3, 3]
