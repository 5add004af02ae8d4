"""One table of parameters for the plain and the compiled form."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from affect_kernels.errors import UsageError
from affect_kernels.pool_norm import pooled_grid, reference


def compiled():
    from affect_kernels.pool_norm import cpu

    return cpu


FORMS = {"reference": lambda: reference, "cpu": compiled}
# samples, heads, channels, grid, stride
CASES = [
    (1, 1, 96, (2, 1, 1), 1), (2, 3, 8, (2, 5, 7), 2), (1, 2, 96, (8, 7, 7), 1),
    (1, 2, 5, (3, 9, 13), 4), (1, 1, 96, (3, 16, 16), 8), (3, 1, 1, (1, 2, 3), 3),
]  # fmt: skip


def make(case, dtype=np.float64, seed=0):
    n, heads, channels, grid, stride = case
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, 1 + np.prod(grid), heads, channels))
    parts = (
        x,
        rng.normal(size=(3, 3, 3, channels)),
        rng.normal(size=channels),
        rng.normal(size=channels),
    )
    return [part.astype(dtype) for part in parts], grid, stride


def within_twice(found, plain, exact):
    """Is a result as near to the truth as twice the plain one's error?"""
    allowed = 2 * np.abs(plain - exact).max() + 2 * np.finfo(plain.dtype).eps * np.abs(exact).max()
    return found.dtype == plain.dtype and np.abs(found - exact).max() <= allowed


@pytest.fixture(params=FORMS)
def form(request):
    return FORMS[request.param]()


@pytest.mark.parametrize("dtype", [np.float16, np.float32])
@pytest.mark.parametrize("case", CASES)
def test_every_form_is_as_near_to_the_truth_as_the_plain_one(form, case, dtype):
    arrays, grid, stride = make(case, dtype)
    exact = reference.pool_norm(*(a.astype(np.float64) for a in arrays), grid, stride)
    plain = reference.pool_norm(*arrays, grid, stride)
    assert within_twice(form.pool_norm(*arrays, grid, stride), plain, exact)


def test_it_is_a_convolution_of_each_channel_and_a_norm_of_each_token(form):
    (x, kernel, scale, shift), grid, stride = make((1, 2, 6, (3, 5, 4), 2))
    found = form.pool_norm(x, kernel, scale, shift, grid, stride, 1e-3)
    volume = x[0, 1:, 1].reshape(*grid, 6)
    around = np.pad(volume, ((1, 1), (1, 1), (1, 1), (0, 0)))
    t, h, w = 2, 1, 0
    token = np.einsum(
        "abcd,abcd->d", kernel, around[t : t + 3, 2 * h : 2 * h + 3, 2 * w : 2 * w + 3]
    )
    assert pooled_grid(grid, stride) == (3, 3, 2)
    for pooled, row in ((token, 1 + (t * 3 + h) * 2 + w), (x[0, 0, 1], 0)):
        wanted = (pooled - pooled.mean()) / np.sqrt(pooled.var() + 1e-3) * scale + shift
        np.testing.assert_allclose(found[0, 1, row], wanted, atol=1e-12)


def test_a_part_of_a_projection_is_pooled_as_it_lies(form):
    (x, *weights), grid, stride = make((1, 2, 8, (2, 4, 4), 1))
    projected = np.stack([x, 2 * x, 3 * x], axis=2)
    found = form.pool_norm(projected[:, :, 1], *weights, grid, stride)
    np.testing.assert_array_equal(found, form.pool_norm(2 * x, *weights, grid, stride))


def test_another_number_of_tokens_is_refused(form):
    (x, *weights), grid, stride = make((1, 2, 8, (2, 4, 4), 1))
    with pytest.raises(UsageError, match="tokens to pool"):
        form.pool_norm(x[:, 1:], *weights, grid, stride)


@pytest.mark.parametrize("stride", [1, 2])
def test_it_is_what_the_published_module_computes(form, stride):
    torch = pytest.importorskip("torch", reason="torch is not installed: make training")
    from training.ifdd.backbone import Pool

    torch.manual_seed(stride)
    pool = Pool(stride)
    torch.nn.init.normal_(pool.norm_act[0].weight)
    torch.nn.init.normal_(pool.norm_act[0].bias)
    (x, *_), grid, _ = make((1, 2, 96, (8, 6, 6), stride), np.float32)
    with torch.no_grad():
        wanted = pool(torch.from_numpy(x.transpose(0, 2, 1, 3).copy()), grid).numpy()
    kernel = pool.pool.weight.detach().numpy()[:, 0].transpose(1, 2, 3, 0)
    norm = pool.norm_act[0]
    found = form.pool_norm(
        x, kernel, norm.weight.detach().numpy(), norm.bias.detach().numpy(), grid, stride
    )
    assert np.abs(found - wanted).max() < 2e-5 * np.abs(wanted).max()


def test_many_threads_get_the_same(form):
    inputs = [make(CASES[1], np.float32, k) for k in range(8)]

    def run(made):
        arrays, grid, stride = made
        return form.pool_norm(*arrays, grid, stride)

    alone = [run(made) for made in inputs]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(run, inputs))
    for one, other in zip(alone, together, strict=True):
        np.testing.assert_array_equal(one, other)
