"""The pooling kernel over the parameter table, on the CPU harness and on a GPU."""

from dataclasses import replace

import numpy as np
import pytest

from affect_kernels.errors import UsageError
from affect_kernels.pool_norm import cuda, reference

# samples, heads, grid, stride
CASES = [
    (1, 1, (2, 1, 1), 1), (2, 3, (2, 5, 7), 2), (1, 2, (3, 7, 7), 1), (1, 2, (3, 9, 13), 4),
    (1, 1, (3, 16, 16), 8),
]  # fmt: skip


def make(case, dtype, parts=3, seed=0):
    n, heads, grid, stride = case
    rng = np.random.default_rng(seed)
    shapes = (n, 1 + np.prod(grid), parts, heads, 96), (3, 3, 3, 96), (96,), (96,)
    return [rng.normal(size=shape).astype(dtype) for shape in shapes], grid, stride


@pytest.mark.parametrize("dtype", [np.float32, np.float16])
@pytest.mark.parametrize("case", CASES)
def test_pooled_tokens_are_as_near_to_the_truth_as_the_plain_form_s(machine, case, dtype):
    (projected, *weights), grid, stride = make(case, dtype)
    wide = [a.astype(np.float64) for a in (projected, *weights)]
    for part in (0, 2):
        exact = reference.pool_norm(wide[0][:, :, part], *wide[1:], grid, stride)
        plain = reference.pool_norm(projected[:, :, part], *weights, grid, stride)
        found = machine.run(cuda.pool(projected, part, *weights, grid, stride))["out"]
        assert found.dtype == dtype
        allowed = 2 * np.abs(plain - exact).max() + 2 * np.finfo(dtype).eps * np.abs(exact).max()
        assert np.abs(found - exact).max() <= allowed


def test_a_block_that_goes_round_pools_as_many_blocks_do(machine):
    (projected, *weights), grid, stride = make((1, 1, (2, 9, 9), 1), np.float32)
    launch = cuda.pool(projected, 1, *weights, grid, stride)
    assert launch.grid[0] == 4
    lone = replace(launch, grid=(1, *launch.grid[1:]))
    np.testing.assert_array_equal(machine.run(lone)["out"], machine.run(launch)["out"])
    crowd = np.zeros((1100, *projected.shape[1:]), np.float32)
    assert cuda.pool(crowd, 1, *weights, grid, stride).grid[0] == 1  # a round more a block


@pytest.mark.gpu
def test_a_huge_projection_is_pooled_on_the_gpu(gpu):
    (projected, *weights), grid, stride = make((2, 1, (8, 56, 56), 1), np.float32)
    exact = reference.pool_norm(
        projected[:, :, 1].astype(np.float64), *(a.astype(np.float64) for a in weights), grid, 1
    )
    found = gpu.run(cuda.pool(projected, 1, *weights, grid, stride))["out"]
    assert np.abs(found - exact).max() < 2e-5


def test_what_the_kernel_does_not_take_is_refused():
    (projected, *weights), grid, stride = make(CASES[1], np.float32)
    for wrong, part in ((projected.astype(np.float64), 0), (projected[..., :8], 0), (projected, 3)):
        with pytest.raises(UsageError, match="projection to pool on a GPU"):
            cuda.pool(wrong, part, *weights, grid, stride)
    with pytest.raises(UsageError, match="tokens to pool"):
        cuda.pool(projected[:, 1:].copy(), 0, *weights, grid, stride)
