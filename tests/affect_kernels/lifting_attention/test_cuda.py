"""The kernels of lifting by attention over the parameter table, on the CPU harness and on a GPU."""

import numpy as np
import pytest

from affect_kernels.errors import UsageError
from affect_kernels.lifting_attention import StepWeights, cuda, reference

CASES = [(1, 2, 96), (2, 9, 192), (1, 37, 96), (3, 1, 96)]  # samples, tokens, channels


def make(case, dtype, seed=0):
    n, tokens, c = case
    rng = np.random.default_rng(seed)
    bands = rng.normal(size=(2, n, tokens, c)).astype(dtype)
    shapes = [(c, c), (c,), (2 * c, c), (2 * c,), (c, c), (c,)]
    weights = StepWeights(*((rng.normal(size=s) / np.sqrt(c)).astype(dtype) for s in shapes))
    return *bands, weights


def assert_as_near(found, step, approx, detail, weights):
    """Err at most twice as much as the plain form does at the same precision."""
    heads = approx.shape[2] // 96
    parts = (getattr(weights, name).astype(np.float64) for name in StepWeights.__slots__)
    wide = approx.astype(np.float64), detail.astype(np.float64), StepWeights(*parts)
    exact = getattr(reference, step)(*wide, heads)
    plain = getattr(reference, step)(approx, detail, weights, heads)
    assert found.dtype == approx.dtype
    eps = np.finfo(approx.dtype).eps
    allowed = 2 * np.abs(plain - exact).max() + 2 * eps * np.abs(exact).max()
    assert np.abs(found - exact).max() <= allowed


@pytest.mark.parametrize("dtype", [np.float32, np.float16])
@pytest.mark.parametrize("step", ["update", "predict"])
@pytest.mark.parametrize("case", CASES)
def test_a_step_is_as_near_to_the_truth_as_the_plain_form_s(machine, case, step, dtype):
    arrays = make(case, dtype)
    assert_as_near(getattr(cuda, step)(machine.run, *arrays), step, *arrays)


@pytest.mark.parametrize("dtype", [np.float32, np.float16])
def test_one_block_does_all_phases_in_one_launch(machine, dtype):
    approx, detail, weights = make(CASES[1], dtype)
    found = machine.run(cuda.step(detail, approx, weights, -1.0, 1))
    np.testing.assert_array_equal(found["out"], cuda.predict(machine.run, approx, detail, weights))
    assert found["arrived"].tolist() == [2**31, 2**31]  # ready for the next launch


def test_blocks_cannot_wait_for_each_other_on_the_host(host):
    approx, detail, weights = make(CASES[0], np.float32)
    with pytest.raises(AssertionError, match="out of bounds"):
        host.run(cuda.step(approx, detail, weights, 1.0, 2))


@pytest.mark.gpu
def test_many_blocks_wait_for_each_other_on_the_gpu(gpu):
    approx, detail, weights = make((1, 196, 768), np.float16)
    found = gpu.run(cuda.step(approx, detail, weights, 1.0, 8))
    np.testing.assert_array_equal(found["out"], cuda.update(gpu.run, approx, detail, weights))
    assert found["arrived"].tolist() == [2**31, 2**31]


@pytest.mark.gpu
@pytest.mark.parametrize("dtype", [np.float32, np.float16])
@pytest.mark.parametrize("step", ["update", "predict"])
def test_the_published_size_is_lifted_on_the_gpu(gpu, step, dtype):
    arrays = make((4, 196, 768), dtype)
    assert_as_near(getattr(cuda, step)(gpu.run, *arrays), step, *arrays)


def test_what_the_kernels_do_not_take_is_refused():
    approx, detail, weights = make((1, 5, 96), np.float32)
    with pytest.raises(UsageError, match="mixed dtypes"):
        cuda.project(approx, detail.astype(np.float16), weights)
    with pytest.raises(UsageError, match="C a multiple of 96"):
        cuda.attend(approx[..., :64], detail)
    with pytest.raises(UsageError, match="bands to lift"):
        cuda.project(approx, detail[:, :4].copy(), weights)
