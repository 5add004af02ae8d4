import numpy as np
import pytest

from affect_kernels.similarity import cpu, reference


def random_rotation(rng):
    q, r = np.linalg.qr(rng.standard_normal((3, 3)))
    q *= np.sign(np.diag(r))
    q[:, 0] *= np.sign(np.linalg.det(q))
    return q


@pytest.fixture(params=[reference, cpu], ids=["reference", "cpu"])
def fit_similarity(request):
    return request.param.fit_similarity


def fit_one(fit_similarity, source, target):
    fit = fit_similarity(source, target[None])
    return fit, float(fit.scale[0]), fit.rotation[0], fit.translation[0]


def test_known_similarities_are_recovered_all_at_once(fit_similarity):
    rng = np.random.default_rng(0)
    source = rng.standard_normal((30, 3)) * 40
    rotations = np.array([random_rotation(rng) for _ in range(6)])
    scales, shifts = rng.uniform(0.1, 8, 6), rng.standard_normal((6, 3)) * 300
    targets = scales[:, None, None] * (source @ rotations.swapaxes(1, 2)) + shifts[:, None]
    fit = fit_similarity(source, targets)
    np.testing.assert_allclose(fit.scale, scales, rtol=1e-12)
    np.testing.assert_allclose(fit.rotation, rotations, atol=1e-12)
    np.testing.assert_allclose(fit.translation, shifts, atol=1e-9)
    np.testing.assert_allclose(fit.invert(targets), np.tile(source, (6, 1, 1)), atol=1e-9)


def test_no_small_change_of_the_answer_fits_noisy_points_better(fit_similarity):
    rng = np.random.default_rng(7)
    source = rng.standard_normal((20, 3))
    target = source @ random_rotation(rng).T * 2 + rng.standard_normal((20, 3)) * 0.1
    _, scale, rotation, translation = fit_one(fit_similarity, source, target)

    def error(scale, rotation, translation):
        return np.sum((scale * source @ rotation.T + translation - target) ** 2)

    best = error(scale, rotation, translation)
    for axis in range(3):
        for angle in (-1e-3, 1e-3):
            i, j = (axis + 1) % 3, (axis + 2) % 3
            sin, cos = np.sin(angle), np.cos(angle)
            turn = np.eye(3)
            turn[[i, i, j, j], [i, j, i, j]] = cos, -sin, sin, cos
            assert error(scale, turn @ rotation, translation) > best
        assert error(scale * (1 + 1e-3), rotation, translation) > best
        assert error(scale, rotation, translation + 1e-3 * np.eye(3)[axis]) > best


def test_a_mirrored_target_is_still_fitted_by_a_proper_rotation(fit_similarity):
    source = np.random.default_rng(3).standard_normal((12, 3))
    _, _, rotation, _ = fit_one(fit_similarity, source, source * [-1, 1, 1])
    assert np.linalg.det(rotation) == pytest.approx(1.0)


def test_flat_points_are_fitted_as_well(fit_similarity):
    rng = np.random.default_rng(4)
    source = rng.standard_normal((12, 3)) * [1, 1, 0]
    rotation = random_rotation(rng)
    np.testing.assert_allclose(
        fit_one(fit_similarity, source, source @ rotation.T)[2], rotation, atol=1e-9
    )


def test_no_targets_give_no_similarities(fit_similarity):
    fit = fit_similarity(np.eye(3), np.empty((0, 3, 3)))
    assert fit.scale.shape == (0,)
    assert fit.rotation.shape == (0, 3, 3)


def test_compiled_and_plain_are_equal_and_so_is_the_way_back():
    rng = np.random.default_rng(5)
    source, targets = rng.standard_normal((28, 3)), rng.standard_normal((3, 28, 3))
    plain, compiled = (f.fit_similarity(source, targets) for f in (reference, cpu))
    for wanted, found in zip(plain, compiled, strict=True):
        np.testing.assert_allclose(found, wanted, rtol=1e-10, atol=1e-12)
    points = targets.astype(np.float32)
    back = cpu.invert(compiled, points)
    assert back.dtype == np.float32
    np.testing.assert_allclose(back, plain.invert(points), rtol=1e-4, atol=1e-5)


def test_points_that_correspond_are_picked_from_others(fit_similarity):
    rng = np.random.default_rng(9)
    meshes, rows = rng.normal(0, 50, (3, 40, 3)).astype(np.float32), np.arange(2, 30, 3)
    source = rng.normal(0, 50, (len(rows), 3))
    found = fit_similarity(source, meshes, rows)
    for part, wanted in zip(found, fit_similarity(source, meshes[:, rows]), strict=True):
        np.testing.assert_allclose(part, wanted, rtol=1e-12)
