"""The flow kernel over the parameter table, on the CPU harness and on a GPU."""

import numpy as np
import pytest

from affect_kernels.errors import UsageError
from affect_kernels.flow_features import cuda, reference

SHAPES = [(1, 2, 2), (2, 28, 28), (1, 5, 9), (3, 8, 8)]


def make(shape, dtype, seed=0):
    rng = np.random.default_rng(seed)
    n, height, width = shape
    reach = height // 4
    corners = rng.integers(reach, height - reach + 1, (n, 4, 2))
    return rng.normal(size=(n, height, width, 2)).astype(dtype), corners


@pytest.mark.parametrize("dtype", [np.float32, np.float16])
@pytest.mark.parametrize("shape", SHAPES)
def test_features_are_as_near_to_the_truth_as_the_plain_form_s(machine, shape, dtype):
    flow, corners = make(shape, dtype)
    square = shape[1] == shape[2] and shape[1] % 4 == 0
    launches = {"flow_features": (cuda.features(flow), ())}
    if square:
        launches["composed_features"] = cuda.composed_features(flow, corners), (corners,)
    for name, (launch, more) in launches.items():
        found = machine.run(launch)["out"]
        exact = getattr(reference, name)(flow.astype(np.float64), *more)
        plain = getattr(reference, name)(flow, *more)
        assert found.dtype == dtype
        allowed = 2 * np.abs(plain - exact).max() + 2 * np.finfo(dtype).eps
        assert np.abs(found - exact).max() <= allowed


@pytest.mark.gpu
def test_a_huge_batch_of_flows_is_composed_on_the_gpu(gpu):
    flow, corners = make((4096, 28, 28), np.float32)
    found = gpu.run(cuda.composed_features(flow, corners))["out"]
    exact = reference.composed_features(flow.astype(np.float64), corners)
    assert np.abs(found - exact).max() < 2e-6


def test_what_the_kernel_does_not_take_is_refused():
    flow, corners = make((1, 28, 28), np.float32)
    with pytest.raises(UsageError, match="flow on a GPU"):
        cuda.features(flow.astype(np.float64))
    with pytest.raises(UsageError, match="flow to strain"):
        cuda.features(flow[0])
    with pytest.raises(UsageError, match="crops to compose"):
        cuda.composed_features(flow, corners + 40)
