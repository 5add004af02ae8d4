"""One table of parameters for the plain and the compiled form."""

import json
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from affect_kernels.errors import UsageError
from affect_kernels.lifting_attention import StepWeights, reference


def compiled():
    from affect_kernels.lifting_attention import cpu

    return cpu


FORMS = {"reference": lambda: reference, "cpu": compiled}
# samples, tokens, channels, heads
CASES = [(1, 2, 96, 1), (2, 9, 192, 2), (1, 33, 24, 3), (3, 1, 8, 2)]


def make(case, dtype=np.float64, seed=0):
    n, tokens, c, heads = case
    rng = np.random.default_rng(seed)
    bands = rng.normal(size=(2, n, tokens, c)).astype(dtype)
    shapes = [(c, c), (c,), (2 * c, c), (2 * c,), (c, c), (c,)]
    weights = StepWeights(*((rng.normal(size=s) / np.sqrt(c)).astype(dtype) for s in shapes))
    return *bands, weights, heads


def widened(approx, detail, weights, heads):
    parts = (getattr(weights, name).astype(np.float64) for name in StepWeights.__slots__)
    return approx.astype(np.float64), detail.astype(np.float64), StepWeights(*parts), heads


def within_twice(found, plain, exact):
    """Is a result as near to the truth as twice the plain one's error?"""
    allowed = 2 * np.abs(plain - exact).max() + 2 * np.finfo(plain.dtype).eps * np.abs(exact).max()
    return found.dtype == plain.dtype and np.abs(found - exact).max() <= allowed


@pytest.fixture(params=FORMS)
def form(request):
    return FORMS[request.param]()


@pytest.mark.parametrize("dtype", [np.float16, np.float32])
@pytest.mark.parametrize("step", ["update", "predict"])
@pytest.mark.parametrize("case", CASES)
def test_every_form_is_as_near_to_the_truth_as_the_plain_one(form, case, step, dtype):
    arrays = make(case, dtype)
    exact = getattr(reference, step)(*widened(*arrays))
    plain = getattr(reference, step)(*arrays)
    assert within_twice(getattr(form, step)(*arrays), plain, exact)


def test_a_token_gets_what_it_attends_to_and_the_value_of_its_own_place(form):
    approx, detail, w, _ = make((1, 5, 4, 1))
    q = w.query @ approx[0, 3] + w.query_bias
    both = detail[0] @ w.key_value.T + w.key_value_bias
    shares = np.exp(both[:, :4] @ q / 2)
    mixed = shares / shares.sum() @ both[:, 4:] + both[3, 4:]
    wanted = approx[0, 3] + w.project @ mixed + w.project_bias
    np.testing.assert_allclose(form.update(approx, detail, w, 1)[0, 3], wanted, atol=1e-12)


def test_a_prediction_is_taken_away_as_an_update_is_added(form):
    approx, detail, weights, heads = make((1, 9, 16, 4))
    added = form.update(approx, detail, weights, heads) - approx
    taken = approx - form.predict(detail, approx, weights, heads)
    np.testing.assert_allclose(added, taken, atol=1e-12)


def test_bands_of_another_length_are_refused(form):
    approx, detail, weights, heads = make((1, 9, 16, 4))
    with pytest.raises(UsageError, match="bands to lift"):
        form.update(approx, detail[:, :8], weights, heads)


def test_the_steps_are_ifdd_s(form, shared_golden):
    from affect_kernels.lifting import adaptive_split
    from affect_kernels.pool_norm import layer_norm

    folder = shared_golden / "ifdd"
    if not folder.is_dir():
        pytest.skip("the golden data of IFDD is not on this machine")
    with (
        np.load(folder / "clip0_seed11.npz") as golden,
        np.load(folder / "weights_q8.npz") as stored,
    ):
        exponents = json.loads(str(stored["__exps__"]))

        def weight(name):
            key = f"backbone.WaveLifts.{name}"
            return np.ldexp(stored[key].astype(np.float32), -exponents[key])

        x = np.ascontiguousarray(golden["catconv"].reshape(8, 768, 49).transpose(0, 2, 1))
        times = golden["issm_index_approx"][0], golden["issm_index_detail"][0]
        approx, detail = (
            layer_norm(band.reshape(1, 196, 768), weight(f"{n}.weight"), weight(f"{n}.bias"), 1e-5)
            for band, n in zip(adaptive_split(x, *times), ("xa_norm", "xd_norm"), strict=True)
        )
        weights = [
            StepWeights(*(weight(f"{n}.{kind}") for n in names for kind in ("weight", "bias")))
            for names in (("q_a", "kv_d", "project_a.0"), ("q_d", "kv_a", "project_d.0"))
        ]
        approx = form.update(approx, detail, weights[0])
        detail = form.predict(approx, detail, weights[1])
        for found, name in ((approx, "xa_after_updater"), (detail, "xd_after_predictor")):
            assert np.abs(found - golden[name]).max() <= 1e-5 * np.abs(golden[name]).max()


def test_many_threads_get_the_same(form):
    inputs = [make(CASES[1], np.float32, k) for k in range(8)]
    alone = [form.update(*arrays) for arrays in inputs]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda arrays: form.update(*arrays), inputs))
    for one, other in zip(alone, together, strict=True):
        np.testing.assert_array_equal(one, other)
