import numpy as np
import pytest

from training.synthetic.faces import SCLERAS
from training.synthetic.motion import EXTRAS, UNITS

AHEAD = np.zeros(2, np.float32)
NO_EXTRAS = np.zeros(len(EXTRAS), np.float32)


def driven(**units):
    """Intensities (18, 2): a number drives both sides, a pair the right and the left one."""
    levels = np.zeros((len(UNITS), 2), np.float32)
    for name, level in units.items():
        levels[UNITS.index(name)] = level
    return levels


def marks(head, **units):
    """The 68 landmarks of the average head, x to its own left, y up, z to the viewer, in cm."""
    weights = head.weights(driven(**units), NO_EXTRAS, AHEAD)
    return head.expressed(head.neutral, weights, AHEAD)[head.landmarks]


def test_no_unit_leaves_the_face_at_rest(head):
    assert np.allclose(marks(head), head.neutral[head.landmarks], atol=1e-5)


def test_a_smile_lifts_and_widens_the_corners_of_the_mouth(head):
    rest, smile = marks(head), marks(head, AU12=1.0)
    assert (smile[[48, 54], 1] > rest[[48, 54], 1] + 0.3).all()
    assert smile[54, 0] - smile[48, 0] > rest[54, 0] - rest[48, 0] + 0.3


MOVES = {  # unit: landmark, axis, sign of the movement
    "AU01": (21, 1, 1), "AU02": (18, 1, 1), "AU04": (21, 1, -1), "AU05": (37, 1, 1),
    "AU10": (51, 1, 1), "AU12": (48, 1, 1), "AU15": (48, 1, -1), "AU16": (57, 1, -1),
    "AU20": (48, 0, -1), "AU26": (8, 1, -1), "AU45": (37, 1, -1),
}  # fmt: skip


@pytest.mark.parametrize("unit", MOVES)
def test_each_unit_moves_the_skin_the_facs_manual_says(head, unit):
    point, axis, sign = MOVES[unit]
    moved = (marks(head, **{unit: 1.0}) - marks(head))[point]
    assert sign * moved[axis] > 0.12


def test_a_one_sided_unit_moves_the_persons_left_side_only(head):
    moved = np.linalg.norm(marks(head, AU12=(0.0, 1.0)) - marks(head), axis=1)
    right, left = moved[48], moved[54]  # corners of the mouth; the person's left has x > 0
    assert head.neutral[head.landmarks[54], 0] > 0
    assert left > 0.3
    assert right < 0.1 * left


def test_a_unit_without_sides_moves_by_its_stronger_side(head):
    assert np.array_equal(marks(head, AU26=(0.2, 0.5)), marks(head, AU26=0.5))


def test_every_unit_and_every_extra_moves_something(head):
    for unit in UNITS:
        assert np.any(head.weights(driven(**{unit: 0.5}), NO_EXTRAS, AHEAD) > 0)
    for i in range(len(EXTRAS)):
        extra = NO_EXTRAS.copy()
        extra[i] = 0.5
        assert np.count_nonzero(head.weights(driven(), extra, AHEAD)) == 1


def test_closing_lids_meet(head):
    rest, shut = marks(head), marks(head, AU45=1.0)
    gap = [np.linalg.norm(p[[37, 38]] - p[[41, 40]], axis=1).mean() for p in (rest, shut)]
    assert gap[1] < 0.3 * gap[0]


@pytest.mark.parametrize("axis", [0, 1])
def test_both_eyes_turn_to_the_persons_left_and_up_and_stay_in_their_sockets(head, axis):
    look = np.zeros(2, np.float32)
    look[axis] = 0.8
    shape = head.weights(driven(), NO_EXTRAS, AHEAD)
    ahead = head.expressed(head.neutral, shape, AHEAD)
    turned = head.expressed(head.neutral, shape, look)
    for shell in SCLERAS:
        plane = head.eye_plane[shell]
        iris = np.flatnonzero(np.hypot(plane[:, 0], plane[:, 1]) < 0.7) + shell.start
        shift = (turned[iris] - ahead[iris]).mean(axis=0)
        assert shift[axis] > 0.4
        assert abs(shift[1 - axis]) < 0.05
        middle = [(v[shell].min(axis=0) + v[shell].max(axis=0)) / 2 for v in (ahead, turned)]
        assert middle[1] == pytest.approx(middle[0], abs=0.15)


def test_the_lids_follow_the_eyes(head):
    lids = head.landmarks[[37, 38, 43, 44]]
    weights = head.weights(driven(), NO_EXTRAS, np.array([0.0, -0.8]))
    down = head.expressed(head.neutral, weights, AHEAD)
    assert (down[lids, 1] < head.neutral[lids, 1] - 0.1).all()


def test_lips_part_when_the_jaw_drops(head):
    gaps = [
        head.lip_gap_cm(
            head.expressed(head.neutral, head.weights(driven(AU26=jaw), NO_EXTRAS, AHEAD), AHEAD)
        )
        for jaw in (0.0, 0.5, 1.0)
    ]
    assert gaps[0] < 0.2
    assert gaps[1] > gaps[0] + 0.4
    assert gaps[2] > gaps[1] + 0.4


def test_normals_have_length_one_and_the_nose_looks_ahead(head):
    assert np.allclose(np.linalg.norm(head.normals[:11248], axis=1), 1, atol=1e-3)
    assert head.normals[head.landmarks[30], 2] > 0.6
