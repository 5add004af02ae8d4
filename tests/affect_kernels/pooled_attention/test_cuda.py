"""The attention kernel over the parameter table, on the CPU harness and on a GPU."""

from math import prod

import numpy as np
import pytest

from affect_kernels.errors import UsageError
from affect_kernels.pooled_attention import cuda, reference

# samples, heads, grid of queries, grid of keys
CASES = [
    (1, 1, (2, 1, 1), (2, 1, 1)), (2, 2, (2, 3, 5), (2, 1, 5)), (1, 1, (3, 5, 5), (3, 5, 5)),
    (1, 1, (2, 9, 3), (2, 3, 9)), (1, 1, (1, 2, 2), (1, 10, 26)),
]  # fmt: skip


def make(case, dtype, seed=0):
    n, heads, grid_q, grid_k = case
    rng = np.random.default_rng(seed)
    q = rng.normal(size=(n, heads, 1 + prod(grid_q), 96)).astype(dtype)
    k, v = rng.normal(size=(2, n, heads, 1 + prod(grid_k), 96)).astype(dtype)
    tables = tuple(
        (rng.normal(size=(2 * max(a, b) - 1, 96)) / np.sqrt(96)).astype(dtype)
        for a, b in zip(grid_q, grid_k, strict=True)
    )
    return q, k, v, tables, grid_q, grid_k


def assert_as_near(found, arrays):
    """Err at most twice as much as the plain form does at the same precision."""
    q, k, v, tables, *grids = arrays
    wide = (a.astype(np.float64) for a in (q, k, v))
    exact = reference.pooled_attention(*wide, tuple(t.astype(np.float64) for t in tables), *grids)
    plain = reference.pooled_attention(*arrays)
    assert found.dtype == q.dtype
    allowed = 2 * np.abs(plain - exact).max() + 2 * np.finfo(q.dtype).eps * np.abs(exact).max()
    assert np.abs(found - exact).max() <= allowed


@pytest.mark.parametrize("dtype", [np.float32, np.float16])
@pytest.mark.parametrize("case", CASES)
def test_what_is_attended_to_is_as_near_to_the_truth_as_the_plain_form_s(machine, case, dtype):
    arrays = make(case, dtype)
    assert_as_near(machine.run(cuda.attend(*arrays))["out"], arrays)


def test_large_logits_leave_the_nearest_key(machine):
    q, k, v, tables, *grids = make((1, 1, (1, 6, 8), (1, 6, 8)), np.float16)
    k = (k + 30 * q).astype(np.float16)  # each query's own key by far the nearest
    found = machine.run(cuda.attend(q, k, v, tables, *grids))["out"][:, :, 0]
    nearest = v[:, 0] + np.concatenate([0 * q[:, 0, :1], q[:, 0, 1:]], axis=1)
    np.testing.assert_allclose(found, nearest, atol=0.01)


@pytest.mark.gpu
@pytest.mark.parametrize("dtype", [np.float32, np.float16])
@pytest.mark.parametrize(
    ("heads", "grid_q", "grid_k"),
    [(2, (8, 28, 28), (8, 14, 14)), (4, (8, 14, 14), (8, 7, 7)), (8, (8, 7, 7), (8, 14, 14))],
)
def test_the_published_blocks_are_attended_on_the_gpu(gpu, heads, grid_q, grid_k, dtype):
    arrays = make((1, heads, grid_q, grid_k), dtype)
    assert_as_near(gpu.run(cuda.attend(*arrays))["out"], arrays)


def test_what_the_kernel_does_not_take_is_refused():
    q, k, v, tables, *grids = make(CASES[1], np.float32)
    with pytest.raises(UsageError, match="mixed dtypes"):
        cuda.attend(q, k, v.astype(np.float16), tables, *grids)
    few = [a[..., :8].copy() for a in (q, k, v)]
    with pytest.raises(UsageError, match="96 channels"):
        cuda.attend(*few, tuple(table[:, :8].copy() for table in tables), *grids)
    with pytest.raises(UsageError, match="49 places"):
        cuda.attend(*make((1, 1, (1, 1, 1), (1, 16, 32)), np.float32))
    with pytest.raises(UsageError, match="tokens to attend"):
        cuda.attend(q[:, :, 1:], k, v, tables, *grids)
