import numpy as np
import pytest

from training.synthetic.faces import SCLERAS, make_person

AHEAD = np.zeros(2, np.float32)


def marks(head, units):
    """The 68 landmarks of the average head, x to its own left, y up, z to the viewer, in cm."""
    return head.expressed(head.neutral, head.weights(units, AHEAD), AHEAD)[head.landmarks]


def test_no_unit_leaves_the_face_at_rest(head):
    assert np.array_equal(marks(head, {}), head.neutral[head.landmarks])


def test_a_smile_lifts_and_widens_the_corners_of_the_mouth(head):
    rest, smile = marks(head, {}), marks(head, {"AU12": 1.0})
    assert (smile[[48, 54], 1] > rest[[48, 54], 1] + 0.3).all()
    assert smile[54, 0] - smile[48, 0] > rest[54, 0] - rest[48, 0] + 0.3


def test_a_one_sided_unit_moves_the_persons_left_side_only(head):
    moved = np.linalg.norm(marks(head, {"AU12": (0.0, 1.0)}) - marks(head, {}), axis=1)
    right, left = moved[48], moved[54]  # corners of the mouth; the person's left has x > 0
    assert head.neutral[head.landmarks[54], 0] > 0
    assert left > 0.3
    assert right < 0.1 * left


def test_a_unit_without_sides_moves_by_its_stronger_side(head):
    assert np.array_equal(marks(head, {"AU26": (0.2, 0.5)}), marks(head, {"AU26": 0.5}))


def test_closing_lids_meet(head):
    rest, shut = marks(head, {}), marks(head, {"AU45": 1.0})
    gap = [np.linalg.norm(p[[37, 38]] - p[[41, 40]], axis=1).mean() for p in (rest, shut)]
    assert gap[1] < 0.3 * gap[0]


@pytest.mark.parametrize("axis", [0, 1])
def test_both_eyes_turn_to_the_persons_left_and_up_and_stay_in_their_sockets(head, axis):
    look = np.zeros(2, np.float32)
    look[axis] = 0.8
    shape, nothing = head.weights({}, AHEAD), np.zeros(2, np.float32)
    ahead = head.expressed(head.neutral, shape, nothing)
    turned = head.expressed(head.neutral, shape, look)
    for shell in SCLERAS:
        iris = np.flatnonzero(head.iris[shell]) + shell.start
        shift = (turned[iris] - ahead[iris]).mean(axis=0)
        assert shift[axis] > 0.4
        assert abs(shift[1 - axis]) < 0.05
        middle = [(v[shell].min(axis=0) + v[shell].max(axis=0)) / 2 for v in (ahead, turned)]
        assert middle[1] == pytest.approx(middle[0], abs=0.15)


def test_the_lids_follow_the_eyes(head):
    lids = head.landmarks[[37, 38, 43, 44]]
    down = head.expressed(head.neutral, head.weights({}, np.array([0.0, -0.8])), AHEAD)
    assert (down[lids, 1] < head.neutral[lids, 1] - 0.1).all()


def test_hair_grows_on_the_scalp_and_not_on_the_face(head):
    assert head.scalp[head.landmarks].max() == 0
    assert (head.scalp > 0.5).sum() > 500


def test_people_differ_and_the_same_seed_is_the_same_person(head):
    from training.synthetic.demo import ROLES

    first, again, other = (make_person(head, ROLES[i].look) for i in (0, 0, 1))
    assert np.array_equal(first.base, again.base)
    assert np.array_equal(first.albedo, again.albedo)
    shapes = np.abs(first.base - other.base)[head.landmarks]
    assert shapes.max() > 0.2
    assert first.albedo[head.landmarks].mean() > 1.5 * other.albedo[head.landmarks].mean()
