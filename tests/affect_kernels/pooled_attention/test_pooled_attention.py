"""One table of parameters for the plain and the compiled form."""

from concurrent.futures import ThreadPoolExecutor
from math import prod

import numpy as np
import pytest

from affect_kernels.errors import UsageError
from affect_kernels.pooled_attention import reference, relative_rows


def compiled():
    from affect_kernels.pooled_attention import cpu

    return cpu


FORMS = {"reference": lambda: reference, "cpu": compiled}
# samples, heads, channels, grid of queries, grid of keys
CASES = [
    (1, 1, 96, (2, 1, 1), (2, 1, 1)), (2, 3, 8, (2, 3, 5), (2, 1, 5)),
    (1, 1, 96, (2, 9, 3), (2, 3, 9)), (1, 2, 16, (3, 7, 7), (3, 7, 7)),
    (1, 1, 16, (1, 14, 7), (1, 7, 14)),
]  # fmt: skip


def make(case, dtype=np.float64, seed=0):
    n, heads, channels, grid_q, grid_k = case
    rng = np.random.default_rng(seed)
    q = rng.normal(size=(n, heads, 1 + prod(grid_q), channels)).astype(dtype)
    k, v = rng.normal(size=(2, n, heads, 1 + prod(grid_k), channels)).astype(dtype)
    tables = tuple(
        (rng.normal(size=(2 * max(a, b) - 1, channels)) / np.sqrt(channels)).astype(dtype)
        for a, b in zip(grid_q, grid_k, strict=True)
    )
    return q, k, v, tables, grid_q, grid_k


def widened(q, k, v, tables, *grids):
    q, k, v, *tables = (a.astype(np.float64) for a in (q, k, v, *tables))
    return q, k, v, tuple(tables), *grids


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
    arrays = make(case, dtype)
    exact = reference.pooled_attention(*widened(*arrays))
    plain = reference.pooled_attention(*arrays)
    assert within_twice(form.pooled_attention(*arrays), plain, exact)


def test_one_query_is_attended_as_the_equations_say(form):
    q, k, v, tables, grid_q, grid_k = make((1, 1, 4, (2, 4, 2), (2, 2, 4)))
    found = form.pooled_attention(q, k, v, tables, grid_q, grid_k)
    (t, h, w), row = (1, 3, 0), 1 + 1 * 8 + 3 * 2
    query, logits = q[0, 0, row], []
    for j, key in enumerate(k[0, 0]):
        logit = query @ key / 2  # the root of four channels
        if j > 0:
            tk, rest = divmod(j - 1, 8)
            hk, wk = divmod(rest, 4)
            # Two rows of queries to one of keys; two columns of keys to one of queries.
            rows = t - tk + 1, h - 2 * (hk - 1), 2 * w - (wk - 3)
            logit += sum(query @ table[r] for table, r in zip(tables, rows, strict=True))
        logits.append(logit)
    shares = np.exp(logits) / np.exp(logits).sum()
    np.testing.assert_allclose(found[0, row, 0], shares @ v[0, 0] + query, atol=1e-12)
    shares = np.exp(k[0, 0] @ q[0, 0, 0] / 2)
    np.testing.assert_allclose(found[0, 0, 0], shares / shares.sum() @ v[0, 0], atol=1e-12)


def test_large_logits_do_not_overflow(form):
    q, k, v, *rest = make((1, 1, 96, (2, 3, 3), (2, 3, 3)), np.float32)
    found = form.pooled_attention(40 * q, 40 * k, v, *rest)
    assert np.isfinite(found).all()


@pytest.mark.parametrize(("queries", "keys"), [(8, 8), (56, 7), (7, 14), (1, 5)])
def test_a_relative_row_lies_in_its_table(queries, keys):
    rows = relative_rows(queries, keys)
    assert rows.min() == 0
    assert rows.max() <= 2 * max(queries, keys) - 2


@pytest.mark.parametrize("grid_k", [(2, 3, 4), (2, 2, 4)])
def test_grids_that_do_not_fit_are_refused(form, grid_k):
    q, k, v, tables, grid_q, _ = make((1, 1, 4, (2, 4, 2), (2, 2, 4)))
    tables = tables if grid_k[1] == 3 else tables[::-1]
    with pytest.raises(UsageError, match="tokens to attend"):
        form.pooled_attention(q, k, v, tables, grid_q, grid_k)


def test_it_is_what_the_published_module_computes(form):
    torch = pytest.importorskip("torch", reason="torch is not installed: make training")
    from training.ifdd.backbone import Attention, BlockShape

    torch.manual_seed(3)
    shape = BlockShape(96, 192, (3, 8, 8), 2, 4, 0.0)
    attention = Attention(shape).eval()
    for axis in "thw":
        torch.nn.init.normal_(getattr(attention, f"rel_pos_{axis}"), std=0.1)
    x = torch.randn(1, 1 + prod(shape.grid), shape.inward)
    # What the module computes up to its last layer, which is made to pass it through.
    attention.project[0].weight = torch.nn.Parameter(torch.eye(shape.outward))
    torch.nn.init.zeros_(attention.project[0].bias)
    with torch.no_grad():
        q, k, v = (part.numpy() for part in attention.queries_keys_values(x))
        wanted = attention(x).numpy()
    tables = tuple(getattr(attention, f"rel_pos_{axis}").detach().numpy() for axis in "thw")
    found = form.pooled_attention(q, k, v, tables, shape.grid_q, shape.grid_kv)
    assert np.abs(found.reshape(wanted.shape) - wanted).max() < 2e-5 * np.abs(wanted).max()


def test_many_threads_get_the_same(form):
    inputs = [make(CASES[1], np.float32, k) for k in range(8)]
    alone = [form.pooled_attention(*arrays) for arrays in inputs]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda arrays: form.pooled_attention(*arrays), inputs))
    for one, other in zip(alone, together, strict=True):
        np.testing.assert_array_equal(one, other)
