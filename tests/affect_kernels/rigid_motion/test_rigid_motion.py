import numpy as np
import pytest

from affect_kernels.rigid_motion import cpu, reference

MOTION = np.array([1.5, -0.7, 0.004, 0.01, 0.03, -0.02])


@pytest.fixture
def head():
    """Basis of 70 points, and a motion that every seventh does not follow."""
    rng = np.random.default_rng(2)
    basis = reference.rigid_basis(rng.normal(0, 30, (70, 2)), rng.normal(0, 10, 70))
    moves = basis @ MOTION + rng.normal(0, 0.01, (70, 2))
    moves[::7] += 3.0
    return moves.astype(np.float32), basis


@pytest.mark.parametrize("form", [reference, cpu])
def test_the_motion_that_most_points_follow_is_found(head, form):
    np.testing.assert_allclose(form.fit_rigid(*head), MOTION, atol=5e-3)


@pytest.mark.parametrize("form", [reference, cpu])
def test_what_is_left_is_what_a_point_does_by_itself(head, form):
    left, rigid, misfit = form.take_off_rigid(*head, 55)
    np.testing.assert_allclose(rigid, MOTION, atol=5e-3)
    np.testing.assert_allclose(left[::7], 3.0, atol=0.5)
    assert misfit < 0.05


def test_the_compiled_form_answers_as_the_plain_one(head):
    for wanted, found in zip(
        reference.take_off_rigid(*head, 55), cpu.take_off_rigid(*head, 55), strict=True
    ):
        np.testing.assert_allclose(found, wanted, rtol=1e-9, atol=1e-12)


def test_points_that_are_no_numbers_give_none_and_end(head):
    moves, basis = head
    moves[:] = np.nan
    assert np.isnan(cpu.fit_rigid(moves, basis)).all()
