import numpy as np
import pytest

from affect_kernels.excursion_scores import cpu, reference


@pytest.fixture
def moment():
    """Displacements, doubts, filters and thresholds of 18 regions at four scales."""
    rng = np.random.default_rng(5)
    filters = rng.normal(0, 0.2, (4, 41))
    filters[0, :20] = 0.0
    places, doubts = rng.normal(0, 0.01, (41, 18, 2)), rng.uniform(1, 4, (5, 18))
    return places, doubts, filters, rng.uniform(0.004, 0.01, (4, 18))


def same(moment):
    for found, wanted in zip(
        cpu.score_moment(*moment), reference.score_moment(*moment), strict=True
    ):
        np.testing.assert_allclose(found, wanted, rtol=1e-12)


def test_the_compiled_form_answers_as_the_plain_one(moment):
    same(moment)


def test_a_region_that_cannot_be_judged_scores_nothing(moment):
    moment[1][2, 3:] = np.inf
    same(moment)
    assert not cpu.score_moment(*moment).judged
    moment[1][2, 1:] = np.inf  # a single region is left
    assert cpu.score_moment(*moment).scores.tolist() == [0.0] * 4


@pytest.mark.parametrize("lost", [1, 2])
def test_regions_that_are_no_numbers_rank_as_in_the_plain_form(moment, lost):
    moment[0][30, :lost] = np.nan
    same(moment)


def test_one_region_that_moves_alone_scores_no_more_than_the_next(moment):
    before = cpu.score_moment(*moment).scores
    moment[0][:, 4] *= 1000.0
    after = cpu.score_moment(*moment).scores
    assert (after <= np.maximum(before, after) + 1e-12).all()
    assert (after < 50 * before).all()
