import numpy as np
import pytest

from affect_kernels.errors import UsageError
from affect_kernels.flow_features import compose, flow_features, optical_strain

Y, X = np.mgrid[:28, :28].astype(np.float64)


def flow_of(u, v):
    return np.stack([u + 0 * X, v + 0 * X], axis=-1)[None]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_shift_and_small_rotation_do_not_strain(dtype):
    rigid = flow_of(3.0 - 0.01 * Y, -2.0 + 0.01 * X).astype(dtype)
    strain = optical_strain(rigid)
    assert strain.dtype == dtype
    assert strain.shape == (1, 28, 28)
    assert np.abs(strain).max() < 1e-5


@pytest.mark.parametrize(
    ("u", "v", "wanted"),
    [
        (0.2 * X, 0, 0.2),  # u_x
        (0, -0.3 * Y, 0.3),  # v_y
        (0.2 * X, -0.3 * Y, np.hypot(0.2, 0.3)),
        (0.4 * Y, 0, 0.4 / np.sqrt(2)),  # u_y alone: half of it is turning
        (0.4 * Y, 0.4 * X, 0.8 / np.sqrt(2)),
    ],
)
def test_linear_flow_has_the_strain_of_its_gradient(u, v, wanted):
    np.testing.assert_allclose(optical_strain(flow_of(u, v)), wanted, rtol=1e-9)


def test_strain_follows_the_formula_on_a_smooth_flow():
    u, v = np.sin(X / 9) * np.cos(Y / 7), np.cos(X / 8 + Y / 11)
    ux, uy = np.cos(X / 9) / 9 * np.cos(Y / 7), -np.sin(X / 9) * np.sin(Y / 7) / 7
    vx, vy = -np.sin(X / 8 + Y / 11) / 8, -np.sin(X / 8 + Y / 11) / 11
    wanted = np.sqrt(ux**2 + vy**2 + 0.5 * (uy + vx) ** 2)
    inner = np.s_[0, 1:-1, 1:-1]
    error = np.abs(optical_strain(flow_of(u, v))[inner] - wanted[1:-1, 1:-1])
    assert error.max() < 2e-3  # what central differences leave at this wavelength


def test_features_are_the_flow_and_its_strain():
    flow = np.random.default_rng(0).normal(size=(3, 28, 28, 2)).astype(np.float32)
    features = flow_features(flow)
    np.testing.assert_array_equal(features[..., :2], flow)
    np.testing.assert_array_equal(features[..., 2], optical_strain(flow))


def test_composition_takes_rows_first_and_fills_row_by_row():
    images = np.arange(2 * 28 * 28 * 3).reshape(2, 28, 28, 3)
    corners = np.array(
        [[[7, 7], [7, 21], [21, 7], [21, 21]], [[9, 11], [21, 10], [15, 17], [10, 20]]]
    )
    whole, mixed = compose(images, corners)
    np.testing.assert_array_equal(whole, images[0])
    np.testing.assert_array_equal(mixed[:14, :14], images[1, 2:16, 4:18])
    np.testing.assert_array_equal(mixed[:14, 14:], images[1, 14:28, 3:17])
    np.testing.assert_array_equal(mixed[14:, :14], images[1, 8:22, 10:24])
    np.testing.assert_array_equal(mixed[14:, 14:], images[1, 3:17, 13:27])


@pytest.mark.parametrize(
    ("shape", "corner"), [((1, 28, 28, 3), 6), ((1, 28, 28, 3), 22), ((1, 28, 26, 3), 14)]
)
def test_crops_that_do_not_fit_are_refused(shape, corner):
    with pytest.raises(UsageError, match="crops to compose"):
        compose(np.zeros(shape), np.full((1, 4, 2), corner))


def test_one_flow_without_its_batch_is_refused():
    with pytest.raises(UsageError, match="batch of one"):
        optical_strain(np.zeros((28, 28, 2)))
