"""The compiled form against the plain one."""

import numpy as np
import pytest

from affect_kernels.errors import UsageError
from affect_kernels.flow_features import cpu, reference

CASES = [(1, 2, 2), (2, 28, 28), (1, 5, 9), (3, 8, 8)]


def make(shape, dtype, seed=0):
    rng = np.random.default_rng(seed)
    n, height, width = shape
    reach = height // 4
    corners = rng.integers(reach, height - reach + 1, (n, 4, 2))
    return rng.normal(size=(n, height, width, 2)).astype(dtype), corners


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("shape", CASES)
def test_the_compiled_features_are_as_near_to_the_truth_as_the_plain_ones(shape, dtype):
    flow, corners = make(shape, dtype)
    forms = [("flow_features", ())]
    if shape[1] == shape[2] and shape[1] % 4 == 0:
        forms.append(("composed_features", (corners,)))
    for name, more in forms:
        exact = getattr(reference, name)(flow.astype(np.longdouble), *more)
        plain = getattr(reference, name)(flow, *more)
        found = getattr(cpu, name)(flow, *more)
        assert found.dtype == dtype
        allowed = 2 * np.abs(plain - exact).max() + 2 * np.finfo(dtype).eps
        assert np.abs(found - exact).max() <= allowed


def test_flow_and_corners_that_do_not_fit_are_refused():
    flow, corners = make((1, 28, 28), np.float32)
    with pytest.raises(UsageError, match="flow to strain"):
        cpu.flow_features(flow[0])
    with pytest.raises(UsageError, match="crops to compose"):
        cpu.composed_features(flow, corners + 40)


def test_it_composes_as_the_published_code(shared_golden):
    path = shared_golden / "htnet" / "golden_compose.npz"
    if not path.is_file():
        pytest.skip("the golden data of HTNet is not on this machine")
    with np.load(path) as golden:
        image = golden["image"][None].astype(np.float64)
        for at, wanted in zip(golden["centres_xy"], golden["composed"], strict=True):
            corners = at[[0, 1, 3, 4]][None]
            np.testing.assert_array_equal(reference.compose(image, corners)[0], wanted)
            # The compiled form composes what it computes: u and v are the golden channels.
            found = cpu.composed_features(np.ascontiguousarray(image[..., :2]), corners)
            np.testing.assert_array_equal(found[0, ..., :2], wanted[..., :2])
