import numpy as np
import pytest

from affect_kernels.similarity import fit_similarity


def random_rotation(rng):
    q, r = np.linalg.qr(rng.standard_normal((3, 3)))
    q *= np.sign(np.diag(r))
    q[:, 0] *= np.sign(np.linalg.det(q))
    return q


@pytest.mark.parametrize("seed", range(5))
def test_a_known_similarity_is_recovered(seed):
    rng = np.random.default_rng(seed)
    source = rng.standard_normal((30, 3)) * 40
    rotation, scale, shift = random_rotation(rng), rng.uniform(0.1, 8), rng.standard_normal(3) * 300
    target = scale * source @ rotation.T + shift
    fit = fit_similarity(source, target)
    assert fit.scale == pytest.approx(scale, rel=1e-12)
    np.testing.assert_allclose(fit.rotation, rotation, atol=1e-12)
    np.testing.assert_allclose(fit.translation, shift, atol=1e-9)
    np.testing.assert_allclose(fit.invert(target), source, atol=1e-9)


def test_no_small_change_of_the_answer_fits_noisy_points_better():
    rng = np.random.default_rng(7)
    source = rng.standard_normal((20, 3))
    target = source @ random_rotation(rng).T * 2 + rng.standard_normal((20, 3)) * 0.1
    fit = fit_similarity(source, target)

    def error(scale, rotation, translation):
        return np.sum((scale * source @ rotation.T + translation - target) ** 2)

    best = error(*fit)
    for axis in range(3):
        for angle in (-1e-3, 1e-3):
            turn = np.eye(3)
            i, j = (axis + 1) % 3, (axis + 2) % 3
            turn[[i, i, j, j], [i, j, i, j]] = (
                np.cos(angle),
                -np.sin(angle),
                np.sin(angle),
                np.cos(angle),
            )
            assert error(fit.scale, turn @ fit.rotation, fit.translation) > best
        assert error(fit.scale * (1 + 1e-3), fit.rotation, fit.translation) > best
        assert error(fit.scale, fit.rotation, fit.translation + 1e-3 * np.eye(3)[axis]) > best


def test_a_mirrored_target_is_still_fitted_by_a_proper_rotation():
    rng = np.random.default_rng(3)
    source = rng.standard_normal((12, 3))
    fit = fit_similarity(source, source * [-1, 1, 1])
    assert np.linalg.det(fit.rotation) == pytest.approx(1.0)


def test_flat_points_are_fitted_as_well():
    rng = np.random.default_rng(4)
    source = rng.standard_normal((12, 3)) * [1, 1, 0]
    rotation = random_rotation(rng)
    fit = fit_similarity(source, source @ rotation.T)
    np.testing.assert_allclose(fit.rotation, rotation, atol=1e-9)
